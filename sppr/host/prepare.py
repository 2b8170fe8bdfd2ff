"""Makes a machine ready for DPDK, step by step, each said before it is done and skipped where nothing is missing."""

from collections.abc import Callable
from pathlib import Path

from sppr.errors import HostError
from sppr.host import facts, privilege

#: Hugepage memory kept free beside the primary's.
SPARE_MIB = 256
_PAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")

Note = Callable[[str], None]


def hugepages(mib: int, note: Note) -> None:
    """Have at least ``mib`` MiB of hugepages free. HostError where the kernel cannot give that many."""
    sizes = facts.read().hugepages
    free = sum(size.free_mib for size in sizes)
    if free >= mib:
        return
    total = sum(size.total for size in sizes if size.size_kb == 2048)
    wanted = total + -(-(mib - free) // 2)
    note(f"hugepages: {free} MiB free, {mib} wanted: reserving {wanted} pages of 2 MiB ({_PAGES})")
    _write(_PAGES, str(wanted))
    got = sum(size.free_mib for size in facts.read().hugepages)
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
    if str(folder) in facts.read().hugetlbfs:
        return
    note(f"hugetlbfs: mounting it at {folder}")
    privilege.as_root(["mkdir", "-p", folder])
    privilege.as_root(["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "nodev", folder])


def _write(path: Path, text: str) -> None:
    try:
        if privilege.is_root():
            path.write_text(text)
        else:
            privilege.as_root(["tee", path], stdin=text)
    except OSError as e:
        raise HostError(f"{path}: {e.strerror}", hint="hugepages need root and a kernel with hugetlbfs") from None
