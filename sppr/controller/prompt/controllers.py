"""The controllers the prompt can talk to: the local one, and remote ones (sppr's or spp-ctl) over REST."""

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl

from sppr.controller import components
from sppr.controller.errors import BadValue, NoAnswer, NotConnected, Refused
from sppr.controller.patch_panel import PatchPanel
from sppr.controller.prompt.request import base
from sppr.controller.rest import bodies
from sppr.controller.rest.routes import PATH_PATTERNS, ROUTES, Call
from sppr.errors import ControlError
from sppr.spp.names import PRIMARY, Target, printable

PORT = 7777
#: Seconds for a call of a remote controller.
TIMEOUT = 10.0
#: Maximum size of its answer in bytes.
MAX_REPLY_SIZE = 1 << 22


@dataclass(frozen=True)
class ProcessStatus:
    """A connected process and its status in the form of REST. ``host``: its host in a lab over several, else empty."""

    kind: str
    client_id: int = 0
    status: dict[str, Any] = field(default_factory=dict)
    host: str = ""

    def __str__(self) -> str:
        return self.on_host(str(Target(self.kind, self.client_id)))

    def on_host(self, name: str) -> str:
        """Return a name on its host: ``east/tap:0``, or the name itself in a lab of one host."""
        return f"{self.host}/{name}" if self.host else name


class Controller(Protocol):
    """One controller."""

    address: str

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call REST. Return the JSON of the reply, or None for a 204. Raise ControlError if the call fails."""

    async def process_statuses(self) -> list[ProcessStatus]:
        """Return the connected processes with their status."""


class LocalController:
    """The controller of which this prompt is a part. Its calls do not use HTTP."""

    def __init__(self, panel: PatchPanel, address: str, sec_address: str = "127.0.0.1:6666") -> None:
        self.address = address
        self.sec_address = sec_address
        self._panel = panel

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the handler of the matching route."""
        path, _, query = path.partition("?")
        for route in ROUTES:
            pattern = re.sub(r"\{(\w+)\}", lambda match: f"(?P<{match[1]}>{PATH_PATTERNS[match[1]]})", route.path)
            found = re.fullmatch(pattern, path) if route.method == method else None
            if found:
                parameters = found.groupdict()
                target = Target(route.kind, int(parameters["id"])) if "id" in parameters else PRIMARY
                validated = bodies.validate(body, route.body) if route.body else None
                return await route.handler(Call(self._panel, target, parameters, validated, dict(parse_qsl(query))))
        raise BadValue(f"{method} {path}: no such call", hint="GET /v1/openapi.json lists them")

    async def process_statuses(self) -> list[ProcessStatus]:
        """Return the connected processes with their current status."""
        await self._panel.processes()
        return [
            ProcessStatus(p.kind, p.client_id, components.rest_form(p.status, p.kind)) for p in self._panel.connected()
        ]


class RemoteController:
    """A controller at ``IP[:PORT]``, or at the path of its unix socket."""

    def __init__(self, where: str) -> None:
        self.address = address_of(where)

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send the request over HTTP."""
        import aiohttp

        unix = self.address.startswith("/")
        connector = aiohttp.UnixConnector(self.address) if unix else None
        url = f"http://{'localhost' if unix else self.address}/v1{path}"
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(TIMEOUT)) as session,
                session.request(method, url, json=body, allow_redirects=False) as response,
            ):
                raw = await response.content.read(MAX_REPLY_SIZE)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = printable(str(error)) or "no answer"
            hint = "type server to list the other controllers"
            raise ControlError(f"{self.address} does not answer: {why}", hint=hint) from None
        text = raw.decode("utf-8", "replace")
        if status >= 300:
            kind = {400: Refused, 404: NotConnected, 504: NoAnswer}.get(status, ControlError)
            raise kind(printable(text) or f"status {status}", hint=f"reported by {self.address}")
        try:
            return json.loads(text) if text else None
        except ValueError:
            what = f"{self.address}: the answer is not JSON"
            raise ControlError(what, hint="check that this is the address of an SPP controller") from None

    async def process_statuses(self) -> list[ProcessStatus]:
        """Return the connected processes with their status, which is empty if its request failed."""
        found = await self.call("GET", "/processes")
        targets = [t for t in map(target_of, found if isinstance(found, list) else []) if t is not None]
        answers = await asyncio.gather(*(self._status(target) for target in targets))
        return [ProcessStatus(t.kind, t.client_id, answer) for t, answer in zip(targets, answers, strict=True)]

    async def _status(self, target: Target) -> dict[str, Any]:
        try:
            found = await self.call("GET", "/primary/status" if target == PRIMARY else base(target))
        except ControlError:
            return {}
        return found if isinstance(found, dict) else {}


def target_of(process: object) -> Target | None:
    """Return the target of an entry of ``GET /v1/processes``, or None if the entry is not valid."""
    kind = process.get("type") if isinstance(process, dict) else None
    client_id = process.get("client-id") if isinstance(process, dict) else None
    if kind == "primary":
        return PRIMARY
    valid = kind in ("nfv", "vm", "vf", "mirror", "pcap") and isinstance(client_id, int)
    return Target(str(kind), client_id) if valid and isinstance(client_id, int) else None


def address_of(where: str) -> str:
    """Return the address as ``HOST:PORT``, or a path as it is. Raise BadValue for anything else."""
    if where.startswith("/"):
        return where
    found = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9.-]{0,252})(?::(\d{1,5}))?", where)
    if found is None or not 0 < int(found[2] or PORT) < 65536:
        raise BadValue(f"{where!r} is not the address of a controller", hint="server add 192.168.1.2:7777")
    return f"{found[1]}:{found[2] or PORT}"


class Controllers:
    """The controllers that ``server`` lists. ``current``: the one that the prompt uses."""

    def __init__(self, first: Controller) -> None:
        self.all: list[Controller] = [first]
        self.current = first

    def command(self, args: tuple[str, ...]) -> list[str]:
        """Carry out ``server ...``, and return the lines to print. Raise BadValue for invalid arguments."""
        match args:
            case () | ("list",):
                return [f"  {n}: {h.address}{' *' if h is self.current else ''}" for n, h in enumerate(self.all, 1)]
            case ("add", where):
                address = address_of(where)
                if any(controller.address == address for controller in self.all):
                    raise BadValue(f"{address} is already registered", hint="type server to list the controllers")
                self.all.append(RemoteController(address))
                return [f'Registered spp-ctl "{address}".']
            case ("del", which):
                controller = self._find(which)
                if controller is self.current:
                    what = f"{controller.address} is the current controller"
                    raise BadValue(what, hint="switch to another controller first: server N")
                self.all.remove(controller)
                return [f'Unregistered spp-ctl "{controller.address}".']
            case ("switch", which) | (which,):
                self.current = self._find(which)
                return [f'Switch spp-ctl to "{self.current.address}".']
        hint = "server, server N, server add IP, server del N"
        raise BadValue(f"server {' '.join(args)}: invalid arguments", hint=hint)

    def _find(self, which: str) -> Controller:
        if which.isdecimal() and 0 < int(which) <= len(self.all):
            return self.all[int(which) - 1]
        address = which if which.isdecimal() else address_of(which)
        for controller in self.all:
            if controller.address == address:
                return controller
        raise BadValue(f"{which}: no such server", hint="type server to list the controllers")
