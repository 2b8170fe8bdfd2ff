"""The prompt without a terminal: the lines come from a pipe, a file or /dev/null. A line that fails sets the exit
status.
"""

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator

from sppr.controller.prompt.shell import Shell

#: Maximum size of a line in bytes. A longer line is split.
MAX_LINE_SIZE = 65536
#: Number of lines read in advance. An endless pipe must not fill the memory.
LINES_AHEAD = 100


class Batch:
    """A prompt that runs each line of standard input. Log lines go to standard error."""

    def __init__(self, *, keep_running: bool) -> None:
        """Create a batch. ``keep_running``: end at a signal, not at the end of input."""
        self._keep_running = keep_running

    def echo(self, text: str) -> None:
        """Print to standard output."""
        with contextlib.suppress(OSError, ValueError):  # a closed pipe must not end the controller
            print(text, flush=True)

    def log(self, text: str) -> None:
        """Print to standard error."""
        with contextlib.suppress(OSError, ValueError):
            print(text, file=sys.stderr, flush=True)

    async def run(self, shell: Shell) -> int:
        """Run the lines, and return the exit status: 1 if any line failed, else 0."""
        async for line in read_lines(0):
            await shell.run(line)
            if shell.ended:
                break
        else:
            if self._keep_running:
                await asyncio.Event().wait()
        return 1 if shell.failed else 0

    def interrupt(self) -> bool:
        """Return False: Ctrl-C ends the controller, not a command."""
        return False


async def read_lines(fd: int) -> AsyncIterator[str]:
    """Yield each line of ``fd``, without its newline, as soon as it arrives, until the end.

    A thread reads, because epoll does not support regular files. It is a daemon that reads the descriptor directly, so
    it does not delay the exit of the program.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    lines_ahead = threading.Semaphore(LINES_AHEAD)

    def read() -> None:
        try:
            for line in _split(fd):
                lines_ahead.acquire()
                loop.call_soon_threadsafe(queue.put_nowait, line)
            loop.call_soon_threadsafe(queue.put_nowait, None)
        except RuntimeError:
            return  # the event loop is closed: the program is ending

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while (line := await queue.get()) is not None:
        lines_ahead.release()
        yield line


def _split(fd: int) -> Iterator[str]:
    rest = b""
    while chunk := _read(fd):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_LINE_SIZE:
            lines, rest = [*lines, rest], b""
        yield from (line.decode("utf-8", "replace") for line in lines)
    if rest:
        yield rest.decode("utf-8", "replace")


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 4096)
    except OSError:
        return b""  # the descriptor was closed before the start, or its terminal is closed
