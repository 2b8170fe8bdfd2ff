"""NICs that are bound to a DPDK driver, and their IOMMU groups."""

import os
from dataclasses import dataclass
from pathlib import Path

from sppr.host.process.memory import text

#: Kernel drivers for NICs that DPDK uses.
DPDK_DRIVERS = ("vfio-pci", "uio_pci_generic", "igb_uio")


@dataclass(frozen=True)
class Nic:
    """A NIC that is bound to a DPDK driver.

    ``address``: PCI address, such as 0000:00:04.0.
    ``node``: NUMA node, or -1.
    ``group``: its IOMMU group.
    ``kernel_bound``: devices of the group that are bound to a kernel driver.
    ``group_open``: whether this user can open /dev/vfio/<group>.
    """

    address: str
    driver: str
    node: int = -1
    group: int | None = None
    kernel_bound: tuple[str, ...] = ()
    group_open: bool = True


def nics(root: Path) -> tuple[Nic, ...]:
    """Return the NICs that are bound to a DPDK driver."""
    found = []
    for driver in DPDK_DRIVERS:
        for folder in (root / "sys/bus/pci/drivers" / driver).glob("*:*:*.*"):
            device = root / "sys/bus/pci/devices" / folder.name
            if text(device / "class").startswith("0x02"):
                found.append(_nic(root, device, driver))
    return tuple(sorted(found, key=lambda nic: nic.address))


def _nic(root: Path, device: Path, driver: str) -> Nic:
    node = text(device / "numa_node").strip()
    group = device / "iommu_group"
    number = group.resolve().name if group.exists() else ""
    kernel_bound = [
        sibling.name for sibling in (group / "devices").glob("*:*:*.*") if _has_kernel_driver(root, sibling.name)
    ]
    return Nic(
        device.name,
        driver,
        int(node) if node.lstrip("-").isdigit() else -1,
        int(number) if number.isdigit() else None,
        tuple(sorted(kernel_bound)),
        os.access(root / "dev/vfio" / number, os.R_OK | os.W_OK) if number.isdigit() else True,
    )


def _has_kernel_driver(root: Path, address: str) -> bool:
    """Return whether a kernel driver uses the device, which makes its group unusable for vfio. Bridges do not count."""
    device = root / "sys/bus/pci/devices" / address
    driver = device / "driver"
    bridge = text(device / "class").startswith("0x0604")
    return driver.exists() and driver.resolve().name not in (*DPDK_DRIVERS, "pci-stub") and not bridge
