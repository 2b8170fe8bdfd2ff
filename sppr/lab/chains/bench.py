"""Measure chains: the highest rates without loss, and latency at shares of them.

The search is MLRsearch, the prototype of RFC 9971; the percentiles are those of hdrhistogram. Rates are of one
direction, and all chains of a measurement run at once at the same rate.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hdrh.histogram import HdrHistogram
from MLRsearch import AbstractMeasurer, Config, MeasurementResult, MultipleLossRatioSearch, SearchGoal

from sppr.config.chains import is_port
from sppr.deadline import Deadline
from sppr.errors import SpprError
from sppr.lab.chains.proof import testbed
from sppr.lab.chains.wiring import ChainWiring
from sppr.lab.state.state import State
from sppr.spp.control import ControlClient


def _goal(loss: float, trial: float, total: float, exceed: float, first: float = 1.0) -> dict[str, float]:
    """Loss ratio; seconds of a full trial, and of all trials of a load; share of bad trials; seconds of a first one."""
    return {
        "loss_ratio": loss, "final_trial_duration": trial, "duration_sum": total, "exceed_ratio": exceed,
        "initial_trial_duration": min(first, trial),
    }  # fmt: skip


#: Search goals by name. ``quick`` is rough: for a first look, and for tests.
GOALS: dict[str, dict[str, float]] = {
    "ndr": _goal(0.0, 1, 21, 0.5),
    "pdr": _goal(0.005, 1, 21, 0.5),
    "rfc2544": _goal(0.0, 60, 60, 0.0),
    "tst009": _goal(0.0, 60, 120, 0.5),
    "quick": _goal(0.005, 0.2, 1, 0.5),
}
#: Relative width of the interval that a search ends with.
WIDTH = {"quick": 0.05}
USUAL_WIDTH = 0.005
#: Frames a second below which no search goes; and the rate that stands for no load.
LEAST, NO_LOAD = 20.0, 100
#: Shares of the found rate at which latency is measured; 0: no load.
SHARES = (0.0, 0.1, 0.5, 0.9)
#: Seconds after which what has not arrived is lost.
QUIET = 0.2
#: Bytes of a frame on the wire beside the frame: preamble, start of frame, gap.
WIRE = 20
#: Frames of the simple IMIX: 7 of 64 bytes, 4 of 570, 1 of 1518; their mean with FCS.
IMIX_MEAN = (7 * 64 + 4 * 570 + 1518) / 12


@dataclass(frozen=True)
class Trial:
    """One measurement: frames offered (``intended``), sent and received, of all chains together."""

    rate: float
    seconds: float
    intended: int
    sent: int
    received: int

    @property
    def lost(self) -> int:
        return max(0, self.sent - self.received)


@dataclass(frozen=True)
class Latency:
    """Latency at a share of the found rate, in ns. ``variation``: p99.9 less the minimum (PDV of RFC 5481)."""

    share: float
    rate: float
    samples: int
    min: int
    p50: int
    p90: int
    p99: int
    p999: int
    max: int
    variation: int


@dataclass(frozen=True)
class Rate:
    """The result for one goal: frames a second of one chain. ``limited``: the generator was the limit, so the chain may
    do more. ``lower`` and ``upper``: bounds of the search; None: no such bound was found."""

    goal: str
    frames: float | None
    lower: float | None
    upper: float | None
    limited: bool

    def gbits(self, size: float) -> float | None:
        """Gbit/s with preamble and gap."""
        return None if self.frames is None else self.frames * (size + WIRE) * 8 / 1e9


@dataclass
class Result:
    """What was measured of these chains at once, with frames of one size in one direction."""

    chains: tuple[str, ...]
    topology: str
    direction: str
    size: str
    bytes: float
    rates: list[Rate] = field(default_factory=list)
    latency: list[Latency] = field(default_factory=list)
    trials: int = 0
    seconds: float = 0.0


def topology(chain: ChainWiring) -> str:
    """Return the name by which people search for it: PVP with one VM, PVVP with two."""
    vms = sum(not is_port(element) for element in chain.path)
    ends = "".join("P" if is_port(element) else "V" for element in (chain.path[0], chain.path[-1]))
    return ends[0] + "V" * (vms - ends.count("V")) + ends[1]


def measure(
    state: State,
    chains: Sequence[ChainWiring],
    sizes: Sequence[str],
    goals: Sequence[str],
    note: Callable[[Result], None],
) -> list[Result]:
    """Measure these chains at once: each size in each direction that all of them have. The caller holds the session.

    ``note`` gets each result when it is there. ControlError where a process refuses; the ends are back then.
    """
    found: list[Result] = []
    both = all(chain.reverse for chain in chains)
    with testbed.plugged(state, chains) as beds:
        for size in sizes:
            for direction in ("forward", "reverse") if both else ("forward",):
                began = time.monotonic()
                kinds = sorted({topology(chain) for chain in chains})
                wide = IMIX_MEAN if size == "imix" else float(size)
                result = Result(tuple(chain.name for chain in chains), "/".join(kinds), direction, size, wide)
                _Bench(ControlClient(state.plan.api), beds, direction, size).fill(result, goals)
                result.seconds = round(time.monotonic() - began, 1)
                found.append(result)
                note(result)
    return found


class _Bench(AbstractMeasurer):  # type: ignore[misc]
    """Measures one direction with frames of one size."""

    def __init__(self, client: ControlClient, beds: Sequence[testbed.Testbed], direction: str, size: str) -> None:
        self.client, self.direction, self.size = client, direction, size
        self.plugs = [bed.plugs(direction) for bed in beds]
        self.key = int.from_bytes(os.urandom(4), "big")
        self.trials: list[Trial] = []

    def fill(self, result: Result, goals: Sequence[str]) -> None:
        """Search the rates, then measure latency at shares of the lowest of them."""
        wanted = {
            SearchGoal(**GOALS[name], relative_width=WIDTH.get(name, USUAL_WIDTH), fail_fast=False): name
            for name in goals
        }
        config = Config()
        config.goals = list(wanted)
        config.min_load, config.max_load = LEAST, max(self._most() * 1.1, 2 * LEAST)
        config.search_duration_max, config.warmup_duration = 3600.0, 0.0
        try:
            bounds = MultipleLossRatioSearch(config).search(self, debug=lambda _: None)
        except RuntimeError as e:
            raise SpprError(f"chains {', '.join(result.chains)}: the search found no end: {e}") from None
        result.rates = [self._rate(name, bounds[goal]) for goal, name in wanted.items()]
        result.trials = len(self.trials)
        rates = [rate.frames for rate in result.rates if rate.frames]
        seconds = min(float(GOALS[name]["final_trial_duration"]) for name in goals)
        result.latency = [self._latency(share, min(rates), min(seconds, 1.0)) for share in SHARES] if rates else []

    def measure(self, intended_duration: float, intended_load: float) -> MeasurementResult:
        """One trial for MLRsearch. Frames that were not sent count as lost there, as RFC 9971 wants."""
        trial = self._trial(intended_load, intended_duration)
        return MeasurementResult(
            intended_duration=intended_duration, intended_load=intended_load, intended_count=trial.intended,
            offered_count=trial.sent, loss_count=trial.lost,
        )  # fmt: skip

    def _most(self) -> float:
        """Frames a second that the slowest source makes when it is read as fast as possible."""
        self._start(0, 0, 0.1)
        self._wait(0.15)
        rates = []
        for source, _ in self.plugs:
            made = self.client.probe_result(source.process, source.number)["source"]
            rates.append(made["sent"] / max((made["last_ns"] - made["first_ns"]) / 1e9, 0.001))
        return float(min(rates))

    def _trial(self, rate: float, seconds: float) -> Trial:
        count = max(1, round(rate * seconds))
        self._start(max(1, round(rate)), count, seconds)
        self._wait(seconds)
        sent = received = 0
        for source, sink in self.plugs:
            sent += self.client.probe_result(source.process, source.number)["source"]["sent"]
            received += self.client.probe_result(sink.process, sink.number)["sink"]["received"]
        trial = Trial(rate, seconds, count * len(self.plugs), sent, received)
        self.trials.append(trial)
        return trial

    def _start(self, rate: int, count: int, seconds: float) -> None:
        self.key = (self.key + 1) & 0xFFFFFFFF
        for flow, (_, sink) in enumerate(self.plugs, 1):
            self.client.probe(sink.process, sink.number, "expect", flow=flow, key=self.key)
        for flow, (source, sink) in enumerate(self.plugs, 1):
            self.client.probe(
                source.process, source.number, "start", flow=flow, key=self.key, rate=rate, count=count,
                time=round(seconds * 1000) + 5, size=self.size if self.size == "imix" else int(self.size),
                peer=sink.number,
            )  # fmt: skip

    def _wait(self, seconds: float) -> None:
        """Until the sources have ended and nothing has arrived for a moment."""
        time.sleep(seconds)
        last, still = -1, Deadline(QUIET)
        for _ in Deadline(2.0).ticks(0.02):
            running = [self.client.probe_result(s.process, s.number)["source"]["running"] for s, _ in self.plugs]
            total = sum(self.client.probe_result(s.process, s.number)["sink"]["received"] for _, s in self.plugs)
            if total != last or any(running):
                last, still = total, Deadline(QUIET)
            if still.expired():
                break
        for source, _ in self.plugs:
            self.client.probe(source.process, source.number, "stop")

    def _rate(self, name: str, bounds: Any) -> Rate:
        frames = bounds.conditional_throughput
        lower, upper = bounds.relevant_lower_bound, bounds.relevant_upper_bound
        least, most = float(lower) if lower else 0.0, float(upper) if upper else float("inf")
        above = [t for t in self.trials if least * 1.0001 < t.rate <= most * 1.0001]
        bad = [t for t in above if t.lost > GOALS[name]["loss_ratio"] * t.intended]
        return Rate(
            name, float(frames) if frames is not None else None, float(lower) if lower else None,
            float(upper) if upper else None, limited=lower is not None and not bad,
        )  # fmt: skip

    def _latency(self, share: float, rate: float, seconds: float) -> Latency:
        frames = rate * share if share else min(NO_LOAD, rate / 10)
        self._trial(max(frames, 1.0), seconds)
        histogram = HdrHistogram(1, 120_000_000_000, 3)
        for _, sink in self.plugs:
            for ns, count in self.client.probe_histogram(sink.process, sink.number):
                histogram.record_value(max(1, ns), count)
        p50, p90, p99, p999 = (histogram.get_value_at_percentile(p) for p in (50, 90, 99, 99.9))
        least, most = histogram.get_min_value(), histogram.get_max_value()
        samples = histogram.get_total_count()
        return Latency(share, frames, samples, least, p50, p90, p99, p999, most, p999 - least)
