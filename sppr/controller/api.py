"""REST v1, the part of it that the launcher needs: routes, bodies and status codes of spp-ctl (spp-facts 5).

Where spp-ctl is wrong this is not: a command that failed is 400 with the process's words (spp-ctl: 204), a bad value is
400 (500), a process that went away is 404 (500), one that does not answer 504 (waits for ever). Errors are text/plain.
Beyond spp-ctl: ``DELETE /v1/nfvs/1?keep=1`` ends a process that is to be wired as before when it is started again.
"""

import json
import logging
import os
from collections.abc import Awaitable, Callable

from aiohttp import web

from sppr.spp.names import PRIMARY, Target

from .faults import BadValue, NoAnswer, NotConnected, Refused
from .panel import Panel

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: Bytes of a request's body; the largest of SPP's own is some hundred.
LARGEST_BODY = 65536


def application(panel: Panel, info: dict[str, object]) -> web.Application:
    """The application; ``info`` is what ``GET /v1/controller`` tells beside the pid."""
    app = web.Application(middlewares=[_plain_errors], client_max_size=LARGEST_BODY)

    async def controller(_request: web.Request) -> web.Response:
        return web.json_response({"pid": os.getpid(), **info})

    async def processes(_request: web.Request) -> web.Response:
        return web.json_response(await panel.processes())

    app.router.add_get("/v1/controller", controller)
    app.router.add_get("/v1/processes", processes)
    routes = _Routes(panel)
    app.router.add_get("/v1/primary/status", routes.status)
    app.router.add_delete("/v1/primary/status", routes.clear)
    app.router.add_get(r"/v1/nfvs/{id:\d{1,9}}", routes.status)
    for base in ("/v1/primary", r"/v1/nfvs/{id:\d{1,9}}"):
        app.router.add_put(f"{base}/forward", routes.forward)
        app.router.add_put(f"{base}/ports", routes.ports)
        app.router.add_put(f"{base}/patches", routes.patch)
        app.router.add_delete(f"{base}/patches", routes.reset)
        app.router.add_delete(base, routes.exit)
    return app


class _Routes:
    """The handlers that primary and nfv share; an ``id`` in the path says which of them is meant."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    async def status(self, request: web.Request) -> web.Response:
        return web.json_response(await self._panel.status(_target(request)))

    async def clear(self, request: web.Request) -> web.Response:
        await self._panel.clear(_target(request))
        return _done()

    async def forward(self, request: web.Request) -> web.Response:
        body = await _body(request, "action")
        start = _one_of(body, "action", "start", "stop") == "start"
        await self._panel.forward(_target(request), start=start)
        return _done()

    async def ports(self, request: web.Request) -> web.Response:
        body = await _body(request, "action", "port")
        if _one_of(body, "action", "add", "del") == "del":
            await self._panel.delete(_target(request), body["port"])
        else:
            rings = [body[key] for key in ("rx", "tx") if key in body]
            await self._panel.add(_target(request), body["port"], rings)
        return _done()

    async def patch(self, request: web.Request) -> web.Response:
        body = await _body(request, "src", "dst")
        await self._panel.patch(_target(request), body["src"], body["dst"])
        return _done()

    async def reset(self, request: web.Request) -> web.Response:
        await self._panel.reset(_target(request))
        return _done()

    async def exit(self, request: web.Request) -> web.Response:
        await self._panel.exit(_target(request), keep=request.query.get("keep") == "1")
        return _done()


def _target(request: web.Request) -> Target:
    number = request.match_info.get("id")
    return PRIMARY if number is None else Target("nfv", int(number))


def _done() -> web.Response:
    return web.Response(status=204)


async def _body(request: web.Request, *keys: str) -> dict[str, object]:
    """The JSON object of the request, whatever its Content-Type says. BadValue where it or a key is missing."""
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise BadValue("Not in json format.")
    for key in keys:
        if key not in body:
            raise BadValue(f"key({key}) required.")
    return body


def _one_of(body: dict[str, object], key: str, *values: str) -> str:
    value = body[key]
    if not isinstance(value, str) or value not in values:
        raise BadValue(f"invalid value of key({key}): one of {', '.join(values)} required.")
    return value


@web.middleware
async def _plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except BadValue as error:
        return _plain(400, error.what + (f" ({error.hint})" if error.hint else ""))
    except Refused as error:
        return _plain(400, f"command error: {error.what}")
    except NotConnected:
        number = request.match_info.get("id")
        return _plain(404, "primary not found." if number is None else f"sec_id {int(number)} not found.")
    except NoAnswer as error:
        return _plain(504, error.what)
    except web.HTTPMethodNotAllowed as error:
        return _plain(405, "Method not allowed.", Allow=", ".join(sorted(error.allowed_methods)))
    except web.HTTPNotFound:
        return _plain(404, f"Not found: {request.path.removeprefix('/v1')!r}")
    except web.HTTPException as error:
        return _plain(error.status, f"{error.reason}.")
    except Exception:
        log.exception("%s %s", request.method, request.path)
        return _plain(500, "Internal Server Error")


def _plain(status: int, text: str, **headers: str) -> web.Response:
    return web.Response(status=status, text=text, headers=headers)
