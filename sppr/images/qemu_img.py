"""qemu-img: looking at an image, and images that exist whole or not at all."""

import contextlib
import functools
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sppr.deadline import Deadline
from sppr.errors import HostError, LaunchError
from sppr.host import atomic_write
from sppr.host.root.privilege import as_its_folder
from sppr.run import run, run_streaming

#: ``    (42.01/100%)``, as ``-p`` prints it over and over.
_PERCENT = re.compile(r"\((\d+\.\d+)/100%\)")


@dataclass(frozen=True)
class ImageInfo:
    """``size`` is the virtual one, ``disk`` what it takes on disk, in bytes; ``backing`` as written in the image,
    ``backing_path`` as it is to be found from here. ``outside``: other files that hold its content, as
    written in the image: a data file, extents. ``alone``: all its content is in this one file."""

    path: Path
    format: str
    size: int
    backing: str | None
    disk: int = 0
    backing_format: str | None = None
    backing_path: Path | None = None
    encrypted: bool = False
    outside: tuple[str, ...] = ()

    @property
    def alone(self) -> bool:
        return not self.backing and not self.outside


def info(path: Path) -> ImageInfo:
    """What qemu-img says of an image, also of one that runs (-U). HostError where it is none or cannot be read."""
    if path.exists() and not path.is_file():
        raise HostError(f"{path}: is no file", hint="a folder, a pipe or a device is no image: move it elsewhere")
    if not path.is_file():
        raise HostError(f"{path}: no such image", hint=f"ls -l {path.parent}")
    if not os.access(path, os.R_OK):
        raise HostError(f"{path}: cannot be read by you", hint=f"chmod u+r {path}")
    there = path.stat()
    return _asked(path, (there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns))


@functools.lru_cache(64)
def _asked(path: Path, _stamp: tuple[int, ...]) -> ImageInfo:
    """What qemu-img says, asked once for each ``_stamp`` of the file: a bring-up looks at each image several times."""
    done = run(["qemu-img", "info", "-U", "--output=json", _plain(path)], check=False, deadline=Deadline(20))
    if done.returncode:
        raise HostError(f"{path}: {done.stderr.strip().removeprefix('qemu-img: ')}", hint="is it an image?")
    data = json.loads(done.stdout)
    full = data.get("full-backing-filename")
    special = data.get("format-specific", {}).get("data", {})
    parts = [special.get("data-file"), *(extent.get("filename") for extent in special.get("extents", []))]
    return ImageInfo(
        path=path,
        format=data["format"],
        size=data["virtual-size"],
        backing=data.get("backing-filename"),
        disk=data.get("actual-size", 0),
        backing_format=data.get("backing-filename-format"),
        backing_path=_without_parents(Path(full)) if full else None,
        encrypted=bool(data.get("encrypted")),
        outside=tuple(part for part in parts if part and part != _plain(path)),
    )


def _plain(path: Path) -> str:
    """A name that qemu-img takes for a file: ``-x`` would be an option, ``nbd:x`` and ``json:{}`` a protocol."""
    return str(path.absolute())


def _without_parents(path: Path) -> Path:
    """``/x/img/../y`` as ``/x/y``, where that is the same file: ``img`` may be a link."""
    short = Path(os.path.normpath(path))
    return short if short.exists() and path.exists() and short.samefile(path) else path


class NoBacking(HostError):
    """What an image stands on is missing."""


class NoFormat(HostError):
    """An image does not say the format of what it stands on."""


def chain(path: Path) -> list[ImageInfo]:
    """An image and all it stands on, nearest first. HostError where one of them cannot be read, or used."""
    found = [info(path)]
    while (backing := found[-1].backing_path) is not None:
        over = found[-1].path
        if not backing.is_absolute() or not backing.is_file():
            hint = f"put it back; or where it has another name now: qemu-img rebase -u -F qcow2 -b FILE {over}"
            raise NoBacking(f"{over}: stands on {backing}, which is missing", hint=hint)
        below = info(backing)
        if found[-1].backing_format is None:
            hint = f"qemu-img rebase -u -F {below.format} -b {found[-1].backing} {over}"
            raise NoFormat(f"{over}: does not say the format of {backing}, on which it stands", hint=hint)
        if any(backing.samefile(one.path) for one in found):
            raise HostError(f"{path}: stands on itself, by way of {over}", hint=f"rm {path}")
        found.append(below)
    return found


def faults(path: Path, image_format: str) -> str | None:
    """What ``qemu-img check`` finds broken inside, in a line; None: nothing, or a format it cannot check.

    Clusters that leak are no harm: a killed QEMU leaves some.
    """
    argv = ["qemu-img", "check", "-f", image_format, "--output=json", _plain(path)]
    done = run(argv, check=False, deadline=Deadline(300))
    if done.returncode in (0, 3, 63):
        return None
    try:
        data = json.loads(done.stdout)
    except ValueError:
        return next(iter(done.stderr.strip().removeprefix("qemu-img: ").splitlines()), "cannot be read")
    return f"{data.get('corruptions', 0)} corruptions, {data.get('check-errors', 0)} errors"


def convert(source: ImageInfo, target: Path, progress: Callable[[float], None]) -> None:
    """Write all that ``source`` shows, with what it stands on, as a qcow2; ``progress`` is told 0.0 to 1.0."""

    def line(text: str) -> None:
        if shown := _PERCENT.search(text):
            progress(float(shown[1]) / 100)

    ends = [_plain(source.path), _plain(target)]
    run_streaming(["qemu-img", "convert", "-p", "-f", source.format, "-O", "qcow2", *ends], line)


def overlay(
    backing: Path,
    backing_format: str,
    target: Path,
    mode: int,
    fill: Callable[[Path], object] | None = None,
    *,
    replace: bool = False,
) -> None:
    """Make ``target``, a qcow2 over ``backing``, which it names relative to itself so that the folder can move.

    An image that is there already is replaced only on demand (HostError). ``fill`` puts something into the temporary.
    """
    relative = os.path.relpath(backing, target.parent)
    if ":" in relative:
        relative = f"./{relative}"  # or what stands before the colon is a protocol
    with whole(target, mode, replace=replace) as temporary:
        try:
            run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", relative, "-F", backing_format, _plain(temporary)])
        except LaunchError as e:
            if "No space" in e.what or "Read-only" in e.what or "ermission" in e.what:
                raise HostError(f"{target}: could not be made: {e.what}", hint=f"df -h {target.parent}") from e
            raise
        if fill is not None:
            fill(temporary)


@contextmanager
def whole(target: Path, mode: int, *, replace: bool = False) -> Iterator[Path]:
    """A temporary beside ``target`` that becomes it, when the block ends well.

    A name only ever stands for a whole image: a killed qemu-img leaves files that its own check calls sound. So: write
    to a temporary, fsync, link or rename, fsync of the folder.
    """
    temporary = atomic_write.beside(target)
    try:
        yield temporary
        with temporary.open("rb") as f:
            os.fsync(f.fileno())
        temporary.chmod(mode)
        as_its_folder(temporary)
        if replace:
            temporary.rename(target)
        else:
            os.link(temporary, target)
    except LaunchError as e:
        if "No space" in e.what or "Read-only" in e.what or "ermission" in e.what:
            raise HostError(f"{target}: could not be made: {e.what}", hint=f"df -h {target.parent}") from e
        raise
    except FileExistsError:
        raise HostError(f"{target}: is there already", hint="nothing was changed; run it again") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
