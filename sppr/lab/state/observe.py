"""What is there of a session now: which parts run, as what, and in which panes."""

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
    """``running``: part -> what it became. ``panes``: part or work window -> its pane. ``session``: one of ours.
    ``outlived``: secondaries that run with the memory of a primary that ended."""

    running: Mapping[str, tuple[str, ...]]
    panes: Mapping[str, Pane]
    session: bool
    outlived: tuple[str, ...] = ()


#: Seconds a part may take from its open gate to the record that it runs.
STARTING = 10.0


def look(folder: Path, session: str, parts: Iterable[Part], tmux: Tmux) -> Observed:
    """SpprError where tmux has a session of that name that sppr did not make.

    A part whose gate a launcher opened before it was killed is waited for until it runs, or has ended.
    """
    listed = tmux.find_session(session)
    if listed is not None and listed.owner != tmux.owner_id(folder):
        raise SpprError(
            f"tmux has a session {session} that sppr did not make",
            hint=f"{attach_line(tmux, session)}; or choose another: --session NAME",
        )
    parts = tuple(parts)
    panes = listed.parts if listed else {}
    begun = [part.files(folder) for part in parts if part.name in panes]
    Deadline(STARTING).poll(lambda: not any(map(_is_starting, begun)), 0.05)
    run = running(folder, parts)
    secondaries = [part.name for part in parts if part.role == "secondary" and part.name in run]
    outlived = tuple(name for name in secondaries if states.outlived(folder, name))
    return Observed(run, panes, listed is not None, outlived)


def _is_starting(files: PaneFiles) -> bool:
    """Its pane has gone through its gate, and neither has it run nor ended yet."""
    return files.script.exists() and not any(p.exists() for p in (files.gate, files.record, files.exit))


def running(folder: Path, parts: Iterable[Part]) -> dict[str, tuple[str, ...]]:
    """The parts that run, in the order given, and what they became (empty: not known)."""
    found = {}
    for part in parts:
        files = part.files(folder)
        proc = states.process(files)
        if proc is not None and proc.alive():
            found[part.name] = states.program(files)
    return found


def of(state: State, tmux: Tmux) -> Observed:
    return look(state.folder, state.plan.session, state.plan.parts, tmux)
