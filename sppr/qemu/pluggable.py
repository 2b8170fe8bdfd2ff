"""Devices that can be plugged into a guest: at its start, or when it has resumed from a saved state.

Files, character devices and memory are arguments of QEMU in both cases, because QEMU opens them before it drops to its
user. Network backends are plugged with their NIC: at its start, QEMU warns of one that no NIC uses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sppr.qemu.devices import Accel, opts

#: A QMP command and its arguments.
Command = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Netdev:
    """A network backend: an argument of QEMU, or the QMP command netdev_add.

    ``forwards``: ``hostfwd`` and ``guestfwd`` of a ``user`` network. In QMP they are lists of structs.
    ``fd``: file descriptor of the connected socket of a ``stream``, or of a ``tap``. QEMU has inherited it. One that is
        sent over QMP has a name, which a stream looks up in a thread where it is unknown (QEMU 7.2): no frame arrives.
    """

    type: str
    id: str
    values: Mapping[str, str | bool] = field(default_factory=dict)
    forwards: Mapping[str, str] = field(default_factory=dict)
    fd: int | None = None

    def argv(self) -> list[str]:
        """Return the QEMU arguments."""
        given: dict[str, str] = {}
        if self.fd is not None:
            given = {"fd": str(self.fd)} if self.type == "tap" else {"addr.type": "fd", "addr.str": str(self.fd)}
        return ["-netdev", opts(self.type, id=self.id, **self.values, **self.forwards, **given)]

    def command(self) -> Command:
        """Return the QMP command."""
        given: dict[str, Any] = {**self.values, **{key: [{"str": word}] for key, word in self.forwards.items()}}
        if self.fd is not None:
            given |= {"fd": str(self.fd)} if self.type == "tap" else {"addr": {"type": "fd", "str": str(self.fd)}}
        return "netdev_add", {"type": self.type, "id": self.id, **given}


@dataclass(frozen=True)
class Frontend:
    """What the guest sees of a device: a driver of QEMU with its properties. An argument of QEMU, or the QMP command
    device_add.
    """

    driver: str
    id: str
    properties: Mapping[str, str | int]

    def argv(self) -> list[str]:
        """Return the QEMU arguments."""
        return ["-device", opts(self.driver, id=self.id, **self.properties)]

    def command(self) -> Command:
        """Return the QMP command."""
        return "device_add", {"driver": self.driver, "id": self.id, **self.properties}


class Pluggable:
    """A device that can be added while the guest runs."""

    def host(self) -> list[str]:
        """Return the QEMU arguments for its files, character devices and memory."""
        raise NotImplementedError

    def plugs(self) -> Sequence[Netdev | Frontend]:
        """Return its network backend, if it has one, and the device in the guest."""
        raise NotImplementedError

    def argv(self) -> list[str]:
        """Return all its QEMU arguments."""
        return [*self.host(), *(word for plug in self.plugs() for word in plug.argv())]


def _nic(netdev: str, mac: str, vectors: int | None = 0) -> Frontend:
    given = {} if vectors is None else {"vectors": vectors}
    return Frontend("virtio-net-pci", f"nic-{netdev}", {"netdev": netdev, "mac": mac, "romfile": "", **given})


def _reconnect(qemu_9_2: bool) -> dict[str, int]:
    return {"reconnect_ms": 1000} if qemu_9_2 else {"reconnect": 1}


#: Address of the controller in the guest: QEMU's user network forwards it to ManagementNic.controller.
GUEST_CONTROLLER = "10.0.2.100"


def ssh_forward(port: int) -> str:
    """Return the ``hostfwd`` of a port of the host's loopback to the guest's ssh server."""
    return f"tcp:127.0.0.1:{port}-:22"


@dataclass(frozen=True)
class ManagementNic(Pluggable):
    """A NIC in QEMU's user network, which needs no root: 10.0.2.15 in the guest.

    ``ssh_port``: port on the host's loopback that QEMU forwards to the ssh server of the guest; 0 for none.
    ``controller``: the controller's unix socket for VMs (or the address of one of SPP's own controllers), and a port.
        QEMU forwards GUEST_CONTROLLER, at that port, to it.

    ``restrict=on`` keeps the guest from every other machine and from the host. Without it, QEMU's user network connects
    10.0.2.2 to every service on the host's loopback.
    """

    mac: str
    ssh_port: int
    index: int = 0
    controller: tuple[Path | str, int] | None = None
    qemu_9_2: bool = False

    @property
    def _netdev(self) -> str:
        return f"mgmt{self.index or ''}"

    def host(self) -> list[str]:
        """Return the QEMU arguments for the connection to the controller."""
        if self.controller is None:
            return []
        target, port = self.controller
        address = {"path": target} if isinstance(target, Path) else {"host": target, "port": port}
        return ["-chardev", opts("socket", id="control", **_reconnect(self.qemu_9_2), **address)]

    def plugs(self) -> Sequence[Netdev | Frontend]:
        """Return the user network and the device in the guest."""
        forwards = {"hostfwd": ssh_forward(self.ssh_port)} if self.ssh_port else {}
        if self.controller is not None:
            forwards["guestfwd"] = f"tcp:{GUEST_CONTROLLER}:{self.controller[1]}-chardev:control"
        user = Netdev("user", self._netdev, {"ipv6": False, "restrict": True}, forwards)
        return [user, _nic(self._netdev, self.mac)]


@dataclass(frozen=True)
class OutsideNic(Pluggable):
    """A NIC that reaches other machines through passt (``qemu/passt.py``).

    ``fd``: a socket that is connected to passt.

    The guest cannot reach the host's loopback. QEMU's own user network has no option for that.
    """

    mac: str
    fd: int

    def host(self) -> list[str]:
        """Return no QEMU arguments: the socket is the backend."""
        return []

    def plugs(self) -> Sequence[Netdev | Frontend]:
        """Return the socket and the device in the guest."""
        return [Netdev("stream", "outside", {"server": False}, fd=self.fd), _nic("outside", self.mac)]


@dataclass(frozen=True)
class BridgeNic(Pluggable):
    """A NIC on a bridge of the host (``host/network/bridge.py``).

    ``fd``: a tap that belongs to the bridge. It vanishes when QEMU exits.
    """

    mac: str
    fd: int

    def host(self) -> list[str]:
        """Return no QEMU arguments: the tap is the backend."""
        return []

    def plugs(self) -> Sequence[Netdev | Frontend]:
        """Return the tap and the device in the guest."""
        return [Netdev("tap", "bridge", fd=self.fd), _nic("bridge", self.mac)]


@dataclass(frozen=True)
class VhostUserNic(Pluggable):
    """A virtio NIC behind a vhost-user socket. The guest's memory must be shared.

    ``makes_socket``: QEMU creates the socket, and starts without waiting for the other side (SPP's ``--vhost-client``)
    to connect. Otherwise the other side must listen before QEMU starts.

    ``reconnect=1``: the guest's link is back 1-2 s after a restart of the process on the other side. ``vectors=0``
    under TCG: QEMU 7.2 with TCG, vhost-user and MSI-X dies of SIGSEGV as soon as the guest's driver starts the device.
    """

    index: int
    socket: Path
    mac: str
    accel: Accel
    makes_socket: bool = False
    qemu_9_2: bool = False

    def host(self) -> list[str]:
        """Return the QEMU arguments for the socket."""
        ends = {"server": True, "wait": False} if self.makes_socket else _reconnect(self.qemu_9_2)
        return ["-chardev", opts("socket", id=f"chr{self.index}", path=self.socket, **ends)]

    def plugs(self) -> Sequence[Netdev | Frontend]:
        """Return the vhost-user backend and the device in the guest."""
        netdev = f"net{self.index}"
        nic = _nic(netdev, self.mac, 0 if self.accel == "tcg" else None)
        return [Netdev("vhost-user", netdev, {"chardev": f"chr{self.index}"}), nic]


@dataclass(frozen=True)
class IvshmemPlain(Pluggable):
    """Memory that the guest shares with the host's data plane; it shares nothing else. spp_vm shows it as
    ``ring:<index>``.

    ``path``: the file behind the memory. It must exist in its full size: QEMU refuses a shorter file, and creates a
        missing one with a mode of its own.
    ``size``: in MiB. QEMU aborts unless it is a power of two.
    """

    index: int
    path: Path
    size: int = 4

    def host(self) -> list[str]:
        """Return the QEMU arguments for the memory."""
        memory = opts("memory-backend-file", id=f"iv{self.index}", size=f"{self.size}M", mem_path=self.path, share=True)
        return ["-object", memory]

    def plugs(self) -> Sequence[Netdev | Frontend]:
        """Return the device in the guest."""
        return [Frontend("ivshmem-plain", f"ivshmem{self.index}", {"memdev": f"iv{self.index}"})]
