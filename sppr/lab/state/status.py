"""Determine the status of each part of a session, from its pid, its start time and its sign of readiness."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from sppr.errors import EXIT_INTERRUPTED
from sppr.lab.state import state as states
from sppr.lab.state.state import State
from sppr.parts.part import Part, serving_part
from sppr.parts.readiness import Probe, lab_probe
from sppr.tmux.pane import PaneFiles
from sppr.wait import Exit, last_lines

#: ``stopped``: not started, stopped by a command, or exited with status 0 or by Ctrl-C. ``failed``: any other exit.
PartState = Literal["stopped", "starting", "ready", "failed", "stopping"]
READINESS_UNKNOWN = "runs; whether it is ready is unknown, because the controller does not answer"
NO_PANE = "runs, but its pane is gone; sppr restart opens a new one"
RENAMED = "; spp.py assigns id 0 to the second process with one id"
OLD_PRIMARY = "uses the memory of a previous primary; sppr restart fixes it"
NO_ANSWER = "was ready, but does not answer now; it may hang, see its pane"
LOST_PORTS = "{}; sppr up restores the port"
NO_SOCKET = "{} is gone, so QEMU cannot reconnect: sppr restart pri"
NO_CONTROLLER = "was ready; the controller does not answer now"


@dataclass(frozen=True)
class PartStatus:
    """The status of a part, as ``sppr status`` shows it.

    ``name``, ``role``, ``id``: of the part. ``state``: see PartState. ``pid``: its process; None: it does not run.
    ``window``, ``window_id``, ``pane``: its tmux window and pane; None: the pane is gone.
    ``exit``: exit status of the last run; None: unknown. ``when``: time of its end, ISO 8601.
    ``last``: last line of its log.
    ``ready_after``: seconds from its start until it was ready.
    ``note``: a reason that the state alone does not give.
    ``restarts``: number of restarts by its policy.
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


def part_statuses(state: State, probe: Probe | None = None) -> list[PartStatus]:
    """Return the status of each part of the plan, in the order of start. ``probe``: a refreshed probe of the lab, if
    there is one.
    """
    if probe is None:
        probe = lab_probe(state.plan.api, state.plan.parts)
        probe.refresh()
    teardown_runs = state.phase == "stopping" and states.is_locked(state.plan.session)
    rows = [_part_status(state, part, probe, teardown_runs or part.name in state.stopping) for part in state.plan.parts]
    foreign = probe.foreign_processes(state.plan.parts) if any(part.upstream for part in state.plan.parts) else []
    if foreign and rows[0].state == "ready":
        renamed = any(name.endswith(":0") for name in foreign)
        note = f"{', '.join(foreign)}: connected, but not part of this lab" + RENAMED * renamed
        rows[0] = replace(rows[0], note=note)
    return rows


def interrupted_operation(state: State) -> str | None:
    """Return a message if a bring-up or teardown of the session was interrupted or failed.

    None: it was not, or another process works on the session now.
    """
    if state.phase == "up" or states.is_locked(state.plan.session):
        return None
    flag = states.flag(state.plan.session)
    if state.phase == "stopping":
        return f"sppr down was interrupted: sppr down{flag} continues, sppr up starts the lab again"
    what = "a part failed" if state.phase == "failed" else "wakeup was interrupted"
    return f"{what}: sppr up continues, sppr down{flag} stops the lab"


def _part_status(state: State, part: Part, probe: Probe, is_stopping: bool) -> PartStatus:
    files = part.files(state.folder)
    proc = states.process(files)
    runs = proc is not None and proc.alive() and not state.stale
    end = None if runs else states.last_exit(files)
    part_state: PartState = "stopped" if end is None or _exited_on_request(files, end) else "failed"
    note = None
    if runs and proc:
        was_ready = state.ready_pid.get(part.name) == proc.pid
        part_state, note = ("stopping", None) if is_stopping else _running_state(part, probe, was_ready)
    if part_state == "ready" and part.is_vm:
        part_state, note = _vm_state(state, part, probe, note)
    if part_state == "ready" and part.role == "secondary" and states.has_outlived_primary(state.folder, part.name):
        part_state, note = "starting", OLD_PRIMARY
    lines = last_lines(files.log, 1) if end is not None else []
    window_id, pane = state.panes.get(part.name, (None, None))
    if states.pane_is_gone(files):
        window_id, pane = None, None
        note = note or (NO_PANE if runs else None)
    return PartStatus(
        name=part.name,
        role=part.role,
        id=part.id,
        state=part_state,
        pid=proc.pid if runs and proc else None,
        window=state.windows.get(part.name, part.window),
        window_id=window_id,
        pane=pane,
        exit=end.shown if end else None,
        when=_exit_time(files) if end is not None else None,
        last=lines[0] if lines else None,
        ready_after=state.ready.get(part.name),
        note=note,
        restarts=states.restarts(files),
    )


def _exited_on_request(files: PaneFiles, end: Exit) -> bool:
    """Return whether a command stopped the part, or it exited with status 0 or by Ctrl-C."""
    return files.stopped.exists() or end.shown in (0, EXIT_INTERRUPTED)


def _running_state(part: Part, probe: Probe, was_ready: bool) -> tuple[PartState, str | None]:
    """Return the state of a running part, and a note.

    ``was_ready``: whether this process was ready before, which decides if the controller does not answer.
    """
    if probe.ready(part):
        return "ready", None
    if probe.answered or part.role == "controller":
        return "starting", NO_ANSWER if was_ready else None
    return ("ready", NO_CONTROLLER) if was_ready else ("starting", READINESS_UNKNOWN)


def _vm_state(state: State, vm: Part, probe: Probe, note: str | None) -> tuple[PartState, str | None]:
    """Return the state of a VM that is ready by its own sign, and a note.

    It is not ready if it has lost a port on the host. If its server does not run, the row of the server shows that.
    """
    if not vm.server:
        gone = [socket for socket in vm.sockets if not vm.makes_sockets and not Path(socket).is_socket()]
        return "ready", NO_SOCKET.format(", ".join(gone)) if gone else note
    server = states.process(PaneFiles(state.folder, serving_part(vm.server)))
    if server is None or not server.alive():
        return "ready", note
    lost = probe.lost_ports(vm)
    return ("starting", LOST_PORTS.format(", ".join(lost.values()))) if lost else ("ready", note)


def _exit_time(files: PaneFiles) -> str | None:
    """Return the time at which the pane recorded the end of the last run. None: the pane closed without a record."""
    try:
        end = files.exit.stat().st_mtime
    except OSError:
        return None
    return datetime.fromtimestamp(end).astimezone().isoformat(timespec="seconds")
