"""The truth about a session, part by part: pid + start time + the part's own sign of readiness."""

from dataclasses import dataclass
from typing import Literal

from sppr.lab import state as states
from sppr.lab.state import State
from sppr.ready import last_lines
from sppr.roles.part import Part
from sppr.roles.probe import Probe

Standing = Literal["absent", "starting", "ready", "dead", "stopping"]


@dataclass(frozen=True)
class PartStatus:
    """One row. ``exit``: status of the last run of a dead part, None where nobody saw it. ``last``: its last line.

    ``restarts``: how often it was run again by itself.
    """

    name: str
    role: str
    id: int | None
    state: Standing
    pid: int | None
    window: str
    window_id: str | None
    pane: str | None
    exit: int | None = None
    last: str | None = None
    ready_after: float | None = None
    restarts: int = 0


def status(state: State) -> list[PartStatus]:
    """A row for each part of the plan, in the order of start."""
    probe = Probe(state.plan.api)
    probe.refresh()
    return [_one(state, part, probe) for part in state.plan.parts]


def _one(state: State, part: Part, probe: Probe) -> PartStatus:
    files = part.files(state.folder)
    proc = states.process(files)
    living = proc is not None and proc.alive()
    ended = None if living else states.ended(files)
    standing: Standing = "absent"
    if living:
        standing = "stopping" if state.phase == "stopping" else "ready" if probe.ready(part) else "starting"
    elif ended is not None:
        standing = "dead"
    lines = last_lines(files.log, 1) if standing == "dead" else []
    window_id, pane = state.panes.get(part.name, (None, None))
    return PartStatus(
        name=part.name,
        role=part.role,
        id=part.id,
        state=standing,
        pid=proc.pid if living and proc else None,
        window=part.window,
        window_id=window_id,
        pane=pane,
        exit=ended.status if ended else None,
        last=lines[0] if lines else None,
        ready_after=state.ready.get(part.name),
        restarts=states.restarts(files),
    )
