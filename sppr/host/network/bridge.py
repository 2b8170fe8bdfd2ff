"""Attach a VM to a Linux bridge of the user through a tap, and find the VM there. A bridge itself is never changed.

The process that becomes QEMU opens the tap and passes its file descriptor on. The tap is not persistent: the kernel
removes it when QEMU exits, also when QEMU is killed. ``-netdev bridge`` of QEMU would need an entry in
/etc/qemu/bridge.conf and a setuid helper.

The host reaches a VM at its IPv6 link-local address, which follows from its MAC address. This needs no DHCP server, no
address on the bridge and no search in the neighbour table, and every guest with IPv6 has the address. The guest may
have other addresses as well, by DHCP for example.
"""

import errno
import fcntl
import hashlib
import os
import socket
import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path

from sppr.deadline import Deadline
from sppr.errors import HostError

#: File descriptor of the tap in QEMU. It is fixed, so that QEMU's command line is always the same.
TAP_FD = 8
#: Seconds to wait until the kernel has removed the tap of the same VM's previous QEMU, and between two attempts.
_GONE_SECONDS, _INTERVAL = 5.0, 0.05
_TUNSETIFF, _SIOCBRADDIF = 0x400454CA, 0x89A2
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFHWADDR = 0x8913, 0x8914, 0x8924
#: IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, and IFF_TUN_EXCL, which refuses an interface that exists.
_TAP_FLAGS = 0x0002 | 0x1000 | 0x4000 | 0x8000
_IFF_UP, _ARPHRD_ETHER = 0x1, 1


@dataclass(frozen=True)
class Bridge:
    """A bridge of this machine. ``up``: whether it is up. ``ipv6``: whether IPv6 is enabled on it."""

    name: str
    up: bool = True
    ipv6: bool = True


@dataclass(frozen=True)
class Tap:
    """The tap of a VM on a bridge. ``mac``: the MAC address of the NIC in the guest."""

    bridge: str
    name: str
    mac: str

    @property
    def address(self) -> str:
        """Return the IPv6 link-local address of the guest, with the bridge: ``fe80::1%br0``."""
        return f"{link_local(self.mac)}%{self.bridge}"


def tap_of(bridge: str, machine_id: str, run: Path, vm: str) -> Tap:
    """Return the tap of a VM. ``run``: the run directory of its session. ``vm``: kind and id, such as ``v11``.

    The name of a tap has 15 characters at most. It differs between sessions, and so do MAC addresses, also between
    machines: the bridges of several machines may be one network.
    """
    return Tap(bridge, tap_name(run, vm), _mac(f"{machine_id}\0{run}\0{vm}"))


def tap_name(run: Path, vm: str) -> str:
    """Return the name of the tap of a VM: ``sppr-v11-1a2b3``."""
    return f"sppr-{vm}-{hashlib.sha256(os.fsencode(run)).hexdigest()[:5]}"


def _mac(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return ":".join(["02", *(f"{byte:02x}" for byte in digest[:5])])


def link_local(mac: str) -> str:
    """Return the IPv6 link-local address that an interface with this MAC address has (RFC 4291, modified EUI-64)."""
    first, *rest = bytes.fromhex(mac.replace(":", ""))
    interface = bytes([first ^ 2, *rest[:2], 0xFF, 0xFE, *rest[2:]])
    return str(IPv6Address(bytes([0xFE, 0x80, 0, 0, 0, 0, 0, 0]) + interface))


def bridges(root: Path = Path("/")) -> tuple[Bridge, ...]:
    """Return the bridges of this machine."""
    names = sorted(path.parent.name for path in (root / "sys/class/net").glob("*/bridge"))
    return tuple(Bridge(name, _is_up(root, name), _has_ipv6(root, name)) for name in names)


def _is_up(root: Path, name: str) -> bool:
    try:
        return bool(int((root / "sys/class/net" / name / "flags").read_text(), 16) & _IFF_UP)
    except (OSError, ValueError):
        return False


def _has_ipv6(root: Path, name: str) -> bool:
    try:
        return (root / "proc/sys/net/ipv6/conf" / name / "disable_ipv6").read_text().strip() == "0"
    except OSError:
        return False


def problem(name: str, known: Iterable[Bridge], interfaces: Collection[str], is_root: bool) -> tuple[str, str] | None:
    """Return why VMs cannot use the bridge ``name``, and the fix; None if they can.

    ``interfaces``: the names of all network interfaces.
    """
    found = next((bridge for bridge in known if bridge.name == name), None)
    if found is None and name in interfaces:
        return f"{name} is a network interface, but not a bridge", f"name a bridge, or make one: {creation('NAME')}"
    if found is None:
        return f"there is no bridge {name}", creation(name)
    if not found.up:
        return f"bridge {name} is down", f"ip link set {name} up"
    if not found.ipv6:
        what = f"IPv6 is off on bridge {name}, and the host reaches VMs there at their IPv6 link-local addresses"
        return what, f"sysctl net.ipv6.conf.{name.replace('.', '/')}.disable_ipv6=0"
    if not is_root:
        return f"only root can add VMs to bridge {name}", "run the lab as root, or leave vm.bridge out"
    return None


def creation(name: str) -> str:
    """Return the command line that makes a bridge. sppr never executes it."""
    return f"ip link add {name} type bridge; ip link set {name} up"


def require(name: str) -> None:
    """Raise HostError if VMs cannot use the bridge of this machine with this name."""
    interfaces = [interface for _, interface in socket.if_nameindex()]
    if wrong := problem(name, bridges(), interfaces, os.geteuid() == 0):
        raise HostError(f"vm.bridge: {wrong[0]}", hint=wrong[1])


def open_tap(tap: Tap) -> int:
    """Create the tap, add it to its bridge, and return its file descriptor. Raise HostError."""
    require(tap.bridge)
    try:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    except OSError as e:
        raise HostError(f"/dev/net/tun: {e.strerror}", hint="modprobe tun") from e
    try:
        _attach(fd, tap)
    except OSError as e:
        os.close(fd)
        if e.errno == errno.EBUSY:
            what = f"{tap.name}: this network interface exists already, and the VM needs the name"
            raise HostError(what, hint=f"stop the process that has it open, or: ip link delete {tap.name}") from e
        raise HostError(f"{tap.name} could not be added to bridge {tap.bridge}: {e.strerror}") from e
    return fd


def _attach(fd: int, tap: Tap) -> None:
    Deadline(_GONE_SECONDS).poll(lambda: not _exists(tap.name), _INTERVAL)
    fcntl.ioctl(fd, _TUNSETIFF, _request(tap.name, struct.pack("H", _TAP_FLAGS)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        # A bridge without an address of its own takes the lowest of its ports. fe is higher than that of any NIC.
        mac = bytes.fromhex(f"fe{tap.mac[2:]}".replace(":", ""))
        fcntl.ioctl(sock, _SIOCSIFHWADDR, _request(tap.name, struct.pack("H6s", _ARPHRD_ETHER, mac)))
        fcntl.ioctl(sock, _SIOCBRADDIF, _request(tap.bridge, struct.pack("i", socket.if_nametoindex(tap.name))))
        flags = struct.unpack_from("H", fcntl.ioctl(sock, _SIOCGIFFLAGS, _request(tap.name)), 16)[0]
        fcntl.ioctl(sock, _SIOCSIFFLAGS, _request(tap.name, struct.pack("H", flags | _IFF_UP)))


def _exists(name: str) -> bool:
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def _request(name: str, value: bytes = b"") -> bytes:
    """Return a struct ifreq. Its value is a union, of 24 bytes at most."""
    return struct.pack("16s24s", name.encode(), value)


def pass_to_qemu(fd: int) -> None:
    """Keep the tap open as TAP_FD across the exec of QEMU."""
    if fd != TAP_FD:
        os.dup2(fd, TAP_FD, inheritable=True)
        os.close(fd)
    else:
        os.set_inheritable(fd, True)


def bridge_of(tap: str) -> str:
    """Return the name of the bridge that a tap of this machine belongs to, or "" if there is no such tap."""
    try:
        return (Path("/sys/class/net") / tap / "master").readlink().name
    except OSError:
        return ""
