"""The program: open the sockets, serve REST, run the prompt or read standard input, handle signals, and clean up at the
end.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

from sppr.controller.launch import Lab
from sppr.controller.monitor import LabView, Monitor
from sppr.controller.options import Options, parse_options
from sppr.controller.patch_panel import PatchPanel
from sppr.controller.prompt.controllers import Controller, LocalController, RemoteController
from sppr.controller.prompt.shell import Shell
from sppr.controller.rest import app as api
from sppr.controller.rest import limits
from sppr.controller.restore import Restorer
from sppr.controller.server import access, sockets
from sppr.controller.server.server import Server
from sppr.controller.web import app as pages
from sppr.controller.web import token
from sppr.errors import EXIT_INTERRUPTED, HostError, SpprError

BANNER = "Welcome to the SPP controller.  Type help or ? to list commands."


class Frontend(Protocol):
    """The source of the lines, and the place for the output: a terminal (``Prompt``) or a stream (``Batch``)."""

    def echo(self, text: str) -> None:
        """Print the output of a command."""

    def log(self, text: str) -> None:
        """Print a log line of the controller."""

    async def run(self, shell: Shell) -> int:
        """Run the lines, and return the exit status."""

    def interrupt(self) -> bool:
        """Handle SIGINT. Return False if it is to end the program."""


async def serve(options: Options, lab: LabView | None = None) -> int:
    """Run a controller until ``bye``, the end of input or a signal, and return the exit status. Raise HostError if it
    cannot listen. ``lab``: the lab that the live views show.
    """
    exit_status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    frontend = _make_frontend(options)
    _handle_signals(frontend, exit_status)
    if options.connect:
        return await _run(frontend, RemoteController(options.connect), exit_status)
    async with contextlib.AsyncExitStack() as stack:
        primary = stack.enter_context(contextlib.closing(sockets.listen_tcp(options.host, options.pri_port)))
        secondary = stack.enter_context(contextlib.closing(sockets.listen_tcp(options.host, options.sec_port)))
        pri_port, sec_port = primary.getsockname()[1], secondary.getsockname()[1]
        max_connections = limits.raise_file_limit()
        rules = access.make_rules(options.allow_users, options.allow)
        restorer = Restorer(frontend.log, options.wiring)
        vm_uid = access.uid_of(options.vm_user) if options.vm_user else None
        server = Server(
            frontend.log,
            max_connections=max_connections // 2,
            timeout=options.timeout,
            restorer=restorer,
            rules=rules,
            vm_uid=vm_uid,
        )
        panel = PatchPanel(server, Lab(options.file_prefix, options.host, sec_port))
        monitor = _make_monitor(panel, lab)
        info = {"host": options.host, "pri_port": pri_port, "sec_port": sec_port, "version": _version()}
        addresses = await stack.enter_async_context(
            _api(panel, monitor, info, options, _make_refusal(rules, frontend.log))
        )
        vm_socket = _open_vm_socket(stack, options)
        stack.push_async_callback(server.close)
        await server.listen(primary, secondary, vm_socket)
        listening = f"primary {options.host}:{pri_port}, secondaries {options.host}:{sec_port}"
        frontend.echo(f"{BANNER}\nlistening: {listening}")
        for address in addresses:
            frontend.echo(address)
        return await _run(frontend, LocalController(panel, listening, f"{options.host}:{sec_port}"), exit_status)


async def _run(frontend: Frontend, host: Controller, exit_status: "asyncio.Future[int]") -> int:
    return await _run_until(asyncio.ensure_future(frontend.run(Shell(host, frontend.echo))), exit_status)


def main(argv: Sequence[str] | None = None, lab: LabView | None = None) -> int:
    """Run the program, and return its exit status. Errors are printed here with a hint. Status 3 means that a port or
    socket is in use. ``lab``: the lab that the live views show.
    """
    try:
        status = asyncio.run(serve(parse_options(argv), lab))
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
        except OSError:  # the terminal is closed: Python would change the exit status to 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return status


def _make_monitor(panel: PatchPanel, lab: LabView | None) -> Monitor:
    """Return a monitor that learns of every change."""
    monitor = Monitor(panel.server, lab)
    panel.server.on_connected, panel.server.on_disconnected = monitor.connected, monitor.disconnected
    panel.on_change = monitor.changed
    return monitor


@contextlib.asynccontextmanager
async def _api(
    panel: PatchPanel, monitor: Monitor, info: dict[str, object], options: Options, refusal: limits.Refusal
) -> AsyncIterator[list[str]]:
    """Serve REST, the page and the metrics at the addresses of the options, and yield these addresses as text. The unix
    socket is removed afterwards.
    """
    async with contextlib.AsyncExitStack() as stack:
        connections: list[limits.ConnectionLimit] = []
        guards = _guards(options)
        app = api.application(panel, info, connections, options.api_host, monitor, guards)
        if options.metrics:
            pages.add_metrics(app, monitor, str(info["version"]))
        if options.web:
            pages.add_page(app, monitor)
        app.on_response_prepare.append(pages.add_headers)
        max_connections = max(8, min(limits.MAX_CONNECTIONS, limits.raise_file_limit() // 8))
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5, logger=_null_logger())
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        addresses: list[str] = []
        if options.api_socket is not None:
            sock = _open_unix_socket(stack, options.api_socket)
            await _listen(
                stack, limits.ConnectionLimit(_protocol_factory(runner), max_connections, 0), connections, sock
            )
            addresses.append(f"api: {options.api_socket}")
        if options.api_port is not None:
            tcp = sockets.listen_tcp(options.api_host, options.api_port)
            limit = limits.ConnectionLimit(_protocol_factory(runner), max_connections, limits.REQUEST_TIMEOUT, refusal)
            await _listen(stack, limit, connections, tcp)
            url = f"http://{options.api_host}:{tcp.getsockname()[1]}"
            addresses.append(f"api: {url}/v1")
            if options.web:
                addresses.append(f"web: {url}/" + (f" (token in {options.web_token})" if guards else ""))
        yield addresses


def _guards(options: Options) -> list[Middleware]:
    """Return the check of the token if the page is served at an address that is not loopback. Raise HostError without a
    token.
    """
    if not options.web or options.api_port is None or not token.is_needed(options.api_host):
        return []
    if options.web_token is None:
        what = f"the web page at {options.api_host} needs a token"
        raise HostError(what, hint="--web-token FILE, or --no-web; conf.yml: controller.web: false")
    try:
        return [token.middleware(token.load(options.web_token), pages.assets()["login.html"])]
    except OSError as error:
        what = f"{options.web_token}: {error.strerror}"
        raise HostError(what, hint="the token of the web page must be in a file of this user") from None


def _protocol_factory(runner: web.AppRunner) -> Callable[[], asyncio.Protocol]:
    assert runner.server is not None
    return runner.server


async def _listen(
    stack: contextlib.AsyncExitStack,
    limit: limits.ConnectionLimit,
    connections: list[limits.ConnectionLimit],
    sock: socket.socket,
) -> None:
    connections.append(limit)
    listener = await asyncio.get_running_loop().create_server(limit, sock=sock)
    stack.callback(listener.close)


def _open_unix_socket(stack: contextlib.AsyncExitStack, path: Path) -> socket.socket:
    """Return a listening unix socket. Its file is removed when ``stack`` is closed."""
    sock = sockets.listen_unix(path)
    stack.callback(sockets.remove, path, path.lstat().st_ino)
    return sock


def _open_vm_socket(stack: contextlib.AsyncExitStack, options: Options) -> socket.socket | None:
    """Return the listening socket for VMs, owned by the user that QEMU runs as, or None if there is none."""
    if options.vm_socket is None:
        return None
    sock = _open_unix_socket(stack, options.vm_socket)
    if options.vm_user:
        os.chown(options.vm_socket, access.uid_of(options.vm_user), -1)
    return sock


def _make_refusal(rules: access.AccessRules, log: Callable[[str], None]) -> limits.Refusal:
    """Return the access rules of REST as a function that logs each kind of refusal once."""
    refusals = access.RefusalLog(log)

    def refusal(own: access.Endpoint, peer: access.Endpoint | None) -> str:
        reason = rules.refusal(own, peer)
        if reason:
            refusals.refused("a REST client", reason)
        return reason

    return refusal


async def _run_until(frontend_run: "asyncio.Future[int]", exit_status: "asyncio.Future[int]") -> int:
    """Return the status of the frontend, or that of a signal, whichever comes first. A signal cancels the frontend."""
    await asyncio.wait({frontend_run, exit_status}, return_when=asyncio.FIRST_COMPLETED)
    if frontend_run.done():
        return frontend_run.result()
    frontend_run.cancel()
    with contextlib.suppress(asyncio.CancelledError, OSError):  # OSError: its terminal is closed
        await frontend_run
    return exit_status.result()


def _make_frontend(options: Options) -> Frontend:
    if sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
        # not at the top: importing prompt_toolkit takes 0.1 s, and only a terminal needs it
        from sppr.controller.prompt.terminal import Prompt

        return Prompt()
    from sppr.controller.prompt.batch import Batch

    return Batch(keep_running=options.serve)


def _handle_signals(frontend: Frontend, exit_status: "asyncio.Future[int]") -> None:
    loop = asyncio.get_running_loop()

    def end(status: int) -> None:
        if not exit_status.done():
            exit_status.set_result(status)

    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, 0)
    loop.add_signal_handler(signal.SIGINT, lambda: None if frontend.interrupt() else end(EXIT_INTERRUPTED))


def _null_logger() -> logging.Logger:
    """Return a logger that drops everything, for aiohttp: it logs a traceback for each request that is not HTTP.
    Exceptions of the controller are logged by ``rest.app``.
    """
    logger = logging.getLogger("sppr.controller.http")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


def _version() -> str:
    try:
        return metadata.version("sppr")
    except metadata.PackageNotFoundError:
        return "unknown"
