"""Connect a guest to other machines: passt (package passt), with guest_filter.py between it and QEMU.

QEMU's user network would reach other machines too, but it also connects the guest to every service on the host's
loopback, and has no option against that. passt with --no-map-gw maps no address to the host's loopback, but it connects
to 127.0.0.1 if a frame of the guest names that address. guest_filter.py drops such frames, and those to the host's
other addresses.
"""

import os
import socket
import subprocess
import sys

from sppr.qemu import guest_filter
from sppr.run import find_program

PASST = "passt"
#: File descriptor of QEMU's end of the socket pair. It is fixed, so that QEMU's command line is always the same.
OUTSIDE_FD = 9
#: Network of the guest: its address, its gateway, and the address at which passt answers for the host's name servers.
ADDRESS, GATEWAY, DNS = "10.0.3.15", "10.0.3.2", "10.0.3.3"


def argv(fd: int) -> list[str]:
    """Return the command line of passt for the socket ``fd``. passt exits when QEMU closes the other end."""
    return [
        find_program(PASST), "--foreground", "--quiet", "--fd", str(fd), "--ipv4-only",
        "--address", ADDRESS, "--netmask", "24", "--gateway", GATEWAY, "--dns-forward", DNS,
        "--no-map-gw", "--tcp-ports", "none", "--udp-ports", "none",
    ]  # fmt: skip


def start() -> socket.socket:
    """Start passt and the filter, and return the socket for QEMU. Raise HostError if passt is not installed."""
    for_qemu, filter_to_qemu = socket.socketpair()
    filter_to_passt, for_passt = socket.socketpair()
    with filter_to_qemu, filter_to_passt, for_passt:
        _start(argv(for_passt.fileno()), for_passt)
        script = [sys.executable, "-P", guest_filter.__file__]
        fds = [str(filter_to_qemu.fileno()), str(filter_to_passt.fileno())]
        _start([*script, *fds, DNS], filter_to_qemu, filter_to_passt)
    return for_qemu


def _start(command: list[str], *sockets: socket.socket) -> None:
    """Start a program and do not wait for it. It exits when QEMU does, even after this process has executed QEMU."""
    quiet = subprocess.DEVNULL
    fds = [sock.fileno() for sock in sockets]
    subprocess.Popen(command, pass_fds=fds, stdin=quiet, stdout=quiet, stderr=quiet)


def pass_to_qemu(sock: socket.socket) -> None:
    """Keep the socket open as OUTSIDE_FD across the exec of QEMU."""
    os.dup2(sock.detach(), OUTSIDE_FD, inheritable=True)
