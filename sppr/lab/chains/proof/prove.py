"""Prove a chain with packets.

A proof shows that all frames that enter at one end leave at the other end, once, in order, unchanged, and nowhere else.
The levels and their terms follow RFC 9516 (active OAM for service function chains).

A proof that passes although the chain is broken is the worst defect of this module. Therefore everything that cannot be
shown is *inconclusive*.
"""

import contextlib
import errno
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sppr.config.chains import is_port
from sppr.lab.chains import ends, observe, status
from sppr.lab.chains.observe import Counters, Observed
from sppr.lab.chains.proof import classes, impairments, necessity, tap_runs, tcp_exchange, testbed
from sppr.lab.chains.proof.probe_runs import ProbeRuns
from sppr.lab.chains.proof.result import Options, Proof, Run
from sppr.lab.chains.proof.tap_runs import TapError, TapRuns
from sppr.lab.chains.proof.trace import Checkpoint, checkpoints, locate, shortfall, uncounted
from sppr.lab.chains.proof.watch import Watch
from sppr.lab.chains.wiring import ChainWiring, host_of
from sppr.lab.state import state as states
from sppr.lab.state.state import State
from sppr.spp.control import ControlClient
from sppr.spp.match import DEFAULT

#: Frames per second at an end above which it carries traffic. The kernel itself sends a few frames (IPv6, ARP).
TRAFFIC = 10
#: Number of frames of each class that a chain must not take.
CLASS_FRAMES = 100


def traffic(state: State, chain: ChainWiring, seconds: float = 1.0) -> dict[str, float]:
    """Watch the ends of a chain for some seconds, and return the frames per second of those that carry traffic."""
    legs = [legs[0] for _, legs in chain.directions]

    def received() -> tuple[float, dict[str, int]]:
        statuses = observe.observe_processes(state.plan.api, dict.fromkeys(leg.process for leg in legs)).statuses
        counts = {
            leg.src: getattr(statuses[leg.process].counters.get(side[0], Counters()), side[1])
            for leg in legs
            if leg.process in statuses and (side := chain.own_sides(leg)[0])
        }
        return time.monotonic(), counts

    start, before = received()
    time.sleep(seconds)
    now, after = received()
    rates = {port: (after[port] - before[port]) / (now - start) for port in before if port in after}
    return {port: rate for port, rate in rates.items() if rate > TRAFFIC}


def prove(state: State, chain: ChainWiring, options: Options) -> Proof:
    """Prove one chain. The caller must have locked the session.

    Raise ControlError if a process refuses a command; the ends of the chain are restored then.
    """
    start = time.monotonic()
    proof = Proof(chain.name, options.level)
    _check_consistency(state, chain, proof)
    if proof.verdict == "pass" and options.level > 0:
        if why_no_probes(state, chain):
            _prove_by_taps(state, chain, options, proof)
        else:
            _prove_by_probes(state, chain, options, proof)
        _check_consistency(state, chain, proof, after=True)
    proof.close()
    proof.seconds = round(time.monotonic() - start, 3)
    return proof


def why_no_probes(state: State, chain: ChainWiring) -> str | None:
    """Return why probes cannot replace the ends of the chain, or None if they can."""
    if is_upstream(state):
        return "upstream SPP has no probe ports"
    if len(chain.forward) == 1:
        return "the chain is one patch from end to end, and probes would replace all of it"
    return None


def crosses_hosts(chain: ChainWiring) -> bool:
    """Return whether the ends of a chain are on different hosts."""
    return host_of(chain.forward[0].process) != host_of(chain.forward[-1].process)


def is_upstream(state: State) -> bool:
    """Return whether upstream SPP forwards, which has no probes and no counters."""
    return any(part.upstream for part in state.plan.parts if part.role in ("primary", "secondary"))


def highest_level(state: State) -> int:
    """Return the highest level that can be shown in a lab."""
    return 1 if is_upstream(state) else 3


def _prove_by_probes(state: State, chain: ChainWiring, options: Options, proof: Proof) -> None:
    """Prove a chain with probes at its ends."""
    headers = classes.headers(chain)
    with testbed.with_probes(state, [chain]) as (bed,):
        runs = ProbeRuns(ControlClient(state.plan.api), bed, headers)
        _Prover(state, chain, runs, headers, options, proof).run()
        for element in (chain.path[0], chain.path[-1]):
            if not is_port(element.rpartition("/")[2]):
                what = f"the link of {element} at the end is not part of this proof: a probe replaces it"
                proof.notes.append(what)
        if proof.verdict == "pass" and options.level > 2:
            necessity.show(chain, runs, options, proof)
        if proof.verdict == "pass" and crosses_hosts(chain):
            if any(leg.impair for leg in chain.legs):
                proof.notes.append("its impairment was not measured: the clocks of two machines differ")
        elif proof.verdict == "pass":
            impairments.measure(state, runs, options, proof)
    if proof.verdict == "pass" and options.level > 1 and not proof.impairments:
        _try_tcp(state, chain, proof)  # without namespaces, the probes have already sent TCP frames


def _prove_by_taps(state: State, chain: ChainWiring, options: Options, proof: Proof) -> None:
    """Prove a chain whose ends cannot be probes: send frames from the kernel's side of its TAP interfaces, slowly."""
    why = why_no_probes(state, chain)
    taps = tap_runs.interfaces(state, chain)
    if isinstance(taps, str):
        proof.doubt(f"{why}, and {taps}", "reach")
        return
    level = min(options.level, 2, highest_level(state))
    limited = replace(options, rate=min(options.rate, tap_runs.MAX_RATE), level=level)
    headers, is_impaired = classes.headers(chain), any(leg.impair for leg in chain.legs)
    try:
        with contextlib.ExitStack() as stack:
            if is_impaired:
                stack.enter_context(testbed.without_impairments(state, chain))
            runs = stack.enter_context(TapRuns(chain, *taps, headers))
            _Prover(state, chain, runs, headers, limited, proof).run()
    except TapError as e:
        proof.doubt(f"frames cannot go from {taps[0]} to {taps[1]}: {e}", "reach")
        return
    proof.notes.append(f"{why}: the frames went from {taps[0]} to {taps[1]}, at most {limited.rate:,} a second")
    if proof.verdict == "pass" and is_impaired:
        with testbed.with_probes(state, [chain]) as (bed,):
            impairments.measure(state, ProbeRuns(ControlClient(state.plan.api), bed, headers), options, proof)
    if proof.verdict != "pass" or options.level < 2:
        return
    if is_upstream(state):
        proof.doubt("upstream SPP counts no frames, so no hop can be observed: --level 1 is the highest", "trace")
        return
    if not is_impaired and not _try_tcp(state, chain, proof):
        proof.notes.append("TCP was not tried: not both ends are in namespaces with addresses")
    if proof.verdict == "pass" and options.level > 2:
        proof.doubt(f"{why}: --level 2 is the highest", "necessity")


def _check_consistency(state: State, chain: ChainWiring, proof: Proof, *, after: bool = False) -> None:
    """Show the level *consistency*: the chain is up. ``after``: whether the proof has run already."""
    observed = observe.observe_processes(
        state.plan.api, observe.processes(state.plan.parts, state.plan.wiring), states.stopped_parts(state)
    )
    chain_state, why = status.chain_states(state.plan, observed)[chain.name]
    if chain_state == "up":
        return
    text = f"{why[0]}" + (f" (and {len(why) - 1} more)" if len(why) > 1 else "")
    if after:
        proof.fail(f"after the proof the chain is {chain_state}: {text}", "consistency")
    elif chain_state == "down":
        proof.doubt(f"the chain is down: {text}", "consistency")
    else:
        proof.fail(text, "consistency")


def _try_tcp(state: State, chain: ChainWiring, proof: Proof) -> bool:
    """Open a TCP connection of the kernel between the network namespaces of both ends.

    Return False if an end has no namespace with an address, or if the chain has one direction.
    """
    known = {end.port: end for end in state.plan.wiring.ends}
    pair = [known.get(port) for port in (chain.path[0], chain.path[-1])]
    client, server = pair
    if client is None or server is None or not (client.address and server.address) or not chain.reverse:
        return False
    if os.geteuid() != 0:
        proof.notes.append("TCP between the namespaces was not tried: only root can enter them")
        return True
    names = [ends.name_of(state.plan, end) for end in (client, server)]
    if any(legs[0].match not in ("", DEFAULT) for _, legs in chain.directions):
        proof.notes.append("TCP between the namespaces was not tried: the kernel's frames are of another class")
        return True
    try:
        seconds = tcp_exchange.tcp(names[0], names[1], server.address.partition("/")[0])
    except OSError as e:
        what = f"TCP from {names[0]} to {names[1]}: {e}"
        if e.errno in (errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.ENETDOWN):
            proof.doubt(f"{what}; check the addresses and routes there: ip -n {names[0]} route", "trace")
        else:
            proof.fail(f"{what}; other frames passed, so check the checksum offloads", "trace")
        return True
    proof.notes.append(f"TCP from {names[0]} to {names[1]} and back: {tcp_exchange.BYTES:,} bytes in {seconds:.2f} s")
    return True


class _Prover:
    """The proof of the levels *reach* and *trace* by runs of frames."""

    def __init__(
        self, state: State, chain: ChainWiring, runs: ProbeRuns | TapRuns, headers: Mapping[str, classes.Header],
        options: Options, proof: Proof,
    ) -> None:  # fmt: skip
        self.state, self.chain, self.runs, self.headers = state, chain, runs, headers
        self.options, self.proof = options, proof

    def run(self) -> None:
        """Send the frames of the proof, and evaluate the result and the ends of other chains."""
        directions = [name for name, _ in self.chain.directions]
        others = self._other_classes()
        macs = [str(header["dst_mac"]) for header in self.headers.values()]
        macs += [str(one.header["dst_mac"]) for found in others.values() for one in found if one.is_random]
        own = () if isinstance(self.runs, ProbeRuns) else (self.chain.path[0], self.chain.path[-1])
        with Watch(self.state, self.chain, macs, own) as watch:
            before = self._observe()
            options = self.options
            runs = self.runs.frames(directions, options.frames, options.rate, size=options.size, window=options.window)
            after = self._observe()
            self.proof.runs = runs
            self._evaluate(runs, before, after)
            if self.proof.verdict == "pass" and isinstance(self.runs, ProbeRuns):
                for direction, found in others.items():
                    for one in found:
                        self._send_class(self.runs, direction, one)
            if self.proof.verdict == "pass" and self.options.level > 1 and isinstance(self.runs, ProbeRuns):
                self._send_tcp(self.runs)
            for reason in watch.stray_frames():
                self.proof.fail(reason, "reach")
            for reason in watch.unknown_traffic():
                self.proof.doubt(reason, "reach")

    def _observe(self) -> Observed:
        return observe.observe_processes(
            self.state.plan.api, dict.fromkeys(leg.process for leg in self.chain.legs if not leg.own)
        )

    def _evaluate(self, runs: Sequence[Run], before: Observed, after: Observed) -> None:
        """Add the faults of these runs to the proof. ``before``, ``after``: the counters before and after them."""
        for run in runs:
            legs = self.runs.legs(run.direction)
            points = checkpoints(run.direction, legs, before, after)
            self.proof.trace += points
            unknown = uncounted(legs, points)
            if self.options.level > 1 and unknown:
                self.proof.doubt(f"{run.direction}: the counters of {', '.join(unknown)} could not be read", "trace")
            if run.is_complete:
                if self.options.level > 1:
                    self._evaluate_counters(run, points)
                continue
            if run.sent == 0:
                self.proof.fail(f"{run.direction}: {legs[0].by} read no frame: does it forward?", "reach")
            elif run.lost and isinstance(self.runs, ProbeRuns) and (strayed := self.runs.strayed(run.direction)):
                what = f"{strayed:,} of {run.sent:,} frames went to other chains of {self._entry(run.direction)}"
                self.proof.fail(f"{run.direction}: {what}", "reach")
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
        """Return where frames were lost."""
        if self.options.level > 1:
            return locate(points, sent)
        hint = "upstream SPP counts no frames" if is_upstream(self.state) else "--level 2 locates them"
        return f"somewhere: {hint}"

    def _evaluate_counters(self, run: Run, points: Sequence[Checkpoint]) -> None:
        """Check that each counter grew by the frames of the run.

        A few frames of the kernel (IPv6, ARP) do not matter. Many foreign frames could hide a hop that was skipped.
        """
        if short := shortfall(points, run.sent):
            self.proof.fail(f"{run.direction}: all frames arrived, but not through each hop: {short}", "trace")
        foreign = max([run.foreign, *(point.grew - run.sent for point in points)])
        if foreign > max(min(20, run.sent // 2), run.sent // 20):
            self.proof.doubt(f"{run.direction}: {foreign:,} foreign frames changed the counters", "trace")

    def _entry(self, direction: str) -> str:
        return dict(self.chain.directions)[direction][0].src

    def _other_classes(self) -> dict[str, list[classes.Other]]:
        """Return the frames that the chain must not take, for each direction that has a match."""
        if not isinstance(self.runs, ProbeRuns):
            return {}
        matches = {direction: legs[0].match for direction, legs in self.chain.directions}
        return {way: classes.others(matches[way], others) for way, others in self.runs.bed.others.items()}

    def _send_class(self, runs: ProbeRuns, direction: str, other: classes.Other) -> None:
        """Send frames that the chain must not take: they must arrive where they belong, and nowhere else."""
        count, name = CLASS_FRAMES, other.name
        run = runs.frames_of_class(direction, other.header, count, min(self.options.rate, 2000), self.options.size)
        strayed = runs.strayed(direction)
        if run.received:
            self.proof.fail(f"{direction}: {run.received} of {run.sent} frames {name} arrived", "reach")
        elif run.sent < count:
            self.proof.doubt(f"{direction}: only {run.sent} of {count} frames {name} were sent", "reach")
        elif strayed != (count if other.taken else 0):
            what = f"{direction}: another chain of {self._entry(direction)} took {strayed} of {count} frames {name}"
            self.proof.fail(what, "reach")

    def _send_tcp(self, runs: ProbeRuns) -> None:
        """Send TCP frames with correct checksums. Offloads can corrupt TCP even if ping and UDP pass."""
        options, directions = self.options, [name for name, _ in self.chain.directions]
        size = max(options.size, 76)
        for run in runs.frames(directions, 100, options.rate, size=size, window=options.window, proto="tcp"):
            if not run.is_complete:
                self.proof.fail(f"{run.direction}: {run.received} of {run.sent} TCP frames arrived", "trace")
