"""Hugepages by size and NUMA node, mounts, and the processes that map files."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Hugepages:
    """The hugepages of one size: ``size_kb`` each, ``total`` reserved, ``free`` of them free."""

    size_kb: int
    total: int
    free: int

    @property
    def free_mib(self) -> int:
        """Free memory in MiB."""
        return self.free * self.size_kb // 1024


@dataclass(frozen=True)
class Node:
    """A NUMA node."""

    number: int
    cpus: tuple[int, ...]
    hugepages: tuple[Hugepages, ...]

    @property
    def free_mib(self) -> int:
        """Free hugepage memory of the node in MiB."""
        return sum(size.free_mib for size in self.hugepages)


@dataclass(frozen=True)
class Mount:
    """A line of /proc/mounts. ``kind``: name of the file system."""

    point: str
    kind: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class HugeFile:
    """A file that a DPDK process of ``prefix`` created in a hugetlbfs. ``mappers``: pids of the processes that map
    it."""

    path: str
    prefix: str
    mib: int
    mappers: tuple[int, ...] = ()


def text(path: Path) -> str:
    """Return the content of a file in /proc or /sys, or an empty string if it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def hugepages(folder: Path) -> tuple[Hugepages, ...]:
    """Return the hugepages of all sizes below /sys/kernel/mm/hugepages, or below the folder of a NUMA node."""
    sizes = []
    for size in sorted(folder.glob("hugepages-*kB")):
        numbers = [int(text(size / name).strip() or 0) for name in ("nr_hugepages", "free_hugepages")]
        sizes.append(Hugepages(int(size.name[len("hugepages-") : -len("kB")]), *numbers))
    return tuple(sizes)


def nodes(root: Path) -> tuple[Node, ...]:
    """Return the NUMA nodes."""
    found = []
    for folder in (root / "sys/devices/system/node").glob("node[0-9]*"):
        cpus = tuple(sorted(_cpu_list(text(folder / "cpulist"))))
        found.append(Node(int(folder.name.removeprefix("node")), cpus, hugepages(folder / "hugepages")))
    return tuple(sorted(found, key=lambda node: node.number))


def _cpu_list(written: str) -> list[int]:
    """Parse a list of CPUs in the kernel's format: ``0-3,8``."""
    found: list[int] = []
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", written):
        found += range(int(first), int(last or first) + 1)
    return found


def mounts(root: Path) -> tuple[Mount, ...]:
    """Return the mounts."""
    lines = (line.split() for line in text(root / "proc/mounts").splitlines())
    return tuple(Mount(w[1], w[2], tuple(w[3].split(",")) if len(w) > 3 else ()) for w in lines if len(w) > 2)


#: Path of a file -> pids of the processes that map it.
Mappers = dict[str, list[int]]


def huge_files(root: Path, points: tuple[str, ...], mapped: Callable[[], Mappers]) -> tuple[HugeFile, ...]:
    """Return the DPDK files in every hugetlbfs. EAL names them ``<prefix>map_<number>``.

    A file is returned once, even if its file system is mounted twice. Files of other users are omitted, because this
    user cannot see who maps them.
    """
    pages = [page for point in points for page in sorted((root / point.lstrip("/")).glob("*map_*"))]
    by_path = mapped() if pages else {}
    found: dict[tuple[int, int], HugeFile] = {}
    for page in pages:
        try:
            stat = page.stat()
        except OSError:
            continue
        if os.geteuid() not in (0, stat.st_uid):
            continue
        shown = f"/{page.relative_to(root)}"
        prefix = re.sub(r"map_\d+$", "", page.name)
        this = HugeFile(shown, prefix, stat.st_size >> 20, tuple(by_path.get(shown, ())))
        if this.mappers or (stat.st_dev, stat.st_ino) not in found:
            found[stat.st_dev, stat.st_ino] = this
    return tuple(found.values())


def mappers(root: Path) -> Mappers:
    """Return the pids that map each file, of the processes that this user may inspect."""
    found: dict[str, list[int]] = {}
    for maps in (root / "proc").glob("[0-9]*/maps"):
        lines = text(maps).splitlines()
        paths = {words[5] for line in lines if len(words := line.split(maxsplit=5)) == 6}
        for path in paths:
            found.setdefault(path, []).append(int(maps.parent.name))
    return found
