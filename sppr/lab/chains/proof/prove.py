"""Prove a chain with packets.

Do frames that enter at one end leave at the other, all of them, once, in order, unchanged, and nowhere else? The levels
and their words follow RFC 9516 (active OAM for service function chains).

A proof that passes when it should not is the worst defect here: what cannot be shown is *inconclusive*.
"""

import errno
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sppr.config.chains import is_port
from sppr.lab.chains import ends, observe, status
from sppr.lab.chains.observe import Counters, Observed
from sppr.lab.chains.proof import necessity, tap_runs, tcp_exchange, testbed
from sppr.lab.chains.proof.probe_runs import ProbeRuns
from sppr.lab.chains.proof.result import Options, Proof, Run
from sppr.lab.chains.proof.tap_runs import TapError, TapRuns
from sppr.lab.chains.proof.trace import Checkpoint, checkpoints, locate, shortfall, uncounted
from sppr.lab.chains.proof.watch import Watch
from sppr.lab.chains.wiring import ChainWiring
from sppr.lab.state import state as states
from sppr.lab.state.state import State
from sppr.spp.control import ControlClient

#: Frames a second at an end that count as traffic of somebody: a few are the kernel's own (IPv6, ARP).
TRAFFIC = 10


def traffic(state: State, chain: ChainWiring, seconds: float = 1.0) -> dict[str, float]:
    """Watch the ends of a chain, and return those that carry traffic with their frames a second."""
    legs = (chain.forward[0], chain.reverse[0]) if chain.reverse else (chain.forward[0],)

    def received() -> tuple[float, dict[str, int]]:
        seen = observe.observe_processes(state.plan.api, dict.fromkeys(leg.process for leg in legs)).statuses
        counts = {
            leg.src: seen[leg.process].counters.get(leg.src, Counters()).rx for leg in legs if leg.process in seen
        }
        return time.monotonic(), counts

    since, before = received()
    time.sleep(seconds)
    now, after = received()
    rates = {port: (after[port] - before[port]) / (now - since) for port in before if port in after}
    return {port: rate for port, rate in rates.items() if rate > TRAFFIC}


def prove(state: State, chain: ChainWiring, options: Options) -> Proof:
    """Prove one chain. The caller holds the session. ControlError where a process refuses; the ends are back then."""
    began = time.monotonic()
    proof = Proof(chain.name, options.level)
    _consistency(state, chain, proof)
    if proof.verdict == "pass" and options.level > 0:
        if no_probes(state, chain):
            _by_taps(state, chain, options, proof)
        else:
            _by_probes(state, chain, options, proof)
        _consistency(state, chain, proof, after=True)
    proof.close()
    proof.seconds = round(time.monotonic() - began, 3)
    return proof


def no_probes(state: State, chain: ChainWiring) -> str | None:
    """Why probes cannot stand at the ends; None where they can."""
    if over_spp(state):
        return "SPP's own programs have no probe ports"
    if len(chain.forward) == 1:
        return "the chain is one patch from end to end, and probes would replace all of it"
    return None


def over_spp(state: State) -> bool:
    """Whether SPP's own programs forward: they have no probes and no counters."""
    return any(part.upstream for part in state.plan.parts if part.role in ("primary", "secondary"))


def highest_level(state: State) -> int:
    """Return the highest level that can be shown in a lab."""
    return 1 if over_spp(state) else 3


def _by_probes(state: State, chain: ChainWiring, options: Options, proof: Proof) -> None:
    macs = _macs(chain)
    with testbed.plugged(state, [chain]) as (bed,):
        runs = ProbeRuns(ControlClient(state.plan.api), bed, macs)
        _Prover(state, chain, runs, macs, options, proof).run()
        for element in (chain.path[0], chain.path[-1]):
            if not is_port(element):
                what = f"the link of {element} at the end is not part of this proof: a probe replaces it"
                proof.notes.append(what)
        if proof.verdict == "pass" and options.level > 2:
            necessity.show(chain, runs, options, proof)
    if proof.verdict == "pass" and options.level > 1:
        _exchange(state, chain, proof)  # without namespaces the probes' frames of TCP are what is shown


def _by_taps(state: State, chain: ChainWiring, options: Options, proof: Proof) -> None:
    """Prove a chain whose ends cannot be probes with frames from the kernel's side of its taps, at a low rate."""
    why = no_probes(state, chain)
    found = tap_runs.interfaces(state, chain)
    if isinstance(found, str):
        proof.doubt(f"{why}, and {found}", "reach")
        return
    level = min(options.level, 2, highest_level(state))
    low = replace(options, rate=min(options.rate, tap_runs.FASTEST), level=level)
    macs = _macs(chain)
    try:
        with TapRuns(chain, *found, macs) as runs:
            _Prover(state, chain, runs, macs, low, proof).run()
    except TapError as e:
        proof.doubt(f"frames cannot go from {found[0]} to {found[1]}: {e}", "reach")
        return
    proof.notes.append(f"{why}: the frames went from {found[0]} to {found[1]}, at most {low.rate:,} a second")
    if proof.verdict != "pass" or options.level < 2:
        return
    if over_spp(state):
        proof.doubt("SPP's own programs count no frames, so no hop can be seen: --level 1 is the highest", "trace")
        return
    if not _exchange(state, chain, proof):
        proof.notes.append("TCP was not tried: not both ends are in namespaces with addresses")
    if proof.verdict == "pass" and options.level > 2:
        proof.doubt(f"{why}: --level 2 is the highest", "necessity")


def _macs(chain: ChainWiring) -> dict[str, str]:
    """A destination address for each direction, of this proof alone."""
    return {name: ":".join(["02", *(f"{byte:02x}" for byte in os.urandom(5))]) for name, _ in chain.directions}


def _consistency(state: State, chain: ChainWiring, proof: Proof, *, after: bool = False) -> None:
    observed = observe.observe_processes(
        state.plan.api, observe.processes(state.plan.parts, state.plan.wiring), states.stopped_parts(state)
    )
    standing, why = status.chain_states(state.plan, observed)[chain.name]
    if standing == "up":
        return
    text = f"{why[0]}" + (f" (and {len(why) - 1} more)" if len(why) > 1 else "")
    if after:
        proof.fail(f"after the proof the chain is {standing}: {text}", "consistency")
    elif standing == "down":
        proof.doubt(f"the chain is down: {text}", "consistency")
    else:
        proof.fail(text, "consistency")


def _exchange(state: State, chain: ChainWiring, proof: Proof) -> bool:
    """One TCP connection of the kernel's between the namespaces of both ends. Return False where there are none."""
    known = {end.port: end for end in state.plan.wiring.ends if end.chain == chain.name}
    pair = [known.get(port) for port in (chain.path[0], chain.path[-1])]
    client, server = pair
    if client is None or server is None or not (client.address and server.address) or not chain.reverse:
        return False
    if os.geteuid() != 0:
        proof.notes.append("TCP between the namespaces was not tried: only root can enter them")
        return True
    names = [ends.name_of(state.plan, end) for end in (client, server)]
    try:
        seconds = tcp_exchange.tcp(names[0], names[1], server.address.partition("/")[0])
    except OSError as e:
        what = f"TCP from {names[0]} to {names[1]}: {e}"
        if e.errno in (errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.ENETDOWN):
            proof.doubt(f"{what}; look at the addresses and routes there: ip -n {names[0]} route", "trace")
        else:
            proof.fail(f"{what}; other frames passed, so look at checksum offloads", "trace")
        return True
    proof.notes.append(f"TCP from {names[0]} to {names[1]} and back: {tcp_exchange.BYTES:,} bytes in {seconds:.2f} s")
    return True


class _Prover:
    """Shows the levels reach and trace by runs of frames."""

    def __init__(
        self, state: State, chain: ChainWiring, runs: ProbeRuns | TapRuns, macs: Mapping[str, str], options: Options,
        proof: Proof,
    ) -> None:  # fmt: skip
        self.state, self.chain, self.runs, self.macs = state, chain, runs, macs
        self.options, self.proof = options, proof

    def run(self) -> None:
        directions = [name for name, _ in self.chain.directions]
        with Watch(self.state, self.chain, list(self.macs.values())) as others:
            before = self._look()
            wanted = self.options
            runs = self.runs.frames(directions, wanted.frames, wanted.rate, size=wanted.size, window=wanted.window)
            after = self._look()
            self.proof.runs = runs
            self._judge(runs, before, after)
            if self.proof.verdict == "pass" and self.options.level > 1 and isinstance(self.runs, ProbeRuns):
                self._tcp(self.runs)
            for reason in others.strays():
                self.proof.fail(reason, "reach")
            for reason in others.doubts():
                self.proof.doubt(reason, "reach")

    def _look(self) -> Observed:
        return observe.observe_processes(
            self.state.plan.api, dict.fromkeys(leg.process for leg in self.chain.legs if not leg.own)
        )

    def _judge(self, runs: Sequence[Run], before: Observed, after: Observed) -> None:
        for run in runs:
            legs = self.runs.legs(run.direction)
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
                self.proof.fail(f"{run.direction}: {legs[0].by} read no frame: does it forward?", "reach")
            elif run.lost:
                where = self._where(points, run.sent)
                self.proof.fail(f"{run.direction}: {run.lost:,} of {run.sent:,} frames lost {where}", "reach")
            elif run.sent < run.wanted:
                sent = f"only {run.sent:,} of {run.wanted:,} frames were sent in time"
                self.proof.doubt(f"{run.direction}: {sent}", "reach")
            for name in ("reordered", "duplicate", "corrupt", "misdelivered"):
                if count := getattr(run, name):
                    self.proof.fail(f"{run.direction}: {count:,} frames {name}", "reach")

    def _where(self, points: Sequence[Checkpoint], sent: int) -> str:
        if self.options.level > 1:
            return locate(points, sent)
        hint = "SPP's own programs count no frames" if over_spp(self.state) else "--level 2 locates them"
        return f"somewhere: {hint}"

    def _judge_counters(self, run: Run, points: Sequence[Checkpoint]) -> None:
        """Each counter grew by the frames of the run. A few frames of the kernel's own (IPv6, ARP) are no matter; many
        could hide a hop that was left out."""
        if short := shortfall(points, run.sent):
            self.proof.fail(f"{run.direction}: all frames arrived, and not through each hop: {short}", "trace")
        others = max([run.foreign, *(point.grew - run.sent for point in points)])
        if others > max(min(20, run.sent // 2), run.sent // 20):
            self.proof.doubt(f"{run.direction}: {others:,} frames of others moved the counters", "trace")

    def _tcp(self, runs: ProbeRuns) -> None:
        """Frames of TCP with right checksums: where ping and UDP pass, offloads can still spoil TCP."""
        wanted, directions = self.options, [name for name, _ in self.chain.directions]
        size = max(wanted.size, 76)
        for run in runs.frames(directions, 100, wanted.rate, size=size, window=wanted.window, proto="tcp"):
            if not run.whole:
                self.proof.fail(f"{run.direction}: {run.received} of {run.sent} frames of TCP arrived", "trace")
