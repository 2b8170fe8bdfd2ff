"""Decide which users and hosts may connect to the controller's sockets.

SPP processes and the SPP CLI have no password, so the controller asks the kernel which user owns the other end of a
connection. A connection from this machine is accepted if its owner is root, the user who runs the controller, or a user
in ``controller.allow_users``. A connection from another machine is accepted if its address is in ``controller.allow``.

The owner is looked up by NETLINK_SOCK_DIAG: 7 us, regardless of the number of sockets. Reading /proc/net/tcp takes 2 ms
with a few sockets and 4 ms with 4,000 (Linux 6.18, 2 cores), so it is used only on a kernel without tcp_diag.
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
Endpoint = tuple[str, int]
#: ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT: states in which the other end can still be open.
_OPEN_STATES = (1, 4, 5, 8)
_SOCK_DIAG_BY_FAMILY = 20
_NETLINK_SOCK_DIAG = 4
_NLMSG_ERROR = 2
_TABLES = ("net/tcp", "net/tcp6")
#: Seconds in which the same refusal is logged once. A refused process tries again every second.
REPEAT_INTERVAL = 30.0
#: Maximum number of different refusals logged within REPEAT_INTERVAL. A client that sends random data could otherwise
#: fill the log.
MAX_LOGGED = 30


@dataclass(frozen=True)
class AccessRules:
    """The rules for connections. ``users``: permitted users of this machine, as uids. ``networks``: permitted networks
    of other machines.
    """

    users: frozenset[int]
    networks: tuple[IPv4Network, ...] = ()

    def refusal(self, own: Endpoint, peer: Endpoint | None) -> str:
        """Return the reason to refuse the connection from ``peer`` to ``own``, or an empty text if it is permitted.

        ``peer`` is None if the kernel names no peer: the connection was reset before it was accepted.
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
        return f"uid {uid}{_user_name(uid)} is not allowed: only {self._allowed()} may connect (controller.allow_users)"

    def _allowed(self) -> str:
        return " and ".join(f"uid {uid}{_user_name(uid)}" for uid in sorted(self.users))


def make_rules(names: Iterable[str] = (), networks: Iterable[str] = ()) -> AccessRules:
    """Return the rules for root, this user, and the users and networks given by name.

    Raise ConfigError if a user does not exist or a network is not valid.
    """
    users = {0, os.getuid(), *map(uid_of, names)}
    try:
        return AccessRules(frozenset(users), tuple(IPv4Network(network) for network in networks))
    except ValueError as error:
        raise ConfigError(f"controller.allow: {error}", hint="write networks such as 192.168.1.0/24") from None


def uid_of(name: str) -> int:
    """Return the uid of the user ``name``. Raise ConfigError if there is no such user."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        what = f"controller.allow_users: this machine has no user {name!r}"
        raise ConfigError(what, hint="correct the name, or remove it") from None


def owner(end: Endpoint, other: Endpoint) -> int | None:
    """Return the uid of the process that owns the socket ``end``, connected to ``other``, or None if the socket is
    closed.

    The kernel reports uid 0 for a socket that no process has open any more, for example of a client that sent its
    request and closed. Such a socket has inode 0 and counts as closed; otherwise any user could pass for root.
    """
    with contextlib.suppress(OSError, struct.error):
        if (found := _owner_by_netlink(end, other)) is not None:
            return found
    return _owner_by_table(end, other)


def _owner_by_netlink(end: Endpoint, other: Endpoint) -> int | None:
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
    # If there is no such connection, the kernel returns a listening socket on the same port.
    return uid if ports == (end[1], other[1]) and state in _OPEN_STATES and inode else None


def _owner_by_table(end: Endpoint, other: Endpoint, proc: Path = Path("/proc/self")) -> int | None:
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
    """Return whether a connection comes from this machine: from loopback, or from an address of this machine."""
    if ipaddress.ip_address(peer).is_loopback or own == peer:
        return True
    import psutil  # not at the top: the import takes 30 ms, and a lab nearly always listens on loopback

    found = psutil.net_if_addrs().values()
    return any(address.address == peer for addresses in found for address in addresses)


def _user_name(uid: int) -> str:
    try:
        return f" ({pwd.getpwuid(uid).pw_name})"
    except KeyError:
        return ""


class RefusalLog:
    """A log of refused connections.

    The same reason is logged once in REPEAT_INTERVAL seconds, and at most MAX_LOGGED reasons in that time.
    """

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._logged: dict[str, float] = {}

    def refused(self, client: str, reason: str) -> None:
        """Log that ``client`` was refused, unless ``reason`` was logged recently. The name of the client is not
        compared.
        """
        now = time.monotonic()
        if now - self._logged.get(reason, -REPEAT_INTERVAL) < REPEAT_INTERVAL:
            return
        self._logged = {r: t for r, t in self._logged.items() if now - t < REPEAT_INTERVAL}
        if len(self._logged) < MAX_LOGGED:
            self._log(f"refused {client}: {reason}")
        elif len(self._logged) == MAX_LOGGED:
            self._log("refused more connections than are logged")
        if len(self._logged) <= MAX_LOGGED:
            self._logged[reason] = now


#: The bytes that spp_vm sends when it has connected (dataplane/control/connection.c). No reply of an SPP process
#: contains them.
HELLO = b"\0spp_vm hello 1\0\n"
#: Seconds in which the reply to a command that was sent before a HELLO must follow the HELLO.
HELLO_TIMEOUT = 1.0
_NAME = re.compile(rb"guest=vm-[a-z](\d{1,3})(?:,|$)")


def vm_id(sock: socket.socket, uids: frozenset[int], proc: Path = Path("/proc")) -> int | str:
    """Return the id of the VM whose QEMU is connected to the unix socket ``sock``, or the reason to refuse it as text.

    ``uids``: the users that QEMU may run as. The id is that of ``-name guest=vm-X<id>`` on the command line of the
    process.
    """
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
