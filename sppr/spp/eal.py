"""EAL arguments, declared as fields."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sppr import units


def lcores(coremask: int, cpus: Sequence[int]) -> list[str]:
    """EAL options that put the mask's lcores on this host's cores.

    Where the host has them all: ``-l 2,3``. Where it does not: ``--lcores 2@0,3@1``, so that each keeps its own lcore
    id, by which the shared memory pool keeps its caches, while they share the cores there are.
    """
    wanted = units.bits(coremask)
    if set(wanted) <= set(cpus):
        return ["-l", ",".join(map(str, wanted))]
    return ["--lcores", ",".join(f"{lcore}@{cpus[lcore % len(cpus)]}" for lcore in wanted)]


@dataclass(frozen=True)
class Eal:
    """What every DPDK process of a lab is started with; ``socket_mem`` in MiB, the primary's alone."""

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
