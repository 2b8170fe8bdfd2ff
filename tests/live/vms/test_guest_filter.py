"""Raw frames of a guest with a network to other machines: a hostile guest ignores its kernel and routes. With the
real passt, and a network namespace as the other machine."""

import contextlib
import os
import socket
import struct
import subprocess
from collections.abc import Iterator

import pytest

from sppr.qemu import passt
from tests.live.dataplane_lab import wait_for
from tests.live.vms.other_machine import HERE, THERE, other_machine
from tests.live.vms.test_guest_network import own_address

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes a network namespace, which needs root"),
]
GUEST = "10.0.3.15"


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def syn(to: str, port: int, source_port: int) -> bytes:
    """Return a frame with a TCP SYN, preceded by its length, as QEMU sends it."""
    source, target = socket.inet_aton(GUEST), socket.inet_aton(to)
    tcp = struct.pack("!HHIIBBHHH", source_port, port, 1, 0, 5 << 4, 2, 65535, 0, 0)
    pseudo = source + target + struct.pack("!BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, source, target)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    frame = b"\xff" * 6 + b"\x52\x54\x00\x5a\x00\x03" + b"\x08\x00" + ip + tcp
    return struct.pack("!I", len(frame)) + frame


@pytest.fixture
def guest() -> Iterator[socket.socket]:
    """QEMU's end of a network to other machines."""
    with passt.start() as sock:
        yield sock


@pytest.fixture
def another() -> Iterator[str]:
    with other_machine() as name:
        yield name


@contextlib.contextmanager
def listener(*namespace: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Start a program that listens on every address, and prints its port and the source of each connection."""
    code = (
        "import socket; s = socket.create_server(('0.0.0.0', 0)); print(s.getsockname()[1], flush=True)\n"
        "while True: print(s.accept()[1][0], flush=True)"
    )
    words = [*(["ip", "netns", "exec", *namespace] if namespace else []), "/usr/bin/python3", "-c", code]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield int(process.stdout.readline()), process
        finally:
            process.kill()


def answered(guest: socket.socket, source_port: int) -> bool:
    """Return whether a SYN and ACK for this port arrived."""
    guest.settimeout(1.0)
    expected = struct.pack("!H", source_port)
    with contextlib.suppress(TimeoutError):
        while data := guest.recv(1 << 16):
            at = 0
            while at < len(data):
                size = int.from_bytes(data[at : at + 4])
                frame, at = data[at + 4 : at + 4 + size], at + 4 + size
                if frame[23:24] == b"\x06" and frame[36:38] == expected and frame[47] & 0x12 == 0x12:
                    return True
    return False


def test_another_machine_is_reachable(guest: socket.socket, another: str) -> None:
    with listener(another) as (port, process):
        source_ports = iter(range(40000, 41000))  # the first may be lost while passt starts

        def tried() -> bool:
            number = next(source_ports)
            guest.sendall(syn(THERE, port, number))
            return answered(guest, number)

        wait_for("the answer", tried, 30)
        assert process.stdout and process.stdout.readline().strip() == HERE


@pytest.mark.parametrize("to", ["127.0.0.1", "127.9.9.9", "0.0.0.0", "its other address", HERE])  # noqa: S104
def test_addresses_of_this_machine_are_unreachable(guest: socket.socket, another: str, to: str) -> None:
    """A frame to the other machine passes afterwards, which shows that no frame was lost."""
    address = own_address() if to == "its other address" else to
    test_another_machine_is_reachable(guest, another)
    with listener() as (port, process):
        guest.sendall(syn(address, port, 50000))
        assert not answered(guest, 50000)
        guest.sendall(syn(address, port, 50001) + syn(THERE, 9, 50002))
        assert not answered(guest, 50001)
        process.kill()
        assert process.stdout and process.stdout.read() == ""


def test_network_programs_end_with_qemu(guest: socket.socket) -> None:
    def programs() -> list[str]:
        found = subprocess.run(["pgrep", "-P", str(os.getpid()), "-fl", "passt --foreground|qemu/guest_filter.py"],
                               capture_output=True, text=True, check=False)  # fmt: skip
        return [line for line in found.stdout.splitlines() if "defunct" not in line]

    assert len(wait_for("both programs", lambda: p if len(p := programs()) == 2 else None)) == 2
    guest.close()
    wait_for("their end", lambda: not programs())
