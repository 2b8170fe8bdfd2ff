"""Our nfv against that of an upstream SPP tree, as ratios of one run: null -> null, a ring, and vhost.

Run by ``make bench SPP_DIR=PATH [SPP_TARGET=build]``, with a built tree of 19.08 or later. Each figure is the median of
five, ours and theirs in turns on the same cores.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sppr.host.process.processes import fix_addresses  # noqa: E402
from sppr.spp.tree import binary  # noqa: E402
from tests import bench_vhost  # noqa: E402
from tests.bench_dataplane import NULLS, ROUNDS, core_share, in_turns, mpps  # noqa: E402
from tests.bench_results import Results  # noqa: E402
from tests.live.dataplane_lab import Connection, Lab, Process, prepare_hugepages, wait_for  # noqa: E402

#: SPP creates its sockets in /tmp, so this number must be one that no lab uses.
VHOST = 921


class UpstreamLab(Lab):
    """A lab with the programs of an upstream tree."""

    tree = Path(os.environ.get("SPP_DIR") or ".").expanduser().absolute()
    target = os.environ.get("SPP_TARGET") or "build"

    def primary_argv(self, *extra: str, **how: Any) -> list[str]:
        return self._upstream("primary", super().primary_argv(*extra, **how))

    def nfv_argv(self, number: int, *extra: str, workers: int = 1) -> list[str]:
        return self._upstream("nfv", super().nfv_argv(number, *extra, workers=workers))

    def _upstream(self, kind: str, argv: list[str]) -> list[str]:
        option = argv.index("--sock-dir")
        argv = [str(binary(kind, self.tree, self.target)), *argv[1:option], *argv[option + 2 :]]
        return ["256" if before == "--socket-mem" else word for before, word in zip(["", *argv], argv, strict=False)]


def sent(primary: Connection) -> int:
    return sum(port["tx"] for port in primary.status()["phy_ports"])


def rate(primary: Connection, nfvs: list[Connection], worker: Process | None) -> float:
    """Return the packets that the null ports send, in millions a second, of CPU time of ``worker`` if it is given."""
    for nfv in nfvs:
        nfv.ok("forward")
    time.sleep(0.2)
    share = core_share(worker) if worker else lambda: 1.0
    measured = mpps(lambda: sent(primary)) / share()
    for nfv in nfvs:
        nfv.ok("stop")
    return measured


def compare(results: Results, name: str, start: Callable[[Lab, str, str], Callable[[], float]]) -> None:
    """Compare the rates that ``start`` returns for a lab and the names of its two null ports."""
    with bench_vhost.two_labs(UpstreamLab) as (ours, theirs):
        sides = start(ours, "nullpmd:0", "nullpmd:1"), start(theirs, "phy:0", "phy:1")
        mine, other = in_turns(*sides, results.times(ROUNDS))
    results.add(f"{name}, beside upstream SPP, Mpps", mine)
    results.add(f"{name}, upstream SPP, Mpps", other)
    results.add(f"{name} / upstream SPP", mine / other)


def null_to_null(lab: Lab, src: str, dst: str) -> Callable[[], float]:
    """Return the rate of one patch between two null ports of the primary, as packets a second of CPU time."""
    _, primary = lab.start_primary(vdevs=NULLS, lcores="0@0")
    process, nfv = lab.start_nfv(1)
    nfv.ok(f"patch {src} {dst}")
    return lambda: rate(primary, [nfv], process)


def ring(lab: Lab, src: str, dst: str) -> Callable[[], float]:
    """Return the rate of null -> ring in one nfv and ring -> null in another, each on a core of its own."""
    _, primary = lab.start_primary(vdevs=NULLS, lcores="0@0")
    nfvs = [lab.start_nfv(number)[1] for number in (1, 2)]
    nfvs[0].ok("add ring:0", f"patch {src} ring:0")
    nfvs[1].ok("add ring:0", f"patch ring:0 {dst}")
    return lambda: rate(primary, nfvs, None)


@contextlib.contextmanager
def vhost_sides(size: int) -> Iterator[bench_vhost.Sides]:
    with bench_vhost.two_labs(UpstreamLab) as (mine, other):
        ours = bench_vhost.our_side(mine, size)
        other.start_primary(vdevs=NULLS, lcores="0@0")
        nfv, connection = other.start_nfv(1)
        path = Path(f"/tmp/sock{VHOST}")
        if path.exists():
            raise FileExistsError(f"{path}: used by another SPP, or left by one")
        try:
            connection.ok(f"add vhost:{VHOST}", f"patch vhost:{VHOST} vhost:{VHOST}", "forward")
            wait_for("its socket", path.exists)
            (other.sockets / "sock0").symlink_to(path)
            yield ours, bench_vhost.Side(other, nfv, size, sleeps=False)
        finally:
            path.unlink(missing_ok=True)


def main() -> int:
    results = Results(__doc__)
    if not os.environ.get("SPP_DIR"):
        print("error: SPP_DIR is not set: make bench SPP_DIR=PATH", file=sys.stderr)
        return 1
    fix_addresses()
    prepare_hugepages(500)
    return results.run(
        {
            "null": lambda: compare(results, "null -> null", null_to_null),
            "ring": lambda: compare(results, "ring", ring),
            "vhost": lambda: bench_vhost.compare(results, "vhost", "upstream SPP", vhost_sides),
        }
    )


if __name__ == "__main__":
    sys.exit(main())
