"""Pass the sudo password from wakeup to sudo in the panes of a lab: from memory, through a private socket, while
wakeup runs."""

import contextlib
import os
import shlex
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from sppr.host.process.sockets import listening_paths

#: The program that sudo executes to get the password. It connects to the socket.
CLIENT = Path(__file__).resolve().parent.parent.parent / "cli" / "terminal" / "askpass.py"
_PEER = struct.Struct("3i")  # struct ucred: pid, uid, gid


def _socket(folder: Path) -> Path:
    return folder / "ask.sock"


def _helper(folder: Path) -> Path:
    return folder / "askpass"


def helper(folder: Path) -> Path | None:
    """Return the value of SUDO_ASKPASS for the session in ``folder``, or None if no wakeup serves it now."""
    return _helper(folder) if str(_socket(folder)) in listening_paths() else None


@contextlib.contextmanager
def serve(folder: Path, password: str) -> Iterator[Path]:
    """Serve ``password`` to processes of this user, through a socket in ``folder``, which has mode 0700. Yield the
    path of the helper."""
    path, script = _socket(folder), _helper(folder)
    path.unlink(missing_ok=True)  # left by a killed wakeup; this process has locked the session
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(16)
        words = [sys.executable, "-I", str(CLIENT), str(path)]
        script.write_text(f"#!/bin/sh\nexec {shlex.join(words)}\n")
        script.chmod(0o700)
        server = threading.Thread(target=_serve, args=(listener, password), name="askpass", daemon=True)
        server.start()
        try:
            yield script
        finally:
            path.unlink(missing_ok=True)
            script.unlink(missing_ok=True)
            listener.shutdown(socket.SHUT_RDWR)
            server.join()


def _serve(listener: socket.socket, password: str) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # the socket was shut down
            return
        with connection, contextlib.suppress(OSError):
            if peer_uid(connection) == os.getuid():
                connection.sendall(password.encode() + b"\n")


def peer_uid(connection: socket.socket) -> int:
    """Return the user id of the process at the other end, as the kernel reports it."""
    return int(_PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[1])
