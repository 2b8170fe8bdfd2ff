"""The line that spp_primary of SPP 16.07 writes for the QEMU of ring VMs (docs/spp-protocol.md, Ring VMs of 16.07)."""

import os
import re
import stat
from pathlib import Path

from sppr.deadline import Deadline
from sppr.errors import NotReady

LINE_FILE = Path("/tmp/ivshmem_qemu_cmdline_pp_ivshmem")  # noqa: S108 - SPP's path
_LINE = re.compile(r"-device ivshmem,size=\d+[MG],shm=fd(?::[^:,\s]+:0x[0-9a-f]+:0x[0-9a-f]+)+")


def wait_line(since: float, deadline: Deadline, path: Path = LINE_FILE) -> list[str]:
    """Return the two words for QEMU that a primary writes which started at ``since`` (seconds since 1970).

    The file stays after a primary ends, so an older one describes memory that no longer exists. Raise NotReady at the
    deadline.
    """

    def read_new() -> str | None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        with os.fdopen(fd, errors="replace") as file:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or status.st_uid not in (0, os.getuid()):
                return None  # QEMU would map files that another user names into the guest
            text = file.read().strip() if status.st_mtime >= since else ""
        return text if _LINE.fullmatch(text) else None

    found = deadline.poll(read_new)
    if found is None:
        why = (
            "belongs to an earlier primary or another user, or is incomplete" if os.path.lexists(path) else "is missing"
        )
        what = f"{path}: {why}; waited {deadline.seconds:.0f} s for the line that the primary writes for ring VMs"
        raise NotReady(what, hint="is SPP built with RTE_TARGET x86_64-ivshmem-linuxapp-gcc (spp.target)?")
    return found.split()
