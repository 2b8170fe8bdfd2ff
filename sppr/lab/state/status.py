"""The truth about a session, part by part: pid + start time + the part's own sign of readiness."""

import signal
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from sppr.lab.state import state as states
from sppr.lab.state.state import State
from sppr.parts.part import Part, serving_part
from sppr.parts.readiness import Probe, lab_probe
from sppr.tmux.pane import PaneFiles
from sppr.wait import Exit, last_lines

#: ``stopped``: not started, stopped by a verb, or ended as asked (status 0 or Ctrl-C). ``failed``: ended otherwise.
PartState = Literal["stopped", "starting", "ready", "failed", "stopping"]
UNASKED = "runs; the controller, which knows whether it is ready, does not answer"
NO_PANE = "runs, but its pane is gone: sppr restart gives it one"
RENAMED = "; spp.py gives id 0 to the second process of an id"
OLD_PRIMARY = "has the memory of a primary that is gone: sppr restart it"
UNHEARD = "was ready, and does not answer now: it may hang; see its pane"
LOST = "{}; sppr up adds the port again"
NO_SOCKET = "{} is gone, so QEMU cannot connect again: sppr restart pri"
ALONE = "runs as it did when it was ready; the controller does not answer now"


@dataclass(frozen=True)
class PartStatus:
    """One part, as ``sppr status`` shows it.

    ``exit``: exit status of the last run, None if unknown. ``when``: time of its end, ISO 8601. ``last``: last line
    of its log. ``note``: a reason that the state alone does not give. ``restarts``: restarts by the policy.
    """

    name: str
    role: str
    id: int | None
    state: PartState
    pid: int | None
    window: str
    window_id: str | None
    pane: str | None
    exit: int | None = None
    when: str | None = None
    last: str | None = None
    ready_after: float | None = None
    note: str | None = None
    restarts: int = 0


def part_statuses(state: State) -> list[PartStatus]:
    """A row for each part of the plan, in the order of start."""
    probe = lab_probe(state.plan.api, state.plan.parts)
    probe.refresh()
    at_work = state.phase == "stopping" and states.at_work(state.plan.session)
    rows = [_one(state, part, probe, at_work or part.name in state.stopping) for part in state.plan.parts]
    strangers = probe.foreign_processes(state.plan.parts) if any(part.upstream for part in state.plan.parts) else []
    if strangers and rows[0].state == "ready":
        renamed = any(name.endswith(":0") for name in strangers)
        told = f"{', '.join(strangers)}: connected, and none of this lab" + RENAMED * renamed
        rows[0] = replace(rows[0], note=told)
    return rows


def left_half_way(state: State) -> str | None:
    """What was begun with the whole session and not ended; None where nothing was, or somebody is at it."""
    if state.phase == "up" or states.at_work(state.plan.session):
        return None
    flag = states.flag(state.plan.session)
    if state.phase == "stopping":
        return f"sppr down was interrupted: sppr down{flag} goes on, sppr up brings it up again"
    what = "a part failed" if state.phase == "failed" else "wakeup was interrupted"
    return f"{what}: sppr up goes on, sppr down{flag} ends it"


def _one(state: State, part: Part, probe: Probe, ending: bool) -> PartStatus:
    files = part.files(state.folder)
    proc = states.process(files)
    living = proc is not None and proc.alive() and not state.stale
    ended = None if living else states.ended(files)
    standing: PartState = "stopped" if ended is None or _ended_as_asked(files, ended) else "failed"
    note = None
    if living and proc:
        was_ready = state.ready_pid.get(part.name) == proc.pid
        standing, note = ("stopping", None) if ending else _alive(part, probe, was_ready)
    if standing == "ready" and part.is_vm:
        standing, note = _served(state, part, probe, note)
    if standing == "ready" and part.role == "secondary" and states.outlived(state.folder, part.name):
        standing, note = "starting", OLD_PRIMARY
    lines = last_lines(files.log, 1) if ended is not None else []
    window_id, pane = state.panes.get(part.name, (None, None))
    if states.pane_is_gone(files):
        window_id, pane = None, None
        note = note or (NO_PANE if living else None)
    return PartStatus(
        name=part.name,
        role=part.role,
        id=part.id,
        state=standing,
        pid=proc.pid if living and proc else None,
        window=part.window,
        window_id=window_id,
        pane=pane,
        exit=ended.shown if ended else None,
        when=_when(files) if ended is not None else None,
        last=lines[0] if lines else None,
        ready_after=state.ready.get(part.name),
        note=note,
        restarts=states.restarts(files),
    )


def _ended_as_asked(files: PaneFiles, ended: Exit) -> bool:
    """Whether a verb stopped the part, or it exited with status 0 or by Ctrl-C."""
    return files.stopped.exists() or ended.shown in (0, 128 + signal.SIGINT)


def _alive(part: Part, probe: Probe, was_ready: bool) -> tuple[PartState, str | None]:
    """A part that runs. Where nobody can be asked, what was seen of this very process is all there is."""
    if probe.ready(part):
        return "ready", None
    if probe.answered or part.role == "controller":
        return "starting", UNHEARD if was_ready else None
    return ("ready", ALONE) if was_ready else ("starting", UNASKED)


def _served(state: State, vm: Part, probe: Probe, note: str | None) -> tuple[PartState, str | None]:
    """A VM that is ready by its own sign, but has lost a port on the host, is not ready. Where its server does not run,
    the server's own row tells that."""
    if not vm.server:
        gone = [socket for socket in vm.sockets if not vm.makes_sockets and not Path(socket).is_socket()]
        return "ready", NO_SOCKET.format(", ".join(gone)) if gone else note
    server = states.process(PaneFiles(state.folder, serving_part(vm.server)))
    if server is None or not server.alive():
        return "ready", note
    lost = probe.lost_ports(vm)
    return ("starting", LOST.format(", ".join(lost.values()))) if lost else ("ready", note)


def _when(files: PaneFiles) -> str | None:
    """When the last run ended: its pane wrote that down. None where the pane went with it."""
    try:
        ended = files.exit.stat().st_mtime
    except OSError:
        return None
    return datetime.fromtimestamp(ended).astimezone().isoformat(timespec="seconds")
