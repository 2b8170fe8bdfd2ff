"""Frames of a guest in a ring for spp_capture, and the clock of a guest."""

import os
import struct

import pytest

from sppr.lab.capture.guest import HEADER, Clock, GuestCapture, Ring
from sppr.lab.capture.sides import Side


def words(ring: Ring, *places: int) -> list[int]:
    return [int.from_bytes(os.pread(ring.fd, 8, 8 * place), "little") for place in places]


def test_ring_has_the_form_of_ring_h() -> None:
    """Places and padding: sppr/dataplane/capture/ring.h. A live test has spp_capture read it."""
    ring = Ring(64, 65536)
    ring.append(1000, 100, b"a" * 70)
    ring.append(900, 61, b"b" * 61)
    assert os.pread(ring.fd, 8, 0) == b"10PACPPS" and words(ring, 1, 2) == [64, 1 | 500 << 32]
    assert words(ring, 16, 17, 18) == [80 + 80, 2, 0]
    assert os.pread(ring.fd, 16, HEADER) == struct.pack("=QII", 1000, 100, 64)
    assert os.pread(ring.fd, 16, HEADER + 80) == struct.pack("=QII", 1000, 61, 61), "times never go back"
    ring.end()
    assert words(ring, 1) == [64 | 1 << 32]
    ring.close()


def test_full_ring_drops_and_counts() -> None:
    ring = Ring(262144, 65536)
    for _ in range(40):
        ring.append(1, 2000, bytes(2000))
    assert words(ring, 16, 17, 18) == [32 * 2016, 40, 8]
    os.pwrite(ring.fd, words(ring, 16)[0].to_bytes(8, "little"), 8 * 32)  # the reader has read all
    ring.append(2, 2000, b"c" * 2000)
    assert words(ring, 16, 18) == [33 * 2016, 8]
    assert os.pread(ring.fd, 992, HEADER) == b"c" * 992, "the record goes on at the begin of the ring"
    ring.drop(5)
    assert words(ring, 17, 18) == [46, 13]
    ring.close()


def test_shortest_round_trip_decides_the_clock() -> None:
    clock = Clock()
    clock.add(1000, 50, 2000)  # offset 1450, at most 500 wrong
    clock.add(3000, 1600, 3100)  # offset 1450
    clock.add(5000, 9000, 9000)
    assert clock.to_host(2000) == 3450
    for number in range(60):
        clock.add(number, 0, number + 200)
    assert clock.to_host(0) == 110, "old samples do not count"


@pytest.mark.parametrize(
    "reply",
    [
        {}, {"sides": [["phy:0", "rx", 0]], "frames": [[5, 1, 60, "YQ=="]]},
        {"sides": [["phy:0", "rx", 0]], "frames": [[0, 1, 60, "%"]]},
        {"sides": [["phy:0", "rx", "x"]], "frames": []}, {"sides": [["phy:0"]], "frames": []},
        {"sides": [["phy:0", "rx", 0]], "frames": [[0, "1", 60, "YQ=="]]}, {"sides": 5, "frames": []},
    ],
)  # fmt: skip
def test_reply_of_a_hostile_guest_ends_the_capture(reply: dict[str, object]) -> None:
    """Whatever a guest sends, only its own capture ends."""
    capture = GuestCapture("127.0.0.1:1", [Side("nfv:6", "phy:0", "rx", in_guest=True)])
    capture._rings[("phy:0", "rx")] = ring = Ring(64, 65536)
    clock = Clock()
    clock.add(0, 0, 1)
    with pytest.raises((LookupError, TypeError, ValueError, AttributeError)):
        capture._take(reply, clock)
    ring.close()
