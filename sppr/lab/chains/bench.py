"""Measure chains: the highest rate for each loss goal, and the latency at shares of this rate.

MLRsearch, the prototype of RFC 9971, searches the rates. hdrhistogram computes the percentiles. A rate applies to one
direction, and all chains of a measurement run in parallel at the same rate.
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
from sppr.lab.chains.proof import classes, testbed
from sppr.lab.chains.wiring import ChainWiring
from sppr.lab.state.state import State
from sppr.spp.control import ControlClient


def _goal(loss: float, trial: float, total: float, exceed: float, first: float = 1.0) -> dict[str, float]:
    """Return a search goal of MLRsearch.

    ``loss``: the loss ratio. ``trial``: seconds of a full trial. ``total``: seconds of all trials of a load.
    ``exceed``: the permitted share of bad trials. ``first``: seconds of a first trial.
    """
    return {
        "loss_ratio": loss, "final_trial_duration": trial, "duration_sum": total, "exceed_ratio": exceed,
        "initial_trial_duration": min(first, trial),
    }  # fmt: skip


#: Search goals by name. ``quick`` is imprecise, for a first impression and for tests.
GOALS: dict[str, dict[str, float]] = {
    "ndr": _goal(0.0, 1, 21, 0.5),
    "pdr": _goal(0.005, 1, 21, 0.5),
    "rfc2544": _goal(0.0, 60, 60, 0.0),
    "tst009": _goal(0.0, 60, 120, 0.5),
    "quick": _goal(0.005, 0.2, 1, 0.5),
}
#: Relative width of the interval at which a search ends.
WIDTH = {"quick": 0.05}
DEFAULT_WIDTH = 0.005
#: The lowest rate of a search, in frames per second; and the rate that counts as no load.
MIN_RATE, NO_LOAD = 20.0, 100
#: Shares of the found rate at which latency is measured; 0: no load.
SHARES = (0.0, 0.1, 0.5, 0.9)
#: Seconds without an arrival after which missing frames count as lost.
QUIET = 0.2
#: Bytes on the wire besides the frame: preamble, start of frame, gap.
WIRE_OVERHEAD = 20
#: Mean size of the simple IMIX, with FCS: 7 frames of 64 bytes, 4 of 570, 1 of 1518.
IMIX_MEAN = (7 * 64 + 4 * 570 + 1518) / 12


@dataclass(frozen=True)
class Trial:
    """A trial at one rate.

    ``rate``: frames per second of one chain. ``seconds``: its duration.
    ``intended``, ``sent``, ``received``: frames of all chains together.
    """

    rate: float
    seconds: float
    intended: int
    sent: int
    received: int

    @property
    def lost(self) -> int:
        """Return the number of lost frames."""
        return max(0, self.sent - self.received)


@dataclass(frozen=True)
class Latency:
    """The latency at a share of the found rate.

    ``share``, ``rate``: the share, and the rate in frames per second. ``samples``: number of measured frames.
    ``min``, ``p50``, ``p90``, ``p99``, ``p999``, ``max``: percentiles in ns.
    ``variation``: p99.9 minus the minimum in ns (PDV of RFC 5481).
    """

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
    """The result for one goal.

    ``goal``: its name. ``frames``: frames per second of one chain; None: no rate was found.
    ``lower``, ``upper``: bounds of the search; None: no such bound was found.
    ``limited``: the generator was the limit, so the chain may achieve more.
    """

    goal: str
    frames: float | None
    lower: float | None
    upper: float | None
    limited: bool

    def gbits(self, size: float) -> float | None:
        """Return the rate in Gbit/s, including preamble and gap. ``size``: bytes of a frame."""
        return None if self.frames is None else self.frames * (size + WIRE_OVERHEAD) * 8 / 1e9


@dataclass
class Result:
    """The result of chains that were measured in parallel, with frames of one size in one direction.

    ``chains``: their names. ``topology``: such as PVP. ``direction``: forward or reverse.
    ``size``: as given, such as 64 or imix. ``bytes``: mean size of a frame.
    ``rates``, ``latency``: the measured values.
    ``trials``, ``seconds``: number of trials, and duration of the measurement.
    """

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
    """Return the common name of a topology: PVP with one VM, PVVP with two."""
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
    """Measure these chains in parallel, with each size, in each direction that all of them have.

    The caller must have locked the session. ``note`` is called with each result. Raise ControlError if a process
    refuses a command; the ends of the chains are restored then.
    """
    found: list[Result] = []
    both = all(chain.reverse for chain in chains)
    with testbed.with_probes(state, chains, impaired=True) as beds:
        for size in sizes:
            for direction in ("forward", "reverse") if both else ("forward",):
                start = time.monotonic()
                kinds = sorted({topology(chain) for chain in chains})
                mean_size = IMIX_MEAN if size == "imix" else float(size)
                result = Result(tuple(chain.name for chain in chains), "/".join(kinds), direction, size, mean_size)
                _Bench(ControlClient(state.plan.api), beds, direction, size).fill(result, goals)
                result.seconds = round(time.monotonic() - start, 1)
                found.append(result)
                note(result)
    return found


class _Bench(AbstractMeasurer):  # type: ignore[misc]
    """The measurement of one direction with frames of one size."""

    def __init__(self, client: ControlClient, beds: Sequence[testbed.Testbed], direction: str, size: str) -> None:
        self.client, self.direction, self.size = client, direction, size
        self.probes = [bed.probes(direction) for bed in beds]
        matches = [bed.match(direction) for bed in beds]
        self.headers = [classes.header(words) if words else {} for words in matches]
        self.key = int.from_bytes(os.urandom(4), "big")
        self.trials: list[Trial] = []

    def fill(self, result: Result, goals: Sequence[str]) -> None:
        """Search the rates, then measure latency at shares of the lowest rate. Raise SpprError if the search fails."""
        goal_names = {
            SearchGoal(**GOALS[name], relative_width=WIDTH.get(name, DEFAULT_WIDTH), fail_fast=False): name
            for name in goals
        }
        config = Config()
        config.goals = list(goal_names)
        config.min_load, config.max_load = MIN_RATE, max(self._max_rate() * 1.1, 2 * MIN_RATE)
        config.search_duration_max, config.warmup_duration = 3600.0, 0.0
        try:
            bounds = MultipleLossRatioSearch(config).search(self, debug=lambda _: None)
        except RuntimeError as e:
            raise SpprError(f"chains {', '.join(result.chains)}: the search of a rate failed: {e}") from None
        result.rates = [self._rate(name, bounds[goal]) for goal, name in goal_names.items()]
        result.trials = len(self.trials)
        rates = [rate.frames for rate in result.rates if rate.frames]
        seconds = min(float(GOALS[name]["final_trial_duration"]) for name in goals)
        result.latency = [self._latency(share, min(rates), min(seconds, 1.0)) for share in SHARES] if rates else []

    def measure(self, intended_duration: float, intended_load: float) -> MeasurementResult:
        """Run one trial for MLRsearch. It counts frames that were not sent as lost, as RFC 9971 requires."""
        trial = self._trial(intended_load, intended_duration)
        return MeasurementResult(
            intended_duration=intended_duration, intended_load=intended_load, intended_count=trial.intended,
            offered_count=trial.sent, loss_count=trial.lost,
        )  # fmt: skip

    def _max_rate(self) -> float:
        """Return the frames per second of the slowest source, when it is read as fast as possible."""
        self._start(0, 0, 0.1)
        self._wait(0.15)
        rates = []
        for source, _ in self.probes:
            counts = self.client.probe_result(source.process, source.number)["source"]
            rates.append(counts["sent"] / max((counts["last_ns"] - counts["first_ns"]) / 1e9, 0.001))
        return float(min(rates))

    def _trial(self, rate: float, seconds: float) -> Trial:
        count = max(1, round(rate * seconds))
        self._start(max(1, round(rate)), count, seconds)
        self._wait(seconds)
        sent = received = 0
        for source, sink in self.probes:
            sent += self.client.probe_result(source.process, source.number)["source"]["sent"]
            received += self.client.probe_result(sink.process, sink.number)["sink"]["received"]
        trial = Trial(rate, seconds, count * len(self.probes), sent, received)
        self.trials.append(trial)
        return trial

    def _start(self, rate: int, count: int, seconds: float) -> None:
        self.key = (self.key + 1) & 0xFFFFFFFF
        for flow, (_, sink) in enumerate(self.probes, 1):
            self.client.probe(sink.process, sink.number, "expect", flow=flow, key=self.key)
        for flow, ((source, sink), header) in enumerate(zip(self.probes, self.headers, strict=True), 1):
            self.client.probe(
                source.process, source.number, "start", flow=flow, key=self.key, rate=rate, count=count,
                time=round(seconds * 1000) + 5, size=classes.tagged_size(header, self.size), peer=sink.number, **header,
            )  # fmt: skip

    def _wait(self, seconds: float) -> None:
        """Wait until the sources have ended and nothing has arrived for ``QUIET`` seconds, then stop the sources."""
        time.sleep(seconds)
        last, quiet = -1, Deadline(QUIET)
        for _ in Deadline(2.0).ticks(0.02):
            running = [self.client.probe_result(s.process, s.number)["source"]["running"] for s, _ in self.probes]
            total = sum(self.client.probe_result(s.process, s.number)["sink"]["received"] for _, s in self.probes)
            if total != last or any(running):
                last, quiet = total, Deadline(QUIET)
            if quiet.expired():
                break
        for source, _ in self.probes:
            self.client.probe(source.process, source.number, "stop")

    def _rate(self, name: str, bounds: Any) -> Rate:
        frames = bounds.conditional_throughput
        lower, upper = bounds.relevant_lower_bound, bounds.relevant_upper_bound
        low, high = float(lower) if lower else 0.0, float(upper) if upper else float("inf")
        above = [t for t in self.trials if low * 1.0001 < t.rate <= high * 1.0001]
        bad = [t for t in above if t.lost > GOALS[name]["loss_ratio"] * t.intended]
        return Rate(
            name, float(frames) if frames is not None else None, float(lower) if lower else None,
            float(upper) if upper else None, limited=lower is not None and not bad,
        )  # fmt: skip

    def _latency(self, share: float, rate: float, seconds: float) -> Latency:
        frames = rate * share if share else min(NO_LOAD, rate / 10)
        self._trial(max(frames, 1.0), seconds)
        histogram = HdrHistogram(1, 120_000_000_000, 3)
        for _, sink in self.probes:
            for ns, count in self.client.probe_histogram(sink.process, sink.number):
                histogram.record_value(max(1, ns), count)
        p50, p90, p99, p999 = (histogram.get_value_at_percentile(p) for p in (50, 90, 99, 99.9))
        minimum, maximum = histogram.get_min_value(), histogram.get_max_value()
        samples = histogram.get_total_count()
        return Latency(share, frames, samples, minimum, p50, p90, p99, p999, maximum, p999 - minimum)
