"""Serve the page, its files and streams, and ``/metrics``.

The files are a fixed table: no path of a request reaches the file system. The Content-Security-Policy permits nothing
that is not served here, and no inline script or style.
"""

from importlib import resources

from aiohttp import web
from aiohttp.typedefs import Handler

from sppr.controller.monitor import Monitor
from sppr.controller.web.stream import Streams

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer, a browser sends "Origin: null" with the form of the token.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def add_page(app: web.Application, monitor: Monitor) -> None:
    """Add the page, its files and its stream to the application."""
    files = assets()
    streams = Streams(monitor)

    def route(name: str) -> Handler:
        async def serve(_request: web.Request) -> web.Response:
            return web.Response(body=files[name], content_type=_TYPES[name.rpartition(".")[2]], charset="utf-8")

        return serve

    app.router.add_get("/", route("index.html"))
    for name in files:
        app.router.add_get(f"/web/{name}", route(name))
    app.router.add_get("/v1/live/stream", streams.handle)
    app.on_shutdown.append(streams.close)


def add_metrics(app: web.Application, monitor: Monitor, version: str) -> None:
    """Add ``/metrics``."""

    async def metrics(request: web.Request) -> web.Response:
        from sppr.controller.web.metrics import render  # the import takes 60 ms, and only a scrape needs it

        body, content_type = render(await monitor.sample(), version, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    app.router.add_get("/metrics", metrics)


def assets() -> dict[str, bytes]:
    """Return the files of the page by name."""
    folder = resources.files("sppr.controller.web") / "assets"
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name.rpartition(".")[2] in _TYPES}


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Add the security headers to every response."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
