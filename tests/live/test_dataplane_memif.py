"""memif ports: peers that come, go and die, names of the socket, and a client that does all it can to harm."""

import contextlib
import itertools
import os
import random
import shutil
import signal
import statistics
from pathlib import Path

import pytest

from tests.live import memif
from tests.live.dataplane import (
    ETHERTYPE,
    Connection,
    Lab,
    Process,
    crosses,
    idle_percent,
    send_all,
    stands_still,
    wait_for,
    wake_latencies,
)

pytestmark = pytest.mark.live


@pytest.fixture(scope="module", autouse=True)
def _testpmd() -> None:
    assert shutil.which("dpdk-testpmd"), "apt-get install dpdk-dev"


def start(lab: Lab, number: int = 0) -> tuple[Process, Connection, Path]:
    """tap:0 -> memif:0 -> tap:1 by nfv ``number``, or by the primary; the socket."""
    process, connection = lab.start_primary()
    if number > 0:
        process, connection = lab.start_nfv(number)
    connection.ok("add memif:0", "patch tap:0 memif:0", "patch memif:0 tap:1", "forward")
    return process, connection, lab.sockets / "spp-memif.sock"


def hand(lab: Lab, path: Path) -> memif.Client:
    return lab.stack.enter_context(contextlib.closing(memif.Client(path)))


def held(process: Process) -> tuple[int, int]:
    """How many fds are open, and how many regions of clients are mapped."""
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    return len(os.listdir(f"/proc/{process.pid}/fd")), maps.count("memif")


def frame(number: int, size: int = 64) -> bytes:
    return (b"\x02\0\0\0\0\x01" b"\x02\0\0\0\0\x02" + ETHERTYPE.to_bytes(2) + number.to_bytes(4)).ljust(size, b"\0")


@pytest.mark.parametrize("number", [0, 1])
def test_peers_come_and_go(lab: Lab, number: int) -> None:
    """Both ways through testpmd; it ends by itself, then it is killed; each next one finds the port, nothing leaks."""
    process, connection, path = start(lab, number)
    source, sink = lab.tap_ends()
    before = held(process)
    for signo in (signal.SIGINT, signal.SIGKILL, signal.SIGINT):
        peer = memif.testpmd(lab, path)
        crosses(source, sink)
        sink.drain()
        assert send_all(source, sink, 300, window=4) == list(range(300))
        peer.terminate(signo)
        wait_for("all given back", lambda: held(process) == before)
        stands_still(source, sink)
    assert process.text().count("memif:0: the peer has gone") == 3
    connection.ok("del memif:0")
    assert list(lab.sockets.iterdir()) == []
    assert process.terminate() == 0
