"""A VM: the parts it is made of, and the identity it gets from the host."""

from dataclasses import dataclass
from pathlib import Path

from sppr import units
from sppr.images.store import Kind
from sppr.qemu import parts
from sppr.run import which

#: Second byte of a kind's MACs.
_KINDS: dict[Kind, int] = {"ring": 0xB2, "vhost": 0xB3}
_VHOST_NIC = 0xB4


def controller_seen(host: str, port: int) -> str:
    """The controller's address as a guest sees it: the host's loopback is 10.0.2.2 on QEMU's user network."""
    return f"{'10.0.2.2' if host.startswith('127.') or host == '0.0.0.0' else host}:{port}"  # noqa: S104


@dataclass(frozen=True)
class Vm:
    """``id`` 0 is the template itself. ``sockets``: of its vhost ports, in order; ``rings``: the files of its ivshmem
    ports. ``controller``: where its spp_vm finds the controller, as the guest sees it. ``memory`` in MiB."""

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
    rings: tuple[Path, ...] = ()
    controller: str = ""
    authorized_keys: Path | None = None
    extra: tuple[str, ...] = ()

    @property
    def hostname(self) -> str:
        return f"vm-{self.kind[0]}{self.id}"

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
        made += [parts.IvshmemPlain(n, path) for n, path in enumerate(self.rings)]
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
