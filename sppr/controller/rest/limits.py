"""Limits of the REST server: who may connect, how many at once, how long a request may take, and its Host and Origin.

A page in a user's browser can make its own name resolve to this address (DNS rebinding), and would command processes
of root. So over TCP the name must be an address of this controller, or localhost. The unix socket is protected by its
mode.
"""

import asyncio
import contextlib
import ipaddress
import resource
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sppr.controller.server.access import Endpoint

#: Seconds a TCP client has for its whole request.
REQUEST_TIMEOUT = 8.0
#: Connections at once, of TCP and of the unix socket each; fewer where few files may be open.
MAX_CONNECTIONS = 128
#: Refused clients that are answered at once, and seconds and bytes each gets to read its 403; any more are dropped.
MAX_REFUSED, REFUSED_SECONDS, REFUSED_BYTES = 16, 1.0, 65536
#: Returns why a connection is refused, from its own address and the peer's; empty: it is allowed.
Refusal = Callable[[Endpoint, Endpoint | None], str]


def raise_limit() -> int:
    """Let this process open as many files as it may; how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


class ConnectionLimit:
    """The connections of one listening socket. At the limit, the one that has been idle longest is closed to admit the
    new one. ``request_timeout`` 0: no deadline. ``refusal``: who may connect, of a TCP socket."""

    def __init__(
        self,
        make: Callable[[], asyncio.Protocol],
        most: int,
        request_timeout: float,
        refusal: Refusal | None = None,
    ) -> None:
        self.make = make
        self.most = most
        self.request_timeout = request_timeout
        self.refusal = refusal
        self.connections: dict[asyncio.BaseTransport, LimitedConnection] = {}
        self.refused: set[asyncio.BaseTransport] = set()

    def __call__(self) -> "LimitedConnection":
        return LimitedConnection(self, self.make())

    def has_room(self) -> bool:
        if len(self.connections) < self.most:
            return True
        idle = next((found for found in self.connections.values() if not found.busy), None)
        if idle is not None:
            idle.drop()
        return idle is not None


class LimitedConnection(asyncio.Protocol):
    """One connection, before aiohttp's own protocol. ``busy``: a whole request has arrived and is not yet answered."""

    def __init__(self, limit: ConnectionLimit, inner: asyncio.Protocol) -> None:
        self._limit = limit
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._refused: asyncio.Transport | None = None
        self._discarded = 0
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._limit.refusal is not None:
            ends = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
            if reason := self._limit.refusal(*ends):
                self._refuse(transport, reason)
                return
        if not self._limit.has_room():
            transport.abort()
            return
        self._transport = transport
        self._limit.connections[transport] = self
        self._wait()
        self._inner.connection_made(transport)

    def _refuse(self, transport: asyncio.Transport, reason: str) -> None:
        """Answer 403 without reading the request. Then discard what arrives for a moment: closing with unread bytes
        would reset the connection, and the client would not see the answer."""
        if len(self._limit.refused) >= MAX_REFUSED:
            transport.abort()
            return
        self._limit.refused.add(transport)
        body = f"{reason}\n".encode()
        head = f"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        transport.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        with contextlib.suppress(OSError):  # it was reset meanwhile
            transport.write_eof()
        self._refused = transport
        self._timer = asyncio.get_running_loop().call_later(REFUSED_SECONDS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        if self._transport is not None:
            self._limit.connections.pop(self._transport, None)
            self._inner.connection_lost(exc)
        elif self._refused is not None:
            self._limit.refused.discard(self._refused)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            if not self.busy:
                self._wait()
            self._inner.data_received(data)
        elif self._refused is not None:
            self._discarded += len(data)
            if self._discarded > REFUSED_BYTES:
                self._refused.abort()

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._transport is not None else None

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def drop(self) -> None:
        assert self._transport is not None
        self._limit.connections.pop(self._transport, None)
        self._transport.abort()

    def set_busy(self, *, busy: bool) -> None:
        self.busy = busy
        self._stop()

    def _wait(self) -> None:
        """Start the timeout of a request, once: further bytes do not extend it."""
        if self._timer is None and self._limit.request_timeout:
            self._timer = asyncio.get_running_loop().call_later(self._limit.request_timeout, self.drop)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def middleware(limits: list[ConnectionLimit]) -> Middleware:
    """Read each request whole before it is handled, and mark its connection as busy meanwhile."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        found = (limit.connections.get(request.transport) for limit in limits)  # type: ignore[arg-type]
        connection = next((c for c in found if c is not None), None)
        await request.read()
        if connection is None:
            return await handler(request)
        connection.set_busy(busy=True)
        try:
            return await handler(request)
        finally:
            connection.set_busy(busy=False)

    return guard


def foreign(request: web.BaseRequest, bound: str) -> str:
    """Return why the Host or Origin of a request over TCP is refused, or empty. ``bound``: the address the server
    listens on, 0.0.0.0 for all."""
    if request.transport is not None and not isinstance(request.transport.get_extra_info("sockname"), tuple):
        return ""
    hosts = request.headers.getall("Host", [])  # none: HTTP/1.0, which no browser speaks
    if not all(_ours(host, bound) for host in hosts) or len(hosts) > 1:
        return f"Host {hosts[0][:80]!r} is not an address of this controller: ask it by its IP address"
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] not in hosts:
        return f"Origin {origin[:80]!r} is not this controller"
    return ""


def _ours(host: str, bound: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name in ("localhost", bound.lower()):
            return name != ""
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or bound in ("0.0.0.0", "::")  # noqa: S104 - compared only
