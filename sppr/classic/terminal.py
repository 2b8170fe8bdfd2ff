"""Run spp.py on a pseudo terminal: connect it to the user, and type the lines of the launcher while its prompt is idle.

The lines of the launcher and their output are not shown, so the screen shows the user's session only.
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
    """The pseudo terminal of spp.py. ``run`` serves the user until spp.py ends; other threads call ``ask``."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._child = pexpect.spawn(argv[0], list(argv[1:]), timeout=None, dimensions=_size(), echo=True)
        self._requests: queue.SimpleQueue[tuple[str, Future[str]]] = queue.SimpleQueue()
        self._wake_r, self._wake_w = os.pipe()
        self._current: Future[str] | None = None
        self._output = bytearray()
        self._last_line = bytearray()
        self._pending_input = bytearray()
        self._at_prompt = False
        self._has_input = True
        self._lock = threading.Lock()
        self._ended = False

    def ask(self, line: str, timeout: float) -> str:
        """Return the output of spp.py for ``line``.

        Raise TimeoutError if a user is typing a line or spp.py hangs, and Ended if it has ended.
        """
        future: Future[str] = Future()
        with self._lock:
            if self._ended:
                raise Ended
            self._requests.put((line, future))
            os.write(self._wake_w, b"!")
        try:
            return future.result(timeout)
        except TimeoutError:
            future.cancel()
            raise

    def run(self) -> int:
        """Wait until spp.py ends, and return its exit status, or the negative number of the signal that ended it."""
        with _raw_terminal():
            signal.signal(signal.SIGWINCH, lambda *_: self._child.setwinsize(*_size()))
            while self._step():
                pass
        with self._lock:
            self._ended = True
        for future in [self._current, *self._queued_futures()]:
            if future is not None and not future.done():
                future.set_exception(Ended())
        close_terminal(self._child)
        return -self._child.signalstatus if self._child.signalstatus else self._child.exitstatus or 0

    def end(self) -> None:
        """Stop spp.py, so that ``run`` returns soon."""
        self._child.terminate(force=True)

    def _queued_futures(self) -> Iterator[Future[str]]:
        while not self._requests.empty():
            yield self._requests.get()[1]

    def _step(self) -> bool:
        """Handle the input and output that is ready. Return False when spp.py has ended."""
        input_fds = [0] if self._has_input and len(self._pending_input) < 4096 else []
        readable, _, _ = select.select([self._child.child_fd, self._wake_r, *input_fds], [], [], 1.0)
        if self._wake_r in readable:
            os.read(self._wake_r, 4096)
        if 0 in readable:
            self._handle_input(os.read(0, 1024))
        if self._child.child_fd in readable:
            try:
                output = os.read(self._child.child_fd, 65536)
            except OSError:
                return False
            if not output:
                return False
            self._handle_output(output)
        elif not readable and not self._child.isalive():
            return False
        self._send_next()
        return True

    def _handle_input(self, keys: bytes) -> None:
        if not keys:
            self._has_input = False  # not a terminal: spp.py would handle an end of input forever
        elif self._current is not None:
            self._pending_input += keys
        else:
            self._at_prompt = False
            os.write(self._child.child_fd, keys)

    def _handle_output(self, output: bytes) -> None:
        if self._current is None:
            os.write(1, output)
        else:
            self._output += output
        self._last_line = bytearray(_ANSI.sub(b"", bytes(self._last_line + output)).rpartition(b"\n")[2][-200:])
        if self._last_line.lstrip(b"\r") != PROMPT.encode():
            return
        self._at_prompt = True
        if self._current is not None:
            text = _ANSI.sub(b"", bytes(self._output)).decode("utf-8", "replace").replace("\r\n", "\n")
            reply = text.partition("\n")[2].rpartition(PROMPT)[0]
            if not self._current.done():
                self._current.set_result(reply)
            self._current = None
            self._output.clear()
            pending, self._pending_input = bytes(self._pending_input), bytearray()
            if pending:
                self._handle_input(pending)

    def _send_next(self) -> None:
        """Type the next line of the launcher if spp.py is at its prompt and no user has begun a line."""
        while self._current is None and self._at_prompt and not self._requests.empty():
            line, future = self._requests.get()
            if not future.set_running_or_notify_cancel():
                continue
            self._current, self._at_prompt = future, False
            self._last_line.clear()
            os.write(self._child.child_fd, line.encode() + b"\n")


@contextmanager
def _raw_terminal() -> Iterator[None]:
    """Pass every key to the terminal of spp.py, including Ctrl-C."""
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
    """Return rows and columns. The width is large enough that no line of the launcher is wrapped."""
    try:
        columns, rows = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return 24, 120
    return max(rows, 5), max(columns, 60)
