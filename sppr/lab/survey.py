"""What is there of a session now: which parts run, as what, and in which panes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sppr.errors import SpprError
from sppr.lab import state as states
from sppr.lab.state import State
from sppr.roles.part import Part
from sppr.tmux.chain import Pane
from sppr.tmux.server import Tmux, attach_line


@dataclass(frozen=True)
class Survey:
    """``running``: part -> what it became. ``panes``: part or work window -> its pane. ``session``: one of ours."""

    running: Mapping[str, tuple[str, ...]]
    panes: Mapping[str, Pane]
    session: bool


def look(folder: Path, session: str, parts: Iterable[Part], tmux: Tmux) -> Survey:
    """SpprError where tmux has a session of that name that sppr did not make."""
    listed = tmux.look(session)
    if listed is not None and listed.owner != tmux.mark(folder):
        raise SpprError(
            f"tmux has a session {session} that sppr did not make",
            hint=f"{attach_line(tmux, session)}; or choose another: --session NAME",
        )
    return Survey(running(folder, parts), listed.parts if listed else {}, listed is not None)


def running(folder: Path, parts: Iterable[Part]) -> dict[str, tuple[str, ...]]:
    """The parts that run, in the order given, and what they became (empty: not known)."""
    found = {}
    for part in parts:
        files = part.files(folder)
        proc = states.process(files)
        if proc is not None and proc.alive():
            found[part.name] = states.program(files)
    return found


def of(state: State, tmux: Tmux) -> Survey:
    return look(state.folder, state.plan.session, state.plan.parts, tmux)
