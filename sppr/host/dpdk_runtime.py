"""DPDK's runtime folders, one for each ``--file-prefix``, and the processes that use them."""

import contextlib
import fcntl
import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sppr.host.process import memory

#: struct flock on 64 bit Linux: type, whence, start, length, pid.
_FLOCK = struct.Struct("hhqqi4x")


@dataclass(frozen=True)
class Runtime:
    """A runtime folder.

    ``prefix``: its ``--file-prefix``.
    ``path``: path of the folder.
    ``holder``: pid of the primary, which locks the file ``config``; None if there is none.
    ``mappers``: pids of all processes that map files in the folder, secondaries included.
    ``writable``: whether this user can write there.
    """

    prefix: str
    path: str
    holder: int | None = None
    mappers: tuple[int, ...] = ()
    writable: bool = True


def runtimes(root: Path, mapped: Callable[[], memory.Mappers]) -> tuple[Runtime, ...]:
    """Return the runtime folders of every prefix.

    Folders of root are in /run/dpdk. A user sees nothing there, and they do not affect the user's lab. Folders of a
    user are in $XDG_RUNTIME_DIR/dpdk or /tmp/dpdk. Root does not read those, because any user can create a link there.
    """
    root_folder = root / "run/dpdk"
    parents = [root_folder]
    if os.geteuid() != 0:
        user = os.environ.get("XDG_RUNTIME_DIR", "")
        parents += [root / "tmp/dpdk", *([root / user.lstrip("/") / "dpdk"] if user else [])]
    folders = [folder for parent in dict.fromkeys(parents) for folder in sorted(parent.glob("*")) if folder.is_dir()]
    by_path = mapped() if folders else {}
    found = []
    for folder in folders:
        shown = f"/{folder.relative_to(root)}"
        pids = {pid for path, users in by_path.items() if path.startswith(f"{shown}/") for pid in users}
        writable = os.access(folder, os.R_OK | os.W_OK | os.X_OK)
        if not writable and folder.parent == root_folder:
            continue
        found.append(Runtime(folder.name, shown, lock_holder(folder / "config"), tuple(sorted(pids)), writable))
    return tuple(found)


def lock_holder(path: Path) -> int | None:
    """Return the pid of the process that holds a POSIX lock on ``path``, or None. No lock is taken.

    Return None if it is not a regular file: another user may have created a link or a FIFO there.
    """
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return None
            query = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, query))
            return pid if kind != fcntl.F_UNLCK else None
        finally:
            os.close(fd)
    return None
