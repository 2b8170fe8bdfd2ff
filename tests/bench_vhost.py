"""vhost in the middle: spp_nfv against dpdk-testpmd's net_vhost, each with a testpmd as virtio-user peer of its own.

Both sides run all the time. SIGSTOP stops the side that is not measured, so a round needs no start, and the sides are
measured in turns of half a second. The peer on CPU 0 sends frames, and counts those that the middle on CPU 1 returns.

A round counts when both forwarding threads had their CPU: the peer, which always polls, ran more than 95 % of the
time, and the middle waited for a CPU less than 5 %. A pair counts when both its rounds do.
"""

import contextlib
import itertools
import json
import signal
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench_results import Results
from tests.live.dataplane_lab import Lab, Process, vhost_peer_argv, wait_for

PAIRS = 5
TRIES = 60
SECONDS = 0.5
SETTLE = 0.1
PEER_RAN = 0.95
MIDDLE_WAITED = 0.05
numbers = itertools.count(950)


class Worker:
    """The thread of a DPDK process that forwards, by the beginning of its name."""

    def __init__(
        self, process: Process, name: str | tuple[str, ...] = ("rte-worker", "dpdk-worker", "lcore-slave")
    ) -> None:
        tasks = Path(f"/proc/{process.pid}/task").iterdir()
        self.schedstat = next(t for t in tasks if (t / "comm").read_text().startswith(name)) / "schedstat"

    def seconds(self) -> tuple[float, float]:
        """Return the seconds in which the thread ran, and in which it waited for a CPU."""
        ran, waited = self.schedstat.read_text().split()[:2]
        return int(ran) / 1e9, int(waited) / 1e9


@dataclass(frozen=True)
class Round:
    """Rates of a round, in millions of packets, and shares of its time."""

    mpps: float
    peer_ran: float
    middle_ran: float
    middle_waited: float

    @property
    def counts(self) -> bool:
        return self.peer_ran > PEER_RAN and self.middle_waited < MIDDLE_WAITED

    @property
    def per_cpu_second(self) -> float:
        """Rate of the middle per second of CPU time. A middle that sleeps while idle uses less than one that spins."""
        return self.mpps / self.middle_ran


class Side:
    """A middle with its peer, stopped except in a round."""

    def __init__(self, lab: Lab, middle: Process, size: int, *, sleeps: bool) -> None:
        flood = ("--forward-mode=flowgen", "--port-topology=loop", f"--txpkts={size}")
        peer = lab.run("peer", vhost_peer_argv(lab, lab.sockets / "sock0", *flood, lcores="0@0,1@0"))
        self.telemetry = Path(f"/var/run/dpdk/{lab.prefix}p/dpdk_telemetry.v2")
        wait_for("the peer's telemetry", self.listens)
        wait_for("traffic", lambda: self.received() > 0)
        self.peer, self.middle = Worker(peer), Worker(middle)
        self.stoppable = [peer] if sleeps else [peer, middle]
        self.signal(signal.SIGSTOP)

    def signal(self, signo: int) -> None:
        for process in self.stoppable:
            process.popen.send_signal(signo)

    def listens(self) -> bool:
        """Return whether the peer answers. Its socket exists a moment before it listens."""
        try:
            self.received()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    def received(self) -> int:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.connect(str(self.telemetry))
            sock.recv(1024)  # its introduction
            sock.send(b"/ethdev/stats,0")
            return int(json.loads(sock.recv(1 << 16))["/ethdev/stats"]["ipackets"])

    def sample(self) -> tuple[float, int, float, float, float]:
        return time.perf_counter(), self.received(), self.peer.seconds()[0], *self.middle.seconds()

    def round(self) -> Round:
        self.signal(signal.SIGCONT)
        time.sleep(SETTLE)
        before = self.sample()
        time.sleep(SECONDS)
        took, packets, peer, ran, waited = (b - a for a, b in zip(before, self.sample(), strict=True))
        self.signal(signal.SIGSTOP)
        return Round(packets / took / 1e6, peer / took, max(ran, 1e-3) / took, waited / took)


def net_vhost_argv(lab: Lab, path: Path) -> list[str]:
    return [
        *("dpdk-testpmd", "--lcores", "0@0,1@1", "-n", "1", "--no-pci", "--in-memory", "-m", "64"),
        *("--log-level", "lib.vhost.config:3", "--file-prefix", f"{lab.prefix}v"),
        *("--vdev", f"net_vhost0,iface={path},queues=1", "--", "--forward-mode=io", "--port-topology=loop"),
        *("--nb-cores=1", "--total-num-mbufs=8192", "--stats-period=60"),
    ]


Sides = tuple[Side, Side]


@contextlib.contextmanager
def two_labs(theirs: type[Lab] = Lab) -> Iterator[tuple[Lab, Lab]]:
    """A lab for each side, the second of the class ``theirs``."""
    with contextlib.ExitStack() as stack:

        def lab(kind: type[Lab]) -> Lab:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sppr-bench-"))
            return stack.enter_context(contextlib.closing(kind(Path(folder), next(numbers))))

        yield lab(Lab), lab(theirs)


def our_side(lab: Lab, size: int) -> Side:
    """Start our nfv with its peer."""
    lab.start_primary(vdevs=("net_null0", "net_null1"), lcores="0@0")
    nfv, connection = lab.start_nfv(1)
    connection.ok("add vhost:0", "patch vhost:0 vhost:0", "forward")
    return Side(lab, nfv, size, sleeps=True)


@contextlib.contextmanager
def two_sides(size: int) -> Iterator[tuple[Side, Side]]:
    with two_labs() as labs:
        ours = our_side(labs[0], size)
        path = labs[1].sockets / "sock0"
        testpmd = labs[1].run("middle", net_vhost_argv(labs[1], path))
        wait_for("its socket", path.exists)
        yield ours, Side(labs[1], testpmd, size, sleeps=False)


def vhost(results: Results) -> None:
    """Measure the ratios as medians over the pairs that count, so that a change that affects both sides cancels out.

    Without such a pair there is no rate, only the rate of CPU time, which is the median of all pairs.
    """
    compare(results, "vhost", "testpmd net_vhost", two_sides)


def compare(
    results: Results, kind: str, other_name: str, sides: Callable[[int], contextlib.AbstractContextManager[Sides]]
) -> None:
    """Compare the two sides that ``sides`` starts for a frame size, ours and that of ``other_name``."""
    tries = 1 if results.smoke else TRIES
    for size in (64, 1500):
        every: list[tuple[Round, Round]] = []
        with sides(size) as (ours, theirs):
            while len(every) < tries and len([p for p in every if p[0].counts and p[1].counts]) < PAIRS:
                every.append((ours.round(), theirs.round()))
        counted = [pair for pair in every if pair[0].counts and pair[1].counts]
        name = f"{kind}, {size} bytes"
        results.add(f"{name}, pairs of rounds that count", len(counted))
        none = "" if counted else f"no pair of {len(every)} counts, the machine is busy"
        mine, other = ([pair[side].mpps for pair in counted] for side in (0, 1))
        results.add(f"{name}, Mpps", _median(mine), none)
        results.add(f"{name}, {other_name}, Mpps", _median(other), none)
        ratios = [a / b for a, b in zip(mine, other, strict=True)]
        results.add(f"{name} / {other_name}", _median(ratios), none)
        results.add(
            f"{name} / {other_name}, of CPU time of the middle",
            _median([a.per_cpu_second / b.per_cpu_second for a, b in counted or every]),
        )


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None
