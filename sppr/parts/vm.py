"""A VM as QEMU runs it: the parts it is made of, and the identity it gets from the host."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sppr import units
from sppr.images.store import Kind
from sppr.qemu import devices
from sppr.run import which

#: ``orig``: an image as it is, of no VM of the lab.
AnyKind = Kind | Literal["orig"]
#: Fourth byte of a kind's MACs.
_KINDS: dict[AnyKind, int] = {"orig": 0xB0, "normal": 0xB1, "ring": 0xB2, "vhost": 0xB3}
_VHOST_NIC = 0xB4
_OUTSIDE_NIC = 0xB5


def hostname(kind: AnyKind, vm_id: int) -> str:
    """``vm-v11``."""
    return f"vm-{kind[0]}{vm_id}"


@dataclass(frozen=True)
class Machine:
    """``id`` 0 is the template itself. ``sockets``, ``regions``: of its ports, in order. ``memory`` in MiB.

    ``nics``: for management, the first with ssh. ``makes_sockets``: QEMU makes the vhost-user sockets, and SPP connects
    (its --vhost-client). ``controller``: where QEMU finds the controller for the guest's SPP process (our controller's
    unix socket of VMs, or the address of SPP's own), and the port that the guest connects to. ``outside_fd``: of the
    socket to passt, through which the guest reaches other machines.
    """

    kind: AnyKind
    id: int
    disk: Path
    memory: int
    cores: int
    accel: devices.Accel
    qmp: Path
    console: Path
    ssh_port: int
    sockets: tuple[Path, ...] = ()
    regions: tuple[Path, ...] = ()
    controller: tuple[Path | str, int] | None = None
    outside_fd: int | None = None
    confinement: devices.Confinement = devices.UNCONFINED
    authorized_keys: Path | None = None
    extra: tuple[str, ...] = ()
    disk_format: str = "qcow2"
    nics: int = 1
    graphic: bool = False
    makes_sockets: bool = False

    @property
    def hostname(self) -> str:
        return hostname(self.kind, self.id)

    def mac(self, index: int = 0) -> str:
        """MAC of a management NIC."""
        return units.mac_of(_KINDS[self.kind], self.id, index)

    def vhost_mac(self, index: int) -> str:
        return units.mac_of(_VHOST_NIC, self.id, index)

    @property
    def outside_mac(self) -> str:
        return units.mac_of(_OUTSIDE_NIC, self.id, 0)

    def addresses(self) -> list[str]:
        """``MAC ADDRESS/PREFIX`` of each vhost NIC: 192.168.(100 + number of the NIC).ID."""
        return [f"{self.vhost_mac(n)} 192.168.{100 + n}.{self.id}/24" for n in range(len(self.sockets))]

    def argv(self) -> list[str]:
        newer = self.confinement.qemu_9_2
        made: list[devices.Device] = [
            devices.Machine(self.hostname, self.memory, self.cores, self.accel, self.graphic),
            replace(self.confinement, spawn=devices.starts_programs(self.extra)),
            devices.Disk(self.disk, self.disk_format),
            devices.Console(self.console),
            devices.Monitor(self.qmp),
        ]
        made += [
            devices.ManagementNic(self.mac(n), 0 if n else self.ssh_port, n, None if n else self.controller, newer)
            for n in range(self.nics)
        ]
        if self.outside_fd is not None:
            made.append(devices.OutsideNic(self.outside_mac, self.outside_fd))
        made += [
            devices.VhostUserNic(n, s, self.vhost_mac(n), self.accel, self.makes_sockets, newer)
            for n, s in enumerate(self.sockets)
        ]
        made += [devices.IvshmemPlain(n, path) for n, path in enumerate(self.regions)]
        made += [devices.FwCfg(name, value) for name, value in self.identity()]
        return devices.argv(which(devices.QEMU) or devices.QEMU, [*made, devices.Extra(self.extra)])

    def identity(self) -> list[tuple[str, str | Path]]:
        """What the guest reads at boot below opt/sppr/."""
        values: list[tuple[str, str | Path]] = [("hostname", self.hostname), ("id", str(self.id))]
        reserved = [self.mac(n) for n in range(self.nics)]
        if self.nics:
            values.append(("mgmt", self.mac()))
        if self.outside_fd is not None:
            values.append(("outside", self.outside_mac))
            reserved.append(self.outside_mac)
        if reserved:
            values.append(("reserved", ",".join(reserved)))
        if self.controller is not None and self.nics:
            where, port = self.controller
            values.append(("controller", f"{devices.GUEST_CONTROLLER}:{port}"))
            if isinstance(where, Path):
                values.append(("hello", "1"))
        if self.sockets:
            values.append(("net", ";".join(self.addresses())))
        if self.authorized_keys is not None:
            values.append(("authorized_keys", self.authorized_keys))
        return values
