"""The base of all fakes: the process side of SPP's protocol, byte for byte.

(docs/spp-protocol.md, Transport, Exit)

A process connects, and answers one command after the other. When the connection ends, it connects again every second,
and keeps its state. ``Fake.answer`` returns the text of a reply, ``ECHO`` or ``SILENCE``.
"""

import argparse
import ctypes
import json
import os
import socket
import sys
import threading
import time

ECHO, SILENCE = b"<echo>", b"<silence>"
VERSIONS = (
    "16.07", "17.02", "17.05", "17.08", "17.11", "18.02", "18.05",
    "18.08.1", "18.08.2", "18.08.3", "18.08.4", "19.08", "19.11", "HEAD",
)  # fmt: skip


class Fake:
    """A process of SPP. ``kind``: primary, nfv, vf, mirror or pcap. vf, mirror and pcap do not pad."""

    kind = "nfv"
    default = "HEAD"

    def __init__(self, options: argparse.Namespace) -> None:
        self.id: int = options.id
        self.options = options
        self.ended = False
        padded = self.kind in ("nfv", "primary")
        size = 1000 if self.before("18.08.1") else 2048 if self.before("19.11") else 32768
        self.most = size
        self.size = size if padded else 0

    def before(self, version: str) -> bool:
        """Return whether this process is older than ``version``."""
        return VERSIONS.index(self.options.version) < VERSIONS.index(version)

    def answer(self, words: list[str]) -> bytes:
        raise NotImplementedError

    def reply(self, command: bytes) -> bytes | None:
        """Return the bytes that go out for ``command``: text, then NULs up to the fixed size.

        The C clears its buffer before each receive, and again before most replies, so nothing of an earlier command
        stays behind a reply. An echo is the received command after strtok: each space is a NUL.
        """
        answer = self.answer(command.decode().split(" "))
        if answer == SILENCE:
            return None
        text = command.replace(b" ", b"\0") if answer == ECHO else answer
        return text[: self.size].ljust(self.size, b"\0") if self.size else text

    def serve(self, sock: socket.socket) -> None:
        """Serve one connection until it ends."""
        count = 0
        while not self.ended and (command := sock.recv(self.most)):
            count += 1
            print(command.decode(errors="replace"), flush=True)
            time.sleep(self.options.delay)
            reply = None if command.decode() in self.options.mute else self.reply(command)
            if reply is not None:
                step = self.options.split or len(reply)
                for start in range(0, len(reply), step):
                    sock.sendall(reply[start : start + step])
                    time.sleep(0.001 if self.options.split else 0)
            if self.options.leave and count >= self.options.leave:
                self.options.leave = 0
                return


def main(fake: type[Fake]) -> None:
    """Run a fake: ``-n ID -s IP:PORT`` as the real program, and options for its faults."""
    parser = argparse.ArgumentParser(description=fake.__doc__)
    parser.add_argument("-n", "--client-id", dest="id", type=int, default=0)
    parser.add_argument("-s", dest="server", required=True)
    parser.add_argument("--version", choices=VERSIONS, default=fake.default)
    parser.add_argument("--nics", type=int, default=2)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each reply")
    parser.add_argument("--mute", action="append", default=[], help="a command that is never answered")
    parser.add_argument("--split", type=int, default=0, help="bytes of each piece of a reply")
    parser.add_argument("--leave", type=int, default=0, help="close after this many commands, once, and come back")
    parser.add_argument("--lie", action="store_true", help="say that a change succeeded, and do nothing")
    parser.add_argument("--again", action="store_true", help="restart at once after an exit command")
    options = parser.parse_args()
    process = fake(options)
    threading.Thread(target=_work, daemon=True).start()
    host, _, port = process.options.server.partition(":")
    parent = os.getppid()
    while not process.ended and os.getppid() == parent:
        try:
            with socket.create_connection((host, int(port)), timeout=5) as sock:
                sock.settimeout(None)
                process.serve(sock)
        except OSError:
            pass
        if process.ended and options.again:
            process = fake(options)
        elif not process.ended:
            time.sleep(1)
    sys.exit(0)


def _work() -> None:
    """Run a thread with the name of an lcore of DPDK."""
    ctypes.CDLL(None).prctl(15, b"lcore-worker-1", 0, 0, 0)  # PR_SET_NAME
    time.sleep(3600)


def compact(**fields: object) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def results(error: str = "", **fields: object) -> bytes:
    """Return the reply format of vf, mirror and pcap, with its irregular spaces."""
    inner = '"result": "success"' if not error else f'"result": "error", "error_details": {{ "message": "{error}" }}'
    more = "".join(f', "{key}": {json.dumps(value)}' for key, value in fields.items())
    return f'{{"results": [ {{ {inner} }} ]{more}}}'.encode()
