"""Measure the impairment of a chain with probes at its ends, and compare it with what was asked.

Each direction runs twice: without the impairment, which gives the latency of the chain itself, and with it.
"""

import math
import time
from dataclasses import dataclass

from sppr import impairment
from sppr.impairment import Impairment
from sppr.lab.chains.observe import Impaired, observe_processes
from sppr.lab.chains.proof.probe_runs import QUIET, ProbeRuns
from sppr.lab.chains.proof.result import Measured, Options, Proof, Run
from sppr.lab.chains.wiring import Leg
from sppr.lab.state.state import State

#: Difference in ns between the asked and the measured delay that an idle core keeps.
DELAY_TOLERANCE = 100_000
#: Part of the jitter that its 99th percentile may differ by.
JITTER_TOLERANCE = 0.05
#: The 99th percentile of a jitter of 1, by distribution: uniform from -1 to 1, and normal.
UNIFORM_P99, NORMAL_P99 = 0.98, 2.3263
#: Bounds of a binomial distribution in standard deviations: 99 %, which is shown, and 99.9 %, beyond which it fails.
SHOWN, BOUND = 2.5758, 3.2905
#: Part of the asked rate that the measured one may differ by.
RATE_TOLERANCE = 0.05
#: Frames in flight in a chain without its impairment, and frames per second that any chain carries.
IN_FLIGHT, SLOWEST = 4, 500
#: Seconds of the runs that find delay and rate.
SECONDS = 1.0


@dataclass(frozen=True)
class _Counted:
    """A run with the impairment: the frames at the end of the chain, and the counters of the impairment."""

    run: Run
    counts: Impaired


def measure(state: State, runs: ProbeRuns, options: Options, proof: Proof) -> None:
    """Measure each direction that is impaired, and add the results to the proof."""
    for direction in ("forward", "reverse"):
        legs = runs.legs(direction)
        if legs and legs[0].impair and proof.verdict == "pass":
            _Measurement(state, runs, direction, legs[0], options, proof).run()


class _Measurement:
    """The measurement of one direction. ``leg``: its impaired patch, with the probe as its source."""

    def __init__(self, state: State, runs: ProbeRuns, direction: str, leg: Leg, options: Options, proof: Proof) -> None:
        self.state, self.runs, self.direction, self.leg = state, runs, direction, leg
        self.options, self.proof = options, proof
        self.asked = impairment.parse(leg.impair)
        tag = 4 * ("vlan" in runs.headers[direction])
        self.bits = (options.size + tag - 4) * 8  # a frame without FCS

    def run(self) -> None:
        rate = self._offered()
        count = max(10, min(self.options.frames, int(rate * 5)))
        base = self._frames(min(count, max(10, int(rate * SECONDS))), rate)
        self.runs.client.impair(self.leg.process, self.leg.source, self.leg.impair)
        try:
            found = _Counted(self._frames(count, rate), self._counters())
            carried = self._carried_bits() if self.asked.rate else None
        finally:
            self.runs.client.impair(self.leg.process, self.leg.source, impairment.OFF)
        self._check_accounts(found)
        if base.received and found.run.received:
            self._compare_times(base, found.run)
        self._compare_shares(found.counts)
        if carried is not None:
            off = abs(carried - self.asked.rate) / self.asked.rate
            self._note("rate", _rate(self.asked.rate), _rate(carried), off <= RATE_TOLERANCE)

    def _offered(self) -> float:
        """Return the frames per second to offer. A token bucket must not delay them.

        The delay needs a window in which a chain that is slow itself (a VM under emulation) would lose frames.
        """
        most = 0.8 * self.asked.rate / self.bits if self.asked.rate else math.inf
        times = [run.latency_ns.get("p50", 0) for run in self.proof.runs if run.direction == self.direction]
        own = max(times, default=0)
        slow = max(SLOWEST, IN_FLIGHT * 1e9 / own) if own else math.inf
        return max(1.0, min(self.options.rate, most, slow))

    def _frames(self, count: int, rate: float) -> Run:
        seconds = self.asked.longest_ns / 1e9
        window = self.options.window + int(rate * seconds * 1.2) + (256 if self.asked.mean_loss else 0)
        (run,) = self.runs.frames(
            [self.direction], count, round(rate), size=self.options.size, window=min(window, 1_000_000),
            quiet=QUIET + seconds,
        )  # fmt: skip
        return run

    def _counters(self) -> Impaired:
        observed = observe_processes(self.state.plan.api, [self.leg.process])
        return observed.impairment(self.leg.process, self.leg.source) or Impaired("")

    def _carried_bits(self) -> float:
        """Offer twice the rate, and return the bits per second that arrive once the bucket is empty."""
        frames = self.asked.rate / self.bits
        burst = self.asked.burst or max(9018, self.asked.rate / 8 / 250)
        self.runs.start([self.direction], rate=max(1, round(2 * frames)), count=0, size=self.options.size)
        try:
            time.sleep(self.asked.longest_ns / 1e9 + burst * 8 / self.asked.rate + 0.1)
            first, start = self._received(), time.monotonic()
            time.sleep(max(SECONDS, min(10.0, 50 / frames)))
            return (self._received() - first) / (time.monotonic() - start) * self.bits
        finally:
            self.runs.stop(self.direction)

    def _received(self) -> int:
        sink = self.runs.bed.probes(self.direction)[1]
        return int(self.runs.client.probe_result(sink.process, sink.number)["sink"]["received"])

    def _check_accounts(self, found: _Counted) -> None:
        """Check that only the impairment lost and duplicated frames. A corrupt frame does not count as received."""
        run, counts = found.run, found.counts
        if not counts.words:
            self.proof.doubt(f"{self.direction}: the counters of the impairment could not be read", "reach")
        elif not counts.dropped <= run.lost <= counts.dropped + counts.corrupted:
            what = f"{run.lost:,} frames lost, but the impairment dropped {counts.dropped:,}"
            self.proof.fail(f"{self.direction}: {what}", "reach")
        elif not counts.duplicated - counts.corrupted - counts.dropped <= run.duplicate <= counts.duplicated:
            what = f"{run.duplicate:,} duplicates, but the impairment made {counts.duplicated:,}"
            self.proof.fail(f"{self.direction}: {what}", "reach")

    def _compare_times(self, base: Run, run: Run) -> None:
        asked = self.asked
        spread = base.latency_ns["p99"] - base.latency_ns["p50"]
        if asked.delay_ns:
            delay = run.latency_ns["p50"] - base.latency_ns["p50"]
            tolerance = max(DELAY_TOLERANCE, spread) + self._median_error(asked)
            self._note_time("delay", asked.delay_ns, delay, tolerance)
        if asked.jitter_ns:
            wanted = round(asked.jitter_ns * (NORMAL_P99 if asked.normal else UNIFORM_P99))
            measured = run.latency_ns["p99"] - run.latency_ns["p50"]
            tolerance = max(DELAY_TOLERANCE, spread) + round(JITTER_TOLERANCE * wanted) + self._median_error(asked)
            self._note_time("jitter (p99 - p50)", wanted, measured, tolerance)

    def _median_error(self, asked: Impairment) -> int:
        """Return the error in ns of the median of some thousand frames with this jitter."""
        return round(asked.jitter_ns * 0.05)

    def _note_time(self, key: str, asked: int, measured: int, tolerance: int) -> None:
        if measured > asked + tolerance:  # a busy core makes every frame late
            text = f"{self.direction}: {key}: {_time(measured)} instead of {_time(asked)}: is the machine busy?"
            self.proof.doubt(text, "reach")
        self._note(key, _time(asked), _time(measured), measured >= asked - tolerance)

    def _compare_shares(self, counts: Impaired) -> None:
        asked = self.asked
        if len(asked.loss) > 1:  # losses in bursts have no simple bounds
            self._note("loss (mean)", f"{asked.mean_loss:.3%}", f"{counts.lost / max(1, counts.offered):.3%}", True)
        pairs = (
            ("loss", asked.loss[0] if len(asked.loss) == 1 else 0.0, counts.lost),
            ("duplicate", asked.duplicate, counts.duplicated),
            ("corrupt", asked.corrupt, counts.corrupted),
            ("reorder", asked.reorder, counts.reordered),
        )
        for key, probability, count in pairs:
            if probability and counts.offered:
                gap, measured = asked.gap if key == "reorder" else 1, count / counts.offered
                share, low, high = bounds(counts.offered, probability, SHOWN, gap)
                text = f"{measured:.3%} (99 %: {low:.3%} to {high:.3%})"
                _, low, high = bounds(counts.offered, probability, BOUND, gap)
                self._note(key, f"{share:.3%}", text, low <= measured <= high)
        if counts.overflow or counts.no_memory:
            what = f"{counts.overflow:,} frames over the limit, {counts.no_memory:,} without memory"
            self.proof.notes.append(f"{self.direction}: {what}")

    def _note(self, key: str, asked: str, measured: str, ok: bool) -> None:
        self.proof.impairments.append(Measured(self.direction, key, asked, measured, ok))
        if not ok:
            self.proof.fail(f"{self.direction}: {key}: {measured} instead of {asked}", "reach")


def bounds(count: int, probability: float, deviations: float, gap: int = 1) -> tuple[float, float, float]:
    """Return the expected share among ``count`` frames, and the lowest and highest that these deviations permit.

    ``gap``: after each hit, ``gap - 1`` frames are no candidates. Then the hits are a renewal process, whose variance
    is asymptotic; with 1 it is the binomial one.
    """
    mean = gap - 1 + 1 / probability  # frames from one hit to the next
    share = 1 / mean
    variance = (1 - probability) / probability**2 / mean**3
    spread = deviations * math.sqrt(variance / count) + 0.5 / count
    return share, max(0.0, share - spread), min(1.0, share + spread)


def _time(ns: int) -> str:
    return f"{ns / 1e6:.3f} ms"


def _rate(bits: float) -> str:
    return f"{bits / 1e6:.3f} Mbit/s"
