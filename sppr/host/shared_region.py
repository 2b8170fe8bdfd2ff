"""The file behind ``ivshmem:N`` of a ring VM: 4 MiB that QEMU and the data plane map (docs/guest.md)."""

import fcntl
import os
from pathlib import Path

from sppr.errors import HostError
from sppr.host import atomic_write
from sppr.host.root import privilege

SIZE = 4 << 20


def create(path: Path) -> None:
    """Create the file in its full size, before QEMU starts.

    An existing file of this lab is not changed, because the data plane may be using it. Raise HostError for anything
    else at this path.
    """
    temporary = atomic_write.temporary_path(path)
    try:
        found = path.lstat()
    except FileNotFoundError:
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            os.truncate(fd, SIZE)
            os.link(temporary, path)
        except FileExistsError:  # another process created it: check that file
            return create(path)
        finally:
            os.close(fd)
            temporary.unlink()
        return None
    if not path.is_file() or path.is_symlink() or found.st_uid not in _trusted_owners() or found.st_size < SIZE:
        raise HostError(f"{path}: not a shared region of sppr", hint=f"inspect it, and remove it: rm {path}")
    return None


def _trusted_owners() -> set[int]:
    """Return the user ids whose files are accepted. Under sudo, the data plane creates them as the user who called
    it."""
    called = os.environ.get("SUDO_UID", "")
    return {os.geteuid(), *([int(called)] if privilege.is_root() and called.isdecimal() else [])}


def is_in_use(path: Path) -> bool:
    """Return whether a process of the data plane uses the region. It locks the file while it has the port."""
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
    """Remove the region after its VM has exited. Only a region of sppr that is not in use is removed."""
    atomic_write.remove_leftovers(path)
    if path.is_file() and not path.is_symlink() and path.stat().st_size == SIZE and not is_in_use(path):
        path.unlink(missing_ok=True)
