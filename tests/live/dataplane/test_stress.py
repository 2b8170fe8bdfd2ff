"""The data plane under load, with kills, changes and random input."""

import random
import shutil
import subprocess
import threading
import time

import pytest

from tests.live.dataplane_lab import (
    SOURCE,
    Connection,
    Lab,
    TapEnd,
    crosses,
    make,
    send_all,
    start_chain,
    wait_for,
)

pytestmark = pytest.mark.live

FUZZ_SECONDS = 6


def test_ten_thousand_packets_cross_in_order(lab: Lab) -> None:
    """At most 64 packets are in flight, so the path is not overloaded."""
    primary, *_ = start_chain(lab)
    source, sink = lab.tap_ends()
    crosses(source, sink)
    sink.drain()
    assert send_all(source, sink, 10_000, window=64) == list(range(10_000))
    assert primary.status()["ring_ports"][0]["tx_drop"] == 0


class Flow(threading.Thread):
    """Send some thousand numbered frames a second until ``end``, and collect the received numbers in order."""

    def __init__(self, source: TapEnd, sink: TapEnd) -> None:
        super().__init__(daemon=True)
        self.source, self.sink = source, sink
        self.ending = threading.Event()
        self.sent = 0
        self.got: list[int] = []

    def run(self) -> None:
        while not self.ending.is_set():
            for _ in range(4):
                self.source.send(self.sent)
                self.sent += 1
            while (number := self.sink.receive(0.001)) is not None:
                self.got.append(number)
        while (number := self.sink.receive(0.5)) is not None:
            self.got.append(number)

    def end(self) -> None:
        self.ending.set()
        self.join(30)
        assert not self.is_alive()


def test_traffic_resumes_after_a_kill(lab: Lab) -> None:
    """Five times: kill nfv 2 during traffic and restart it with its id. No frame is reordered or duplicated."""
    primary, _, two, victim = start_chain(lab)
    source, sink = lab.tap_ends()
    crosses(source, sink)
    sink.drain()
    flow = Flow(source, sink)
    flow.start()
    for turn in range(5):
        wait_for("traffic", lambda: flow.got and flow.sent > 200)
        time.sleep(random.uniform(0.0, 0.1))  # noqa: S311
        victim.kill()
        two.close()
        victim, two = lab.start_nfv(2)
        sent_at_restart = flow.sent
        two.ok("add ring:0", "patch ring:0 tap:1", "forward")
        wait_for(f"frames after kill {turn}", lambda at=sent_at_restart: flow.got[-1] >= at)  # type: ignore[misc]
    flow.end()
    assert flow.got == sorted(set(flow.got))
    # lost: frames that overflowed the unread ring, and the current burst
    counted = primary.status()["ring_ports"][0]
    assert flow.sent - len(flow.got) <= counted["tx_drop"] + 5 * (64 + 2 * 256) + 64, counted
    assert send_all(source, sink, 500) == list(range(500))


def test_lost_mbufs_are_reported_after_a_kill_only(lab: Lab) -> None:
    lab.start_primary()
    process, nfv = lab.start_nfv(1)
    for end in ("killed", "ended"):
        nfv.ok("add nullpmd:0", "patch nullpmd:0 nullpmd:0", "forward")
        time.sleep(0.1)
        if end == "killed":
            process.kill()
        else:
            assert process.terminate() == 0
        process.log.write_text("")
        process, nfv = lab.start_nfv(1)
        assert ("mbufs of its cache are lost" in process.text()) == (end == "killed"), end
    source, sink = lab.tap_ends()
    nfv.ok("patch tap:0 tap:1", "forward")
    crosses(source, sink)


def change(nfv: Connection, rng: random.Random) -> None:
    """Make one of every kind of change, on ports outside the path of the traffic."""
    n = rng.randrange(3)
    nfv.ok(f"add ring:{n + 1}", f"patch ring:{n + 1} ring:{n + 1}", f"add nullpmd:{n}")
    nfv.ok(f"patch nullpmd:{n} ring:{n + 1}" if rng.random() < 0.5 else f"patch ring:{n + 1} nullpmd:{n}")
    nfv.ok(f"del ring:{n + 1}", f"del nullpmd:{n}")


@pytest.mark.parametrize("workers", [1, 2])
def test_thousand_changes_do_not_disturb_traffic(lab: Lab, workers: int) -> None:
    _, primary = lab.start_primary()
    _, one = lab.start_nfv(1, workers=workers)
    _, two = lab.start_nfv(2)
    one.ok("add ring:0", "patch tap:0 ring:0", "forward")
    two.ok("add ring:0", "patch ring:0 tap:1", "forward")
    source, sink = lab.tap_ends()
    crosses(source, sink)
    sink.drain()
    got: list[list[int]] = []
    sender = threading.Thread(target=lambda: got.append(send_all(source, sink, 6000, window=8)))
    sender.start()
    rng = random.Random(7)  # noqa: S311
    for _ in range(1000 // 6 + 1):
        change(one if rng.random() < 0.5 else two, rng)
    sender.join(100)
    assert got == [list(range(6000))]
    assert one.status()["patches"] == [{"src": "tap:0", "dst": "ring:0"}]
    assert two.status()["patches"] == [{"src": "ring:0", "dst": "tap:1"}]
    assert primary.status()["ring_ports"][0]["tx_drop"] == 0


@pytest.mark.timeout(400)  # clang builds the fuzzers first
def test_parser_under_libfuzzer(programs: None) -> None:
    """A short run; `make -C sppr/dataplane fuzz` is the long one."""
    if shutil.which("clang") is None:
        pytest.skip("clang is not installed")
    done = subprocess.run(
        ["make", "-C", str(SOURCE), "fuzz", f"FUZZ_SECONDS={FUZZ_SECONDS}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Done " in done.stderr


def test_clang_builds_the_data_plane(programs: None) -> None:
    if shutil.which("clang") is None:
        pytest.skip("clang is not installed")
    subprocess.run([*make("-j2"), "CC=clang", "B=build/clang"], check=True)
