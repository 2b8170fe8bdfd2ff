"""Limits of the REST server: permitted connections, their number, the time for a request, and the permitted Host and
Origin.

A page in a user's browser can let its own host name resolve to this address (DNS rebinding), and could then command
processes of root. So over TCP the Host header must be an address of this controller, or localhost. The unix socket is
protected by its mode.
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

#: Seconds in which a TCP client must send its whole request.
REQUEST_TIMEOUT = 8.0
#: Maximum number of connections, for TCP and for the unix socket each. It is lower if few files may be open.
MAX_CONNECTIONS = 128
#: Maximum number of refused clients that receive a 403 at the same time, and the seconds and bytes that each may take
#: to read it. Further refused clients are disconnected without an answer.
MAX_REFUSED, REFUSED_SECONDS, REFUSED_BYTES = 16, 1.0, 65536
#: Returns the reason to refuse a connection, from its own address and the peer's, or an empty text if it is permitted.
Refusal = Callable[[Endpoint, Endpoint | None], str]


def raise_file_limit() -> int:
    """Raise the limit of open files of this process to the hard limit. Return the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


class ConnectionLimit:
    """The connections of one listening socket. At the limit, the connection that has been idle longest is closed to
    admit the new one.

    - ``factory``: makes the protocol of a connection.
    - ``request_timeout``: seconds for a request; 0 for no limit.
    - ``refusal``: the access rules of a TCP socket.
    """

    def __init__(
        self,
        factory: Callable[[], asyncio.Protocol],
        max_connections: int,
        request_timeout: float,
        refusal: Refusal | None = None,
    ) -> None:
        self.factory = factory
        self.max_connections = max_connections
        self.request_timeout = request_timeout
        self.refusal = refusal
        self.connections: dict[asyncio.BaseTransport, LimitedConnection] = {}
        self.refused: set[asyncio.BaseTransport] = set()

    def __call__(self) -> "LimitedConnection":
        return LimitedConnection(self, self.factory())

    def make_room(self) -> bool:
        """Return whether one more connection can be admitted, after closing an idle one if necessary."""
        if len(self.connections) < self.max_connections:
            return True
        idle = next((connection for connection in self.connections.values() if not connection.busy), None)
        if idle is not None:
            idle.close()
        return idle is not None


class LimitedConnection(asyncio.Protocol):
    """One connection, between the transport and aiohttp's protocol. ``busy``: a complete request has arrived and is not
    answered yet.
    """

    def __init__(self, limit: ConnectionLimit, inner: asyncio.Protocol) -> None:
        self._limit = limit
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._refused: asyncio.Transport | None = None
        self._discarded = 0
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse or admit the connection, and start its timeout."""
        assert isinstance(transport, asyncio.Transport)
        if self._limit.refusal is not None:
            ends = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
            if reason := self._limit.refusal(*ends):
                self._refuse(transport, reason)
                return
        if not self._limit.make_room():
            transport.abort()
            return
        self._transport = transport
        self._limit.connections[transport] = self
        self._start_timer()
        self._inner.connection_made(transport)

    def _refuse(self, transport: asyncio.Transport, reason: str) -> None:
        """Answer 403 without reading the request, and discard the bytes that arrive in the next moments.

        Closing a socket with unread bytes would reset the connection, and the client would not see the answer.
        """
        if len(self._limit.refused) >= MAX_REFUSED:
            transport.abort()
            return
        self._limit.refused.add(transport)
        body = f"{reason}\n".encode()
        head = f"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        transport.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        with contextlib.suppress(OSError):  # the client has reset the connection
            transport.write_eof()
        self._refused = transport
        self._timer = asyncio.get_running_loop().call_later(REFUSED_SECONDS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timeout and remove the connection from the limit."""
        self._stop_timer()
        if self._transport is not None:
            self._limit.connections.pop(self._transport, None)
            self._inner.connection_lost(exc)
        elif self._refused is not None:
            self._limit.refused.discard(self._refused)

    def data_received(self, data: bytes) -> None:
        """Pass the data to aiohttp, or discard that of a refused connection."""
        if self._transport is not None:
            if not self.busy:
                self._start_timer()
            self._inner.data_received(data)
        elif self._refused is not None:
            self._discarded += len(data)
            if self._discarded > REFUSED_BYTES:
                self._refused.abort()

    def eof_received(self) -> bool | None:
        """Pass the end of the data to aiohttp."""
        return self._inner.eof_received() if self._transport is not None else None

    def pause_writing(self) -> None:
        """Pass the call to aiohttp."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass the call to aiohttp."""
        self._inner.resume_writing()

    def close(self) -> None:
        """Close the connection at once."""
        assert self._transport is not None
        self._limit.connections.pop(self._transport, None)
        self._transport.abort()

    def set_busy(self, *, busy: bool) -> None:
        """Record whether a request is being handled, and stop the timeout."""
        self.busy = busy
        self._stop_timer()

    def _start_timer(self) -> None:
        """Start the timeout of a request, unless it is running: further bytes do not extend it."""
        if self._timer is None and self._limit.request_timeout:
            self._timer = asyncio.get_running_loop().call_later(self._limit.request_timeout, self.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def middleware(limits: list[ConnectionLimit]) -> Middleware:
    """Return a middleware that reads each request completely before it is handled, and marks its connection as busy
    meanwhile.
    """

    @web.middleware
    async def mark_busy(request: web.Request, handler: Handler) -> web.StreamResponse:
        candidates = (limit.connections.get(request.transport) for limit in limits)  # type: ignore[arg-type]
        connection = next((c for c in candidates if c is not None), None)
        await request.read()
        if connection is None:
            return await handler(request)
        connection.set_busy(busy=True)
        try:
            return await handler(request)
        finally:
            connection.set_busy(busy=False)

    return mark_busy


def host_refusal(request: web.BaseRequest, listen_address: str) -> str:
    """Return the reason to refuse the Host or Origin of a request over TCP, or an empty text.

    A browser says in Sec-Fetch-Site whether a page of another site makes the request. Such a page may only link to the
    page of this controller.

    ``listen_address``: the address at which the server listens, 0.0.0.0 for all.
    """
    if request.transport is not None and not isinstance(request.transport.get_extra_info("sockname"), tuple):
        return ""
    hosts = request.headers.getall("Host", [])  # empty: HTTP/1.0, which no browser uses
    if not all(_is_own_address(host, listen_address) for host in hosts) or len(hosts) > 1:
        return f"Host {hosts[0][:80]!r} is not an address of this controller: use its IP address"
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] not in hosts:
        return f"Origin {origin[:80]!r} is not this controller"
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in ("none", "same-origin") and not (
        request.path == "/" and request.headers.get("Sec-Fetch-Mode") == "navigate"
    ):
        return f"the request comes from a page of another site ({site[:20]!r})"
    return ""


def _is_own_address(host: str, listen_address: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name in ("localhost", listen_address.lower()):
            return name != ""
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or listen_address in ("0.0.0.0", "::")  # noqa: S104 - compared only
