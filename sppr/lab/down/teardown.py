"""Ends a session from what its state on disk says, in the reverse of the order of start, and leaves nothing of it."""

import contextlib
import os
import re
import shutil
import signal
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sppr.deadline import Deadline
from sppr.errors import ControlError, SpprError
from sppr.host import atomic_write, shared_region
from sppr.host.process import memory, processes
from sppr.host.process import sockets as unix
from sppr.host.process.pids import Proc
from sppr.host.root import leftovers, privilege
from sppr.lab.chains import ends
from sppr.lab.state import state as states
from sppr.lab.state.state import State
from sppr.lab.up import panes
from sppr.parts.part import Part
from sppr.spp.control import ControlClient
from sppr.tmux.server import Tmux

#: Seconds for each step of each part.
POWERDOWN, QUIT, EXIT, TERM = 20.0, 3.0, 3.0, 3.0
#: SPP's vf, mirror and pcap take up to 5 s (spp-facts 3.9).
LONG_EXIT = 9.0
#: Of the last to go to the first.
ORDER = (("vm_vhost", "vm_ring"), ("secondary",), ("primary",), ("controller",))

HUGE_DIR = Path("/dev/hugepages")

Note = Callable[[str], None]


class NotEnded(SpprError):
    """Something of the session is still there; ``what`` names it."""


def down(state: State, tmux: Tmux, note: Note, powerdown: float = POWERDOWN, step: Note = lambda _: None) -> None:
    """End the session. NotEnded names what could not be ended; everything else is gone then, too.

    The state on disk goes last: who is killed on the way leaves a session that ``down`` and ``up`` both understand.
    ``step`` is told of each thing that is done, as the report of bring-up is.
    """

    def said(line: str) -> None:
        note(line)
        step(line)

    state.phase = "stopping"
    with contextlib.suppress(OSError):  # a full disk does not keep a lab up
        state.save()
    step("state")
    left: list[str] = []
    try:
        end_parts(state, [part.name for part in state.plan.parts], said, powerdown)
    except NotEnded as e:
        left.append(e.what)
    left += _end_panes(state, tmux, said)
    if left:
        raise NotEnded("; ".join(left), hint=f"sppr down --session {state.plan.session}   once more")
    step("panes")
    for line in ends.processes_inside(state.folder):
        said(f"{line}: not a part of this lab, so it keeps running, without a network")
    sweep(state)
    step("swept")
    # It may be the terminal of this very command.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _kill_session(state.plan.session, state.folder, tmux)
    step("session")
    states.remove(state.folder)
    step("gone")


def end_parts(state: State, names: Collection[str], note: Note, powerdown: float = POWERDOWN) -> None:
    """End these parts with all they started, the last to start first. NotEnded names those that still run."""
    for roles in ORDER:
        parts = [p for p in state.plan.parts_named(names) if p.role in roles]
        with ThreadPoolExecutor(max_workers=max(1, len(parts))) as pool:
            list(pool.map(lambda part: _stop(state, part, note, powerdown), parts))
    left = [f"{p.name} (pid {proc.pid})" for p in state.plan.parts_named(names) if (proc := _living(state, p))]
    if left:
        what = f"session {state.plan.session}: could not end {', '.join(left)}"
        raise NotEnded(what, hint="look at its pane, or end it by hand: kill -9 PID")


def sweep_stale(state: State, tmux: Tmux) -> None:
    """Forget a session of before a restart of the machine: its pids, and perhaps its tmux session, are others' now."""
    _kill_session(state.plan.session, state.folder, tmux)
    sweep(state)
    states.remove(state.folder)


def _kill_session(session: str, folder: Path, tmux: Tmux) -> None:
    """End the tmux session, if it is ours: a user may have made another of that name since."""
    there = tmux.find_session(session)
    if there is not None and there.owner == tmux.owner_id(folder):
        tmux.kill_session(session)
    else:
        tmux.remove_dead_socket()  # it ended with its last pane


def sweep(state: State) -> None:
    """Remove what a session whose processes have ended left outside of its folder: sockets, hugepage files,
    regions, images that were being made."""
    sweep_outside(state.plan.sockets, state.plan.regions)
    for image in {image for part in state.plan.parts for image in (part.disk, part.template) if image}:
        atomic_write.remove_leftovers(Path(image))
    sweep_dpdk(state.plan.file_prefix, Path(state.plan.huge_dir), started=True)
    ends.remove(state.folder)


def sweep_outside(sockets: Iterable[str], regions: Iterable[str]) -> None:
    """Remove the sockets that nobody has, and the regions that nobody serves."""
    for socket in unix.find_stale(sockets):
        privilege.remove(socket)
    for path in regions:
        shared_region.remove(Path(path))


def sweep_dpdk(prefix: str, huge_dir: Path, started: bool = False) -> None:
    """Remove what DPDK processes of this ``--file-prefix`` left, if none of them lives: hugepage files, run folders.

    ``started``: whether there were any, which a user cannot see.
    """
    if not privilege.is_root():
        leftovers.remove_by_sudo(prefix, huge_dir, started)
        return
    pattern = re.compile(rf"{re.escape(prefix)}map_\d+")
    pages = [page for page in huge_dir.glob(f"{prefix}map_*") if pattern.fullmatch(page.name)]
    # The real path, as /proc shows it: /var/run is a link. Not /tmp/dpdk, where any user can plant a link: DPDK takes
    # it for users without a runtime directory, never for root.
    folder = Path("/run/dpdk") / prefix
    mapped = memory.mappers(Path("/")) if pages or folder.is_dir() else {}
    if any(Path(name) in pages or Path(name).parent == folder for name in mapped):
        return
    for page in pages:
        page.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _living(state: State, part: Part) -> Proc | None:
    proc = states.process(part.files(state.folder))
    return proc if proc is not None and proc.alive() else None


def _stop(state: State, part: Part, note: Note, powerdown: float) -> None:
    """End one part: politely, then firmly, and say so. What it started ends with it, also where it went first."""
    with contextlib.suppress(OSError):  # a full disk does not keep a lab up
        part.files(state.folder).stopped.touch()  # before the look: it may be about to be run again
    proc = _living(state, part)
    if proc is None:
        return
    started = processes.tree([proc.pid])
    how = _politely(state, part, proc, powerdown) or _interrupted(part, proc)
    if how is None and proc.alive():
        killed, left = processes.end(processes.tree([proc.pid]), Deadline(TERM))
        how = None if left else "SIGKILL" if killed else "SIGTERM"
    if how:
        processes.end([p for p in started if p.pid != proc.pid and p.is_running()], Deadline(TERM))
    note(f"{part.name} ended ({how})" if how else f"{part.name} could not be ended (pid {proc.pid})")


def _politely(state: State, part: Part, proc: Proc, powerdown: float) -> str | None:
    """How the part ended when asked in its own way; None where it still runs."""
    if part.is_vm:
        from sppr.qemu import monitor  # it brings asyncio, which a bring-up does without

        return monitor.shut_down(Path(part.qmp), proc.alive, Deadline(powerdown), Deadline(QUIT))
    if part.role == "controller":
        return None
    target = "primary" if part.role == "primary" else f"{part.kind or 'nfv'}:{part.id}"
    try:
        ControlClient(part.control or state.plan.api).exit(target)
    except ControlError:
        return None
    return "exit" if Deadline(LONG_EXIT if part.upstream else EXIT).poll(lambda: not proc.alive()) else None


def _interrupted(part: Part, proc: Proc) -> str | None:
    """SPP's primary, vf, mirror and pcap end in order at SIGINT; at SIGTERM not all do. nfv has no handler for any
    (spp-facts 3.9)."""
    if not part.upstream or part.role not in ("primary", "secondary") or part.kind == "nfv" or not proc.alive():
        return None
    with contextlib.suppress(OSError):
        os.kill(proc.pid, signal.SIGINT)
        return "SIGINT" if Deadline(LONG_EXIT).poll(lambda: not proc.alive()) else None
    return None


def _end_panes(state: State, tmux: Tmux, note: Note) -> list[str]:
    """End the shells in the panes and all they started, also what lost its parent. Returns what is left."""
    there = tmux.find_session(state.plan.session)
    ours = there is not None and there.owner == tmux.owner_id(state.folder)
    members = {p.pid: p for p in panes.pane_processes(there.panes.values() if there and ours else ())}
    spared = processes.self_and_ancestors()
    for part in state.plan.parts:
        files = part.files(state.folder)
        if proc := states.process(files):
            lost = processes.session_members(states.terminal(files), proc.started)
            members.update({p.pid: p for p in lost if p.pid not in spared})
    killed, left = panes.stop_processes(list(members.values()))
    if killed:
        note(f"in the panes: {len(killed)} processes ended by SIGKILL")
    return [f"{p.name()} (pid {p.pid})" for p in left]
