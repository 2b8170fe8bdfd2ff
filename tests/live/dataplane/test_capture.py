"""Captures of ports of running processes, into pcapng files that Wireshark's programs read."""

import contextlib
import mmap
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.dataplane.test_components import lcores, start
from tests.live.dataplane_lab import BUILD, Connection, Lab, Process, wait_for

pytestmark = pytest.mark.live

NULLS = ("net_null0", "net_null1")
SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6
RECEIVED, DROPPED, ACCEPTED = 4, 5, 6  # options of a statistics block
PROBE = "flow=7 key=1234"  # sizes of frames include 4 bytes of FCS


class Capture:
    """A running spp_capture. ``interfaces``: socket number, port, side."""

    def __init__(self, lab: Lab, *args: str, interfaces: list[tuple[int, str, str]], name: str = "out") -> None:
        self.file = lab.tmp / f"{name}.pcapng"
        words = [
            word
            for number, port, side in interfaces
            for word in ("-i", str(socket_of(lab, number)), port, side, f"{number} {port} {side}")
        ]
        self.process = lab.run(name, [str(BUILD / "spp_capture"), "-w", str(self.file), *args, *words])
        wait_for("the file", lambda: self.process.popen.poll() is not None or self.is_started())

    def is_started(self) -> bool:
        return self.file.exists() and self.file.stat().st_size > 0

    def stop(self) -> str:
        """Stop with SIGINT. Return what it printed."""
        assert self.process.terminate(signal.SIGINT) == 0, self.process.text()
        return self.process.text()

    def packets(self) -> list[dict[str, str]]:
        """Return the fields of each frame as tshark reads them."""
        names = (
            "frame.interface_name",
            "frame.time_epoch",
            "frame.len",
            "frame.cap_len",
            "frame.packet_flags_direction",
        )
        options = [word for name in names for word in ("-e", name)]
        done = subprocess.run(
            ["tshark", "-n", "-r", str(self.file), "-T", "fields", *options], capture_output=True, text=True, check=True
        )
        short = ("name", "time", "length", "captured", "direction")
        return [dict(zip(short, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]

    def blocks(self) -> list[tuple[int, bytes]]:
        return parse(self.file.read_bytes())

    def count(self) -> int:
        return sum(kind == PACKET for kind, _ in self.blocks())

    def statistics(self) -> dict[int, dict[int, int]]:
        """Return the options of the last statistics block of each interface."""
        last = {}
        for kind, body in self.blocks():
            if kind == STATISTICS:
                last[int.from_bytes(body[:4], "little")] = {
                    code: int.from_bytes(value, "little") for code, value in options_of(body[12:]) if code >= RECEIVED
                }
        return last


def parse(data: bytes) -> list[tuple[int, bytes]]:
    """Split a pcapng file into blocks, and check their lengths."""
    blocks = []
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert length % 4 == 0 and length >= 12
        assert struct.unpack_from("<I", data, at + length - 4) == (length,)
        blocks.append((kind, data[at + 8 : at + length - 4]))
        at += length
    assert blocks[0][0] == SECTION
    return blocks


def options_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while True:
        code, length = struct.unpack_from("<HH", data, at)
        if code == 0:
            return
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + (length + 3) // 4 * 4


def socket_of(lab: Lab, number: int) -> Path:
    return lab.sockets / f"spp-capture.{number}.sock"


def start_nfv(lab: Lab) -> tuple[Connection, Process, Connection]:
    _, primary = lab.start_primary(vdevs=NULLS, lcores="0@0")
    process, nfv = lab.start_nfv(1)
    wait_for("the socket", socket_of(lab, 1).exists)
    return primary, process, nfv


def start_probe(lab: Lab) -> tuple[Process, Connection]:
    """Start an nfv with probe:0 patched to nullpmd:0."""
    _, process, nfv = start_nfv(lab)
    nfv.ok("add probe:0", "patch probe:0 nullpmd:0", "forward")
    return process, nfv


def send(nfv: Connection, words: str, number: int = 0) -> int:
    """Send frames of probe:N. Return their number."""
    nfv.ok(f"probe start probe:{number} {PROBE} {words}")
    wait_for("the end", lambda: not result(nfv, number)["source"]["running"])
    time.sleep(0.05)  # frames in flight
    return int(result(nfv, number)["source"]["sent"])


def result(nfv: Connection, number: int = 0) -> dict[str, Any]:
    return dict(nfv.ask(f"probe result probe:{number}")["probe"])


def counters(nfv: Connection) -> dict[str, dict[str, int]]:
    return {row["port"]: row for row in nfv.status()["counters"]}


def memfds(process: Process) -> set[str]:
    """Return the inodes of the rings that the process maps."""
    lines = Path(f"/proc/{process.pid}/maps").read_text().splitlines()
    return {line.split()[4] for line in lines if "spp-capture" in line}


def shared_memory(process: Process) -> int:
    """Return the kilobytes of shared memory, without hugepages, that the process maps."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.findall(r"^RssShmem:\s+(\d+)", text, re.MULTILINE)[0])


def open_files(process: Process) -> list[str]:
    names = []
    for fd in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            names.append(str(fd.readlink()))
    return [name for name in names if name.startswith("/memfd:")]


class Client:
    """A connection to the service of a process."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(5)
        self.sock.connect(str(path))

    def ask(self, request: bytes | str) -> str:
        self.sock.send(request if isinstance(request, bytes) else request.encode())
        return self.receive()

    def receive(self) -> str:
        data, fds, _, _ = socket.recv_fds(self.sock, 4096, 4)
        for fd in fds:
            os.close(fd)
        assert (data == b"ok") == (len(fds) == 1)
        return data.decode()

    def is_closed(self) -> bool:
        return self.sock.recv(16) == b""

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


def test_counts_of_both_sides_are_the_counters(lab: Lab) -> None:
    _, nfv = start_probe(lab)
    capture = Capture(lab, interfaces=[(1, "probe:0", "rx"), (1, "nullpmd:0", "tx")])
    before = time.time()
    sent = send(nfv, "rate=20000 count=3000 size=200")
    after = time.time()
    text = capture.stop()
    assert sent == counters(nfv)["nullpmd:0"]["tx"] == 3000
    packets = capture.packets()
    for name, direction in (("1 probe:0 rx", "1"), ("1 nullpmd:0 tx", "2")):
        mine = [packet for packet in packets if packet["name"] == name]
        assert len(mine) == 3000
        assert {(p["length"], p["captured"], int(p["direction"], 0)) for p in mine} == {("196", "196", int(direction))}
        assert f"{name}: 3000 captured, 0 filtered, 0 dropped" in text
    times = [float(packet["time"]) for packet in packets]
    assert times == sorted(times)
    assert before < times[0] < times[-1] < after
    source = result(nfv)["source"]
    took = (source["last_ns"] - source["first_ns"]) / 1e9
    assert times[-1] - times[0] == pytest.approx(took, rel=0.1) and took > 2999 / 20000 * 0.9
    assert capture.statistics() == {i: {RECEIVED: 3000, DROPPED: 0, ACCEPTED: 3000} for i in (0, 1)}
    info = subprocess.run(["capinfos", "-M", str(capture.file)], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Number of packets:\s+6000", info)
    assert "nanosecond" in info
    assert "spp_capture" in info


def test_file_is_complete_while_the_capture_runs(lab: Lab) -> None:
    _, nfv = start_probe(lab)
    capture = Capture(lab, interfaces=[(1, "probe:0", "rx")])
    send(nfv, "count=100")
    wait_for("all frames in the file", lambda: capture.count() == 100, 1)
    wait_for("statistics in the file", lambda: capture.statistics() == {0: {4: 100, 5: 0, 6: 100}}, 3)
    assert capture.file.stat().st_mode & 0o777 == 0o600
    capture.stop()


def test_two_processes_in_one_file(lab: Lab) -> None:
    _, _, one = start_nfv(lab)
    _, two = lab.start_nfv(2)
    wait_for("the socket", socket_of(lab, 2).exists)
    one.ok("add probe:0", "add ring:0", "patch probe:0 ring:0", "forward")
    two.ok("add nullpmd:9", "add ring:0", "patch ring:0 nullpmd:9", "forward")
    capture = Capture(lab, interfaces=[(1, "probe:0", "rx"), (2, "nullpmd:9", "tx"), (1, "ring:0", "rx")])
    for turn in range(1, 6):  # each turn fits into the 1024 slots of ring:0, also if nfv 2 gets no CPU
        assert send(one, "rate=50000 count=1000") == 1000
        wait_for("all frames at nfv 2", lambda sent=1000 * turn: counters(two)["nullpmd:9"]["tx"] == sent)
    capture.stop()
    packets = capture.packets()
    names = [packet["name"] for packet in packets]
    assert names.count("1 probe:0 rx") == names.count("2 nullpmd:9 tx") == 5000
    assert len(names) == 10000
    times = [packet["time"] for packet in packets]
    assert times == sorted(times)
    # frame N leaves after it has come
    arrived = [packet["time"] for packet in packets if packet["name"] == "1 probe:0 rx"]
    left = [packet["time"] for packet in packets if packet["name"] == "2 nullpmd:9 tx"]
    assert all(a < b for a, b in zip(arrived, left, strict=True))


def test_the_primary_can_be_captured(lab: Lab) -> None:
    _, primary = lab.start_primary(vdevs=NULLS)
    primary.ok("add probe:0", "patch probe:0 nullpmd:1", "forward")
    wait_for("the socket", socket_of(lab, 0).exists)
    assert socket_of(lab, 0).stat().st_mode & 0o777 == 0o600
    capture = Capture(lab, interfaces=[(0, "nullpmd:1", "tx")])
    send(primary, "count=77")
    capture.stop()
    assert capture.count() == 77


def test_filter_count_and_snaplen(lab: Lab) -> None:
    _, nfv = start_probe(lab)
    interfaces = [(1, "probe:0", "rx")]
    tcp = Capture(lab, "-f", "tcp", "-s", "64", interfaces=interfaces, name="tcp")
    five = Capture(lab, "-c", "5", interfaces=interfaces, name="five")
    send(nfv, "count=40 size=300")
    send(nfv, "count=30 size=300 proto=tcp")
    assert "30 captured, 40 filtered, 0 dropped" in tcp.stop()
    assert tcp.statistics() == {0: {RECEIVED: 70, DROPPED: 0, ACCEPTED: 30}}
    packets = tcp.packets()
    assert {(packet["length"], packet["captured"]) for packet in packets} == {("296", "64")}
    assert five.process.wait_end() == 0
    assert five.count() == 5


def test_wrong_arguments(lab: Lab) -> None:
    start_probe(lab)
    wrong = Capture(lab, "-f", "tcp and and", interfaces=[(1, "probe:0", "rx")], name="filter")
    assert wrong.process.wait_end() == 2
    assert "syntax error" in wrong.process.text()
    for number, port, side, message in (
        (1, "ring:9", "rx", "ring:9 rx: no such port in this process"),
        (1, "bad", "rx", "not a port"),
        (2, "probe:0", "rx", "No such file"),
    ):
        capture = Capture(lab, interfaces=[(number, port, side)], name=f"wrong{number}{port}")
        assert capture.process.wait_end() == 1
        assert message in capture.process.text()
        assert not capture.file.exists()
    capture = Capture(lab, interfaces=[(1, "probe:0", "rx"), (1, "ring:9", "rx")], name="some")
    assert "ring:9" in capture.stop()
    before = capture.file.read_bytes()
    again = Capture(lab, interfaces=[(1, "probe:0", "rx")], name="some")
    assert again.process.wait_end() == 1
    assert "--force" in again.process.text()
    assert again.file.read_bytes() == before
    Capture(lab, "--force", "--seconds", "1", interfaces=[(1, "probe:0", "rx")], name="some").process.wait_end(5)


def test_standard_output(lab: Lab) -> None:
    _, nfv = start_probe(lab)
    argv = [str(BUILD / "spp_capture"), "-w", "-", "-i", str(socket_of(lab, 1)), "probe:0", "rx", "a name"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        os.read(reader.stdout.fileno(), 4096)  # the first blocks, at once
        send(nfv, "count=3")
        assert len(os.read(reader.stdout.fileno(), 65536)) > 3 * 64
        reader.stdout.close()
        assert reader.wait(5) == 0


def test_full_disk(lab: Lab) -> None:
    _, nfv = start_probe(lab)
    argv = [
        str(BUILD / "spp_capture"),
        "--force",
        "-w",
        "/dev/full",
        "-i",
        str(socket_of(lab, 1)),
        "probe:0",
        "rx",
        "a",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 1
    assert "/dev/full: No space left on device" in done.stderr
    assert send(nfv, "count=3") == 3


def test_stopped_reader_drops_are_counted(lab: Lab) -> None:
    process, nfv = start_probe(lab)
    capture = Capture(lab, "-b", "65536", interfaces=[(1, "nullpmd:0", "tx")])
    capture.process.popen.send_signal(signal.SIGSTOP)
    sent = send(nfv, "rate=100000 count=20000")
    assert counters(nfv)["nullpmd:0"]["tx"] == sent == 20000
    capture.process.popen.send_signal(signal.SIGCONT)
    text = capture.stop()
    numbers = capture.statistics()[0]
    assert numbers[RECEIVED] == 20000
    assert numbers[DROPPED] > 10000
    assert numbers[ACCEPTED] == capture.count() == 20000 - numbers[DROPPED]
    assert f"{numbers[DROPPED]} dropped" in text
    wait_for("no ring", lambda: not memfds(process), 1)


def test_killed_reader_leaves_nothing(lab: Lab) -> None:
    process, nfv = start_probe(lab)
    before = shared_memory(process)
    capture = Capture(lab, "-b", str(32 << 20), interfaces=[(1, "probe:0", "rx"), (1, "nullpmd:0", "tx")])
    assert memfds(process)
    assert shared_memory(process) - before > 60 << 10
    capture.process.kill()
    wait_for("no ring", lambda: not memfds(process), 1)
    # A ring leaves /proc/PID/maps before the kernel has freed all its pages.
    wait_for("no memory of a ring", lambda: shared_memory(process) - before < 1 << 10, 1)
    assert "spp-capture" not in " ".join(open_files(process))
    assert send(nfv, "count=1000") == counters(nfv)["nullpmd:0"]["tx"] == 1000


def test_end_of_a_port_and_of_a_process(lab: Lab) -> None:
    process, nfv = start_probe(lab)
    _, other = lab.start_nfv(2)
    wait_for("the socket", socket_of(lab, 2).exists)
    other.ok("add probe:1", "patch probe:1 probe:1", "forward")
    capture = Capture(lab, interfaces=[(1, "probe:0", "rx"), (1, "nullpmd:0", "tx"), (2, "probe:1", "rx")])
    send(nfv, "count=10")
    nfv.ok("del probe:0")
    wait_for("the message", lambda: "1 probe:0 rx: the port was deleted" in capture.process.text(), 2)
    assert process.terminate(signal.SIGKILL) < 0
    wait_for("the message", lambda: "1 nullpmd:0 tx: the process closed the connection" in capture.process.text(), 2)
    send(other, "count=5", number=1)
    text = capture.stop()
    assert capture.count() == 25
    assert "2 probe:1 rx: 5 captured" in text
    names = [packet["name"] for packet in capture.packets()]
    assert names == ["1 probe:0 rx", *names[1:-5], *["2 probe:1 rx"] * 5]


def test_reader_ends_with_its_last_process(lab: Lab) -> None:
    process, nfv = start_probe(lab)
    capture = Capture(lab, interfaces=[(1, "probe:0", "rx")])
    send(nfv, "count=10")
    process.terminate(signal.SIGKILL)
    assert capture.process.wait_end(3) == 0
    assert capture.count() == 10


def test_other_users_are_refused(lab: Lab) -> None:
    process, _ = start_probe(lab)
    path = socket_of(lab, 1)
    program = shutil.copy(BUILD / "spp_capture", lab.sockets)

    def attempt() -> str:
        argv = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", str(program)]
        words = ["-w", "-", "-i", str(path), "probe:0", "rx", "a"]
        done = subprocess.run([*argv, *words], capture_output=True, text=True, check=False, timeout=10)
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr

    assert "Permission denied" in attempt()
    path.chmod(0o666)
    assert "user 65534 may not capture in this lab" in attempt()
    assert not memfds(process)


def test_malformed_requests(lab: Lab) -> None:
    process, nfv = start_probe(lab)
    with Client(socket_of(lab, 1)) as client:
        for request in (
            *("x", "capture", "capture probe:0 rx 64", "capture probe:0 rx 64 65536 x", "capture  probe:0 rx 64 65536"),
            *("capture probe:0 rx 64 65536\n", "capture probe:0 up 64 65536", "capture probe:0 rx 63 65536"),
            *("capture probe:0 rx 262145 65536", "capture probe:0 rx 64 65537", "capture probe:0 rx 64 134217728"),
            *("capture probe:0 rx 064 65536", "capture probe:0 rx -1 65536", "capture /etc/passwd rx 64 65536"),
            *("capture probe:0 rx 18446744073709551680 65536", "capture probe:0 rx 64 32768", "x" * 97, "x" * 4096),
            *(b"capture probe:0 rx 64 65536\0", b"\0", b"\xff" * 20, os.urandom(64)),
        ):
            assert client.ask(request).startswith("error: "), request
        assert not memfds(process)
        assert client.ask("capture probe:0 tx 64 65536") == "ok"
        assert client.ask("capture probe:0 rx 262144 65536") == "ok"
        assert len(memfds(process)) == 2
    wait_for("no ring", lambda: not memfds(process), 1)
    with Client(socket_of(lab, 1)) as client:
        socket.send_fds(client.sock, [b"capture probe:0 rx 64 65536"], [0, 1])
        assert client.receive() == "ok"
    assert send(nfv, "count=10") == 10


def test_limits(lab: Lab) -> None:
    process, nfv = start_probe(lab)
    nfv.ok(*(f"add nullpmd:{n}" for n in range(10, 20)))
    path = socket_of(lab, 1)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(path)) for _ in range(16)]
        first, second = clients[0], clients[1]
        for _ in range(4):
            assert first.ask("capture probe:0 rx 64 65536") == "ok"
        assert second.ask("capture probe:0 rx 64 65536") == "error: this side of the port has 4 captures already"
        for _ in range(3):
            assert first.ask("capture probe:0 tx 64 67108864") == "ok"
        assert "256 MiB" in second.ask("capture nullpmd:0 tx 64 67108864")
        for n in range(57):
            assert second.ask(f"capture nullpmd:{10 + n // 8} {('rx', 'tx')[n // 4 % 2]} 64 65536") == "ok"
        assert "64 captures" in clients[2].ask("capture nullpmd:0 tx 64 65536")
        with Client(path) as last:
            assert "16 connections" in last.receive()
            assert last.is_closed()
        # 64 captures are in place: traffic still crosses, and closing them leaves nothing
        assert send(nfv, "count=1000") == counters(nfv)["nullpmd:0"]["tx"] == 1000
    wait_for("no ring", lambda: not memfds(process), 1)
    with Client(path) as client:
        assert client.ask("capture probe:0 rx 64 67108864") == "ok"


def test_hostile_reader_cannot_write_outside_its_ring(lab: Lab) -> None:
    """A reader writes wrong indices. The process drops frames or overwrites the ring, and lives on."""
    process, nfv = start_probe(lab)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.connect(str(socket_of(lab, 1)))
        sock.send(b"capture nullpmd:0 tx 262144 65536")
        _, fds, _, _ = socket.recv_fds(sock, 256, 1)
        with pytest.raises(PermissionError):
            os.ftruncate(fds[0], 0)
        with mmap.mmap(fds[0], 4096 + 65536) as memory:
            for junk in (b"\xff" * 8, b"\0" * 8, (1 << 63).to_bytes(8, "little"), os.urandom(8), None):
                if junk is None:
                    memory[:] = os.urandom(len(memory))
                else:
                    memory[256:264] = junk
                    memory[128:136] = junk
                assert send(nfv, "count=5000 size=1518") == 5000
        os.close(fds[0])
    assert process.popen.poll() is None
    wait_for("no ring", lambda: not memfds(process), 1)


def test_socket_has_the_name_of_the_current_id(lab: Lab) -> None:
    process, nfv = start_probe(lab)
    old, new = socket_of(lab, 1), socket_of(lab, 9)
    with Client(old) as client:
        assert client.ask("capture probe:0 rx 64 65536") == "ok"
        nfv.ok("_set_client_id 9")
        assert new.exists()
        assert not old.exists()
        assert memfds(process), "a capture survives the change of the id"
    Capture(lab, interfaces=[(9, "probe:0", "rx")]).stop()
    # another process takes the old id
    _, two = lab.start_nfv(2)
    two.ok("_set_client_id 9")
    assert "another process listens there" in lab.processes[-1].text()
    nfv.ok("_set_client_id 1")
    wait_for("the socket of the second process", new.exists, 3)
    process.terminate()
    assert not old.exists()


def test_starts_and_ends_of_captures_lose_no_frame(lab: Lab) -> None:
    """Captures start and end while frames cross."""
    _, nfv = start_probe(lab)
    nfv.ok(f"probe start probe:0 {PROBE} rate=200000")
    for _ in range(20):
        with Client(socket_of(lab, 1)) as client:
            assert client.ask("capture probe:0 rx 64 65536") == "ok"
            assert client.ask("capture nullpmd:0 tx 64 65536") == "ok"
            time.sleep(0.01)
    nfv.ok("probe stop probe:0")
    time.sleep(0.1)
    row = counters(nfv)
    assert row["nullpmd:0"]["tx"] == result(nfv)["source"]["sent"] > 1000
    assert row["nullpmd:0"]["tx_drop"] == 0


def test_vlan_tags_of_a_vf_are_in_frames_that_leave(lab: Lab) -> None:
    """A capture survives changes of the components, and rx comes before the VLAN operation."""
    lab.start_primary(vdevs=NULLS, lcores="0@0")
    _, vf = start(lab, "vf", 1)
    first, second = lcores(vf)
    vf.ok(f"component start out {first} forward", "port add probe:0 rx out", "port add nullpmd:1 tx out")
    capture = Capture(lab, interfaces=[(1, "probe:0", "rx"), (1, "nullpmd:1", "tx")])
    vf.ok("port del nullpmd:1 tx out", f"component start two {second} forward", "component stop two")
    vf.ok("port add nullpmd:1 tx out add_vlantag 100 5")
    vf.ok(f"probe start probe:0 {PROBE} size=100 count=50")
    wait_for("all frames", lambda: vf.probe("probe:0", "source")["sent"] == 50)
    time.sleep(0.05)
    capture.stop()
    lengths = [(packet["name"], packet["length"]) for packet in capture.packets()]
    assert lengths.count(("1 probe:0 rx", "96")) == lengths.count(("1 nullpmd:1 tx", "100")) == 50
    assert len(lengths) == 100
