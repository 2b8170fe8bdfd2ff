"""qemu-img: looking at an image, and overlays that exist whole or not at all."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sppr.deadline import Deadline
from sppr.errors import HostError, LaunchError
from sppr.host import temporaries
from sppr.host.ownership import as_its_folder
from sppr.run import run


@dataclass(frozen=True)
class ImageInfo:
    """``size`` is the virtual one, in bytes; ``backing`` and its format as written in the image."""

    path: Path
    format: str
    size: int
    backing: str | None
    backing_format: str | None = None


def info(path: Path) -> ImageInfo:
    """What qemu-img says of an image, also of one that runs (-U). HostError where it is none or cannot be read."""
    if not path.is_file():
        raise HostError(f"{path}: no such image", hint="ls -l the folder; images.dir and images.base name it")
    if not os.access(path, os.R_OK):
        raise HostError(f"{path}: cannot be read by you", hint=f"chmod u+r {path}")
    done = run(["qemu-img", "info", "-U", "--output=json", path], check=False, deadline=Deadline(20))
    if done.returncode:
        raise HostError(f"{path}: {done.stderr.strip().removeprefix('qemu-img: ')}", hint="is it an image?")
    data = json.loads(done.stdout)
    backing = data.get("backing-filename"), data.get("backing-filename-format")
    return ImageInfo(path, data["format"], data["virtual-size"], *backing)


def overlay(
    backing: Path, backing_format: str, target: Path, mode: int, fill: Callable[[Path], object] | None = None
) -> None:
    """Make ``target``, a qcow2 over ``backing``, which it names relative to itself so that the folder can move.

    A name only ever stands for a whole image: write to a temporary, fsync, link, fsync of the folder. An image
    that is there already is never replaced (HostError). ``fill`` puts something into the temporary.
    """
    temporary = temporaries.beside(target)
    relative = os.path.relpath(backing, target.parent)
    try:
        run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", relative, "-F", backing_format, temporary])
        if fill is not None:
            fill(temporary)
        with temporary.open("rb") as f:
            os.fsync(f.fileno())
        temporary.chmod(mode)
        as_its_folder(temporary)
        os.link(temporary, target)
    except LaunchError as e:
        if temporary.exists() or "No space" in e.what or "Read-only" in e.what or "ermission" in e.what:
            raise HostError(f"{target}: could not be made: {e.what}", hint=f"df -h {target.parent}") from e
        raise
    except FileExistsError:
        raise HostError(f"{target}: is there already", hint="nothing was changed; run it again") from None
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
