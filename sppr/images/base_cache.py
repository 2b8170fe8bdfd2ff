"""Keep built base images in a folder of the user, so that each is built once per machine and not once per lab folder.

A cached image is named after the recipe: the files of guest/, the modules that build it, the suite and the size. It is
never changed; a lab folder gets a reflink, a hard link or a copy of it.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from sppr.deadline import Deadline
from sppr.errors import HostError
from sppr.host.run_directory import cache_dir
from sppr.images import boot_region, bootdisk, build, qemu_img, rootfs

#: ioctl of Linux that makes a file share the blocks of another one (btrfs, XFS, overlay of them).
_FICLONE = 0x40049409
#: The program of the initrd counts by its source: a compiler puts the path of the folder into the program.
_CODE = (Path(rootfs.__file__), Path(bootdisk.__file__), Path(boot_region.__file__), bootdisk.RESUME_SOURCE)
#: Time limit in seconds of a build in another process. A build takes a minute, and several on a busy machine.
_BUILD_SECONDS = 900.0


def recipe(suite: str, size_mib: int) -> str:
    """Return the hash of everything that the content of a base image depends on, except the archive of Debian."""
    digest = hashlib.sha256(f"{suite} {size_mib}\n".encode())
    for path in (*_CODE, *sorted(p for p in rootfs.GUEST.rglob("*") if p.is_file())):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def cached_path(suite: str, size_mib: int) -> Path:
    """Return the path of the cached image for a suite and a size."""
    return cache_dir() / f"{Path(build.base_name(suite)).stem}-{size_mib}-{recipe(suite, size_mib)}.qcow2"


def ensure_base(out: Path, *, report: Callable[[str], None] = lambda _: None) -> Path:
    """Return the base image ``out``. If it is missing, create it with the default suite and size."""
    if out.exists():
        return out
    try:
        return provide(out, size_mib=build.SIZE_MIB, suite=rootfs.SUITE, report=report)
    except HostError:
        if not out.exists():  # another process has created it meanwhile
            raise
        return out


def provide(out: Path, *, size_mib: int, suite: str, report: Callable[[str], None]) -> Path:
    """Create the base image ``out`` from the cache, and return its path. If the cache has none, build it there first.

    If another process is building it, wait for that. If the cache cannot be written, build ``out`` itself. Raise
    HostError if ``out`` exists, or if the build fails.
    """
    build.refuse_existing(out)
    cached = cached_path(suite, size_mib)
    try:
        cached.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        writable = os.access(cached.parent, os.W_OK)
    except OSError:
        writable = False
    if not writable and not cached.is_file():
        report(f"note: {cached.parent} cannot be written, so other folders will build this image again")
        return build.build_base(out, size_mib=size_mib, suite=suite, report=report)
    if cached.is_file():
        report(f"base image from {cached}")
    else:
        _build(cached, size_mib, suite, report)
    _place(cached, out)
    return out


def _build(cached: Path, size_mib: int, suite: str, report: Callable[[str], None]) -> None:
    waits = False
    for _ in Deadline(_BUILD_SECONDS).ticks(0.5):
        if cached.is_file():
            return
        try:
            build.build_base(cached, size_mib=size_mib, suite=suite, report=report)
            cached.chmod(0o444)
            return
        except build.BusyError:
            if not waits:
                report("another process is building this image; waiting for it")
            waits = True
        except HostError:
            if not cached.is_file():
                raise
    raise HostError(f"{cached}: another build of it did not finish within {_BUILD_SECONDS / 60:.0f} minutes")


def clear(report: Callable[[str], None]) -> None:
    """Remove all cached images that no build is writing. Lab folders keep theirs."""
    for path in sorted(cache_dir().glob("debian-*-sppr-*.qcow2")):
        path.unlink(missing_ok=True)
        report(f"removed {path}")


def _reflink(source: Path, target: Path) -> bool:
    """Create ``target`` with the blocks of ``source``, and return whether the file system supports that."""
    with source.open("rb") as reader, target.open("xb") as writer:
        try:
            fcntl.ioctl(writer, _FICLONE, reader.fileno())
        except OSError:
            return False
    return True


def _place(cached: Path, out: Path) -> None:
    """Create ``out`` with the content of a cached image: a reflink, else a hard link, else a copy."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with qemu_img.atomic_image(out, 0o444) as temporary:
        if _reflink(cached, temporary):
            return
        temporary.unlink(missing_ok=True)
        # A file of root in a folder of another user is given to that user, which must not happen to the cached file.
        if out.parent.stat().st_uid == cached.stat().st_uid:
            try:
                os.link(cached, temporary)
                return
            except OSError:  # another file system
                pass
        qemu_img.copy(cached, temporary)
