"""The figures of ``make bench``: their goals, the file that keeps them, and the table that compares both.

Each bench script measures figures through one ``Results`` object, which writes build/bench.json. With ``--smoke`` a
script makes one short repetition and writes build/bench-smoke.json. The values of such a run mean nothing: it only
shows that the script works.
"""

import argparse
import fcntl
import json
import math
import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Goal:
    """The limit of a figure, and on which side of it the figure must be."""

    direction: Literal["<=", ">="]
    limit: float

    def met(self, value: float) -> bool:
        return value <= self.limit if self.direction == "<=" else value >= self.limit

    def __str__(self) -> str:
        return f"{self.direction} {self.limit:g}"


#: The figures that ``make bench`` judges. Every other figure is for information.
GOALS = {
    "bring-up / longest chain of parts": Goal("<=", 1.05),
    "14 windows / one raw tmux call": Goal("<=", 1.3),
    "instance / raw qemu-img create": Goal("<=", 2),
    "wakeup -h / import click": Goal("<=", 2),
    "sppr status of 6 parts / import click": Goal("<=", 2),
    "status of 64 secondaries by REST, ms": Goal("<=", 20),
    "null -> null with top, the page and a scrape each second over without": Goal(">=", 0.99),
    "sppr top of 32 parts, % of a core": Goal("<=", 3),
    "page with 64 processes of 32 ports, slowest frame, ms": Goal("<=", 100),
    "from SIGKILL of a secondary until its box is red, s": Goal("<=", 2),
    "planner, 1,000 chains over 200 VMs, s": Goal("<=", 1),
    "sppr plan, 100 hosts, 2,000 VMs, 1,000 chains, s": Goal("<=", 5),
    "sppr plan, 100 hosts, 2,000 VMs, 1,000 chains, MiB": Goal("<=", 1024),
    "sppr chain apply, 16 chains, s": Goal("<=", 1),
    "sppr chain, 16 chains, s": Goal("<=", 0.5),
    "sppr chain prove of one chain at level 2, s": Goal("<=", 3),
    "one VM, resume, s": Goal("<=", 2),
    "four VMs at once, resume / boot": Goal("<=", 1),
    "wakeup -ns 2 -nr 1 -nv 1, prepared, s": Goal("<=", 4),
    "memory of a further idle VM, MiB": Goal("<=", 40),
    "sppr status of the largest lab, s": Goal("<=", 0.3),
    "sppr down of the largest lab, s": Goal("<=", 10),
    "time per added part, 16 to 32 parts / 8 to 16 parts": Goal("<=", 1.25),
    "null -> null, one direction / testpmd io": Goal(">=", 1.15),
    "null -> null, both directions / testpmd io": Goal(">=", 1.15),
    "probe, 64 B frames made and checked on one core, M/s": Goal(">=", 10),
    "null -> null with an unused probe added over without": Goal(">=", 0.99),
    "classifier, 64 MACs, 64 outputs / plain patch": Goal(">=", 0.7),
    "mirror, each output / plain patch": Goal(">=", 0.45),
    "capture at 1 Mpps, % of a core": Goal("<=", 20),
    "vhost, 64 bytes / testpmd net_vhost": Goal(">=", 1.2),
    "vhost, 1500 bytes / testpmd net_vhost": Goal(">=", 1.05),
    "null -> null / OVS-DPDK": Goal(">=", 4),
    "PVP, 64 bytes / OVS-DPDK": Goal(">=", 2),
    "PVVP, 64 bytes / OVS-DPDK": Goal(">=", 2),
    "PVP, tap to tap, p50 / OVS-DPDK": Goal("<=", 1),
    "PVP, tap to tap, p99 / OVS-DPDK": Goal("<=", 1),
    "PVVP, tap to tap, p50 / OVS-DPDK": Goal("<=", 1),
    "PVVP, tap to tap, p99 / OVS-DPDK": Goal("<=", 1),
    "first packet after idle, median, us": Goal("<=", 300),
    "idle, % of a core, the busiest of primary and two nfv": Goal("<=", 1),
}
#: Further goals, for a run with a built tree of upstream SPP: make bench SPP_DIR=PATH.
UPSTREAM_GOALS = {
    "null -> null / upstream SPP": Goal(">=", 1.2),
    "ring / upstream SPP": Goal(">=", 1.2),
    "vhost, 64 bytes / upstream SPP": Goal(">=", 1.2),
    "vhost, 1500 bytes / upstream SPP": Goal(">=", 1.2),
}
if os.environ.get("SPP_DIR"):
    GOALS |= UPSTREAM_GOALS


@dataclass(frozen=True)
class Figure:
    """A measured value. ``value`` is None where nothing could be measured; ``reason`` then says why."""

    value: float | None
    reason: str = ""


def path(*, smoke: bool) -> Path:
    """The file of figures."""
    return ROOT / "build" / ("bench-smoke.json" if smoke else "bench.json")


def load(*, smoke: bool) -> dict[str, Figure]:
    """Read the figures of all scripts that ran so far."""
    source = path(smoke=smoke)
    if not source.exists():
        return {}
    entries = json.loads(source.read_text())
    # An older version wrote plain numbers.
    return {name: Figure(e["value"], e["reason"]) for name, e in entries.items() if isinstance(e, dict)}


class Results:
    """The figures of one script.

    ``smoke``: make one short repetition. ``only``: the parts of the script that the command line names; empty: all.
    """

    def __init__(self, description: str | None) -> None:
        parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
        parser.add_argument("--smoke", action="store_true", help="one short repetition; figures mean nothing")
        parser.add_argument("only", nargs="*", help="names of the parts to run (default: all)")
        given = parser.parse_args()
        self.smoke: bool = given.smoke
        self.only: list[str] = given.only
        self.failed = False

    def times(self, count: int) -> int:
        """The number of repetitions to make."""
        return 1 if self.smoke else count

    def add(self, name: str, value: float | None, reason: str = "") -> None:
        """Print a figure and write it to the file."""
        figure = Figure(None if value is None else float(f"{value:.4g}"), reason)
        print(f"    {name}: {_value(figure)}", flush=True)
        target = path(smoke=self.smoke)
        target.parent.mkdir(exist_ok=True)
        with target.with_suffix(".lock").open("w") as lock:  # of a smoke run, several scripts write
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = load(smoke=self.smoke) | {name: figure}
            entries = {key: asdict(entry) | _goal(key) for key, entry in known.items()}
            target.write_text(json.dumps(entries, indent=1) + "\n")

    def run(self, benches: Mapping[str, Callable[[], None]]) -> int:
        """Run the benches and return the exit status: 1 if one of them raised an exception.

        A bench that fails does not stop the others.
        """
        unknown = set(self.only) - set(benches)
        if unknown:
            raise SystemExit(f"no such part: {', '.join(sorted(unknown))}; parts: {', '.join(benches)}")
        for name, bench in benches.items():
            if self.only and name not in self.only:
                continue
            print(f"{name}:", flush=True)
            try:
                bench()
            except Exception:
                traceback.print_exc()
                print(f"    {name}: the bench failed", flush=True)
                self.failed = True
        return int(self.failed)


def table(figures: Mapping[str, Figure], *, judge: bool) -> tuple[list[str], bool]:
    """Return the lines of the table, and whether every goal is met.

    A figure with a goal and without a value is short. Without ``judge`` the last column stays empty and the result is
    true.
    """
    rows = [("figure", "goal", "this run", "")]
    good = True
    for name in dict.fromkeys((*GOALS, *figures)):
        figure, goal = figures.get(name, Figure(None)), GOALS.get(name)
        verdict = ""
        if judge and goal is not None:
            passed = figure.value is not None and not math.isnan(figure.value) and goal.met(figure.value)
            verdict = "pass" if passed else "short"
            good = good and passed
        elif judge and figure.value is None:
            verdict, good = "short", False
        rows.append((name, str(goal) if goal else "-", _value(figure), verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows], good


def _value(figure: Figure) -> str:
    if figure.value is not None:
        return f"{figure.value:g}" if figure.value < 1e6 else f"{figure.value:,.0f}"
    return f"not measured: {figure.reason}" if figure.reason else "not measured"


def _goal(name: str) -> dict[str, str | float]:
    goal = GOALS.get(name)
    return {"goal": goal.limit, "direction": goal.direction} if goal else {}
