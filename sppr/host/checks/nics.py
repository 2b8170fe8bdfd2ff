"""Checks of NICs that DPDK uses: as many as the portmask selects, complete IOMMU groups, accessible memory."""

from collections.abc import Iterator

from sppr import units
from sppr.host.checks.check import Check, Finding, Process, Requirements
from sppr.host.facts import Facts

_NO_NIC = "not checked: no NIC is bound to a DPDK driver"
#: vfio maps all memory of a group's devices, so a lower limit of locked memory is never sufficient.
_MEMLOCK_MIB = 64


def _ports(facts: Facts, required: Requirements) -> Iterator[Finding]:
    for process in required.processes:
        if process.role != "primary" or "--" not in process.argv:
            continue
        after = Process(process.name, process.role, process.argv[len(process.eal()) :])
        devices = len(process.values("--vdev")) + (0 if "--no-pci" in process.argv else len(facts.ports))
        try:
            mask = units.parse_mask((after.values("-p") or ["0"])[0])
        except ValueError:
            continue
        if mask.bit_count() != devices:
            what = (
                f"portmask {units.format_mask(mask)} selects {mask.bit_count()} ports, but there are {devices} devices"
            )
            yield Finding("ports", "error", what, f"-p {units.format_mask((1 << devices) - 1)}, or primary.portmask")


def _tap_name(facts: Facts, required: Requirements) -> Iterator[Finding]:
    """Report interfaces whose name a tap of the primary has, because net_tap fails with them, and EAL continues without
    the port. net_tap attaches to an existing tap with several queues, and creates a missing tap."""
    existing = {interface.name: interface for interface in facts.interfaces}
    for name, vdev in required.taps.items():
        interface = existing.get(name)
        if interface is None or required.own & set(interface.holders):
            continue
        other = f"or set another iface= for {vdev}: primary.vdevs in conf.yml"
        what = f"{name}: already exists, but {vdev} of the primary must create it: it is {_a(interface.kind)}"
        if interface.holders:
            pids = " ".join(map(str, interface.holders))
            yield Finding(
                "tap-name", "error", f"{what} of {required.named(interface.holders)}", f"kill {pids}, {other}"
            )
        elif interface.kind != "tap":
            yield Finding("tap-name", "error", what, f"ip link del {name}, {other}")
        elif not interface.multi_queue:
            yield Finding("tap-name", "error", f"{what} without multi_queue", f"ip link del {name}, {other}")


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _bound(facts: Facts, _: Requirements) -> Iterator[Finding]:
    if not facts.ports:
        what = "no NIC is bound to a DPDK driver: the ports of the lab are virtual devices (TAP)"
        yield Finding(
            "nic-bind", "info", what, "to use a NIC: dpdk-devbind.py --status; dpdk-devbind.py -b vfio-pci NIC"
        )


def _iommu(facts: Facts, _: Requirements) -> Iterator[Finding]:
    vfio = [port.address for port in facts.ports if port.driver == "vfio-pci"]
    if not facts.ports:
        state = "on" if facts.iommu else "off"
        yield Finding("iommu-off", "info", f"{_NO_NIC}; the IOMMU is {state}", "none needed without a NIC")
    elif vfio and not facts.iommu:
        what = f"{', '.join(vfio)} on vfio-pci without an IOMMU: DMA is unchecked (noiommu mode)"
        yield Finding("iommu-off", "warning", what, "boot with intel_iommu=on iommu=pt (or amd_iommu=on)")


def _group(facts: Facts, _: Requirements) -> Iterator[Finding]:
    if not facts.ports:
        yield Finding("iommu-group", "info", _NO_NIC, "none needed without a NIC")
    for port in facts.ports:
        if port.kernel_bound:
            kernel_bound = " ".join(port.kernel_bound)
            what = f"{port.address}: {kernel_bound} of its IOMMU group {port.group} still have kernel drivers"
            yield Finding(
                "iommu-group", "error", what, f"dpdk-devbind.py -b vfio-pci {kernel_bound}, or -u {kernel_bound}"
            )


def _iova(facts: Facts, required: Requirements) -> Iterator[Finding]:
    if not facts.ports:
        yield Finding("iova", "info", _NO_NIC, "none needed without a NIC")
    given = any("--iova-mode" in word for process in required.spp for word in process.eal())
    if facts.ports and not required.is_root and not given:
        what = "not root: physical addresses are not visible (/proc/self/pagemap)"
        yield Finding("iova", "warning", what, "run as root, or use --iova-mode va with an IOMMU")


def _vfio(facts: Facts, _: Requirements) -> Iterator[Finding]:
    if not facts.ports:
        yield Finding("vfio-perm", "info", _NO_NIC, "none needed without a NIC")
    for port in facts.ports:
        if port.driver == "vfio-pci" and not port.group_open:
            what = f"/dev/vfio/{port.group} of {port.address} cannot be opened by this user"
            yield Finding("vfio-perm", "error", what, "add a udev rule for your group, or run as root")
    if facts.ports and facts.memlock is not None and facts.memlock >> 20 < _MEMLOCK_MIB:
        what = f"only {facts.memlock >> 20} MiB may be locked, but vfio locks all memory that a NIC can access"
        yield Finding("vfio-perm", "warning", what, "ulimit -l unlimited")


CHECKS = (
    Check(
        "tap-qdisc",
        "net_tap does not find a kernel feature (multiq, flow rules) that a lab does not need",
        "none needed: it is harmless, the tap works",
        "the kernel features that net_tap may not find are not needed",
        (r"failed to create (multiq|ingress) qdisc", r"Could not add (multiq|ingress) qdisc", r"Disabling rte flow"),
        "info",
    ),
    Check(
        "tap-name",
        "another network interface has the name of a tap",
        "ip -d link show   (shows its kind); ip link del NAME, or another iface= in primary.vdevs",
        "the names of the primary's taps are free",
        (
            r"an interface \S+ exists already",
            r"Unable to set TUNSETIFF for \S+: (Invalid argument|Device or resource busy)",
        ),
        inspect=_tap_name,
    ),
    Check(
        "ports",
        "the portmask does not match the devices",
        "sppr doctor   (counts both); then set -p, or primary.portmask in conf.yml",
        "the portmask matches the devices",
        (r"[Pp]ortmask .*doesn't match with the number of ports", r"-p 0x[0-9a-f]+ names ports that do not exist"),
        inspect=_ports,
    ),
    Check(
        "port-missing",
        "EAL did not create a port that the primary's command line requests",
        "the lines above name the device and the reason; correct primary.vdevs in conf.yml, or: dpdk-devbind.py "
        "--status",
        "EAL creates every requested port",
        (
            r"vdev_probe\(\): failed to initialize (?!net_tap|eth_tap)",
            r"EAL: Driver cannot attach the device",
            r"EAL did not create this port",
        ),
    ),
    Check(
        "nic-bind",
        "DPDK found no port",
        "dpdk-devbind.py --status; dpdk-devbind.py -b vfio-pci NIC; without a NIC: use --vdev, or sppr's taps",
        "NICs are bound to a DPDK driver",
        (r"No (probed )?[Ee]thernet (ports|devices)",),
        inspect=_bound,
        host=True,
    ),
    Check(
        "iommu-off",
        "the IOMMU is off",
        "boot with intel_iommu=on iommu=pt; or, unsafe: modprobe vfio enable_unsafe_noiommu_mode=1",
        "the IOMMU is on",
        (r"IOMMU support is disabled, use --noiommu-mode",),
        inspect=_iommu,
        host=True,
    ),
    Check(
        "iommu-group",
        "not every device of the NIC's IOMMU group is bound to vfio",
        "sppr doctor   (names them); dpdk-devbind.py -b vfio-pci ADDRESS…",
        "IOMMU groups are complete",
        (r"VFIO group is not viable",),
        inspect=_group,
        host=True,
    ),
    Check(
        "iova",
        "this user cannot read physical addresses",
        "run as root, or use --iova-mode va (with an IOMMU), --iova-mode pa (as root)",
        "device addresses are available",
        (r"Cannot use IOVA as 'PA'", r"Expecting 'PA' IOVA mode but current mode is 'VA'"),
        inspect=_iova,
        host=True,
    ),
    Check(
        "vfio-perm",
        "this user may not open the NIC's vfio group, or may not lock enough memory",
        "add a udev rule for /dev/vfio/N, and ulimit -l unlimited; or run as root",
        "vfio groups can be opened",
        (r"Cannot open /dev/vfio/\S*: .*",),
        inspect=_vfio,
        host=True,
    ),
)
