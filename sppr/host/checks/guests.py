"""Checks of VMs: KVM, images, network."""

from collections.abc import Iterator

from sppr.host.checks.check import Check, Finding, NotChecked, Requirements, listed, no_images, options, remove_files
from sppr.host.facts import Facts
from sppr.host.network import bridge as bridges

_SLOW = "guests run on TCG, about 10 times slower"


def _kvm(facts: Facts, required: Requirements) -> Iterator[Finding]:
    if required.accel == "tcg" or facts.kvm_usable() or (facts.kvm_exists and not facts.kvm_device):
        return
    if not facts.kvm_device:
        why, fix = "there is no /dev/kvm", "enable VT-x or AMD-V in the firmware; modprobe kvm_intel (or kvm_amd)"
    elif not facts.virtualisation:
        why, fix = (
            "/dev/kvm can be opened, but the CPU has neither vmx nor svm, and guests hang",
            "use a host with VT-x or AMD-V",
        )
    else:
        why, fix = (
            "/dev/kvm can be opened, but a test guest did not boot with it",
            "dmesg | grep kvm; inside a VM: enable nested virtualisation on its host",
        )
    yield _kvm_finding("kvm-none", required, why, fix)


def _kvm_finding(identity: str, required: Requirements, why: str, fix: str) -> Finding:
    if required.accel == "kvm":
        return Finding(identity, "error", f"vm.accel is kvm, but {why}", f"{fix}; or set vm.accel: auto in conf.yml")
    return Finding(identity, "info", f"{why}: {_SLOW}", fix)


def _kvm_permission(facts: Facts, required: Requirements) -> Iterator[Finding]:
    if required.accel != "tcg" and facts.kvm_exists and not facts.kvm_device:
        fix = f"usermod -aG kvm {required.user or '$USER'}, then log in again"
        yield _kvm_finding("kvm-perm", required, "/dev/kvm cannot be opened by this user", fix)


def _lock(_: Facts, required: Requirements) -> Iterator[Finding]:
    for path, pid in sorted(required.holders.items()):
        if pid not in required.own:
            what = f"{path}: {required.describe_process(pid)} has this disk open"
            yield Finding("img-lock", "error", what, f"stop it: kill {pid}")


def _format(_: Facts, required: Requirements) -> Iterator[Finding]:
    for disk in required.disks:
        if disk.backing and not disk.backing_format:
            what = f"{disk.path}: does not name the format of its backing file"
            yield Finding("img-fmt", "error", what, f"qemu-img rebase -u -F qcow2 -b {disk.backing} {disk.path}")


def _base(_: Facts, required: Requirements) -> Iterator[Finding]:
    for disk in required.disks:
        if disk.backing and not disk.backing_there:
            what = f"{disk.path}: its backing file {disk.backing} is missing"
            rebase = f"qemu-img rebase -u -F {disk.backing_format or 'qcow2'} -b PATH {disk.path}"
            fix = f"put it back; or if it was moved: {rebase}"
            yield Finding("img-base", "error", what, fix)


def _partial(_: Facts, required: Requirements) -> Iterator[Finding]:
    for path in required.partial_images:
        what = f"{path}: incomplete image of a killed run; no image of the lab uses it"
        fix = "sppr doctor --fix   (creating that image again also removes it)"
        yield Finding("img-partial", "warning", what, fix, (remove_files(path),))


def _bridge(facts: Facts, required: Requirements) -> Iterator[Finding]:
    for vm in required.vms:
        for given in map(options, [*vm.values("-netdev"), *vm.values("-nic")]):
            if given.get("", "") != "bridge":
                continue
            bridge = given.get("br", "br0")
            if bridge not in [one.name for one in facts.bridges]:
                what = f"{vm.name}: there is no bridge {bridge}"
                yield Finding("net-bridge", "error", what, bridges.creation(bridge))
            if not {bridge, "all"} & set(facts.bridge_acl or ()):
                what = f"{vm.name}: /etc/qemu/bridge.conf does not allow {bridge}"
                yield Finding("net-bridge", "error", what, f"echo allow {bridge} >> /etc/qemu/bridge.conf")


def _vm_bridge(facts: Facts, required: Requirements) -> Iterator[Finding]:
    interfaces = [interface.name for interface in facts.interfaces]
    for bridge in dict.fromkeys(vm.bridge for vm in required.vms if vm.bridge):
        if wrong := bridges.problem(bridge, facts.bridges, interfaces, required.is_root):
            yield Finding("vm-bridge", "error", f"{required.bridge_place}{wrong[0]}", wrong[1])


def _ports(facts: Facts, required: Requirements) -> Iterator[Finding]:
    for port, purpose in required.tcp_ports.items():
        if port in facts.tcp_listening and port not in required.listening_own:
            what = f"port {port} ({purpose}) is in use by {required.find_listener(port)}"
            yield Finding("net-port", "error", what, "stop that process, or choose another port in conf.yml")


def _kvm_ok(facts: Facts, required: Requirements) -> str | NotChecked:
    if required.accel == "tcg":
        cpu = "vmx or svm" if facts.virtualisation else "neither vmx nor svm"
        device = "there is a /dev/kvm" if facts.kvm_exists else "there is no /dev/kvm"
        return NotChecked(f"no VM will be started with KVM; the CPU has {cpu}, and {device}")
    if facts.kvm_boots:
        return "a test guest has booted with KVM since the last boot of this machine"
    if facts.kvm_exists and not facts.kvm_device:
        return NotChecked("/dev/kvm cannot be opened by this user")
    return NotChecked("no test guest was booted with KVM")


def _kvm_permission_ok(facts: Facts, _: Requirements) -> str | NotChecked:
    if not facts.kvm_exists:
        return "there is no /dev/kvm"
    if not facts.kvm_device:
        return NotChecked("no VM will be started with KVM; /dev/kvm cannot be opened by this user")
    return "/dev/kvm can be opened for reading and writing"


def _lock_ok(_: Facts, required: Requirements) -> str:
    if not required.disks:
        return "no VM that will be started has an image yet"
    own = [f"{path} by this lab's {required.describe_process(pid)}" for path, pid in sorted(required.holders.items())]
    whose = "" if required.is_root else " (processes of other users were not examined)"
    return f"images that exist: {_count(required)}; open: {listed(own, 'none')}{whose}"


def _count(required: Requirements) -> str:
    return f"{len(required.disks)} ({listed((disk.path for disk in required.disks), 'none')})"


def _format_ok(_: Facts, required: Requirements) -> str:
    overlays = [disk for disk in required.disks if disk.backing]
    if not overlays:
        return "no VM that will be started has an overlay yet"
    return listed((f"{disk.path}: its base is {disk.backing_format}" for disk in overlays), "none")


def _base_ok(_: Facts, required: Requirements) -> str:
    overlays = [disk for disk in required.disks if disk.backing]
    if not overlays:
        return "no VM that will be started has an overlay yet"
    return listed((f"{disk.path}: {disk.backing} exists" for disk in overlays), "none")


def _partial_ok(_: Facts, required: Requirements) -> str | NotChecked:
    if not required.disk_folder:
        return no_images(required)
    return f"incomplete images of killed runs in {required.disk_folder}: none"


def _bridge_ok(_: Facts, required: Requirements) -> str:
    if not required.vms:
        return "no VM is planned"
    given = [options(v) for vm in required.vms for v in (*vm.values("-netdev"), *vm.values("-nic"))]
    bridges = dict.fromkeys(nic.get("br", "br0") for nic in given if nic.get("") == "bridge")
    return f"bridges that {listed((vm.name for vm in required.vms), 'none')} use: {listed(bridges, 'none')}"


def _vm_bridge_ok(_: Facts, required: Requirements) -> str:
    vms = [f"{vm.name} on {vm.bridge}" for vm in required.vms if vm.bridge]
    return f"VMs on a bridge of this machine: {listed(vms, 'none')}"


def _ports_ok(facts: Facts, required: Requirements) -> str:
    if not required.tcp_ports:
        return "no part that will be started listens on a TCP port"
    free = [port for port in required.tcp_ports if port not in facts.tcp_listening]
    own = [port for port in required.tcp_ports if port in facts.tcp_listening]
    more = f"; this lab listens on {listed(own, 'none')}" if own else ""
    return f"TCP ports without a listener: {listed(free, 'none')}{more}"


CHECKS = (
    Check(
        "kvm-none",
        "KVM is missing or does not work",
        "set vm.accel: tcg in conf.yml; else VT-x or AMD-V in the firmware, modprobe kvm_intel",
        _kvm_ok,
        (
            r"Could not access KVM kernel module: No such file or directory",
            r"failed to set MSR",
        ),
        inspect=_kvm,
        host=True,
    ),
    Check(
        "kvm-perm",
        "this user may not open /dev/kvm",
        "usermod -aG kvm $USER, then log in again (not chmod 666); or vm.accel: tcg",
        _kvm_permission_ok,
        (r"Could not access KVM kernel module: Permission denied", r"failed to initialize kvm: Permission denied"),
        inspect=_kvm_permission,
        host=True,
    ),
    Check(
        "img-lock",
        "another QEMU uses this disk",
        "sppr doctor   (names its pid); stop it first",
        _lock_ok,
        (
            r"Failed to get (shared )?\"?(write|consistent read)\"? lock",
            r"Is another process using the image",
        ),
        inspect=_lock,
    ),
    Check(
        "img-fmt",
        "an overlay does not name the format of its backing file",
        "qemu-img rebase -u -F qcow2 -b BASE OVERLAY",
        _format_ok,
        (r"Backing file specified without backing format",),
        inspect=_format,
    ),
    Check(
        "img-base",
        "the backing file of an overlay is missing",
        "put it back where it was, or: qemu-img rebase -u -F qcow2 -b PATH OVERLAY",
        _base_ok,
        (r"Could not open backing (image|file)",),
        inspect=_base,
    ),
    Check(
        "img-partial",
        "an image is incomplete",
        "remove it; it is created again",
        _partial_ok,
        inspect=_partial,
    ),
    Check(
        "net-bridge",
        "QEMU may not use this bridge",
        "echo allow virbr0 >> /etc/qemu/bridge.conf; its helper qemu-bridge-helper must be setuid root",
        _bridge_ok,
        (r"failed to parse default acl file", r"bridge helper failed"),
        inspect=_bridge,
    ),
    Check(
        "vm-bridge",
        "VMs cannot use the bridge that vm.bridge names",
        "make the bridge: ip link add NAME type bridge; ip link set NAME up; run the lab as root",
        _vm_bridge_ok,
        (r"sppr-[rvn]\d+-[0-9a-f]{5} could not be added to bridge",),
        inspect=_vm_bridge,
    ),
    Check(
        "net-port",
        "a TCP port is in use",
        "sppr doctor   (names the process, as sppr status does); or choose other ports in conf.yml "
        "(vm.ssh_port for VMs)",
        _ports_ok,
        (
            r"Could not set up host forwarding rule",
            r"Errno 98\b",
            r"^(?!.*failed to bind).*[Aa]ddress already in use",
        ),
        inspect=_ports,
    ),
    Check(
        "vm-ip",
        "a guest has no address, or does not respond",
        "sppr logs NAME   (its console); the time limit of the wait is vm.ready_timeout",
        None,
        (r"Waiting for domain to get an IP address",),
        "warning",
    ),
)
