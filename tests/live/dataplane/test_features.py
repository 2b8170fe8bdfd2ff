"""Several queues, launch, pipes, telemetry, and the messages of failed commands."""

import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.live.dataplane_lab import (
    HUGE,
    SANITIZE,
    Lab,
    crosses,
    has_ended,
    marks,
    passes,
    send_all,
    start_chain,
    wait_for,
)

pytestmark = pytest.mark.live


def test_failed_command_has_a_reason(lab: Lab) -> None:
    _, primary = lab.start_primary(lcores="0@0")
    _, nfv = lab.start_nfv(1)
    reply = nfv.ask("add ring:44")
    assert reply == {
        "result": "failed",
        "command": "add",
        "port": "ring:44",
        "message": "ring:44: the primary has 10 rings",
    }
    assert nfv.ask("patch ring:7 tap:0")["message"] == "ring:7: no such port in this process"
    assert "not a port" in nfv.ask("add x")["message"]
    assert "two lcores" in primary.ask("forward")["message"]
    assert "message" not in nfv.ask("add ring:4")


def test_patches_with_a_match_divide_the_frames_of_a_source(lab: Lab) -> None:
    lab.start_primary()
    _, nfv = lab.start_nfv(1)
    nfv.ok("add probe:0", *(f"add nullpmd:{n}" for n in range(4)), "patch probe:0 nullpmd:0 vlan=100", "forward")
    nfv.ok("patch probe:0 nullpmd:1 dst_mac=02:00:00:00:00:21", "patch probe:0 nullpmd:2 src_mac=02:00:00:00:00:21")

    def send(count: int, *words: str) -> None:
        nfv.ok(f"probe start probe:0 flow=1 key=7 count={count} {' '.join(words)}")
        wait_for("all frames", lambda: not nfv.ask("probe result probe:0")["probe"]["source"]["running"])

    def counted() -> list[int]:
        rows = {row["port"]: row for row in nfv.status()["counters"]}
        return [*(rows[f"nullpmd:{n}"]["tx"] for n in range(4)), rows["probe:0"]["rx_drop"]]

    send(100, "vlan=100")
    send(200, "dst_mac=02:00:00:00:00:21")
    send(300, "src_mac=02:00:00:00:00:21")
    send(400, "vlan=100", "dst_mac=02:00:00:00:00:21")  # a MAC address is more specific than a VLAN
    send(500, "vlan=101")
    assert wait_for("the frames of no match", lambda: counted()[4] == 500 and counted()) == [100, 600, 300, 0, 500]
    nfv.ok("patch probe:0 nullpmd:3")
    send(600, "vlan=101")
    wait_for("the rest", lambda: counted() == [100, 600, 300, 600, 500])
    nfv.ok("patch reset probe:0 vlan=100")
    send(100, "vlan=100")
    wait_for("the rest", lambda: counted() == [100, 600, 300, 700, 500])


def test_two_processes_share_a_port_of_two_queues(lab: Lab) -> None:
    """Two processes use two queues of one port. Each queue has one reader and one writer."""
    _, primary = lab.start_primary("--port-num", "0", "rxq", "2", "txq", "2")
    _, one = lab.start_nfv(1)
    _, two = lab.start_nfv(2)
    names = ["tap:0 nq 0", "tap:0 nq 1", "tap:1"]
    status = primary.status()
    assert status["forwarder"]["ports"] == names
    assert [port["nof_queues"] for port in status["phy_ports"]] == [{"rx": 2, "tx": 2}, {"rx": 1, "tx": 1}]
    assert one.status()["ports"] == names
    one.failed("patch tap:0 tap:1")  # which queue?
    one.failed("patch tap:0nq2 tap:1")
    one.ok("patch tap:0nq0 tap:1", "patch tap:1 tap:0nq1", "add ring:0", "forward")
    assert one.status()["patches"] == [
        {"src": "tap:0 nq 0", "dst": "tap:1"},
        {"src": "tap:1", "dst": "tap:0 nq 1"},
    ]
    two.ok("add ring:0")
    assert two.ask("patch tap:0nq0 ring:0")["message"].endswith("already has a patch from it; only one is allowed")
    two.ok("patch tap:0nq1 ring:0", "forward")
    source, sink = lab.tap_ends()
    crosses(sink, source)  # tx by queue 1
    sink.drain()
    source.drain()
    before = primary.status()
    assert before["phy_ports"][0]["tx"]

    def both_queues_counted() -> bool:
        """The kernel selects a queue by flow, so either may count."""
        for number in range(32):
            source.send(number)
        now = primary.status()
        return bool(now["phy_ports"][0]["rx"] >= before["phy_ports"][0]["rx"] + 32)

    wait_for("frames of both queues", both_queues_counted)
    # frames of one flow come by one queue: that one only
    two.ok("patch reset")
    by_queue = []
    for queue in ("tap:0nq0", "tap:0nq1"):
        one.ok("patch reset", f"patch {queue} tap:1")
        by_queue.append(any(passes(source, sink, next(marks)) for _ in range(10)))
    assert sorted(by_queue) == [False, True]


@pytest.mark.parametrize(("options", "size"), [("", 64), (",size=128", 128)])
def test_nullpmd_makes_frames_of_its_size(lab: Lab, options: str, size: int) -> None:
    """Without options the data plane makes the frames itself; with options the driver does."""
    tap = lab.taps[0]
    _, primary = lab.start_primary(vdevs=(f"net_tap0,iface={tap}", f"net_null0{options}"))
    _, nfv = lab.start_nfv(1)
    nfv.ok("patch nullpmd:0 tap:0", "forward")
    counters = Path(f"/sys/class/net/{tap}/statistics")

    def received(what: str) -> int:
        return int((counters / f"rx_{what}").read_text())

    wait_for("frames on the tap", lambda: received("packets") >= 1000)
    nfv.ok("stop")
    assert received("bytes") == size * received("packets")
    nfv.ok("patch reset", "patch tap:0 nullpmd:0", "forward")
    source, _ = lab.tap_ends(tap, tap)
    before = primary.status()["phy_ports"][1]["tx"]

    def counted() -> bool:
        source.send(next(marks))
        return bool(primary.status()["phy_ports"][1]["tx"] > before)

    wait_for("a frame taken by nullpmd", counted)


def test_device_can_have_more_rx_than_tx_queues(lab: Lab) -> None:
    lab.start_primary("--port-num", "0", "rxq", "3", "txq", "1", vdevs=("net_null0", "net_null1"))
    _, nfv = lab.start_nfv(1)
    assert nfv.status()["ports"] == ["nullpmd:0 nq 0", "nullpmd:0 nq 1", "nullpmd:0 nq 2", "nullpmd:1"]
    assert nfv.ask("patch nullpmd:1 nullpmd:0nq1")["message"] == "nullpmd:0nq1 has no tx queue"
    nfv.ok("patch nullpmd:0nq2 nullpmd:1", "patch nullpmd:1 nullpmd:0nq0", "forward")


# --- telemetry ---


class Telemetry:
    """A client of DPDK's telemetry socket, like dpdk-telemetry.py."""

    def __init__(self, lab: Lab) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        lab.stack.callback(self.sock.close)
        self.sock.settimeout(10)
        self.sock.connect(f"/var/run/dpdk/{lab.prefix}/dpdk_telemetry.v2")
        self.limit = int(json.loads(self.sock.recv(1024))["max_output_len"])

    def ask(self, command: str) -> Any:
        self.sock.send(command.encode())
        return json.loads(self.sock.recv(self.limit))[command]


def test_telemetry_has_rings_ports_and_patches_of_all_processes(lab: Lab) -> None:
    primary, one, *_ = start_chain(lab)
    source, sink = lab.tap_ends()
    assert send_all(source, sink, 200) == list(range(200))
    telemetry = Telemetry(lab)
    assert {"/spp/rings", "/spp/ports", "/spp/patches", "/spp/processes"} <= set(telemetry.ask("/"))
    assert telemetry.ask("/spp/patches") == {"0": [], "1": ["tap:0 ring:0"], "2": ["ring:0 tap:1"]}
    processes = telemetry.ask("/spp/processes")
    assert {i: p["pid"] for i, p in processes.items()} == {str(i): p.pid for i, p in enumerate(lab.processes)}
    assert [processes[i]["status"] for i in "012"] == ["idling", "running", "running"]
    rings = telemetry.ask("/spp/rings")
    assert len(rings) == 10
    assert rings["ring_0"]["rx"] >= 200
    assert rings["ring_0"]["used"] == 0
    status = primary.status()
    ports = telemetry.ask("/spp/ports")
    assert ports["tap_1"]["tx"] >= 200
    assert ports["tap_0"]["rx"] <= status["phy_ports"][0]["rx"] + 10
    # packets stay in order and none is lost during repeated requests
    got: list[list[int]] = []
    for _ in range(10):
        got.append(send_all(source, sink, 100, window=8))
        for command in ("/spp/rings", "/spp/patches", "/spp/ports"):
            telemetry.ask(command)
    assert got == [list(range(100))] * 10
    lab.processes[2].kill()
    one.ok("patch reset", "add nullpmd:1", "patch tap:1 nullpmd:1")
    assert telemetry.ask("/spp/patches") == {"0": [], "1": ["tap:1 nullpmd:1"]}


# --- launch ---


def launch_words(lab: Lab, number: int) -> list[str]:
    """Return the command line of a secondary, without ``--sock-dir``, which the primary adds."""
    words = lab.nfv_argv(number)[1:]
    at = words.index("--sock-dir")
    return words[:at] + words[at + 2 :]


def test_launch_starts_a_secondary_with_its_log(lab: Lab) -> None:
    process, primary = lab.start_primary("--log-dir", str(lab.tmp))
    words = [word for word in launch_words(lab, 3) if word not in ("--proc-type", "secondary")]
    primary.ok("launch 3 spp_nfv " + " ".join(words))
    nfv = lab.secondary_port.accept()
    assert nfv.ask("_get_client_id")["client_id"] == 3
    log = lab.tmp / "spp_nfv-3.log"
    wait_for("its log", lambda: f"connected to {lab.secondary_port.address} as id 3" in log.read_text())
    assert log.stat().st_mode & 0o777 == 0o640
    pid = next(int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and is_child(p, process.pid))
    theirs = open_files(pid)
    assert not {name for name in open_files(process.pid) if "socket:" in name} & theirs
    nfv.ok("patch tap:0 tap:1", "forward")
    crosses(*lab.tap_ends())
    os.kill(pid, signal.SIGTERM)
    wait_for("the child to be reaped", lambda: not Path(f"/proc/{pid}").exists())
    for bad in (
        "launch",
        "launch 3",
        "launch x spp_nfv",
        "launch 3 spp_vf -l 0",
        "launch 3 ../spp_nfv",
        "launch 3 sh -c",
    ):
        primary.failed(bad)
    assert "-- is missing" in primary.ask("launch 3 spp_vf -l 0")["message"]


def test_launched_secondary_ends_with_its_primary(lab: Lab) -> None:
    process, primary = lab.start_primary()
    primary.ok("launch 4 spp_nfv " + " ".join(launch_words(lab, 4)))
    nfv = lab.secondary_port.accept()
    assert nfv.ask("_get_client_id")["client_id"] == 4
    log = Path(f"/var/run/dpdk/{lab.prefix}/spp_nfv-4.log")
    wait_for("its log", lambda: "connected to" in log.read_text())
    pid = next(int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and is_child(p, process.pid))
    assert process.terminate() == 0
    wait_for("the secondary to end", lambda: has_ended(pid))


def open_files(pid: int) -> set[str]:
    return {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}


def is_child(folder: Path, parent: int) -> bool:
    try:
        fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return int(fields[1]) == parent and fields[0] != "Z"


# --- pipes ---


def test_other_dpdk_secondary_finds_a_pipe_as_ethdev(lab: Lab) -> None:
    assert shutil.which("dpdk-proc-info"), "apt-get install dpdk-dev"
    _, primary = lab.start_primary()
    _, nfv = lab.start_nfv(1)
    primary.ok("add pipe:0 ring:0 ring:1")
    assert primary.status()["pipes"] == [{"id": 0, "rx": 0, "tx": 1}]
    for bad in (
        "add pipe:0 ring:2 ring:3",
        "add pipe:1 ring:0 ring:2",
        "add pipe:1 ring:2 ring:99",
        "add pipe:1 ring:2",
    ):
        primary.failed(bad)
    for bad in ("add pipe:x ring:2 ring:3", "add pipe:1 tap:0 ring:3", "del pipe:7"):
        primary.failed(bad)
    # the far end uses one side of each ring
    for connection in (primary, nfv):
        connection.ok("add ring:0", "add ring:1")
        connection.failed("patch ring:0 tap:1")
        connection.failed("patch tap:1 ring:1")
    nfv.ok("patch tap:0 ring:0", "patch ring:1 tap:1", "forward")
    primary.ok("del ring:0", "del ring:1")
    nfv.failed("patch ring:0 tap:1")  # still the far end's
    if not SANITIZE:  # another address for its memory
        argv = ["dpdk-proc-info", "--file-prefix", lab.prefix]
        argv += ["--no-pci", "--huge-dir", str(HUGE), "--", "--show-port", "-p", "4"]
        shown = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        assert "net_ring_spp_pipe0" in shown.stdout, shown
    source, sink = lab.tap_ends()
    source.send(1)
    wait_for("a frame in the far end's ring", lambda: primary.status()["ring_ports"][0]["tx"])
    sink.drain()
    primary.ok("del pipe:0")
    assert primary.status()["pipes"] == []
    nfv.ok("patch ring:0 tap:1")
    primary.ok("add pipe:0 ring:2 ring:3")
    assert lab.processes[0].terminate() == 0
