"""The base image: Debian 12 on a disk that boots by itself to a root shell on the serial line in seconds.

``build_base`` either makes the whole image or leaves nothing: the work is done in a hidden folder beside the target,
and only the finished, synced file is renamed to it.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sppr.deadline import Deadline
from sppr.errors import HostError
from sppr.host.root.privilege import as_its_folder
from sppr.images.bootdisk import make_disk
from sppr.images.rootfs import SUITE, SUITES, as_root, make_root
from sppr.run import find_program, run, which

#: Least size of a disk, in MiB: the system with its boot partition takes 400, and some must be left.
MIN_MIB = 1024


def base_name(suite: str = SUITE) -> str:
    """File name of the image of a release: 12 is bookworm."""
    return f"debian-{12 + SUITES.index(suite)}-sppr.qcow2"


#: What ``make up`` and the tests build into runscripts/, and what the lab finds there.
BASE_NAME = base_name()

#: What the serial console shows when a guest can be used: ``root@vm-v11:~# ``, with no escape codes around it.
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
    size_mib: int = 2048,
    suite: str = SUITE,
    report: Report = _silent,
    deadline: Deadline | None = None,
) -> Path:
    """Build the base image as ``out``, a qcow2 of ``size_mib`` as the guest sees it, and return its path.

    ``report`` gets a line before each step. Packages come from the host's own Debian sources by apt; as root nothing is
    mounted on the host, and without root user namespaces are tried. HostError: the target exists, another build of it
    runs, a program is missing. LaunchError: a step failed; nothing is left behind.
    """
    _check_programs()
    deadline = deadline or Deadline(900)
    with _workshop(out) as work:
        _step(report, deadline, "packages (about 30 s)")
        root = make_root(work, deadline, suite)
        _step(report, deadline, "disk (about 10 s)")
        image = make_disk(root, work, size_mib, deadline)
        _step(report, deadline, f"done: {image.stat().st_size >> 20} MiB in {out}")
        _publish(image, out)
    return out


def ensure_base(out: Path, *, report: Report = _silent) -> Path:
    """``out``, built first where it is missing; where another process is building it, wait for that one."""
    for _ in Deadline(900).ticks(0.5):
        if out.exists():
            return out
        try:
            return build_base(out, report=report)
        except HostError as e:
            if not isinstance(e, _BusyError) and not out.exists():
                raise
    raise HostError(f"{out}: another build of it has not ended for 15 minutes")


def _check_programs() -> None:
    for program in PROGRAMS:
        find_program(program)
    if os.geteuid() != 0 and which("newuidmap") is None:
        raise HostError(
            "building an image without root needs newuidmap", hint="apt-get install uidmap, or build as root"
        )


class _BusyError(HostError):
    """Another process builds the same image."""


def _step(report: Report, deadline: Deadline, what: str) -> None:
    report(f"{deadline.elapsed():5.1f} s  {what}")


@contextmanager
def _workshop(out: Path) -> Iterator[Path]:
    """A hidden folder beside ``out``, empty at the start and gone at the end.

    Its name is always the same and its owner holds a lock on it: what a killed build left is thus told from a build
    that runs, and cleared.
    """
    work = out.with_name(f".{out.name}.building")
    _refuse_existing(out)
    work.mkdir(parents=True, exist_ok=True)
    lock = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_nlink == 0:  # its owner has just removed it
            raise BlockingIOError
        _refuse_existing(out)
        _remove(list(work.iterdir()))
        try:
            yield work
        finally:
            _remove([work])
    except BlockingIOError as e:
        raise _BusyError(f"{out}: another build of it runs", hint="wait for it to end") from e
    finally:
        os.close(lock)


def _refuse_existing(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise HostError(f"{out}: exists already", hint=f"rm {out}   (overlays that name it are lost with it)")


def _remove(paths: list[Path]) -> None:
    """Remove ``paths`` and all below them; by ``rm``, because without root some of it belongs to other user ids."""
    if paths:
        run(as_root("rm", "-rf", "--one-file-system", "--", *paths))


def _publish(image: Path, out: Path) -> None:
    """Rename ``image`` to ``out`` so that, power cut or not, ``out`` is whole or absent."""
    for path in (image, out.parent):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
            if path == image:
                _refuse_existing(out)
                image.rename(out)
                as_its_folder(out)
        finally:
            os.close(handle)
