"""Frames of a guest in a ring for spp_capture, and the clock of a guest."""

import os
import struct

import pytest

from sppr.errors import ControlError
from sppr.lab.capture.guest import HEADER, Clock, GuestCapture, Ring, _Reply
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


GOOD = {"clock_ns": 5, "sides": [["phy:0", "rx", 2], ["", "rx", 0]], "frames": [[0, 1, 60, "YWJj"]]}


class Guest:
    """A client whose guest sends these replies, and then no more."""

    def __init__(self, *replies: object) -> None:
        self.replies = list(replies)

    def capture_guest(self, _process: str, action: str, **_: object) -> object:
        if action == "read" and not self.replies:
            raise ControlError("gone")
        return self.replies.pop(0) if action == "read" else {}


def rings(*replies: object) -> Ring:
    """Return the ring of a guest after these replies."""
    capture = GuestCapture("127.0.0.1:1", [Side("nfv:6", "phy:0", "rx", in_guest=True)])
    capture._rings[("phy:0", "rx")] = ring = Ring(64, 65536)
    capture._client = Guest(*replies)  # type: ignore[assignment]
    capture._read()
    return ring


def test_frames_and_drops_of_a_guest_reach_the_ring() -> None:
    ring = rings(GOOD, GOOD)
    assert words(ring, 16, 17, 18) == [2 * 24, 6, 4] and words(ring, 1) == [64 | 1 << 32], "the guest is gone: it ends"
    assert os.pread(ring.fd, 3, HEADER + 16) == b"abc"
    ring.close()


def test_side_that_the_guest_no_longer_captures_ends() -> None:
    """After its port was deleted, or after 5 s without a read."""
    ring = Ring(64, 65536)
    capture = GuestCapture("127.0.0.1:1", [Side("nfv:6", "phy:0", "rx", in_guest=True)])
    capture._rings[("phy:0", "rx")] = ring
    clock = Clock()
    clock.add(0, 0, 1)
    capture._take(_Reply.of({**GOOD, "sides": [["", "rx", 0]], "frames": []}), clock)
    assert words(ring, 1) == [64 | 1 << 32]
    ring.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"sides": 5}, {"sides": [["phy:0", "rx"]]}, {"sides": [["phy:0", "rx", "x"]]}, {"sides": [["phy:0", "rx", -1]]},
        {"sides": [["phy:0", "rx", 10**30]]}, {"frames": [[0, 1, 60, "%"]]}, {"frames": [[0, "1", 60, "YQ=="]]},
        {"frames": [[0, 1.5, 60, "YQ=="]]}, {"frames": [[0, 1, 1 << 32, "YQ=="]]}, {"frames": [[-1, 1, 60, "YQ=="]]},
        {"frames": [[0, 10**30, 60, "YQ=="]]}, {"clock_ns": 10**30}, {"clock_ns": float("inf")}, {"clock_ns": None},
    ],
)  # fmt: skip
def test_reply_of_a_hostile_guest_ends_its_own_capture(wrong: dict[str, object]) -> None:
    ring = rings(GOOD, {**GOOD, **wrong}, GOOD)
    assert words(ring, 1) == [64 | 1 << 32] and words(ring, 16)[0] == 24, "only the first reply counts"
    ring.close()


def test_frame_of_an_unknown_side_is_ignored() -> None:
    ring = rings({**GOOD, "frames": [[7, 1, 60, "YQ=="]]})
    assert words(ring, 16) == [0]
    ring.close()
