"""The program: wait for the ports, start spp.py, and serve the launcher while the user works at the prompt."""

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

#: Seconds for which the kernel reserves a port after its connections are closed. spp.py before 17.08 cannot bind it
#: earlier.
TIME_WAIT = 65.0


def main() -> int:
    """Run spp.py until it ends, and return its exit status. A signal that ended spp.py ends this process, too."""
    parser = argparse.ArgumentParser(prog="sppr.classic", description=__doc__)
    parser.add_argument("--api-socket", type=Path, required=True)
    parser.add_argument("--version", choices=VERSIONS, required=True)
    parser.add_argument("--kind", choices=("nfv", "vf"), default="nfv")
    parser.add_argument("--manage", metavar="HOST:PORT", help="management port of spp.py; without it, use the prompt")
    parser.add_argument("--ports", default="", help="TCP ports of spp.py to wait for, such as 5555,6666")
    parser.add_argument("argv", nargs="+", help="PYTHON spp.py …")
    options = parser.parse_args()
    version = Version(options.version)
    if not version.has_management_port or options.kind == "vf":
        wait_for_ports([int(port) for port in options.ports.split(",") if port])
    unwrapped_status = version.since("18.05") and options.kind == "nfv"
    host, _, port = (options.manage or "").rpartition(":")
    if unwrapped_status and releases.major_version(options.argv[0]) >= 3:
        port = ""  # under Python 3 its management port fails with a TypeError, because it treats bytes as text
    terminal = Terminal(options.argv)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: terminal.end())
    client = Client(terminal, (host, int(port)) if port else None, unwrapped_status)
    server = Server(options.api_socket, Service(client, options.kind))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        status = terminal.run()
    finally:
        options.api_socket.unlink(missing_ok=True)
    if status < 0:  # end by the same signal: the pane does not take an exit status above 128 for a signal
        if -status not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def wait_for_ports(ports: list[int]) -> None:
    """Wait until the ports can be bound as spp.py does it, without address reuse. Print one line while waiting.

    Returns after a minute in any case; spp.py then reports the error itself.
    """
    reported = False
    for _ in Deadline(TIME_WAIT).ticks(0.5):
        ports_in_use = [port for port in ports if not _free(port)]
        if not ports_in_use:
            return
        if not reported:
            reason = "the kernel reserves it for up to a minute after the previous controller"
            print(f"waiting for port {ports_in_use[0]}: {reason}", flush=True)
            reported = True


def _free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.socket() as sock:
        sock.bind(("", port))
        return True
    return False
