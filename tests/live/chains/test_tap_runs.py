"""Frames from tap to tap by packet sockets. Faults of a data plane are counted."""

import fcntl
import os
import select
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sppr.lab.chains.proof.classes import Header
from sppr.lab.chains.proof.result import Run
from sppr.lab.chains.proof.tap_runs import Tap, TapError, TapRuns
from sppr.lab.chains.wiring import ChainWiring

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x2, 0x1000
NAMES = (f"tr{os.getpid()}a", f"tr{os.getpid()}b")
HEADERS: dict[str, Header] = {
    "forward": {"dst_mac": "02:00:00:00:00:01"},
    "reverse": {"dst_mac": "02:00:00:00:00:02", "src_mac": "02:00:00:00:00:03", "vlan": 100},
}
#: Maps the n-th frame to the frames sent to the other side, and the frames sent back.
Fault = Callable[[int, bytes], tuple[list[bytes], list[bytes]]]


@contextmanager
def tap(name: str) -> Iterator[int]:
    """A tap that is open as in a data plane. Yields its file descriptor."""
    with Path("/dev/net/tun").open("r+b", buffering=0) as f:
        fcntl.ioctl(f, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
        yield f.fileno()


def relay(source: int, sink: int, fault: Fault, end: threading.Event) -> None:
    """Pass on the frames of a proof."""
    number = 0
    while not end.is_set():
        if not select.select([source], [], [], 0.05)[0]:
            continue
        frame = os.read(source, 65536)
        if b"\x88\xb5" not in (frame[12:14], frame[16:18]):  # the second one has a VLAN tag
            continue
        onward, back = fault(number, frame)
        number += 1
        for one in onward:
            os.write(sink, one)
        for one in back:
            os.write(source, one)


def fine(_: int, frame: bytes) -> tuple[list[bytes], list[bytes]]:
    return [frame], []


def run(fault: Fault, count: int = 300, size: int = 64, reverse: Fault = fine) -> dict[str, Run]:
    """Return the results of a run in both directions over a data plane with this fault in the forward direction."""
    with ExitStack() as stack:
        near, far = (stack.enter_context(tap(name)) for name in NAMES)
        end = threading.Event()
        ways = ((near, far, fault, end), (far, near, reverse, end))
        relays = [threading.Thread(target=relay, args=way) for way in ways]
        chain = ChainWiring("web", ("tap:0", "tap:1"), (), ())
        taps = [Tap(f"tap:{n}", name) for n, name in enumerate(NAMES)]
        try:
            for one in relays:
                one.start()
            with TapRuns(chain, *taps, HEADERS) as runs:
                found = runs.frames(list(HEADERS), count, 2000, size=size, window=32)
        finally:
            end.set()
            for one in relays:
                one.join()
    return {result.direction: result for result in found}


@pytest.mark.parametrize("size", [64, 1518])
def test_all_frames_cross_between_taps(size: int) -> None:
    for one in run(fine, size=size).values():
        assert one.is_complete and one.received == 300 and 0 < one.latency_ns["p50"] <= one.latency_ns["max"]


def swapped() -> Fault:
    """Swap every tenth frame with the next one."""
    delayed: list[bytes] = []

    def fault(number: int, frame: bytes) -> tuple[list[bytes], list[bytes]]:
        if number % 10 == 5:
            delayed.append(frame)
            return [], []
        onward = [frame, *delayed]
        delayed.clear()
        return onward, []

    return fault


@pytest.mark.parametrize(
    ("fault", "counted"),
    [
        (lambda n, f: ([f] if n % 3 else [], []), {"lost": 100, "received": 200}),
        (lambda n, f: ([f, f] if n % 3 == 0 else [f], []), {"duplicate": 100, "received": 300}),
        (lambda n, f: ([f[:-1] + b"\xff"] if n % 3 == 0 else [f], []), {"corrupt": 100, "lost": 100}),
        (lambda n, f: ([f[:20] + b"\xff" + f[21:]] if n % 3 == 0 else [f], []), {"corrupt": 100, "lost": 100}),
        (lambda n, f: ([f], [f] if n % 3 == 0 else []), {"misdelivered": 100, "received": 300}),
        (swapped(), {"reordered": 30, "received": 300}),
        (lambda *_: ([], []), {"received": 0}),
    ],
    ids=["lost", "duplicate", "corrupt", "number", "reflected", "reordered", "nothing"],
)  # fmt: skip
def test_fault_is_counted(fault: Fault, counted: dict[str, int]) -> None:
    found = run(fault)
    assert not found["forward"].is_complete and found["reverse"].is_complete
    assert {name: getattr(found["forward"], name) for name in counted} == counted, found["forward"]


def test_data_plane_that_pauses_loses_nothing() -> None:
    """After a second, frames in flight no longer count, and the window opens again by one window."""

    def stall(number: int, frame: bytes) -> tuple[list[bytes], list[bytes]]:
        if number == 50:
            time.sleep(1.6)
        return [frame], []

    found = run(stall)["forward"]
    assert found.is_complete and found.latency_ns["max"] > 1.5e9, found


def test_error_names_a_missing_interface_or_one_with_a_small_mtu() -> None:
    with pytest.raises(TapError, match=rf"tap:0 \({NAMES[0]}\): Message too long \(the largest --size"):
        run(fine, size=9000)
    chain = ChainWiring("web", ("tap:0", "tap:1"), (), ())
    taps = [Tap("tap:0", "nosuchtap0"), Tap("tap:1", "nosuchtap1")]
    with pytest.raises(TapError, match="No such device"), TapRuns(chain, *taps, HEADERS):
        pass
