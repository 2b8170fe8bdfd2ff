"""A wait is a race: ready / fatal text / process ended / deadline. It says which, and what it last saw."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sppr import rotation
from sppr.deadline import Deadline
from sppr.errors import LaunchError, NotReady, SpprError

#: How a pane marks the end of what its part printed.
END_OF_OUTPUT = "] arrow-up and Enter run it again"
#: How it marks that after a while it will run the part again, and that it has done so often enough.
AGAIN = "] again in "
LEFT = "times in a row: it is left now]"
#: How a pane begins: at its gate; in a pane made anew behind the last prompt of the shell before.
_GATE = re.compile(r"\[\S+ waits for .*\]$")
_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][A-Z0-9]|.)")


@dataclass(frozen=True)
class Exit:
    """How a process ended; ``status`` None: gone without a word."""

    status: int | None

    def __str__(self) -> str:
        if self.status is None:
            return "ended"
        if self.status > 128:
            return f"was ended by signal {self.status - 128}"
        return f"ended with status {self.status}"


@dataclass(frozen=True)
class Wait:
    """What is raced: ``ready`` asks the part itself, ``ended`` tells how its process ended (None: it runs),
    ``fatal`` is text in its log after which nothing good can come."""

    name: str
    what: str
    log: Path
    ready: Callable[[], bool]
    ended: Callable[[], Exit | None]
    fatal: re.Pattern[str] | None = None
    hint: Callable[[str], str | None] = lambda _: None
    seen: Callable[[], str] = lambda: ""


def wait_ready(wait: Wait, deadline: Deadline, interval: float = 0.03) -> float:
    """Seconds until ``wait`` was ready. LaunchError when it ended or said something fatal, NotReady at the deadline."""
    for elapsed in deadline.ticks(interval):
        if wait.ready():
            return elapsed
        if (how := wait.ended()) is not None:
            what = f"{wait.name} {how} after {elapsed:.1f} s, before it was ready"
            raise _error(LaunchError, wait, what, ended=True)
        if wait.fatal and (said := wait.fatal.search("\n".join(_run(wait.log, ended=False)))):
            told = f"{wait.name} printed {said[0].strip()!r} after {elapsed:.1f} s: it cannot become ready"
            raise _error(LaunchError, wait, told)
    seen = wait.seen()
    what = f"{wait.name} was not ready after {deadline.elapsed():.1f} s: waited for {wait.what}"
    raise _error(NotReady, wait, what + (f"\n    seen: {seen}" if seen else ""))


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
    ends = [n for n, line in enumerate(lines) if line.endswith((END_OF_OUTPUT, LEFT)) or AGAIN in line]
    marks = sorted([*ends, *(n for n, line in enumerate(lines) if _GATE.search(line))])
    stop = None
    if ended and marks and marks[-1] in ends:
        stop = marks[-1]
        while marks and marks[-1] >= stop - 1 and marks[-1] in ends:  # LEFT stands behind the mark of the end
            stop = marks.pop()
    return lines[marks[-1] + 1 if marks else 0 : stop]
