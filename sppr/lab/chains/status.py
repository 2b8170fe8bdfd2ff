"""Determine the status of the chains of a session: state, rates, and the counters of each hop."""

import time
from dataclasses import dataclass

from sppr.lab.chains import ends, links
from sppr.lab.chains.observe import ChainState, Observed, chain_state, observe_processes, processes
from sppr.lab.chains.proof import testbed
from sppr.lab.chains.wiring import ChainWiring, Leg
from sppr.lab.plan.plan import Plan
from sppr.lab.state import state as states
from sppr.lab.state.state import State

#: Seconds between the two observations from which a rate is computed.
INTERVAL = 0.2
#: State and reason of a chain whose ends are probes now.
BUSY: tuple[ChainState, list[str]] = (
    "degraded", ["probes replace its ends while sppr chain prove or bench runs"]
)  # fmt: skip


@dataclass(frozen=True)
class ChainRow:
    """The status of a chain.

    ``name``, ``path``: as in conf.yml. ``state``: up, degraded or down.
    ``forward``, ``reverse``: frames per second that leave at the far end; None: unknown, or there is no such direction.
    ``dropped``: frames that its ports have dropped since they were created; None: unknown.
    ``why``: the reasons if the chain is not up.
    """

    name: str
    state: ChainState
    path: tuple[str, ...]
    forward: float | None
    reverse: float | None
    dropped: int | None
    why: tuple[str, ...]


@dataclass(frozen=True)
class LegRow:
    """A patch of a chain, with its counters.

    ``direction``, ``hop``: its position in the chain. ``process``, ``by``, ``src``, ``dst``, ``own``, ``match``: see
    ``Leg``.
    ``frames``: frames sent to ``dst`` since the port was created; received from ``src`` if other chains send to
    ``dst``, too. ``dropped``: frames dropped at the ports that only this chain has. Both are None if the process has no
    counters.
    """

    direction: str
    hop: int
    process: str
    by: str
    src: str
    dst: str
    own: bool
    match: str
    frames: int | None
    dropped: int | None


def observe_chains(state: State) -> Observed:
    """Ask every process of the session that may have a patch on a port of a chain."""
    plan = state.plan
    return observe_processes(plan.api, processes(plan.parts, plan.wiring), states.stopped_parts(state))


def chains(state: State, interval: float = INTERVAL) -> list[ChainRow]:
    """Return the status of each chain. ``interval``: seconds between the observations for the rates; 0: no rates."""
    since, before = time.monotonic(), observe_chains(state)
    after, seconds = before, 0.0
    if interval and state.plan.wiring.chains and not before.silent:  # do not wait for a silent process a second time
        time.sleep(max(0.0, interval - (time.monotonic() - since)))
        after, seconds = observe_chains(state), time.monotonic() - since
    states_now, busy = chain_states(state.plan, after), testbed.in_use(state.folder)
    return [_row(chain, BUSY if chain.name in busy else states_now[chain.name], before, after, seconds)
            for chain in state.plan.wiring.chains]  # fmt: skip


def chain_states(plan: Plan, observed: Observed, *, ask_hosts: bool = True) -> dict[str, tuple[ChainState, list[str]]]:
    """Return the state of each chain of the plan by name, with the reasons if it is not ``up``.

    ``ask_hosts``: whether the other host of a link must answer.
    """
    faults = ends.faults(plan)
    broken = links.faults(plan.wiring) if ask_hosts else {}
    return {
        c.name: chain_state(c, plan.wiring, observed, [*faults.get(c.name, ()), *links.of_chain(c, broken)])
        for c in plan.wiring.chains
    }


def _row(
    chain: ChainWiring, state: tuple[ChainState, list[str]], before: Observed, after: Observed, seconds: float
) -> ChainRow:
    rates = {name: _rate(chain, legs[-1], before, after, seconds) for name, legs in chain.directions}
    dropped = [_dropped(chain, leg, after) for leg in chain.legs]
    known = [count for count in dropped if count is not None]
    return ChainRow(
        chain.name, state[0], chain.path, rates.get("forward"), rates.get("reverse"), sum(known) if known else None,
        tuple(state[1]),
    )  # fmt: skip


def legs(chain: ChainWiring, observed: Observed) -> list[LegRow]:
    """Return a row for each patch of a chain, in the order in which a frame passes them."""
    found: list[LegRow] = []
    for direction, patches in chain.directions:
        for leg in patches:
            frames, dropped = _frames(chain, leg, observed), _dropped(chain, leg, observed)
            found.append(
                LegRow(direction, leg.hop, leg.process, leg.by, leg.src, leg.dst, leg.own, leg.match, frames, dropped)
            )
    return found


def _frames(chain: ChainWiring, leg: Leg, observed: Observed) -> int | None:
    """Return the frames of the chain that passed a patch, or None if no counter counts only them."""
    side = chain.counted(leg)
    counters = observed.counters(leg.process, side[0]) if side else None
    return None if side is None or counters is None else counters.tx if side[1] == "tx" else counters.rx


def _dropped(chain: ChainWiring, leg: Leg, observed: Observed) -> int | None:
    """Return the frames dropped at a patch. The drops at an end that chains share belong to none of them."""
    found = [(observed.counters(leg.process, port), side) for port, side in chain.own_sides(leg)]
    known = [c.tx_drop if side == "tx" else c.rx_drop for c, side in found if c is not None]
    return sum(known) if known and len(known) == len(found) else None


def _rate(chain: ChainWiring, leg: Leg, before: Observed, after: Observed, seconds: float) -> float | None:
    first, last = (_frames(chain, leg, observed) for observed in (before, after))
    if first is None or last is None or seconds <= 0 or last < first:
        return None
    return (last - first) / seconds
