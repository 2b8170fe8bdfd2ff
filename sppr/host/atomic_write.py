"""Write files atomically, through a temporary file whose name contains the target and the pid of the process."""

import os
import re
from pathlib import Path

from sppr.host.process import pids


def temporary_path(target: Path) -> Path:
    """Return the path of this process's temporary file for ``target``, in the same folder."""
    return target.with_name(f".{target.name}.{os.getpid()}.tmp")


def write(target: Path, text: str) -> None:
    """Write a file completely or not at all.

    Raise OSError with the name of the file; the OSError of a write to a full disk has none.
    """
    temporary = temporary_path(target)
    try:
        temporary.unlink(missing_ok=True)
        with temporary.open("x") as file:
            file.write(text)
        temporary.rename(target)
    except OSError as e:
        raise OSError(e.errno, e.strerror, str(target)) from None
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(target: Path) -> None:
    """Remove the temporary files for ``target``, and for its note (.json), of processes that have exited.

    Those of running processes stay: another session may be writing them.
    """
    pattern = re.compile(rf"\.{re.escape(target.name)}(?:\.json)?\.(\d+)(?:\.\w+)?\.tmp")
    for path in target.parent.iterdir() if target.parent.is_dir() else ():
        match = pattern.fullmatch(path.name)
        if match is None or pids.current(int(match[1])) is not None:
            continue
        if path.is_dir():
            import shutil  # `sppr status` starts faster without it

            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
