"""Which users and hosts may connect to the controller's TCP ports.

SPP's own processes and CLI know no password, so the kernel is asked who owns the other end of a connection. A
connection from this machine is served when its owner is root, the user who runs the controller, or a user in
``controller.allow_users``. A connection from another machine is served when its address is in ``controller.allow``.

The owner is looked up by NETLINK_SOCK_DIAG: 7 us, however many sockets there are. /proc/net/tcp takes 2 ms with a few
sockets and 4 ms with 4,000 (Linux 6.18, 2 cores); it is read only where the kernel has no tcp_diag.
"""

import contextlib
import ipaddress
import itertools
import os
import pwd
import re
import socket
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from sppr.errors import ConfigError

#: IPv4 address and port of one end of a connection.
End = tuple[str, int]
#: ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT: states in which the other end can still be open.
_OPEN_STATES = (1, 4, 5, 8)
_SOCK_DIAG_BY_FAMILY = 20
_NETLINK_SOCK_DIAG = 4
_NLMSG_ERROR = 2
_TABLES = ("net/tcp", "net/tcp6")
#: Seconds in which the same refusal is logged once: a refused process tries again every second.
QUIET = 30.0
#: Different refusals logged within QUIET seconds; a client that sends junk could fill the log otherwise.
MAX_LOGGED = 30


@dataclass(frozen=True)
class Access:
    """Users of this machine (``users``, uids) and networks of other machines that may connect."""

    users: frozenset[int]
    networks: tuple[IPv4Network, ...] = ()

    def refusal(self, own: End, peer: End | None) -> str:
        """Return why the connection from ``peer`` to ``own`` is refused; empty when it is allowed.

        ``peer`` is None where the kernel names none: the connection was reset before it was accepted.
        """
        if peer is None:
            return "it reset the connection before it was accepted"
        if not _is_local(own[0], peer[0]):
            if any(ipaddress.ip_address(peer[0]) in network for network in self.networks):
                return ""
            return f"{peer[0]} is in no network of controller.allow"
        uid = owner(peer, own)
        if uid is None:
            return "it closed the connection before its owner could be determined"
        if uid in self.users:
            return ""
        return f"uid {uid}{_name(uid)} is not allowed: only {self._allowed()} may connect (controller.allow_users)"

    def _allowed(self) -> str:
        return " and ".join(f"uid {uid}{_name(uid)}" for uid in sorted(self.users))


def of(names: Iterable[str] = (), networks: Iterable[str] = ()) -> Access:
    """Return the access rules of a lab. ConfigError for a user or a network that does not exist."""
    users = {0, os.getuid(), *map(uid_of, names)}
    try:
        return Access(frozenset(users), tuple(IPv4Network(network) for network in networks))
    except ValueError as error:
        raise ConfigError(f"controller.allow: {error}", hint="write networks such as 192.168.1.0/24") from None


def uid_of(name: str) -> int:
    """Return the uid of a user. ConfigError for one that does not exist."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        what = f"controller.allow_users: this machine has no user {name!r}"
        raise ConfigError(what, hint="correct the name, or remove it") from None


def owner(end: End, other: End) -> int | None:
    """Return the uid of the process that has the socket ``end``, connected to ``other``; None when it is closed.

    The kernel reports uid 0 for a socket that no process has open any more (a client that sent its request and closed).
    Such a socket has inode 0 and counts as closed, otherwise any user could pass for root.
    """
    with contextlib.suppress(OSError, struct.error):
        if (found := _owner_by_netlink(end, other)) is not None:
            return found
    return _owner_by_table(end, other)


def _owner_by_netlink(end: End, other: End) -> int | None:
    addresses = socket.inet_aton(end[0]), socket.inet_aton(other[0])
    ident = struct.pack("!HH16s16s", end[1], other[1], *addresses) + struct.pack("=IQ", 0, 2**64 - 1)
    body = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + ident
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(1.0)
        netlink.send(struct.pack("=IHHII", 16 + len(body), _SOCK_DIAG_BY_FAMILY, 1, 1, 0) + body)
        reply = netlink.recv(8192)
    if struct.unpack_from("=IH", reply)[1] == _NLMSG_ERROR:
        return None  # no such socket, or no tcp_diag in this kernel
    _, state = struct.unpack_from("=BB", reply, 16)
    ports = struct.unpack_from("!HH", reply, 20)
    uid, inode = struct.unpack_from("=II", reply, 80)
    # Without a connection the kernel returns a listening socket on the same port.
    return uid if ports == (end[1], other[1]) and state in _OPEN_STATES and inode else None


def _owner_by_table(end: End, other: End, proc: Path = Path("/proc/self")) -> int | None:
    wanted = [f"{_hex(address)}:{port:04X}" for address, port in (end, other)]
    for table in _TABLES:
        with contextlib.suppress(OSError):
            for line in (proc / table).read_text().splitlines()[1:]:
                words = line.split()
                found = [f"{a[-8:]}:{p}" for a, _, p in (word.partition(":") for word in words[1:3])]
                if found == wanted and int(words[3], 16) in _OPEN_STATES and words[9] != "0":
                    return int(words[7])
    return None


def _hex(address: str) -> str:
    return f"{struct.unpack('=I', socket.inet_aton(address))[0]:08X}"


def _is_local(own: str, peer: str) -> bool:
    """Whether a connection comes from this machine: from loopback, or from one of its own addresses."""
    if ipaddress.ip_address(peer).is_loopback or own == peer:
        return True
    import psutil  # here: it takes 30 ms, and a lab listens on loopback nearly always

    found = psutil.net_if_addrs().values()
    return any(address.address == peer for addresses in found for address in addresses)


def _name(uid: int) -> str:
    try:
        return f" ({pwd.getpwuid(uid).pw_name})"
    except KeyError:
        return ""


class RefusalLog:
    """A log of refused connections. The same reason is logged once in QUIET seconds, and MAX_LOGGED reasons at most."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._logged: dict[str, float] = {}

    def refused(self, who: str, reason: str) -> None:
        """Log that ``who`` was refused. ``who`` may differ each time: only ``reason`` counts as the same."""
        now = time.monotonic()
        if now - self._logged.get(reason, -QUIET) < QUIET:
            return
        self._logged = {r: t for r, t in self._logged.items() if now - t < QUIET}
        if len(self._logged) < MAX_LOGGED:
            self._log(f"refused {who}: {reason}")
        elif len(self._logged) == MAX_LOGGED:
            self._log("refused more connections than are logged")
        if len(self._logged) <= MAX_LOGGED:
            self._logged[reason] = now


#: What spp_vm sends when it has connected (dataplane/control/connection.c). No reply of an SPP process contains it.
HELLO = b"\0spp_vm hello 1\0\n"
#: Seconds in which the answer to a waiting question must follow a HELLO.
HELLO_TIMEOUT = 1.0
_NAME = re.compile(rb"guest=vm-[a-z](\d{1,3})(?:,|$)")


def vm_id(sock: socket.socket, uids: frozenset[int], proc: Path = Path("/proc")) -> int | str:
    """Return the id of the VM whose QEMU is connected to the unix socket ``sock``, or why the connection is refused."""
    pid, uid, _ = struct.unpack("=iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid not in uids:
        return f"uid {uid} may not connect to the socket of VMs"
    try:
        words = (proc / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return "its process has ended"
    for option, value in itertools.pairwise(words):
        if option == b"-name" and (found := _NAME.match(value)):
            return int(found[1])
    return f"pid {pid} is not the QEMU of a VM of this lab"
