"""Owns the pseudo terminal of spp.py: hands it to the user, and types the launcher's lines while the prompt is idle.

A line of the launcher, and what spp.py says to it, are not shown: the user's screen is as if nobody else were there.
"""

import os
import queue
import re
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

import pexpect

from sppr.run import close_terminal

PROMPT = "spp > "
_ANSI = re.compile(rb"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[()][A-Z0-9]|[=>])")


class Ended(Exception):
    """spp.py has ended."""


class Terminal:
    """``run`` serves the user until spp.py ends; ``ask`` is called from other threads."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._child = pexpect.spawn(argv[0], list(argv[1:]), timeout=None, dimensions=_size(), echo=True)
        self._asked: queue.SimpleQueue[tuple[str, Future[str]]] = queue.SimpleQueue()
        self._wake_r, self._wake_w = os.pipe()
        self._now: Future[str] | None = None
        self._said = bytearray()
        self._line = bytearray()
        self._held = bytearray()
        self._idle = False
        self._keys = True
        self._lock = threading.Lock()
        self._over = False

    def ask(self, line: str, timeout: float) -> str:
        """What spp.py prints for ``line``. TimeoutError: the user is in the middle of a line, or it hangs; Ended."""
        future: Future[str] = Future()
        with self._lock:
            if self._over:
                raise Ended
            self._asked.put((line, future))
            os.write(self._wake_w, b"!")
        try:
            return future.result(timeout)
        except TimeoutError:
            future.cancel()
            raise

    def run(self) -> int:
        """Wait until spp.py ends, and return its exit status, or minus the signal that ended it."""
        with _raw_terminal():
            signal.signal(signal.SIGWINCH, lambda *_: self._child.setwinsize(*_size()))
            while self._turn():
                pass
        with self._lock:
            self._over = True
        for future in [self._now, *self._waiting()]:
            if future is not None and not future.done():
                future.set_exception(Ended())
        close_terminal(self._child)
        return -self._child.signalstatus if self._child.signalstatus else self._child.exitstatus or 0

    def end(self) -> None:
        """Have ``run`` return soon."""
        self._child.terminate(force=True)

    def _waiting(self) -> Iterator[Future[str]]:
        while not self._asked.empty():
            yield self._asked.get()[1]

    def _turn(self) -> bool:
        """One round of whatever there is to do; False when spp.py has ended."""
        keys = [0] if self._keys and len(self._held) < 4096 else []
        ready, _, _ = select.select([self._child.child_fd, self._wake_r, *keys], [], [], 1.0)
        if self._wake_r in ready:
            os.read(self._wake_r, 4096)
        if 0 in ready:
            self._typed(os.read(0, 1024))
        if self._child.child_fd in ready:
            try:
                said = os.read(self._child.child_fd, 65536)
            except OSError:
                return False
            if not said:
                return False
            self._heard(said)
        elif not ready and not self._child.isalive():
            return False
        self._next()
        return True

    def _typed(self, keys: bytes) -> None:
        if not keys:
            self._keys = False  # no terminal: spp.py would answer an end of input for ever
        elif self._now is not None:
            self._held += keys
        else:
            self._idle = False
            os.write(self._child.child_fd, keys)

    def _heard(self, said: bytes) -> None:
        if self._now is None:
            os.write(1, said)
        else:
            self._said += said
        self._line = bytearray(_ANSI.sub(b"", bytes(self._line + said)).rpartition(b"\n")[2][-200:])
        if self._line.lstrip(b"\r") != PROMPT.encode():
            return
        self._idle = True
        if self._now is not None:
            text = _ANSI.sub(b"", bytes(self._said)).decode("utf-8", "replace").replace("\r\n", "\n")
            body = text.partition("\n")[2].rpartition(PROMPT)[0]
            if not self._now.done():
                self._now.set_result(body)
            self._now = None
            self._said.clear()
            held, self._held = bytes(self._held), bytearray()
            if held:
                self._typed(held)

    def _next(self) -> None:
        """Type the next line of the launcher, where the prompt stands there and nobody has begun a line."""
        while self._now is None and self._idle and not self._asked.empty():
            line, future = self._asked.get()
            if not future.set_running_or_notify_cancel():
                continue
            self._now, self._idle = future, False
            self._line.clear()
            os.write(self._child.child_fd, line.encode() + b"\n")


@contextmanager
def _raw_terminal() -> Iterator[None]:
    """Every key goes to spp.py's own terminal, Ctrl-C too."""
    if not os.isatty(0):
        yield
        return
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def _size() -> tuple[int, int]:
    """Rows and columns; wide enough that no line of the launcher is wrapped."""
    try:
        columns, rows = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return 24, 120
    return max(rows, 5), max(columns, 60)
