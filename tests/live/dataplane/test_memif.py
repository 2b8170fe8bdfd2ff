"""memif ports: peers that connect, leave and crash, names of the socket, and hostile clients."""

import contextlib
import itertools
import os
import random
import shutil
import signal
import statistics
import time
from pathlib import Path

import pytest

from tests.live.dataplane import memif
from tests.live.dataplane_lab import (
    ETHERTYPE,
    Connection,
    Lab,
    Process,
    TapEnd,
    crosses,
    idle_percent,
    listening,
    send_all,
    stands_still,
    wait_for,
)

pytestmark = pytest.mark.live


@pytest.fixture(scope="module", autouse=True)
def _testpmd() -> None:
    assert shutil.which("dpdk-testpmd"), "apt-get install dpdk-dev"


def start(lab: Lab, number: int = 0) -> tuple[Process, Connection, Path]:
    """Start tap:0 -> memif:0 -> tap:1 in nfv ``number``, or in the primary. Return the socket."""
    process, connection = lab.start_primary()
    if number > 0:
        process, connection = lab.start_nfv(number)
    connection.ok("add memif:0", "patch tap:0 memif:0", "patch memif:0 tap:1", "forward")
    return process, connection, lab.sockets / "spp-memif.sock"


def client_at(lab: Lab, path: Path) -> memif.Client:
    return lab.stack.enter_context(contextlib.closing(memif.Client(path)))


def resources(process: Process) -> tuple[int, int]:
    """Return the number of open fds, and of mapped regions of clients."""
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir())), maps.count("memif")


def frame(number: int, size: int = 64) -> bytes:
    return (b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02" + ETHERTYPE.to_bytes(2) + number.to_bytes(4)).ljust(size, b"\0")


def next_number(client: memif.Client) -> int:
    """Return the number of the next test frame. The kernel sends some frames of its own from a tap."""
    while (data := client.receive())[12:14] != ETHERTYPE.to_bytes(2):
        pass
    return int.from_bytes(data[14:18])


@pytest.mark.parametrize("number", [0, 1])
def test_peers_can_reconnect_without_leaks(lab: Lab, number: int) -> None:
    """Both directions through testpmd. The peer ends, then a peer is killed; the next one connects, nothing leaks."""
    process, connection, path = start(lab, number)
    source, sink = lab.tap_ends()
    before = resources(process)
    for signo in (signal.SIGINT, signal.SIGKILL, signal.SIGINT):
        peer = memif.testpmd(lab, path)
        crosses(source, sink)
        sink.drain()
        assert send_all(source, sink, 300, window=4) == list(range(300))
        peer.terminate(signo)
        wait_for("all given back", lambda: resources(process) == before)
        stands_still(source, sink)
    assert process.text().count("memif:0: the peer disconnected") == 3
    connection.ok("del memif:0")
    assert list(lab.sockets.glob("*memif*")) == []
    assert process.terminate() == 0


def test_socket_names_of_several_processes(lab: Lab) -> None:
    """Each process has its own name. SPP's name is a link to the first one. Names of a killed process are reused."""
    _, primary = lab.start_primary()
    dead, one = lab.start_nfv(1)
    _, two = lab.start_nfv(2)
    common, own = lab.sockets / "spp-memif.sock", [lab.sockets / f"spp-memif.{n}.sock" for n in range(3)]
    one.ok("add memif:0", "add memif:1")
    two.ok("add memif:0")
    primary.ok("add memif:0")
    assert all(path.is_socket() for path in own) and common.readlink() == Path(own[1].name)
    for path, number in ((common, 0), (own[1], 1), (own[2], 0), (own[0], 0)):
        client_at(lab, path).connect(number)
    one.ok("del memif:0")
    assert common.exists()
    dead.kill()
    wait_for("the dead one's socket is shut", lambda: not common.exists() or not listens(common.resolve()))
    primary.ok("add memif:1")  # keeps the name it has
    two.ok("del memif:0", "add memif:0")
    assert common.readlink() == Path(own[2].name)
    restarted, one = lab.start_nfv(1)
    one.ok("add memif:0")
    assert "is another process's" in restarted.text()
    client_at(lab, own[1]).connect()
    client_at(lab, common).connect()
    two.ok("del memif:0")
    assert not common.exists() and not own[2].exists() and own[1].is_socket()
    one.ok("del memif:0")
    primary.ok("del memif:0", "del memif:1")
    assert list(lab.sockets.glob("*memif*")) == []


def listens(path: Path) -> bool:
    lines = (line.split() for line in Path("/proc/net/unix").read_text().splitlines())
    return any(words[-1] == str(path) and words[3] == "00010000" for words in lines)


def test_foreign_files_at_the_socket_names_are_kept(lab: Lab) -> None:
    """A file, server or link of another program at SPP's name is kept. A stale socket is replaced."""
    lab.start_primary()
    _, nfv = lab.start_nfv(1)
    common = lab.sockets / "spp-memif.sock"
    common.write_text("mine")
    nfv.ok("add memif:0", "del memif:0")
    assert common.read_text() == "mine"
    common.unlink()
    common.symlink_to("elsewhere")
    nfv.ok("add memif:0", "del memif:0")
    assert common.readlink() == Path("elsewhere")
    common.unlink()
    with listening(common):
        nfv.ok("add memif:0", "del memif:0")
        assert common.is_socket()
    nfv.ok("add memif:0")  # no process listens there any more
    assert common.readlink() == Path("spp-memif.1.sock")
    (lab.sockets / "spp-memif.1.sock").unlink()
    (lab.sockets / "spp-memif.1.sock").write_text("not ours")
    nfv.ok("del memif:0")
    assert (lab.sockets / "spp-memif.1.sock").read_text() == "not ours"
    assert "not a socket" in nfv.ask("add memif:0")["message"]
    for name in ("memif:", "memif:x", "memif:-1", "memif:0nq1", "memif:99999", "memif:00", "memif:1 memif:2"):
        nfv.failed(f"add {name}")
    assert nfv.status()["ports"] == ["tap:0", "tap:1"]


def test_net_memif_of_the_primary_does_not_conflict(lab: Lab) -> None:
    """A port of DPDK's driver works in its own process only. A secondary may have a memif of the same number."""
    common = lab.sockets / "spp-memif.sock"
    device = f"net_memif0,id=0,role=server,socket={common},socket-abstract=no"
    lab.start_primary(vdevs=(f"net_tap0,iface={lab.taps[0]}", device))
    assert common.is_socket() and not common.is_symlink()
    process, nfv = lab.start_nfv(1)
    assert nfv.status()["ports"] == ["tap:0"]
    nfv.ok("add memif:0", "patch tap:0 memif:0", "forward")
    client_at(lab, lab.sockets / "spp-memif.1.sock").connect()
    process.wait_printed("a peer is there (hand)")
    nfv.ok("del memif:0")
    assert [path.name for path in lab.sockets.glob("*memif*")] == [common.name]


def test_memif_can_be_deleted_during_traffic(lab: Lab) -> None:
    """memif:0 is deleted and added under full load. The tap patch on the same worker loses nothing."""
    process, _ = lab.start_primary()
    process, nfv = lab.start_nfv(1)
    nfv.ok("add nullpmd:0", "add memif:0", "patch tap:0 tap:1", "forward")
    source, sink = lab.tap_ends()
    crosses(source, sink)
    sink.drain()
    path = lab.sockets / "spp-memif.sock"
    numbers = itertools.count(step=50)
    for _ in range(5):
        nfv.ok("patch nullpmd:0 memif:0", "patch memif:0 nullpmd:0")
        peer = memif.testpmd(lab, path)
        peer.wait_printed("Port statistics")
        wait_for("frames to and fro", lambda peer=peer: received(peer) > 10_000)
        first = next(numbers)
        assert send_all(source, sink, 50, first=first) == list(range(first, first + 50))
        nfv.ok("del memif:0")
        assert not path.exists()
        peer.kill()
        nfv.ok("add memif:0")
    assert sorted(nfv.status()["ports"]) == ["memif:0", "nullpmd:0", "tap:0", "tap:1"]
    assert process.terminate() == 0


def test_clients_can_leave_during_traffic(lab: Lab) -> None:
    """Each client leaves while the worker uses its memory, which is unmapped only after that."""
    lab.start_primary()
    process, nfv = lab.start_nfv(1, workers=2)
    nfv.ok("add nullpmd:0", "add memif:0", "patch nullpmd:0 memif:0", "patch memif:0 nullpmd:0", "forward")
    path = lab.sockets / "spp-memif.sock"
    before = resources(process)
    for number in range(200):
        with contextlib.closing(memif.Client(path)) as client:
            client.connect()
            client.offer()
            client.send(frame(number))
            wait_for("frames to the client", lambda client=client: client.word(memif.TO_CLIENT + 64) >= memif.SLOTS)
            client.offer()
        wait_for("gone", lambda number=number: process.text().count("the peer disconnected") == number + 1)
    wait_for("all given back", lambda: resources(process) == before)  # the line is printed before
    assert process.terminate() == 0


def received(peer: Process) -> int:
    words = [line.split() for line in peer.text().splitlines() if "RX-packets:" in line]
    return int(words[-1][1]) if words else 0


def latency(client: memif.Client, sink: TapEnd, number: int) -> float:
    start = time.perf_counter()
    client.send(frame(number))
    while sink.receive(5.0) != number:
        assert time.perf_counter() - start < 5, "a frame after idle was lost"
    return time.perf_counter() - start


def test_idle_worker_sleeps_and_is_woken(lab: Lab) -> None:
    process, _, path = start(lab, 1)
    source, sink = lab.tap_ends()
    client = client_at(lab, path)
    client.connect()
    client.offer()
    source.send(7)
    assert next_number(client) == 7
    seen: list[float] = []

    def quiet() -> bool:
        seen.extend(idle_percent([process], 2.0))
        return seen[-1] < 1.0 or len(seen) == 3

    wait_for("a measurement", quiet)
    assert seen[-1] < 1.0, seen
    took = []
    for number in range(20):
        wait_for("asleep, and asks for an event", lambda: not client.word(memif.TO_SERVER + 4) & 1)
        took += [latency(client, sink, number)]
    print(f"idle {seen} %; memif -> nfv -> tap after idle: median {statistics.median(took) * 1e6:.0f} us")
    assert statistics.median(took) < 0.005
    # the client sleeps, too, and receives an event in any mode of its eventfd
    client.word(memif.TO_CLIENT + 4, 0)
    os.eventfd_read(client.events[0])
    os.eventfd_write(client.events[0], 2**64 - 2)
    os.set_blocking(client.events[0], True)
    for number in range(3):
        source.send(number)
        assert next_number(client) == number
    assert os.eventfd_read(client.events[0]) > 2**63
    source.send(9)
    assert next_number(client) == 9
    assert os.eventfd_read(client.events[0]) > 0
    latency(client, sink, 10)


def test_frames_in_several_descriptors(lab: Lab) -> None:
    """memif:0 -> memif:1: frames arrive in any number of descriptors, and leave in the offered buffers."""
    _, nfv, path = start(lab, 1)
    nfv.ok("add memif:1", "patch memif:0 memif:1")
    one, two = client_at(lab, path), client_at(lab, path)
    one.connect(0)
    two.connect(1)
    two.offer()
    dice = random.Random(5)  # noqa: S311 (no secret)
    for size in (14, 60, 1514, 2047, 2048, 2049, 2176, 4096, 9000, 16384):
        data = dice.randbytes(size)
        for step in (max(1, size // 9), 2048):
            one.send(*(data[i : i + step] for i in range(0, size, step)))
            assert two.receive() == data
    for wrong in (13, 16385):
        data = bytes(wrong)
        one.send(*(data[i : i + 2048] for i in range(0, wrong, 2048)))
    one.send(*(b"x" * 20 for _ in range(17)))
    one.send(frame(3))
    assert two.receive() == frame(3)


REFUSED = {
    "Incompatible memif version": lambda c: c.init(version=0x100),
    "Only ethernet mode supported": lambda c: c.init(mode=1),
    "ID not found": lambda c: c.init(5),
    "Unexpected message": lambda c: c.region(),
    "Region not sealed against shrinking": lambda c: c.init() and c.region(seal=False),
    "Wrong region size": lambda c: c.init() and c.region(size=memif.REGION + 1),
    "Invalid region index": lambda c: c.init() and c.region(index=1),
    "Missing region fd": lambda c: c.init() and c.send_message(memif.ADD_REGION, b"\0\0\0\x10"),
    "Ring too large": lambda c: prepared(c).ring(0, log2=15),
    "Ring in an unknown region": lambda c: prepared(c).ring(0, region=1),
    "Ring outside of its region": lambda c: prepared(c).ring(memif.REGION - memif.RING + 16),
    "Invalid ring index": lambda c: prepared(c).ring(0, index=1),
    "Missing interrupt fd": lambda c: prepared(c).ring(0, fd=0),
    "A ring is missing": lambda c: prepared(c).send_message(memif.CONNECT),
    "Wrong cookie": lambda c: [c := prepared(c), c.ring(0), c.ring(memif.RING), c.send_message(memif.CONNECT)][-1],
}


def prepared(client: memif.Client) -> memif.Client:
    assert client.init()[0] == client.region()[0] == memif.ACK
    return client


def test_invalid_clients_are_refused(lab: Lab) -> None:
    """Each gets a reason. None keeps a resource of the process, or blocks another client."""
    process, _, path = start(lab, 1)
    before = resources(process)
    for why, wrong in REFUSED.items():
        with contextlib.closing(memif.Client(path)) as client:
            assert wrong(client) == (memif.DISCONNECT, why)
            assert client.answer() == (0, b"")
    strangers = [client_at(lab, path) for _ in range(20)]  # send no message
    for stranger in strangers[-4:]:
        stranger.sock.send(b"x" * 127)
    client = client_at(lab, path)
    client.connect()
    with contextlib.closing(memif.Client(path)) as second:
        assert second.init() == (memif.DISCONNECT, "Already connected")
    assert client.send_message(memif.CONNECT) == (memif.DISCONNECT, "Unexpected message")
    lab.stack.close()
    wait_for("all given back", lambda: resources(process) == before)


def test_client_that_corrupts_its_rings_loses_only_its_frames(lab: Lab) -> None:
    """Another patch loses nothing, and the next client works."""
    process, nfv, path = start(lab, 1)
    own = os.getpid() % 2000 + 7000
    nfv.ok(f"add tap:{own}", f"patch tap:{own} tap:0")
    source, sink = lab.tap_ends()
    beside, _ = lab.tap_ends(f"vtap{own}", f"vtap{own}")
    client = client_at(lab, path)
    client.connect()
    client.offer()
    client.send(frame(1))
    assert sink.receive(5.0) == 1
    dice = random.Random(3)  # noqa: S311 (no secret)
    memory = client.memory
    assert memory is not None
    for number in range(300):
        at = dice.choice((memif.TO_SERVER, memif.TO_CLIENT))
        match number % 4:
            case 0:
                memory[at + 4 : at + 128] = dice.randbytes(124)
            case 1:
                memory[at + 128 : at + memif.RING] = dice.randbytes(memif.RING - 128)
            case 2:
                length, offset = (
                    dice.choice((0, 1, 2048, 2**31, 2**32 - 1)),
                    dice.choice((0, memif.REGION - 1, 2**32 - 1)),
                )
                client.describe(
                    at, dice.randrange(64), dice.randrange(4), dice.choice((0, 0, 1, 65535)), length, offset
                )
                client.word(at + 6, client.word(at + 64) + dice.choice((1, 64, 65)))
            case _:
                memory[at : at + memif.REGION - memif.RING] = bytes([number % 256]) * (memif.REGION - memif.RING)
        source.send(number)
        if number % 10 == 0:
            beside.send(number)
            wait_for("the patch beside", lambda number=number: source.receive(5.0) == number)
    client.close()
    process.wait_printed("the peer's indexes were impossible")
    with contextlib.closing(memif.Client(path)) as good:
        good.connect()
        good.offer()
        sink.drain()
        good.send(frame(77))
        assert sink.receive(5.0) == 77
        source.send(78, 1514)
        wait_for("the tap's frame", lambda: next_number(good) == 78)
    assert process.terminate() == 0
