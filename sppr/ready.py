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
            raise _error(LaunchError, wait, f"{wait.name} {how} after {elapsed:.1f} s, before it was ready")
        text = tail(wait.log)
        if wait.fatal and (said := wait.fatal.search(text)):
            told = f"{wait.name} printed {said[0].strip()!r} after {elapsed:.1f} s: it cannot become ready"
            raise _error(LaunchError, wait, told)
    seen = wait.seen()
    what = f"{wait.name} was not ready after {deadline.elapsed():.1f} s: waited for {wait.what}"
    raise _error(NotReady, wait, what + (f"\n    seen: {seen}" if seen else ""))


def _error(kind: type[SpprError], wait: Wait, what: str) -> SpprError:
    lines = [f"    last: {line}" for line in last_lines(wait.log)]
    return kind("\n".join([what, *lines, f"    log:  {wait.log}"]), hint=wait.hint(tail(wait.log)))


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
    """The last lines with anything on them that the part itself printed, not the shell that follows it in a pane."""
    lines = [line.rstrip() for line in tail(log).splitlines() if line.strip() not in ("", "^C")]
    marks = [n for n, line in enumerate(lines) if line.endswith((END_OF_OUTPUT, LEFT)) or AGAIN in line]
    return [line for n, line in enumerate(lines[: marks[-1] if marks else None]) if n not in marks][-count:]
