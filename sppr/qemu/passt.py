"""The way of a guest to other machines: passt (package passt), connected to QEMU by socket pairs, with guest_filter.py
between them.

QEMU's user network would do, but it also connects the guest to every service on the host's loopback, and has no option
against it. passt with --no-map-gw maps no address to the host's loopback, but connects to 127.0.0.1 where a frame of
the guest says so. guest_filter.py drops such frames, and those to the host's other addresses.
"""

import os
import socket
import subprocess
import sys

from sppr.qemu import guest_filter
from sppr.run import find_program

PASST = "passt"
#: The number QEMU gets its end of the socket pair under, so that its command line is the same every time.
OUTSIDE_FD = 9
#: Network of the guest: 10.0.3.15, its gateway 10.0.3.2, and 10.0.3.3, which answers for the host's name servers.
ADDRESS, GATEWAY, DNS = "10.0.3.15", "10.0.3.2", "10.0.3.3"


def argv(fd: int) -> list[str]:
    """The command line of passt for the socket ``fd``. It ends when QEMU closes the other end."""
    return [
        find_program(PASST), "--foreground", "--quiet", "--fd", str(fd), "--ipv4-only",
        "--address", ADDRESS, "--netmask", "24", "--gateway", GATEWAY, "--dns-forward", DNS,
        "--no-map-gw", "--tcp-ports", "none", "--udp-ports", "none",
    ]  # fmt: skip


def start() -> socket.socket:
    """Start passt and the filter, and return the socket that QEMU is to get. HostError where passt is not installed."""
    ours, guest = socket.socketpair()
    outside, theirs = socket.socketpair()
    with guest, outside, theirs:
        _start(argv(theirs.fileno()), theirs)
        script = [sys.executable, "-P", guest_filter.__file__]
        _start([*script, str(guest.fileno()), str(outside.fileno()), DNS], guest, outside)
    return ours


def _start(command: list[str], *sockets: socket.socket) -> None:
    """Start a program that is not waited for: it ends when QEMU does, also when this process has become QEMU."""
    quiet = subprocess.DEVNULL
    fds = [sock.fileno() for sock in sockets]
    subprocess.Popen(command, pass_fds=fds, stdin=quiet, stdout=quiet, stderr=quiet)


def hand_over(ours: socket.socket) -> None:
    """Leave the socket open as OUTSIDE_FD for the program that this process becomes."""
    os.dup2(ours.detach(), OUTSIDE_FD, inheritable=True)
