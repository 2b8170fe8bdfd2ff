"""REST v1 over HTTP: the table of ``routes`` with the status codes of spp-ctl (docs/spp-protocol.md, REST).

Known errors of spp-ctl are corrected. A command that failed is 400 with the message of the process (spp-ctl: 204), an
invalid value is 400 (500), a process that disconnected is 404 (500), and one that does not answer is 504 (spp-ctl waits
forever). Errors are text/plain. An addition to spp-ctl: ``DELETE /v1/nfvs/1?keep=1`` stops a process whose ports and
patches are restored when it is started again.
"""

import logging
import os
import re
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from sppr.controller.errors import BadValue, NoAnswer, NotConnected, Refused
from sppr.controller.monitor import Monitor
from sppr.controller.patch_panel import PatchPanel
from sppr.controller.rest import bodies, limits, openapi
from sppr.controller.rest.routes import PATH_PATTERNS, ROUTES, Call, Route
from sppr.spp.names import PRIMARY, Target

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: Maximum size of a request's body in bytes. The largest body of SPP itself has some hundred.
MAX_BODY_SIZE = 65536


def application(
    panel: PatchPanel,
    info: dict[str, object],
    connections: list[limits.ConnectionLimit] | None = None,
    listen_address: str = "127.0.0.1",
    monitor: Monitor | None = None,
    guards: Sequence[Middleware] = (),
) -> web.Application:
    """Return the aiohttp application.

    - ``info``: the answer of ``GET /v1/controller``, in addition to the pid.
    - ``connections``: the limits of its sockets; the list is filled in later.
    - ``listen_address``: the address of the TCP socket.
    - ``monitor``: the source of ``GET /v1/live``.
    - ``guards``: middlewares that see a request first, after the check of its Host.
    """
    monitor = monitor or Monitor(panel.server)

    @web.middleware
    async def check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
        if reason := limits.host_refusal(request, listen_address):
            return _plain(403, reason)
        return await handler(request)

    mark_busy = limits.middleware([] if connections is None else connections)
    middlewares = [check_host, *guards, _convert_errors, mark_busy]
    app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY_SIZE)

    async def controller(_request: web.Request) -> web.Response:
        return web.json_response({"pid": os.getpid(), **info})

    async def document(_request: web.Request) -> web.Response:
        return web.json_response(openapi.document(str(info.get("version", ""))))

    async def live(_request: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(await monitor.sample()), content_type="application/json")

    app.router.add_get("/v1/controller", controller)
    app.router.add_get("/v1/live", live)
    app.router.add_get("/v1/openapi.json", document)
    for route in ROUTES:
        path = re.sub(r"\{(\w+)\}", lambda match: f"{{{match[1]}:{PATH_PATTERNS[match[1]]}}}", route.path)
        app.router.add_route(route.method, f"/v1{path}", _handler(panel, route))
    return app


def _handler(panel: PatchPanel, route: Route) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        body = bodies.parse(await request.read(), route.body) if route.body else None
        number = request.match_info.get("id")
        target = PRIMARY if number is None else Target(route.kind, int(number))
        answer = await route.handler(Call(panel, target, dict(request.match_info), body, dict(request.query)))
        return web.json_response(answer) if route.returns_json else web.Response(status=204)

    return handle


@web.middleware
async def _convert_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
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
