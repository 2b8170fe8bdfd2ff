"""Keep the state of a session on disk: its plan, its panes, and the phase of the bring-up.

``status``, ``down`` and ``logs`` need nothing else, so they work after conf.yml was edited or deleted, and after the
launcher was killed.
"""

import contextlib
import fcntl
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Literal

import msgspec

from sppr.deadline import Deadline
from sppr.errors import SpprError
from sppr.host import atomic_write
from sppr.host.process import pids
from sppr.host.process.pids import Proc
from sppr.host.run_directory import check_owner, make_private, sessions_dir
from sppr.lab.down import footprint
from sppr.lab.plan.plan import VERSION, Plan
from sppr.lab.state import journal
from sppr.tmux.pane import EXIT_VARIABLE, POLICY_VARIABLE, PaneFiles
from sppr.wait import Exit

Phase = Literal["starting", "up", "failed", "stopping"]
_NAME = "state.json"


class NoSession(SpprError):
    """No session has this name."""


class UnreadableState(SpprError):
    """The state of a session cannot be read: a full disk truncated it, or it was edited by hand."""


@dataclass
class _PlanVersion:
    version: int


@dataclass
class _Versioned:
    """The field of state.json that is read before the rest."""

    plan: _PlanVersion


@dataclass
class State:
    """The state of a session, as state.json keeps it.

    ``plan``: the plan of the session. ``boot_id``: the boot of the machine in which it runs.
    ``phase``: the phase of the bring-up or teardown.
    ``panes``: the last known window and pane, ``(@window, %pane)``, by name.
    ``windows``: the name that the window of each pane had then; a full window continues in one with another name.
    ``ready``: seconds from the start of a part until it was ready, by name. ``ready_pid``: the pid it had then.
    ``stopping``: parts that a command is stopping.
    """

    plan: Plan
    boot_id: str
    phase: Phase = "starting"
    panes: dict[str, tuple[str, str]] = field(default_factory=dict)
    windows: dict[str, str] = field(default_factory=dict)
    ready: dict[str, float] = field(default_factory=dict)
    ready_pid: dict[str, int] = field(default_factory=dict)
    stopping: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Return the run directory of the session."""
        return Path(self.plan.run)

    @property
    def stale(self) -> bool:
        """Return whether the machine was restarted since the start. Then recorded pids belong to other processes."""
        return self.boot_id != pids.boot_id()

    def save(self) -> None:
        """Write state.json atomically."""
        footprint.write(self.plan)
        atomic_write.write(self.folder / _NAME, json.dumps(asdict(self), indent=1) + "\n")


def folder_of(session: str) -> Path:
    """Return the run directory of a session, whether it exists or not."""
    return sessions_dir() / session


def load(session: str) -> State:
    """Return the state of a session.

    Raise NoSession if there is none, UnreadableState if it cannot be read, and HostError if the run directory does not
    belong to this user.
    """
    check_owner(folder_of(session))
    path = folder_of(session) / _NAME
    try:
        text = path.read_bytes()
        if msgspec.json.decode(text, type=_Versioned).plan.version != VERSION:
            what = f"session {session}: {path} was written by another version of sppr"
            raise UnreadableState(what, hint=f"sppr down --session {session} stops what is left of it")
        return msgspec.json.decode(text, type=State)
    except (FileNotFoundError, NotADirectoryError):
        raise NoSession(f"session {session}: not running", hint=f"sppr up{flag(session)}") from None
    except (msgspec.MsgspecError, ValueError, IsADirectoryError, RecursionError) as e:
        what = f"{path}: cannot be read ({type(e).__name__}: {e})"
        raise UnreadableState(what, hint=f"sppr down --session {session} stops what is left of it") from None


def flag(session: str) -> str:
    """Return the option that selects this session in the command of a hint."""
    return "" if session == "spp" else f" --session {session}"


def load_same_boot(session: str) -> State:
    """Return the state of a session, for commands that act on its processes.

    Raise SpprError if the machine was restarted since the start, and the errors of ``load``.
    """
    return check_same_boot(load(session))


def check_same_boot(state: State) -> State:
    """Return the state. Raise SpprError if the machine was restarted since the session was started."""
    session = state.plan.session
    if state.stale:
        what = f"session {session}: the machine was restarted since it was up; none of its parts runs"
        raise SpprError(what, hint=f"sppr up starts it again; sppr down{flag(session)} removes its leftovers")
    return state


def check_names(state: State, names: Sequence[str]) -> None:
    """Raise SpprError for a name that is not a part of the session. The error lists the parts."""
    known = [part.name for part in state.plan.parts]
    unknown = [name for name in names if name not in known]
    if unknown:
        what = f"{', '.join(unknown)}: no part of session {state.plan.session}"
        raise SpprError(what, hint=f"its parts: {', '.join(known)}")


def record_start(folder: Path, name: str, program: Sequence[str]) -> None:
    """Record that this process is the part ``name``, before it executes ``program``.

    The record has the command line, pid, start time, and the terminal session of the pane (0 outside of a pane). The
    exit status of the previous run is removed.

    Do nothing if the session does not exist, because a runscript can be used alone. Raise SpprError if the part was
    stopped while its pane was about to restart it by its policy.
    """
    if not (folder / _NAME).exists():
        return
    files = PaneFiles(folder, name)
    files.exit.unlink(missing_ok=True)
    in_pane = os.environ.get(EXIT_VARIABLE) == str(files.exit)
    this = pids.current(os.getpid())
    record = f"{os.getpid()} {this.started if this else 0} {os.getsid(0) if in_pane else 0}\n"
    for target, text in ((files.program, json.dumps(program)), (files.record, record)):
        atomic_write.write(target, text)
    journal.write(folder, "part.started", part=name, pid=os.getpid())
    # This check follows the record, because a command that stops the part writes ``stopped`` before it reads the pid.
    if POLICY_VARIABLE in os.environ and files.stopped.exists():
        raise SpprError(f"{name}: was stopped, so it is not restarted", hint=f"sppr start {name}{flag(folder.name)}")


def process(files: PaneFiles) -> Proc | None:
    """Return the process of the last run of this part, whether it still runs or not. None: it was never started."""
    try:
        pid, started, *_ = files.record.read_text().split()
        return Proc(int(pid), int(started))
    except (OSError, ValueError):
        return None


def stopped_parts(state: "State") -> list[str]:
    """Return the names of the parts that do not run. Whether parts on other hosts run is not known here."""
    if any(part.host for part in state.plan.parts):
        return []
    running = {part.name for part in state.plan.parts if (p := process(part.files(state.folder))) and p.alive()}
    return [part.name for part in state.plan.parts if part.name not in running]


def has_outlived_primary(folder: Path, name: str) -> bool:
    """Return whether the primary has exited, or was started after the secondary ``name``.

    Secondaries of upstream SPP keep running without their primary.
    """
    primary, secondary = (process(PaneFiles(folder, part)) for part in ("pri", name))
    if primary is None or secondary is None:
        return False
    return not primary.alive() or primary.started > secondary.started


def terminal(files: PaneFiles) -> int:
    """Return the terminal session of the pane in which the part was last started. 0: it was not started in a pane."""
    try:
        return int(files.record.read_text().split()[2])
    except (OSError, ValueError, IndexError):
        return 0


def pane_is_gone(files: PaneFiles) -> bool:
    """Return whether the pane of the last run has closed: the leader of its terminal session has exited."""
    leader = terminal(files)
    return leader > 0 and pids.current(leader) is None


def program(files: PaneFiles) -> tuple[str, ...]:
    """Return the command line of the last run of the part. It is empty if it is unknown."""
    try:
        words = json.loads(files.program.read_text())
    except (OSError, ValueError):
        return ()
    return tuple(words) if isinstance(words, list) and all(isinstance(w, str) for w in words) else ()


def last_exit(files: PaneFiles) -> Exit | None:
    """Return how the last run of the part ended. None: it runs, was never started, or is about to run again because it
    could not resume."""
    try:
        return Exit(int(files.exit.read_text()))
    except (OSError, ValueError):
        pass
    proc = process(files)
    ended = proc is not None and not proc.alive() and not files.resuming.exists()
    return Exit(None) if ended else None


def recorded_exit(files: PaneFiles) -> Exit | None:
    """Return the same as ``last_exit``, but give the pane of an ended part a second to write the exit status."""
    end = last_exit(files)
    if end is None or end.status is not None:
        return end
    return Deadline(1.0).poll(lambda: e if (e := last_exit(files)) and e.status is not None else None) or end


def restarts(files: PaneFiles) -> int:
    """Return how often the part was restarted by its policy."""
    try:
        return int(files.restarts.read_text())
    except (OSError, ValueError):
        return 0


def exists(session: str) -> bool:
    """Return whether the session has a state on disk, which means that it is not down."""
    return (folder_of(session) / _NAME).exists()


def sessions() -> list[str]:
    """Return the names of the sessions that have a state on disk."""
    return sorted(p.parent.name for p in sessions_dir().glob(f"*/{_NAME}"))


def owner(session: str) -> Path | None:
    """Return the conf.yml that the session was started with. None: neither its state nor its footprint has one."""
    folder = folder_of(session)
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        if conf := json.loads((folder / _NAME).read_text())["plan"]["conf"]:
            return Path(conf)
    recorded = footprint.read(folder)
    return Path(recorded.conf) if recorded and recorded.conf else None


def is_same_lab(owner: Path, conf: Path) -> bool:
    """Return whether both conf.yml files belong to one lab: after following links, they are in the same folder."""
    first, second = os.path.realpath(owner), os.path.realpath(conf)
    return first == second or os.path.realpath(owner.parent) == os.path.realpath(conf.parent)


def log_path() -> Path:
    """Return the path of the log of all launchers and teardowns. It is rotated, and stays after ``down``."""
    return sessions_dir() / "sppr.log"


def remove(folder: Path) -> None:
    """Remove the run directory of a session.

    state.json is removed last, so that ``down`` can stop the session after this process was killed. Raise HostError if
    the folder is a link, or belongs to another user.
    """
    import shutil  # `sppr status` starts faster without it

    check_owner(folder)
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name == _NAME:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _holder(lock: Path) -> str | None:
    """Return the description that the holder wrote into the lock file. None: there is none, or the holder is gone."""
    try:
        match = re.match(r".*\(pid (\d+), since .*\)", lock.read_text())
    except FileNotFoundError:
        return None
    return match[0] if match and pids.current(int(match[1])) else None


@contextlib.contextmanager
def locked(session: str) -> Iterator[None]:
    """Lock the session for one launcher or teardown. The kernel releases the lock when the process exits.

    Raise SpprError with the holder if the session is locked. The lock file is removed with the session, so after
    locking it, check that it is still the file at this path.
    """
    make_private(sessions_dir())
    path = _lock(session)
    with contextlib.ExitStack() as stack:
        while True:
            f = stack.enter_context(path.open("ab", buffering=0))
            if not _try_lock(f):
                # A new holder may not have written its line yet, and the line of a killed holder may still be there.
                who = Deadline(2.0).poll(lambda: _holder(path), 0.02) or "another process"
                hint = f"wait until it exits, then: sppr status --session {session}"
                raise SpprError(f"session {session}: in use by {who}", hint=hint)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(f.fileno())):
                    break
        f.truncate(0)
        this = pids.current(os.getpid())
        who = f"{Path(sys.argv[0]).name} (pid {os.getpid()}, since {time.strftime('%H:%M:%S')})"
        with contextlib.suppress(OSError):  # on a full disk, the lock works without this line
            f.write(f"{who}\n{os.getpid()} {this.started if this else 0}\n".encode())
        try:
            yield
        finally:
            f.truncate(0)
            if not folder_of(session).exists():
                path.unlink(missing_ok=True)


def is_locked(session: str) -> bool:
    """Return whether a launcher or teardown has locked the session.

    Read the line of the holder and do not try the lock, because that could make another process fail to get it.
    """
    try:
        pid, started = _lock(session).read_text().splitlines()[1].split()
        return Proc(int(pid), int(started)).alive()
    except (OSError, ValueError, IndexError):
        return False


def _lock(session: str) -> Path:
    return sessions_dir() / f"{session}.lock"


def _try_lock(f: IO[bytes]) -> bool:
    try:
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
