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

from sppr.controller.launch import Lab
from sppr.controller.patch_panel import PatchPanel
from sppr.controller.prompt.hosts import Host, Local, Remote
from sppr.controller.prompt.shell import Shell
from sppr.controller.rest import app as api
from sppr.controller.rest import limits
from sppr.controller.restore import Restorer
from sppr.controller.server import access, sockets
from sppr.controller.server.process import TIMEOUT
from sppr.controller.server.server import Server
from sppr.errors import EXIT_INTERRUPTED, SpprError

BANNER = "Welcome to the SPP controller.  Type help or ? to list commands."


@dataclass(frozen=True)
class Options:
    """Port 0 takes a free one; the ``listening:`` line and ``GET /v1/controller`` name it.

    ``allow_users``: user names beside root and the own one that may connect. ``allow``: networks of other machines.
    ``guests``: the unix socket of VMs. ``vm_user``: the user that QEMU runs as. ``file_prefix``: EAL's, for ``launch``.
    """

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
    allow_users: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    guests: Path | None = None
    vm_user: str = ""
    file_prefix: str = "rte"


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
        primary = stack.enter_context(contextlib.closing(sockets.listen_tcp(options.host, options.pri_port)))
        secondary = stack.enter_context(contextlib.closing(sockets.listen_tcp(options.host, options.sec_port)))
        pri_port, sec_port = primary.getsockname()[1], secondary.getsockname()[1]
        max_connections = limits.raise_limit()
        rules = access.make_rules(options.allow_users, options.allow)
        restorer = Restorer(front.log, options.wiring)
        vm_uid = access.uid_of(options.vm_user) if options.vm_user else None
        server = Server(
            front.log,
            max_connections=max_connections // 2,
            timeout=options.timeout,
            restorer=restorer,
            rules=rules,
            vm_uid=vm_uid,
        )
        panel = PatchPanel(server, Lab(options.file_prefix, options.host, sec_port))
        info = {"host": options.host, "pri_port": pri_port, "sec_port": sec_port, "version": _version()}
        served = await stack.enter_async_context(_api(panel, info, options, _refusal(rules, front.log)))
        guest = _guests(stack, options)
        stack.push_async_callback(server.close)
        await server.listen(primary, secondary, guest)
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
async def _api(
    panel: PatchPanel, info: dict[str, object], options: Options, refusal: limits.Refusal
) -> AsyncIterator[list[str]]:
    """Serve REST where the options say; yields these places as text. The unix socket is removed afterwards."""
    async with contextlib.AsyncExitStack() as stack:
        connections: list[limits.ConnectionLimit] = []
        app = api.application(panel, info, connections, options.api_host)
        max_connections = max(8, min(limits.MAX_CONNECTIONS, limits.raise_limit() // 8))
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5, logger=_silent())
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        places: list[str] = []
        if options.api_socket is not None:
            sock = _unix(stack, options.api_socket)
            await _open(stack, limits.ConnectionLimit(_of(runner), max_connections, 0), connections, sock)
            places.append(str(options.api_socket))
        if options.api_port is not None:
            tcp = sockets.listen_tcp(options.api_host, options.api_port)
            limit = limits.ConnectionLimit(_of(runner), max_connections, limits.REQUEST_TIMEOUT, refusal)
            await _open(stack, limit, connections, tcp)
            places.append(f"http://{options.api_host}:{tcp.getsockname()[1]}/v1")
        yield places


def _of(runner: web.AppRunner) -> Callable[[], asyncio.Protocol]:
    assert runner.server is not None
    return runner.server


async def _open(
    stack: contextlib.AsyncExitStack,
    limit: limits.ConnectionLimit,
    connections: list[limits.ConnectionLimit],
    sock: socket.socket,
) -> None:
    connections.append(limit)
    listener = await asyncio.get_running_loop().create_server(limit, sock=sock)
    stack.callback(listener.close)


def _unix(stack: contextlib.AsyncExitStack, path: Path) -> socket.socket:
    """A listening unix socket, whose file is removed at the end."""
    sock = sockets.listen_unix(path)
    stack.callback(sockets.remove, path, path.lstat().st_ino)
    return sock


def _guests(stack: contextlib.AsyncExitStack, options: Options) -> socket.socket | None:
    """The listening socket of VMs, which belongs to the user that QEMU runs as."""
    if options.guests is None:
        return None
    sock = _unix(stack, options.guests)
    if options.vm_user:
        os.chown(options.guests, access.uid_of(options.vm_user), -1)
    return sock


def _refusal(rules: access.AccessRules, log: Callable[[str], None]) -> limits.Refusal:
    """The access rules of REST, with one log line for each kind of refusal."""
    refusals = access.RefusalLog(log)

    def refusal(own: access.Endpoint, peer: access.Endpoint | None) -> str:
        reason = rules.refusal(own, peer)
        if reason:
            refusals.refused("a REST client", reason)
        return reason

    return refusal


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
        from sppr.controller.prompt.terminal import (
            Prompt,  # here: prompt_toolkit takes 0.1 s, and a terminal to be of use
        )

        return Prompt()
    from sppr.controller.prompt.batch import Lines

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
    parser.add_argument(
        "--allow-user", action="append", dest="allow_users", default=[], metavar="NAME",
        help="serve this user of the machine, too, not only root and the user who runs this",
    )  # fmt: skip
    parser.add_argument(
        "--allow", action="append", default=[], metavar="NETWORK", help="serve this network of other machines"
    )
    parser.add_argument("--guests", type=Path, metavar="PATH", help="serve the spp_vm of VMs on this unix socket")
    parser.add_argument("--vm-user", default="", metavar="NAME", help="the user whose QEMU connects to it")
    parser.add_argument(
        "--file-prefix", default=Options.file_prefix, metavar="P", help="EAL file prefix of the lab (%(default)s)"
    )
    parser.add_argument("--serve", action="store_true", help="without a terminal: stay after the end of input")
    given = vars(parser.parse_args(argv))
    return Options(**given | {key: tuple(given[key]) for key in ("allow", "allow_users")})


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 0 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 3600:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
