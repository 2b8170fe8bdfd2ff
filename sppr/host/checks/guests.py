"""VMs: KVM, their images, their network."""

from collections.abc import Iterator

from sppr.host.checks.check import Check, Finding, NotLooked, Requirements, listed, no_images, options, remove_files
from sppr.host.facts import Facts

_SLOW = "guests run on TCG, about 10 times slower"


def _kvm(facts: Facts, required: Requirements) -> Iterator[Finding]:
    if required.accel == "tcg" or facts.kvm_usable() or (facts.kvm_exists and not facts.kvm_device):
        return
    if not facts.kvm_device:
        why, fix = "there is no /dev/kvm", "enable VT-x or AMD-V in the firmware; modprobe kvm_intel (or kvm_amd)"
    elif not facts.virtualisation:
        why, fix = "/dev/kvm opens, but the CPU has neither vmx nor svm, and guests hang", "a host with VT-x or AMD-V"
    else:
        why, fix = (
            "/dev/kvm opens, but a tiny guest did not come up in it",
            "dmesg | grep kvm; nested: enable it outside",
        )
    yield _told("kvm-none", required, why, fix)


def _told(identity: str, required: Requirements, why: str, fix: str) -> Finding:
    if required.accel == "kvm":
        return Finding(identity, "error", f"vm.accel is kvm, but {why}", f"{fix}; or set vm.accel: auto in conf.yml")
    return Finding(identity, "info", f"{why}: {_SLOW}", fix)


def _kvm_permission(facts: Facts, required: Requirements) -> Iterator[Finding]:
    if required.accel != "tcg" and facts.kvm_exists and not facts.kvm_device:
        fix = f"usermod -aG kvm {required.user or '$USER'}, and log in again"
        yield _told("kvm-perm", required, "/dev/kvm cannot be opened by this user", fix)


def _lock(_: Facts, required: Requirements) -> Iterator[Finding]:
    for path, pid in sorted(required.holders.items()):
        if pid not in required.own:
            what = f"{path}: {required.name_of(pid)} has this disk open"
            yield Finding("img-lock", "error", what, f"end it: kill {pid}")


def _format(_: Facts, required: Requirements) -> Iterator[Finding]:
    for disk in required.disks:
        if disk.backing and not disk.backing_format:
            what = f"{disk.path}: names what it stands on, but not its format"
            yield Finding("img-fmt", "error", what, f"qemu-img rebase -u -F qcow2 -b {disk.backing} {disk.path}")


def _base(_: Facts, required: Requirements) -> Iterator[Finding]:
    for disk in required.disks:
        if disk.backing and not disk.backing_there:
            what = f"{disk.path}: stands on {disk.backing}, which is not there"
            rebase = f"qemu-img rebase -u -F {disk.backing_format or 'qcow2'} -b PATH {disk.path}"
            fix = f"put it back; or if it moved: {rebase}"
            yield Finding("img-base", "error", what, fix)


def _partial(_: Facts, required: Requirements) -> Iterator[Finding]:
    for path in required.torn:
        what = f"{path}: half-made by a run that was killed; no image of the lab has it"
        fix = "sppr doctor --fix   (making that image again removes it, too)"
        yield Finding("img-partial", "warning", what, fix, (remove_files(path),))


def _bridge(facts: Facts, required: Requirements) -> Iterator[Finding]:
    for vm in required.vms:
        for given in map(options, [*vm.values("-netdev"), *vm.values("-nic")]):
            if given.get("", "") != "bridge":
                continue
            bridge = given.get("br", "br0")
            if bridge not in facts.bridges:
                what = f"{vm.name}: there is no bridge {bridge}"
                yield Finding("net-bridge", "error", what, f"ip link add {bridge} type bridge; ip link set {bridge} up")
            if not {bridge, "all"} & set(facts.bridge_acl or ()):
                what = f"{vm.name}: /etc/qemu/bridge.conf does not allow {bridge}"
                yield Finding("net-bridge", "error", what, f"echo allow {bridge} >> /etc/qemu/bridge.conf")


def _ports(facts: Facts, required: Requirements) -> Iterator[Finding]:
    for port, purpose in required.tcp_ports.items():
        if port in facts.tcp_listening and port not in required.listening_own:
            what = f"port {port} ({purpose}) is taken by {required.find_listener(port)}"
            yield Finding("net-port", "error", what, "end that process, or choose another port in conf.yml")


def _kvm_seen(facts: Facts, required: Requirements) -> str | NotLooked:
    if required.accel == "tcg":
        cpu = "vmx or svm" if facts.virtualisation else "neither vmx nor svm"
        device = "there is a /dev/kvm" if facts.kvm_exists else "there is no /dev/kvm"
        return NotLooked(f"no VM is to start in KVM; the CPU has {cpu}, and {device}")
    if facts.kvm_boots:
        return "a tiny guest came up in KVM since this machine was booted"
    if facts.kvm_exists and not facts.kvm_device:
        return NotLooked("/dev/kvm cannot be opened by this user")
    return NotLooked("no guest was tried in KVM")


def _kvm_permission_seen(facts: Facts, _: Requirements) -> str | NotLooked:
    if not facts.kvm_exists:
        return "there is no /dev/kvm"
    if not facts.kvm_device:
        return NotLooked("no VM is to start in KVM; /dev/kvm cannot be opened by this user")
    return "/dev/kvm opens for reading and writing"


def _lock_seen(_: Facts, required: Requirements) -> str:
    if not required.disks:
        return "no image of a VM that is to start exists yet"
    own = [f"{path} by this lab's {required.name_of(pid)}" for path, pid in sorted(required.holders.items())]
    whose = "" if required.is_root else " (processes of other users were not looked at)"
    return f"images that exist: {_count(required)}; open: {listed(own, 'none')}{whose}"


def _count(required: Requirements) -> str:
    return f"{len(required.disks)} ({listed((disk.path for disk in required.disks), 'none')})"


def _format_seen(_: Facts, required: Requirements) -> str:
    overlays = [disk for disk in required.disks if disk.backing]
    if not overlays:
        return "no overlay of a VM that is to start exists yet"
    return listed((f"{disk.path}: its base is {disk.backing_format}" for disk in overlays), "none")


def _base_seen(_: Facts, required: Requirements) -> str:
    overlays = [disk for disk in required.disks if disk.backing]
    if not overlays:
        return "no overlay of a VM that is to start exists yet"
    return listed((f"{disk.path}: {disk.backing} exists" for disk in overlays), "none")


def _partial_seen(_: Facts, required: Requirements) -> str | NotLooked:
    if not required.disk_folder:
        return no_images(required)
    return f"temporary images of runs that have ended in {required.disk_folder}: none"


def _bridge_seen(_: Facts, required: Requirements) -> str:
    if not required.vms:
        return "no VM is planned"
    given = [options(v) for vm in required.vms for v in (*vm.values("-netdev"), *vm.values("-nic"))]
    bridges = dict.fromkeys(nic.get("br", "br0") for nic in given if nic.get("") == "bridge")
    return f"bridges that {listed((vm.name for vm in required.vms), 'none')} use: {listed(bridges, 'none')}"


def _ports_seen(facts: Facts, required: Requirements) -> str:
    if not required.tcp_ports:
        return "no part that is to start listens on a TCP port"
    free = [port for port in required.tcp_ports if port not in facts.tcp_listening]
    ours = [port for port in required.tcp_ports if port in facts.tcp_listening]
    more = f"; this lab listens on {listed(ours, 'none')}" if ours else ""
    return f"nobody listens on TCP ports {listed(free, 'none')}{more}"


CHECKS = (
    Check(
        "kvm-none",
        "KVM is not there, or does not do what it promises",
        "set vm.accel: tcg in conf.yml; else VT-x or AMD-V in the firmware, modprobe kvm_intel",
        _kvm_seen,
        (
            r"Could not access KVM kernel module: No such file or directory",
            r"failed to set MSR",
        ),
        look=_kvm,
        host=True,
    ),
    Check(
        "kvm-perm",
        "this user may not open /dev/kvm",
        "usermod -aG kvm $USER, and log in again (not chmod 666); or vm.accel: tcg",
        _kvm_permission_seen,
        (r"Could not access KVM kernel module: Permission denied", r"failed to initialize kvm: Permission denied"),
        look=_kvm_permission,
        host=True,
    ),
    Check(
        "img-lock",
        "another QEMU has this disk",
        "sppr doctor   (names its pid); end it first",
        _lock_seen,
        (
            r"Failed to get (shared )?\"?(write|consistent read)\"? lock",
            r"Is another process using the image",
        ),
        look=_lock,
    ),
    Check(
        "img-fmt",
        "an overlay does not say of which format its base is",
        "qemu-img rebase -u -F qcow2 -b BASE OVERLAY",
        _format_seen,
        (r"Backing file specified without backing format",),
        look=_format,
    ),
    Check(
        "img-base",
        "the image that an overlay stands on is not there",
        "put it back where it was, or: qemu-img rebase -u -F qcow2 -b PATH OVERLAY",
        _base_seen,
        (r"Could not open backing (image|file)",),
        look=_base,
    ),
    Check(
        "img-partial",
        "an image was half-made",
        "remove it, and it is made again",
        _partial_seen,
        look=_partial,
    ),
    Check(
        "net-bridge",
        "QEMU may not use this bridge",
        "echo allow virbr0 >> /etc/qemu/bridge.conf; its helper qemu-bridge-helper must be setuid root",
        _bridge_seen,
        (r"failed to parse default acl file", r"bridge helper failed"),
        look=_bridge,
    ),
    Check(
        "net-port",
        "a TCP port is taken",
        "sppr status, sppr doctor   (names who has it); or choose other ports in conf.yml (vm.ssh_port for VMs)",
        _ports_seen,
        (
            r"Could not set up host forwarding rule",
            r"Errno 98\b",
            r"^(?!.*failed to bind).*[Aa]ddress already in use",
        ),
        look=_ports,
    ),
    Check(
        "vm-ip",
        "a guest has not got an address, or does not answer",
        "sppr logs NAME   (its console); every wait of sppr has a deadline: vm.ready_timeout",
        None,
        (r"Waiting for domain to get an IP address",),
        "warning",
    ),
)
