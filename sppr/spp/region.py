"""The memory a ring VM shares with the host: one file a port, and nothing else of the host's memory in it."""

import fcntl
import os
from pathlib import Path

from sppr.errors import HostError

#: Bytes. QEMU aborts on a size that is no power of two; the data plane's region.h lays it out.
SIZE = 4 << 20


def make(path: Path) -> None:
    """Have a fresh region at ``path``, 0600. One that a process serves stays as it is; HostError for anything else."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise HostError(
            f"{path}: is not a regular file, and a ring VM's region must go there", hint=f"move {path} away"
        )
    if path.exists():
        if is_served(path):
            return
        path.unlink()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.ftruncate(descriptor, SIZE)
    finally:
        os.close(descriptor)


def is_served(path: Path) -> bool:
    """Whether a process of the data plane holds the region: it locks the file while it has the port."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def remove(path: Path) -> None:
    """Remove a region that nobody serves any more."""
    if path.is_file() and not path.is_symlink() and not is_served(path):
        path.unlink(missing_ok=True)
