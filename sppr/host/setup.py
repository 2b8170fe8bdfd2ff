"""Prepare a machine for DPDK. Each step is reported before it runs, and is skipped if nothing is missing."""

from collections.abc import Callable, Sequence
from pathlib import Path

from sppr.errors import HostError, LaunchError
from sppr.host import facts
from sppr.host.checks import memory
from sppr.host.checks.check import Step
from sppr.host.root import privilege

#: Hugepage memory to keep free in addition to that of the primary.
SPARE_MIB = 256

Report = Callable[[str], None]


def hugepages(mib: int, report: Report, root: Path = Path("/")) -> None:
    """Make at least ``mib`` MiB of hugepages free. Raise HostError if the kernel cannot reserve that many."""
    found = facts.read(root)
    free = sum(size.free_mib for size in found.hugepages)
    if free >= mib:
        return
    report(f"hugepages: {free} MiB free, {mib} MiB needed")
    apply_fixes((memory.reserve(found, mib - free),), report)
    got = sum(size.free_mib for size in facts.read(root).hugepages)
    if got < mib:
        raise HostError(
            f"hugepages: only {got} of {mib} MiB could be reserved: memory is short or fragmented",
            hint="stop programs that use memory, lower primary.memory, or reserve hugepages at boot: hugepages=N",
        )


def used_mib(folder: Path, file_prefix: str) -> int:
    """Return the MiB of hugepages that a running lab already uses."""
    return sum(page.stat().st_size for page in folder.glob(f"{file_prefix}map_*")) >> 20


def hugetlbfs(folder: Path, report: Report) -> None:
    """Mount hugetlbfs at ``folder`` if it is not mounted there."""
    if str(folder) not in facts.read().hugetlbfs:
        apply_fixes(memory.mount(str(folder)), report)


def apply_fixes(steps: Sequence[Step], report: Report) -> None:
    """Run commands as root, and report each before it runs. Raise HostError for the first that fails."""
    for step in steps:
        if privilege.is_root():  # otherwise as_root reports the sudo command
            report(str(step))
        try:
            privilege.as_root(step.argv, step.stdin)
        except LaunchError as e:
            raise HostError(e.what, hint="hugepages need root and a kernel with hugetlbfs; sppr doctor") from None
