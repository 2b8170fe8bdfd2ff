"""NICs that DPDK owns: as many as the portmask says, whole IOMMU groups, memory they can reach."""

from collections.abc import Iterator

from sppr import units
from sppr.host.checks.check import Check, Finding, Process, Requirements
from sppr.host.facts import Facts

_NO_NIC = "not checked: no NIC is bound to a DPDK driver"
#: A vfio group's devices are mapped whole; less locked memory than this never suffices.
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
            what = f"portmask {units.format_mask(mask)} names {mask.bit_count()} ports, but devices are {devices}"
            yield Finding("ports", "error", what, f"-p {units.format_mask((1 << devices) - 1)}, or primary.portmask")


def _tap_name(facts: Facts, required: Requirements) -> Iterator[Finding]:
    """net_tap attaches to a multi-queue tap that exists, and creates a missing one; EAL continues without any other."""
    there = {interface.name: interface for interface in facts.interfaces}
    for name, vdev in required.taps.items():
        interface = there.get(name)
        if interface is None or required.own & set(interface.holders):
            continue
        other = f"or another iface= for {vdev}: primary.vdevs in conf.yml"
        what = f"{name}: exists already, and {vdev} of the primary must create it: it is {_a(interface.kind)}"
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
        what = "no NIC is bound to a DPDK driver: the lab's ports are vdevs (taps)"
        yield Finding("nic-bind", "info", what, "for a NIC: dpdk-devbind.py --status; dpdk-devbind.py -b vfio-pci NIC")


def _iommu(facts: Facts, _: Requirements) -> Iterator[Finding]:
    vfio = [port.address for port in facts.ports if port.driver == "vfio-pci"]
    if not facts.ports:
        state = "on" if facts.iommu else "off"
        yield Finding("iommu-off", "info", f"{_NO_NIC}; the IOMMU is {state}", "nothing, until a NIC is to be used")
    elif vfio and not facts.iommu:
        what = f"{', '.join(vfio)} on vfio-pci without an IOMMU: DMA is unchecked (noiommu mode)"
        yield Finding("iommu-off", "warning", what, "boot with intel_iommu=on iommu=pt (or amd_iommu=on)")


def _group(facts: Facts, _: Requirements) -> Iterator[Finding]:
    if not facts.ports:
        yield Finding("iommu-group", "info", _NO_NIC, "nothing, until a NIC is to be used")
    for port in facts.ports:
        if port.kernel_bound:
            kernel_bound = " ".join(port.kernel_bound)
            what = f"{port.address}: {kernel_bound} of its IOMMU group {port.group} still have kernel drivers"
            yield Finding(
                "iommu-group", "error", what, f"dpdk-devbind.py -b vfio-pci {kernel_bound}, or -u {kernel_bound}"
            )


def _iova(facts: Facts, required: Requirements) -> Iterator[Finding]:
    if not facts.ports:
        yield Finding("iova", "info", _NO_NIC, "nothing, until a NIC is to be used")
    given = any("--iova-mode" in word for process in required.spp for word in process.eal())
    if facts.ports and not required.is_root and not given:
        what = "not root: physical addresses cannot be seen (/proc/self/pagemap)"
        yield Finding("iova", "warning", what, "run as root, or --iova-mode va behind an IOMMU")


def _vfio(facts: Facts, _: Requirements) -> Iterator[Finding]:
    if not facts.ports:
        yield Finding("vfio-perm", "info", _NO_NIC, "nothing, until a NIC is to be used")
    for port in facts.ports:
        if port.driver == "vfio-pci" and not port.group_open:
            what = f"/dev/vfio/{port.group} of {port.address} cannot be opened by this user"
            yield Finding("vfio-perm", "error", what, "a udev rule for your group, or run as root")
    if facts.ports and facts.memlock is not None and facts.memlock >> 20 < _MEMLOCK_MIB:
        what = f"only {facts.memlock >> 20} MiB may be locked, and vfio locks what a NIC may reach"
        yield Finding("vfio-perm", "warning", what, "ulimit -l unlimited")


CHECKS = (
    Check(
        "tap-qdisc",
        "net_tap misses a kernel feature (multiq, flow rules) that nothing of a lab needs",
        "nothing: it is harmless, the tap works",
        "what net_tap may lack of the kernel is not needed",
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
        look=_tap_name,
    ),
    Check(
        "ports",
        "the portmask does not name just the devices there are",
        "sppr doctor   (counts both); then -p, or primary.portmask in conf.yml",
        "the portmask names just the devices there are",
        (r"[Pp]ortmask .*doesn't match with the number of ports", r"-p 0x[0-9a-f]+ names ports that do not exist"),
        look=_ports,
    ),
    Check(
        "port-missing",
        "EAL did not create a port that the primary's command line asks for",
        "the lines above name the device and why; correct primary.vdevs in conf.yml, or: dpdk-devbind.py --status",
        "EAL creates every port that is asked for",
        (
            r"vdev_probe\(\): failed to initialize (?!net_tap|eth_tap)",
            r"EAL: Driver cannot attach the device",
            r"EAL did not create this port",
        ),
    ),
    Check(
        "nic-bind",
        "no port was found",
        "dpdk-devbind.py --status; dpdk-devbind.py -b vfio-pci NIC; without a NIC: --vdev, or sppr's taps",
        "NICs are bound to a DPDK driver",
        (r"No (probed )?[Ee]thernet (ports|devices)",),
        look=_bound,
        host=True,
    ),
    Check(
        "iommu-off",
        "the IOMMU is off",
        "boot with intel_iommu=on iommu=pt; or, unsafe: modprobe vfio enable_unsafe_noiommu_mode=1",
        "the IOMMU is on",
        (r"IOMMU support is disabled, use --noiommu-mode",),
        look=_iommu,
        host=True,
    ),
    Check(
        "iommu-group",
        "not every device of the NIC's IOMMU group was given to vfio",
        "sppr doctor   (names them); dpdk-devbind.py -b vfio-pci ADDRESS…",
        "IOMMU groups are whole",
        (r"VFIO group is not viable",),
        look=_group,
        host=True,
    ),
    Check(
        "iova",
        "physical addresses cannot be had by this user",
        "run as root, or --iova-mode va (with an IOMMU), --iova-mode pa (as root)",
        "addresses for devices can be had",
        (r"Cannot use IOVA as 'PA'", r"Expecting 'PA' IOVA mode but current mode is 'VA'"),
        look=_iova,
        host=True,
    ),
    Check(
        "vfio-perm",
        "this user may not open the NIC's vfio group, or lock memory enough",
        "a udev rule for /dev/vfio/N, ulimit -l unlimited; or run as root",
        "vfio groups can be opened",
        (r"Cannot open /dev/vfio/\S*: .*",),
        look=_vfio,
        host=True,
    ),
)
