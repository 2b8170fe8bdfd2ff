"""``guest_filter.py QEMU_FD PASST_FD DNS``: pass frames between QEMU and passt, and drop each frame of the guest that
is not for another machine. ``DNS`` is the address at which passt answers for the host's name servers.

passt connects to any address that a frame of the guest names, also to 127.0.0.1 and to the host's own addresses, and
what listens there sees a connection of the host's own user. Standard library only: it runs as a program of its own, as
nobody where root starts it.

Both sides are stream sockets: each frame after its length, four bytes, big-endian (QEMU's ``-netdev stream``).
"""

import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator

NOBODY = 65534
#: Seconds that an answer of the kernel's about a destination holds.
FRESH = 2.0
#: The largest frame that QEMU and passt exchange, with room to spare.
MAX_FRAME = 1 << 17
CHUNK = 1 << 18

_ETHERNET, _IPV4_HEADER = 14, 20
_IPV4, _ARP = b"\x08\x00", b"\x08\x06"
_TCP, _UDP, _DNS_PORT = 6, 17, 53
_LIMITED_BROADCAST = b"\xff\xff\xff\xff"  # DHCP, which passt answers itself
_RTM_NEWROUTE, _RTM_GETROUTE, _NLM_F_REQUEST, _RTN_UNICAST = 24, 26, 1, 1
_RTA_DST = struct.Struct("=HH4s")
_NLMSG_AND_RTMSG = struct.Struct("=IHHII8BI")


class Filter:
    """Which frames of the guest may leave. ``dns``: the address that passt answers for the host's name servers."""

    def __init__(self, dns: bytes = b"") -> None:
        self._dns = dns
        self._known: dict[bytes, tuple[bool, float]] = {}

    def passes(self, frame: memoryview) -> bool:
        kind = frame[12:14]
        if kind == _ARP:
            return True  # passt answers it, for any address
        if kind != _IPV4 or len(frame) < _ETHERNET + _IPV4_HEADER:
            return False
        to = bytes(frame[30:34])
        if to == self._dns and _port(frame) == _DNS_PORT:
            return True
        return to == _LIMITED_BROADCAST or self._is_elsewhere(to)

    def _is_elsewhere(self, address: bytes) -> bool:
        now = time.monotonic()
        allowed, until = self._known.get(address, (False, 0.0))
        if now >= until:
            if len(self._known) > 10_000:
                self._known.clear()
            allowed = is_elsewhere(address)
            self._known[address] = (allowed, now + FRESH)
        return allowed


def _port(frame: memoryview) -> int:
    """The destination port of TCP or UDP; 0 of anything else, and of all fragments but the first."""
    start = _ETHERNET + (frame[_ETHERNET] & 15) * 4
    fragment = (frame[20] & 0x1F) << 8 | frame[21]
    if frame[23] not in (_TCP, _UDP) or fragment or len(frame) < start + 4:
        return 0
    return frame[start + 2] << 8 | frame[start + 3]


def is_elsewhere(address: bytes) -> bool:
    """Whether the kernel would send a packet for this IPv4 address to another machine: not to this one, not to many,
    and not nowhere."""
    if address[0] in (0, 127):
        return False
    request = _NLMSG_AND_RTMSG.pack(
        _NLMSG_AND_RTMSG.size + _RTA_DST.size, _RTM_GETROUTE, _NLM_F_REQUEST, 1, 0,
        socket.AF_INET, 32, 0, 0, 0, 0, 0, 0, 0,
    ) + _RTA_DST.pack(_RTA_DST.size, 1, address)  # fmt: skip
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
            netlink.settimeout(1.0)
            netlink.send(request)
            reply = netlink.recv(4096)
    except OSError:
        return False
    answer = _NLMSG_AND_RTMSG.unpack_from(reply) if len(reply) >= _NLMSG_AND_RTMSG.size else None
    return answer is not None and answer[1] == _RTM_NEWROUTE and answer[12] == _RTN_UNICAST


def frames(source: socket.socket) -> Iterator[list[memoryview]]:
    """The frames that have come, each with its length before it, until the other end closes, or breaks the form."""
    rest = b""
    while data := source.recv(CHUNK):
        rest += data
        view, at, found = memoryview(rest), 0, []
        while len(view) - at >= 4:
            size = int.from_bytes(view[at : at + 4])
            if size > MAX_FRAME:
                return
            if len(view) - at - 4 < size:
                break
            found.append(view[at : at + 4 + size])
            at += 4 + size
        yield found
        rest = rest[at:]


def pass_on(guest: socket.socket, outside: socket.socket, rules: Filter) -> None:
    """From the guest, until an end closes."""
    for found in frames(guest):
        if kept := b"".join(frame for frame in found if rules.passes(frame[4:])):
            outside.sendall(kept)


def pass_back(outside: socket.socket, guest: socket.socket) -> None:
    """To the guest: nothing that passt makes is refused."""
    while data := outside.recv(CHUNK):
        guest.sendall(data)


def main() -> None:
    guest, outside = (socket.socket(fileno=int(word)) for word in sys.argv[1:3])
    dns = socket.inet_aton(sys.argv[3])
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)

    def back() -> None:
        try:
            pass_back(outside, guest)
        finally:
            os._exit(0)

    threading.Thread(target=back, daemon=True).start()
    try:
        pass_on(guest, outside, Filter(dns))
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
