"""Ports ``probe:N``: frames made, sent through real processes, and checked."""

import contextlib
import json
import os
import re
import signal
import socket
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from tests.live.dataplane_lab import SANITIZE, Connection, Lab, Process, attempts, idle_percent, wait_for

pytestmark = pytest.mark.live

NULLS = ("net_null0", "net_null1")
FLOW_AND_KEY = "flow=7 key=1234"
BAD = ("corrupt", "foreign", "misdelivered", "reordered", "late", "duplicate")


def start_nfv(lab: Lab) -> tuple[Connection, Process, Connection]:
    """Start a primary and nfv 1."""
    _, primary = lab.start_primary(vdevs=NULLS, lcores="0@0")
    process, nfv = lab.start_nfv(1)
    return primary, process, nfv


def start_loop(lab: Lab) -> Connection:
    """Start an nfv with probe:0 patched to itself."""
    *_, nfv = start_nfv(lab)
    nfv.ok("add probe:0", "patch probe:0 probe:0", "forward")
    return nfv


def probe(nfv: Connection, number: int = 0) -> dict[str, Any]:
    reply = nfv.ask(f"probe result probe:{number}")
    assert reply["results"] == [{"result": "success"}], reply
    assert reply["probe"]["port"] == f"probe:{number}"
    return dict(reply["probe"])


def run(nfv: Connection, words: str, number: int = 0) -> dict[str, Any]:
    """Run probe:N to its end and return its counters."""
    nfv.ok(f"probe start probe:{number} {words}")
    wait_for("the end of the run", lambda: not probe(nfv, number)["source"]["running"])
    time.sleep(0.05)  # frames in flight
    return probe(nfv, number)


def assert_all_received(source: dict[str, Any], sink: dict[str, Any]) -> None:
    assert sink["received"] == source["sent"]
    assert [sink[name] for name in BAD] == [0] * len(BAD)
    assert sink["highest"] == source["sent"] - 1
    latency = sink["latency_ns"]
    assert latency["samples"] == source["sent"]
    in_order = [latency[name] for name in ("min", "p50", "p90", "p99", "p99.9", "max")]
    assert in_order == sorted(in_order)
    assert latency["min"] <= latency["mean"] <= latency["max"]


def test_probe_patched_to_itself_receives_every_frame(lab: Lab) -> None:
    nfv = start_loop(lab)
    assert nfv.status()["ports"][-1] == "probe:0"
    assert {"src": "probe:0", "dst": "probe:0"} in nfv.status()["patches"]
    nfv.ok(f"probe expect probe:0 {FLOW_AND_KEY}")
    result = run(nfv, f"{FLOW_AND_KEY} count=1000000")
    assert result["source"]["sent"] == 1_000_000
    assert result["source"]["last_ns"] > result["source"]["first_ns"]
    assert_all_received(result["source"], result["sink"])
    histogram = nfv.ask("probe histogram probe:0")["probe"]["histogram"]
    assert sum(count for _, count in histogram) == 1_000_000
    assert [lowest for lowest, _ in histogram] == sorted({lowest for lowest, _ in histogram})
    # a new run resets the counters of the source, not those of the sink
    result = run(nfv, f"{FLOW_AND_KEY} count=10")
    assert (result["source"]["sent"], result["sink"]["duplicate"] + result["sink"]["late"]) == (10, 10)


@pytest.mark.parametrize(
    "words",
    [
        *("size=64", "size=64 vlan=100", "size=1518", "size=9000", "size=9000 vlan=4094 proto=tcp", "proto=tcp"),
        "size=imix",
        "size=2053 proto=tcp src_mac=02:00:00:00:00:09 dst_ip=10.0.0.1 src_port=1",
    ],
)
def test_frames_of_every_size_tag_and_protocol(lab: Lab, words: str) -> None:
    nfv = start_loop(lab)
    nfv.ok(f"probe expect probe:0 {FLOW_AND_KEY}")
    result = run(nfv, f"{FLOW_AND_KEY} count=20000 {words}")
    assert result["source"]["sent"] == 20000
    assert_all_received(result["source"], result["sink"])


def test_frames_cross_two_processes_in_both_directions(lab: Lab) -> None:
    _, _, one = start_nfv(lab)
    _, two = lab.start_nfv(2)
    one.ok("add probe:0", "add ring:0", "add ring:1", "patch probe:0 ring:0", "patch ring:1 probe:0", "forward")
    two.ok("add probe:1", "add ring:0", "add ring:1", "patch probe:1 ring:1", "patch ring:0 probe:1", "forward")
    one.ok("probe expect probe:0 flow=2 key=22")
    two.ok("probe expect probe:1 flow=1 key=11")
    two.ok("probe start probe:1 flow=2 key=22 rate=20000 count=5000")
    run(one, "flow=1 key=11 rate=20000 count=5000")
    wait_for("the end of the other run", lambda: not probe(two, 1)["source"]["running"])
    wait_for("all frames", lambda: probe(one)["sink"]["received"] == probe(two, 1)["sink"]["received"] == 5000)
    assert_all_received(probe(one)["source"], probe(two, 1)["sink"])
    assert_all_received(probe(two, 1)["source"], probe(one)["sink"])


def test_window_limits_frames_in_flight(lab: Lab) -> None:
    """A ring of 1024 that is not read for a moment overflows at full speed, but not with a window."""
    _, _, one = start_nfv(lab)
    _, two = lab.start_nfv(2)
    one.ok("add probe:0", "add ring:0", "patch probe:0 ring:0", "forward")
    two.ok("add probe:1", "add ring:0", "patch ring:0 probe:1", "probe expect probe:1 flow=1 key=11")
    one.ok("probe start probe:0 flow=1 key=11 count=100000 window=100 peer=1")
    time.sleep(0.2)
    assert probe(one)["source"]["sent"] == 100, "the window is full, and nothing has arrived"
    two.ok("forward")
    wait_for("all frames", lambda: probe(two, 1)["sink"]["received"] == 100_000)
    assert_all_received(probe(one)["source"], probe(two, 1)["sink"])
    two.ok("stop", "probe expect probe:1 flow=1 key=12")
    one.ok("probe start probe:0 flow=1 key=12 count=350 window=100 peer=1")
    wait_for("the end", lambda: not probe(one)["source"]["running"])
    took = probe(one)["source"]
    assert took["last_ns"] - took["first_ns"] >= 3 * 0.9e9, "each window counts as lost after a second without progress"


def test_rate_is_kept(lab: Lab) -> None:
    nfv = start_loop(lab)

    def check() -> None:
        nfv.ok(f"probe expect probe:0 {FLOW_AND_KEY}")
        result = run(nfv, f"{FLOW_AND_KEY} rate=10000 time=500")
        assert result["sink"]["received"] == result["source"]["sent"]
        took = result["source"]["last_ns"] - result["source"]["first_ns"]
        assert took == pytest.approx(500e6, rel=0.02)
        assert (result["source"]["sent"] - 1) / (took / 1e9) == pytest.approx(10000, rel=0.01)

    attempts(check)


def test_run_ends_by_time_count_or_stop(lab: Lab) -> None:
    nfv = start_loop(lab)
    assert run(nfv, f"{FLOW_AND_KEY} rate=1000 count=20")["source"]["sent"] == 20
    assert run(nfv, f"{FLOW_AND_KEY} time=50")["source"]["sent"] > 0
    assert run(nfv, f"{FLOW_AND_KEY} time=60000 count=5")["source"]["sent"] == 5
    nfv.ok(f"probe start probe:0 {FLOW_AND_KEY}")
    wait_for("frames", lambda: probe(nfv)["source"]["sent"] > 1000)
    assert probe(nfv)["source"]["running"]
    nfv.ok("probe stop probe:0")
    stopped = probe(nfv)["source"]
    assert not stopped["running"]
    time.sleep(0.05)
    assert probe(nfv)["source"] == stopped


def test_unexpected_frames_are_counted(lab: Lab) -> None:
    nfv = start_loop(lab)
    words = f"{FLOW_AND_KEY} count=1000"
    run(nfv, words)
    assert probe(nfv)["sink"]["foreign"] == 1000  # nothing was expected
    for expected, counter in (("flow=7 key=1235", "foreign"), ("flow=8 key=1234", "misdelivered")):
        nfv.ok(f"probe expect probe:0 {expected}")
        sink = run(nfv, words)["sink"]
        assert {name for name in ("received", *BAD) if sink[name]} == {counter}
        assert (sink[counter], sink["highest"], sink["latency_ns"]["samples"]) == (1000, -1, 0)
    nfv.ok("patch reset", f"probe expect probe:0 {FLOW_AND_KEY}", "patch nullpmd:0 probe:0")
    wait_for("frames of nullpmd", lambda: probe(nfv)["sink"]["foreign"] > 1000)
    nfv.ok("patch reset")
    sink = probe(nfv)["sink"]
    # mbufs of the pool may still hold frames of an earlier run, and these are copies of proven ones
    assert sink["corrupt"] == sink["misdelivered"] == 0


def test_two_probes_run_at_once(lab: Lab) -> None:
    *_, nfv = start_nfv(lab)
    nfv.ok("add probe:0", "add probe:1", "patch probe:0 probe:1", "patch probe:1 probe:0", "forward")
    nfv.ok("probe expect probe:0 flow=1 key=1", "probe expect probe:1 flow=0 key=0")
    nfv.ok("probe start probe:1 flow=1 key=1 count=30000")
    run(nfv, "flow=0 key=0 count=40000")
    wait_for("the other run", lambda: not probe(nfv, 1)["source"]["running"])
    time.sleep(0.05)
    assert_all_received(probe(nfv, 0)["source"], probe(nfv, 1)["sink"])
    assert_all_received(probe(nfv, 1)["source"], probe(nfv, 0)["sink"])


def telemetry(lab: Lab, command: str) -> dict[str, Any]:
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)) as sock:
        sock.connect(str(Path("/var/run/dpdk") / lab.prefix / "dpdk_telemetry.v2"))
        sock.recv(1024)
        sock.send(command.encode())
        return dict(json.loads(sock.recv(1 << 16))[command])


def test_telemetry_of_the_primary_lists_probes(lab: Lab) -> None:
    _, process, nfv = start_nfv(lab)
    nfv.ok(*(f"add probe:{i}" for i in range(32)), "patch probe:0 probe:0", "forward")
    nfv.ok(f"probe expect probe:0 {FLOW_AND_KEY}")
    sink = run(nfv, f"{FLOW_AND_KEY} count=1000")["sink"]
    probes = telemetry(lab, "/spp/probes")
    assert set(probes) == {f"probe_{i}" for i in range(32)}
    first = probes["probe_0"]
    assert (first["pid"], first["running"], first["sent"], first["received"]) == (process.pid, 0, 1000, 1000)
    assert [first[name] for name in BAD] == [0] * len(BAD)
    assert (first["p50_ns"], first["max_ns"]) == (sink["latency_ns"]["p50"], sink["latency_ns"]["max"])
    nfv.ok("del probe:31")
    assert "probe_31" not in telemetry(lab, "/spp/probes")


def test_probe_of_a_killed_process_can_be_reused(lab: Lab) -> None:
    _, process, one = start_nfv(lab)
    _, two = lab.start_nfv(2)
    one.ok("add probe:0", "patch probe:0 probe:0", "forward", f"probe expect probe:0 {FLOW_AND_KEY}")
    run(one, f"{FLOW_AND_KEY} count=10")
    one.ok(f"probe start probe:0 {FLOW_AND_KEY}")
    assert f"process {process.pid} has it" in two.ask("add probe:0")["message"]
    os.kill(process.pid, signal.SIGKILL)
    process.wait_end()
    two.ok("add probe:0", "patch probe:0 probe:0", "forward")
    clean = probe(two)
    assert (clean["source"]["sent"], clean["source"]["running"], clean["sink"]["received"]) == (0, False, 0)
    two.ok(f"probe expect probe:0 {FLOW_AND_KEY}")
    assert_all_received((done := run(two, f"{FLOW_AND_KEY} count=1000"))["source"], done["sink"])


def test_probe_can_be_changed_and_deleted_during_a_run(lab: Lab) -> None:
    nfv = start_loop(lab)
    for _ in range(5):
        nfv.ok(f"probe start probe:0 {FLOW_AND_KEY} size=9000", f"probe expect probe:0 {FLOW_AND_KEY}")
        nfv.ok(f"probe start probe:0 {FLOW_AND_KEY}", f"probe expect probe:0 {FLOW_AND_KEY}")
        sink = probe(nfv)["sink"]
        assert [sink[name] for name in ("corrupt", "foreign", "misdelivered", "reordered")] == [0, 0, 0, 0]
        nfv.ok("del probe:0")
        nfv.failed("probe result probe:0")
        nfv.ok("add probe:0", "patch probe:0 probe:0")


def switches(process: Process) -> int:
    """Return the number of voluntary context switches of all threads of a process."""
    texts = [path.read_text() for path in Path(f"/proc/{process.pid}/task").glob("*/status")]
    return sum(int(re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.MULTILINE)[0]) for text in texts)


def test_worker_of_an_idle_probe_sleeps(lab: Lab) -> None:
    _, process, nfv = start_nfv(lab)
    nfv.ok("add probe:0", "patch probe:0 probe:0", "forward", f"probe expect probe:0 {FLOW_AND_KEY}")
    time.sleep(0.1)
    before = switches(process)
    assert idle_percent([process], 0.5)[0] <= 4
    assert switches(process) - before < 100  # sleeps without events would be 1000 and more

    def check() -> None:
        took = []
        for _ in range(5):
            nfv.ok(f"probe expect probe:0 {FLOW_AND_KEY}")
            start = time.monotonic()
            nfv.ok(f"probe start probe:0 {FLOW_AND_KEY} count=1")
            wait_for("the frame", lambda: probe(nfv)["sink"]["received"] == 1)
            took.append(time.monotonic() - start)
        assert statistics.median(took) < 0.08  # a sleeping worker that is not woken polls every 100 ms

    attempts(check)


def test_malformed_commands_fail_with_a_message(lab: Lab) -> None:
    primary, _, nfv = start_nfv(lab)
    nfv.ok("add probe:0")
    commands = {
        "probe": "start, expect, stop, result or histogram",
        "probe x": "start, expect, stop, result or histogram",
        "probe result": "not a port",
        "probe result probe:1": "no such probe",
        "probe stop nullpmd:0": "no such probe",
        "probe result probe:0 x": "wrong number of words",
        "probe start probe:0 flow=1": "key=NUMBER is missing",
        "probe start probe:0 flow=1 key=2 size=71 proto=tcp": "needs 72 bytes",
        "probe start probe:0 flow=1 key=2 size=63": "from 64 to 9000",
        "probe expect probe:0 flow=1 key=2 rate=5": "unknown",
        "add probe:32": "probe:0 to probe:31",
        "add probe:0": "already exists",
    }
    for command, message in commands.items():
        reply = nfv.ask(command)
        assert reply["result"] == "failed", command
        assert message in reply["message"], command
    primary.failed("probe result probe:0")


@pytest.mark.skipif(SANITIZE, reason="a rate that the sanitizers do not reach")
def test_primary_can_have_probes(lab: Lab) -> None:
    _, primary = lab.start_primary(vdevs=NULLS)
    primary.ok("add probe:5", "patch probe:5 probe:5", "forward", f"probe expect probe:5 {FLOW_AND_KEY}")
    result = run(primary, f"{FLOW_AND_KEY} rate=1000000 time=100", number=5)
    assert 10_000 < result["source"]["sent"] < 105_000  # fewer than 100,000 if its core has other work, too
    assert_all_received(result["source"], result["sink"])
