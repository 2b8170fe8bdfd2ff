"""Run qemu-img: inspect images, and create images that exist either complete or not at all."""

import contextlib
import errno
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
from sppr.host.root.privilege import give_to_folder_owner
from sppr.run import run, run_streaming

#: Progress as ``-p`` prints it repeatedly: ``    (42.01/100%)``.
_PERCENT = re.compile(r"\((\d+\.\d+)/100%\)")
_CHUNK_BYTES = 16 << 20


@dataclass(frozen=True)
class ImageInfo:
    """Properties of an image.

    ``size``: virtual size in bytes.
    ``disk``: bytes that the image occupies on disk.
    ``backing``: its backing file as written in the image.
    ``backing_path``: path at which the backing file is found.
    ``external_files``: other files with parts of its content, as written in the image: a data file, extents.
    """

    path: Path
    format: str
    size: int
    backing: str | None
    disk: int = 0
    backing_format: str | None = None
    backing_path: Path | None = None
    encrypted: bool = False
    external_files: tuple[str, ...] = ()

    @property
    def is_standalone(self) -> bool:
        """Whether all content of the image is in this one file."""
        return not self.backing and not self.external_files


def info(path: Path) -> ImageInfo:
    """Return the properties of an image, which may be in use (-U). Raise HostError if it is not an image or not
    readable."""
    if path.exists() and not path.is_file():
        raise HostError(
            f"{path}: is not a regular file", hint="folders, pipes and devices are not images: move it elsewhere"
        )
    if not path.is_file():
        raise HostError(f"{path}: no such image", hint=f"ls -l {path.parent}")
    if not os.access(path, os.R_OK):
        raise HostError(f"{path}: not readable by this user", hint=f"chmod u+r {path}")
    stat = path.stat()
    return _query(path, (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))


@functools.lru_cache(64)
def _query(path: Path, _stamp: tuple[int, ...]) -> ImageInfo:
    """Run ``qemu-img info``, once for each ``_stamp`` of the file: a bring-up needs the result several times."""
    done = run(["qemu-img", "info", "-U", "--output=json", _absolute(path)], check=False, deadline=Deadline(20))
    if done.returncode:
        raise HostError(f"{path}: {done.stderr.strip().removeprefix('qemu-img: ')}", hint="check that it is an image")
    data = json.loads(done.stdout)
    full = data.get("full-backing-filename")
    specific = data.get("format-specific", {}).get("data", {})
    parts = [specific.get("data-file"), *(extent.get("filename") for extent in specific.get("extents", []))]
    return ImageInfo(
        path=path,
        format=data["format"],
        size=data["virtual-size"],
        backing=data.get("backing-filename"),
        disk=data.get("actual-size", 0),
        backing_format=data.get("backing-filename-format"),
        backing_path=_without_parents(Path(full)) if full else None,
        encrypted=bool(data.get("encrypted")),
        external_files=tuple(part for part in parts if part and part != _absolute(path)),
    )


def _absolute(path: Path) -> str:
    """Return an absolute path. qemu-img takes ``-x`` for an option, and ``nbd:x`` and ``json:{}`` for protocols."""
    return str(path.absolute())


def _without_parents(path: Path) -> Path:
    """Return ``/x/img/../y`` as ``/x/y`` if that is the same file. It is another file if ``img`` is a link."""
    short = Path(os.path.normpath(path))
    return short if short.exists() and path.exists() and short.samefile(path) else path


class BackingFileMissing(HostError):
    """The backing file of an image is missing."""


class BackingFormatMissing(HostError):
    """An image does not name the format of its backing file."""


def backing_chain(path: Path) -> list[ImageInfo]:
    """Return an image and its backing files, the nearest first. Raise HostError if one cannot be read or used."""
    found = [info(path)]
    while (backing := found[-1].backing_path) is not None:
        over = found[-1].path
        if not backing.is_absolute() or not backing.is_file():
            hint = f"put it back; or if it was renamed: qemu-img rebase -u -F qcow2 -b FILE {over}"
            raise BackingFileMissing(f"{over}: its backing file {backing} is missing", hint=hint)
        below = info(backing)
        if found[-1].backing_format is None:
            hint = f"qemu-img rebase -u -F {below.format} -b {found[-1].backing} {over}"
            raise BackingFormatMissing(f"{over}: does not name the format of its backing file {backing}", hint=hint)
        if any(backing.samefile(one.path) for one in found):
            raise HostError(f"{path}: is its own backing file, through {over}", hint=f"rm {path}")
        found.append(below)
    return found


def find_damage(path: Path, image_format: str) -> str | None:
    """Return what ``qemu-img check`` reports as damaged, in one line, or None. Formats that it cannot check return
    None.

    Leaked clusters are not reported: they are harmless, and a killed QEMU leaves some.
    """
    argv = ["qemu-img", "check", "-f", image_format, "--output=json", _absolute(path)]
    done = run(argv, check=False, deadline=Deadline(300))
    if done.returncode in (0, 3, 63):
        return None
    try:
        data = json.loads(done.stdout)
    except ValueError:
        return next(iter(done.stderr.strip().removeprefix("qemu-img: ").splitlines()), "cannot be read")
    return f"{data.get('corruptions', 0)} corruptions, {data.get('check-errors', 0)} errors"


def convert(source: ImageInfo, target: Path, progress: Callable[[float], None]) -> None:
    """Convert the content of an image, with its backing files, to a qcow2. ``progress`` gets values from 0.0 to 1.0."""

    def line(text: str) -> None:
        if shown := _PERCENT.search(text):
            progress(float(shown[1]) / 100)

    ends = [_absolute(source.path), _absolute(target)]
    run_streaming(["qemu-img", "convert", "-p", "-f", source.format, "-O", "qcow2", *ends], line)


def copy(source: Path, target: Path, progress: Callable[[float], None] = lambda _: None) -> None:
    """Copy a file. ``progress`` gets values from 0.0 to 1.0."""
    with source.open("rb") as reader, target.open("wb") as writer:
        total, done = os.fstat(reader.fileno()).st_size, 0
        while count := _copy_chunk(reader.fileno(), writer.fileno()):
            done += count
            progress(done / max(total, 1))


def _copy_chunk(source: int, target: int) -> int:
    """Copy up to _CHUNK_BYTES from one open file to the other, and return how many bytes were copied.

    copy_file_range shares the blocks where the file system can. It refuses two different file systems (Linux 5.19).
    """
    try:
        return os.copy_file_range(source, target, _CHUNK_BYTES)
    except OSError as e:
        if e.errno not in (errno.EXDEV, errno.EOPNOTSUPP):
            raise
        return os.sendfile(target, source, None, _CHUNK_BYTES)


def overlay(
    backing: Path,
    backing_format: str,
    target: Path,
    mode: int,
    fill: Callable[[Path], object] | None = None,
    *,
    replace: bool = False,
) -> None:
    """Create ``target``, a qcow2 with the backing file ``backing``. The path of the backing file is relative, so the
    folder can be moved.

    ``fill``: called with the path of the new image before it gets its name. ``replace``: replace an existing image;
    without it, raise HostError.
    """
    relative = os.path.relpath(backing, target.parent)
    if ":" in relative:
        relative = f"./{relative}"  # otherwise the text before the colon is a protocol
    with atomic_image(target, mode, replace=replace) as temporary:
        try:
            run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", relative, "-F", backing_format, _absolute(temporary)])
        except LaunchError as e:
            if "No space" in e.what or "Read-only" in e.what or "ermission" in e.what:
                raise HostError(f"{target}: could not be created: {e.what}", hint=f"df -h {target.parent}") from e
            raise
        if fill is not None:
            fill(temporary)


@contextmanager
def atomic_image(target: Path, mode: int, *, replace: bool = False) -> Iterator[Path]:
    """Yield the path of a temporary file beside ``target``. It becomes ``target`` when the block ends without an error.

    A killed qemu-img leaves incomplete files that its own check calls sound. Therefore a name must only ever refer to a
    complete image: write to a temporary file, fsync, link or rename, fsync of the folder.
    """
    temporary = atomic_write.temporary_path(target)
    try:
        yield temporary
        with temporary.open("rb") as f:
            os.fsync(f.fileno())
        temporary.chmod(mode)
        give_to_folder_owner(temporary)
        if replace:
            temporary.rename(target)
        else:
            os.link(temporary, target)
    except LaunchError as e:
        if "No space" in e.what or "Read-only" in e.what or "ermission" in e.what:
            raise HostError(f"{target}: could not be created: {e.what}", hint=f"df -h {target.parent}") from e
        raise
    except FileExistsError:
        raise HostError(f"{target}: already exists", hint="nothing was changed; run the command again") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Write a folder to disk (fsync), so that a rename in it survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
