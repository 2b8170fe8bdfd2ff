"""Compare the planned wiring of chains with the observed state, and send the difference."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from sppr import impairment
from sppr.errors import ControlError
from sppr.lab.chains.observe import NO_CONTROLLER, Observed, drift, observe_processes, processes
from sppr.lab.chains.wiring import ChainWiring, Leg, Wiring, ports_of
from sppr.spp import match
from sppr.spp.control import ControlClient, ProcessNotConnected

if TYPE_CHECKING:
    from sppr.lab.plan.plan import Plan

Verb = Literal["disconnect", "del", "add", "patch", "forward", "impair"]
#: Types of the ports of VMs. The bring-up adds them while the VM starts.
_VM_PORTS = ("vhost", "ivshmem")
#: Types of ports that a process has without ``add``.
_FIXED_PORTS = ("phy",)


@dataclass(frozen=True)
class Step:
    """A change of one process.

    ``process``: its name. ``verb``, ``args``: the command; a source has its match (``spp.match``).
    ``chain``: the chain that needs it; empty: none.
    """

    process: str
    verb: Verb
    args: tuple[str, ...] = ()
    chain: str = field(default="", compare=False)

    def __str__(self) -> str:
        if self.verb == "patch":
            return f"{self.process}; patch {match.arguments(*self.args)}"
        words = {"disconnect": ("patch", "reset")}.get(self.verb, (self.verb,))
        return f"{self.process}; {' '.join((*words, *self.args))}"


def steps(wiring: Wiring, observed: Observed, names: Collection[str] | None = None) -> list[Step]:
    """Return the ordered steps that apply the wiring of these chains (None: all). It is empty if they are applied.

    No frame enters an incomplete chain. Patches that must go are removed first, from the near end on. Then ports are
    added, patches are set from the far end on, and the processes start to forward. The patch at which frames enter a
    direction is the last.
    """
    selected = [chain for chain in wiring.chains if names is None or chain.name in names]
    selected = [chain for chain in selected if can_apply(chain, observed)]
    first_steps = _remove_retired(wiring, observed) if names is None else []
    for chain in selected:
        foreign = drift(chain, wiring, observed)
        first_steps += [Step(process, "disconnect", (src,), chain.name) for process, src, _ in foreign]
    single = [leg for leg in wiring.patches if names is None and leg.process in observed.statuses]
    named = [(chain.name, leg) for chain in selected for leg in chain.legs if not leg.own]
    named += [("", leg) for leg in single]
    first_steps += _missing_single_ports(wiring, observed) if names is None else []
    for name, leg in named:
        places = ports_of((leg,))
        first_steps += [Step(p, "add", (port,), name) for p, port in places if _must_add(p, port, observed)]
    inner: list[Step] = []
    ingress: list[Step] = []
    for chain in selected:
        for _, (first, *others) in chain.directions:
            broken = [
                leg for leg in reversed(others) if not leg.own and observed.patch(leg.process, leg.source) != leg.dst
            ]
            actual = observed.patch(first.process, first.source)
            if broken and actual is not None:  # keep frames out while the chain is incomplete
                first_steps.append(Step(first.process, "disconnect", (first.source,), chain.name))
            inner += [Step(leg.process, "patch", (leg.source, leg.dst), chain.name) for leg in broken]
            if broken or actual != first.dst:
                ingress.append(Step(first.process, "patch", (first.source, first.dst), chain.name))
    for leg in single:
        if observed.patch(leg.process, leg.source) != leg.dst:
            ingress.append(Step(leg.process, "patch", (leg.source, leg.dst)))
    impair = _impairments(named, observed, [*inner, *ingress])
    needed = {leg.process for chain in selected for leg in chain.legs}
    forward = [
        Step(leg.process, "forward", (), name)
        for name, leg in named
        if not observed.statuses[leg.process].running and (leg.process in needed or leg.process not in wiring.idle)
    ]
    return list(dict.fromkeys([*first_steps, *inner, *forward, *ingress, *impair]))


def _impairments(legs: Sequence[tuple[str, Leg]], observed: Observed, patched: Sequence[Step]) -> list[Step]:
    """Return the steps that set the impairments of patches, each with the name of its chain. ``patched``: the steps
    before them. A new patch has no impairment.
    """
    new = {(step.process, step.args[0]) for step in patched}
    found = []
    for name, leg in legs:
        existing = observed.impairment(leg.process, leg.source)
        words = existing.words if existing and (leg.process, leg.source) not in new else ""
        if not impairment.same(words, leg.impair):
            found.append(Step(leg.process, "impair", (leg.source, leg.impair or impairment.OFF), name))
    return found


def _missing_single_ports(wiring: Wiring, observed: Observed) -> list[Step]:
    """Return the steps that add the ports that conf.yml has without a patch."""
    statuses = observed.statuses
    return [
        Step(process, "add", (port,))
        for process, port in wiring.ports
        if process in statuses and port not in statuses[process].ports
    ]


def can_apply(chain: ChainWiring, observed: Observed) -> bool:
    """Return whether all parts of the chain run, and all its processes answer."""
    return not observed.stopped & set(chain.parts) and all(
        leg.process in observed.statuses for leg in chain.legs if not leg.own
    )


def _remove_retired(wiring: Wiring, observed: Observed) -> list[Step]:
    """Return the steps that remove the patches of former chains, and then the ports that nothing uses any more."""
    sources = {(leg.process, leg.source) for leg in wiring.legs}
    existing = [
        leg
        for leg in wiring.retired
        if (leg.process, leg.source) not in sources and observed.patch(leg.process, leg.source) == leg.dst
    ]
    removals = [Step(leg.process, "disconnect", (leg.source,)) for leg in existing]
    removed = {(leg.process, leg.source) for leg in existing}
    used = set(ports_of(wiring.legs))
    for process, port in ports_of(wiring.retired):
        status = observed.statuses.get(process)
        if status is None or port not in status.ports or (process, port) in used or _is_guest(process, wiring):
            continue
        others = [
            src
            for src, dst in status.patches.items()
            if port in (match.port_of(src), dst) and (process, src) not in removed
        ]
        if not others and port.partition(":")[0] in ("ring", "nullpmd", "pcap", "memif"):
            removals.append(Step(process, "del", (port,)))
    return removals


def _is_guest(process: str, wiring: Wiring) -> bool:
    return any(leg.process == process and leg.in_guest for leg in (*wiring.legs, *wiring.retired))


def _must_add(process: str, port: str, observed: Observed) -> bool:
    return port not in observed.statuses[process].ports and port.partition(":")[0] not in (*_VM_PORTS, *_FIXED_PORTS)


def apply(
    plan: "Plan", stopped: Collection[str] = (), names: Collection[str] | None = None
) -> tuple[list[Step], Observed]:
    """Apply the wiring of the chains of a lab. ``names``: only these chains.

    Return the steps that were sent, and the state observed afterwards. ``stopped``: parts that do not run; their chains
    stay as they are. Raise ControlError if a process refuses a change.
    """
    queried = processes(plan.parts, plan.wiring)
    observed = observe_processes(plan.api, queried, stopped)
    changes = steps(plan.wiring, observed, names)
    if changes:
        execute(ControlClient(plan.api), changes)
        observed = observe_processes(plan.api, queried, stopped)
    return changes, observed


def apply_with_retry(
    plan: "Plan", stopped: Collection[str], wait_for_processes: Callable[[], None]
) -> tuple[list[Step], Observed]:
    """Apply the wiring of all chains. Apply it once more if a process loses its connection in between.

    A guest that gets no CPU for some seconds loses its connection, and reconnects. ``wait_for_processes``: returns when
    the processes are connected again.
    """
    try:
        return apply(plan, stopped)
    except ProcessNotConnected:
        wait_for_processes()
        return apply(plan, stopped)


def execute(client: ControlClient, changes: Sequence[Step]) -> None:
    """Send each step. If a process refuses one, skip the rest of its chain, and continue with the other chains.

    Raise ControlError at the end, with the first refusal of each chain, or ProcessNotConnected if that is the reason of
    one of them. Raise ControlError at once if the controller does not answer.
    """
    refused: dict[str, str] = {}
    hint, error = None, ControlError
    for step in changes:
        if step.chain and step.chain in refused:
            continue
        try:
            _send(client, step)
        except ControlError as e:
            e.what = f"{step}: {e.what}"
            if NO_CONTROLLER in e.what:
                raise
            refused.setdefault(step.chain, e.what)
            hint = e.hint
            error = ProcessNotConnected if isinstance(e, ProcessNotConnected) else error
    if refused:
        lines = [f"chain {name}: {what}" if name else what for name, what in refused.items()]
        raise error("\n".join(lines), hint=hint)


def _send(client: ControlClient, step: Step) -> None:
    match step.verb:
        case "disconnect":
            client.disconnect(step.process, *step.args)
        case "del":
            client.del_port(step.process, *step.args)
        case "add":
            client.add_port(step.process, *step.args)
        case "patch":
            client.patch(step.process, *step.args)
        case "impair":
            client.impair(step.process, *step.args)
        case "forward":
            client.forward(step.process)
