"""The program: waits for the ports, starts spp.py, serves the launcher beside the user."""

import argparse
import contextlib
import os
import signal
import socket
import threading
from pathlib import Path

from sppr.classic.client import Client
from sppr.classic.http import Server
from sppr.classic.service import Service
from sppr.classic.terminal import Terminal
from sppr.deadline import Deadline
from sppr.spp import releases
from sppr.spp.releases import VERSIONS, Version

#: Seconds the kernel keeps a port of connections that were closed; spp.py of before 17.08 cannot take it before.
TIME_WAIT = 65.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="sppr.classic", description=__doc__)
    parser.add_argument("--api-socket", type=Path, required=True)
    parser.add_argument("--version", choices=VERSIONS, required=True)
    parser.add_argument("--kind", choices=("nfv", "vf"), default="nfv")
    parser.add_argument("--manage", metavar="HOST:PORT", help="management port; without: into the prompt")
    parser.add_argument("--ports", default="", help="TCP ports that spp.py is going to listen on: 5555,6666")
    parser.add_argument("argv", nargs="+", help="PYTHON spp.py …")
    words = parser.parse_args()
    version = Version(words.version)
    if not version.has_management_port or words.kind == "vf":
        wait_for_ports([int(port) for port in words.ports.split(",") if port])
    bare = version.since("18.05") and words.kind == "nfv"
    host, _, port = (words.manage or "").rpartition(":")
    if bare and releases.major_version(words.argv[0]) >= 3:
        port = ""  # there its management port ends in a TypeError: it takes bytes for text
    keeper = Terminal(words.argv)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: keeper.end())
    desk = Client(keeper, (host, int(port)) if port else None, bare)
    server = Server(words.api_socket, Service(desk, words.kind))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        status = keeper.run()
    finally:
        words.api_socket.unlink(missing_ok=True)
    if status < 0:  # an exit status above 128 is no signal to the pane
        if -status not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def wait_for_ports(ports: list[int]) -> None:
    """Until they can be bound as spp.py does it, without address reuse; told once. After a minute it may try itself."""
    told = False
    for _ in Deadline(TIME_WAIT).ticks(0.5):
        taken = [port for port in ports if not _free(port)]
        if not taken:
            return
        if not told:
            print(f"waiting for port {taken[0]}: it is kept for up to a minute after the controller before", flush=True)
            told = True


def _free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.socket() as sock:
        sock.bind(("", port))
        return True
    return False
