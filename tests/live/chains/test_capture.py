"""``sppr capture``: chains and ports of a lab into one pcapng, and on the terminal."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live import labs
from tests.live.dataplane_lab import ETHERTYPE, TapEnd, send_all, wait_for
from tests.live.labs import Lab

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

CHAINS = """chains:
  web: {path: [tap:0, vm_v11, tap:1], match: {vlan: 5}}
  direct: {path: [tap:0, tap:1], match: default}
"""
COUNT = 50
#: Seconds that the clock of a guest under emulation may differ.
CLOCK_ERROR = 0.02


@pytest.fixture(scope="module")
def lab(base_image: Path, programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    flags = ("-ns", "2", "-nr", "0", "-nv", "1")
    with labs.chain_lab(tmp_path_factory.mktemp("lab"), "capturelab", base_image, CHAINS, *flags) as (made, printed):
        assert "chain direct: up" in printed, printed
        yield made


@contextmanager
def capturing(lab: Lab, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A capture that runs, with its output in pipes."""
    argv = [sys.executable, "-m", "sppr", "capture", *words]
    with subprocess.Popen(
        argv, env=lab.env, cwd=lab.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def captured_ports(lab: Lab) -> int:
    """Return how many memfds of captures the secondary has mapped."""
    pid = lab.status()["sec2"]["pid"]
    lines = (line.split() for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "memfd:spp-capture" in line)
    return len({inode for _, _, _, _, inode, *_ in lines})


def cross(lab: Lab, count: int = COUNT) -> None:
    source, sink = TapEnd(f"{lab.tap}a"), TapEnd(f"{lab.tap}b")
    assert send_all(source, sink, count) == list(range(count))
    source.close()
    sink.close()


def fields(file: Path, *names: str) -> list[list[str]]:
    """Return these fields of each frame, read by tshark."""
    words = [word for name in names for word in ("-e", name)]
    done = subprocess.run(
        ["tshark", "-n", "-r", str(file), "-T", "fields", *words], capture_output=True, text=True, check=True
    )
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_chain_is_captured_into_one_pcapng(lab: Lab) -> None:
    """Each frame is seen at each side, in order of time, and Wireshark's capinfos finds no fault in the file."""
    file = lab.folder / "direct.pcapng"
    before = captured_ports(lab)
    with capturing(lab, "direct", "-w", str(file), "-f", "ether proto 0x88b5") as process:
        wait_for("the rings", lambda: captured_ports(lab) == before + 4)
        cross(lab)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0 and process.stderr is not None
        summary = process.stderr.read().decode()
    rows = fields(file, "frame.interface_name", "frame.time_epoch")
    names = [name for name, _ in rows]
    assert names.count("nfv:2 tap:0 rx") == names.count("nfv:2 tap:1 tx") == COUNT, (names, summary)
    times = [time_ for _, time_ in rows]
    assert times == sorted(times) and all(len(one.partition(".")[2]) == 9 for one in times), "nanoseconds"
    info = subprocess.run(["capinfos", "-M", str(file)], capture_output=True, text=True, check=True).stdout
    assert "Number of interfaces in file: 4" in info and "pcapng" in info, info
    wait_for("the memory is released", lambda: captured_ports(lab) == before)


def tagged(count: int) -> list[bytes]:
    """Return frames of the class of the chain through the VM."""
    head = b"\x02\0\0\0\0\x01" + b"\x02\0\0\0\0\x02" + b"\x81\0\0\x05" + ETHERTYPE.to_bytes(2)
    return [(head + number.to_bytes(4)).ljust(68, b"\0") for number in range(count)]


def test_ports_of_a_guest_are_in_the_same_file(lab: Lab) -> None:
    """A frame passes tap:0, vhost:11, then phy:0 and phy:1 in the guest, vhost:111 and tap:1."""
    file, before = lab.folder / "web.pcapng", captured_ports(lab)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind((f"{lab.tap}a", 0))
    with capturing(lab, "web", "-w", str(file), "-f", "vlan 5 and ether proto 0x88b5", "-s", "128") as process:
        wait_for("the rings", lambda: captured_ports(lab) == before + 8)
        time.sleep(0.5)  # the rings of the guest
        for frame in tagged(COUNT):
            sock.send(frame)
            time.sleep(0.002)
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0 and process.stderr is not None
        summary = process.stderr.read().decode()
    sock.close()
    rows = fields(file, "frame.interface_name", "frame.time_epoch")
    first = {}
    for name, when in rows:
        first.setdefault(name, float(when))
    path = [
        "nfv:2 tap:0 rx", "nfv:2 vhost:11 tx", "nfv:11 phy:0 rx", "nfv:11 phy:1 tx", "nfv:2 vhost:111 rx",
        "nfv:2 tap:1 tx",
    ]  # fmt: skip
    assert [[name for name, _ in rows].count(name) for name in path] == [COUNT] * 6, (rows[:9], summary)
    times = [first[name] for name in path]
    assert all(later > earlier - CLOCK_ERROR for earlier, later in itertools.pairwise(times)), times
    assert [when for _, when in rows] == sorted(when for _, when in rows)


def test_capture_of_a_guest_ends_without_a_reader(lab: Lab) -> None:
    with capturing(lab, "vm_v11:phy:0", "-w", str(lab.folder / "guest.pcapng")) as process:
        wait_for("the capture", lambda: lab.control.capture_guest("nfv:11", "read").get("active"))
        os.kill(process.pid, signal.SIGKILL)
    time.sleep(6)  # no read keeps it alive
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind((f"{lab.tap}a", 0))
    sock.send(tagged(1)[0])  # the guest notices with the next frame
    sock.close()
    time.sleep(0.5)
    assert lab.control.capture_guest("nfv:11", "read")["active"] is False


def test_capture_writes_to_a_pipe_and_ends_with_its_reader(lab: Lab) -> None:
    before = captured_ports(lab)
    with capturing(lab, "tap:0", "-d", "rx", "-w", "-", "-c", "10") as process:
        wait_for("the ring", lambda: captured_ports(lab) == before + 1)
        cross(lab)
        out, _ = process.communicate(timeout=10)
    assert process.returncode == 0 and out[:4] == b"\x0a\x0d\x0d\x0a"
    with capturing(lab, "tap:0", "-w", "-") as process:
        wait_for("the ring", lambda: captured_ports(lab) == before + 2)
        assert process.stdout is not None
        process.stdout.close()
        wait_for("the end", lambda: cross(lab) or process.poll() is not None)
        assert process.returncode == 0


def test_without_a_file_the_frames_are_printed(lab: Lab) -> None:
    before = captured_ports(lab)
    with capturing(lab, "tap:1", "-d", "tx", "-f", "ether proto 0x88b5", "-c", str(COUNT)) as process:
        wait_for("the ring", lambda: captured_ports(lab) == before + 1)
        cross(lab)
        out, err = process.communicate(timeout=20)
    lines = out.decode().splitlines()
    assert len(lines) == COUNT and "nfv:2 tap:1 tx" in lines[0], (lines[:3], err)


@pytest.mark.parametrize("printed", [False, True])
def test_sigkill_of_the_command_releases_the_memory_within_a_second(lab: Lab, printed: bool) -> None:
    before = captured_ports(lab)
    words = () if printed else ("-w", str(lab.folder / f"killed{time.time()}.pcapng"))
    with capturing(lab, "direct", *words) as process:
        wait_for("the rings", lambda: captured_ports(lab) == before + 4)
        os.kill(process.pid, signal.SIGKILL)
        wait_for("the memory is released", lambda: captured_ports(lab) == before, 1.5)
    cross(lab)


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        (["nothing"], 1, "nothing: neither a chain nor a port"),
        (["tap:0", "-d", "tx", "-w", "x.pcapng"], 0, ""),
        (["tap:0", "-f", "no such filter", "-w", "y.pcapng"], 2, "can't parse filter expression"),
        (["tap:0", "-s", "5"], 2, "Invalid value for '-s'"),
    ],
)
def test_wrong_words_are_refused(lab: Lab, words: list[str], status: int, error: str) -> None:
    if status == 0:  # tap:0 is filled by the reverse direction, so this capture runs
        with capturing(lab, *words) as process:
            wait_for("the file", (lab.folder / words[-1]).exists)
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        return
    done = lab.sppr("capture", *words)
    assert done.returncode == status and error in done.stderr, (done.returncode, done.stderr)


def test_existing_file_is_not_overwritten(lab: Lab) -> None:
    file = lab.folder / "mine.pcapng"
    file.write_text("mine")
    done = lab.sppr("capture", "tap:0", "-w", str(file))
    assert done.returncode == 1 and str(file) in done.stderr and file.read_text() == "mine", done.stderr
    assert json.loads(lab.sppr("chain", "--json").stdout)
