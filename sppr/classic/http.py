"""Serve the launcher over HTTP on the unix socket of the run directory."""

import http.server
import json
import socketserver
from pathlib import Path

from sppr.classic.client import RequestError
from sppr.classic.service import Service
from sppr.classic.terminal import Ended


class Server(socketserver.ThreadingUnixStreamServer):
    """The HTTP server at ``path``. Only the user who runs it may connect."""

    daemon_threads = True

    def __init__(self, path: Path, service: Service) -> None:
        path.unlink(missing_ok=True)
        self.service = service
        super().__init__(str(path), _Handler)
        path.chmod(0o600)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        """Answer a request of any method."""
        self._serve()

    do_PUT = do_DELETE = do_GET  # noqa: N815 - names of http.server

    def _serve(self) -> None:
        try:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            result = self.server.service.answer(self.command, self.path, json.loads(raw) if raw else {})
            status, text = (200, json.dumps(result)) if result is not None else (204, "")
        except RequestError as error:
            status, text = error.status, str(error)
        except ValueError:
            status, text = 400, "Not in json format."
        except (Ended, OSError) as error:
            status, text = 503, f"spp.py is not running: {error}"
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status == 200 else "text/plain")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def address_string(self) -> str:
        """Return the client's name: the launcher is the only client, and a unix socket has no address."""
        return "launcher"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing: the terminal belongs to spp.py."""
