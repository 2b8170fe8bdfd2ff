"""Who may speak to REST: how many at once, how long for a request, and under which name they call us.

A page in somebody's browser can have its own name lead to this address (DNS rebinding), and would steer processes of
root: so over TCP the name must be an address, or localhost. The unix socket has its file's rights for that.
"""

import asyncio
import ipaddress
import resource
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

#: Seconds a TCP client has for its whole request.
PATIENCE = 8.0
#: Connections at once, of TCP and of the unix socket each; fewer where few files may be open.
MOST = 128


def raise_limit() -> int:
    """Let this process open as many files as it may; how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


class Door:
    """Connections of one listening socket. When it is full, the one that has waited longest without a request goes, so
    that whoever asks is answered. ``patience`` 0: no deadline."""

    def __init__(self, make: Callable[[], asyncio.Protocol], most: int, patience: float) -> None:
        self.make = make
        self.most = most
        self.patience = patience
        self.guests: dict[asyncio.BaseTransport, Guest] = {}

    def __call__(self) -> "Guest":
        return Guest(self, self.make())

    def has_room(self) -> bool:
        if len(self.guests) < self.most:
            return True
        idle = next((guest for guest in self.guests.values() if not guest.asks), None)
        if idle is not None:
            idle.drop()
        return idle is not None


class Guest(asyncio.Protocol):
    """One connection, before aiohttp's own protocol. ``asks``: a whole request is here and not yet answered."""

    def __init__(self, door: Door, inner: asyncio.Protocol) -> None:
        self._door = door
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.asks = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if not self._door.has_room():
            transport.abort()
            return
        self._transport = transport
        self._door.guests[transport] = self
        self._wait()
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._stop()
            self._door.guests.pop(self._transport, None)
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            if not self.asks:
                self._wait()
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._transport is not None else None

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def drop(self) -> None:
        assert self._transport is not None
        self._door.guests.pop(self._transport, None)
        self._transport.abort()

    def asked(self, *, asks: bool) -> None:
        self.asks = asks
        self._stop()

    def _wait(self) -> None:
        """The clock of a request starts once: bytes in drops do not wind it up."""
        if self._timer is None and self._door.patience:
            self._timer = asyncio.get_running_loop().call_later(self._door.patience, self.drop)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def middleware(doors: list[Door]) -> Middleware:
    """Reads a request whole before it is handled, and tells its connection's door."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        guest = next((g for door in doors if (g := door.guests.get(request.transport))), None)  # type: ignore[arg-type]
        await request.read()
        if guest is None:
            return await handler(request)
        guest.asked(asks=True)
        try:
            return await handler(request)
        finally:
            guest.asked(asks=False)

    return guard


def foreign(request: web.BaseRequest, bound: str) -> str:
    """Why a request over TCP is not for us, or empty. ``bound``: the address we listen on, 0.0.0.0 for all."""
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
