"""``make bench``, second part: the data plane against dpdk-testpmd, as ratios of one run, added to build/bench.json.

Each figure is the median of five, ours and theirs in turns, with the forwarding worker pinned to CPU 1. "Mpps" is
millions of packets a second received by what forwards them, all its directions together.
"""

import contextlib
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.live.dataplane import (  # noqa: E402
    Connection,
    Lab,
    Process,
    crosses,
    idle_percent,
    prepare_hugepages,
    start_chain,
    vhost_peer_argv,
    wait_for,
    wake_latencies,
)

ROUNDS = 5
SECONDS = 1.0
DISTURBED = 0.03  # of a second, waiting for a CPU
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
    """What part of a core the process got since this call: a worker that only polls wants all of one."""
    before, start = process.cpu_seconds(), time.perf_counter()
    return lambda: max(0.05, min(1.0, (process.cpu_seconds() - before) / (time.perf_counter() - start)))


def received(primary: Connection) -> int:
    return sum(port["rx"] for port in primary.status()["phy_ports"])


def waited(process: Process) -> Callable[[], float]:
    """What part of the time since this call a thread of it was ready and had no CPU."""

    def nanoseconds() -> int:
        stats = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
        return sum(int(stat.read_text().split()[1]) for stat in stats)

    before, start = nanoseconds(), time.perf_counter()
    return lambda: (nanoseconds() - before) / (time.perf_counter() - start) / 1e9


def testpmd_mpps(lab: Lab, argv: list[str], whole_core: bool = False, beside: Process | None = None) -> float:
    """What its own statistics say of its third second: all ports. Of two processes in step, ``beside`` being the other,
    neither may wait for its CPU meanwhile: then the next second is looked at, at most eight.
    """
    process = lab.run(f"testpmd{len(lab.processes)}", argv)
    ports = sum(word.startswith(("net_null", "net_vhost", "net_virtio")) for word in argv)

    def rates() -> list[float]:
        return [float(text) for text in re.findall(r"Rx-pps:\s+(\d+)", process.text())]

    def wait_reports(count: int) -> None:
        wait_for(f"{count} reports of testpmd", lambda: len(rates()) >= count * ports)

    seconds: list[tuple[float, float]] = []  # how long one of them waited, and the rate
    for second in range(2, 10):
        wait_reports(second)
        share = core_share(process)
        waits = [waited(each) for each in (process, beside) if each]
        wait_reports(second + 1)
        rate = sum(rates()[second * ports : (second + 1) * ports]) / 1e6
        seconds.append((max(wait() for wait in waits), rate / share() if whole_core else rate))
        if beside is None or seconds[-1][0] < DISTURBED:
            break
    process.terminate()
    return min(seconds)[1]


def null_argv(lab: Lab, *vdevs: str) -> list[str]:
    topology = "loop" if len(vdevs) == 1 else "paired"
    return [
        *("dpdk-testpmd", "--lcores", "0@0,1@1", "-n", "1", "--no-pci", "--in-memory", "-m", "64"),
        *("--file-prefix", f"{lab.prefix}n", *(word for vdev in vdevs for word in ("--vdev", vdev))),
        *("--", "--forward-mode=io", f"--port-topology={topology}", "--nb-cores=1", "--total-num-mbufs=8192"),
        "--stats-period=1",
    ]


def in_turns(ours: Callable[[], float], theirs: Callable[[], float]) -> tuple[float, float]:
    pairs = [(ours(), theirs()) for _ in range(ROUNDS)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def null_to_null(figures: dict[str, float]) -> None:
    """One patch, and one in each direction, on one core: packets a second of CPU time, so that a busy machine tells the
    same as an idle one.
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
            mine, other = in_turns(ours, lambda argv=argv: testpmd_mpps(lab, argv, whole_core=True))  # type: ignore[misc]
            figures[f"null -> null, {name}, Mpps"] = mine
            figures[f"null -> null, {name}, testpmd io, Mpps"] = other
            figures[f"null -> null, {name} / testpmd io"] = mine / other
            nfv.ok("patch reset")


def null_ring_null(figures: dict[str, float]) -> None:
    """Over two secondaries, a core each."""
    with fresh_lab() as lab:
        _, primary = lab.start_primary(vdevs=NULLS, lcores="0@0")
        _, one = lab.start_nfv(1)
        _, two = lab.start_nfv(2)
        one.ok("add ring:0", "patch nullpmd:0 nullpmd:0", "forward")
        alone = statistics.median(mpps(lambda: received(primary)) for _ in range(ROUNDS))
        two.ok("add ring:0", "patch ring:0 nullpmd:1", "forward")
        one.ok("patch nullpmd:0 ring:0")
        rates = [mpps(lambda: int(primary.status()["ring_ports"][0]["rx"])) for _ in range(ROUNDS)]
        figures["null -> ring -> null, Mpps"] = statistics.median(rates)
        figures["null -> ring -> null / null -> null"] = statistics.median(rates) / alone


def vhost_argv(lab: Lab, path: Path) -> list[str]:
    return [
        *("dpdk-testpmd", "--lcores", "0@0,1@1", "-n", "1", "--no-pci", "--in-memory", "-m", "64"),
        *("--log-level", "lib.vhost.config:3", "--file-prefix", f"{lab.prefix}v"),
        *("--vdev", f"net_vhost0,iface={path},queues=1", "--", "--forward-mode=io", "--port-topology=loop"),
        *("--nb-cores=1", "--total-num-mbufs=8192", "--stats-period=1"),
    ]


def vhost(figures: dict[str, float]) -> None:
    """A virtio-user peer on CPU 0 sends and counts what the middle on CPU 1 sends back."""
    for size in (64, 1500):
        with fresh_lab() as lab:
            lab.start_primary(vdevs=NULLS, lcores="0@0")
            middle, nfv = lab.start_nfv(1)
            path = lab.sockets / "sock0"
            flood = ("--forward-mode=flowgen", "--port-topology=loop", f"--txpkts={size}")

            def peer(middle: Process, lab: Lab = lab, flood: tuple[str, ...] = flood, path: Path = path) -> float:
                return testpmd_mpps(lab, vhost_peer_argv(lab, path, *flood, lcores="0@0,1@0"), beside=middle)

            def ours(nfv: Connection = nfv, middle: Process = middle, peer: Callable[[Process], float] = peer) -> float:
                nfv.ok("add vhost:0", "patch vhost:0 vhost:0", "forward")
                rate = peer(middle)
                nfv.ok("del vhost:0")
                return rate

            def theirs(lab: Lab = lab, path: Path = path, peer: Callable[[Process], float] = peer) -> float:
                middle = lab.run(f"middle{len(lab.processes)}", vhost_argv(lab, path))
                wait_for("its socket", path.exists)
                rate = peer(middle)
                middle.terminate()
                path.unlink(missing_ok=True)
                return rate

            mine, other = in_turns(ours, theirs)
            figures[f"vhost, {size} bytes, Mpps"] = mine
            figures[f"vhost, {size} bytes, testpmd net_vhost, Mpps"] = other
            figures[f"vhost, {size} bytes / testpmd net_vhost"] = mine / other


def idle(figures: dict[str, float]) -> None:
    with fresh_lab() as lab:
        start_chain(lab)
        source, sink = lab.tap_ends()
        crosses(source, sink)
        sink.drain()
        figures["idle, % of a core, the busiest of primary and two nfv"] = max(idle_percent(lab.processes, 5.0))
        took = wake_latencies(source, sink, 200)
        figures["tap -> nfv -> ring -> nfv -> tap after idle, median, us"] = statistics.median(took) * 1e6


def main() -> None:
    prepare_hugepages()
    figures: dict[str, float] = {}
    benches = {"null": null_to_null, "ring": null_ring_null, "vhost": vhost, "idle": idle}
    for name, bench in benches.items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            known = len(figures)
            bench(figures)
            for key in list(figures)[known:]:
                figures[key] = round(figures[key], 3)
                print(f"{key}: {figures[key]}", flush=True)
    target = ROOT / "build" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    kept = json.loads(target.read_text()) if target.exists() else {}
    target.write_text(json.dumps(kept | figures, indent=1) + "\n")
    print(f"written to {target}")


if __name__ == "__main__":
    main()
