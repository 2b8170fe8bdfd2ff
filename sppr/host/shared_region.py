"""The file behind a ring VM's ``ivshmem:N``: 4 MiB that QEMU and the data plane map (docs/guest.md)."""

import fcntl
import os
from pathlib import Path

from sppr.errors import HostError
from sppr.host import atomic_write
from sppr.host.root import privilege

SIZE = 4 << 20


def make(path: Path) -> None:
    """Have the file there in its full size before QEMU starts. One that is there and ours stays as it is: the data
    plane may have it. HostError for anything else at this place."""
    temporary = atomic_write.beside(path)
    try:
        found = path.lstat()
    except FileNotFoundError:
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            os.truncate(fd, SIZE)
            os.link(temporary, path)
        except FileExistsError:  # another was quicker: look at what it made
            return make(path)
        finally:
            os.close(fd)
            temporary.unlink()
        return None
    if not path.is_file() or path.is_symlink() or found.st_uid not in _ours() or found.st_size < SIZE:
        raise HostError(f"{path}: not a region of ours", hint=f"look at it, and remove it: rm {path}")
    return None


def _ours() -> set[int]:
    """Whose files are as good as ours. Under sudo the data plane makes them as the user who called it."""
    called = os.environ.get("SUDO_UID", "")
    return {os.geteuid(), *([int(called)] if privilege.is_root() and called.isdecimal() else [])}


def is_served(path: Path) -> bool:
    """Whether a process of the data plane has the region: it locks the file as long as it has the port."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def remove(path: Path) -> None:
    """After the VM ended. Only a region of ours goes, and none that is served."""
    atomic_write.sweep(path)
    if path.is_file() and not path.is_symlink() and path.stat().st_size == SIZE and not is_served(path):
        path.unlink(missing_ok=True)
