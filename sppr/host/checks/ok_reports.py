"""What the checks of vhost.py and nics.py report when they find no problem."""

from sppr import units
from sppr.host.checks.check import NotChecked, OkReport, Process, Requirements, listed, options
from sppr.host.facts import Facts

_NO_SOCKET = "no vhost-user socket will be created"
_NO_NIC = "no NIC is bound to a DPDK driver"


def _taken(_: Facts, required: Requirements) -> str:
    return f"no process uses {', '.join(required.sockets)}" if required.sockets else _NO_SOCKET


def _stale(_: Facts, required: Requirements) -> str:
    return f"leftover sockets among {', '.join(required.sockets)}: none" if required.sockets else _NO_SOCKET


def _with_sockets(required: Requirements) -> list[Process]:
    return [vm for vm in required.vms if vm.sockets]


def _missing(_: Facts, required: Requirements) -> str:
    vms = [f"{vm.name} waits for {listed(vm.depends_on, 'nothing')}" for vm in _with_sockets(required)]
    return "; ".join(vms) or "no VM has a vhost-user port"


def _permission(facts: Facts, required: Requirements) -> str:
    if not required.sockets:
        return _NO_SOCKET
    folder = required.sockets[0].rpartition("/")[0]
    selinux = "enforces" if facts.selinux else "does not enforce"
    return f"this user may create files in {folder}, or it does not exist yet; SELinux {selinux}"


def _share(_: Facts, required: Requirements) -> str:
    vms = _with_sockets(required)
    if not vms:
        return "no VM has a vhost-user port"
    return f"the memory of {', '.join(vm.name for vm in vms)} has share=on"


def _reconnect(_: Facts, required: Requirements) -> str:
    found = []
    for vm in _with_sockets(required):
        given = [options(value) for value in vm.values("-chardev")]
        for one in (g for g in given if g.get("path") in vm.sockets):
            server = one.get("server") in ("on", "yes", "true")
            again = [f"{name}={one[name]}" for name in ("reconnect", "reconnect-ms") if name in one]
            how = "QEMU creates the socket" if server else "".join(again) or "reconnect=not given"
            found.append(f"{vm.name}: {one['path']}, {how}")
    return "; ".join(found) or "no VM has a vhost-user port"


def _ports(facts: Facts, required: Requirements) -> str | NotChecked:
    primary = next((p for p in required.processes if p.role == "primary" and "--" in p.argv), None)
    if primary is None:
        return "no primary is planned"
    after = Process(primary.name, primary.role, primary.argv[len(primary.eal()) :])
    devices = len(primary.values("--vdev")) + (0 if "--no-pci" in primary.argv else len(facts.ports))
    given = (after.values("-p") or ["0"])[0]
    try:
        units.parse_mask(given)
    except ValueError:
        return NotChecked(f"the portmask {given!r} is not a mask")
    return f"portmask {given}, {devices} devices"


def _nics(facts: Facts) -> str:
    return listed((f"{port.address} on {port.driver}" for port in facts.ports), "none")


def _bound(facts: Facts, _: Requirements) -> str:
    return f"NICs: {_nics(facts)}" if facts.ports else _NO_NIC


def _iommu(facts: Facts, _: Requirements) -> str:
    return f"the IOMMU is {'on' if facts.iommu else 'off'}; NICs: {_nics(facts)}" if facts.ports else _NO_NIC


def _group(facts: Facts, _: Requirements) -> str:
    groups = [f"{p.address} in group {'none' if p.group is None else p.group}" for p in facts.ports]
    return f"{', '.join(groups)}; devices there with a kernel driver: none" if groups else _NO_NIC


def _iova(facts: Facts, required: Requirements) -> str:
    if not facts.ports:
        return _NO_NIC
    return "this is root" if required.is_root else "not root; --iova-mode is given"


def _vfio(facts: Facts, _: Requirements) -> str:
    if not facts.ports:
        return _NO_NIC
    vfio = [f"/dev/vfio/{port.group}" for port in facts.ports if port.driver == "vfio-pci"]
    limit = "without limit" if facts.memlock is None else f"{facts.memlock >> 20} MiB"
    return f"groups that can be opened: {listed(vfio, 'none is used')}; memory that may be locked: {limit}"


def _taps(facts: Facts, required: Requirements) -> str:
    if not required.taps:
        return "the primary has no taps"
    there = {interface.name for interface in facts.interfaces}
    names = [f"{name} {'can be used' if name in there else 'does not exist'}" for name in required.taps]
    return f"interfaces: {', '.join(names)}"


OK_REPORTS: dict[str, OkReport | None] = {
    "vhost-taken": _taken,
    "vhost-stale": _stale,
    "vhost-missing": _missing,
    "vhost-perm": _permission,
    "vhost-share": _share,
    "vhost-reconnect": _reconnect,
    "tap-name": _taps,
    "tap-qdisc": None,
    "port-missing": None,
    "ports": _ports,
    "nic-bind": _bound,
    "iommu-off": _iommu,
    "iommu-group": _group,
    "iova": _iova,
    "vfio-perm": _vfio,
}
