"""Temporary folders of commands over several hosts. The next command removes those of a command that was killed."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = "sppr-hosts-"
#: Seconds after which a folder without a lock is abandoned. A new one has no lock for a moment.
ABANDONED_AFTER = 60


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Yield a new folder that only this user can enter. It is locked as long as this process lives."""
    remove_abandoned()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name, _opened(Path(name)) as fd:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield Path(name)


def remove_abandoned() -> None:
    """Remove the folders of this user whose processes have ended."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), _opened(path) as fd:
            found = os.fstat(fd)
            if found.st_uid == os.geteuid() and time.time() - found.st_mtime > ABANDONED_AFTER:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield fd
    finally:
        os.close(fd)
