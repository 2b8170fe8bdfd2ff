"""Makes a machine ready for DPDK, step by step, each said before it is done and skipped where nothing is missing."""

from collections.abc import Callable, Sequence
from pathlib import Path

from sppr.errors import HostError, LaunchError
from sppr.host import facts
from sppr.host.checks import memory
from sppr.host.checks.check import Step
from sppr.host.root import privilege

#: Hugepage memory kept free beside the primary's.
SPARE_MIB = 256

Note = Callable[[str], None]


def hugepages(mib: int, note: Note, root: Path = Path("/")) -> None:
    """Have at least ``mib`` MiB of hugepages free. HostError where the kernel cannot give that many."""
    found = facts.read(root)
    free = sum(size.free_mib for size in found.hugepages)
    if free >= mib:
        return
    note(f"hugepages: {free} MiB free, {mib} wanted")
    mend((memory.reserve(found, mib - free),), note)
    got = sum(size.free_mib for size in facts.read(root).hugepages)
    if got < mib:
        raise HostError(
            f"hugepages: only {got} of {mib} MiB could be had: memory is short or in pieces",
            hint="end what uses memory, or set primary.memory lower; else reserve them at boot: hugepages=N",
        )


def used_mib(folder: Path, file_prefix: str) -> int:
    """MiB of hugepages that a lab which is up has already."""
    return sum(page.stat().st_size for page in folder.glob(f"{file_prefix}map_*")) >> 20


def hugetlbfs(folder: Path, note: Note) -> None:
    """Have hugetlbfs mounted at ``folder``."""
    if str(folder) not in facts.read().hugetlbfs:
        mend(memory.mount(str(folder)), note)


def mend(steps: Sequence[Step], note: Note) -> None:
    """Run these as root, each shown before it is run. HostError for the first that fails."""
    for step in steps:
        if privilege.is_root():  # else it is told with the sudo before it
            note(str(step))
        try:
            privilege.as_root(step.argv, step.stdin)
        except LaunchError as e:
            raise HostError(e.what, hint="hugepages need root and a kernel with hugetlbfs; sppr doctor") from None
