"""Command-line options of EAL, DPDK's environment abstraction layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sppr import units


def lcores(coremask: int, cpus: Sequence[int]) -> list[str]:
    """Return the EAL options that run the lcores of a mask on the CPUs of this host.

    ``-l 2,3`` if the host has all of them. Otherwise ``--lcores 2@0,3@1``: each process keeps its own lcore ids, which
    select the caches of the shared memory pool, while the lcores share the CPUs.
    """
    ids = units.bits(coremask)
    if set(ids) <= set(cpus):
        return ["-l", ",".join(map(str, ids))]
    return ["--lcores", ",".join(f"{lcore}@{cpus[lcore % len(cpus)]}" for lcore in ids)]


@dataclass(frozen=True)
class Eal:
    """The EAL options of a DPDK process.

    ``socket_mem``: hugepage memory in MiB, of the primary only.
    """

    lcores: tuple[str, ...]
    channels: int
    proc_type: Literal["primary", "secondary"]
    file_prefix: str
    pci: bool
    socket_mem: int | None = None
    huge_dir: str | None = None
    vdevs: tuple[str, ...] = ()
    base_virtaddr: str | None = None

    def argv(self) -> list[str]:
        """Return the options as words of a command line."""
        words = [*self.lcores, "-n", str(self.channels)]
        if self.socket_mem is not None:
            words += ["--socket-mem", str(self.socket_mem)]
        if self.huge_dir is not None:
            words += ["--huge-dir", self.huge_dir]
        if self.base_virtaddr is not None:
            words += ["--base-virtaddr", self.base_virtaddr]
        words += ["--proc-type", self.proc_type, "--file-prefix", self.file_prefix]
        words += [] if self.pci else ["--no-pci"]
        return words + [word for vdev in self.vdevs for word in ("--vdev", vdev)]
