"""Whom the prompt drives: our own panel, and the controllers of other hosts (ours or spp-ctl) over REST."""

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Any, Protocol

from sppr.controller import components
from sppr.controller.errors import BadValue, NoAnswer, NotConnected, Refused
from sppr.controller.patch_panel import PatchPanel
from sppr.controller.prompt.request import base
from sppr.controller.rest import bodies
from sppr.controller.rest.routes import PATH_PATTERNS, ROUTES, Call
from sppr.errors import ControlError
from sppr.spp.names import PRIMARY, Target, printable

PORT = 7777
#: Seconds one call of another host may take.
TIMEOUT = 10.0
#: Bytes of its answer.
MOST = 1 << 22


@dataclass(frozen=True)
class Seen:
    """A connected process and its status in REST's form."""

    kind: str
    client_id: int = 0
    status: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return str(Target(self.kind, self.client_id))


class Host(Protocol):
    """One controller. ``call`` gives the JSON of the answer, None for a 204; ControlError for the rest."""

    address: str

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any: ...
    async def seen(self) -> list[Seen]: ...


class Local:
    """The controller this prompt is part of: no HTTP in between."""

    def __init__(self, panel: PatchPanel, address: str, sec_address: str = "127.0.0.1:6666") -> None:
        self.address = address
        self.sec_address = sec_address
        self._panel = panel

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        for route in ROUTES:
            pattern = re.sub(r"\{(\w+)\}", lambda part: f"(?P<{part[1]}>{PATH_PATTERNS[part[1]]})", route.path)
            found = re.fullmatch(pattern, path) if route.method == method else None
            if found:
                parts = found.groupdict()
                target = Target(route.kind, int(parts["id"])) if "id" in parts else PRIMARY
                given = bodies.validate(body, route.body) if route.body else None
                return await route.handler(Call(self._panel, target, parts, given))
        raise BadValue(f"{method} {path}: no such call", hint="GET /v1/openapi.json lists them")

    async def seen(self) -> list[Seen]:
        await self._panel.processes()
        return [Seen(p.kind, p.client_id, components.rest_form(p.status, p.kind)) for p in self._panel.connected()]


class Remote:
    """A controller of another host, or of this one: ``IP[:PORT]``, or the path of its unix socket."""

    def __init__(self, where: str) -> None:
        self.address = address_of(where)

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        import aiohttp

        unix = self.address.startswith("/")
        connector = aiohttp.UnixConnector(self.address) if unix else None
        url = f"http://{'localhost' if unix else self.address}/v1{path}"
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(TIMEOUT)) as session,
                session.request(method, url, json=body, allow_redirects=False) as response,
            ):
                raw = await response.content.read(MOST)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = printable(str(error)) or "no answer"
            raise ControlError(f"{self.address} does not answer: {why}", hint="server lists the others") from None
        text = raw.decode("utf-8", "replace")
        if status >= 300:
            kind = {400: Refused, 404: NotConnected, 504: NoAnswer}.get(status, ControlError)
            raise kind(printable(text) or f"status {status}", hint=f"said by {self.address}")
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise ControlError(f"{self.address}: no JSON", hint="is it a controller of SPP?") from None

    async def seen(self) -> list[Seen]:
        found = await self.call("GET", "/processes")
        targets = [t for t in map(_target, found if isinstance(found, list) else []) if t is not None]
        answers = await asyncio.gather(*(self._status(target) for target in targets))
        return [Seen(t.kind, t.client_id, answer) for t, answer in zip(targets, answers, strict=True)]

    async def _status(self, target: Target) -> dict[str, Any]:
        try:
            found = await self.call("GET", "/primary/status" if target == PRIMARY else base(target))
        except ControlError:
            return {}
        return found if isinstance(found, dict) else {}


def _target(process: object) -> Target | None:
    kind = process.get("type") if isinstance(process, dict) else None
    client_id = process.get("client-id") if isinstance(process, dict) else None
    if kind == "primary":
        return PRIMARY
    known = kind in ("nfv", "vm", "vf", "mirror", "pcap") and isinstance(client_id, int)
    return Target(str(kind), client_id) if known and isinstance(client_id, int) else None


def address_of(where: str) -> str:
    """``where`` as ``HOST:PORT``, or as the path it is. BadValue else."""
    if where.startswith("/"):
        return where
    found = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9.-]{0,252})(?::(\d{1,5}))?", where)
    if found is None or not 0 < int(found[2] or PORT) < 65536:
        raise BadValue(f"{where!r} is not the address of a controller", hint="server add 192.168.1.2:7777")
    return f"{found[1]}:{found[2] or PORT}"


class Hosts:
    """The controllers that ``server`` knows, one of them current."""

    def __init__(self, first: Host) -> None:
        self.all: list[Host] = [first]
        self.current = first

    def command(self, args: tuple[str, ...]) -> list[str]:
        """``server ...``: what it prints. BadValue for what it does not know."""
        match args:
            case () | ("list",):
                return [f"  {n}: {h.address}{' *' if h is self.current else ''}" for n, h in enumerate(self.all, 1)]
            case ("add", where):
                address = address_of(where)
                if any(host.address == address for host in self.all):
                    raise BadValue(f"{address} is registered already", hint="server lists them")
                self.all.append(Remote(address))
                return [f'Registered spp-ctl "{address}".']
            case ("del", which):
                host = self._find(which)
                if host is self.current:
                    raise BadValue(f"{host.address} is the current one", hint="switch to another first: server N")
                self.all.remove(host)
                return [f'Unregistered spp-ctl "{host.address}".']
            case ("switch", which) | (which,):
                self.current = self._find(which)
                return [f'Switch spp-ctl to "{self.current.address}".']
        raise BadValue(f"server {' '.join(args)}: no such form", hint="server, server N, server add IP, server del N")

    def _find(self, which: str) -> Host:
        if which.isdecimal() and 0 < int(which) <= len(self.all):
            return self.all[int(which) - 1]
        wanted = which if which.isdecimal() else address_of(which)
        for host in self.all:
            if host.address == wanted:
                return host
        raise BadValue(f"{which}: no such server", hint="server lists them")
