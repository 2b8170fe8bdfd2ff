"""Probes in the place of a chain's ends, and the ends back in their place, also after a crash.

Every change is recorded in the run directory first. The next command that finds the note of a dead process restores the
ends.
"""

import contextlib
import fcntl
import json
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from sppr.errors import ControlError
from sppr.host import atomic_write
from sppr.host.process import pids
from sppr.lab.chains import observe, reconcile
from sppr.lab.chains.wiring import ChainWiring, Leg
from sppr.lab.state import state as states
from sppr.lab.state.state import State
from sppr.spp.control import ControlClient

_NOTE = "prove.json"
NOT_BACK = "the ends of a chain could not be put back yet: the next sppr command tries again"
#: Numbers of probes; each exists once in a lab. Those of a proof are taken from the end.
PROBES = 32


@dataclass(frozen=True)
class Plug:
    """A probe at one end of a chain: in ``process``, where ``port`` was."""

    process: str
    port: str
    number: int

    @property
    def uid(self) -> str:
        return f"probe:{self.number}"


@dataclass(frozen=True)
class _Note:
    """The file that outlives a crash: which process replaced the ends of which chains.

    ``plugs``: (process, probe). ``legs``: (process, source, destination), the patches at the ends.
    """

    chains: list[str]
    pid: int
    started: int
    plugs: list[tuple[str, str]]
    legs: list[tuple[str, str, str]]


@dataclass(frozen=True)
class Testbed:
    """A chain with probes at both ends. ``forward`` and ``reverse``: its patches as they are now."""

    near: Plug
    far: Plug
    forward: tuple[Leg, ...]
    reverse: tuple[Leg, ...]

    def plugs(self, direction: str) -> tuple[Plug, Plug]:
        """Return the source and the sink of a direction."""
        return (self.near, self.far) if direction == "forward" else (self.far, self.near)


@contextlib.contextmanager
def plugged(state: State, chains: Sequence[ChainWiring]) -> Iterator[list[Testbed]]:
    """Put probes in the place of the ends of these chains, and the ends back afterwards, whatever happens.

    ControlError where a process refuses.
    """
    if not put_back(state):
        raise ControlError(NOT_BACK, hint="sppr up, and then this")
    client = ControlClient(state.plan.api)
    beds = [_bed(chain, *plugs) for chain, plugs in zip(chains, _plugs(state, chains), strict=True)]
    _note(state.folder, chains, [plug for bed in beds for plug in (bed.near, bed.far)])
    try:
        for chain, bed in zip(chains, beds, strict=True):
            _plug_in(client, chain, bed)
        yield beds
    finally:
        with _uninterrupted():
            put_back(state)


def _bed(chain: ChainWiring, near: Plug, far: Plug) -> Testbed:
    reverse = tuple(_replugged(chain.reverse, far, near)) if chain.reverse else ()
    return Testbed(near, far, tuple(_replugged(chain.forward, near, far)), reverse)


def _plug_in(client: ControlClient, chain: ChainWiring, bed: Testbed) -> None:
    for plug in (bed.near, bed.far):
        client.add_port(plug.process, plug.uid)
    for legs in (chain.forward, chain.reverse):
        if legs:
            client.disconnect(legs[0].process, legs[0].src)
    for legs in (bed.forward, bed.reverse):
        for leg in (*legs[-1:], *legs[:1]):
            client.patch(leg.process, leg.src, leg.dst)


def _replugged(legs: tuple[Leg, ...], source: Plug, sink: Plug) -> Iterator[Leg]:
    for place, leg in enumerate(legs):
        src = source.uid if place == 0 else leg.src
        dst = sink.uid if place == len(legs) - 1 else leg.dst
        yield Leg(leg.process, leg.by, src, dst, leg.hop, leg.own)


def _plugs(state: State, chains: Sequence[ChainWiring]) -> list[tuple[Plug, Plug]]:
    """The two ends of each chain, each with a number that no probe of the lab has."""
    asked = observe.processes(state.plan.parts, state.plan.wiring)
    seen = observe.observe_processes(state.plan.api, asked).statuses
    taken = {port for one in seen.values() for port in one.ports}
    free = [n for n in range(PROBES) if f"probe:{n}" not in taken]
    if len(free) < 2 * len(chains):
        what = f"{2 * len(chains)} probes are needed, and {len(free)} of {PROBES} are free"
        raise ControlError(what, hint="del probe:N at the prompt, in the process that has it; or fewer chains at once")
    found: list[tuple[Plug, Plug]] = []
    for chain in chains:
        first, last = chain.forward[0], chain.forward[-1]
        far, near = free.pop(), free.pop()
        found.append((Plug(first.process, first.src, near), Plug(last.process, last.dst, far)))
    return found


def put_back(state: State) -> bool:
    """Put the ends back that the note names, and remove the probes.

    Return whether that was done whole. Where a process of the lab does not answer it is not, and the note stays.
    ControlError where a process refuses.
    """
    noted = _read(state.folder)
    if noted is None:
        return True
    dead = states.stopped_parts(state)
    asked = observe.processes(state.plan.parts, state.plan.wiring)
    observed = observe.observe_processes(state.plan.api, asked, dead)
    client = ControlClient(state.plan.api)
    wanted = {leg.patch for leg in state.plan.wiring.legs}
    whole = True
    for process, src, dst in noted.legs:
        if process not in asked or (process, src, dst) not in wanted:
            continue  # the lab has no such part or patch any more
        if process not in observed.statuses:
            whole = False
        elif observed.patch(process, src) != dst:
            client.patch(process, src, dst)
    for process, uid in noted.plugs:
        seen = observed.statuses.get(process)
        if seen is None:
            whole = whole and process not in asked
        elif uid in seen.ports:
            client.del_port(process, uid)
    known = [chain.name for chain in state.plan.wiring.chains if chain.name in noted.chains]
    if known:
        reconcile.apply(state.plan, dead, known)
    if whole:
        (state.folder / _NOTE).unlink(missing_ok=True)
    return whole


def left(folder: Path) -> str:
    """Return in words how a testbed was left."""
    return NOT_BACK if (folder / _NOTE).exists() else "the ends were put back"


def in_use(folder: Path) -> list[str]:
    """Return the chains whose ends a process that runs has replaced by probes."""
    noted = _read(folder)
    return noted.chains if noted is not None and _runs(noted) else []


def cut_off(folder: Path) -> str:
    """Return the chains whose ends a process that no longer runs has replaced, in words; empty where there are none."""
    noted = _read(folder)
    return ", ".join(noted.chains) if noted is not None and not _runs(noted) else ""


def _runs(noted: _Note) -> bool:
    return pids.Proc(noted.pid, noted.started).alive()


def restore(state: State) -> str | None:
    """Put the ends back where a proof was cut off. Return a line about it; None where there was nothing to do."""
    chain = cut_off(state.folder)
    if not chain:
        return None
    try:
        with (state.folder / _NOTE).open() as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            if cut_off(state.folder) != chain:  # another command has just done it
                return None
            whole = put_back(state)
    except FileNotFoundError:
        return None
    except ControlError as e:
        return f"chain {chain}: a proof was cut off, and its ends cannot be put back now: {e.what}"
    if not whole:
        return f"chain {chain}: a proof was cut off; its ends are put back when its parts run again"
    return f"chain {chain}: a proof was cut off; its ends were put back"


def _note(folder: Path, chains: Sequence[ChainWiring], plugs: Sequence[Plug]) -> None:
    this = pids.current(os.getpid())
    legs = [leg for chain in chains for way in (chain.forward, chain.reverse) for leg in (*way[-1:], *way[:1])]
    note = _Note(
        [chain.name for chain in chains],
        os.getpid(),
        this.started if this else 0,
        [(plug.process, plug.uid) for plug in plugs],
        [leg.patch for leg in legs],
    )
    atomic_write.write(folder / _NOTE, json.dumps(asdict(note)) + "\n")


def _read(folder: Path) -> _Note | None:
    """Return the note. None where there is none, or where it is damaged."""
    try:
        return msgspec.json.decode((folder / _NOTE).read_bytes(), type=_Note)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C and the signals that end a process: the ends are being put back."""
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
