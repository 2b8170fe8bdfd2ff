"""Which frames of a guest may reach other machines, and reassembly of frames from partial reads."""

import socket
import struct

import pytest

from sppr.qemu import guest_filter
from sppr.qemu.guest_filter import Filter

ELSEWHERE, HERE, DNS = (socket.inet_aton(text) for text in ("192.0.2.1", "192.0.2.2", "10.0.3.3"))


@pytest.fixture(autouse=True)
def routes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The addresses that were looked up in the kernel's routes."""
    asked: list[bytes] = []
    monkeypatch.setattr(guest_filter, "is_remote", lambda to: (asked.append(to), to == ELSEWHERE)[1])
    return asked


def frame(
    to: bytes, kind: int = 0x0800, protocol: int = 17, port: int = 53, options: int = 0, fragment: int = 0
) -> bytes:
    header = struct.pack("!BBHHHBBH4s4s", 0x45 + options, 0, 0, 0, fragment, 64, protocol, 0, b"abcd", to)
    return b"m" * 12 + struct.pack("!H", kind) + header + b"o" * (4 * options) + struct.pack("!HHI", 1, port, 0)


@pytest.mark.parametrize(
    ("sent", "passes"),
    [
        (frame(ELSEWHERE), True),
        (frame(HERE), False),
        (frame(b"\xff" * 4, port=67), True),
        (frame(HERE, kind=0x0806), True),
        (frame(ELSEWHERE, kind=0x8100), False),
        (frame(ELSEWHERE, kind=0x86DD), False),
        (frame(ELSEWHERE)[:33], False),
        (frame(DNS), True),
        (frame(DNS, protocol=6, options=3), True),
        (frame(DNS, port=22), False),
        (frame(DNS, protocol=1), False),
        (frame(DNS, fragment=1), False),
        (frame(DNS, options=3)[:40], False),
        (b"", False),
    ],
)
def test_frame_passes_only_to_another_machine(sent: bytes, passes: bool) -> None:
    assert Filter(DNS).passes(memoryview(sent)) is passes


def test_route_is_looked_up_again_after_a_while(routes: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    rules, now = Filter(), [100.0]
    monkeypatch.setattr(guest_filter.time, "monotonic", lambda: now[0])
    for seconds in (100.0, 101.0, 102.5, 103.0):
        now[0] = seconds
        assert rules.passes(memoryview(frame(ELSEWHERE)))
    assert routes == [ELSEWHERE] * 2


@pytest.mark.parametrize("piece", [1, 3, 7, 1000])
def test_partial_reads_are_reassembled_and_dropped_frames_removed(piece: int) -> None:
    good, bad = frame(ELSEWHERE), frame(HERE)
    sent = b"".join(struct.pack("!I", len(one)) + one for one in (good, bad, b"", bad, good, good))
    (ours, guest), (outside, theirs) = socket.socketpair(), socket.socketpair()
    with ours, guest, outside, theirs:
        for at in range(0, len(sent), piece):
            ours.sendall(sent[at : at + piece])
        ours.shutdown(socket.SHUT_WR)
        guest_filter.forward_from_guest(guest, outside, Filter())
        outside.close()
        assert theirs.recv(1 << 16) == (struct.pack("!I", len(good)) + good) * 3


def test_impossible_length_closes_the_connection() -> None:
    ours, guest = socket.socketpair()
    with ours, guest:
        ours.sendall(b"\xff\xff\xff\xff" + b"x" * 100)
        assert list(guest_filter.read_frames(guest)) == []


@pytest.mark.parametrize("text", ["127.0.0.1", "127.1.2.3", "0.0.0.0", "0.1.2.3", "224.0.0.251"])  # noqa: S104
def test_address_of_this_machine_is_not_remote(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert guest_filter.is_remote(socket.inet_aton(text)) is False
