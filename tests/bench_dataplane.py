"""The data plane against dpdk-testpmd, as ratios of one run.

Each figure is the median of five, ours and theirs in turns, with the forwarding worker pinned to CPU 1. "Mpps" is
millions of packets a second that the forwarding process receives, all directions together.
"""

import contextlib
import functools
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.bench_results import Results  # noqa: E402
from tests.bench_vhost import MIDDLE_WAITED, TRIES, Worker, vhost  # noqa: E402
from tests.live.dataplane_lab import (  # noqa: E402
    Connection,
    Lab,
    Process,
    crosses,
    idle_percent,
    prepare_hugepages,
    start_chain,
    wait_for,
    wake_latencies,
)

ROUNDS = 5
PROBE_ROUNDS = 12  # the goal is within 1 %: single ratios differ by more
SECONDS = 1.0
NULLS = ("net_null0", "net_null1")


@contextlib.contextmanager
def fresh_lab() -> Iterator[Lab]:
    fresh_lab.count += 1  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory(prefix="sppr-bench-") as folder:
        lab = Lab(Path(folder), 900 + fresh_lab.count)  # type: ignore[attr-defined]
        try:
            yield lab
        finally:
            lab.close()


fresh_lab.count = 0  # type: ignore[attr-defined]


def mpps(counter: Callable[[], int]) -> float:
    time.sleep(0.2)
    before, start = counter(), time.perf_counter()
    time.sleep(SECONDS)
    return (counter() - before) / (time.perf_counter() - start) / 1e6


def core_share(process: Process) -> Callable[[], float]:
    """Return the share of a core that the process got since this call. A polling worker needs a whole core."""
    before, start = process.cpu_seconds(), time.perf_counter()
    return lambda: max(0.05, min(1.0, (process.cpu_seconds() - before) / (time.perf_counter() - start)))


def received(primary: Connection) -> int:
    return sum(port["rx"] for port in primary.status()["phy_ports"])


def testpmd_mpps(lab: Lab, argv: list[str]) -> float:
    """Return the rate of its third second from its own statistics, all ports, as packets a second of CPU time."""
    process = lab.run(f"testpmd{len(lab.processes)}", argv)
    ports = sum(word.startswith("net_null") for word in argv)

    def rates() -> list[float]:
        return [float(text) for text in re.findall(r"Rx-pps:\s+(\d+)", process.text())]

    wait_for("two reports of testpmd", lambda: len(rates()) >= 2 * ports)
    share = core_share(process)
    wait_for("three reports of testpmd", lambda: len(rates()) >= 3 * ports)
    rate = sum(rates()[2 * ports : 3 * ports]) / 1e6 / share()
    process.terminate()
    return rate


def null_argv(lab: Lab, *vdevs: str) -> list[str]:
    topology = "loop" if len(vdevs) == 1 else "paired"
    return [
        *("dpdk-testpmd", "--lcores", "0@0,1@1", "-n", "1", "--no-pci", "--in-memory", "-m", "64"),
        *("--file-prefix", f"{lab.prefix}n", *(word for vdev in vdevs for word in ("--vdev", vdev))),
        *("--", "--forward-mode=io", f"--port-topology={topology}", "--nb-cores=1", "--total-num-mbufs=8192"),
        "--stats-period=1",
    ]


def in_turns(ours: Callable[[], float], theirs: Callable[[], float], times: int) -> tuple[float, float]:
    pairs = [(ours(), theirs()) for _ in range(times)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def null_to_null(results: Results) -> None:
    """Measure one patch, and one patch in each direction, on one core, as packets a second of CPU time.

    CPU time makes the figures of a busy machine and of an idle one comparable.
    """
    with fresh_lab() as lab:
        _, primary = lab.start_primary(vdevs=NULLS, lcores="0@0")
        process, nfv = lab.start_nfv(1)

        def ours() -> float:
            nfv.ok("forward")
            time.sleep(0.2)
            share = core_share(process)
            rate = mpps(lambda: received(primary)) / share()
            nfv.ok("stop")
            return rate

        for name, patches, vdevs in (
            ("one direction", ["patch nullpmd:0 nullpmd:0"], NULLS[:1]),
            ("both directions", ["patch nullpmd:0 nullpmd:1", "patch nullpmd:1 nullpmd:0"], NULLS),
        ):
            nfv.ok(*patches)
            argv = null_argv(lab, *vdevs)
            mine, other = in_turns(ours, lambda argv=argv: testpmd_mpps(lab, argv), results.times(ROUNDS))  # type: ignore[misc]
            results.add(f"null -> null, {name}, Mpps", mine)
            results.add(f"null -> null, {name}, testpmd io, Mpps", other)
            results.add(f"null -> null, {name} / testpmd io", mine / other)
            nfv.ok("patch reset")


def sunk(nfv: Connection) -> int:
    return int(nfv.ask("probe result probe:0")["probe"]["sink"]["received"])


def probe(results: Results) -> None:
    """Measure a probe patched to itself, and what an unused probe costs null -> null, as frames a second of CPU time.

    An unused probe must cost nothing: it is added and deleted in turns.
    """
    with fresh_lab() as lab:
        _, primary = lab.start_primary(vdevs=NULLS, lcores="0@0")
        process, nfv = lab.start_nfv(1)

        def rate(counter: Callable[[], int]) -> float:
            nfv.ok("forward")
            time.sleep(0.2)
            share = core_share(process)
            measured = mpps(counter) / share()
            nfv.ok("stop")
            return measured

        nfv.ok("add probe:0", "patch probe:0 probe:0", "probe expect probe:0 flow=1 key=1")
        for name, size in (("64 B", 64), ("1518 B", 1518), ("9000 B", 9000)):
            frames = []
            for _ in range(results.times(ROUNDS)):
                nfv.ok("probe expect probe:0 flow=1 key=1", f"probe start probe:0 flow=1 key=1 size={size}")
                frames.append(rate(lambda: sunk(nfv)))
            results.add(f"probe, {name} frames made and checked on one core, M/s", statistics.median(frames))
        nfv.ok("patch reset", "del probe:0", "patch nullpmd:0 nullpmd:0")
        ratios = []
        for i in range(results.times(PROBE_ROUNDS)):
            rates = {}
            for added in (True, False) if i % 2 else (False, True):  # each is first in half of the runs
                nfv.ok(*["add probe:0"] * added)
                rates[added] = rate(lambda: received(primary))
                nfv.ok(*["del probe:0"] * added)
            ratios.append(rates[True] / rates[False])
        results.add("null -> null with an unused probe added over without", statistics.median(ratios))


def null_ring_null(results: Results) -> None:
    """Measure a chain of two secondaries, a core each.

    A rate counts when neither secondary waited for its CPU. The rate of CPU time, of the secondary that used more,
    always counts.
    """
    tries = 1 if results.smoke else TRIES
    with fresh_lab() as lab:
        _, primary = lab.start_primary(vdevs=NULLS, lcores="0@0")
        first, one = lab.start_nfv(1)
        second, two = lab.start_nfv(2)
        workers = [Worker(first), Worker(second)]
        one.ok("add ring:0", "patch nullpmd:0 ring:0", "forward")
        two.ok("add ring:0", "patch ring:0 nullpmd:1", "forward")
        rates: list[tuple[float, float, float]] = []  # a second, a second of CPU time, share waited
        while len(rates) < tries and sum(waited < MIDDLE_WAITED for *_, waited in rates) < ROUNDS:
            before, start = [worker.seconds() for worker in workers], time.perf_counter()
            rate = mpps(lambda: int(primary.status()["ring_ports"][0]["rx"]))
            took = time.perf_counter() - start
            ran, waited = zip(
                *((b[0] - a[0], b[1] - a[1]) for a, b in zip(before, (w.seconds() for w in workers), strict=True)),
                strict=True,
            )
            rates.append((rate, rate * took / max(*ran, 1e-3), max(waited) / took))
        counted = [rate for rate, _, waited in rates if waited < MIDDLE_WAITED]
        results.add("null -> ring -> null, rounds that count", len(counted))
        none = "" if counted else f"no round of {len(rates)} counts, the machine is busy"
        results.add("null -> ring -> null, Mpps", statistics.median(counted) if counted else None, none)
        results.add("null -> ring -> null, Mpps of CPU time", statistics.median(rate for _, rate, _ in rates))


def cats_wake_latencies(count: int, rest: float = 0.05) -> list[float]:
    """Return the times, in seconds, of a byte through two ``cat`` that slept for ``rest``, on the CPUs of the workers.

    This is the time in which the machine wakes two processes. On halted virtual CPUs it is most of the chain's time.
    """
    took = []
    first = subprocess.Popen(["taskset", "-c", "1", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    second = subprocess.Popen(["taskset", "-c", "0", "cat"], stdin=first.stdout, stdout=subprocess.PIPE, bufsize=0)
    with second, first:
        assert first.stdin is not None
        assert first.stdout is not None
        assert second.stdout is not None
        first.stdout.close()
        for _ in range(count):
            time.sleep(rest)
            start = time.perf_counter()
            first.stdin.write(b"x")
            assert second.stdout.read(1) == b"x"
            took.append(time.perf_counter() - start)
        first.stdin.close()
    return took


def idle(results: Results) -> None:
    """Measure what an idle chain costs, and how long a packet takes across it after a rest."""
    with fresh_lab() as lab:
        start_chain(lab)
        source, sink = lab.tap_ends()
        crosses(source, sink)
        sink.drain()
        busiest = max(idle_percent(lab.processes, 0.5 if results.smoke else 5.0))
        results.add("idle, % of a core, the busiest of primary and two nfv", busiest)
        count = 5 if results.smoke else 200
        took = wake_latencies(source, sink, count)
        results.add("first packet after idle, median, us", statistics.median(took) * 1e6)
    results.add(
        "first byte through two cat after idle, median, us", statistics.median(cats_wake_latencies(count)) * 1e6
    )


def main() -> int:
    prepare_hugepages()
    results = Results(__doc__)
    benches = {"null": null_to_null, "probe": probe, "ring": null_ring_null, "vhost": vhost, "idle": idle}
    return results.run({name: functools.partial(bench, results) for name, bench in benches.items()})


if __name__ == "__main__":
    sys.exit(main())
