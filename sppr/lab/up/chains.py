"""Wire the chains at the end of a bring-up: wait for their processes, apply their patches, and wait for their links."""

from collections.abc import Callable

from sppr.deadline import Deadline
from sppr.lab.chains import reconcile, status
from sppr.lab.chains.observe import Observed, observe_processes, processes, unlinked
from sppr.lab.plan.plan import Plan
from sppr.lab.state import journal
from sppr.lab.state import state as states
from sppr.lab.state.state import State

#: Seconds that guests may take to reconnect to the controller, and to the ports of chains.
LINK_TIMEOUT = 15.0


def wire_chains(state: State, note: Callable[[str], None]) -> Plan:
    """Wire the chains whose parts run, and report the state of each chain. Return the plan, without the retired patches
    that no longer exist.

    Raise ControlError if a process refuses a change.
    """
    plan = state.plan
    _wait_for_processes(state)
    stopped = states.stopped_parts(state)
    changes, observed = reconcile.apply_with_retry(plan, stopped, lambda: _wait_for_processes(state))
    observed = _wait_for_links(state, observed)
    plan = plan.prune_retired(observed)
    if changes:
        note(f"chains: {len(changes)} change{'s' * (len(changes) != 1)} made")
    chain_states = status.chain_states(plan, observed, ask_hosts=False)
    for chain in plan.wiring.chains:
        found, why = chain_states[chain.name]
        note(f"chain {chain.name}: {found}  {' → '.join(chain.path)}" + (f": {why[0]}" if why else ""))
        journal.write(state.folder, "chain.state", chain=chain.name, state=found, reason=why[0] if why else "")
    return plan


def _wait_for_processes(state: State) -> None:
    """Wait until the processes of all chains whose parts run are connected.

    A guest that gets no CPU for some seconds loses its connection after it was ready, and reconnects.
    """
    wiring = state.plan.wiring
    names = processes(state.plan.parts, wiring)
    for _ in Deadline(LINK_TIMEOUT).ticks(0.1):
        stopped = states.stopped_parts(state)
        observed = observe_processes(state.plan.api, names, stopped)
        complete = [chain for chain in wiring.chains if not set(stopped) & set(chain.parts)]
        if all(leg.own or leg.process in observed.statuses for chain in complete for leg in chain.legs):
            return


def _wait_for_links(state: State, observed: Observed) -> Observed:
    """Wait until the guests are connected to the ports of the chains, and return the status at that time.

    QEMU reconnects up to 2 s after a vhost socket exists again.
    """
    names = processes(state.plan.parts, state.plan.wiring)
    for _ in Deadline(LINK_TIMEOUT).ticks(0.1):
        complete = [chain for chain in state.plan.wiring.chains if reconcile.can_apply(chain, observed)]
        if not any("vhost:" in port for chain in complete for port in unlinked(chain, observed)):
            break
        observed = observe_processes(state.plan.api, names, states.stopped_parts(state))
    return observed
