"""The controller without a terminal: lines come from a pipe, a file or /dev/null; what fails sets the exit status."""

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator

from sppr.controller.prompt.shell import Shell

#: Bytes of one line; what is longer is cut into several.
LONGEST_LINE = 65536
#: Lines read before they are wanted; a pipe without end must not fill the memory.
LINES_AHEAD = 100


class Lines:
    """Runs each line of standard input; log lines go to standard error."""

    def __init__(self, *, forever: bool) -> None:
        """``forever``: stay after the end of input, until a signal comes."""
        self._forever = forever

    def echo(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads any more: no reason to end
            print(text, flush=True)

    def log(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            print(text, file=sys.stderr, flush=True)

    async def run(self, shell: Shell) -> int:
        """Exit status: 1 if any line failed, else 0."""
        async for line in read_lines(0):
            await shell.run(line)
            if shell.ended:
                break
        else:
            if self._forever:
                await asyncio.Event().wait()
        return 1 if shell.failed else 0

    def interrupt(self) -> bool:
        """Ctrl-C abandons nothing here: it ends the controller."""
        return False


async def read_lines(fd: int) -> AsyncIterator[str]:
    """Yield each line of ``fd`` as it comes, without its newline, until the end.

    A thread reads, for epoll takes no regular files; it is a daemon on the bare descriptor: it holds up no exit.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    ahead = threading.Semaphore(LINES_AHEAD)

    def read() -> None:
        try:
            for line in _split(fd):
                ahead.acquire()
                loop.call_soon_threadsafe(queue.put_nowait, line)
            loop.call_soon_threadsafe(queue.put_nowait, None)
        except RuntimeError:
            return  # the loop is closed: nobody listens any more

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while (line := await queue.get()) is not None:
        ahead.release()
        yield line


def _split(fd: int) -> Iterator[str]:
    rest = b""
    while chunk := _read(fd):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        yield from (line.decode("utf-8", "replace") for line in lines)
    if rest:
        yield rest.decode("utf-8", "replace")


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 4096)
    except OSError:
        return b""  # closed before we started, or a terminal that went away
