"""Build the QEMU command line of a VM, and the identity that the guest reads at boot."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sppr import units
from sppr.images.store import Kind
from sppr.qemu import devices, pluggable
from sppr.qemu.warm import machine as warm
from sppr.qemu.warm.machine import Handover
from sppr.run import which

#: ``orig``: an image that is booted as it is, and belongs to no VM of the lab.
AnyKind = Kind | Literal["orig"]
#: Fourth byte of the MAC addresses of each kind.
_KINDS: dict[AnyKind, int] = {"orig": 0xB0, "normal": 0xB1, "ring": 0xB2, "vhost": 0xB3}
_VHOST_NIC = 0xB4
_OUTSIDE_NIC = 0xB5


def hostname(kind: AnyKind, vm_id: int) -> str:
    """Return the host name of a VM: ``vm-v11``."""
    return f"vm-{kind[0]}{vm_id}"


@dataclass(frozen=True)
class Machine:
    """The settings of a VM.

    ``kind``, ``id``: id 0 is the template itself.
    ``disk``, ``disk_format``: the disk image. ``memory``: MiB. ``cores``: number of virtual CPUs.
    ``accel``: ``kvm`` or ``tcg``.
    ``qmp``, ``console``: the QMP socket and the console log.
    ``ssh_port``: the TCP port of the host that is forwarded to the guest's ssh server.
    ``sockets``, ``regions``: the vhost-user sockets and the ivshmem files of its ports, in their order.
    ``controller``: how the guest's SPP process reaches the controller. First our controller's unix socket for guests,
    or the address of an upstream controller, to which QEMU connects; then the port that the guest connects to.
    ``outside_fd``: file descriptor of the socket to passt, through which the guest reaches other machines.
    ``bridge_fd``, ``bridge_mac``: file descriptor of the tap on a bridge of the host, and the MAC address of the NIC
    there. The first management NIC then has the connection to the controller only, and no ssh port.
    ``confinement``: the user and the sandbox of QEMU.
    ``authorized_keys``: the file with the ssh keys that the guest accepts.
    ``extra``: further QEMU options.
    ``nics``: number of management NICs. The first has ssh.
    ``graphic``: whether QEMU opens a window.
    ``makes_sockets``: whether QEMU creates the vhost-user sockets, and SPP connects to them (``--vhost-client``).
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
    bridge_fd: int | None = None
    bridge_mac: str = ""
    confinement: devices.Confinement = devices.UNCONFINED
    authorized_keys: Path | None = None
    extra: tuple[str, ...] = ()
    disk_format: str = "qcow2"
    nics: int = 1
    graphic: bool = False
    makes_sockets: bool = False

    @property
    def hostname(self) -> str:
        """Return the host name of the guest."""
        return hostname(self.kind, self.id)

    def mac(self, index: int = 0) -> str:
        """Return the MAC address of a management NIC."""
        return units.mac_of(_KINDS[self.kind], self.id, index)

    def vhost_mac(self, index: int) -> str:
        """Return the MAC address of a vhost NIC."""
        return units.mac_of(_VHOST_NIC, self.id, index)

    @property
    def outside_mac(self) -> str:
        """Return the MAC address of the NIC that reaches other machines."""
        return units.mac_of(_OUTSIDE_NIC, self.id, 0)

    def addresses(self) -> list[str]:
        """Return ``MAC ADDRESS/PREFIX`` of each vhost NIC. The address is 192.168.(100 + number of the NIC).ID."""
        return [f"{self.vhost_mac(n)} 192.168.{100 + n}.{self.id}/24" for n in range(len(self.sockets))]

    def argv(self) -> list[str]:
        """Return the QEMU command line of a VM that boots."""
        made: list[devices.Device] = [
            self._machine(),
            self._confinement(),
            devices.Disk(self.disk, self.disk_format),
            devices.Console(self.console),
            devices.Monitor(self.qmp),
            devices.RandomNumbers(),
            *self._pluggable(),
            *self._identity(),
            devices.Extra(self.extra),
        ]
        return devices.argv(self._program(), made)

    def obstacle(self) -> str:
        """Return why the VM cannot resume from a saved state; "" if it can."""
        if self.extra:
            return "vm.args is set"
        return "its screen is in a window" if self.graphic else ""

    def resume_argv(self, handover: Handover, backing: Path) -> list[str]:
        """Return the QEMU command line of a VM that resumes. Its ``plugs`` are added before it runs.

        ``backing``: the qcow2 image below its disk.
        """
        machine = replace(self._machine(), memory_file=handover.memory_file, shared=self.shares_memory)
        host = [word for device in self._pluggable() for word in device.host()]
        rest = devices.argv("", [self._confinement(), devices.Monitor(self.qmp), *self._identity()])[1:]
        drive = handover.drive(self.disk_format, backing, (str(self.disk), pluggable.ssh_forward(self.ssh_port)))
        words = warm.argv(machine, drive, devices.Console(self.console), handover.resume, handover.control)
        return [self._program(), *words, *rest, *host, "-incoming", "defer"]

    @property
    def shares_memory(self) -> bool:
        """Return whether other processes read and write the memory of the guest: those of its vhost-user ports."""
        return bool(self.sockets)

    def plugs(self) -> list[pluggable.Netdev | pluggable.Frontend]:
        """Return the devices that are plugged into a VM that resumes."""
        return [plug for device in self._pluggable() for plug in device.plugs()]

    def _program(self) -> str:
        return which(devices.QEMU) or devices.QEMU

    def _machine(self) -> devices.Machine:
        return devices.Machine(self.hostname, self.memory, self.cores, self.accel, self.graphic)

    def _confinement(self) -> devices.Confinement:
        return replace(self.confinement, spawn=devices.starts_programs(self.extra))

    def _identity(self) -> list[devices.FwCfg]:
        return [devices.FwCfg(name, value) for name, value in self.identity()]

    def _pluggable(self) -> list[pluggable.Pluggable]:
        newer = self.confinement.qemu_9_2
        made: list[pluggable.Pluggable] = [
            pluggable.ManagementNic(self.mac(n), 0 if n else self.ssh_port, n, None if n else self.controller, newer)
            for n in range(self.nics)
        ]
        if self.outside_fd is not None:
            made.append(pluggable.OutsideNic(self.outside_mac, self.outside_fd))
        if self.bridge_fd is not None:
            made.append(pluggable.BridgeNic(self.bridge_mac, self.bridge_fd))
        made += [
            pluggable.VhostUserNic(n, s, self.vhost_mac(n), self.accel, self.makes_sockets, newer)
            for n, s in enumerate(self.sockets)
        ]
        made += [pluggable.IvshmemPlain(n, path) for n, path in enumerate(self.regions)]
        return made

    def identity(self) -> list[tuple[str, str | Path]]:
        """Return the fw_cfg files below opt/sppr/, which the guest reads at boot: name and content, or path."""
        values: list[tuple[str, str | Path]] = [("hostname", self.hostname), ("id", str(self.id))]
        reserved = [self.mac(n) for n in range(self.nics)]
        if self.nics:
            values.append(("mgmt", self.mac()))
        if self.outside_fd is not None:
            values.append(("outside", self.outside_mac))
            reserved.append(self.outside_mac)
        if self.bridge_fd is not None:
            values.append(("bridge", self.bridge_mac))
            reserved.append(self.bridge_mac)
        if reserved:
            values.append(("reserved", ",".join(reserved)))
        if self.controller is not None and self.nics:
            address, port = self.controller
            values.append(("controller", f"{pluggable.GUEST_CONTROLLER}:{port}"))
            if isinstance(address, Path):
                values.append(("hello", "1"))
        if self.sockets:
            values.append(("net", ";".join(self.addresses())))
        if self.authorized_keys is not None:
            values.append(("authorized_keys", self.authorized_keys))
        return values
