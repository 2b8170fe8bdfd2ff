"""Build the base image: Debian 12 on a disk that boots within seconds to a root shell on the serial line.

``build_base`` creates the complete image or leaves nothing. It works in a hidden folder beside the target; at the end
the synced file is renamed to the target.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sppr.deadline import Deadline
from sppr.errors import HostError
from sppr.host.root.privilege import give_to_folder_owner
from sppr.images.bootdisk import RESUME, make_disk
from sppr.images.rootfs import SUITE, SUITES, as_root, make_root
from sppr.run import find_program, run, which

#: The smallest disk, in MiB: the system and its boot partition take 400 MiB.
MIN_MIB = 1024
#: The default size of the disk, in MiB. The image itself takes about 180.
SIZE_MIB = 2048


def base_name(suite: str = SUITE) -> str:
    """Return the file name of the image for a Debian release: 12 is bookworm."""
    return f"debian-{12 + SUITES.index(suite)}-sppr.qcow2"


#: The image that ``make up`` and the tests build in runscripts/, where the lab finds it.
BASE_NAME = base_name()

#: The prompt on the serial console of a guest that is ready: ``root@vm-v11:~# ``, without escape codes.
SHELL_READY = r"root@[\w.-]+:~# "

PROGRAMS = (
    "mmdebstrap",
    "dpkg-deb",
    "tar",
    "depmod",
    "cpio",
    "sfdisk",
    "mformat",
    "mcopy",
    "syslinux",
    "mke2fs",
    "qemu-img",
)

Report = Callable[[str], None]


def _silent(_: str) -> None: ...


def build_base(
    out: Path,
    *,
    size_mib: int = SIZE_MIB,
    suite: str = SUITE,
    report: Report = _silent,
    deadline: Deadline | None = None,
) -> Path:
    """Build the base image ``out``, a qcow2 with a virtual size of ``size_mib``, and return its path.

    ``report``: called with a line before each step. apt fetches the packages from the Debian sources of the host.
    Nothing is mounted on the host; without root, user namespaces are used.

    Raise HostError if the target exists, another build of it is running, or a program is missing. Raise LaunchError if
    a step fails; nothing remains then.
    """
    _check_programs()
    deadline = deadline or Deadline(900)
    with _build_folder(out) as work:
        _step(report, deadline, "packages (about 30 s)")
        root = make_root(work, deadline, suite)
        _step(report, deadline, "disk (about 10 s)")
        image = make_disk(root, work, size_mib, deadline)
        _step(report, deadline, f"done: {image.stat().st_size >> 20} MiB in {out}")
        _install(image, out)
    return out


def _check_programs() -> None:
    for program in PROGRAMS:
        find_program(program)
    if not RESUME.is_file():
        raise HostError(f"{RESUME}: is not built, and a base image needs it", hint=f"make -C {RESUME.parents[1]}")
    if os.geteuid() != 0 and which("newuidmap") is None:
        raise HostError(
            "building an image without root needs newuidmap", hint="apt-get install uidmap, or build as root"
        )


class BusyError(HostError):
    """Another process is building the same image."""


def _step(report: Report, deadline: Deadline, what: str) -> None:
    report(f"{deadline.elapsed():5.1f} s  {what}")


@contextmanager
def _build_folder(out: Path) -> Iterator[Path]:
    """Yield a hidden folder beside ``out``. It is empty at the start, and removed at the end.

    The folder always has the same name, and the build locks it. This distinguishes a running build from the rest of a
    killed one, which is removed.
    """
    work = out.with_name(f".{out.name}.building")
    refuse_existing(out)
    work.mkdir(parents=True, exist_ok=True)
    lock = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_nlink == 0:  # another build has just removed the folder
            raise BlockingIOError
        refuse_existing(out)
        _remove(list(work.iterdir()))
        try:
            yield work
        finally:
            _remove([work])
    except BlockingIOError as e:
        raise BusyError(f"{out}: another build of it is running", hint="wait until it finishes") from e
    finally:
        os.close(lock)


def refuse_existing(out: Path) -> None:
    """Raise HostError if the image exists."""
    if out.exists() or out.is_symlink():
        raise HostError(f"{out}: already exists", hint=f"rm {out}   (its overlays become unusable)")


def _remove(paths: list[Path]) -> None:
    """Remove ``paths`` and everything below, by ``rm``: without root, some files belong to other user ids."""
    if paths:
        run(as_root("rm", "-rf", "--one-file-system", "--", *paths))


def _install(image: Path, out: Path) -> None:
    """Rename ``image`` to ``out`` so that after a power cut ``out`` is either complete or absent."""
    for path in (image, out.parent):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
            if path == image:
                refuse_existing(out)
                image.rename(out)
                give_to_folder_owner(out)
        finally:
            os.close(handle)
