"""``guest_filter.py QEMU_FD PASST_FD DNS``: forward frames between QEMU and passt, and drop every frame of the guest
that is not for another machine.

``DNS`` is the address at which passt answers for the host's name servers.

passt connects to any address that a frame of the guest names, 127.0.0.1 and the host's own addresses included, and the
service there sees a connection of a host user. This program prevents that. It is a process of its own, which drops to
nobody if root starts it, and it uses the standard library only.

Both sides are stream sockets. Each frame follows its length: four bytes, big-endian (QEMU's ``-netdev stream``).
"""

import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator

NOBODY = 65534
#: Seconds that the kernel's answer about a destination is cached.
CACHE_SECONDS = 2.0
#: Limit of a frame's length. QEMU and passt exchange smaller ones.
MAX_FRAME = 1 << 17
CHUNK = 1 << 18

_ETHERNET, _IPV4_HEADER = 14, 20
_IPV4, _ARP = b"\x08\x00", b"\x08\x06"
_TCP, _UDP, _DNS_PORT = 6, 17, 53
_LIMITED_BROADCAST = b"\xff\xff\xff\xff"  # for DHCP, which passt answers itself
_RTM_NEWROUTE, _RTM_GETROUTE, _NLM_F_REQUEST, _RTN_UNICAST = 24, 26, 1, 1
_RTA_DST = struct.Struct("=HH4s")
_NLMSG_AND_RTMSG = struct.Struct("=IHHII8BI")


class Filter:
    """The rules that decide which frames of the guest are forwarded.

    ``dns``: the address at which passt answers for the host's name servers.
    """

    def __init__(self, dns: bytes = b"") -> None:
        self._dns = dns
        self._cache: dict[bytes, tuple[bool, float]] = {}

    def passes(self, frame: memoryview) -> bool:
        """Return whether an Ethernet frame may leave: ARP, DHCP, DNS to passt, and IPv4 to other machines."""
        kind = frame[12:14]
        if kind == _ARP:
            return True  # passt itself answers, for any address
        if kind != _IPV4 or len(frame) < _ETHERNET + _IPV4_HEADER:
            return False
        destination = bytes(frame[30:34])
        if destination == self._dns and _port(frame) == _DNS_PORT:
            return True
        return destination == _LIMITED_BROADCAST or self._is_remote(destination)

    def _is_remote(self, address: bytes) -> bool:
        now = time.monotonic()
        allowed, until = self._cache.get(address, (False, 0.0))
        if now >= until:
            if len(self._cache) > 10_000:
                self._cache.clear()
            allowed = is_remote(address)
            self._cache[address] = (allowed, now + CACHE_SECONDS)
        return allowed


def _port(frame: memoryview) -> int:
    """Return the destination port of TCP or UDP. Return 0 for any other protocol, and for all fragments but the
    first."""
    start = _ETHERNET + (frame[_ETHERNET] & 15) * 4
    fragment = (frame[20] & 0x1F) << 8 | frame[21]
    if frame[23] not in (_TCP, _UDP) or fragment or len(frame) < start + 4:
        return 0
    return frame[start + 2] << 8 | frame[start + 3]


def is_remote(address: bytes) -> bool:
    """Return whether the kernel routes this IPv4 address to another machine.

    False for addresses of this machine, multicast, broadcast, and addresses without a route.
    """
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


def read_frames(source: socket.socket) -> Iterator[list[memoryview]]:
    """Yield the frames that have arrived, each with its length before it, until the other end closes or sends an
    invalid length."""
    rest = b""
    while data := source.recv(CHUNK):
        rest += data
        view, at, complete = memoryview(rest), 0, []
        while len(view) - at >= 4:
            size = int.from_bytes(view[at : at + 4])
            if size > MAX_FRAME:
                return
            if len(view) - at - 4 < size:
                break
            complete.append(view[at : at + 4 + size])
            at += 4 + size
        yield complete
        rest = rest[at:]


def forward_from_guest(guest: socket.socket, outside: socket.socket, rules: Filter) -> None:
    """Forward the frames of the guest that ``rules`` passes, until one end closes."""
    for received in read_frames(guest):
        if kept := b"".join(frame for frame in received if rules.passes(frame[4:])):
            outside.sendall(kept)


def forward_to_guest(outside: socket.socket, guest: socket.socket) -> None:
    """Forward all frames to the guest, until one end closes."""
    while data := outside.recv(CHUNK):
        guest.sendall(data)


def main() -> None:
    """Forward frames in both directions, and exit when one side closes."""
    guest, outside = (socket.socket(fileno=int(word)) for word in sys.argv[1:3])
    dns = socket.inet_aton(sys.argv[3])
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)

    def to_guest() -> None:
        try:
            forward_to_guest(outside, guest)
        finally:
            os._exit(0)

    threading.Thread(target=to_guest, daemon=True).start()
    try:
        forward_from_guest(guest, outside, Filter(dns))
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
