"""Clients of memif: DPDK's driver in testpmd, and a Python client that can violate the protocol."""

import fcntl
import mmap
import os
import socket
import struct
from pathlib import Path

from tests.live.dataplane_lab import Lab, Process, wait_for

COOKIE = 0x3E31F20
ACK, HELLO, INIT, ADD_REGION, ADD_RING, CONNECT, CONNECTED, DISCONNECT = range(1, 9)
MESSAGE = 128
LOG2 = 6
SLOTS = 1 << LOG2
BUFFER = 2048
RING = 128 + 16 * SLOTS
REGION = 2 * RING + 2 * SLOTS * BUFFER
TO_SERVER, TO_CLIENT = 0, RING  # offsets of the two rings


def testpmd(lab: Lab, path: Path, number: int = 0, *extra: str) -> Process:
    """A client of interface ``number`` that returns each frame."""
    name = f"testpmd{len(lab.processes)}"
    device = f"net_memif0,id={number},role=client,socket={path},socket-abstract=no"
    argv = ["dpdk-testpmd", "--lcores", "0@0,1@1", "-n", "1", "--no-pci", "--in-memory", "--single-file-segments"]
    argv += ["-m", "64", "--file-prefix", f"{lab.prefix}{name}", "--vdev", ",".join((device, *extra)), "--"]
    argv += ["--forward-mode=io", "--port-topology=loop", "--total-num-mbufs=4096", "--nb-cores=1", "--stats-period=1"]
    return lab.run(name, argv)


class Client:
    """One control channel. ``connect`` makes a correct connection; the single steps can be done wrongly."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(10)
        self.sock.connect(str(path))
        self.memory: mmap.mmap | None = None
        self.events = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
        assert self.answer()[0] == HELLO

    def answer(self) -> tuple[int, bytes]:
        """Return type and body of the next message; type 0 at the end."""
        data = self.sock.recv(MESSAGE)
        return (int.from_bytes(data[:2], "little"), data[2:]) if data else (0, b"")

    def send_message(self, kind: int, body: bytes = b"", *fds: int) -> tuple[int, str]:
        """Return the type of the reply, and the reason of a refusal."""
        socket.send_fds(self.sock, [struct.pack("<H", kind) + body.ljust(MESSAGE - 2, b"\0")], fds)
        got, rest = self.answer()
        return got, rest[4:].split(b"\0")[0].decode() if got == DISCONNECT else ""

    def init(self, number: int = 0, version: int = 0x200, mode: int = 0) -> tuple[int, str]:
        return self.send_message(INIT, struct.pack("<HIB24s32s", version, number, mode, b"", b"by hand"))

    def region(self, size: int = REGION, seal: bool = True, index: int = 0, real: int = REGION) -> tuple[int, str]:
        fd = os.memfd_create("memif", os.MFD_ALLOW_SEALING if seal else 0)
        os.ftruncate(fd, real)
        self.memory = mmap.mmap(fd, real)
        if seal:
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        try:
            return self.send_message(ADD_REGION, struct.pack("<HQ", index, size), fd)
        finally:
            os.close(fd)

    def make_rings(self) -> None:
        assert self.memory is not None
        for at, buffers in ((TO_SERVER, 2 * RING), (TO_CLIENT, 2 * RING + SLOTS * BUFFER)):
            struct.pack_into("<IHH", self.memory, at, COOKIE, 0, 0)
            for slot in range(SLOTS):
                struct.pack_into("<HHII", self.memory, at + 128 + 16 * slot, 0, 0, BUFFER, buffers + slot * BUFFER)

    def ring(
        self, at: int, log2: int = LOG2, index: int = 0, region: int = 0, fd: int | None = None
    ) -> tuple[int, str]:
        flags = 1 if at == TO_SERVER else 0
        event = self.events[flags] if fd is None else fd
        return self.send_message(ADD_RING, struct.pack("<HHHIBH", flags, index, region, at, log2, 0), event)

    def connect(self, number: int = 0) -> None:
        assert self.init(number)[0] == ACK
        assert self.region()[0] == ACK
        self.make_rings()
        assert self.ring(TO_SERVER)[0] == ACK
        assert self.ring(TO_CLIENT)[0] == ACK
        assert self.send_message(CONNECT, b"hand")[0] == CONNECTED

    def word(self, at: int, value: int | None = None) -> int:
        assert self.memory is not None
        if value is not None:
            struct.pack_into("<H", self.memory, at, value & 0xFFFF)
        return int(struct.unpack_from("<H", self.memory, at)[0])

    def describe(self, ring: int, slot: int, flags: int, region: int, length: int, offset: int) -> None:
        assert self.memory is not None
        struct.pack_into("<HHII", self.memory, ring + 128 + 16 * (slot % SLOTS), flags, region, length, offset)

    def send(self, *frame: bytes) -> None:
        """Send one frame, with one piece in each descriptor, and an event if the server requests one."""
        assert self.memory is not None
        head = self.word(TO_SERVER + 6)
        for i, piece in enumerate(frame):
            slot = (head + i) % SLOTS
            at = 2 * RING + slot * BUFFER
            self.memory[at : at + len(piece)] = piece
            self.describe(TO_SERVER, slot, int(i + 1 < len(frame)), 0, len(piece), at)
        self.word(TO_SERVER + 6, head + len(frame))
        if not self.word(TO_SERVER + 4) & 1:
            os.eventfd_write(self.events[1], 1)

    def offer(self) -> None:
        """Offer all buffers to the server."""
        self.word(TO_CLIENT + 6, self.word(TO_CLIENT + 64) + SLOTS)

    def receive(self) -> bytes:
        """Return the next frame, and offer its descriptors again."""
        assert self.memory is not None
        next_ = (self.word(TO_CLIENT + 6) - SLOTS) & 0xFFFF
        wait_for("a frame to the client", lambda: self.word(TO_CLIENT + 64) != next_)
        frame = b""
        while True:
            at = TO_CLIENT + 128 + 16 * (next_ % SLOTS)
            flags, _, length, offset = struct.unpack_from("<HHII", self.memory, at)
            frame += self.memory[offset : offset + length]
            struct.pack_into("<HHI", self.memory, at, 0, 0, BUFFER)
            next_ = (next_ + 1) & 0xFFFF
            if not flags & 1:
                break
        self.word(TO_CLIENT + 6, next_ + SLOTS)
        return frame

    def close(self) -> None:
        self.sock.close()
        while self.events:
            os.close(self.events.pop())
        if self.memory is not None:
            self.memory.close()
