"""Ask the processes of a lab for their ports, patches and counters, and determine the state of each chain."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from sppr import impairment
from sppr.errors import ControlError
from sppr.lab.chains.wiring import SHARED, ChainWiring, Leg, Wiring, host_of
from sppr.parts.part import Part
from sppr.spp import match
from sppr.spp.control import Address, ControlClient, is_primary_target

ChainState = Literal["up", "degraded", "down"]
#: Time limit in seconds for the status of one process, so that a process that hangs is reported within 2 s.
TIMEOUT = 1.5
#: The message of ControlClient for a request that is not answered in time.
NO_CONTROLLER = "the controller does not answer"
#: The message for a connected process that does not answer.
HANGS = "does not answer"


@dataclass(frozen=True)
class Counters:
    """The frame counters of a port since it was created.

    ``rx``: frames received from it. ``tx``: frames sent to it. ``rx_drop``, ``tx_drop``: frames dropped.
    ``linked``: False if the port has a peer that is not connected.
    """

    rx: int = 0
    rx_drop: int = 0
    tx: int = 0
    tx_drop: int = 0
    linked: bool = True


@dataclass(frozen=True)
class Impaired:
    """The impairment of a patch, and the frames that it counted since it was set.

    ``words``: such as ``delay=20ms``. The counters: docs/dataplane.md, Impairments.
    """

    words: str
    offered: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    corrupted: int = 0
    overflow: int = 0
    no_memory: int = 0
    held: int = 0

    @property
    def dropped(self) -> int:
        """Return the frames that it did not pass on, for whatever reason."""
        return self.lost + self.overflow + self.no_memory


@dataclass(frozen=True)
class ProcessStatus:
    """The status of a process.

    ``ports``: its ports. ``patches``: destination by source, with its match (``spp.match``).
    ``running``: whether it forwards. ``impairments``: by the source of their patch.
    ``counters``: by port; empty for upstream processes, which have none.
    """

    ports: frozenset[str] = frozenset()
    patches: Mapping[str, str] = field(default_factory=dict)
    running: bool = False
    counters: Mapping[str, Counters] = field(default_factory=dict)
    impairments: Mapping[str, Impaired] = field(default_factory=dict)


@dataclass(frozen=True)
class Observed:
    """The observed state of the processes of a lab.

    ``statuses``: the status of each process that answers. ``silent``: the reason for each process that does not.
    ``stopped``: parts that do not run.
    """

    statuses: Mapping[str, ProcessStatus]
    silent: Mapping[str, str] = field(default_factory=dict)
    stopped: frozenset[str] = frozenset()

    def patch(self, process: str, src: str) -> str | None:
        """Return the destination of the patch from ``src``. None: there is none, or the process does not answer."""
        status = self.statuses.get(process)
        return status.patches.get(src) if status else None

    def impairment(self, process: str, source: str) -> Impaired | None:
        """Return the impairment of the patch from ``source``. None: it has none, or its process does not answer."""
        status = self.statuses.get(process)
        return status.impairments.get(source) if status else None

    def counters(self, process: str, port: str) -> Counters | None:
        """Return the counters of a port. None: it has none, or its process does not answer."""
        status = self.statuses.get(process)
        return status.counters.get(port) if status else None


_IMPAIRED = [found.name for found in fields(Impaired) if found.name != "words"]


def processes(parts: Iterable[Part], wiring: Wiring) -> list[str]:
    """Return the processes that may have a patch on a port of a chain.

    They are all processes that can forward, and the guests of chains.
    """
    parts = list(parts)
    primaries = [part.process for part in parts if part.role == "primary"] or ["primary"]
    carriers = primaries + [part.process for part in parts if part.role == "secondary" and part.kind == "nfv"]
    guests = [leg.process for leg in (*wiring.legs, *wiring.retired) if not leg.own]
    return list(dict.fromkeys([*carriers, *guests]))


def observe_processes(
    api: Address, names: Iterable[str], stopped: Iterable[str] = (), timeout: float = TIMEOUT
) -> Observed:
    """Ask each of these processes for its status, in parallel. ``stopped``: parts that do not run."""
    names = list(names)
    client = ControlClient(api, timeout=timeout)
    with ThreadPoolExecutor(max_workers=min(16, len(names)) or 1) as pool:
        answers = dict(zip(names, pool.map(lambda name: _query(client, name), names), strict=True))
    statuses = {name: answer for name, answer in answers.items() if isinstance(answer, ProcessStatus)}
    silent = {name: answer for name, answer in answers.items() if isinstance(answer, str)}
    if statuses:  # the controller answers, so the timeout is caused by the process
        silent = {name: HANGS if why == NO_CONTROLLER else why for name, why in silent.items()}
    return Observed(statuses, silent, frozenset(stopped))


def _query(client: ControlClient, name: str) -> ProcessStatus | str:
    """Return the status of a process, or the reason why there is none."""
    try:
        status = client.status(name)
    except ControlError as e:
        if "(status 404)" in e.what:
            return "is not connected"
        return NO_CONTROLLER if NO_CONTROLLER in e.what else HANGS
    try:
        return parse_status(status.get("forwarder", {}) if is_primary_target(name) else status)
    except (AttributeError, KeyError, TypeError, ValueError):
        return "sends an invalid status"


def parse_status(status: Mapping[str, Any]) -> ProcessStatus:
    """Return the status of a process from its status object. Raise AttributeError, KeyError, TypeError or ValueError if
    the object is invalid.
    """

    def name(text: str) -> str:
        return text.replace(" ", "")  # "phy:0 nq 3" in a status is "phy:0nq3" in a command

    patches = {match.source(name(patch["src"]), patch.get("match", "")): patch for patch in status.get("patches", [])}
    return ProcessStatus(
        ports=frozenset(name(port) for port in status.get("ports", [])),
        patches={source: name(patch["dst"]) for source, patch in patches.items()},
        running=status.get("status") == "running",
        counters={
            name(row["port"]): Counters(row["rx"], row["rx_drop"], row["tx"], row["tx_drop"], row.get("link") != "down")
            for row in status.get("counters", [])
        },
        impairments={source: _impaired(patch) for source, patch in patches.items() if "impair" in patch},
    )


def _impaired(patch: Mapping[str, Any]) -> Impaired:
    counters = patch.get("impaired", {})
    return Impaired(patch["impair"], **{key: int(counters.get(key, 0)) for key in _IMPAIRED})


def chain_state(
    chain: ChainWiring, wiring: Wiring, observed: Observed, faults: Sequence[str] = ()
) -> tuple[ChainState, list[str]]:
    """Return the state of a chain, and the reasons if it is not ``up``. ``faults``: the faults of its ends.

    The state is ``down`` if one of its parts does not run or is not connected, or if none of its patches exists.
    """
    not_running = [f"{name} does not run" for name in chain.parts if name in observed.stopped]
    if not_running:
        return "down", not_running
    silent = list(dict.fromkeys(_silent_reason(leg.process, leg.by, observed) for leg in chain.legs if not leg.own))
    silent = [why for why in silent if why]
    if silent:
        return "down", silent
    legs = [leg for leg in chain.legs if not leg.own]
    missing = [leg for leg in legs if observed.patch(leg.process, leg.source) != leg.dst]
    reasons = [_missing_reason(leg.process, leg.source, leg.dst, observed) for leg in missing]
    if legs and len(missing) == len(legs):
        return "down", ["its patches are not applied: sppr chain apply"]
    for process in dict.fromkeys(leg.process for leg in legs):
        if not observed.statuses[process].running:
            reasons.append(f"{process} is not forwarding")
    reasons += [reason for leg in legs if (reason := _wrong_impairment(leg, observed))]
    reasons += unlinked(chain, observed)
    foreign = drift(chain, wiring, observed)
    reasons += [f"{process}: {src} -> {dst} belongs to no chain" for process, src, dst in foreign]
    reasons += faults
    return ("degraded" if reasons else "up"), reasons


def _wrong_impairment(leg: Leg, observed: Observed) -> str:
    """Return how the impairment of a patch differs from the wanted one, or "" if it does not, or has no patch."""
    found = observed.impairment(leg.process, leg.source)
    words = found.words if found else ""
    if observed.patch(leg.process, leg.source) != leg.dst or impairment.same(words, leg.impair):
        return ""
    what = f"{leg.process}: {leg.source} -> {leg.dst} has the impairment {words}" if words else ""
    return f"{what or f'{leg.process}: {leg.source} -> {leg.dst} has no impairment'}, not {leg.impair or 'none'}"


def unlinked(chain: ChainWiring, observed: Observed) -> list[str]:
    """Return a message for each port of a chain whose peer is not connected.

    QEMU connects 1-2 s after a secondary restarts.
    """
    places = dict.fromkeys((leg.process, port) for leg in chain.legs if leg.hop for port in (leg.src, leg.dst))
    return [
        f"{process}: nothing is connected to {port}"
        for process, port in places
        if (counters := observed.counters(process, port)) is not None and not counters.linked
    ]


def _silent_reason(process: str, by: str, observed: Observed) -> str:
    """Return why the process does not answer, or "" if it does."""
    why = observed.silent.get(process)
    if why is None or why == NO_CONTROLLER:
        return why or ""
    return f"{by}: its spp_vm {why}" if by.startswith("vm_") else f"{by} {why}"


def _missing_reason(process: str, src: str, dst: str, observed: Observed) -> str:
    actual = observed.patch(process, src)
    if actual is None:
        return f"{process}: {src} -> {dst} is missing"
    return f"{process}: {src} goes to {actual}, not to {dst}"


def drift(chain: ChainWiring, wiring: Wiring, observed: Observed) -> list[tuple[str, str, str]]:
    """Return the patches at ports of the chain that belong to no chain, as (process, src, dst).

    A patch with the source of one of the chain's own patches is not among them: ``chain_state`` reports the own patch
    as missing. Nor is one with the source of another chain's patch at an end that both share.
    """
    planned = {leg.patch for leg in wiring.legs}
    own, ends_shared = {leg.patch for leg in chain.legs}, chain.shared_ports
    sources = {(leg.process, leg.source) for leg in wiring.legs if leg.patch in own or leg.src in ends_shared}
    ports = {(leg.process, port) for leg in chain.legs for port in (leg.src, leg.dst)}
    chain_guests = {leg.process for leg in chain.legs if leg.in_guest}
    shared = {
        (host_of(process), port) for process, port in ports
        if port.partition(":")[0] in SHARED and process not in chain_guests
    }  # fmt: skip
    guests = {leg.process for leg in wiring.legs if leg.in_guest}
    found: list[tuple[str, str, str]] = []
    for process, status in observed.statuses.items():
        for src, dst in status.patches.items():
            if (process, src, dst) in planned or (process, src) in sources:
                continue
            ends = {match.port_of(src), dst}
            at_port = {(process, port) for port in ends} & ports
            if at_port or (process not in guests and {(host_of(process), port) for port in ends} & shared):
                found.append((process, src, dst))
    return found
