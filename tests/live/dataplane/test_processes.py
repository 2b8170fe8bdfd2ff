"""spp_primary and spp_nfv under a test controller, with real taps, rings and a vhost-user peer."""

import os
import re
import select
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.dataplane_lab import (
    BUILD,
    SANITIZE,
    Controller,
    Lab,
    crosses,
    listening,
    make,
    send_all,
    stands_still,
    start_chain,
    vhost_peer_argv,
    wait_for,
)

pytestmark = pytest.mark.live

# --- the build ---


def test_second_make_builds_nothing_and_unit_tests_pass(programs: None) -> None:
    subprocess.run(make("-j2", "check"), check=True)
    assert subprocess.run(make("-q"), check=False).returncode == 0


@pytest.mark.parametrize(
    ("program", "arguments", "printed"),
    [
        ("spp_primary", "-- -n 1 -s 127.0.0.1:5555", "-p HEX is missing"),
        ("spp_primary", "-- -p 1 -s 127.0.0.1:5555", "-n NUM is missing"),
        ("spp_primary", "-- -p 1 -n 99 -s 127.0.0.1:5555", "1 to 98"),
        ("spp_primary", "-p 1 -n 1 -s 127.0.0.1:5555", "-- is missing"),
        ("spp_nfv", "-- -n 1", "-s IP:PORT is missing"),
        ("spp_nfv", "-- -n 0 -s 127.0.0.1:6666", "1 to 127"),
        ("spp_nfv", "-- -n 1 -s localhost:6666", "IPv4:PORT"),
    ],
)
def test_invalid_argument_is_reported_at_once(programs: None, program: str, arguments: str, printed: str) -> None:
    done = subprocess.run([BUILD / program, *arguments.split()], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert printed in done.stderr


# --- control ---


def test_handshake_and_status_of_both_programs(lab: Lab) -> None:
    process, primary = lab.start_primary()
    process.wait_printed("Finished Process Init.")
    status = primary.status()
    assert (status["master-lcore"], status["lcores"]) == (0, [0, 1])
    assert [port["port"] for port in status["phy_ports"]] == ["tap:0", "tap:1"]
    assert re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", status["phy_ports"][0]["eth"])
    assert [ring["id"] for ring in status["ring_ports"]] == list(range(10))
    assert status["pipes"] == []
    zero = dict.fromkeys(("rx", "rx_drop", "tx", "tx_drop", "rx_bytes", "tx_bytes"), 0)
    counters = [{"port": port, **zero} for port in ("tap:0", "tap:1")]
    ports = {"ports": ["tap:0", "tap:1"], "patches": [], "counters": counters}
    assert status["forwarder"] == ports | {"status": "idling"}

    process, nfv = lab.start_nfv(1)
    process.wait_printed(f"spp_nfv: connected to {lab.secondary_port.address} as id 1")
    hello = {"results": [{"result": "success"}], "client_id": 1, "process_type": "nfv", "data_plane": "sppr"}
    assert nfv.ask("_get_client_id") == hello
    idling = {"client-id": 1, "status": "idling", "master-lcore": 2, "lcores": [2, 3]}
    assert nfv.status() == idling | ports
    assert nfv.ask_raw("patch reset") == b"patch\0reset".ljust(32768, b"\0")
    assert nfv.ask_raw("no such thing") == b"no\0such\0thing".ljust(32768, b"\0")
    nfv.ok("_set_client_id 5")
    assert nfv.ask("_get_client_id")["client_id"] == 5
    nfv.ok("exit")
    assert process.wait_end() == 0
    primary.ok("exit")
    assert lab.processes[0].wait_end() == 0


MALFORMED = [
    *("add", "add x", "add ring", "add ring:", "add ring:x", "add ring:-1", "add ring:10", "add ring:99999999999"),
    *("add pipe:0", "add memif:x", "add phy:0", "add tap:0", "add ring 3", "add :", "add ring:1 ring:2"),
    *("del", "del x", "del ring:5", "del phy:0", "del tap:0", "del ring:", "patch", "patch tap:0", "patch tap:0 x"),
    *("patch tap:0 ring:7", "patch ring:7 tap:0", "patch tap:0 tap:1 tap:0", "patch tap:0nq1 tap:1"),
    *("_set_client_id", "_set_client_id 0", "_set_client_id 128", "_set_client_id 1x", "add vhost:" + "9" * 1000),
    "status" + " x" * 60,
]


def test_malformed_commands_fail_and_the_process_continues(lab: Lab) -> None:
    _, primary = lab.start_primary()
    _, nfv = lab.start_nfv(1)
    for command in MALFORMED:
        nfv.failed(command)
        if "_set_client_id" not in command:
            primary.failed(command)
    for command in ("launch 1 spp_vf -l 0", "flow create phy:0", "add pipe:0 ring:0 ring:10"):
        primary.failed(command)
    nfv.ok("add ring:0")
    nfv.failed("add ring:0")
    assert nfv.status()["ports"] == ["tap:0", "tap:1", "ring:0"]
    assert primary.status()["forwarder"]["ports"] == ["tap:0", "tap:1"]


def test_state_is_kept_over_a_restart_of_the_controller(lab: Lab) -> None:
    _, primary = lab.start_primary()
    process, nfv = lab.start_nfv(1)
    nfv.ok("add ring:0", "patch tap:0 tap:1", "forward")
    source, sink = lab.tap_ends()
    primary.close()
    nfv.close()
    lab.secondary_port.close()
    process.wait_printed("lost the controller")
    crosses(source, sink)
    lab.secondary_port = Controller(lab.secondary_port.port)
    nfv = lab.secondary_port.accept()
    assert nfv.ask("_get_client_id")["client_id"] == 1
    status = nfv.status()
    assert (status["status"], status["ports"]) == ("running", ["tap:0", "tap:1", "ring:0"])
    assert status["patches"] == [{"src": "tap:0", "dst": "tap:1"}]
    assert lab.primary_port.accept().status()["phy_ports"]


# --- forwarding ---


def test_thousand_packets_cross_two_secondaries_in_order(lab: Lab) -> None:
    primary, *_ = start_chain(lab)
    source, sink = lab.tap_ends()
    assert send_all(source, sink, 1000) == list(range(1000))
    # The worker counts a burst after it is sent: the last frames can arrive before that.
    wait_for("the counter", lambda: primary.status()["phy_ports"][1]["tx"] >= 1000)
    status = primary.status()
    assert status["phy_ports"][0]["rx"] >= 1000
    assert status["ring_ports"][0]["rx"] >= 1000
    assert status["ring_ports"][0]["tx"] >= 1000
    primary.ok("clear")
    assert primary.status()["ring_ports"][0]["rx"] < 100


def test_nfv_uses_the_mempool_handlers_of_the_primary(lab: Lab) -> None:
    """A pool refers to its handler by an index. If its library is loaded first, it has another index in the
    primary's table than in an nfv's: the index alone would mean another handler.
    """
    found = subprocess.run(
        ["pkg-config", "--variable=libdir", "libdpdk"], check=True, capture_output=True, text=True
    ).stdout.strip()
    library = Path(found) / "librte_mempool_stack.so"
    lab.run("primary", ["env", f"LD_PRELOAD={library}", *lab.primary_argv()])
    lab.primary_port.accept()
    _, nfv = lab.start_nfv(1)
    nfv.ok("patch tap:0 tap:1", "forward")
    source, sink = lab.tap_ends()
    crosses(source, sink)
    sink.drain()
    assert send_all(source, sink, 1000) == list(range(1000))


def test_primary_forwards(lab: Lab) -> None:
    _, primary = lab.start_primary()
    source, sink = lab.tap_ends()
    primary.ok("patch tap:0 tap:1", "forward")
    assert send_all(source, sink, 200) == list(range(200))
    assert primary.status()["forwarder"]["status"] == "running"
    primary.ok("stop")
    stands_still(source, sink)


def test_idle_primary_wakes_for_a_frame_of_a_tap(lab: Lab) -> None:
    _, primary = lab.start_primary()
    source, sink = lab.tap_ends()
    primary.ok("patch tap:0 tap:1", "forward")
    assert send_all(source, sink, 1) == [0]
    took = []
    for number in range(1, 11):
        time.sleep(0.13)  # longer than a worker sleeps without an event, and no multiple of it
        start = time.monotonic()
        source.send(number)
        assert sink.receive(5.0) == number
        took.append(time.monotonic() - start)
    assert sorted(took)[6] < 0.02, took


@pytest.mark.parametrize("how", [{"lcores": "0@0"}, {"extra": "--disp-stats"}])
def test_primary_without_forwarder_refuses_to_forward(lab: Lab, how: dict[str, str]) -> None:
    extra = [how["extra"]] if "extra" in how else []
    process, primary = lab.start_primary(*extra, lcores=how.get("lcores", "0@0,1@1"))
    for command in ("add ring:0", "del ring:0", "patch tap:0 tap:1", "patch reset", "forward", "stop"):
        primary.failed(command)
    assert "forwarder" not in primary.status()
    if extra:
        process.wait_printed("ring:9")


def test_second_patch_replaces_the_destination(lab: Lab) -> None:
    lab.start_primary()
    _, nfv = lab.start_nfv(1)
    source, sink = lab.tap_ends()
    nfv.ok("add nullpmd:0", "patch tap:0 tap:1", "forward")
    crosses(source, sink)
    nfv.ok("patch tap:0 nullpmd:0")
    assert nfv.status()["patches"] == [{"src": "tap:0", "dst": "nullpmd:0"}]
    stands_still(source, sink)
    nfv.ok("patch tap:0 tap:1")
    crosses(source, sink)
    nfv.ok("patch reset")
    stands_still(source, sink)
    assert nfv.status()["status"] == "running"


def test_del_removes_only_its_own_patches(lab: Lab) -> None:
    lab.start_primary()
    _, nfv = lab.start_nfv(1)
    source, sink = lab.tap_ends()
    nfv.ok("add nullpmd:0", "add nullpmd:1", "add ring:0")
    nfv.ok("patch tap:0 tap:1", "patch nullpmd:0 nullpmd:1", "patch nullpmd:1 ring:0", "patch ring:0 nullpmd:1")
    nfv.ok("forward", "del nullpmd:1")
    status = nfv.status()
    assert status["status"] == "running"
    assert status["ports"] == ["tap:0", "tap:1", "nullpmd:0", "ring:0"]
    assert status["patches"] == [{"src": "tap:0", "dst": "tap:1"}]
    crosses(source, sink)


@pytest.mark.parametrize("workers", [1, 2])
def test_other_changes_do_not_disturb_traffic(lab: Lab, workers: int) -> None:
    """tap:0 to tap:1 never stops while other patches are made, moved between lcores, and removed."""
    lab.start_primary()
    _, nfv = lab.start_nfv(1, workers=workers)
    source, sink = lab.tap_ends()
    nfv.ok("patch tap:0 tap:1", "forward")
    got: list[list[int]] = []
    sender = threading.Thread(target=lambda: got.append(send_all(source, sink, 3000, window=4)))
    sender.start()
    for turn in range(60):
        nfv.ok("add nullpmd:0", "add nullpmd:1", "add ring:1", f"add vhost:{turn % 3}")
        nfv.ok("patch nullpmd:0 ring:1", "patch ring:1 nullpmd:1", f"patch vhost:{turn % 3} nullpmd:1")
        nfv.ok("patch nullpmd:0 nullpmd:1", "patch ring:1 nullpmd:0")
        nfv.ok("del nullpmd:1", f"del vhost:{turn % 3}", "del ring:1", "del nullpmd:0")
    sender.join()
    assert got == [list(range(3000))]
    assert nfv.status()["ports"] == ["tap:0", "tap:1"]


def test_two_workers_can_send_to_one_destination(lab: Lab) -> None:
    lab.start_primary()
    _, nfv = lab.start_nfv(1, workers=2)
    first, second = lab.tap_ends()
    own = os.getpid() % 5000 + 2000
    nfv.ok(f"add tap:{own}")
    third, _ = lab.tap_ends(f"vtap{own}", f"vtap{own}")
    nfv.ok(f"patch tap:0 tap:{own}", f"patch tap:1 tap:{own}", f"patch tap:{own} tap:0", "forward")
    crosses(first, third)
    crosses(second, third)
    crosses(third, first)
    nfv.ok(f"del tap:{own}")
    assert not Path(f"/sys/class/net/vtap{own}").exists()


def test_pcap_reads_and_writes_files(lab: Lab) -> None:
    number = os.getpid() % 5000 + 2000
    rx, tx = lab.sockets / f"spp-rx{number}.pcap", lab.sockets / f"spp-tx{number}.pcap"
    header = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
    record = (0).to_bytes(8) + (64).to_bytes(4, "little") * 2 + b"\x5a" * 64
    try:
        rx.write_bytes(header + record * 40)
        lab.start_primary()
        _, nfv = lab.start_nfv(1)
        nfv.ok(f"add pcap:{number}", f"patch pcap:{number} pcap:{number}", "forward")
        wait_for("40 frames written", lambda: tx.stat().st_size == 24 + 40 * 80)
        assert tx.read_bytes().count(b"\x5a" * 64) == 40
        rx.write_bytes(b"not a capture file")
        nfv.ok(f"del pcap:{number}")
        nfv.failed(f"add pcap:{number}")
    finally:
        rx.unlink(missing_ok=True)
        tx.unlink(missing_ok=True)


def test_ring_has_one_producer_and_one_consumer(lab: Lab) -> None:
    lab.start_primary()
    _, one = lab.start_nfv(1)
    process, two = lab.start_nfv(2)
    one.ok("add ring:0", "patch tap:0 ring:0")
    two.ok("add ring:0")
    two.failed("patch tap:1 ring:0")
    process.wait_printed("ring:0: process")
    assert two.status()["patches"] == []
    one.ok("patch reset")
    two.ok("patch tap:1 ring:0")


# --- vhost ---


@pytest.mark.parametrize("mode", ["server", "client"])
def test_vhost_carries_frames_both_ways_to_a_virtio_user_peer(lab: Lab, mode: str) -> None:
    """The peer returns each frame: tap:0 -> vhost:0 -> testpmd -> vhost:0 -> tap:1."""
    if shutil.which("dpdk-testpmd") is None:
        pytest.skip("dpdk-testpmd is not installed")
    lab.start_primary()
    process, nfv = lab.start_nfv(1, *(["--vhost-client"] if mode == "client" else []))
    path = lab.sockets / "sock0"
    nfv.ok("add vhost:0", "patch tap:0 vhost:0", "patch vhost:0 tap:1", "forward")
    assert path.exists() == (mode == "server")
    source, sink = lab.tap_ends()
    stands_still(source, sink)
    argv = vhost_peer_argv(lab, path, "--forward-mode=io", "--port-topology=loop", server=mode == "client")
    for _ in range(2):  # the second peer gets the port in the same state
        peer = lab.run("testpmd", [*argv, "--stats-period=1"])
        crosses(source, sink)
        sink.drain()
        assert send_all(source, sink, 300) == list(range(300))
        peer.terminate(signal.SIGINT)
        stands_still(source, sink)
    assert "not found" not in process.text()  # the message of the library, at each poll, after a guest left


OFFLOADS = {
    "--tx-offloads=0x2c": {"UDP_CKSUM", "TCP_CKSUM", "TCP_TSO"},
    "--rx-offloads=0x1c": {"UDP_CKSUM", "TCP_CKSUM", "TCP_LRO"},
}


@pytest.mark.parametrize("ask", OFFLOADS)
def test_vhost_offers_no_offload(lab: Lab, ask: str) -> None:
    """A peer that requests TSO, or LRO, gets the offloads of the port from its driver: no checksum, no long frames."""
    if shutil.which("dpdk-testpmd") is None:
        pytest.skip("dpdk-testpmd is not installed")
    lab.start_primary(vdevs=("net_null0", "net_null1"))
    _, nfv = lab.start_nfv(1)
    nfv.ok("add vhost:0")
    argv = vhost_peer_argv(lab, lab.sockets / "sock0", "--forward-mode=io", "--port-topology=loop", ask)
    peer = lab.run("testpmd", argv)
    assert peer.wait_end() == 1
    can = re.findall(r"doesn't match [RT]x offloads capabilities 0x(\w+)", peer.text())
    wrong = 0x0C | 0x30  # checksums of UDP and TCP; LRO or TSO
    cannot = re.findall(r"does not support [RT]x offloads (\S+)", peer.text())  # DPDK 24.11
    if cannot:
        assert all(set(re.findall(r"UDP_CKSUM|TCP_CKSUM|TCP_(?:LRO|TSO)", each)) == OFFLOADS[ask] for each in cannot)
    else:
        assert can and not any(int(each, 16) & wrong for each in can)


def listens(path: Path) -> bool:
    return any(
        line.split()[-1] == str(path) and line.split()[3] == "00010000"
        for line in Path("/proc/net/unix").read_text().splitlines()
    )


#: A vhost-user message without payload: VHOST_USER_GET_FEATURES, version 1, size 0.
GET_FEATURES = struct.pack("<III", 1, 1, 0)


def test_new_vhost_port_answers_its_guest_at_once(lab: Lab) -> None:
    """DPDK's thread would accept a connection up to a second after the port was added."""
    lab.start_primary()
    _, nfv = lab.start_nfv(1)
    seconds = []
    for number in range(5):
        nfv.ok(f"add vhost:{number}")
        with socket.socket(socket.AF_UNIX) as guest:
            guest.settimeout(5)
            began = time.monotonic()
            guest.connect(str(lab.sockets / f"sock{number}"))
            guest.sendall(GET_FEATURES)
            assert len(guest.recv(64)) == len(GET_FEATURES) + 8
            seconds.append(time.monotonic() - began)
        nfv.ok(f"del vhost:{number}")
    assert statistics.median(seconds) < 0.3, seconds


def test_vhost_socket_exists_as_long_as_its_port(lab: Lab) -> None:
    lab.start_primary()
    process, nfv = lab.start_nfv(1)
    path = lab.sockets / "sock3"
    nfv.ok("add vhost:3")
    assert listens(path)
    nfv.ok("del vhost:3")
    assert not path.exists()
    nfv.ok("add vhost:3", "add vhost:4")
    assert process.terminate() == 0
    assert [path.name for path in lab.sockets.iterdir()] == ["spp-capture.0.sock"]  # of the primary


def test_socket_with_a_listener_is_kept(lab: Lab) -> None:
    lab.start_primary()
    process, nfv = lab.start_nfv(1)
    path = lab.sockets / "sock3"
    with listening(path) as server:
        before = path.stat().st_ino
        nfv.failed("add vhost:3")
        process.wait_printed("another process listens there")
        assert path.stat().st_ino == before
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):  # and it was not probed
            server.accept()
    assert path.exists()
    nfv.ok("add vhost:3")  # without a listener it is stale, and replaced
    assert listens(path)
    _, two = lab.start_nfv(2)
    two.failed("add vhost:3")
    assert listens(path)
    (lab.sockets / "sock4").write_text("a file of somebody's")
    nfv.failed("add vhost:4")
    assert (lab.sockets / "sock4").read_text() == "a file of somebody's"


# --- start and end ---


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_ends_a_process_within_two_seconds(lab: Lab, signo: signal.Signals) -> None:
    primary, connection = lab.start_primary()
    nfv, one = lab.start_nfv(1)
    one.ok("add vhost:0", "add nullpmd:0", "add nullpmd:1", "patch nullpmd:0 nullpmd:1", "forward")
    connection.ok("add vhost:1", "patch tap:0 tap:1", "forward")
    for process in (nfv, primary):
        start = time.monotonic()
        assert process.terminate(signo) == 0
        assert time.monotonic() - start < 2.0
    assert list(lab.sockets.iterdir()) == []
    assert not Path(f"/sys/class/net/{lab.taps[0]}").exists()


def test_controller_that_does_not_read_cannot_block_the_process(lab: Lab) -> None:
    lab.start_primary()
    process, nfv = lab.start_nfv(1)
    nfv.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for _ in range(200):
        nfv.sock.sendall(b"status")
        time.sleep(0.002)
    assert process.terminate() == 0


def test_killed_secondary_can_restart_with_its_id(lab: Lab) -> None:
    primary, _, _, killed = start_chain(lab)
    source, sink = lab.tap_ends()
    crosses(source, sink)
    killed.kill()
    for number in range(1500):  # more than the ring holds
        source.send(number)
    assert primary.status()["ring_ports"][0]
    _, two = lab.start_nfv(2)
    two.ok("add ring:0", "patch ring:0 tap:1", "forward")
    crosses(source, sink)
    sink.drain()
    assert send_all(source, sink, 500) == list(range(500))


def test_secondary_without_a_primary_exits(lab: Lab) -> None:
    never = lab.run("never", lab.nfv_argv(1))
    assert never.wait_end() == 1
    assert never.text().count("\n") == 1
    assert "start spp_primary first" in never.text()
    primary, _ = lab.start_primary()
    primary.kill()
    assert Path(f"/var/run/dpdk/{lab.prefix}/config").exists()
    leftovers = lab.run("leftovers", lab.nfv_argv(1))
    assert leftovers.wait_end() == 1
    assert "is dead" in leftovers.text()


def test_secondary_of_another_dpdk_primary_exits(lab: Lab) -> None:
    if shutil.which("dpdk-testpmd") is None:
        pytest.skip("dpdk-testpmd is not installed")
    if SANITIZE:
        pytest.skip("the foreign primary is not built with ASan, and maps its memory elsewhere")
    argv = ["dpdk-testpmd", "--lcores", "0@0,1@1", "--no-pci", "-m", "32", "--huge-dir", "/dev/hugepages"]
    argv += ["--file-prefix", lab.prefix, "--vdev", "net_null0", "--", "--total-num-mbufs=2048", "--stats-period=1"]
    foreign = lab.run("testpmd", argv)
    foreign.wait_printed("NIC statistics")
    nfv = lab.run("nfv", lab.nfv_argv(1))
    assert nfv.wait_end() == 1
    assert "has no MProc_port_info of ours" in nfv.text()


def test_death_of_the_primary_ends_a_secondary(lab: Lab) -> None:
    primary, _ = lab.start_primary()
    process, nfv = lab.start_nfv(1)
    nfv.ok("add vhost:0", "patch tap:0 tap:1", "forward")
    primary.kill()
    assert process.wait_end() == 1
    assert "the primary died" in process.text()
    assert [path.name for path in lab.sockets.iterdir()] == ["spp-capture.0.sock"]  # of the killed primary


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_exit_of_the_primary_closes_no_port_during_a_burst(lab: Lab, number: signal.Signals) -> None:
    """When net_tap was closed during polling, the secondary always ended by SIGSEGV."""
    primary, _ = lab.start_primary()
    process, nfv = lab.start_nfv(1)
    nfv.ok("patch tap:0 tap:1", "forward")
    source, sink = lab.tap_ends()
    crosses(source, sink)
    for number_of_frame in range(200):
        source.send(number_of_frame)
    primary.popen.send_signal(number)
    assert primary.wait_end() == 0 and "secondaries are still running" in primary.text()
    assert process.wait_end() == 1 and "the primary died" in process.text()


def test_second_primary_is_refused_and_the_first_continues(lab: Lab) -> None:
    _, primary = lab.start_primary()
    primary.ok("patch tap:0 tap:1", "forward")
    source, sink = lab.tap_ends()
    second = lab.run("second", lab.primary_argv(vdevs=("net_null0", "net_null1")))
    assert second.wait_end() == 1
    assert "EAL did not start" in second.text()
    crosses(source, sink)
    assert primary.status()["forwarder"]["status"] == "running"


def test_lcore_ids_in_use_are_refused(lab: Lab) -> None:
    lab.start_primary()
    argv = lab.nfv_argv(1)
    argv[argv.index("--lcores") + 1] = "0@0,1@1"
    nfv = lab.run("nfv", argv)
    assert nfv.wait_end() == 1
    assert "lcore 1 is in use by process" in nfv.text()


def test_secondary_started_too_early_gets_working_ports(lab: Lab) -> None:
    """A null port that is attached before its queues exist causes SIGSEGV at its first poll."""
    lab.run("primary", lab.primary_argv(vdevs=("net_null0", "net_null1")))
    config = Path(f"/var/run/dpdk/{lab.prefix}/config")
    wait_for("the primary's EAL", config.exists)
    nfv = lab.run("early", lab.nfv_argv(1))
    listener = lab.secondary_port.listener
    wait_for("refused or connecting", lambda: nfv.popen.poll() is not None or select.select([listener], [], [], 0)[0])
    if nfv.popen.poll() is not None:  # before the primary held its lock
        assert nfv.wait_end() == 1
        return
    connection = lab.secondary_port.accept()
    connection.ok("patch nullpmd:0 nullpmd:1", "forward")
    primary = lab.primary_port.accept()
    wait_for("frames counted", lambda: primary.status()["phy_ports"][1]["tx"])
    assert connection.status()["status"] == "running"


def test_primary_needs_every_port_of_its_portmask(lab: Lab) -> None:
    none = lab.run("none", lab.primary_argv(vdevs=()))
    assert none.wait_end() == 1
    assert "-p selects no existing port" in none.text()
    few = lab.run("few", lab.primary_argv(vdevs=("net_null0",)))
    assert few.wait_end() == 1
    assert "spp_primary: -p 0x3 names ports that do not exist (0x2): there are 1\n" in few.text()
    assert "Finished Process Init" not in few.text()


@pytest.fixture
def veth(lab: Lab) -> Iterator[str]:
    """An interface that is not a tap."""
    name = f"{lab.taps[0]}v"
    subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p"], check=True)
    yield name
    subprocess.run(["ip", "link", "del", name], check=True)


def test_primary_needs_every_port_of_its_eal_options(lab: Lab, veth: str) -> None:
    """EAL continues without a device that it could not create."""
    for vdev, option, missing in (
        (f"net_tap7,iface={veth}", "--no-pci", f"net_tap7: an interface {veth} exists already"),
        ("net_null1", "-a00:1f.7", "00:1f.7: EAL did not create this port; see its messages above"),
        ("net_af_packet0,iface=none", "--no-pci", "net_af_packet0: EAL did not create this port"),
    ):
        argv = lab.primary_argv(vdevs=("net_null0", vdev, "crypto_null0"))
        argv[argv.index("--no-pci")] = option
        primary = lab.run(vdev.partition(",")[0], argv)
        assert primary.wait_end() == 1
        assert f"spp_primary: {missing}" in primary.text() and "Finished Process Init" not in primary.text()


def test_unused_multi_queue_tap_is_reused(lab: Lab) -> None:
    tuntap = ["ip", "tuntap", "add", lab.taps[0], "mode", "tap", "multi_queue"]
    subprocess.run(tuntap, check=True)
    try:
        _, primary = lab.start_primary()
        assert [port["port"] for port in primary.status()["phy_ports"]] == ["tap:0", "tap:1"]
    finally:
        lab.processes[0].kill()
        subprocess.run([word.replace("add", "del") for word in tuntap], check=False)
