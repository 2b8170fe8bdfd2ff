"""What this machine is, read below ``root`` so that a test can bring a /proc and a /sys of its own."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

#: Kernel drivers a NIC is bound to when DPDK owns it.
DPDK_DRIVERS = ("vfio-pci", "uio_pci_generic", "igb_uio")
#: Flag of a listening socket in /proc/net/unix (__SO_ACCEPTCON).
_LISTENING = "00010000"
#: State of a listening socket in /proc/net/tcp.
_TCP_LISTEN = "0A"


@dataclass(frozen=True)
class Hugepages:
    """Pages of one size: ``size_kb`` each, ``total`` reserved, ``free`` of them."""

    size_kb: int
    total: int
    free: int

    @property
    def free_mib(self) -> int:
        return self.free * self.size_kb // 1024


@dataclass(frozen=True)
class Facts:
    """A snapshot of the machine."""

    cpus: tuple[int, ...]
    hugepages: tuple[Hugepages, ...] = ()
    hugetlbfs: tuple[str, ...] = ()
    nics: tuple[str, ...] = ()
    virtualisation: bool = False
    kvm_device: bool = False
    boot_id: str = ""
    tcp_listening: frozenset[int] = frozenset()
    unix_listening: frozenset[str] = field(default_factory=frozenset)

    def kvm_usable(self) -> bool:
        """/dev/kvm alone is not believed: on a host without vmx or svm it opens and guests hang for ever."""
        return self.kvm_device and self.virtualisation


def read(root: Path = Path("/")) -> Facts:
    """The facts of the machine whose /proc, /sys and /dev lie below ``root``."""
    cpuinfo = _text(root / "proc/cpuinfo")
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo, re.MULTILINE)
    return Facts(
        cpus=_cpus(root, cpuinfo),
        hugepages=tuple(_hugepages(root)),
        hugetlbfs=tuple(_hugetlbfs(root)),
        nics=tuple(_nics(root)),
        virtualisation=bool(flags and {"vmx", "svm"} & set(flags[1].split())),
        kvm_device=os.access(root / "dev/kvm", os.R_OK | os.W_OK),
        boot_id=_text(root / "proc/sys/kernel/random/boot_id").strip(),
        tcp_listening=frozenset(_tcp_listening(root)),
        unix_listening=unix_listening(root),
    )


def unix_listening(root: Path = Path("/")) -> frozenset[str]:
    """Paths of the unix sockets somebody listens on.

    A vhost-user socket must never be tried by connecting: the other side takes the probe for a guest.
    """
    found = set()
    for line in _text(root / "proc/net/unix").splitlines()[1:]:
        words = line.split(maxsplit=7)
        if len(words) == 8 and words[3] == _LISTENING:
            found.add(words[7])
    return frozenset(found)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _cpus(root: Path, cpuinfo: str) -> tuple[int, ...]:
    if root == Path("/"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(int(n) for n in re.findall(r"^processor\s*:\s*(\d+)", cpuinfo, re.MULTILINE))


def _hugepages(root: Path) -> list[Hugepages]:
    sizes = []
    for folder in sorted((root / "sys/kernel/mm/hugepages").glob("hugepages-*kB")):
        numbers = [int(_text(folder / name).strip() or 0) for name in ("nr_hugepages", "free_hugepages")]
        sizes.append(Hugepages(int(folder.name[len("hugepages-") : -len("kB")]), *numbers))
    return sizes


def _hugetlbfs(root: Path) -> list[str]:
    mounts = (line.split() for line in _text(root / "proc/mounts").splitlines())
    return [words[1] for words in mounts if len(words) > 2 and words[2] == "hugetlbfs"]


def _nics(root: Path) -> list[str]:
    drivers = root / "sys/bus/pci/drivers"
    found = [d.name for name in DPDK_DRIVERS for d in (drivers / name).glob("*:*:*.*")]
    return sorted(d for d in found if _text(root / "sys/bus/pci/devices" / d / "class").startswith("0x02"))


def _tcp_listening(root: Path) -> set[int]:
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in _text(root / "proc/net" / table).splitlines()[1:]:
            words = line.split()
            if len(words) > 3 and words[3] == _TCP_LISTEN:
                ports.add(int(words[1].rsplit(":", 1)[1], 16))
    return ports
