"""Count the frames to one MAC address that leave by a network interface, and enter network namespaces.

Linux keeps the namespace per thread, and a socket stays in the one where it was made. Both need root.
"""

import ctypes
import os
import socket
import struct
import threading
from collections.abc import Callable
from typing import TypeVar

from sppr.host import netns

T = TypeVar("T")

_SO_ATTACH_FILTER, _ETH_P_ALL, _CLONE_NEWNET = 26, 3, 0x40000000
_LOAD_WORD, _LOAD_HALF, _JUMP_EQUAL, _RETURN = 0x20, 0x28, 0x15, 0x06


def inside(name: str | None, act: Callable[[], T]) -> T:
    """Call ``act`` in a thread that has entered the network namespace of this name; None: in that of this process.
    Raises what ``act`` raises, and OSError where the namespace cannot be entered."""
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
    """Counts the frames to ``mac`` that an interface passes to the kernel: of a tap, those that a data plane sends."""

    def __init__(self, interface: str, mac: str, name: str | None = None) -> None:
        self._sock = inside(name, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
        words = [struct.pack("HBBI", *line) for line in _program(mac)]
        buffer = ctypes.create_string_buffer(b"".join(words))
        program = struct.pack("HL", len(words), ctypes.addressof(buffer))
        self._sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._sock.bind((interface, _ETH_P_ALL))
        self._sock.setblocking(False)

    def count(self) -> int:
        """Return how many such frames came since the last call."""
        found = 0
        while True:
            try:
                self._sock.recv(64)
            except BlockingIOError:
                return found
            found += 1

    def close(self) -> None:
        self._sock.close()


def _program(mac: str) -> list[tuple[int, int, int, int]]:
    """A filter of classic BPF that passes frames to ``mac``."""
    high, low = int(mac.replace(":", "")[:8], 16), int(mac.replace(":", "")[8:], 16)
    return [
        (_LOAD_WORD, 0, 0, 0),
        (_JUMP_EQUAL, 0, 3, high),
        (_LOAD_HALF, 0, 0, 4),
        (_JUMP_EQUAL, 0, 1, low),
        (_RETURN, 0, 0, 64),
        (_RETURN, 0, 0, 0),
    ]
