"""Read the facts about this machine. They are read below ``root``, so that a test can provide its own /proc and
/sys."""

import functools
import os
import re
import resource
from dataclasses import dataclass, field
from pathlib import Path

from sppr.host import dpdk_runtime
from sppr.host.dpdk_runtime import Runtime
from sppr.host.network import nics
from sppr.host.network.bridge import Bridge, bridges
from sppr.host.network.nics import Nic
from sppr.host.process import memory, sockets
from sppr.host.process.memory import HugeFile, Hugepages, Mount, Node
from sppr.host.process.memory import text as _text

__all__ = ["Facts", "HugeFile", "Hugepages", "Interface", "Mount", "Nic", "Node", "Runtime", "read"]

#: State of a listening socket in /proc/net/tcp.
_TCP_LISTEN = "0A"


#: IFF_TAP, IFF_MULTI_QUEUE and IFF_PERSIST of a tun interface's ``tun_flags``.
_TAP, _MULTI_QUEUE, _PERSISTENT = 0x0002, 0x0100, 0x0800


@dataclass(frozen=True)
class Interface:
    """A network interface.

    ``kind``: ``tap``, ``tun``, ``bridge``, ``veth`` and so on; ``interface`` if sysfs does not show it, for example
        while the kernel removes the interface.
    ``multi_queue``: whether a tap has several queues, which net_tap needs to attach to it.
    ``holders``: pids of the processes that have the tap open, as far as this user can see them.
    ``persistent``: whether a tap remains when no process has it open.
    """

    name: str
    kind: str
    multi_queue: bool = False
    holders: tuple[int, ...] = ()
    persistent: bool = False

    @property
    def is_being_removed(self) -> bool:
        """Whether the kernel may be about to remove it.

        A tap disappears shortly after the last process closed it.
        """
        return not self.holders and (self.kind == "interface" or (self.kind == "tap" and not self.persistent))


@dataclass(frozen=True)
class Facts:
    """The state of the machine at one moment.

    ``nics``: PCI addresses of ``ports``.
    ``ports``: the NICs that are bound to a DPDK driver.
    ``kvm_exists``: whether /dev/kvm exists.
    ``kvm_device``: whether this user can open /dev/kvm.
    ``kvm_boots``: whether a guest booted with KVM; None if it was not tested.
    ``aslr``: kernel.randomize_va_space.
    ``memlock``: limit of locked memory in bytes; None for no limit.
    ``machine_id``: the id of this installation, in /etc/machine-id.
    ``unix_bound``: paths of unix sockets in any state and network namespace.
    """

    cpus: tuple[int, ...]
    hugepages: tuple[Hugepages, ...] = ()
    hugetlbfs: tuple[str, ...] = ()
    nics: tuple[str, ...] = ()
    virtualisation: bool = False
    kvm_device: bool = False
    boot_id: str = ""
    tcp_listening: frozenset[int] = frozenset()
    unix_listening: frozenset[str] = field(default_factory=frozenset)
    unix_bound: frozenset[str] = field(default_factory=frozenset)
    kvm_exists: bool = False
    kvm_boots: bool | None = None
    nodes: tuple[Node, ...] = ()
    mounts: tuple[Mount, ...] = ()
    huge_files: tuple[HugeFile, ...] = ()
    runtimes: tuple[Runtime, ...] = ()
    ports: tuple[Nic, ...] = ()
    iommu: bool = False
    memory_free_mib: int = 0
    memlock: int | None = None
    aslr: int = 0
    selinux: bool = False
    interfaces: tuple[Interface, ...] = ()
    bridges: tuple[Bridge, ...] = ()
    bridge_acl: tuple[str, ...] | None = None
    machine_id: str = ""
    root: str = field(default="/", compare=False)

    def kvm_usable(self) -> bool:
        """Return whether VMs can use KVM.

        /dev/kvm alone is not proof: on a host without vmx or svm it can be opened, but guests hang.
        """
        return self.kvm_device and self.virtualisation and self.kvm_boots is not False

    def file_system(self, path: str) -> str:
        """Return the name of the file system of ``path``, or an empty string if it is unknown."""
        above = [m for m in self.mounts if path == m.point or path.startswith(m.point.rstrip("/") + "/")]
        # The later of two mounts at one path hides the earlier.
        return max(enumerate(above), key=lambda m: (len(m[1].point), m[0]))[1].kind if above else ""


def read(root: Path = Path("/"), mappers: bool = True) -> Facts:
    """Read the facts below ``root``.

    Without ``mappers``, facts that need a scan of all processes are omitted: hugepage files and runtime folders that
    DPDK left, sockets in other network namespaces, processes that have a tap open.
    """
    cpuinfo = _text(root / "proc/cpuinfo")
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo, re.MULTILINE)
    mounts = memory.mounts(root)
    hugetlbfs = tuple(m.point for m in mounts if m.kind == "hugetlbfs")
    ports = nics.nics(root)
    available = re.search(r"^MemAvailable:\s*(\d+)", _text(root / "proc/meminfo"), re.MULTILINE)
    groups = root / "sys/kernel/iommu_groups"
    by_path = functools.cache(lambda: memory.mappers(root))
    return Facts(
        cpus=_cpus(root, cpuinfo),
        hugepages=memory.hugepages(root / "sys/kernel/mm/hugepages"),
        hugetlbfs=hugetlbfs,
        nics=tuple(port.address for port in ports),
        virtualisation=bool(flags and {"vmx", "svm"} & set(flags[1].split())),
        kvm_device=os.access(root / "dev/kvm", os.R_OK | os.W_OK),
        kvm_exists=(root / "dev/kvm").exists(),
        boot_id=_text(root / "proc/sys/kernel/random/boot_id").strip(),
        tcp_listening=frozenset(_tcp_listening(root)),
        unix_listening=sockets.listening_paths(root),
        unix_bound=sockets.bound_paths(root) if mappers else frozenset(),
        nodes=memory.nodes(root),
        mounts=mounts,
        huge_files=memory.huge_files(root, hugetlbfs, by_path) if mappers else (),
        runtimes=dpdk_runtime.runtimes(root, by_path) if mappers else (),
        ports=ports,
        iommu=groups.is_dir() and any(groups.iterdir()),
        memory_free_mib=int(available[1]) // 1024 if available else 0,
        memlock=_memlock() if root == Path("/") else None,
        aslr=int(_text(root / "proc/sys/kernel/randomize_va_space").strip() or 0),
        selinux=_text(root / "sys/fs/selinux/enforce").strip() == "1",
        interfaces=interfaces(root, mappers),
        bridges=bridges(root),
        bridge_acl=_bridge_acl(root / "etc/qemu/bridge.conf"),
        machine_id=_text(root / "etc/machine-id").strip(),
        root=str(root),
    )


def interfaces(root: Path = Path("/"), holders: bool = True) -> tuple[Interface, ...]:
    """Return the network interfaces. Without ``holders``, processes that have taps open are not searched."""
    folders = sorted(path for path in (root / "sys/class/net").glob("*") if path.is_dir())
    tuns = {path.name for path in folders if (path / "tun_flags").exists()}
    open_taps = _tap_holders(root) if holders and tuns else {}
    return tuple(_interface(folder, tuple(open_taps.get(folder.name, ()))) for folder in folders)


def _interface(folder: Path, holders: tuple[int, ...]) -> Interface:
    if written := _text(folder / "tun_flags").strip():
        flags = int(written, 16)
        kind = "tap" if flags & _TAP else "tun"
        return Interface(folder.name, kind, bool(flags & _MULTI_QUEUE), holders, bool(flags & _PERSISTENT))
    if (folder / "bridge").is_dir():
        return Interface(folder.name, "bridge")
    if typed := re.search(r"^DEVTYPE=(\S+)", _text(folder / "uevent"), re.MULTILINE):
        return Interface(folder.name, typed[1])
    if (folder / "device").exists():
        return Interface(folder.name, "NIC")
    index, peer = (_text(folder / name).strip() for name in ("ifindex", "iflink"))
    return Interface(folder.name, "veth" if index != peer else "interface")


def _tap_holders(root: Path) -> dict[str, list[int]]:
    """Return the pids that have each tap open.

    The kernel writes ``iff:<tab>NAME`` into the fdinfo of a tun file. Descendants that inherited the file from such a
    process are omitted.
    """
    found: dict[str, list[int]] = {}
    for fds in (root / "proc").glob("[0-9]*/fd"):
        try:
            with os.scandir(fds) as entries:
                tuns = [entry.name for entry in entries if os.readlink(entry.path) == "/dev/net/tun"]  # noqa: PTH115
        except OSError:  # the process has ended, or is another user's
            continue
        infos = (_text(fds.parent / "fdinfo" / number) for number in tuns)
        lines = [line.split() for info in infos for line in info.splitlines()]
        # A file descriptor that is not attached to an interface yet has an empty name.
        names = {words[1] for words in lines if len(words) == 2 and words[0] == "iff:"}
        for name in names:
            found.setdefault(name, []).append(int(fds.parent.name))
    return {name: [pid for pid in pids if _parent(root, pid) not in pids] for name, pids in found.items()}


def _parent(root: Path, pid: int) -> int:
    fields = _text(root / f"proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


def _cpus(root: Path, cpuinfo: str) -> tuple[int, ...]:
    if root == Path("/"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(int(n) for n in re.findall(r"^processor\s*:\s*(\d+)", cpuinfo, re.MULTILINE))


def _memlock() -> int | None:
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return None if soft == resource.RLIM_INFINITY else soft


def _bridge_acl(path: Path) -> tuple[str, ...] | None:
    """Return the bridges that QEMU's helper may use, or None if the file does not exist."""
    if not path.is_file():
        return None
    lines = (line.split() for line in _text(path).splitlines())
    return tuple(words[1] for words in lines if len(words) == 2 and words[0] == "allow")


def _tcp_listening(root: Path) -> set[int]:
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in _text(root / "proc/net" / table).splitlines()[1:]:
            words = line.split()
            if len(words) > 3 and words[3] == _TCP_LISTEN:
                ports.add(int(words[1].rsplit(":", 1)[1], 16))
    return ports
