"""What the processes of a lab report about their ports, patches and counters, and what a chain's state is by that."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from sppr.errors import ControlError
from sppr.lab.chains.wiring import SHARED, ChainWiring, Wiring
from sppr.parts.part import Part
from sppr.spp.control import Address, ControlClient

ChainState = Literal["up", "degraded", "down"]
#: Seconds for the status of one process. One that hangs is a fault of its chains, and is reported within 2 s.
TIMEOUT = 1.5
#: As ControlClient reports a request without an answer in time.
NO_CONTROLLER = "the controller does not answer"
#: Of a process that is connected.
HANGS = "does not answer"


@dataclass(frozen=True)
class Counters:
    """Frames of one port since it was made. ``rx``: received from it, ``tx``: sent to it. ``linked``: False where the
    port has another side that is not connected."""

    rx: int = 0
    rx_drop: int = 0
    tx: int = 0
    tx_drop: int = 0
    linked: bool = True


@dataclass(frozen=True)
class Seen:
    """The status of one process. ``counters``: empty for SPP's own processes, which have none."""

    ports: frozenset[str] = frozenset()
    patches: Mapping[str, str] = field(default_factory=dict)
    running: bool = False
    counters: Mapping[str, Counters] = field(default_factory=dict)


@dataclass(frozen=True)
class Observed:
    """``seen``: the status of each process that answers. ``silent``: why another one does not. ``dead``: parts that do
    not run."""

    seen: Mapping[str, Seen]
    silent: Mapping[str, str] = field(default_factory=dict)
    dead: frozenset[str] = frozenset()

    def patch(self, process: str, src: str) -> str | None:
        """Return where ``src`` is patched to. None where it is not, or where the process does not answer."""
        found = self.seen.get(process)
        return found.patches.get(src) if found else None

    def counters(self, process: str, port: str) -> Counters | None:
        """Return the counters of a port. None where its process does not answer, or has none."""
        found = self.seen.get(process)
        return found.counters.get(port) if found else None


def processes(parts: Iterable[Part], wiring: Wiring) -> list[str]:
    """Return the processes that may have a patch on a port of a chain: all that forward, and the guests of chains."""
    parts = list(parts)
    carriers = ["primary"] + [f"nfv:{part.id}" for part in parts if part.role == "secondary" and part.kind == "nfv"]
    guests = [leg.process for leg in (*wiring.legs, *wiring.retired) if not leg.own]
    return list(dict.fromkeys([*carriers, *guests]))


def look(api: Address, names: Iterable[str], dead: Iterable[str] = (), timeout: float = TIMEOUT) -> Observed:
    """Ask each process for its status, all at once."""
    names = list(names)
    client = ControlClient(api, timeout=timeout)
    with ThreadPoolExecutor(max_workers=min(16, len(names)) or 1) as pool:
        answers = dict(zip(names, pool.map(lambda name: _ask(client, name), names), strict=True))
    seen = {name: answer for name, answer in answers.items() if isinstance(answer, Seen)}
    silent = {name: answer for name, answer in answers.items() if isinstance(answer, str)}
    if seen:  # so the controller is there, and it is the process that keeps the request waiting
        silent = {name: HANGS if why == NO_CONTROLLER else why for name, why in silent.items()}
    return Observed(seen, silent, frozenset(dead))


def _ask(client: ControlClient, name: str) -> Seen | str:
    try:
        status = client.status(name)
    except ControlError as e:
        if "(status 404)" in e.what:
            return "is not connected"
        return NO_CONTROLLER if NO_CONTROLLER in e.what else HANGS
    try:
        return _seen(status.get("forwarder", {}) if name == "primary" else status)
    except (AttributeError, KeyError, TypeError, ValueError):
        return "has a status that cannot be understood"


def _seen(status: Mapping[str, Any]) -> Seen:
    def name(text: str) -> str:
        return text.replace(" ", "")  # a status writes "phy:0 nq 3", a command "phy:0nq3"

    return Seen(
        ports=frozenset(name(port) for port in status.get("ports", [])),
        patches={name(patch["src"]): name(patch["dst"]) for patch in status.get("patches", [])},
        running=status.get("status") == "running",
        counters={
            name(one["port"]): Counters(one["rx"], one["rx_drop"], one["tx"], one["tx_drop"], one.get("link") != "down")
            for one in status.get("counters", [])
        },
    )


def state_of(
    chain: ChainWiring, wiring: Wiring, observed: Observed, faults: Sequence[str] = ()
) -> tuple[ChainState, list[str]]:
    """Return the state of a chain, and each reason for it that is not ``up``. ``faults``: of its ends.

    down: one of its parts does not run or is not connected, or none of its patches is there.
    """
    gone = [f"{name} does not run" for name in chain.parts if name in observed.dead]
    if gone:
        return "down", gone
    gone = list(dict.fromkeys(_silent(leg.process, leg.by, observed) for leg in chain.legs if not leg.own))
    gone = [why for why in gone if why]
    if gone:
        return "down", gone
    legs = [leg for leg in chain.legs if not leg.own]
    missing = [leg for leg in legs if observed.patch(leg.process, leg.src) != leg.dst]
    found = [_missing(leg.process, leg.src, leg.dst, observed) for leg in missing]
    if legs and len(missing) == len(legs):
        return "down", ["it is not applied: sppr chain apply"]
    for process in dict.fromkeys(leg.process for leg in legs):
        if not observed.seen[process].running:
            found.append(f"{process} is not forwarding")
    found += unlinked(chain, observed)
    found += [f"{process}: {src} -> {dst} is of no chain" for process, src, dst in drift(chain, wiring, observed)]
    found += faults
    return ("degraded" if found else "up"), found


def unlinked(chain: ChainWiring, observed: Observed) -> list[str]:
    """Return the ports of a chain whose other side is not connected. QEMU connects 1-2 s after a secondary restarts."""
    places = dict.fromkeys((leg.process, port) for leg in chain.legs if leg.hop for port in (leg.src, leg.dst))
    return [
        f"{process}: nobody is connected to {port}"
        for process, port in places
        if (there := observed.counters(process, port)) is not None and not there.linked
    ]


def _silent(process: str, by: str, observed: Observed) -> str:
    why = observed.silent.get(process)
    if why is None or why == NO_CONTROLLER:
        return why or ""
    return f"{by}: its spp_vm {why}" if by.startswith("vm_") else f"{by} {why}"


def _missing(process: str, src: str, dst: str, observed: Observed) -> str:
    there = observed.patch(process, src)
    if there is None:
        return f"{process}: {src} -> {dst} is missing"
    return f"{process}: {src} goes to {there}, not to {dst}"


def drift(chain: ChainWiring, wiring: Wiring, observed: Observed) -> list[tuple[str, str, str]]:
    """Return the patches that touch a port of the chain and belong to no chain, as (process, src, dst). A patch that
    only takes the place of one of the chain's own is not among them: ``state_of`` reports that as missing."""
    wanted = {leg.patch for leg in wiring.legs}
    mine = {(leg.process, leg.src) for leg in chain.legs}
    own = {(leg.process, port) for leg in chain.legs for port in (leg.src, leg.dst)}
    guests = {leg.process for leg in chain.legs if leg.in_guest}
    shared = {port for process, port in own if port.partition(":")[0] in SHARED and process not in guests}
    every_guest = {leg.process for leg in wiring.legs if leg.in_guest}
    found: list[tuple[str, str, str]] = []
    for process, seen in observed.seen.items():
        for src, dst in seen.patches.items():
            if (process, src, dst) in wanted or (process, src) in mine:
                continue
            touches = {(process, src), (process, dst)} & own
            if touches or (process not in every_guest and {src, dst} & shared):
                found.append((process, src, dst))
    return found
