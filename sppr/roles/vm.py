"""A VM as QEMU runs it: the parts it is made of, and the identity it gets from the host."""

from dataclasses import dataclass
from pathlib import Path

from sppr import units
from sppr.images.store import Kind
from sppr.qemu import parts
from sppr.run import which

#: Second byte of a kind's MACs.
_KINDS: dict[Kind, int] = {"ring": 0xB2, "vhost": 0xB3}
_VHOST_NIC = 0xB4


def hostname(kind: Kind, vm_id: int) -> str:
    """``vm-v11``."""
    return f"vm-{kind[0]}{vm_id}"


@dataclass(frozen=True)
class Machine:
    """``id`` 0 is the template itself. ``sockets``, ``regions``: of its ports, in order. ``memory`` in MiB.

    ``controller``: where its own SPP process finds the controller, as the guest sees it.
    """

    kind: Kind
    id: int
    disk: Path
    memory: int
    cores: int
    accel: parts.Accel
    qmp: Path
    console: Path
    ssh_port: int
    sockets: tuple[Path, ...] = ()
    regions: tuple[Path, ...] = ()
    controller: str = ""
    authorized_keys: Path | None = None
    extra: tuple[str, ...] = ()

    @property
    def hostname(self) -> str:
        return hostname(self.kind, self.id)

    def mac(self) -> str:
        """MAC of its management NIC."""
        return units.mac_of(_KINDS[self.kind], self.id, 0)

    def vhost_mac(self, index: int) -> str:
        return units.mac_of(_VHOST_NIC, self.id, index)

    def addresses(self) -> list[str]:
        """``MAC ADDRESS/PREFIX`` of each vhost NIC: 192.168.(100 + number of the NIC).ID."""
        return [f"{self.vhost_mac(n)} 192.168.{100 + n}.{self.id}/24" for n in range(len(self.sockets))]

    def argv(self) -> list[str]:
        made: list[parts.Part] = [
            parts.Machine(self.hostname, self.memory, self.cores, self.accel),
            parts.Disk(self.disk),
            parts.Console(self.console),
            parts.Monitor(self.qmp),
            parts.ManagementNic(self.mac(), self.ssh_port),
        ]
        made += [parts.VhostUserNic(n, s, self.vhost_mac(n), self.accel) for n, s in enumerate(self.sockets)]
        made += [parts.IvshmemPlain(n, path) for n, path in enumerate(self.regions)]
        made += [parts.FwCfg(name, value) for name, value in self.identity()]
        return parts.argv(which(parts.QEMU) or parts.QEMU, [*made, parts.Extra(self.extra)])

    def identity(self) -> list[tuple[str, str | Path]]:
        """What the guest reads at boot below opt/sppr/."""
        values: list[tuple[str, str | Path]] = [("hostname", self.hostname), ("id", str(self.id)), ("mgmt", self.mac())]
        if self.controller:
            values.append(("controller", self.controller))
        if self.sockets:
            values.append(("net", ";".join(self.addresses())))
        if self.authorized_keys is not None:
            values.append(("authorized_keys", self.authorized_keys))
        return values
