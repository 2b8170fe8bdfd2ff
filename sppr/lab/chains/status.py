"""The chains of a session as ``sppr chain`` shows them: state, rates, and the counters of each hop."""

import time
from dataclasses import dataclass

from sppr.lab.chains import ends
from sppr.lab.chains.observe import ChainState, Observed, look, processes, state_of
from sppr.lab.chains.proof import testbed
from sppr.lab.chains.wiring import ChainWiring, Leg
from sppr.lab.plan.plan import Plan
from sppr.lab.state import state as states
from sppr.lab.state.state import State

#: Seconds between the two looks that a rate is made of.
INTERVAL = 0.2
#: Of a chain whose ends are probes now.
BUSY: tuple[ChainState, list[str]] = (
    "degraded", ["probes stand at its ends while sppr chain prove or bench runs"]
)  # fmt: skip


@dataclass(frozen=True)
class ChainRow:
    """One chain. ``forward`` and ``reverse``: frames per second that leave at the far end; None: not known, or no such
    direction. ``dropped``: frames that its ports have dropped since they were made. ``why``: each reason why it is not
    up."""

    name: str
    state: ChainState
    path: tuple[str, ...]
    forward: float | None
    reverse: float | None
    dropped: int | None
    why: tuple[str, ...]


@dataclass(frozen=True)
class LegRow:
    """One patch of a chain. ``frames``: sent to ``dst`` since the port was made; ``dropped``: lost at either port; None
    where the process has no counters."""

    direction: str
    hop: int
    process: str
    by: str
    src: str
    dst: str
    own: bool
    frames: int | None
    dropped: int | None


def observe(state: State) -> Observed:
    """Ask every process of the session that a chain concerns."""
    plan = state.plan
    return look(plan.api, processes(plan.parts, plan.wiring), states.stopped_parts(state))


def chains(state: State, interval: float = INTERVAL) -> list[ChainRow]:
    """Return a row for each chain. ``interval``: seconds between two looks for the rates; 0: no rates."""
    since, before = time.monotonic(), observe(state)
    after, seconds = before, 0.0
    if interval and state.plan.wiring.chains and not before.silent:  # one that hangs has cost enough
        time.sleep(max(0.0, interval - (time.monotonic() - since)))
        after, seconds = observe(state), time.monotonic() - since
    standing, busy = states_of(state.plan, after), testbed.in_use(state.folder)
    return [_row(chain, BUSY if chain.name in busy else standing[chain.name], before, after, seconds)
            for chain in state.plan.wiring.chains]  # fmt: skip


def states_of(plan: Plan, observed: Observed) -> dict[str, tuple[ChainState, list[str]]]:
    """Return the state of each chain of the plan, and each reason for it that is not ``up``; those of its ends, too."""
    faults = ends.faults(plan)
    return {c.name: state_of(c, plan.wiring, observed, faults.get(c.name, ())) for c in plan.wiring.chains}


def _row(
    chain: ChainWiring, standing: tuple[ChainState, list[str]], before: Observed, after: Observed, seconds: float
) -> ChainRow:
    rates = {name: _rate(legs[-1], before, after, seconds) for name, legs in chain.directions}
    dropped = [_dropped(leg, after) for leg in chain.legs]
    known = [count for count in dropped if count is not None]
    return ChainRow(
        chain.name, standing[0], chain.path, rates.get("forward"), rates.get("reverse"), sum(known) if known else None,
        tuple(standing[1]),
    )  # fmt: skip


def legs(chain: ChainWiring, observed: Observed) -> list[LegRow]:
    """Return a row for each patch of a chain, in the order in which a frame meets them."""
    found: list[LegRow] = []
    for direction, patches in chain.directions:
        for leg in patches:
            there = observed.counters(leg.process, leg.dst)
            frames = there.tx if there else None
            found.append(
                LegRow(
                    direction, leg.hop, leg.process, leg.by, leg.src, leg.dst, leg.own, frames, _dropped(leg, observed)
                )
            )
    return found


def _dropped(leg: Leg, observed: Observed) -> int | None:
    src, dst = (observed.counters(leg.process, port) for port in (leg.src, leg.dst))
    return src.rx_drop + dst.tx_drop if src and dst else None


def _rate(leg: Leg, before: Observed, after: Observed, seconds: float) -> float | None:
    first, last = (one.counters(leg.process, leg.dst) for one in (before, after))
    if first is None or last is None or seconds <= 0 or last.tx < first.tx:
        return None
    return (last.tx - first.tx) / seconds
