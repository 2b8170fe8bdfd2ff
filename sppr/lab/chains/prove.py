"""Prove a chain with packets.

Do frames that enter at one end leave at the other, all of them, once, in order, unchanged, and nowhere else? The levels
and their words follow RFC 9516 (active OAM for service function chains).

A proof that passes when it should not is the worst defect here: what cannot be shown is *inconclusive*.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sppr.config.chains import is_port
from sppr.deadline import Deadline
from sppr.lab import state as states
from sppr.lab.chains import ends, exchange, observe, rows, testbed
from sppr.lab.chains.observe import Counters, Observed
from sppr.lab.chains.trace import Checkpoint, checkpoints, locate, shortfall, uncounted
from sppr.lab.chains.watch import Watch
from sppr.lab.chains.wiring import ChainWiring, Leg
from sppr.lab.state import State
from sppr.spp.control import ControlClient

Verdict = Literal["pass", "fail", "inconclusive"]
#: Each level shows all below it, too.
LEVELS = ("consistency", "reach", "trace", "necessity")
#: Seconds without an arrival after which missing frames count as lost.
QUIET = 3.0
#: The longest run: multiples of the time that the rate asks for, and seconds for a guest that gets no CPU.
LONGEST, SPARE = 4.0, 10.0
#: Frames a second at an end that count as traffic of somebody: a few are the kernel's own (IPv6, ARP).
TRAFFIC = 10
#: Frames of each run of the level necessity.
FEW = 200


@dataclass(frozen=True)
class Options:
    """How to prove. ``frames`` at ``rate`` a second each way, of ``size`` bytes with FCS, at most ``window`` of them on
    their way, so that a guest that stalls loses none in a full queue."""

    level: int = 2
    frames: int = 10_000
    rate: int = 10_000
    size: int = 64
    window: int = 32


@dataclass(frozen=True)
class Run:
    """The result of one run in one direction. ``latency_ns``: percentiles by name."""

    direction: str
    wanted: int
    sent: int
    received: int
    reordered: int
    duplicate: int
    corrupt: int
    misdelivered: int
    foreign: int
    size: int
    latency_ns: dict[str, int]
    seconds: float

    @property
    def lost(self) -> int:
        return max(0, self.sent - self.received)

    @property
    def whole(self) -> bool:
        """Whether every frame arrived, once, in order, unchanged."""
        faults = (self.reordered, self.duplicate, self.corrupt, self.misdelivered)
        return self.sent == self.received == self.wanted and not any(faults)


@dataclass(frozen=True)
class Repair:
    """One patch taken away and put back. ``arrived_without``: frames that came while it was away, of ``offered``.
    ``blocked_ms``: effective blocked time, frames lost in a repair over the rate offered."""

    direction: str
    patch: str
    offered: int
    arrived_without: int
    arrived_after: int
    blocked_ms: float


@dataclass
class Proof:
    """The result for one chain. ``shown``: levels that passed. ``reasons``: why it is not a pass. ``at``: the lowest
    level that did not pass."""

    chain: str
    level: int
    verdict: Verdict = "pass"
    shown: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    trace: list[Checkpoint] = field(default_factory=list)
    repairs: list[Repair] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    at: str = ""

    def fail(self, reason: str, at: str) -> None:
        """Note that a level was shown to be wrong."""
        self.verdict = "fail"
        self._note(reason, at)

    def doubt(self, reason: str, at: str) -> None:
        """Note that a level was not shown, and not shown to be wrong."""
        if self.verdict == "pass":
            self.verdict = "inconclusive"
        self._note(reason, at)

    def _note(self, reason: str, at: str) -> None:
        self.reasons.append(reason)
        self.at = at if not self.at else min(self.at, at, key=LEVELS.index)

    def close(self) -> None:
        """Fill in the levels that passed, when all has been tried."""
        last = LEVELS.index(self.at) if self.at else self.level + 1
        self.shown = list(LEVELS[:last])


def traffic(state: State, chain: ChainWiring, seconds: float = 1.0) -> dict[str, float]:
    """Watch the ends of a chain, and return those that carry traffic with their frames a second."""
    legs = (chain.forward[0], chain.reverse[0]) if chain.reverse else (chain.forward[0],)

    def received() -> tuple[float, dict[str, int]]:
        seen = observe.look(state.plan.api, dict.fromkeys(leg.process for leg in legs)).seen
        counts = {
            leg.src: seen[leg.process].counters.get(leg.src, Counters()).rx for leg in legs if leg.process in seen
        }
        return time.monotonic(), counts

    since, before = received()
    time.sleep(seconds)
    now, after = received()
    rates = {port: (after[port] - before[port]) / (now - since) for port in before if port in after}
    return {port: rate for port, rate in rates.items() if rate > TRAFFIC}


def prove(state: State, chain: ChainWiring, options: Options = Options()) -> Proof:
    """Prove one chain. The caller holds the session. ControlError where a process refuses; the ends are back then."""
    began = time.monotonic()
    proof = Proof(chain.name, options.level)
    _consistency(state, chain, proof)
    if proof.verdict == "pass" and options.level > 0:
        if unable := no_probes(state, chain):
            proof.doubt(unable, "reach")
        else:
            with testbed.plugged(state, [chain]) as (bed,):
                _Prover(state, chain, bed, options, proof).run()
            if proof.verdict == "pass" and options.level > 1:
                _exchange(state, chain, proof)
            _consistency(state, chain, proof, after=True)
    proof.close()
    proof.seconds = round(time.monotonic() - began, 3)
    return proof


def no_probes(state: State, chain: ChainWiring) -> str | None:
    """Why probes cannot stand at the ends; None where they can."""
    if any(part.real for part in state.plan.parts if part.role in ("primary", "secondary")):
        return "SPP's own programs have no probe ports: only consistency can be shown"
    if len(chain.forward) == 1:
        return "the chain is one patch from end to end, and probes would replace all of it"
    return None


def _consistency(state: State, chain: ChainWiring, proof: Proof, *, after: bool = False) -> None:
    observed = observe.look(
        state.plan.api, observe.processes(state.plan.parts, state.plan.wiring), states.dead_parts(state)
    )
    standing, why = rows.states_of(state.plan, observed)[chain.name]
    if standing == "up":
        return
    text = f"{why[0]}" + (f" (and {len(why) - 1} more)" if len(why) > 1 else "")
    if after:
        proof.fail(f"after the proof the chain is {standing}: {text}", "consistency")
    elif standing == "down":
        proof.doubt(f"the chain is down: {text}", "consistency")
    else:
        proof.fail(text, "consistency")


def _exchange(state: State, chain: ChainWiring, proof: Proof) -> None:
    """One TCP connection of the kernel's between the namespaces of both ends."""
    known = {end.port: end for end in state.plan.wiring.ends if end.chain == chain.name}
    pair = [known.get(port) for port in (chain.path[0], chain.path[-1])]
    client, server = pair
    if client is None or server is None or not (client.address and server.address) or not chain.reverse:
        return  # frames of TCP went through the probes
    if os.geteuid() != 0:
        proof.notes.append("TCP between the namespaces was not tried: only root can enter them")
        return
    names = [ends.name_of(state.plan, end) for end in (client, server)]
    try:
        seconds = exchange.tcp(names[0], names[1], server.address.partition("/")[0])
    except OSError as e:
        proof.fail(
            f"TCP from {names[0]} to {names[1]}: {e}; frames of UDP passed, so look at checksum offloads", "trace"
        )
        return
    proof.notes.append(f"TCP from {names[0]} to {names[1]} and back: {exchange.BYTES:,} bytes in {seconds:.2f} s")


class _Prover:
    """Runs the levels above consistency over a chain with probes at its ends."""

    def __init__(self, state: State, chain: ChainWiring, bed: testbed.Testbed, options: Options, proof: Proof) -> None:
        self.state, self.chain, self.bed, self.options, self.proof = state, chain, bed, options, proof
        self.client = ControlClient(state.plan.api)
        self.key = int.from_bytes(os.urandom(4), "big")
        self.number = 0  # of the run: frames of an earlier one that come late are foreign
        self.macs = {name: _mac() for name in ("forward", "reverse")}

    def run(self) -> None:
        directions = [name for name, _ in self.chain.directions]
        with Watch(self.state, self.chain, list(self.macs.values())) as others:
            before = self._look()
            runs = self._frames(directions, self.options.frames, self.options.rate)
            after = self._look()
            self.proof.runs = runs
            self._judge(runs, before, after)
            if self.proof.verdict == "pass" and self.options.level > 1:
                self._tcp(directions)
            for reason in others.strays():
                self.proof.fail(reason, "reach")
            for reason in others.doubts():
                self.proof.doubt(reason, "reach")
        for element in (self.chain.path[0], self.chain.path[-1]):
            if not is_port(element):
                self.proof.notes.append(
                    f"the link of {element} at the end is not part of this proof: a probe replaces it"
                )
        if self.proof.verdict == "pass" and self.options.level > 2:
            self._necessity(directions)

    def _look(self) -> Observed:
        return observe.look(self.state.plan.api, dict.fromkeys(leg.process for leg in self.chain.legs if not leg.own))

    def _legs(self, direction: str) -> tuple[Leg, ...]:
        return self.bed.forward if direction == "forward" else self.bed.reverse

    def _frames(
        self, directions: Sequence[str], count: int, rate: int, quiet: float = QUIET, **words: Any
    ) -> list[Run]:
        """Send frames in these directions at once, and wait until they have arrived or are lost: until nothing new has
        arrived for ``quiet`` seconds."""
        size = int(words.get("size", self.options.size))
        self._start(directions, rate=rate, count=count, **{"size": size, "window": self.options.window, **words})
        self._wait(directions, count, rate, quiet)
        return [self._result(direction, count, size) for direction in directions]

    def _start(self, directions: Sequence[str], **words: Any) -> None:
        self.number += 1
        key = (self.key + self.number) & 0xFFFFFFFF
        plugs = [self.bed.plugs(direction) for direction in directions]
        for flow, (_, sink) in enumerate(plugs, 1):
            self.client.probe(sink.process, sink.number, "expect", flow=flow, key=key)
        for flow, (direction, (source, sink)) in enumerate(zip(directions, plugs, strict=True), 1):
            macs = {
                "dst_mac": self.macs[direction],
                "src_mac": f"02:53:50:{flow:02x}:{self.number >> 8 & 255:02x}:{self.number & 255:02x}",
            }
            self.client.probe(
                source.process, source.number, "start", flow=flow, key=key, peer=sink.number, **macs, **words
            )

    def _wait(self, directions: Sequence[str], count: int, rate: int, quiet: float) -> None:
        """Wait for the end of a run, and stop its sources. A slow path gets a few times as long as the rate wants."""
        limit, still, last = Deadline(count / rate * LONGEST + SPARE), Deadline(quiet), -1
        while not limit.expired() and not still.expired():
            counts = [self._counts(direction) for direction in directions]
            if all(sent == count == received and not running for sent, received, running in counts):
                break
            total = sum(received for _, received, _ in counts)
            if total != last:
                last, still = total, Deadline(quiet)
            time.sleep(0.01)
        for direction in directions:
            source = self.bed.plugs(direction)[0]
            self.client.probe(source.process, source.number, "stop")
        time.sleep(0.05)  # what is on its way

    def _counts(self, direction: str) -> tuple[int, int, bool]:
        source, sink = self.bed.plugs(direction)
        made = self.client.probe_result(source.process, source.number)["source"]
        return made["sent"], self.client.probe_result(sink.process, sink.number)["sink"]["received"], made["running"]

    def _result(self, direction: str, wanted: int, size: int) -> Run:
        source, sink = self.bed.plugs(direction)
        made = self.client.probe_result(source.process, source.number)["source"]
        got = self.client.probe_result(sink.process, sink.number)["sink"]
        return Run(
            direction=direction, wanted=wanted, sent=made["sent"], received=got["received"],
            reordered=got["reordered"], duplicate=got["duplicate"], corrupt=got["corrupt"],
            misdelivered=got["misdelivered"], foreign=got["foreign"], size=size,
            latency_ns={name: value for name, value in got["latency_ns"].items() if name != "samples"},
            seconds=round((made["last_ns"] - made["first_ns"]) / 1e9, 6),
        )  # fmt: skip

    def _judge(self, runs: Sequence[Run], before: Observed, after: Observed) -> None:
        for run in runs:
            legs = self._legs(run.direction)
            points = checkpoints(run.direction, legs, before, after)
            self.proof.trace += points
            unknown = uncounted(legs, points)
            if self.options.level > 1 and unknown:
                self.proof.doubt(f"{run.direction}: the counters of {', '.join(unknown)} could not be read", "trace")
            if run.whole:
                if self.options.level > 1:
                    self._judge_counters(run, points)
                continue
            if run.sent == 0:
                self.proof.fail(
                    f"{run.direction}: {legs[0].by} read no frame from the probe: does it forward?", "reach"
                )
            elif run.lost:
                where = locate(points) if self.options.level > 1 else "somewhere: --level 2 locates them"
                self.proof.fail(f"{run.direction}: {run.lost:,} of {run.sent:,} frames lost {where}", "reach")
            elif run.sent < run.wanted:
                sent = f"only {run.sent:,} of {run.wanted:,} frames were sent in time"
                self.proof.doubt(f"{run.direction}: {sent}", "reach")
            for name in ("reordered", "duplicate", "corrupt", "misdelivered"):
                if count := getattr(run, name):
                    self.proof.fail(f"{run.direction}: {count:,} frames {name}", "reach")

    def _judge_counters(self, run: Run, points: Sequence[Checkpoint]) -> None:
        """Each counter grew by the frames of the run. A few frames of the kernel's own (IPv6, ARP) are no matter; many
        could hide a hop that was left out."""
        if short := shortfall(points, run.sent):
            self.proof.fail(f"{run.direction}: all frames arrived, and not through each hop: {short}", "trace")
        others = max([run.foreign, *(point.grew - run.sent for point in points)])
        if others > max(20, run.sent // 20):
            self.proof.doubt(f"{run.direction}: {others:,} frames of others moved the counters", "trace")

    def _tcp(self, directions: Sequence[str]) -> None:
        """Frames of TCP with right checksums: where ping and UDP pass, offloads can still spoil TCP."""
        size = max(self.options.size, 76)
        for run in self._frames(directions, 100, self.options.rate, proto="tcp", size=size):
            if not run.whole:
                self.proof.fail(f"{run.direction}: {run.received} of {run.sent} frames of TCP arrived", "trace")

    def _necessity(self, directions: Sequence[str]) -> None:
        """Take each patch away: nothing arrives. Put it back: all arrives."""
        for direction in directions:
            for leg in self._legs(direction):
                if not leg.own:
                    self._without(direction, leg)
                if self.proof.verdict != "pass":
                    return
        own = dict.fromkeys(leg.by for leg in self.chain.legs if leg.own)
        self.proof.notes += [f"{vm}: its own software forwards, which was not taken away" for vm in own]

    def _without(self, direction: str, leg: Leg) -> None:
        rate, text = self.options.rate, f"{leg.process}; patch {leg.src} {leg.dst}"
        self.client.disconnect(leg.process, leg.src)
        try:
            # All at once: nothing comes back that would open a window.
            (gone,) = self._frames([direction], FEW, rate, quiet=0.5 + FEW / rate, window=FEW)
        finally:
            self.client.patch(leg.process, leg.src, leg.dst)
        (back,) = self._frames([direction], FEW, rate)
        blocked = self._blocked(direction, leg)
        self.proof.repairs.append(Repair(direction, text, FEW, gone.received, back.received, blocked))
        if gone.received:
            what = f"{direction}: without `{text}` {gone.received} of {FEW} frames arrived all the same"
            self.proof.fail(what, "necessity")
        elif gone.sent < FEW and leg is not self._legs(direction)[0]:  # without its patch a source is not read
            self.proof.doubt(f"{direction}: without `{text}` only {gone.sent} of {FEW} frames were sent", "necessity")
        if not back.whole:
            what = f"{direction}: with `{text}` again {back.received} of {back.sent} frames arrived"
            self.proof.fail(what, "necessity")

    def _blocked(self, direction: str, leg: Leg) -> float:
        """Return the milliseconds without frames while a patch is taken away and put back at once."""
        rate = min(self.options.rate, 5000)
        self._start([direction], rate=rate, count=rate, size=self.options.size)
        time.sleep(0.02)
        self.client.disconnect(leg.process, leg.src)
        self.client.patch(leg.process, leg.src, leg.dst)
        time.sleep(0.05)
        source = self.bed.plugs(direction)[0]
        self.client.probe(source.process, source.number, "stop")
        time.sleep(0.05)
        return round(self._result(direction, 0, self.options.size).lost / rate * 1000, 3)


def _mac() -> str:
    """A locally administered address of this proof alone."""
    return ":".join(["02", *(f"{byte:02x}" for byte in os.urandom(5))])
