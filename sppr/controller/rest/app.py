"""REST v1 over HTTP: the ``routes`` with the status codes of spp-ctl (spp-facts 5).

Where spp-ctl is wrong this is not: a command that failed is 400 with the process's words (spp-ctl: 204), a bad value is
400 (500), a process that went away is 404 (500), one that does not answer 504 (waits for ever). Errors are text/plain.
Beyond spp-ctl: ``DELETE /v1/nfvs/1?keep=1`` ends a process that is to be wired as before when it is started again.
"""

import logging
import os
import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from sppr.controller.errors import BadValue, NoAnswer, NotConnected, Refused
from sppr.controller.patch_panel import PatchPanel
from sppr.controller.rest import bodies, limits, openapi
from sppr.controller.rest.routes import PARTS, ROUTES, Call, Route
from sppr.spp.names import PRIMARY, Target

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: Bytes of a request's body; the largest of SPP's own is some hundred.
LARGEST_BODY = 65536


def application(
    panel: PatchPanel,
    info: dict[str, object],
    connections: list[limits.ConnectionLimit] | None = None,
    bound: str = "127.0.0.1",
) -> web.Application:
    """Return the application. ``info``: what ``GET /v1/controller`` answers beside the pid. ``connections``: the limits
    of its sockets, filled in later. ``bound``: the address of the TCP socket."""

    @web.middleware
    async def no_strangers(request: web.Request, handler: Handler) -> web.StreamResponse:
        if reason := limits.foreign(request, bound):
            return _plain(403, reason)
        return await handler(request)

    guard = limits.middleware([] if connections is None else connections)
    app = web.Application(middlewares=[no_strangers, _plain_errors, guard], client_max_size=LARGEST_BODY)

    async def controller(_request: web.Request) -> web.Response:
        return web.json_response({"pid": os.getpid(), **info})

    async def document(_request: web.Request) -> web.Response:
        return web.json_response(openapi.document(str(info.get("version", ""))))

    app.router.add_get("/v1/controller", controller)
    app.router.add_get("/v1/openapi.json", document)
    for route in ROUTES:
        path = re.sub(r"\{(\w+)\}", lambda part: f"{{{part[1]}:{PARTS[part[1]]}}}", route.path)
        app.router.add_route(route.method, f"/v1{path}", _handler(panel, route))
    return app


def _handler(panel: PatchPanel, route: Route) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        body = bodies.read(await request.read(), route.body) if route.body else None
        number = request.match_info.get("id")
        target = PRIMARY if number is None else Target(route.kind, int(number))
        answer = await route.done(Call(panel, target, dict(request.match_info), body, dict(request.query)))
        return web.json_response(answer) if route.answers else web.Response(status=204)

    return handle


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
