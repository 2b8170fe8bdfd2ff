"""Compare the planned wiring of chains with the observed state, and send the difference."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from sppr.errors import ControlError
from sppr.lab.chains.observe import NO_CONTROLLER, Observed, drift, look, processes
from sppr.lab.chains.wiring import ChainWiring, Wiring, ports_of
from sppr.spp.control import ControlClient

if TYPE_CHECKING:
    from sppr.lab.plan.plan import Plan

Verb = Literal["disconnect", "del", "add", "patch", "forward"]
#: Ports of VMs: their servers get them while the VM starts, by the bring-up.
_OF_VMS = ("vhost", "ivshmem")
#: Ports that a process has without ``add``.
_FIXED = ("phy",)


@dataclass(frozen=True)
class Step:
    """One change of one process, for ``chain``; empty: for none."""

    process: str
    verb: Verb
    args: tuple[str, ...] = ()
    chain: str = field(default="", compare=False)

    def __str__(self) -> str:
        words = {"disconnect": ("patch", "reset")}.get(self.verb, (self.verb,))
        return f"{self.process}; {' '.join((*words, *self.args))}"


def steps(wiring: Wiring, observed: Observed, names: Collection[str] | None = None) -> list[Step]:
    """Return the ordered steps that apply the wiring of these chains (None: all). Empty if already applied.

    No frame gets into a half-built chain. Patches that are no longer wanted are removed from the near end on, ports are
    added, patches are made from the far end on, the processes forward, and the patch at which frames enter each
    direction comes last.
    """
    chosen = [chain for chain in wiring.chains if names is None or chain.name in names]
    chosen = [chain for chain in chosen if can_apply(chain, observed)]
    found = _retire(wiring, observed) if names is None else []
    for chain in chosen:
        found += [Step(process, "disconnect", (src,), chain.name) for process, src, _ in drift(chain, wiring, observed)]
    beside = [leg for leg in wiring.patches if names is None and leg.process in observed.seen]
    named = [(chain.name, leg) for chain in chosen for leg in chain.legs if not leg.own] + [("", leg) for leg in beside]
    found += [Step(*one) for one in _alone(wiring, observed) if names is None]
    for name, leg in named:
        places = ports_of((leg,))
        found += [Step(process, "add", (port,), name) for process, port in places if _must_add(process, port, observed)]
    inner: list[Step] = []
    ingress: list[Step] = []
    for chain in chosen:
        for _, (first, *others) in chain.directions:
            broken = [
                leg for leg in reversed(others) if not leg.own and observed.patch(leg.process, leg.src) != leg.dst
            ]
            there = observed.patch(first.process, first.src)
            if broken and there is not None:  # no frame comes in while the way is rebuilt
                found.append(Step(first.process, "disconnect", (first.src,), chain.name))
            inner += [Step(leg.process, "patch", (leg.src, leg.dst), chain.name) for leg in broken]
            if broken or there != first.dst:
                ingress.append(Step(first.process, "patch", (first.src, first.dst), chain.name))
    for leg in beside:
        if observed.patch(leg.process, leg.src) != leg.dst:
            ingress.append(Step(leg.process, "patch", (leg.src, leg.dst)))
    needed = {leg.process for chain in chosen for leg in chain.legs}
    idle = [
        Step(leg.process, "forward", (), name)
        for name, leg in named
        if not observed.seen[leg.process].running and (leg.process in needed or leg.process not in wiring.idle)
    ]
    every = [*found, *inner, *idle, *ingress]
    return list(dict.fromkeys(every))


def _alone(wiring: Wiring, observed: Observed) -> list[tuple[str, Verb, tuple[str, ...]]]:
    """Ports that conf.yml names without a patch, where they are missing."""
    there = observed.seen
    return [
        (process, "add", (port,))
        for process, port in wiring.ports
        if process in there and port not in there[process].ports
    ]


def can_apply(chain: ChainWiring, observed: Observed) -> bool:
    """Whether all its parts run and all its processes answer."""
    return not observed.dead & set(chain.parts) and all(
        leg.process in observed.seen for leg in chain.legs if not leg.own
    )


def _retire(wiring: Wiring, observed: Observed) -> list[Step]:
    """Take down what chains before have left: their patches, and then the ports that nothing uses any more."""
    wanted = {(leg.process, leg.src) for leg in wiring.legs}
    there = [
        leg
        for leg in wiring.retired
        if (leg.process, leg.src) not in wanted and observed.patch(leg.process, leg.src) == leg.dst
    ]
    found = [Step(leg.process, "disconnect", (leg.src,)) for leg in there]
    removed = {(leg.process, leg.src) for leg in there}
    used = set(ports_of(wiring.legs))
    for process, port in ports_of(wiring.retired):
        seen = observed.seen.get(process)
        if seen is None or port not in seen.ports or (process, port) in used or _is_guest(process, wiring):
            continue
        others = [src for src, dst in seen.patches.items() if port in (src, dst) and (process, src) not in removed]
        if not others and port.partition(":")[0] in ("ring", "nullpmd", "pcap", "memif"):
            found.append(Step(process, "del", (port,)))
    return found


def _is_guest(process: str, wiring: Wiring) -> bool:
    return any(leg.process == process and leg.in_guest for leg in (*wiring.legs, *wiring.retired))


def _must_add(process: str, port: str, observed: Observed) -> bool:
    return port not in observed.seen[process].ports and port.partition(":")[0] not in (*_OF_VMS, *_FIXED)


def apply(
    plan: "Plan", dead: Collection[str] = (), names: Collection[str] | None = None
) -> tuple[list[Step], Observed]:
    """Bring the chains of a lab (those of ``names``; None: all) to the state of its plan.

    Return what was sent, and what the processes report afterwards. ``dead``: parts that do not run; their chains are
    left as they are. ControlError where a process refuses a change.
    """
    asked = processes(plan.parts, plan.wiring)
    observed = look(plan.api, asked, dead)
    changes = steps(plan.wiring, observed, names)
    if changes:
        execute(ControlClient(plan.api), changes)
        observed = look(plan.api, asked, dead)
    return changes, observed


def execute(client: ControlClient, changes: Sequence[Step]) -> None:
    """Send each step. Where a process refuses one, the rest of its chain is not sent, and the other chains are.

    ControlError at the end, with the first refusal of each chain; at once where the controller does not answer.
    """
    refused: dict[str, str] = {}
    hint = None
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
    if refused:
        lines = [f"chain {name}: {what}" if name else what for name, what in refused.items()]
        raise ControlError("\n".join(lines), hint=hint)


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
        case "forward":
            client.forward(step.process)
