"""What a session is, on disk: the plan, its panes, and how far bring-up came. All that status, down and logs need,
so that they work when conf.yml was edited or deleted, and when the launcher was killed."""

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
from sppr.tmux.pane import EXIT_VARIABLE, POLICY_VARIABLE, PaneFiles
from sppr.wait import Exit

Phase = Literal["starting", "up", "failed", "stopping"]
_NAME = "state.json"


class NoSession(SpprError):
    """There is no session of this name."""


class Broken(SpprError):
    """The state of a session cannot be understood: half-written by a full disk, or edited."""


@dataclass
class _PlanVersion:
    version: int


@dataclass
class _Versioned:
    """The one field of state.json that is read before the rest."""

    plan: _PlanVersion


@dataclass
class State:
    """``panes``: name -> (@window, %pane), the last known. ``ready``: part -> seconds from its start until it was
    ready, ``ready_pid``: as which process. ``stopping``: parts that a verb is ending."""

    plan: Plan
    boot_id: str
    phase: Phase = "starting"
    panes: dict[str, tuple[str, str]] = field(default_factory=dict)
    ready: dict[str, float] = field(default_factory=dict)
    ready_pid: dict[str, int] = field(default_factory=dict)
    stopping: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return Path(self.plan.run)

    @property
    def stale(self) -> bool:
        """Whether the machine was restarted since: no process of it lives, whatever pids are in use now."""
        return self.boot_id != pids.boot_id()

    def save(self) -> None:
        """Write state.json whole or not at all."""
        footprint.write(self.plan)
        atomic_write.write(self.folder / _NAME, json.dumps(asdict(self), indent=1) + "\n")


def folder_of(session: str) -> Path:
    """The run directory of a session, whether it is there or not."""
    return sessions_dir() / session


def load(session: str) -> State:
    """The state of ``session``. NoSession where there is none, Broken where it cannot be understood, HostError where
    its folder is none of this user's."""
    check_owner(folder_of(session))
    path = folder_of(session) / _NAME
    try:
        text = path.read_bytes()
        if msgspec.json.decode(text, type=_Versioned).plan.version != VERSION:
            what = f"session {session}: {path} was written by another version of sppr"
            raise Broken(what, hint=f"sppr down --session {session} ends what is left of it")
        return msgspec.json.decode(text, type=State)
    except (FileNotFoundError, NotADirectoryError):
        raise NoSession(f"session {session}: not running", hint=f"sppr up{flag(session)}") from None
    except (msgspec.MsgspecError, ValueError, IsADirectoryError, RecursionError) as e:
        what = f"{path}: cannot be understood ({type(e).__name__}: {e})"
        raise Broken(what, hint=f"sppr down --session {session} ends what is left of it") from None


def flag(session: str) -> str:
    """What a verb in a hint must be told to mean this session."""
    return "" if session == "spp" else f" --session {session}"


def living(session: str) -> State:
    """As ``load``, for verbs over processes. SpprError where the machine was restarted since they ran."""
    return check_living(load(session))


def check_living(state: State) -> State:
    """The state. SpprError where the machine was restarted since its processes ran."""
    session = state.plan.session
    if state.stale:
        what = f"session {session}: the machine was restarted since it was up; nothing of it runs"
        raise SpprError(what, hint=f"sppr up brings it up anew; sppr down{flag(session)} sweeps what it left")
    return state


def check_names(state: State, names: Sequence[str]) -> None:
    """SpprError that lists the parts there are, where a name is none of them."""
    known = [part.name for part in state.plan.parts]
    unknown = [name for name in names if name not in known]
    if unknown:
        what = f"{', '.join(unknown)}: no part of session {state.plan.session}"
        raise SpprError(what, hint=f"its parts: {', '.join(known)}")


def record_start(folder: Path, name: str, program: Sequence[str]) -> None:
    """Note that this very process is (about to become) the part ``name``: what it becomes, pid, start time, and the
    terminal session of its pane (0 outside of one); and that it has not ended.

    Does nothing where the session does not run: a runscript can be used alone. SpprError where the part was stopped
    while its pane was about to run it again by policy.
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
    # After the record: who stops the part notes that first, and then looks for its process.
    if POLICY_VARIABLE in os.environ and files.stopped.exists():
        raise SpprError(f"{name}: was stopped, so it is not run again", hint=f"sppr start {name}{flag(folder.name)}")


def process(files: PaneFiles) -> Proc | None:
    """The process that was last started as this part, running or not. None: never started."""
    try:
        pid, started, *_ = files.record.read_text().split()
        return Proc(int(pid), int(started))
    except (OSError, ValueError):
        return None


def dead_parts(state: "State") -> list[str]:
    """Return the names of the parts that do not run."""
    living = {part.name for part in state.plan.parts if (p := process(part.files(state.folder))) and p.alive()}
    return [part.name for part in state.plan.parts if part.name not in living]


def outlived(folder: Path, name: str) -> bool:
    """Whether the primary ended, or was started after the secondary ``name``. SPP's own secondaries run on without
    it."""
    primary, secondary = (process(PaneFiles(folder, part)) for part in ("pri", name))
    if primary is None or secondary is None:
        return False
    return not primary.alive() or primary.started > secondary.started


def terminal(files: PaneFiles) -> int:
    """The terminal session in which the part was started last: that of its pane; 0 where it had none of its own."""
    try:
        return int(files.record.read_text().split()[2])
    except (OSError, ValueError, IndexError):
        return 0


def pane_is_gone(files: PaneFiles) -> bool:
    """Whether the pane of the last run has closed: its first process led its terminal session."""
    leader = terminal(files)
    return leader > 0 and pids.current(leader) is None


def program(files: PaneFiles) -> tuple[str, ...]:
    """What the part became at its last start; empty where that is not known."""
    try:
        words = json.loads(files.program.read_text())
    except (OSError, ValueError):
        return ()
    return tuple(words) if isinstance(words, list) and all(isinstance(w, str) for w in words) else ()


def ended(files: PaneFiles) -> Exit | None:
    """How the part's last run ended; None while it runs, or has not started."""
    try:
        return Exit(int(files.exit.read_text()))
    except (OSError, ValueError):
        pass
    proc = process(files)
    return Exit(None) if proc is not None and not proc.alive() else None


def restarts(files: PaneFiles) -> int:
    """How often the part was run again by its policy."""
    try:
        return int(files.restarts.read_text())
    except (OSError, ValueError):
        return 0


def there(session: str) -> bool:
    """Whether the session has state: it is not down."""
    return (folder_of(session) / _NAME).exists()


def sessions() -> list[str]:
    """Names of the sessions that have state."""
    return sorted(p.parent.name for p in sessions_dir().glob(f"*/{_NAME}"))


def owner(session: str) -> Path | None:
    """Return the conf.yml that the session was started with. None where neither its state nor its traces name one."""
    folder = folder_of(session)
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        if conf := json.loads((folder / _NAME).read_text())["plan"]["conf"]:
            return Path(conf)
    noted = footprint.read(folder)
    return Path(noted.conf) if noted and noted.conf else None


def is_lab_of(owner: Path, conf: Path) -> bool:
    """Return whether both files describe one lab: links are followed, and two files in one folder are one lab."""
    one, other = os.path.realpath(owner), os.path.realpath(conf)
    return one == other or os.path.realpath(owner.parent) == os.path.realpath(conf.parent)


def log_path() -> Path:
    """The one log of all launchers and teardowns; it outlives the sessions, and is bounded."""
    return sessions_dir() / "sppr.log"


def remove(folder: Path) -> None:
    """Forget a session. state.json goes last: who is killed here leaves a session that can still be ended. HostError
    where the folder is a link or somebody else's."""
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
    """Who wrote its name into the lock, if it lives."""
    try:
        found = re.match(r".*\(pid (\d+), since .*\)", lock.read_text())
    except FileNotFoundError:
        return None
    return found[0] if found and pids.current(int(found[1])) else None


@contextlib.contextmanager
def locked(session: str) -> Iterator[None]:
    """Hold the session for one launcher or teardown at a time. It dies with its process. SpprError: who has it.

    The file goes with the session: whoever has its lock looks whether it is still the one that has the name.
    """
    make_private(sessions_dir())
    path = _lock(session)
    with contextlib.ExitStack() as stack:
        while True:
            f = stack.enter_context(path.open("ab", buffering=0))
            if not _try_lock(f):
                # Who has just locked it has not written yet, or a line of one that was killed still stands there.
                who = Deadline(2.0).poll(lambda: _holder(path), 0.02) or "another process"
                raise SpprError(
                    f"session {session}: {who} is at it", hint=f"wait for it, then: sppr status --session {session}"
                )
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(f.fileno())):
                    break
        f.truncate(0)
        this = pids.current(os.getpid())
        who = f"{Path(sys.argv[0]).name} (pid {os.getpid()}, since {time.strftime('%H:%M:%S')})"
        with contextlib.suppress(OSError):  # a full disk: the lock holds without a name in it
            f.write(f"{who}\n{os.getpid()} {this.started if this else 0}\n".encode())
        try:
            yield
        finally:
            f.truncate(0)
            if not folder_of(session).exists():
                path.unlink(missing_ok=True)


def at_work(session: str) -> bool:
    """Whether a launcher or teardown holds the session now. The lock itself is not tried, for that would be in the
    way of one who wants it."""
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
