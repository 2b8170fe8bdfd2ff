"""Classifier, mirror and capture against a plain patch, as ratios of one run.

The plain patch and the component carry the same frames from the same source to null ports, in turns. A rate is frames
a second of CPU time of the worker, which is pinned to CPU 1. Each ratio is the median of the ratios of pairs. The pairs
are short and many, because the speed of a shared CPU changes by half from second to second.
"""

import functools
import itertools
import random
import statistics
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.bench_dataplane import fresh_lab, received  # noqa: E402
from tests.bench_results import Results  # noqa: E402
from tests.bench_vhost import Worker  # noqa: E402
from tests.live.dataplane.test_capture import Capture, result, send, start_probe  # noqa: E402
from tests.live.dataplane.test_components import lcores, start  # noqa: E402
from tests.live.dataplane_lab import prepare_hugepages, wait_for  # noqa: E402

ROUNDS = 5
PAIRS = 15
SECONDS = 0.15
SETTLE = 0.05
#: Vendor, and numbers as a hypervisor assigns them.
MACS = tuple(f"52:54:00:{number:02x}:{number * 37 % 256:02x}:{number * 101 % 256:02x}" for number in range(64))
REPLAYED = 1024
CAPTURED = 400_000  # frames of a capture of SNAPLEN 128: they fit into a ring of 64 MiB
FRAME = 60
CAPTURE_OPTIONS = ("-s", "128", "-b", str(64 << 20))


def rate(worker: Worker, counter: Callable[[], int]) -> float:
    """Return millions of frames a second of CPU time of the worker."""
    time.sleep(SETTLE)
    frames, (ran, _) = counter(), worker.seconds()
    time.sleep(SECONDS)
    wait_for("the worker to run", lambda: worker.seconds()[0] - ran > SECONDS / 2)  # others use this machine
    return (counter() - frames) / (worker.seconds()[0] - ran) / 1e6


def compare(results: Results, name: str, plain: Callable[[], float], component: Callable[[], float]) -> None:
    pairs = []
    for number in range(results.times(PAIRS)):
        if number % 2:  # each is first in half of the pairs
            pairs.append((plain(), component()))
        else:
            rate_of_component = component()
            pairs.append((plain(), rate_of_component))
    results.add(f"{name}: plain patch, Mpps", statistics.median(a for a, _ in pairs))
    results.add(f"{name}, Mpps", statistics.median(b for _, b in pairs))
    results.add(f"{name} / plain patch", statistics.median(b / a for a, b in pairs))


def write_frames(path: Path) -> None:
    """Write frames of 64 bytes with FCS. Their destinations are MACS in random order, without long runs."""
    chosen = random.Random(1)  # noqa: S311 - each run has the same frames
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number in range(REPLAYED):
            mac = bytes.fromhex(chosen.choice(MACS).replace(":", ""))
            file.write(struct.pack("<IIII", 0, number, 60, 60) + mac + bytes.fromhex("02000000000188b5") + bytes(46))


def classifier(results: Results) -> None:
    """Measure 64 MAC addresses with an output each, and with four outputs.

    DPDK's net_pcap copies each frame from memory into a new mbuf. A null port as source would not do: it returns the
    mbufs of the last flush, so the classifier would sort its own input.
    """
    with fresh_lab() as lab:
        frames = lab.tmp / "frames.pcap"
        write_frames(frames)
        process, primary = lab.start_primary(vdevs=(f"net_pcap0,rx_pcap={frames},infinite_rx=1", "net_null0"))
        worker = Worker(process)
        primary.ok(*(f"add nullpmd:{number}" for number in range(1, 65)))

        def forward(*patches: str) -> float:
            primary.ok(*patches, "forward")
            measured = rate(worker, lambda: received(primary))
            primary.ok("stop", "patch reset")
            return measured

        for outputs in (64, 4):
            rules = [
                f"patch pcap:0 nullpmd:{number} dst_mac={mac}"
                for mac, number in zip(MACS, itertools.cycle(range(1, outputs + 1)), strict=False)
            ]
            compare(
                results,
                f"classifier, 64 MACs, {outputs} outputs",
                lambda: forward("patch pcap:0 nullpmd:1"),
                lambda rules=rules: forward(*rules),  # type: ignore[misc]
            )


def mirror(results: Results) -> None:
    """Measure a mirror of a null port, per output. spp_vf has the plain patch, and its worker sleeps meanwhile."""
    with fresh_lab() as lab:
        lab.start_primary(lcores="0@0")
        plain_process, vf = start(lab, "vf", 1, workers=1)
        mirror_process, both = start(lab, "mirror", 3, workers=1)  # an odd id: its worker is on CPU 1, too
        setups = (
            (plain_process, vf, f"component start c {lcores(vf)[0]} forward", (11,)),
            (mirror_process, both, f"component start c {lcores(both)[0]} mirror", (11, 12)),
        )

        def forward(index: int) -> float:
            process, connection, command, outputs = setups[index]
            connection.ok(command, "port add nullpmd:10 rx c", *(f"port add nullpmd:{n} tx c" for n in outputs))
            measured = rate(Worker(process), lambda: connection.counters("nullpmd:10")["rx"])
            connection.ok("component stop c")
            return measured

        compare(results, "mirror, each output", lambda: forward(0), lambda: forward(1))


def capture(results: Results) -> None:
    """Measure what a capture of a source costs its worker at 1 Mpps: more time for each frame, of the time of a core.

    At 1 Mpps a worker polls without a pause, so its CPU time shows nothing. A burst without a pause does: it is
    as long as the frames need.
    """
    with fresh_lab() as lab:
        process, nfv = start_probe(lab)
        worker = Worker(process)

        def per_frame() -> float:
            """Return the worker's microseconds for a frame."""
            before = worker.seconds()[0]
            sent = send(nfv, f"count={CAPTURED}")
            return (worker.seconds()[0] - before) / sent * 1e6

        def captured(number: int) -> float:
            running = Capture(lab, *CAPTURE_OPTIONS, interfaces=[(1, "probe:0", "rx")], name=f"capture{number}")
            per_frame()  # touches the pages of the ring
            wait_for("the reader", lambda: running.file.stat().st_size > CAPTURED * FRAME)
            cost = per_frame()
            assert "0 dropped" in running.stop(), "a dropped frame is cheaper than a captured one"
            running.file.unlink()
            return cost

        per_frame()
        pairs = [(per_frame(), captured(number)) for number in range(results.times(ROUNDS))]
        assert not result(nfv)["source"]["running"]
        results.add("probe -> null, ns of the worker for a frame", statistics.median(a for a, _ in pairs) * 1e3)
        results.add("probe -> null with a capture, ns for a frame", statistics.median(b for _, b in pairs) * 1e3)
        # A microsecond for each frame of 1 Mpps is a core.
        results.add("capture at 1 Mpps, % of a core", statistics.median(b - a for a, b in pairs) * 100)


def main() -> int:
    prepare_hugepages()
    results = Results(__doc__)
    benches = {"classifier": classifier, "mirror": mirror, "capture": capture}
    return results.run({name: functools.partial(bench, results) for name, bench in benches.items()})


if __name__ == "__main__":
    sys.exit(main())
