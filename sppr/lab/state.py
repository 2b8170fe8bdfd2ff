"""What a session is, on disk: the plan, its panes, and how far bring-up came. All that status, down and logs need,
so that they work when conf.yml was edited or deleted, and when the launcher was killed."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from sppr.deadline import Deadline
from sppr.errors import SpprError
from sppr.host import pids
from sppr.host.pids import Proc
from sppr.host.rundir import make_private, sessions_dir
from sppr.lab import shape
from sppr.lab.plan import VERSION, Image, Plan, Window
from sppr.ready import Exit
from sppr.roles.part import Part
from sppr.tmux.pane import PaneFiles

Phase = Literal["starting", "up", "failed", "stopping"]
_NAME = "state.json"


class NoSession(SpprError):
    """There is no session of this name."""


class Broken(SpprError):
    """The state of a session cannot be understood: half-written by a full disk, or edited."""


@dataclass
class State:
    """``ready``: part -> seconds from its start until it was ready. ``panes``: name -> (@window, %pane)."""

    plan: Plan
    boot_id: str
    phase: Phase = "starting"
    panes: dict[str, tuple[str, str]] = field(default_factory=dict)
    ready: dict[str, float] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return Path(self.plan.run)

    def save(self) -> None:
        """Write state.json whole or not at all."""
        target = self.folder / _NAME
        temporary = target.with_name(f".{_NAME}.{os.getpid()}")
        try:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n")
            temporary.rename(target)
        finally:
            temporary.unlink(missing_ok=True)


def folder_of(session: str) -> Path:
    """The run directory of a session, whether it is there or not."""
    return sessions_dir() / session


def load(session: str) -> State:
    """The state of ``session``. NoSession where there is none, Broken where it cannot be understood."""
    path = folder_of(session) / _NAME
    try:
        data = json.loads(path.read_text())
        if data["plan"]["version"] != VERSION:
            raise SpprError(
                f"{path.parent}: written by another version of sppr",
                hint="end it with that version, or remove the folder",
            )
        state = _state(data)
        for value in (state, state.plan, *state.plan.parts, *state.plan.windows, *state.plan.images):
            shape.check(value)
        return state
    except (FileNotFoundError, NotADirectoryError):
        raise NoSession(f"session {session}: not running", hint="sppr up") from None
    except (ValueError, LookupError, TypeError, AttributeError, IsADirectoryError) as e:
        what = f"{path}: cannot be understood ({type(e).__name__}: {e})"
        raise Broken(what, hint=f"sppr down --session {session} ends what is left of it") from None


def _tupled(value: dict[str, Any]) -> dict[str, Any]:
    """JSON knows lists only; our values are tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}


def _state(data: dict[str, Any]) -> State:
    plan = data["plan"]
    values = _tupled(plan)
    values["parts"] = tuple(Part(**_tupled(p)) for p in plan["parts"])
    values["windows"] = tuple(Window(w["name"], tuple(w["panes"])) for w in plan["windows"])
    values["images"] = tuple(Image(**i) for i in plan["images"])
    panes = {name: (window, pane) for name, (window, pane) in data["panes"].items()}
    return State(Plan(**values), data["boot_id"], data["phase"], panes, data["ready"])


def flag(session: str) -> str:
    """What a verb in a hint must be told to mean this session."""
    return "" if session == "spp" else f" --session {session}"


def record_start(folder: Path, name: str) -> None:
    """Note that this very process is (about to become) the part ``name``: pid and start time, and no exit yet.

    Does nothing where the session does not run: a runscript can be used alone.
    """
    if not (folder / _NAME).exists():
        return
    files = PaneFiles(folder, name)
    files.exit.unlink(missing_ok=True)
    temporary = files.record.with_suffix(".new")
    this = pids.current(os.getpid())
    temporary.write_text(f"{os.getpid()} {this.started if this else 0}\n")
    temporary.rename(files.record)


def process(files: PaneFiles) -> Proc | None:
    """The process that was last started as this part, running or not. None: never started."""
    try:
        pid, started = files.record.read_text().split()
        return Proc(int(pid), int(started))
    except (OSError, ValueError):
        return None


def ended(files: PaneFiles) -> Exit | None:
    """How the part's last run ended; None while it runs, or has not started."""
    try:
        return Exit(int(files.exit.read_text()))
    except (OSError, ValueError):
        pass
    proc = process(files)
    return Exit(None) if proc is not None and not proc.alive() else None


def sessions() -> list[str]:
    """Names of the sessions that have state."""
    return sorted(p.parent.name for p in sessions_dir().glob(f"*/{_NAME}"))


def log_path(session: str) -> Path:
    """Log of launcher and teardown of a session; it outlives the session."""
    return sessions_dir() / f"{session}.log"


def remove(folder: Path) -> None:
    """Forget a session."""
    shutil.rmtree(folder, ignore_errors=True)


def _holder(lock: Path) -> str | None:
    """Who wrote its name into the lock, if it lives."""
    who = lock.read_text().strip()
    found = re.search(r"\(pid (\d+),", who)
    return who if found and pids.current(int(found[1])) else None


@contextlib.contextmanager
def locked(session: str) -> Iterator[None]:
    """Hold the session for one launcher or teardown at a time. It dies with its process. SpprError: who has it."""
    make_private(sessions_dir())
    path = sessions_dir() / f"{session}.lock"
    with path.open("a+") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Who has just locked it has not written yet, or a line of one that was killed still stands there.
            who = Deadline(2.0).poll(lambda: _holder(path), 0.02) or "another process"
            raise SpprError(
                f"session {session}: {who} is at it", hint=f"wait for it, then: sppr status --session {session}"
            ) from None
        f.truncate(0)
        f.write(f"{Path(sys.argv[0]).name} (pid {os.getpid()}, since {time.strftime('%H:%M:%S')})\n")
        f.flush()
        yield
