"""The line that spp_primary of SPP 16.07 writes for the QEMU of ring VMs (spp-facts 9, 12.4)."""

import os
import re
import stat
from pathlib import Path

from sppr.deadline import Deadline
from sppr.errors import NotReady

LINE = Path("/tmp/ivshmem_qemu_cmdline_pp_ivshmem")  # noqa: S108 - SPP's own place
_WORDS = re.compile(r"-device ivshmem,size=\d+[MG],shm=fd(?::[^:,\s]+:0x[0-9a-f]+:0x[0-9a-f]+)+")


def wait_line(since: float, deadline: Deadline, path: Path = LINE) -> list[str]:
    """The two words for QEMU, of a primary that started at ``since`` (seconds since 1970): the file stays behind after
    each, and an older one describes memory that is gone. NotReady where none comes."""

    def fresh() -> str | None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        with os.fdopen(fd, errors="replace") as file:
            there = os.fstat(fd)
            if not stat.S_ISREG(there.st_mode) or there.st_uid not in (0, os.getuid()):
                return None  # another user's: QEMU would map what it names into the guest
            text = file.read().strip() if there.st_mtime >= since else ""
        return text if _WORDS.fullmatch(text) else None

    found = deadline.poll(fresh)
    if found is None:
        why = "is of a primary before, torn, or another user's" if os.path.lexists(path) else "is not there"
        what = f"{path}: {why}; waited {deadline.seconds:.0f} s for what the primary writes for ring VMs"
        raise NotReady(what, hint="is SPP built with RTE_TARGET x86_64-ivshmem-linuxapp-gcc (spp.target)?")
    return found.split()
