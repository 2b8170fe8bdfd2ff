"""Checks of vhost-user: free sockets, the order of start, and guest memory that the host can access."""

from collections.abc import Iterator

from sppr.host.checks.check import Check, Finding, Requirements, options, remove_files
from sppr.host.facts import Facts


def _taken(facts: Facts, required: Requirements) -> Iterator[Finding]:
    for path in required.sockets:
        if path in facts.unix_listening | facts.unix_bound:
            how = "listens on" if path in facts.unix_listening else "uses"
            what = f"{path}: another process {how} this vhost-user socket"
            yield Finding("vhost-taken", "error", what, "stop it, or set vhosts or spp.sock_dir in conf.yml")


def _stale(facts: Facts, required: Requirements) -> Iterator[Finding]:
    for path in required.stale:
        if path not in facts.unix_listening | facts.unix_bound:
            what = f"{path}: a socket without a listener"
            fix = "sppr doctor --fix   (the next wakeup of this lab also removes it)"
            yield Finding("vhost-stale", "warning", what, fix, (remove_files(path),))


def _missing(_: Facts, required: Requirements) -> Iterator[Finding]:
    for vm in required.vms:
        if vm.sockets and not vm.depends_on:
            what = f"{vm.name}: would start without waiting for the process that serves {', '.join(vm.sockets)}"
            yield Finding("vhost-missing", "error", what, "start the secondary that serves it first")


def _permission(facts: Facts, required: Requirements) -> Iterator[Finding]:
    if not required.sockets:
        return
    if not required.sock_dir_open:
        folder = required.sockets[0].rpartition("/")[0]
        what = f"{folder}: this user may not create sockets there"
        yield Finding(
            "vhost-perm", "error", what, f"chown {required.user or '$USER'} {folder}, or set spp.sock_dir in conf.yml"
        )
    if facts.selinux:
        what = "SELinux is enforcing: it may prevent QEMU from using vhost-user sockets"
        yield Finding(
            "vhost-perm", "warning", what, "if a VM reports Permission denied: setenforce 0 while the lab runs"
        )


def _share(_: Facts, required: Requirements) -> Iterator[Finding]:
    """Report guest memory without share=on, because its vhost-user link comes up but carries no frames, and nothing
    reports an error."""
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
            what = f"{vm.name}: guest memory ({name}) without share=on: its vhost-user link would carry no frames"
            yield Finding("vhost-share", "error", what, "set share=on in vm.args, or remove memory options from them")


def _reconnect(_: Facts, required: Requirements) -> Iterator[Finding]:
    for vm in required.vms:
        for value in vm.values("-chardev"):
            chardev = options(value)
            client = chardev.get("path") in vm.sockets and chardev.get("server") not in ("on", "yes", "true")
            if client and not any(chardev.get(name, "0").rstrip("0") for name in ("reconnect", "reconnect-ms")):
                what = (
                    f"{vm.name}: {chardev['path']} without reconnect=1: the link stays down when its secondary restarts"
                )
                yield Finding("vhost-reconnect", "warning", what, "set reconnect=1 in its -chardev")


CHECKS = (
    Check(
        "vhost-taken",
        "another process listens on a socket of this lab",
        "stop it, or set vhosts or spp.sock_dir in conf.yml",
        "no process listens on the sockets of this lab",
        inspect=_taken,
    ),
    Check(
        "vhost-stale",
        "a leftover file blocks the path of a vhost-user socket",
        "sppr doctor --fix   (removes sockets of this lab without a listener)",
        "there are no leftover sockets of this lab",
        (r"failed to bind.*(Address already in use|remove it and try again)", r"remove it and try again"),
        inspect=_stale,
    ),
    Check(
        "vhost-missing",
        "the VM's vhost port is not served",
        "sppr status; at the prompt: nfv ID; add vhost:N; then start the VM again (arrow-up, Enter)",
        "VMs wait until their vhost ports are served",
        (
            r"Failed to connect to '.*sock.*': No such file or directory",
            r"Failed to connect to .*sock\d*\b(?!.*(denied|refused))",
        ),
        inspect=_missing,
    ),
    Check(
        "vhost-perm",
        "this user may not use the vhost-user socket",
        'run both as one user, or use a group and umask; AppArmor: security_driver = "none"; SELinux: setenforce 0',
        "sockets can be created",
        (r"(sock|vhost|chardev).*Permission denied",),
        inspect=_permission,
    ),
    Check(
        "vhost-share",
        "guest memory is not shared with the host: the link is up but carries no frames",
        "set share=on for every memory-backend in vm.args",
        "guest memory is shared with the host",
        (
            r"VHOST_CONFIG:.*mmap region \d+ failed",
            r"Processing VHOST_USER_SET_MEM_TABLE failed",
            r"Failed initializing vhost-user memory map",
        ),
        inspect=_share,
    ),
    Check(
        "vhost-reconnect",
        "the process that served the VM's port has exited",
        "VMs of sppr reconnect automatically; otherwise use --vhost-client, or reconnect=1 in QEMU's -chardev",
        "VMs reconnect after a restart",
        (r"sock.*Connection refused",),
        "warning",
        _reconnect,
    ),
)
