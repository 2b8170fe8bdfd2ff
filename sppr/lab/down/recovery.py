"""Stop sessions whose state is lost: state.json cannot be read, or the run directory was removed while the lab ran."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from sppr.deadline import Deadline
from sppr.host.process import open_files
from sppr.host.process import processes as procs
from sppr.host.root import leftovers
from sppr.lab.chains import ends
from sppr.lab.down import footprint, teardown
from sppr.lab.down.teardown import HUGE_DIR, Note, NotStopped
from sppr.lab.state import state as states
from sppr.lab.up import panes
from sppr.tmux.pane import PaneFiles
from sppr.tmux.server import Tmux

_SOCKETS = "its vhost-user sockets may remain; sppr doctor --fix removes them"


@dataclass(frozen=True)
class LostSession:
    """A session whose run directory was removed while it ran.

    ``panes``: names of its panes. ``processes``: number of processes in them.
    ``folder``: the folder of its lab; None: unknown.
    """

    session: str
    panes: tuple[str, ...]
    processes: int
    folder: Path | None

    @property
    def what(self) -> str:
        """Return the message for the user."""
        return (
            f"session {self.session}: its run directory {states.folder_of(self.session)} was removed while it ran; "
            f"{self.processes} processes run in its panes ({', '.join(self.panes)})"
        )

    @property
    def hint(self) -> str:
        """Return the next command to run."""
        return f"stop it: sppr down{states.flag(self.session)}; then sppr up starts it again"


def find(session: str) -> LostSession | None:
    """Return a session that has no state but runs in tmux, or None. Its owner id shows that it is ours."""
    for tmux in Tmux.servers():
        found = tmux.find_session(session)
        if found is not None and found.owner == tmux.owner_id(states.folder_of(session)):
            folders = (_folder(pid) for pid in found.panes.values())
            folder = next((folder for folder in folders if folder is not None), None)
            count = len(panes.pane_processes(found.panes.values()))
            return LostSession(session, tuple(found.parts), count, folder)
    return None


def _folder(pid: int) -> Path | None:
    """Return the folder of the lab: the working directory of the script of a pane. None: ``pid`` is another process.

    The script never leaves that folder; the shell after it may.
    """
    try:
        words = psutil.Process(pid).cmdline()
        is_script = words[:1] == ["/bin/sh"] and words[-1].endswith(".sh")
        return Path(str(Path(f"/proc/{pid}/cwd").readlink()).removesuffix(" (deleted)")) if is_script else None
    except (psutil.Error, OSError):
        return None


def down_corrupt_state(session: str, note: Note) -> bool:
    """Stop a session whose state.json cannot be read, and return whether nothing remains.

    Stop the processes of its pid files and its tmux session, and remove the files that its footprint lists. Return
    False if it has no footprint: then some files may remain, and a note says so. Raise NotStopped with the processes
    that still run.
    """
    folder = states.folder_of(session)
    recorded = footprint.read(folder)
    pane_files = [PaneFiles(folder, path.stem) for path in sorted(folder.glob("*.pid"))]
    running = [proc.pid for files in pane_files if (proc := states.process(files)) and proc.alive()]
    killed, left = procs.end(procs.tree(running), Deadline(teardown.TERM))
    note(f"{len(running)} processes stopped" + (f", {len(killed)} of them by SIGKILL" if killed else ""))
    left += _kill_sessions(session, folder)[1]
    if left:
        raise NotStopped(f"session {session}: could not stop {', '.join(str(p.pid) for p in left)}")
    if recorded is not None:
        Tmux(recorded.socket_name).remove_dead_socket()
        teardown.remove_sockets_and_regions(recorded.sockets, recorded.regions)
        teardown.remove_dpdk_files(recorded.file_prefix, Path(recorded.huge_dir), started=True)
    else:
        _remove_dpdk_files({session: "", **footprint.prefixes(states.program(files) for files in pane_files)})
        note(f"the list of its files was lost: {_SOCKETS}")
    ends.remove(folder)
    states.remove(folder)
    return recorded is not None


def down_without_state(session: str, note: Note) -> bool:
    """Stop a session that has no state, and return whether its tmux session was found, by its owner id.

    Raise NotStopped if a process of the session, or a process with its ``--file-prefix``, still runs.
    """
    programs, left = _kill_sessions(session, states.folder_of(session))
    if left:
        raise NotStopped(f"session {session}: could not stop {', '.join(str(p.pid) for p in left)}")
    prefixes = {session: "", **footprint.prefixes(programs or ())}
    _remove_dpdk_files(prefixes, started=programs is not None)
    states.remove(states.folder_of(session))
    others = [pid for prefix in prefixes for pid in leftovers.running_processes(prefix)]
    if others:
        what = f"session {session}: has no state here, but a process runs with its --file-prefix:"
        hint = f"if its state is in another folder, set SPPR_RUN_DIR; otherwise: kill {' '.join(map(str, others))}"
        raise NotStopped(f"{what} {', '.join(map(open_files.describe_process, others))}", hint=hint)
    if programs is not None:
        note(f"its run directory was lost; the processes in its panes were stopped; {_SOCKETS}")
    return programs is not None


def _kill_sessions(session: str, folder: Path) -> tuple[list[list[str]] | None, list[psutil.Process]]:
    """Kill the tmux sessions with the owner id of this folder, in every tmux server, with all processes in them.

    Return the command lines of these processes (None: there is no such session), and the processes that still run.
    """
    procs.outlive_terminal()  # the terminal of this command may be one of these sessions
    programs: list[list[str]] | None = None
    left: list[psutil.Process] = []
    for tmux in Tmux.servers():
        found = tmux.find_session(session)
        if found is None or found.owner != tmux.owner_id(folder):
            continue
        members = panes.pane_processes(found.panes.values())
        programs = [*(programs or []), *map(_command_line, members)]
        left += panes.stop_processes(members)[1]
        tmux.kill_session(session)
    return programs, left


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _remove_dpdk_files(prefixes: Mapping[str, str], started: bool = True) -> None:
    for prefix, huge_dir in prefixes.items():
        teardown.remove_dpdk_files(prefix, Path(huge_dir) if huge_dir else HUGE_DIR, started)
