"""The controller as a program: sockets, REST, the prompt or standard input, signals, and a clean end."""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Protocol

from aiohttp import web

from sppr.errors import EXIT_INTERRUPTED, SpprError

from . import api, door, sockets
from .execute import Shell
from .hosts import Host, Local, Remote
from .memory import Memory
from .panel import Panel
from .server import Server
from .wire import TIMEOUT

BANNER = "Welcome to the SPP controller.  Type help or ? to list commands."


@dataclass(frozen=True)
class Options:
    """Port 0 takes a free one; it is told in the ``listening:`` line and by ``GET /v1/controller``."""

    host: str = "127.0.0.1"
    pri_port: int = 5555
    sec_port: int = 6666
    api_socket: Path | None = None
    api_host: str = "127.0.0.1"
    api_port: int | None = None
    connect: str = ""
    timeout: float = TIMEOUT
    serve: bool = False
    wiring: Path | None = None


class Front(Protocol):
    """Where lines come from and text goes to: a terminal (``Prompt``) or anything else (``Lines``)."""

    def say(self, text: str) -> None: ...
    def log(self, text: str) -> None: ...
    async def run(self, shell: Shell) -> int: ...
    def interrupt(self) -> bool: ...


async def serve(options: Options) -> int:
    """Run a controller until ``bye``, the end of input or a signal; its exit status. HostError if it cannot listen."""
    ending: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    front = _front(options)
    _on_signals(front, ending)
    if options.connect:
        return await _run(front, Remote(options.connect), ending)
    async with contextlib.AsyncExitStack() as stack:
        primary = stack.enter_context(contextlib.closing(sockets.tcp(options.host, options.pri_port)))
        secondary = stack.enter_context(contextlib.closing(sockets.tcp(options.host, options.sec_port)))
        pri_port, sec_port = primary.getsockname()[1], secondary.getsockname()[1]
        most = door.raise_limit()
        server = Server(front.log, most=most // 2, timeout=options.timeout, memory=Memory(front.log, options.wiring))
        panel = Panel(server)
        info = {"host": options.host, "pri_port": pri_port, "sec_port": sec_port, "version": _version()}
        served = await stack.enter_async_context(_api(panel, info, options))
        stack.push_async_callback(server.close)
        await server.listen(primary, secondary)
        listening = f"primary {options.host}:{pri_port}, secondaries {options.host}:{sec_port}"
        front.say(f"{BANNER}\nlistening: {listening}")
        for place in served:
            front.say(f"api: {place}")
        return await _run(front, Local(panel, listening, f"{options.host}:{sec_port}"), ending)


async def _run(front: Front, host: Host, ending: "asyncio.Future[int]") -> int:
    return await _first(asyncio.ensure_future(front.run(Shell(host, front.say))), ending)


def main(argv: Sequence[str] | None = None) -> int:
    """The program. Errors of the machine are printed here, with what to do; 3 is a port or socket that is taken."""
    try:
        status = asyncio.run(serve(_options(argv)))
    except SpprError as error:
        print(f"error: {error.what}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        status = error.exit_code
    except KeyboardInterrupt:
        status = EXIT_INTERRUPTED
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the terminal is gone: Python would turn the status into 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return status


@contextlib.asynccontextmanager
async def _api(panel: Panel, info: dict[str, object], options: Options) -> AsyncIterator[list[str]]:
    """Serve REST where the options say; gives these places as text. The unix socket is gone afterwards."""
    async with contextlib.AsyncExitStack() as stack:
        doors: list[door.Door] = []
        app = api.application(panel, info, doors, options.api_host)
        most = max(8, min(door.MOST, door.raise_limit() // 8))
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5, logger=_silent())
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        places: list[str] = []
        if options.api_socket is not None:
            sock = sockets.unix(options.api_socket)
            stack.callback(sockets.remove, options.api_socket, options.api_socket.lstat().st_ino)
            await _open(stack, door.Door(_of(runner), most, 0), doors, sock)
            places.append(str(options.api_socket))
        if options.api_port is not None:
            tcp = sockets.tcp(options.api_host, options.api_port)
            await _open(stack, door.Door(_of(runner), most, door.PATIENCE), doors, tcp)
            places.append(f"http://{options.api_host}:{tcp.getsockname()[1]}/v1")
        yield places


def _of(runner: web.AppRunner) -> Callable[[], asyncio.Protocol]:
    assert runner.server is not None
    return runner.server


async def _open(stack: contextlib.AsyncExitStack, at: door.Door, doors: list[door.Door], sock: socket.socket) -> None:
    doors.append(at)
    listener = await asyncio.get_running_loop().create_server(at, sock=sock)
    stack.callback(listener.close)


async def _first(front: "asyncio.Future[int]", ending: "asyncio.Future[int]") -> int:
    """The status of whichever ends first; the front is given up if that is a signal."""
    await asyncio.wait({front, ending}, return_when=asyncio.FIRST_COMPLETED)
    if front.done():
        return front.result()
    front.cancel()
    with contextlib.suppress(asyncio.CancelledError, OSError):  # OSError: its terminal is gone
        await front
    return ending.result()


def _front(options: Options) -> Front:
    if sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
        from .prompt import Prompt  # here: prompt_toolkit takes 0.1 s, and a terminal to be of use

        return Prompt()
    from .lines import Lines

    return Lines(forever=options.serve)


def _on_signals(front: Front, ending: "asyncio.Future[int]") -> None:
    loop = asyncio.get_running_loop()

    def end(status: int) -> None:
        if not ending.done():
            ending.set_result(status)

    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, 0)
    loop.add_signal_handler(signal.SIGINT, lambda: None if front.interrupt() else end(EXIT_INTERRUPTED))


def _silent() -> logging.Logger:
    """For aiohttp, which logs a traceback for each request that is no HTTP; our own faults are logged by ``api``."""
    logger = logging.getLogger("sppr.controller.http")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


def _version() -> str:
    try:
        return metadata.version("sppr")
    except metadata.PackageNotFoundError:
        return "unknown"


def _options(argv: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m sppr.controller", description="Controller of SPP processes.")
    parser.add_argument("--host", default=Options.host, help="IPv4 address to listen on (%(default)s)")
    parser.add_argument("--pri-port", type=_port, default=Options.pri_port, help="port of the primary (%(default)s)")
    parser.add_argument("--sec-port", type=_port, default=Options.sec_port, help="port of secondaries (%(default)s)")
    parser.add_argument("--api-socket", type=Path, metavar="PATH", help="serve REST v1 on this unix socket")
    parser.add_argument("--api-port", type=_port, metavar="N", help="serve REST v1 on this TCP port too")
    parser.add_argument("--api-host", default=Options.api_host, help="IPv4 address of that (%(default)s)")
    parser.add_argument(
        "-b", "--connect", default="", metavar="IP[:PORT]|SOCKET", help="be no controller, only the prompt of this one"
    )
    parser.add_argument(
        "--timeout", type=_seconds, default=TIMEOUT, metavar="S", help="for each answer (%(default)s s)"
    )
    parser.add_argument("--wiring", type=Path, metavar="FILE", help="remember ports and patches here over a restart")
    parser.add_argument("--serve", action="store_true", help="without a terminal: stay after the end of input")
    return Options(**vars(parser.parse_args(argv)))


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 0 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 3600:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
