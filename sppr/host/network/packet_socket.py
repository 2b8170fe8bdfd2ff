"""Send frames on a network interface, receive the frames for one MAC address, and run code in network namespaces.

On Linux, each thread has a namespace, and a socket stays in the one it was created in. Everything here needs root.
"""

import contextlib
import ctypes
import errno
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from sppr.host.network import netns

T = TypeVar("T")

_SO_ATTACH_FILTER, _ETH_P_ALL, _CLONE_NEWNET = 26, 3, 0x40000000
_SOL_PACKET, _PACKET_STATISTICS, _PACKET_AUXDATA, _PACKET_IGNORE_OUTGOING = 263, 6, 8, 23
#: struct tpacket_auxdata, and its flag for a frame whose VLAN tag the kernel has removed.
_AUXDATA, _VLAN_VALID = struct.Struct("IIIHHHH"), 0x10
_AUXDATA_SPACE = socket.CMSG_SPACE(_AUXDATA.size)
#: Length of the longest frame to receive.
_MAX_FRAME = 0xFFFF
_LOAD_WORD, _LOAD_HALF, _JUMP_EQUAL, _RETURN = 0x20, 0x28, 0x15, 0x06


def run_in_netns(name: str | None, act: Callable[[], T]) -> T:
    """Call ``act`` in a thread that has entered the network namespace ``name``, or directly if that is None.

    Raise what ``act`` raises, and OSError if the namespace cannot be entered.
    """
    if name is None:
        return act()
    found: list[T] = []
    failed: list[BaseException] = []

    def enter() -> None:
        try:
            fd = os.open(netns.FOLDER / name, os.O_RDONLY)
            try:
                _setns(fd)
            finally:
                os.close(fd)
            found.append(act())
        except BaseException as e:
            failed.append(e)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


def _setns(fd: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Sniffer:
    """A receiver of the frames for ``mac`` that an interface passes to the kernel. On a tap, these are frames from a
    data plane.

    Frames that this machine sends on the interface are not received.
    """

    def __init__(self, interface: str, mac: str, name: str | None = None) -> None:
        self._sock = _socket(name)
        words = [struct.pack("HBBI", *line) for line in _program(mac)]
        buffer = ctypes.create_string_buffer(b"".join(words))
        program = struct.pack("HL", len(words), ctypes.addressof(buffer))
        with _closed_on_error(self._sock):
            self._sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
            self._sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            self._sock.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            self._sock.bind((interface, _ETH_P_ALL))

    def read(self) -> list[bytes]:
        """Return the frames that arrived since the last call. None arrive while the interface is down."""
        found = []
        try:
            while True:
                frame, control, _, _ = self._sock.recvmsg(_MAX_FRAME, _AUXDATA_SPACE)
                found.append(_with_tag(frame, control))
        except OSError as e:
            if e.errno not in (errno.EAGAIN, errno.ENETDOWN):
                raise
        return found

    def count(self) -> int:
        """Return the number of frames that arrived since the last call."""
        return len(self.read())

    def missed(self) -> int:
        """Return the number of frames that the kernel dropped since the last call, because its buffer was full."""
        return int(struct.unpack("II", self._sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))[1])

    def fileno(self) -> int:
        """Return the file descriptor, for select."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


class Sender:
    """A sender of frames on an interface. On a tap, a data plane receives them.

    Raise OSError if the interface cannot be used.
    """

    def __init__(self, interface: str, name: str | None = None) -> None:
        self._sock = _socket(name)
        with _closed_on_error(self._sock):
            self._sock.bind((interface, 0))  # protocol 0: receive nothing

    def send(self, frame: bytes) -> bool:
        """Send a frame without FCS. Return False if the queue is full."""
        try:
            self._sock.send(frame)
        except OSError as e:
            if e.errno in (errno.EAGAIN, errno.ENOBUFS):
                return False
            raise
        return True

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


def _with_tag(frame: bytes, control: Sequence[tuple[int, int, bytes]]) -> bytes:
    """Return a frame with its VLAN tag, which the kernel passes beside it (packet(7), PACKET_AUXDATA)."""
    for level, kind, data in control:
        if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA) and len(data) >= _AUXDATA.size:
            status, _, _, _, _, tci, _ = _AUXDATA.unpack_from(data)
            if status & _VLAN_VALID:
                return frame[:12] + b"\x81\x00" + int(tci).to_bytes(2) + frame[12:]
    return frame


def _socket(name: str | None) -> socket.socket:
    """Return a packet socket in the network namespace of this name. It receives nothing until it is bound."""
    made = run_in_netns(name, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    made.setblocking(False)
    return made


@contextlib.contextmanager
def _closed_on_error(sock: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        sock.close()
        raise


def _program(mac: str) -> list[tuple[int, int, int, int]]:
    """Return a classic BPF filter that passes the frames to ``mac`` in full length."""
    high, low = int(mac.replace(":", "")[:8], 16), int(mac.replace(":", "")[8:], 16)
    return [
        (_LOAD_WORD, 0, 0, 0),
        (_JUMP_EQUAL, 0, 3, high),
        (_LOAD_HALF, 0, 0, 4),
        (_JUMP_EQUAL, 0, 1, low),
        (_RETURN, 0, 0, _MAX_FRAME),
        (_RETURN, 0, 0, 0),
    ]
