"""Files that are still being made: named after what they become, and after the process that makes them."""

import os
import re
from pathlib import Path

from sppr.host.process import pids


def beside(target: Path) -> Path:
    """Where this process makes ``target``, in the same folder."""
    return target.with_name(f".{target.name}.{os.getpid()}.tmp")


def write(target: Path, text: str) -> None:
    """Whole or not at all. OSError names the file: that of a write to a full disk does not."""
    temporary = beside(target)
    try:
        temporary.unlink(missing_ok=True)
        with temporary.open("x") as file:
            file.write(text)
        temporary.rename(target)
    except OSError as e:
        raise OSError(e.errno, e.strerror, str(target)) from None
    finally:
        temporary.unlink(missing_ok=True)


def sweep(target: Path) -> None:
    """Remove what processes that are gone have left of ``target``, or of the note (.json) that goes with it. One that
    lives may be at work there for another session."""
    pattern = re.compile(rf"\.{re.escape(target.name)}(?:\.json)?\.(\d+)(?:\.\w+)?\.tmp")
    for path in target.parent.iterdir() if target.parent.is_dir() else ():
        found = pattern.fullmatch(path.name)
        if found is None or pids.current(int(found[1])) is not None:
            continue
        if path.is_dir():
            import shutil  # `sppr status` starts faster without it

            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
