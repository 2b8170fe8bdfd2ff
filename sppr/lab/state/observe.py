"""Observe a session: which parts run, with which command lines, and in which panes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sppr.deadline import Deadline
from sppr.errors import SpprError
from sppr.lab.state import state as states
from sppr.lab.state.state import State
from sppr.parts.part import Part
from sppr.tmux.commands import Pane
from sppr.tmux.pane import PaneFiles
from sppr.tmux.server import Tmux, attach_line


@dataclass(frozen=True)
class Observed:
    """The observed state of a session.

    ``running``: the command line of each running part, by its name.
    ``panes``: the pane of each part or work window, by its name.
    ``session``: whether the tmux session exists.
    ``outlived``: secondaries that run with the memory of a previous primary.
    """

    running: Mapping[str, tuple[str, ...]]
    panes: Mapping[str, Pane]
    session: bool
    outlived: tuple[str, ...] = ()


#: Seconds from the opening of a start gate until the part has recorded its pid, at most.
START_TIMEOUT = 10.0


def observe(folder: Path, session: str, parts: Iterable[Part], tmux: Tmux) -> Observed:
    """Return the observed state of a session. ``folder``: its run directory.

    If a launcher opened the start gate of a part and was killed, wait until this part runs or has exited. Raise
    SpprError if tmux has a session of this name that sppr did not create.
    """
    listed = tmux.find_session(session)
    if listed is not None and listed.owner != tmux.owner_id(folder):
        raise SpprError(
            f"tmux has a session {session} that sppr did not create",
            hint=f"{attach_line(tmux, session)}; or use another name: --session NAME",
        )
    parts = tuple(parts)
    panes = listed.parts if listed else {}
    pane_files = [part.files(folder) for part in parts if part.name in panes]
    Deadline(START_TIMEOUT).poll(lambda: not any(map(_is_starting, pane_files)), 0.05)
    programs = running(folder, parts)
    secondaries = [part.name for part in parts if part.role == "secondary" and part.name in programs]
    outlived = tuple(name for name in secondaries if states.has_outlived_primary(folder, name))
    return Observed(programs, panes, listed is not None, outlived)


def _is_starting(files: PaneFiles) -> bool:
    """Return whether the start gate of the part is open, but the part has neither recorded its pid nor exited."""
    return files.script.exists() and not any(p.exists() for p in (files.gate, files.record, files.exit))


def running(folder: Path, parts: Iterable[Part]) -> dict[str, tuple[str, ...]]:
    """Return the command line of each running part, in the given order. It is empty if it is unknown."""
    programs = {}
    for part in parts:
        files = part.files(folder)
        proc = states.process(files)
        if proc is not None and proc.alive():
            programs[part.name] = states.program(files)
    return programs


def observe_session(state: State, tmux: Tmux) -> Observed:
    """Return the observed state of a session that has a state on disk. Raise SpprError as ``observe`` does."""
    return observe(state.folder, state.plan.session, state.plan.parts, tmux)
