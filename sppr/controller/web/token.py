"""The token that a browser needs if the page is served at an address that is not loopback.

On loopback, the kernel says which user has opened a connection (``server.access``). On another address only the network
of the client is known, so the page asks for a token from a file that only the lab's user can read.
"""

import contextlib
import hmac
import ipaddress
import os
import secrets
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

COOKIE = "sppr_token"
LOGIN = "/login"
#: Headers that every browser of today sends with requests of a page.
_OF_BROWSERS = ("Origin", "Sec-Fetch-Site", "Cookie")
#: Paths that only a browser needs.
_PAGES = ("/", "/web/", "/v1/live/stream")


def load(path: Path) -> str:
    """Return the token in this file, after writing a new one if the file does not exist. Raise OSError if it cannot be
    read or written.
    """
    with contextlib.suppress(FileExistsError):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
    return path.read_text().strip()


def is_needed(host: str) -> bool:
    """Return whether a page at this address needs a token."""
    return not ipaddress.ip_address(host).is_loopback


def middleware(token: str, login_page: bytes) -> Middleware:
    """Return a middleware that asks a browser for the token. A request to the login page sets the cookie."""

    @web.middleware
    async def check_token(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not _is_browser(request):
            return await handler(request)
        if request.path == LOGIN and request.method == "POST":
            given = str((await request.post()).get("token", "")).strip()
            if _matches(given, token):
                response = web.Response(status=303, headers={"Location": "/"})
                response.set_cookie(COOKIE, token, httponly=True, samesite="Strict", path="/")
                return response
            return web.Response(status=403, body=login_page, content_type="text/html", charset="utf-8")
        if request.path == "/web/panel.css" or _matches(request.cookies.get(COOKIE, ""), token):
            return await handler(request)
        if request.path == "/":
            return web.Response(status=401, body=login_page, content_type="text/html", charset="utf-8")
        return web.Response(status=401, text="open the page, and enter the token")

    return check_token


def _is_browser(request: web.Request) -> bool:
    if request.transport is not None and not isinstance(request.transport.get_extra_info("sockname"), tuple):
        return False  # the unix socket
    pages = request.path in (*_PAGES, LOGIN) or request.path.startswith("/web/")
    return pages or any(name in request.headers for name in _OF_BROWSERS)


def _matches(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())
