"""Run ``sppr VERB…`` and kill it by SIGKILL at one point.

Usage: ``python -m tests.live.lab.kill_at_step WHERE WHICH LIST VERB…``

WHERE: ``steps``, after a step or a note that bring-up or teardown reports; ``effects``, before a side effect: a file is
opened for writing, renamed or removed, a program runs, a socket connects, a signal is sent. Python's audit hooks report
side effects, so no list of them is needed. WHICH: the line of a point, ``new`` for the first that is not in LIST, or
``none``. LIST: a file; each point is added to it once, when it is reached.
"""

import functools
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CHANGES = ("os.rename", "os.remove", "os.link", "os.symlink", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod",
            "os.kill", "shutil.rmtree", "socket.connect", "os.forkpty")  # fmt: skip


class PointLog:
    """The log of the points. The process is killed at one of them."""

    def __init__(self, which: str, kept: Path) -> None:
        self.which = which
        self._kept = kept.open("a+")
        self._kept.seek(0)
        self._seen = set(self._kept.read().splitlines()) if which == "new" else set()
        self._lock = threading.Lock()

    def reached(self, point: str) -> None:
        with self._lock:
            if point in self._seen:
                return
            self._seen.add(point)
            os.write(self._kept.fileno(), f"{point}\n".encode())
            if self.which in ("new", point):
                os.kill(os.getpid(), signal.SIGKILL)
                signal.pause()


def effect(event: str, args: tuple[Any, ...]) -> str | None:
    """The effect in a line without numbers that differ from run to run. None where ``event`` changes nothing."""
    if event == "open":
        path, _, flags = args
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        effect = f"open {path}" if writes and isinstance(path, str) and not path.startswith("/dev/") else ""
    elif event == "subprocess.Popen":
        effect = "run " + " ".join(map(os.fsdecode, args[1]))[:300]
    elif event == "os.kill":
        effect = f"signal {int(args[1])}" if args[1] else ""
    elif event in _CHANGES:
        effect = f"{event} {args[1] if event == 'socket.connect' else args[0] if args else ''}"
    else:
        return None
    effect = re.sub(rf"\b{os.getpid()}\b", "PID", effect.replace("\n", " "))
    return re.sub(r"map_\d+$", "map_N", effect) or None


def report_effects(report: Callable[[str], None]) -> None:
    inside = threading.local()

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if not getattr(inside, "it", False):
            inside.it = True
            try:
                if what := effect(event, args):
                    report(what)
            finally:
                inside.it = False

    sys.addaudithook(hook)


def report_steps(report: Callable[[str], None]) -> None:
    from sppr.cli.terminal import progress
    from sppr.lab.down import teardown

    def report_step(_: Any, done: str) -> None:
        if not done.startswith("warning:"):
            report(done)

    progress.Lines.step = progress.Lines.note = report_step  # type: ignore[method-assign]
    teardown.down = functools.partial(teardown.down, step=report)  # type: ignore[assignment]


def main() -> None:
    where, which, kept, *words = sys.argv[1:]
    point_log = PointLog(which, Path(kept))
    sys.argv = ["sppr", *words]
    from sppr.cli.main import main as sppr

    {"steps": report_steps, "effects": report_effects}[where](point_log.reached)
    sppr()


if __name__ == "__main__":
    main()
