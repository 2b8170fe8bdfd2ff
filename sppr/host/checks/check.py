"""The types of a check: what it inspects, what it reports, the commands that fix it, and the log texts it explains."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sppr.host.facts import Facts
from sppr.run import pasteable

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True)
class Step:
    """``argv``, and ``stdin`` where it is fed something."""

    argv: tuple[str, ...]
    stdin: str | None = None

    def __str__(self) -> str:
        line = pasteable(self.argv)
        return line if self.stdin is None else f"echo {self.stdin.strip()} | {line}"


def write_number(path: str, text: str) -> Step:
    """Write a number into a file of /sys or /proc."""
    return Step(("tee", path), f"{text}\n")


def remove_files(*paths: str) -> Step:
    return Step(("rm", "-f", "--", *paths))


def remove_folder(path: str) -> Step:
    return Step(("rm", "-rf", "--", path))


@dataclass(frozen=True)
class Finding:
    """Something about the machine: ``id`` as in docs, how bad, what was found, and the command that mends it.

    ``fix_steps``: what ``doctor --fix`` runs; empty where it cannot be taken back, or is not ours to touch.
    """

    id: str
    severity: Severity
    what: str
    fix: str
    fix_steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Process:
    """A process of the lab as it will run.

    ``depends_on``: the parts that must be ready before it. ``sockets``: paths of its vhost ports.
    ``real``: a program of an SPP tree, whose worker lcores poll all the time."""

    name: str
    role: str
    argv: tuple[str, ...]
    depends_on: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()
    real: bool = False

    @property
    def is_vm(self) -> bool:
        return self.role.startswith("vm")

    def values(self, option: str) -> list[str]:
        """What follows each ``option`` in argv: ``--vdev X`` or ``--vdev=X``."""
        after = [b for a, b in zip(self.argv, self.argv[1:], strict=False) if a == option]
        return after + [word.partition("=")[2] for word in self.argv if word.startswith(f"{option}=")]

    def eal(self) -> tuple[str, ...]:
        """EAL's half of argv, before ``--``."""
        return self.argv[: self.argv.index("--")] if "--" in self.argv else self.argv


@dataclass(frozen=True)
class Disk:
    """An image of the lab that is there. ``backing``: full path of what it stands on."""

    path: str
    format: str
    backing: str | None = None
    backing_format: str | None = None
    backing_there: bool = True


def _somebody(_: int) -> str:
    return "another process"


@dataclass(frozen=True)
class Requirements:
    """What a lab wants of the machine.

    ``programs``: name -> path or None where it is missing. ``tcp_ports``: port -> what for. ``lcores``: all that
    the masks name. ``sockets``: paths this lab will create; ``stale``: those that are there. ``taps``: network
    interface that the primary will create -> its EAL device. ``hugepage_mib``: of the primary. ``living``: processes of
    this lab that run already -> pid; ``recorded``: pids its parts had last; ``listening_own``: their ports.
    ``holders``:
    image -> pid that has it open. ``torn``: temporary images of killed runs. ``disk_mib``: wanted and free in the
    images' folder. ``sudo``: whether sudo asks for nothing in a pane, None where it is not installed; ``sudoers``: the
    line with which it does not; ``terminal``: whether there is one to ask in. ``builds``: program -> the DPDK it is
    built on. ``vm_user_problem``: why QEMU runs as root in a lab of root.
    """

    programs: dict[str, str | None] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    tcp_ports: dict[int, str] = field(default_factory=dict)
    lcores: tuple[int, ...] = ()
    sockets: tuple[str, ...] = ()
    taps: dict[str, str] = field(default_factory=dict)
    stale: tuple[str, ...] = ()
    sock_dir_open: bool = True
    hugepage_mib: int = 0
    hugepage_dir: str = "/dev/hugepages"
    hugepage_file: bool = False
    file_prefix: str = ""
    accel: str = "auto"
    is_root: bool = True
    sudo: bool | None = None
    sudoers: str = ""
    terminal: bool = True
    user: str = ""
    find_listener: Callable[[int], str] = _somebody
    name_of: Callable[[int], str] = lambda pid: f"pid {pid}"
    processes: tuple[Process, ...] = ()
    builds: dict[str, str] = field(default_factory=dict)
    living: dict[str, int] = field(default_factory=dict)
    recorded: frozenset[int] = frozenset()
    listening_own: frozenset[int] = frozenset()
    disks: tuple[Disk, ...] = ()
    holders: dict[str, int] = field(default_factory=dict)
    torn: tuple[str, ...] = ()
    disk_folder: str = ""
    disk_mib: tuple[int, int] = (0, 0)
    tmux_version: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    vm_user_problem: str = ""

    @property
    def own(self) -> frozenset[int]:
        return frozenset(self.living.values()) | self.recorded

    @property
    def vms(self) -> list[Process]:
        return [process for process in self.processes if process.is_vm]

    @property
    def spp(self) -> list[Process]:
        """Primary and secondaries."""
        return [process for process in self.processes if process.role in ("primary", "secondary")]

    @property
    def rooted(self) -> str:
        """Names of the programs that run as root: ``spp_primary and spp_nfv``."""
        return " and ".join(dict.fromkeys(Path(p.argv[0]).name for p in self.spp)) or "DPDK's processes"

    def named(self, pids: tuple[int, ...]) -> str:
        return ", ".join(self.name_of(pid) for pid in pids)


@dataclass(frozen=True)
class NotLooked:
    """The answer of a check that looked at nothing. ``why`` completes "not looked at: "."""

    why: str


Look = Callable[[Facts, Requirements], Iterator[Finding]]
#: Returns what a check saw where it found nothing: numbers and names, and no claim beyond them.
Fine = Callable[[Facts, Requirements], str | NotLooked]


@dataclass(frozen=True)
class Check:
    """A row of the table of troubles.

    ``means``: what a log line that one of ``texts`` (regular expressions) matches is about, and ``fix`` what to type
    then; ``severity`` of such a line. ``look``: the check before a start. ``fine``: what was seen where it finds
    nothing; None where the check is known from logs alone. The texts in vhost.py and nics.py are replaced by seen.py.
    ``host``: it needs no lab.
    """

    id: str
    means: str
    fix: str
    fine: Fine | str | None
    texts: tuple[str, ...] = ()
    severity: Severity = "error"
    look: Look | None = None
    host: bool = False


def listed(words: Iterable[object], none: str) -> str:
    """Return the words with commas between them, or ``none`` where there are none."""
    return ", ".join(map(str, words)) or none


def no_images(required: Requirements) -> str | NotLooked:
    """The answer of a check about the folder of images where there is none to look at."""
    if all(vm.name in required.living for vm in required.vms):
        return "no VM is to start"
    return NotLooked("there is no folder for images")


def options(value: str) -> dict[str, str]:
    """``memory-backend-memfd,id=mem,share=on`` as a dict; the bare first word under ``""``."""
    pieces = value.replace(",,", "\0").split(",")
    found = {"": pieces[0]} if "=" not in pieces[0] else {}
    return found | {k: v.replace("\0", ",") for k, _, v in (p.partition("=") for p in pieces) if v}
