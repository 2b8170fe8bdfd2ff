"""NICs that DPDK owns, and the IOMMU in front of them."""

import os
from dataclasses import dataclass
from pathlib import Path

from sppr.host.process.memory import text

#: Kernel drivers a NIC is bound to when DPDK owns it.
DPDK_DRIVERS = ("vfio-pci", "uio_pci_generic", "igb_uio")


@dataclass(frozen=True)
class Nic:
    """``address`` as 0000:00:04.0. ``group``: its IOMMU group; ``loose``: devices of the group that a kernel driver
    has. ``group_open``: whether this user may open /dev/vfio/<group>."""

    address: str
    driver: str
    node: int = -1
    group: int | None = None
    loose: tuple[str, ...] = ()
    group_open: bool = True


def nics(root: Path) -> tuple[Nic, ...]:
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
    loose = [sibling.name for sibling in (group / "devices").glob("*:*:*.*") if _held(root, sibling.name)]
    return Nic(
        device.name,
        driver,
        int(node) if node.lstrip("-").isdigit() else -1,
        int(number) if number.isdigit() else None,
        tuple(sorted(loose)),
        os.access(root / "dev/vfio" / number, os.R_OK | os.W_OK) if number.isdigit() else True,
    )


def _held(root: Path, address: str) -> bool:
    """Whether a kernel driver has it, which makes the group not viable. Bridges do not count."""
    device = root / "sys/bus/pci/devices" / address
    driver = device / "driver"
    bridge = text(device / "class").startswith("0x0604")
    return driver.exists() and driver.resolve().name not in (*DPDK_DRIVERS, "pci-stub") and not bridge
