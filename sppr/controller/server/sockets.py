"""The controller's listening sockets: two TCP ports and a unix socket. What is in the way is named."""

import contextlib
import errno
import os
import re
import socket
import stat
from pathlib import Path

from sppr.errors import HostError
from sppr.host.process.sockets import stale

#: Where SPP's own processes make their vhost-user sockets.
SPP_SOCKETS = Path("/tmp")  # noqa: S108 - SPP's own place


def tcp(host: str, port: int) -> socket.socket:
    """A bound IPv4 socket; port 0 takes a free one. HostError names whoever has the port, if it can be seen."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # A classic controller cannot restart for a minute (TIME_WAIT) because it lacks this (spp-facts 12.3).
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(128)  # two sockets may bind to one port, but not listen
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            hint = f"stop it, or use another port: sudo ss -ltnp 'sport = :{port}' shows who has it"
            raise HostError(f"{host}:{port}: already in use{_owner(port)}", hint=hint) from None
        hint = "give an IPv4 address of this machine: --host 127.0.0.1"
        raise HostError(f"{host}:{port}: cannot listen: {error.strerror or error}", hint=hint) from None
    return sock


def unix(path: Path) -> socket.socket:
    """A listening unix socket at ``path``, mode 0600. Replaces one nobody listens on; HostError for all else there."""
    if not path.parent.is_dir():
        raise HostError(f"{path}: its folder does not exist", hint=f"mkdir -p {path.parent}")
    _make_way(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
        sock.listen(128)
    except OSError as error:
        sock.close()
        hint = "choose another path, at most 107 bytes long, in a folder you may write to"
        raise HostError(f"{path}: cannot listen: {error.strerror or error}", hint=hint) from None
    finally:
        os.umask(before)
    return sock


def remove(path: Path, inode: int) -> None:
    """Remove our unix socket, unless another stands there by now."""
    with contextlib.suppress(OSError):
        if path.lstat().st_ino == inode:
            path.unlink()


def remove_stale_vhost(command: str, folder: Path = SPP_SOCKETS) -> Path | None:
    """Remove the socket that a killed process left where ``command`` makes one: ``add vhost:1``, or ``add vhost 1``.

    SPP's own processes fail over such a file, some with the answer success (spp-facts 12.3). Our own remove it
    themselves. A socket that anybody has open, and one of another user, stays.
    """
    found = re.fullmatch(r"add vhost[: ](\d{1,3})", command)
    for path in stale([folder / f"sock{found[1]}"]) if found else []:
        with contextlib.suppress(OSError):
            if path.lstat().st_uid in (0, os.getuid()):
                path.unlink()
                return path
    return None


def _make_way(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise HostError(f"{path}: is there already and is no socket", hint="choose another path for --api-socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            raise HostError(f"{path}: cannot be tried: {error}", hint="choose another path for --api-socket") from None
    raise HostError(
        f"{path}: another controller listens there", hint="stop it, or choose another path for --api-socket"
    )


def _owner(port: int) -> str:
    """`` by pid N (name)`` of whoever listens; empty where that is not ours to see."""
    import psutil  # here: it takes 30 ms, and the port is nearly always free

    with contextlib.suppress(psutil.Error, OSError):
        for found in psutil.net_connections("tcp"):
            if found.laddr and found.laddr.port == port and found.status == psutil.CONN_LISTEN and found.pid:
                return f" by pid {found.pid} ({psutil.Process(found.pid).name()})"
    return ""
