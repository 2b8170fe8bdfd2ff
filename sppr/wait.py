"""Wait for a part: until it is ready, prints a fatal text, exits, makes no progress, or the deadline passes.

The error says which of these happened, and what was observed.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sppr import rotation
from sppr.deadline import Deadline
from sppr.errors import LaunchError, NotReady, SpprError

#: Lines of a pane's log: the end of a run; a restart that is about to happen; no further restarts.
END_OF_OUTPUT = "] press arrow-up and Enter to run it again"
RESTART_PENDING = "] restarting in "
RESTARTS_EXHAUSTED = "times in a row: no more automatic restarts]"
# The patterns here are compiled when they are used: `sppr status` imports this module and rarely needs them.
#: The first line of a pane. In a pane that was respawned, it follows the last prompt of the shell.
_GATE = r"\[\S+ waits for .*\]$"
#: A part that makes progress may take this many times its limit.
HARD_LIMIT = 5
#: Seconds between two samples of a part's work, and the share of a core that counts as progress. A process that only
#: polls, or an idle guest, uses less.
_SAMPLE_SECONDS, _BUSY_SHARE = 1.0, 0.1
_ANSI = r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][A-Z0-9]|.)"


@dataclass(frozen=True)
class Exit:
    """How a process exited.

    ``status``: None if unknown; 129 or more for a signal; negative for an exit status above 128, minus 256 (see
    ``PaneFiles.exit``).
    """

    status: int | None

    def __str__(self) -> str:
        if self.status is None:
            return "exited"
        if self.status > 128:
            return f"was killed by signal {self.status - 128}"
        return f"exited with status {self.shown}"

    @property
    def shown(self) -> int | None:
        """The status as a shell shows it, 0 to 255."""
        return None if self.status is None else self.status % 256


@dataclass(frozen=True)
class Work:
    """The work that a part has done so far.

    ``logs``: a value that changes when the part prints.
    ``cpu``: its CPU time in seconds.
    """

    logs: object = None
    cpu: float = 0.0

    def is_progress(self, before: "Work", seconds: float) -> bool:
        """Return whether the part printed or was busy in the ``seconds`` since ``before``."""
        return self.logs != before.logs or self.cpu - before.cpu >= _BUSY_SHARE * seconds


@dataclass(frozen=True)
class Wait:
    """The description of a wait.

    ``name``: name of the part.
    ``what``: what makes it ready, for the error.
    ``log``: its log.
    ``ready``: returns whether it is ready.
    ``ended``: returns how its process exited, or None while it runs.
    ``fatal``: pattern of text in its log after which it cannot become ready.
    ``fatal_first``: whether ``fatal`` counts even if the part is ready.
    ``hint``: returns a hint for the text of its log.
    ``observed``: returns what is observed instead, for the error.
    ``limit``: seconds without progress after which the wait fails; None for no limit but the deadline.
    ``work``: returns the work that the part has done.
    """

    name: str
    what: str
    log: Path
    ready: Callable[[], bool]
    ended: Callable[[], Exit | None]
    fatal: str | None = None
    hint: Callable[[str], str | None] = lambda _: None
    observed: Callable[[], str] = lambda: ""
    fatal_first: bool = False
    limit: float | None = None
    work: Callable[[], Work] = Work


def wait_ready(wait: Wait, deadline: Deadline, interval: float = 0.03) -> float:
    """Wait until the part is ready, and return the seconds that this took.

    Raise LaunchError if it exits or prints a fatal text, NotReady at the deadline or after ``wait.limit`` seconds
    without progress.
    """
    progress = _Progress(wait)
    why = f"still busy after {deadline.seconds:.0f} s" if wait.limit is not None else ""
    for elapsed in deadline.ticks(interval):
        if wait.ready():
            if wait.fatal_first:
                _check_fatal(wait, elapsed)
            return elapsed
        if (how := wait.ended()) is not None:
            what = f"{wait.name}: {how} before it was ready ({elapsed:.1f} s)"
            _wait_log_complete(wait.log)
            raise _error(LaunchError, wait, what, ended=True)
        _check_fatal(wait, elapsed)
        if progress.is_stuck(elapsed):
            why = f"no progress for {wait.limit:.0f} s"
            break
    observed = wait.observed()
    what = f"{wait.name}: not ready after {deadline.elapsed():.1f} s, waited for {wait.what}"
    what += f" ({why})" if why else ""
    raise _error(NotReady, wait, what + (f"\n    observed: {observed}" if observed else ""))


#: Seconds for tmux to write the last output of an exited process to its log, and seconds without output after which the
#: log counts as complete. Under load, the output was observed to arrive after the exit status.
LOG_DELAY, LOG_QUIET = 1.0, 0.1


def _wait_log_complete(log: Path) -> None:
    """Wait until the log of a process that has exited no longer grows, at most LOG_DELAY seconds."""
    deadline, quiet, before = Deadline(LOG_DELAY), Deadline(LOG_QUIET), _log_state(log)
    for _ in deadline.ticks(0.02):
        if (now := _log_state(log)) != before:
            quiet, before = Deadline(LOG_QUIET), now
        if quiet.expired():
            return


def _check_fatal(wait: Wait, elapsed: float) -> None:
    if wait.fatal and (match := re.search(wait.fatal, "\n".join(_last_run(wait.log, ended=False)))):
        what = f"{wait.name}: printed {match[0].strip()!r} after {elapsed:.1f} s, so it cannot become ready"
        raise _error(LaunchError, wait, what)


class _Progress:
    """A sampler of the work of a part, once a second, which remembers when the part last made progress."""

    def __init__(self, wait: Wait) -> None:
        self._wait = wait
        self._before = wait.work()
        self._sampled = self._progressed = 0.0

    def is_stuck(self, elapsed: float) -> bool:
        """Return whether the part has made no progress for its limit, ``elapsed`` seconds after the wait began."""
        limit = self._wait.limit
        if limit is None:
            return False
        seconds = elapsed - self._sampled
        if seconds >= min(_SAMPLE_SECONDS, limit / 4):
            now = self._wait.work()
            if now.is_progress(self._before, seconds):
                self._progressed = elapsed
            self._sampled, self._before = elapsed, now
        return elapsed - self._progressed >= limit


def work_of(pid: int, logs: Iterable[Path], *, main_threads: bool, root: Path = Path("/proc")) -> Work:
    """Return the work of the process ``pid`` and its descendants. ``pid`` 0: no process exists yet.

    ``main_threads``: count the CPU time of main threads only, because the workers of a DPDK process poll.
    """
    cpu = sum(_cpu(root / str(one), main_threads) for one in _tree(root, pid)) if pid else 0.0
    return Work(tuple(map(_log_state, logs)), cpu)


def _log_state(log: Path) -> tuple[int, int, int] | None:
    """Return a value that changes when the log is written. A rotated log is another file."""
    try:
        stat = log.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _tree(root: Path, pid: int) -> list[int]:
    found = [pid]
    for one in found:
        for children in (root / str(one) / "task").glob("*/children"):
            with contextlib.suppress(OSError):  # the process has exited
                found += [child for child in map(int, children.read_text().split()) if child not in found]
    return found


def _cpu(process: Path, main_thread: bool) -> float:
    """Return the CPU time in seconds. For a whole process, that of its reaped children is included."""
    stat = process / "task" / process.name / "stat" if main_thread else process / "stat"
    try:
        fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        return sum(map(int, fields[11 : 13 if main_thread else 15])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return 0.0


def _error(kind: type[SpprError], wait: Wait, what: str, *, ended: bool = False) -> SpprError:
    printed = _last_run(wait.log, ended=ended)
    lines = [f"    last: {line}" for line in printed[-4:]]
    return kind("\n".join([what, *lines, f"    log:  {wait.log}"]), hint=wait.hint("\n".join(printed)))


def tail(log: Path, size: int = 16384) -> str:
    """Return the end of a log as plain text, or nothing if there is no log."""
    return plain(rotation.tail(log, size))


def head(log: Path, size: int = 1 << 20) -> str:
    """Return the beginning of a log as plain text, or nothing if there is no log."""
    try:
        with log.open("rb") as f:
            return plain(f.read(size))
    except OSError:
        return ""


def plain(raw: bytes) -> str:
    """Return terminal output as plain text: without colours, with carriage returns as newlines."""
    return re.sub(_ANSI, "", raw.decode("utf-8", "replace")).replace("\r\n", "\n").replace("\r", "\n")


def last_lines(log: Path, count: int = 4) -> list[str]:
    """Return the last non-empty lines that an exited part printed in its last run."""
    return _last_run(log, ended=True)[-count:]


def _last_run(log: Path, *, ended: bool) -> list[str]:
    """Return the lines of the last run, as far as the tail contains them.

    A log contains all runs of a part, and the output of its shell between them. ``ended``: the run is over, and the
    pane may have marked its end.
    """
    lines = [line.rstrip() for line in tail(log).splitlines() if line.strip() not in ("", "^C")]
    ends = [
        n
        for n, line in enumerate(lines)
        if line.endswith((END_OF_OUTPUT, RESTARTS_EXHAUSTED)) or RESTART_PENDING in line
    ]
    marks = sorted([*ends, *(n for n, line in enumerate(lines) if re.search(_GATE, line))])
    stop = None
    if ended and marks and marks[-1] in ends:
        stop = marks[-1]
        while (
            marks and marks[-1] >= stop - 1 and marks[-1] in ends
        ):  # RESTARTS_EXHAUSTED follows the line about the exit
            stop = marks.pop()
    return lines[marks[-1] + 1 if marks else 0 : stop]
