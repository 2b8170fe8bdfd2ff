"""Ends sessions whose state is lost: state.json cannot be read, or the run directory went while the lab ran."""

import signal
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
from sppr.lab.down.teardown import HUGE_DIR, Note, NotEnded
from sppr.lab.state import state as states
from sppr.lab.up import panes
from sppr.tmux.pane import PaneFiles
from sppr.tmux.server import Tmux

_SOCKETS = "its vhost-user sockets may be left: sppr doctor --fix removes them"


@dataclass(frozen=True)
class Lost:
    """A session whose run directory was removed while it ran. ``panes``: names of its panes. ``processes``: how many
    run in them. ``folder``: of its lab, None where that cannot be seen."""

    session: str
    panes: tuple[str, ...]
    processes: int
    folder: Path | None

    @property
    def what(self) -> str:
        return (
            f"session {self.session}: its run directory {states.folder_of(self.session)} was removed while it ran; "
            f"{self.processes} processes run in its panes ({', '.join(self.panes)})"
        )

    @property
    def hint(self) -> str:
        return f"end it: sppr down{states.flag(self.session)}; then sppr up brings it up again"


def find(session: str) -> Lost | None:
    """Return what runs of a session that has no state, by the mark of its tmux session. None where nothing does."""
    for tmux in Tmux.servers():
        there = tmux.find_session(session)
        if there is not None and there.owner == tmux.owner_id(states.folder_of(session)):
            folders = (_folder(pid) for pid in there.panes.values())
            folder = next((folder for folder in folders if folder is not None), None)
            return Lost(session, tuple(there.parts), len(panes.pane_processes(there.panes.values())), folder)
    return None


def _folder(pid: int) -> Path | None:
    """The folder of the lab, by the script of a part that waits for its program there: it never leaves that folder. Its
    shell does."""
    try:
        words = psutil.Process(pid).cmdline()
        is_script = words[:1] == ["/bin/sh"] and words[-1].endswith(".sh")
        return Path(str(Path(f"/proc/{pid}/cwd").readlink()).removesuffix(" (deleted)")) if is_script else None
    except (psutil.Error, OSError):
        return None


def down_corrupt_state(session: str, note: Note) -> bool:
    """End a session whose state cannot be read: what its pid records name, its tmux session, and the traces it noted
    when it was started. False where it noted none: something may be left then, which was said."""
    folder = states.folder_of(session)
    kept = footprint.read(folder)
    records = [PaneFiles(folder, path.stem) for path in sorted(folder.glob("*.pid"))]
    living = [proc.pid for files in records if (proc := states.process(files)) and proc.alive()]
    killed, left = procs.end(procs.tree(living), Deadline(teardown.TERM))
    note(f"{len(living)} processes of it ended" + (f", {len(killed)} of them by SIGKILL" if killed else ""))
    left += _end_session(session, folder)[1]
    if left:
        raise NotEnded(f"session {session}: could not end {', '.join(str(p.pid) for p in left)}")
    if kept is not None:
        Tmux(kept.socket_name).remove_dead_socket()
        teardown.sweep_outside(kept.sockets, kept.regions)
        teardown.sweep_dpdk(kept.file_prefix, Path(kept.huge_dir), started=True)
    else:
        _sweep({session: "", **footprint.prefixes(states.program(files) for files in records)})
        note(f"what it made was not noted: {_SOCKETS}")
    ends.remove(folder)
    states.remove(folder)
    return kept is not None


def down_without_state(session: str, note: Note) -> bool:
    """End what lives of a session that has no state: its tmux session is known by its mark. False where there is
    none. NotEnded where a process with its ``--file-prefix`` lives after that."""
    programs, left = _end_session(session, states.folder_of(session))
    if left:
        raise NotEnded(f"session {session}: could not end {', '.join(str(p.pid) for p in left)}")
    prefixes = {session: "", **footprint.prefixes(programs or ())}
    _sweep(prefixes, started=programs is not None)
    states.remove(states.folder_of(session))
    strangers = [pid for prefix in prefixes for pid in leftovers.running_processes(prefix)]
    if strangers:
        what = (
            f"session {session}: not known here, but {', '.join(map(open_files.describe_process, strangers))} with its"
        )
        hint = f"is its state elsewhere (SPPR_RUN_DIR)? else: kill {' '.join(map(str, strangers))}"
        raise NotEnded(f"{what} --file-prefix runs", hint=hint)
    if programs is not None:
        note(f"its run directory was lost; what ran in its panes was ended; {_SOCKETS}")
    return programs is not None


def _end_session(session: str, folder: Path) -> tuple[list[list[str]] | None, list[psutil.Process]]:
    """End the tmux session that carries this folder's mark, in whatever server it is, with all that runs in it.

    Returns the command lines of that (None without such a session), and what could not be ended.
    """
    # It may be the terminal of this very command.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    programs: list[list[str]] | None = None
    left: list[psutil.Process] = []
    for tmux in Tmux.servers():
        there = tmux.find_session(session)
        if there is None or there.owner != tmux.owner_id(folder):
            continue
        members = panes.pane_processes(there.panes.values())
        programs = [*(programs or []), *map(_words, members)]
        left += panes.stop_processes(members)[1]
        tmux.kill_session(session)
    return programs, left


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _sweep(prefixes: Mapping[str, str], started: bool = True) -> None:
    for prefix, huge_dir in prefixes.items():
        teardown.sweep_dpdk(prefix, Path(huge_dir) if huge_dir else HUGE_DIR, started)
