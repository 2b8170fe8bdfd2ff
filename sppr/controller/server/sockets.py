"""Open the controller's listening sockets: two TCP ports and a unix socket. An error names the process or file that
prevents it.
"""

import contextlib
import errno
import os
import re
import socket
import stat
from pathlib import Path

from sppr.errors import HostError
from sppr.host.process.sockets import find_stale

#: Directory in which upstream SPP processes create their vhost-user sockets.
SPP_SOCKETS = Path("/tmp")  # noqa: S108 - fixed by upstream SPP


def listen_tcp(host: str, port: int) -> socket.socket:
    """Return a listening IPv4 socket. Port 0 selects a free port.

    Raise HostError, which names the process that has the port if this user may see it.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # Without it, as in the classic controller, a restart fails for a minute (docs/spp-protocol.md, Controllers).
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(128)  # with SO_REUSEADDR, two sockets may bind to one port, but not listen on it
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            hint = f"stop it, or use another port: sudo ss -ltnp 'sport = :{port}' shows the process"
            raise HostError(f"{host}:{port}: already in use{_describe_owner(port)}", hint=hint) from None
        hint = "give an IPv4 address of this machine: --host 127.0.0.1"
        raise HostError(f"{host}:{port}: cannot listen: {error.strerror or error}", hint=hint) from None
    return sock


def listen_unix(path: Path) -> socket.socket:
    """Return a unix socket that listens at ``path``, mode 0600. A socket file at which no process listens is replaced.

    Raise HostError if the directory is missing or anything else exists at ``path``.
    """
    if not path.parent.is_dir():
        raise HostError(f"{path}: its directory does not exist", hint=f"mkdir -p {path.parent}")
    _remove_unused(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
        sock.listen(128)
    except OSError as error:
        sock.close()
        hint = "choose another path, at most 107 bytes long, in a directory you may write to"
        raise HostError(f"{path}: cannot listen: {error.strerror or error}", hint=hint) from None
    finally:
        os.umask(before)
    return sock


def remove(path: Path, inode: int) -> None:
    """Remove the unix socket with this inode. A socket that another process has put there since stays."""
    with contextlib.suppress(OSError):
        if path.lstat().st_ino == inode:
            path.unlink()


def remove_stale_vhost(command: str, folder: Path = SPP_SOCKETS) -> Path | None:
    """Remove the socket that a killed process left at the path that ``command`` is about to use: ``add vhost:1``, or
    ``add vhost 1``. Return its path, or None.

    ``add`` of an upstream SPP process fails on such a file, in some releases with the answer success
    (docs/spp-protocol.md, Stale sockets). sppr's own processes remove it themselves. A socket that a process has open
    and one of another user stay.
    """
    found = re.fullmatch(r"add vhost[: ](\d{1,3})", command)
    for path in find_stale([folder / f"sock{found[1]}"]) if found else []:
        with contextlib.suppress(OSError):
            if path.lstat().st_uid in (0, os.getuid()):
                path.unlink()
                return path
    return None


def _remove_unused(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise HostError(f"{path}: exists and is not a socket", hint="choose another path for --api-socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            raise HostError(f"{path}: cannot connect: {error}", hint="choose another path for --api-socket") from None
    raise HostError(
        f"{path}: another controller listens on it", hint="stop it, or choose another path for --api-socket"
    )


def _describe_owner(port: int) -> str:
    """Return `` by pid N (name)`` of the process that listens on ``port``, or an empty text if this user may not see
    it.
    """
    import psutil  # not at the top: the import takes 30 ms, and the port is nearly always free

    with contextlib.suppress(psutil.Error, OSError):
        for found in psutil.net_connections("tcp"):
            if found.laddr and found.laddr.port == port and found.status == psutil.CONN_LISTEN and found.pid:
                return f" by pid {found.pid} ({psutil.Process(found.pid).name()})"
    return ""
