"""Replace the ends of chains by probes, and restore the ends, even after a crash.

Every change is recorded in the run directory first. The next command that finds the record of a process that has exited
restores the ends.
"""

import contextlib
import fcntl
import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import msgspec

from sppr import impairment
from sppr.errors import ControlError
from sppr.host import atomic_write
from sppr.host.process import pids
from sppr.lab.chains import observe, reconcile
from sppr.lab.chains.proof import classes
from sppr.lab.chains.wiring import ChainWiring, Leg, Wiring
from sppr.lab.state import state as states
from sppr.lab.state.state import State
from sppr.spp import match
from sppr.spp.control import ControlClient

_FILE = "prove.json"
NOT_RESTORED = "the ends of a chain could not be restored yet; the next sppr command tries again"
#: Number of probes: each number exists once in a lab. A proof takes the highest free numbers.
PROBES = 32


@dataclass(frozen=True)
class EndProbe:
    """A probe at one end of a chain.

    ``process``: the process that has the probe. ``port``: the port that it replaces.
    ``number``: the number of the probe.
    """

    process: str
    port: str
    number: int

    @property
    def uid(self) -> str:
        """Return the name of the probe port: ``probe:31``."""
        return f"probe:{self.number}"


@dataclass(frozen=True)
class _Record:
    """The content of prove.json, which remains after a crash.

    ``chains``: the chains whose ends are replaced. ``pid``, ``started``: the process that replaced them.
    ``plugs``: (process, probe). ``legs``: (process, source, destination), the patches at the ends.
    """

    chains: list[str]
    pid: int
    started: int
    plugs: list[tuple[str, str]]
    legs: list[tuple[str, str, str]]


@dataclass(frozen=True)
class Testbed:
    """A chain with probes at both ends.

    ``near``, ``far``: the probes at the first and at the last end of its path.
    ``forward``, ``reverse``: its patches, with the probes as ends. ``reverse`` is empty if the chain has one direction.
    ``strays``: for each direction of a chain with a match, a probe that receives what the chain must not take: the
    source has the matches of all chains of its end, and those of the other chains lead there.
    ``others``: for each direction, the matches of the other chains of its end.
    """

    near: EndProbe
    far: EndProbe
    forward: tuple[Leg, ...]
    reverse: tuple[Leg, ...]
    strays: Mapping[str, EndProbe] = field(default_factory=dict)
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def all_probes(self) -> tuple[EndProbe, ...]:
        """Return every probe of the chain."""
        return (self.near, self.far, *self.strays.values())

    def match(self, direction: str) -> str:
        """Return the match with which a direction begins, or "" if it takes all frames."""
        legs = self.forward if direction == "forward" else self.reverse
        return legs[0].match if legs else ""

    def probes(self, direction: str) -> tuple[EndProbe, EndProbe]:
        """Return the source and the sink of a direction."""
        return (self.near, self.far) if direction == "forward" else (self.far, self.near)


@contextlib.contextmanager
def with_probes(state: State, chains: Sequence[ChainWiring], *, impaired: bool = False) -> Iterator[list[Testbed]]:
    """Replace the ends of these chains by probes, and restore the ends at exit. ``impaired``: with the impairments of
    the chains.

    Raise ControlError if a process refuses a command, if too few probes are free, or if the ends of an earlier proof
    cannot be restored.
    """
    if not restore_ends(state):
        raise ControlError(NOT_RESTORED, hint="run sppr up, then this command again")
    client = ControlClient(state.plan.api)
    free = _free_probes(state, chains)
    beds = [_testbed(state.plan.wiring, chain, free) for chain in chains]
    _write_record(state.folder, chains, [probe for bed in beds for probe in bed.all_probes])
    try:
        for chain, bed in zip(chains, beds, strict=True):
            _insert_probes(client, chain, bed)
            for leg in (*bed.forward, *bed.reverse):
                if leg.impair and impaired:
                    client.impair(leg.process, leg.source, leg.impair)
        yield beds
    finally:
        with _ignore_signals():
            restore_ends(state)


@contextlib.contextmanager
def without_impairments(state: State, chain: ChainWiring) -> Iterator[None]:
    """Remove the impairments of a chain, and restore them at exit. Its ends stay.

    Raise ControlError if a process refuses a command, or if the ends of an earlier proof cannot be restored.
    """
    if not restore_ends(state):
        raise ControlError(NOT_RESTORED, hint="run sppr up, then this command again")
    client = ControlClient(state.plan.api)
    _write_record(state.folder, [chain], [])
    try:
        for leg in chain.legs:
            if leg.impair:
                client.impair(leg.process, leg.source, impairment.OFF)
        yield
    finally:
        with _ignore_signals():
            restore_ends(state)


def _testbed(wiring: Wiring, chain: ChainWiring, free: list[int]) -> Testbed:
    """Return the testbed of a chain. It takes the last numbers of ``free``."""
    first, last = chain.forward[0], chain.forward[-1]
    far, near = EndProbe(last.process, last.dst, free.pop()), EndProbe(first.process, first.src, free.pop())
    reverse = tuple(_with_ends(chain.reverse, far, near)) if chain.reverse else ()
    entries = {direction: legs[0] for direction, legs in chain.directions if legs[0].match}
    strays = {direction: EndProbe(leg.process, leg.src, free.pop()) for direction, leg in entries.items()}
    others = {direction: tuple(classes.other_matches(wiring, leg)) for direction, leg in entries.items()}
    return Testbed(near, far, tuple(_with_ends(chain.forward, near, far)), reverse, strays, others)


def _insert_probes(client: ControlClient, chain: ChainWiring, bed: Testbed) -> None:
    for probe in bed.all_probes:
        client.add_port(probe.process, probe.uid)
    for direction, (first, *_) in chain.directions:
        stray = bed.strays.get(direction)
        if stray is None:
            client.disconnect(first.process, first.source)
        else:  # without its patch, another chain of this end could take the frames of this chain
            client.patch(first.process, first.source, stray.uid)
    for direction, legs in (("forward", bed.forward), ("reverse", bed.reverse)):
        for leg in (*legs[-1:], *legs[:1]):
            client.patch(leg.process, leg.source, leg.dst)
        for words in bed.others.get(direction, ()):
            client.patch(legs[0].process, match.source(legs[0].src, words), bed.strays[direction].uid)


def _with_ends(legs: tuple[Leg, ...], source: EndProbe, sink: EndProbe) -> Iterator[Leg]:
    """Yield the patches of a direction, with probes as source and sink."""
    for index, leg in enumerate(legs):
        src = source.uid if index == 0 else leg.src
        dst = sink.uid if index == len(legs) - 1 else leg.dst
        yield replace(leg, src=src, dst=dst)


def _free_probes(state: State, chains: Sequence[ChainWiring]) -> list[int]:
    """Return the numbers that no probe of the lab has. Raise ControlError if they are too few for these chains."""
    queried = observe.processes(state.plan.parts, state.plan.wiring)
    statuses = observe.observe_processes(state.plan.api, queried).statuses
    existing = {port for status in statuses.values() for port in status.ports}
    free = [n for n in range(PROBES) if f"probe:{n}" not in existing]
    needed = sum(2 + sum(bool(legs[0].match) for _, legs in chain.directions) for chain in chains)
    if len(free) < needed:
        what = f"{needed} probes are needed, but only {len(free)} of {PROBES} are free"
        raise ControlError(what, hint="del probe:N at the prompt, in the process that has it; or use fewer chains")
    return free


def restore_ends(state: State) -> bool:
    """Restore the ends that the record lists, and remove the probes.

    Return whether everything is restored. If a process of the lab does not answer, it is not, and the record stays.
    Raise ControlError if a process refuses a command.
    """
    record = _read_record(state.folder)
    if record is None:
        return True
    stopped = states.stopped_parts(state)
    queried = observe.processes(state.plan.parts, state.plan.wiring)
    observed = observe.observe_processes(state.plan.api, queried, stopped)
    client = ControlClient(state.plan.api)
    planned = {leg.patch for leg in state.plan.wiring.legs}
    complete = True
    for process, src, dst in record.legs:
        if process not in queried or (process, src, dst) not in planned:
            continue  # the lab no longer has this part or patch
        if process not in observed.statuses:
            complete = False
        elif observed.patch(process, src) != dst:
            client.patch(process, src, dst)
    for process, uid in record.plugs:
        status = observed.statuses.get(process)
        if status is None:
            complete = complete and process not in queried
        elif uid in status.ports:
            client.del_port(process, uid)
    known = [chain.name for chain in state.plan.wiring.chains if chain.name in record.chains]
    if known:
        reconcile.apply(state.plan, stopped, known)
    if complete:
        (state.folder / _FILE).unlink(missing_ok=True)
    return complete


def describe_ends(folder: Path) -> str:
    """Return a message about the ends after a proof: whether they were restored."""
    return NOT_RESTORED if (folder / _FILE).exists() else "the ends were restored"


def in_use(folder: Path) -> list[str]:
    """Return the chains whose ends a running process has replaced by probes."""
    record = _read_record(folder)
    return record.chains if record is not None and _runs(record) else []


def interrupted_chains(folder: Path) -> str:
    """Return the chains whose ends were replaced by a process that has exited, as text, or "" if there are none."""
    record = _read_record(folder)
    return ", ".join(record.chains) if record is not None and not _runs(record) else ""


def _runs(record: _Record) -> bool:
    return pids.Proc(record.pid, record.started).alive()


def restore_interrupted(state: State) -> str | None:
    """Restore the ends after an interrupted proof. Return a message, or None if there was nothing to restore."""
    chain = interrupted_chains(state.folder)
    if not chain:
        return None
    try:
        with (state.folder / _FILE).open() as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            if interrupted_chains(state.folder) != chain:  # another command has just restored them
                return None
            complete = restore_ends(state)
    except FileNotFoundError:
        return None
    except ControlError as e:
        return f"chain {chain}: a proof was interrupted, and its ends cannot be restored now: {e.what}"
    if not complete:
        return f"chain {chain}: a proof was interrupted; its ends are restored when its parts run again"
    return f"chain {chain}: a proof was interrupted; its ends were restored"


def _write_record(folder: Path, chains: Sequence[ChainWiring], probes: Sequence[EndProbe]) -> None:
    this = pids.current(os.getpid())
    legs = [leg for chain in chains for way in (chain.forward, chain.reverse) for leg in (*way[-1:], *way[:1])]
    record = _Record(
        [chain.name for chain in chains],
        os.getpid(),
        this.started if this else 0,
        [(probe.process, probe.uid) for probe in probes],
        [leg.patch for leg in legs],
    )
    atomic_write.write(folder / _FILE, json.dumps(asdict(record)) + "\n")


def _read_record(folder: Path) -> _Record | None:
    """Return the record, or None if there is none, or if it is damaged."""
    try:
        return msgspec.json.decode((folder / _FILE).read_bytes(), type=_Record)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None


@contextlib.contextmanager
def _ignore_signals() -> Iterator[None]:
    """Ignore Ctrl-C and the signals that end a process, while the ends are restored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
