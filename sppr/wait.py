"""A wait is a race: ready / fatal text / process ended / no progress / deadline. It says which, and what it saw."""

import contextlib
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sppr import rotation
from sppr.deadline import Deadline
from sppr.errors import LaunchError, NotReady, SpprError

#: How a pane marks the end of what its part printed.
END_OF_OUTPUT = "] press arrow-up and Enter to run it again"
#: How it marks that after a while it will run the part again, and that it has done so often enough.
RESTART_PENDING = "] restarting in "
RESTARTS_EXHAUSTED = "times in a row: no more automatic restarts]"
#: How a pane begins: at its gate; in a pane made anew behind the last prompt of the shell before.
_GATE = re.compile(r"\[\S+ waits for .*\]$")
#: A part that makes progress may take so many times its limit.
HARD_LIMIT = 5
#: Seconds between two looks at a part's progress, and the share of a core that counts as progress. Less than that is
#: used by a process that polls, or by an idle guest.
_LOOK, _BUSY = 1.0, 0.1
_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][A-Z0-9]|.)")


@dataclass(frozen=True)
class Exit:
    """How a process ended. ``status`` None: nothing is known. 129 and more: by a signal. Negative: an exit status above
    128, minus 256 (see ``PaneFiles.exit``)."""

    status: int | None

    def __str__(self) -> str:
        if self.status is None:
            return "ended"
        if self.status > 128:
            return f"was killed by signal {self.status - 128}"
        return f"exited with status {self.shown}"

    @property
    def shown(self) -> int | None:
        """The status as a shell shows it, 0 to 255."""
        return None if self.status is None else self.status % 256


@dataclass(frozen=True)
class Work:
    """What a part has done so far: ``logs`` changes when it prints, ``cpu`` is its CPU time in seconds."""

    logs: object = None
    cpu: float = 0.0

    def is_progress(self, before: "Work", seconds: float) -> bool:
        """Whether the part printed or was busy in the ``seconds`` since ``before``."""
        return self.logs != before.logs or self.cpu - before.cpu >= _BUSY * seconds


@dataclass(frozen=True)
class Wait:
    """What is raced: ``ready`` asks the part itself, ``ended`` tells how its process ended (None: it runs),
    ``fatal`` is text in its log after which nothing good can come; ``fatal_first``: even if the part is ready.

    ``limit``: seconds without progress after which the wait fails; None: the deadline alone counts. ``work``:
    measures the progress of the part.
    """

    name: str
    what: str
    log: Path
    ready: Callable[[], bool]
    ended: Callable[[], Exit | None]
    fatal: re.Pattern[str] | None = None
    hint: Callable[[str], str | None] = lambda _: None
    seen: Callable[[], str] = lambda: ""
    fatal_first: bool = False
    limit: float | None = None
    work: Callable[[], Work] = Work


def wait_ready(wait: Wait, deadline: Deadline, interval: float = 0.03) -> float:
    """Seconds until ``wait`` was ready. LaunchError when it ended or said something fatal, NotReady at the deadline, or
    earlier where the part makes no progress for ``wait.limit``."""
    progress = _Progress(wait)
    why = f"still busy after {deadline.seconds:.0f} s" if wait.limit is not None else ""
    for elapsed in deadline.ticks(interval):
        if wait.ready():
            if wait.fatal_first:
                _check_fatal(wait, elapsed)
            return elapsed
        if (how := wait.ended()) is not None:
            what = f"{wait.name} {how} after {elapsed:.1f} s, before it was ready"
            _wait_log_complete(wait.log)
            raise _error(LaunchError, wait, what, ended=True)
        _check_fatal(wait, elapsed)
        if progress.is_stuck(elapsed):
            why = f"no progress for {wait.limit:.0f} s"
            break
    seen = wait.seen()
    what = f"{wait.name} was not ready after {deadline.elapsed():.1f} s: waited for {wait.what}"
    what += f" ({why})" if why else ""
    raise _error(NotReady, wait, what + (f"\n    seen: {seen}" if seen else ""))


#: Seconds that tmux may take to pass on what a process printed before it exited, and seconds without output that end
#: that wait. Under load, tmux was seen to be later than the exit status.
LOG_DELAY, LOG_QUIET = 1.0, 0.1


def _wait_log_complete(log: Path) -> None:
    """Wait until the log of a process that has exited no longer grows, at most LOG_DELAY seconds."""
    deadline, quiet, before = Deadline(LOG_DELAY), Deadline(LOG_QUIET), _mark(log)
    for _ in deadline.ticks(0.02):
        if (now := _mark(log)) != before:
            quiet, before = Deadline(LOG_QUIET), now
        if quiet.expired():
            return


def _check_fatal(wait: Wait, elapsed: float) -> None:
    if wait.fatal and (said := wait.fatal.search("\n".join(_run(wait.log, ended=False)))):
        told = f"{wait.name} printed {said[0].strip()!r} after {elapsed:.1f} s: it cannot become ready"
        raise _error(LaunchError, wait, told)


class _Progress:
    """Looks at the work of a part once a second, and knows when it moved on last."""

    def __init__(self, wait: Wait) -> None:
        self._wait = wait
        self._before = wait.work()
        self._looked = self._moved = 0.0

    def is_stuck(self, elapsed: float) -> bool:
        """Whether the part has made no progress for its limit, ``elapsed`` seconds after the wait began."""
        limit = self._wait.limit
        if limit is None:
            return False
        seconds = elapsed - self._looked
        if seconds >= min(_LOOK, limit / 4):
            now = self._wait.work()
            if now.is_progress(self._before, seconds):
                self._moved = elapsed
            self._looked, self._before = elapsed, now
        return elapsed - self._moved >= limit


def work_of(pid: int, logs: Iterable[Path], *, main_threads: bool, root: Path = Path("/proc")) -> Work:
    """What the process ``pid`` and its descendants have done. ``main_threads``: their main threads alone count, since
    the workers of a DPDK process poll. ``pid`` 0: there is no process yet."""
    cpu = sum(_cpu(root / str(one), main_threads) for one in _tree(root, pid)) if pid else 0.0
    return Work(tuple(map(_mark, logs)), cpu)


def _mark(log: Path) -> tuple[int, int, int] | None:
    """Changes when something is written. A log that was rotated is another file."""
    try:
        stat = log.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _tree(root: Path, pid: int) -> list[int]:
    found = [pid]
    for one in found:
        for children in (root / str(one) / "task").glob("*/children"):
            with contextlib.suppress(OSError):  # the process has ended
                found += [child for child in map(int, children.read_text().split()) if child not in found]
    return found


def _cpu(process: Path, main_thread: bool) -> float:
    """CPU time in seconds; of a whole process with that of its children that ended."""
    stat = process / "task" / process.name / "stat" if main_thread else process / "stat"
    try:
        fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        return sum(map(int, fields[11 : 13 if main_thread else 15])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return 0.0


def _error(kind: type[SpprError], wait: Wait, what: str, *, ended: bool = False) -> SpprError:
    said = _run(wait.log, ended=ended)
    lines = [f"    last: {line}" for line in said[-4:]]
    return kind("\n".join([what, *lines, f"    log:  {wait.log}"]), hint=wait.hint("\n".join(said)))


def tail(log: Path, size: int = 16384) -> str:
    """The end of a log as plain text: no colours, carriage returns as new lines. Empty when there is no log."""
    return plain(rotation.tail(log, size))


def head(log: Path, size: int = 1 << 20) -> str:
    """The beginning of a log, as ``tail`` gives its end."""
    try:
        with log.open("rb") as f:
            return plain(f.read(size))
    except OSError:
        return ""


def plain(raw: bytes) -> str:
    """What a terminal was sent, as text: no colours, carriage returns as new lines."""
    return _ANSI.sub("", raw.decode("utf-8", "replace")).replace("\r\n", "\n").replace("\r", "\n")


def last_lines(log: Path, count: int = 4) -> list[str]:
    """The last lines with anything on them that a part which has ended printed in its last run."""
    return _run(log, ended=True)[-count:]


def _run(log: Path, *, ended: bool) -> list[str]:
    """Lines of the last run alone, as far as the tail reaches: a log has all runs of a part, and what its shell showed
    between them. ``ended``: the run is over, and its pane may have marked its end."""
    lines = [line.rstrip() for line in tail(log).splitlines() if line.strip() not in ("", "^C")]
    ends = [
        n
        for n, line in enumerate(lines)
        if line.endswith((END_OF_OUTPUT, RESTARTS_EXHAUSTED)) or RESTART_PENDING in line
    ]
    marks = sorted([*ends, *(n for n, line in enumerate(lines) if _GATE.search(line))])
    stop = None
    if ended and marks and marks[-1] in ends:
        stop = marks[-1]
        while (
            marks and marks[-1] >= stop - 1 and marks[-1] in ends
        ):  # RESTARTS_EXHAUSTED stands behind the mark of the end
            stop = marks.pop()
    return lines[marks[-1] + 1 if marks else 0 : stop]
