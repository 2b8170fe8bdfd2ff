"""DPDK's runtime folders, one a ``--file-prefix``, and which process has each."""

import contextlib
import fcntl
import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sppr.host.process import memory

#: struct flock of a 64 bit Linux: type, whence, start, length, pid.
_FLOCK = struct.Struct("hhqqi4x")


@dataclass(frozen=True)
class Runtime:
    """``holder``: pid of the primary, which locks the folder's ``config``. ``mappers``: all that map files there:
    secondaries, too. ``writable``: by this user."""

    prefix: str
    path: str
    holder: int | None = None
    mappers: tuple[int, ...] = ()
    writable: bool = True


def runtimes(root: Path, mapped: Callable[[], memory.Mappers]) -> tuple[Runtime, ...]:
    """Of every prefix. Root's lie in /run/dpdk, where a user sees nothing and is in nobody's way; a user's in
    $XDG_RUNTIME_DIR/dpdk, or /tmp/dpdk, where root does not look: any user can plant a link there."""
    of_root = root / "run/dpdk"
    places = [of_root]
    if os.geteuid() != 0:
        user = os.environ.get("XDG_RUNTIME_DIR", "")
        places += [root / "tmp/dpdk", *([root / user.lstrip("/") / "dpdk"] if user else [])]
    folders = [folder for place in dict.fromkeys(places) for folder in sorted(place.glob("*")) if folder.is_dir()]
    by_path = mapped() if folders else {}
    found = []
    for folder in folders:
        shown = f"/{folder.relative_to(root)}"
        pids = {pid for path, those in by_path.items() if path.startswith(f"{shown}/") for pid in those}
        writable = os.access(folder, os.R_OK | os.W_OK | os.X_OK)
        if not writable and folder.parent == of_root:
            continue
        found.append(Runtime(folder.name, shown, lock_holder(folder / "config"), tuple(sorted(pids)), writable))
    return tuple(found)


def lock_holder(path: Path) -> int | None:
    """Pid of the process that has a POSIX lock on ``path``. Asking takes no lock. None for what is no file: another
    user may have put a link, or a FIFO, where this user's DPDK would have its own."""
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return None
            asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
            return pid if kind != fcntl.F_UNLCK else None
        finally:
            os.close(fd)
    return None
