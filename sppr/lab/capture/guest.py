"""Bring the frames that guests capture to ``spp_capture``: as rings, like those of the processes of the host.

A guest shares no memory with the host. Its frames come by commands over the controller, and this process writes them
into a memfd in the form of sppr/dataplane/capture/ring.h, which it passes over a socket of its own.
"""

import base64
import contextlib
import fcntl
import logging
import mmap
import os
import re
import selectors
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import msgspec

from sppr.errors import ControlError
from sppr.lab.capture.sides import Side
from sppr.spp.control import Address, ControlClient

log = logging.getLogger(__name__)
#: The form of a ring, as in ring.h: magic, size of the header, and the places of its words in units of 8 bytes.
MAGIC, HEADER = 0x5350504341503031, 4096
_SNAPLEN_ENDED, _CLOCK_HOLD, _HEAD, _FRAMES, _DROPPED, _BUSY, _TAIL = 1, 2, 16, 17, 18, 19, 32
_RECORD = struct.Struct("=QII")
#: Milliseconds that the frames of a guest may be late: a round trip to a guest under emulation that is busy.
HOLD_MS = 500
#: Seconds between two reads of a guest without frames, and samples of its clock that are compared.
INTERVAL, SAMPLES = 0.02, 50
_REQUEST = re.compile(rb"capture (\S{1,20}) (rx|tx) ([0-9]{2,6}) ([0-9]{5,8})")
_SIZES = tuple(1 << n for n in range(16, 27))


class Ring:
    """A ring in a memfd, with this process as its producer. ``size``: bytes for records, a power of two."""

    def __init__(self, snaplen: int, size: int) -> None:
        self.fd = os.memfd_create("spp-capture", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.posix_fallocate(self.fd, 0, HEADER + size)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        self._map = mmap.mmap(self.fd, HEADER + size)
        # Each word is written by one store: struct would write its bytes one by one.
        self._words = memoryview(self._map)[:HEADER].cast("Q")
        self._size, self._snaplen, self._head, self._last_ns = size, snaplen, 0, 0
        self._words[0], self._words[_SNAPLEN_ENDED] = MAGIC, snaplen
        self._words[_CLOCK_HOLD] = 1 | HOLD_MS << 32
        self._words[_BUSY] = 1  # a record may always be on its way

    def append(self, ns: int, length: int, data: bytes) -> None:
        """Add a frame of ``length`` bytes, of which ``data`` was captured at ``ns`` of CLOCK_MONOTONIC. Times never go
        back. A frame that does not fit is counted as dropped.
        """
        data = data[: min(self._snaplen, length)]
        self._last_ns = ns = max(ns, self._last_ns)
        record = _RECORD.pack(ns, length, len(data)) + data
        record += bytes(-len(record) % 8)
        self._words[_FRAMES] += 1
        if len(record) > self._size - (self._head - self._words[_TAIL]):
            self.drop(1, new=False)
            return
        at = self._head % self._size
        first = min(len(record), self._size - at)
        self._map[HEADER + at : HEADER + at + first] = record[:first]
        self._map[HEADER : HEADER + len(record) - first] = record[first:]
        self._head += len(record)
        self._words[_HEAD] = self._head

    def drop(self, count: int, *, new: bool = True) -> None:
        """Count frames that were dropped. ``new``: they are not among the frames yet."""
        self._words[_FRAMES] += count if new else 0
        self._words[_DROPPED] += count

    def end(self) -> None:
        """Tell the reader that no frame will follow."""
        self._words[_SNAPLEN_ENDED] = self._snaplen | 1 << 32

    def close(self) -> None:
        """Release the memory."""
        self._words.release()
        self._map.close()
        os.close(self.fd)


class Clock:
    """The difference between the clock of a guest and CLOCK_MONOTONIC of the host.

    The guest reads its clock between the request and the reply. The shortest round trip of the last ones bounds the
    error: it is at most half of it.
    """

    def __init__(self) -> None:
        self._samples: list[tuple[int, int]] = []

    def add(self, before_ns: int, guest_ns: int, after_ns: int) -> None:
        """Add a reading."""
        self._samples.append((after_ns - before_ns, (before_ns + after_ns) // 2 - guest_ns))
        del self._samples[:-SAMPLES]

    def to_host(self, guest_ns: int) -> int:
        """Return the time of the host at this time of the guest."""
        return max(0, guest_ns + min(self._samples)[1])


class GuestCapture:
    """The captures of the ports of one guest. ``sides``: of its ports. As a context manager it serves ``socket``."""

    def __init__(self, api: Address, sides: Sequence[Side]) -> None:
        self._client, self._process = ControlClient(api), sides[0].process
        self._allowed = {(side.port, side.way) for side in sides}
        self._rings: dict[tuple[str, str], Ring] = {}
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._stack = contextlib.ExitStack()
        self.socket = Path()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sppr-capture-"))  # mode 0700
            self.socket = Path(folder) / "guest.sock"
            listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            listener.bind(str(self.socket))
            listener.listen(4)
            for target in (self._serve, self._read):
                thread = threading.Thread(target=target, args=(listener,) * (target == self._serve), daemon=True)
                thread.start()
                stack.callback(thread.join, 5.0)
            stack.callback(self._stop.set)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        with contextlib.suppress(ControlError):
            self._client.capture_guest(self._process, "stop")
        for ring in self._rings.values():
            ring.close()

    def _serve(self, listener: socket.socket) -> None:
        """Answer requests until the capture ends."""
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            while not self._stop.is_set():
                for key, _ in selector.select(0.1):
                    sock = key.fileobj
                    assert isinstance(sock, socket.socket)
                    if sock is listener:
                        selector.register(listener.accept()[0], selectors.EVENT_READ)
                    elif not self._answer(sock):
                        selector.unregister(sock)
                        sock.close()

    def _answer(self, sock: socket.socket) -> bool:
        """Answer one request. Return False if the connection is closed."""
        try:
            text = sock.recv(128)
            if not text:
                return False
            ring = self._start(text)
            socket.send_fds(sock, [b"ok"], [ring.fd])
        except (ValueError, ControlError) as error:
            with contextlib.suppress(OSError):
                sock.send(f"error: {error}".encode()[:200])
        except OSError:
            return False
        return True

    def _start(self, text: bytes) -> Ring:
        """Start the capture that a request names. Raise ValueError or ControlError if it cannot be started."""
        found = _REQUEST.fullmatch(text)
        if found is None or int(found[4]) not in _SIZES:
            raise ValueError("expected: capture PORT rx|tx SNAPLEN RINGBYTES")
        port, side, snaplen = found[1].decode("ascii", "replace"), found[2].decode(), int(found[3])
        if (port, side) not in self._allowed or (port, side) in self._rings:
            raise ValueError(f"{port} {side}: not offered here")
        self._client.capture_guest(self._process, "start", port=port, side=side, snaplen=snaplen)
        with self._lock:
            return self._rings.setdefault((port, side), Ring(snaplen, int(found[4])))

    def _read(self) -> None:
        """Read the guest until the capture ends, or the guest is gone."""
        clock = Clock()
        try:
            while not self._stop.is_set():
                if not self._rings:
                    self._stop.wait(INTERVAL)
                    continue
                before = time.monotonic_ns()
                reply = _Reply.of(self._client.capture_guest(self._process, "read"))
                clock.add(before, reply.clock_ns, time.monotonic_ns())
                if not self._take(reply, clock):
                    self._stop.wait(INTERVAL)
        except (ControlError, msgspec.ValidationError, ValueError) as error:
            log.debug("%s: the capture ends: %s", self._process, error)
        finally:
            with self._lock:
                for ring in self._rings.values():
                    ring.end()

    def _take(self, reply: "_Reply", clock: Clock) -> int:
        """Write the frames of a reply into the rings, and return their number. A side that the guest no longer captures
        ends. Raise ValueError if a frame is invalid.
        """
        with self._lock:
            offered = [self._rings.get((port, side)) for port, side, _ in reply.sides]
            for ring, (_, _, dropped) in zip(offered, reply.sides, strict=True):
                if ring is not None:
                    ring.drop(dropped)
            for number, ns, length, text in reply.frames:
                ring = offered[number] if number < len(offered) else None
                if ring is not None:
                    ring.append(clock.to_host(ns), length, base64.b64decode(text, validate=True))
            for ring in self._rings.values():
                if ring not in offered:
                    ring.end()
        return len(reply.frames)


#: Numbers of a guest, which may be hostile. Times are those of a machine that runs for less than 146 years.
_Word = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
_Time = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]


class _Reply(msgspec.Struct):
    """The reply of a guest to ``capture read``.

    ``sides``: port, side, drops since the last read; the port of a free entry is empty. ``frames``: index of the side,
    time, length, bytes in base64.
    """

    clock_ns: _Time
    sides: list[tuple[str, str, _Word]]
    frames: list[tuple[_Word, _Time, _Word, str]]

    @classmethod
    def of(cls, data: dict[str, Any]) -> "_Reply":
        """Check a reply. Raise msgspec.ValidationError if it is invalid."""
        return msgspec.convert(data, cls)
