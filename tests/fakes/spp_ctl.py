"""A fake spp-ctl with the calls that a launcher uses, and with its defects.

It replies 204 although the process failed, keeps a dead primary in its list, and replaces a process when another one
with the same id connects (docs/spp-protocol.md, Client id, Exit, REST).
"""

import argparse
import contextlib
import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.fakes.link import VERSIONS

SIZE = 4096
KINDS = {"nfvs": "nfv", "vfs": "vf", "mirrors": "mirror", "pcaps": "pcap"}


class Process:
    def __init__(self, kind: str, sock: socket.socket) -> None:
        self.kind, self.sock, self.lock = kind, sock, threading.Lock()

    def ask(self, command: str) -> str:
        """Return the reply as spp-ctl reads it: one receive of 4096 bytes, then more if that was full."""
        with self.lock:
            self.sock.sendall(command.encode())
            reply = self.sock.recv(SIZE)
            if len(reply) == SIZE:
                with contextlib.suppress(BlockingIOError):
                    while more := self.sock.recv(SIZE, socket.MSG_DONTWAIT):
                        reply += more
                        if len(more) < SIZE:
                            break
            return reply.decode()


class Ctl:
    def __init__(self, version: str, options: argparse.Namespace) -> None:
        self.version, self.table = version, dict[int, Process]()
        for port, take in ((options.p, self.primary), (options.s, self.secondary)):
            server = socket.create_server((options.b, port))
            threading.Thread(target=self.accept, args=(server, take), daemon=True).start()

    def accept(self, server: socket.socket, take) -> None:  # type: ignore[no-untyped-def]
        while True:
            take(server.accept()[0])

    def primary(self, sock: socket.socket) -> None:
        self.table[0] = Process("primary", sock)

    def secondary(self, sock: socket.socket) -> None:
        reply = Process("", sock).ask("_get_client_id")
        digits = reply.strip("\0")  # as in the real one, a byte after the padding makes it invalid
        if self.version == "18.08.1" and digits.isdecimal():
            number, kind = int(digits), "nfv"
        else:
            try:
                found = self.decode(reply)
                number, kind = found["client_id"], found["process_type"]
            except (ValueError, KeyError, TypeError):
                print("get process id failed", flush=True)
                sock.close()
                return
        old = self.table.pop(number, None)
        if old:
            old.sock.close()
        self.table[number] = Process(kind, sock)

    def decode(self, reply: str) -> dict[str, object]:
        """Decode JSON as each release does: up to 18.08.1 a vf must not pad; later every NUL is removed."""
        return dict(json.loads(reply if self.version == "18.08.1" else reply.replace("\0", "")))

    def status(self, process: Process) -> dict[str, object]:
        reply = process.ask("status")
        if self.version in ("18.08.1", "18.08.2") and process.kind in ("nfv", "primary"):
            try:
                return dict(json.loads(reply.strip("\0")))
            except ValueError:
                return {}  # also for a dead process
        found = self.decode(reply)
        info = found.get("info", found)
        assert isinstance(info, dict)
        return info

    def processes(self) -> list[dict[str, object]]:
        """List the processes. Up to 18.08.2 they are not queried, and a dead secondary stays listed."""
        found: list[dict[str, object]] = []
        for number, process in sorted(self.table.items()):
            try:
                if number and VERSIONS.index(self.version) >= VERSIONS.index("18.08.3"):
                    self.status(process)
                found.append({"type": process.kind} | ({"client-id": number} if number else {}))
            except (OSError, ValueError):
                del self.table[number]
        return found

    def call(self, method: str, path: str, body: dict[str, str]) -> tuple[int, object]:
        if (method, path) == ("GET", "/v1/processes"):
            return 200, self.processes()
        found = re.fullmatch(r"/v1/(?:primary|(nfvs|vfs|mirrors|pcaps)/(\d+))(/\w+)?", path)
        if not found:
            return 404, "Not found"
        number = int(found[2] or 0)
        process = self.table.get(number)
        if process is None or process.kind != KINDS.get(found[1] or "", "primary"):
            return 404, f"sec_id {number} not found." if number else "primary not found."
        verb = (method, found[3] or ("/status" if method == "GET" else ""))
        if verb == ("GET", "/status"):
            return 200, self.status(process)
        if verb == ("DELETE", ""):
            if process.kind != "nfv" and number and self.version == "18.08.1":
                return 405, "Method not allowed."
            self.table.pop(number, None)
            process.ask("exit")
        elif verb == ("PUT", "/ports"):
            process.ask(f"{body['action']} {body['port']}")  # spp-ctl ignores "failed"
        elif verb == ("PUT", "/patches"):
            process.ask(f"patch {body['src']} {body['dst']}")
        elif verb == ("DELETE", "/patches"):
            process.ask("patch reset")
        elif verb == ("PUT", "/forward"):
            process.ask("forward" if body["action"] == "start" else "stop")
        return 204, ""


class Handler(BaseHTTPRequestHandler):
    ctl: Ctl

    def do_GET(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            status, found = self.ctl.call(self.command, self.path.partition("?")[0], json.loads(raw) if raw else {})
        except (OSError, ValueError, KeyError):
            status, found = 500, "Internal Server Error"
        text = (json.dumps(found) if status == 200 else str(found)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status == 200 else "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_PUT = do_DELETE = do_GET  # noqa: N815


def main(version: str) -> None:
    assert VERSIONS.index(version) >= VERSIONS.index("18.08.1")
    parser = argparse.ArgumentParser()
    parser.add_argument("-b", default="localhost")
    for name, default in (("-p", 5555), ("-s", 6666), ("-a", 7777)):
        parser.add_argument(name, type=int, default=default)
    options = parser.parse_args()
    Handler.ctl = Ctl(version, options)
    ThreadingHTTPServer((options.b, options.a), Handler).serve_forever()
