"""Stop a session according to its state on disk, in the reverse order of start, and remove everything it created."""

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
from sppr.lab.state import journal
from sppr.lab.state import state as states
from sppr.lab.state.state import State
from sppr.lab.up import panes
from sppr.parts.part import Part
from sppr.spp.control import ControlClient
from sppr.tmux.server import Tmux

#: Time limits in seconds for each step of stopping a part.
POWERDOWN, QUIT, EXIT, TERM = 20.0, 3.0, 3.0, 3.0
#: Time limit in seconds for ``exit`` and SIGINT in upstream SPP: vf, mirror and pcap take up to 5 s.
LONG_EXIT = 9.0
#: Roles in the order in which they are stopped.
ORDER = (("vm_vhost", "vm_ring"), ("secondary",), ("primary",), ("controller",))

HUGE_DIR = Path("/dev/hugepages")

Note = Callable[[str], None]


class NotStopped(SpprError):
    """Some processes of the session could not be stopped; ``what`` lists them."""


def down(state: State, tmux: Tmux, note: Note, powerdown: float = POWERDOWN, step: Note = lambda _: None) -> None:
    """Stop the session, and remove its files.

    The state on disk is removed last, so that ``down`` and ``up`` can continue after this process was killed. ``step``
    is called after each step, like ``Report.step`` of the bring-up. Raise NotStopped with the processes that still run;
    everything else has been stopped then.
    """

    def report(line: str) -> None:
        note(line)
        step(line)

    state.phase = "stopping"
    with contextlib.suppress(OSError):  # a full disk must not prevent the teardown
        state.save()
    step("state")
    left: list[str] = []
    try:
        stop_parts(state, [part.name for part in state.plan.parts], report, powerdown)
    except NotStopped as e:
        left.append(e.what)
    left += _stop_panes(state, tmux, report)
    if left:
        raise NotStopped("; ".join(left), hint=f"sppr down --session {state.plan.session}   again")
    step("panes")
    for line in ends.processes_inside(state.folder):
        report(f"{line}: not a part of this lab, so it keeps running, without a network")
    remove_leftovers(state)
    step("leftovers")
    processes.outlive_terminal()  # the terminal of this command may be in the session
    _kill_session(state.plan.session, state.folder, tmux)
    step("session")
    states.remove(state.folder)
    step("removed")


def stop_parts(state: State, names: Collection[str], note: Note, powerdown: float = POWERDOWN) -> None:
    """Stop these parts and their child processes, in the reverse order of start.

    Raise NotStopped with the parts that still run.
    """
    for roles in ORDER:
        parts = [p for p in state.plan.parts_named(names) if p.role in roles]
        with ThreadPoolExecutor(max_workers=max(1, len(parts))) as pool:
            list(pool.map(lambda part: _stop(state, part, note, powerdown), parts))
    left = [f"{p.name} (pid {proc.pid})" for p in state.plan.parts_named(names) if (proc := _running_process(state, p))]
    if left:
        what = f"session {state.plan.session}: could not stop {', '.join(left)}"
        raise NotStopped(what, hint="see its pane, or kill it: kill -9 PID")


def remove_stale_session(state: State, tmux: Tmux) -> None:
    """Remove a session from before a restart of the machine.

    Its pids, and perhaps a tmux session of its name, belong to others now.
    """
    _kill_session(state.plan.session, state.folder, tmux)
    remove_leftovers(state)
    states.remove(state.folder)


def _kill_session(session: str, folder: Path, tmux: Tmux) -> None:
    """Kill the tmux session, if it is ours. The user may have created another one of this name since."""
    found = tmux.find_session(session)
    if found is not None and found.owner == tmux.owner_id(folder):
        tmux.kill_session(session)
    else:
        tmux.remove_dead_socket()  # tmux ended the session with its last pane


def remove_leftovers(state: State) -> None:
    """Remove the files of a stopped session outside of its run directory.

    They are sockets, regions, hugepage files and partial images.
    """
    remove_sockets_and_regions((*state.plan.sockets, *state.plan.capture_sockets), state.plan.regions)
    for image in {image for part in state.plan.parts for image in (part.disk, part.template) if image}:
        atomic_write.remove_leftovers(Path(image))
    remove_dpdk_files(state.plan.file_prefix, Path(state.plan.huge_dir), started=True)
    ends.remove(state.folder)


def remove_sockets_and_regions(sockets: Iterable[str], regions: Iterable[str]) -> None:
    """Remove the sockets and regions that no process uses."""
    for socket in unix.find_stale(sockets):
        privilege.remove(socket)
    for path in regions:
        shared_region.remove(Path(path))


def remove_dpdk_files(prefix: str, huge_dir: Path, started: bool = False) -> None:
    """Remove the hugepage files and the runtime directory of a ``--file-prefix``, if no process uses them.

    ``started``: whether DPDK processes of this prefix were started, which a user other than root cannot see.
    """
    if not privilege.is_root():
        leftovers.remove_by_sudo(prefix, huge_dir, started)
        return
    pattern = re.compile(rf"{re.escape(prefix)}map_\d+")
    pages = [page for page in huge_dir.glob(f"{prefix}map_*") if pattern.fullmatch(page.name)]
    # /proc shows this path; /var/run is a link. /tmp/dpdk is not searched, because any user can create a link there:
    # DPDK uses it for users without a runtime directory, and never for root.
    folder = Path("/run/dpdk") / prefix
    mapped = memory.mappers(Path("/")) if pages or folder.is_dir() else {}
    if any(Path(name) in pages or Path(name).parent == folder for name in mapped):
        return
    for page in pages:
        page.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _running_process(state: State, part: Part) -> Proc | None:
    proc = states.process(part.files(state.folder))
    return proc if proc is not None and proc.alive() else None


def _stop(state: State, part: Part, note: Note, powerdown: float) -> None:
    """Stop one part with its child processes, and report how: first on request, then by signals."""
    with contextlib.suppress(OSError):  # a full disk must not prevent the teardown
        part.files(state.folder).stopped.touch()  # first, because its policy may be about to restart it
    proc = _running_process(state, part)
    if proc is None:
        return
    journal.write(state.folder, "part.stopping", part=part.name)
    children = processes.tree([proc.pid])
    how = _request_exit(state, part, proc, powerdown) or _interrupt(part, proc)
    if how is None and proc.alive():
        killed, left = processes.end(processes.tree([proc.pid]), Deadline(TERM))
        how = None if left else "SIGKILL" if killed else "SIGTERM"
    if how:  # children can outlive the part
        processes.end([p for p in children if p.pid != proc.pid and p.is_running()], Deadline(TERM))
    note(f"{part.name} stopped ({how})" if how else f"{part.name} could not be stopped (pid {proc.pid})")


def _request_exit(state: State, part: Part, proc: Proc, powerdown: float) -> str | None:
    """Ask the part to exit: a VM over QMP, an SPP process over its controller. Return how it stopped, or None."""
    if part.is_vm:
        from sppr.qemu import monitor  # imports asyncio, which a bring-up does not need

        return monitor.shut_down(Path(part.qmp), proc.alive, Deadline(powerdown), Deadline(QUIT))
    if part.role == "controller":
        return None
    target = "primary" if part.role == "primary" else f"{part.kind or 'nfv'}:{part.id}"
    try:
        ControlClient(part.control or state.plan.api).exit(target)
    except ControlError:
        return None
    return "exit" if Deadline(LONG_EXIT if part.upstream else EXIT).poll(lambda: not proc.alive()) else None


def _interrupt(part: Part, proc: Proc) -> str | None:
    """Send SIGINT to an upstream primary, vf, mirror or pcap. Return "SIGINT" if it stopped, otherwise None.

    These programs stop cleanly at SIGINT; not all of them do at SIGTERM. nfv handles neither (docs/spp-protocol.md,
    Exit).
    """
    if not part.upstream or part.role not in ("primary", "secondary") or part.kind == "nfv" or not proc.alive():
        return None
    with contextlib.suppress(OSError):
        os.kill(proc.pid, signal.SIGINT)
        return "SIGINT" if Deadline(LONG_EXIT).poll(lambda: not proc.alive()) else None
    return None


def _stop_panes(state: State, tmux: Tmux, note: Note) -> list[str]:
    """Stop the shells in the panes and their processes, including orphans. Return the processes that still run."""
    found = tmux.find_session(state.plan.session)
    ours = found is not None and found.owner == tmux.owner_id(state.folder)
    members = {p.pid: p for p in panes.pane_processes(found.panes.values() if found and ours else ())}
    excluded = processes.self_and_ancestors()
    for part in state.plan.parts:
        files = part.files(state.folder)
        if proc := states.process(files):
            orphans = processes.session_members(states.terminal(files), proc.started)
            members.update({p.pid: p for p in orphans if p.pid not in excluded})
    killed, left = panes.stop_processes(list(members.values()))
    if killed:
        note(f"panes: {len(killed)} processes stopped by SIGKILL")
    return [f"{p.name()} (pid {p.pid})" for p in left]
