"""vhost-user: sockets that are free, the side that must be first, and guest memory that the host can see."""

from collections.abc import Iterator

from sppr.host.checks.check import Check, Finding, Requirements, options, remove_files
from sppr.host.facts import Facts


def _taken(facts: Facts, required: Requirements) -> Iterator[Finding]:
    for path in required.sockets:
        if path in facts.unix_listening | facts.unix_bound:
            how = "listens on" if path in facts.unix_listening else "has"
            what = f"{path}: another process {how} this vhost-user socket"
            yield Finding("vhost-taken", "error", what, "end it, or set vhosts: or spp.sock_dir: in conf.yml")


def _stale(facts: Facts, required: Requirements) -> Iterator[Finding]:
    for path in required.stale:
        if path not in facts.unix_listening | facts.unix_bound:
            what = f"{path}: a socket that nobody listens on"
            fix = "sppr doctor --fix   (a bring-up of this lab removes it, too)"
            yield Finding("vhost-stale", "warning", what, fix, (remove_files(path),))


def _missing(_: Facts, required: Requirements) -> Iterator[Finding]:
    for vm in required.vms:
        if vm.sockets and not vm.depends_on:
            what = f"{vm.name}: would start without waiting for who serves {', '.join(vm.sockets)}"
            yield Finding("vhost-missing", "error", what, "start the secondary that serves it first")


def _permission(facts: Facts, required: Requirements) -> Iterator[Finding]:
    if not required.sockets:
        return
    if not required.sock_dir_open:
        folder = required.sockets[0].rpartition("/")[0]
        what = f"{folder}: this user may not make sockets there"
        yield Finding(
            "vhost-perm", "error", what, f"chown {required.user or '$USER'} {folder}, or spp.sock_dir: in conf.yml"
        )
    if facts.selinux:
        what = "SELinux enforces: it may keep QEMU from vhost-user sockets"
        yield Finding("vhost-perm", "warning", what, "if a VM says Permission denied: setenforce 0 for the run")


def _share(_: Facts, required: Requirements) -> Iterator[Finding]:
    """Without share=on the link comes up and carries nothing, with no message."""
    for vm in required.vms:
        if not vm.sockets:
            continue
        objects = [options(value) for value in vm.values("-object")]
        backends = [o for o in objects if o.get("", "").startswith("memory-backend")]
        private = [o for o in backends if o.get("share") not in ("on", "yes", "true")]
        used = {options(value).get("memdev") for value in vm.values("-numa")}
        machine = {options(value).get("memory-backend") for value in vm.values("-machine")}
        private = [o for o in private if o.get("id") in used | machine]
        if private or not (machine | used) - {None}:
            name = private[0].get("id", "?") if private else "none"
            what = f"{vm.name}: guest memory ({name}) without share=on: its vhost-user link would carry nothing"
            yield Finding("vhost-share", "error", what, "share=on in vm.args, or leave memory out of them")


def _reconnect(_: Facts, required: Requirements) -> Iterator[Finding]:
    for vm in required.vms:
        for value in vm.values("-chardev"):
            given = options(value)
            client = given.get("path") in vm.sockets and given.get("server") not in ("on", "yes", "true")
            if client and not any(given.get(name, "0").rstrip("0") for name in ("reconnect", "reconnect-ms")):
                what = f"{vm.name}: {given['path']} without reconnect=1: after a restart of its secondary it stays dead"
                yield Finding("vhost-reconnect", "warning", what, "reconnect=1 in its -chardev")


CHECKS = (
    Check(
        "vhost-taken",
        "another process listens on a socket of this lab",
        "end it, or set vhosts: or spp.sock_dir: in conf.yml",
        "nobody listens on this lab's sockets",
        look=_taken,
    ),
    Check(
        "vhost-stale",
        "the file of a vhost-user socket is in the way",
        "sppr doctor --fix   (removes our sockets that nobody listens on)",
        "no socket of this lab is left over",
        (r"failed to bind.*(Address already in use|remove it and try again)", r"remove it and try again"),
        look=_stale,
    ),
    Check(
        "vhost-missing",
        "the VM's vhost port is not served",
        "sppr status; at the prompt: nfv ID; add vhost:N; then the VM again (arrow-up, Enter)",
        "VMs wait until their vhost ports are served",
        (
            r"Failed to connect to '.*sock.*': No such file or directory",
            r"Failed to connect to .*sock\d*\b(?!.*(denied|refused))",
        ),
        look=_missing,
    ),
    Check(
        "vhost-perm",
        "this user may not use the vhost-user socket",
        'run both as one user, or a group and umask; AppArmor: security_driver = "none"; SELinux: setenforce 0',
        "sockets can be made",
        (r"(sock|vhost|chardev).*Permission denied",),
        look=_permission,
    ),
    Check(
        "vhost-share",
        "guest memory is not shared with the host: the link is up and carries nothing",
        "share=on for every memory-backend in vm.args",
        "guest memory is shared with the host",
        (
            r"VHOST_CONFIG:.*mmap region \d+ failed",
            r"Processing VHOST_USER_SET_MEM_TABLE failed",
            r"Failed initializing vhost-user memory map",
        ),
        look=_share,
    ),
    Check(
        "vhost-reconnect",
        "who served the VM's port has gone",
        "sppr's VMs connect again by themselves; by hand: --vhost-client, or reconnect=1 at QEMU's -chardev",
        "VMs connect again after a restart",
        (r"sock.*Connection refused",),
        "warning",
        _reconnect,
    ),
)
