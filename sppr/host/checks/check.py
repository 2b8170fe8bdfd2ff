"""The types of the checks: what a check reads, what it reports, the commands that fix a problem, and the log texts
it explains."""

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
    """A command that is part of a fix. ``stdin``: its standard input, if any."""

    argv: tuple[str, ...]
    stdin: str | None = None

    def __str__(self) -> str:
        line = pasteable(self.argv)
        return line if self.stdin is None else f"echo {self.stdin.strip()} | {line}"


def write_number(path: str, text: str) -> Step:
    """Return the step that writes a number to a file of /sys or /proc."""
    return Step(("tee", path), f"{text}\n")


def remove_files(*paths: str) -> Step:
    """Return the step that removes files."""
    return Step(("rm", "-f", "--", *paths))


def remove_folder(path: str) -> Step:
    """Return the step that removes a folder with its content."""
    return Step(("rm", "-rf", "--", path))


@dataclass(frozen=True)
class Finding:
    """A problem of the machine.

    ``id``: id of the check, as in the documents.
    ``severity``: ``error``, ``warning`` or ``info``.
    ``what``: what was found.
    ``fix``: what the user can do.
    ``fix_steps``: the commands that ``doctor --fix`` runs; empty if they could not be undone, or would change something
        that does not belong to the lab.
    """

    id: str
    severity: Severity
    what: str
    fix: str
    fix_steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Process:
    """A process of the lab as it will be started.

    ``depends_on``: parts that must be ready before it.
    ``sockets``: paths of its vhost ports.
    ``upstream``: whether it is a program of an upstream SPP tree, whose worker lcores poll all the time.
    ``bridge``: the bridge of a VM (``vm.bridge``).
    """

    name: str
    role: str
    argv: tuple[str, ...]
    depends_on: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()
    upstream: bool = False
    bridge: str = ""

    @property
    def is_vm(self) -> bool:
        """Whether it is a VM."""
        return self.role.startswith("vm")

    def values(self, option: str) -> list[str]:
        """Return the values of an option in argv: ``--vdev X`` or ``--vdev=X``."""
        after = [b for a, b in zip(self.argv, self.argv[1:], strict=False) if a == option]
        return after + [word.partition("=")[2] for word in self.argv if word.startswith(f"{option}=")]

    def eal(self) -> tuple[str, ...]:
        """Return the EAL options: argv before ``--``."""
        return self.argv[: self.argv.index("--")] if "--" in self.argv else self.argv


@dataclass(frozen=True)
class Disk:
    """An existing image of the lab.

    ``backing``: path of its backing file.
    ``backing_format``: format of the backing file that the image names.
    ``backing_there``: whether the backing file exists.
    """

    path: str
    format: str
    backing: str | None = None
    backing_format: str | None = None
    backing_there: bool = True


def _unknown_process(_: int) -> str:
    return "another process"


@dataclass(frozen=True)
class Requirements:
    """What a lab needs of the machine, and what it already uses.

    ``programs``: path of each program by name; None if it is missing.
    ``packages``: Debian package of each program.
    ``tcp_ports``: purpose of each TCP port.
    ``lcores``: all lcores of the masks.
    ``sockets``: paths of vhost sockets that the lab will create.
    ``stale``: those of them that exist without a listener.
    ``sock_dir_open``: whether this user may create sockets in their folder.
    ``taps``: EAL device of each network interface that the primary will create.
    ``hugepage_mib``: hugepage memory of the primary.
    ``hugepage_file``: whether ``hugepage_dir`` is a regular file.
    ``sudo``: whether sudo needs no password in a pane; None if it is not installed.
    ``sudoers``: the sudoers line with which it needs none.
    ``terminal``: whether there is a terminal to ask in.
    ``find_listener``: returns a description of the process that listens on a TCP port.
    ``describe_process``: returns a description of a pid.
    ``processes``: the processes that will be started.
    ``builds``: DPDK library that each program is linked to.
    ``running``: pids of parts of this lab that already run, by name.
    ``recorded``: the last known pids of its parts.
    ``listening_own``: TCP ports that its running parts listen on.
    ``disks``: existing images.
    ``holders``: pid that has an image open, by path.
    ``partial_images``: incomplete images of killed runs.
    ``disk_folder``: folder of the images.
    ``disk_mib``: MiB needed and free in that folder.
    ``bridge_place``: place of ``vm.bridge`` in conf.yml, in front of a finding.
    ``vm_user_problem``: why QEMU must run as root in a lab of root.
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
    find_listener: Callable[[int], str] = _unknown_process
    describe_process: Callable[[int], str] = lambda pid: f"pid {pid}"
    processes: tuple[Process, ...] = ()
    builds: dict[str, str] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    recorded: frozenset[int] = frozenset()
    listening_own: frozenset[int] = frozenset()
    disks: tuple[Disk, ...] = ()
    holders: dict[str, int] = field(default_factory=dict)
    partial_images: tuple[str, ...] = ()
    disk_folder: str = ""
    disk_mib: tuple[int, int] = (0, 0)
    tmux_version: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    bridge_place: str = "vm.bridge: "
    vm_user_problem: str = ""

    @property
    def own(self) -> frozenset[int]:
        """Pids of this lab."""
        return frozenset(self.running.values()) | self.recorded

    @property
    def vms(self) -> list[Process]:
        """The VMs among the processes."""
        return [process for process in self.processes if process.is_vm]

    @property
    def spp(self) -> list[Process]:
        """The primary and the secondaries."""
        return [process for process in self.processes if process.role in ("primary", "secondary")]

    @property
    def root_programs(self) -> str:
        """Names of the programs that run as root: ``spp_primary and spp_nfv``."""
        return " and ".join(dict.fromkeys(Path(p.argv[0]).name for p in self.spp)) or "DPDK's processes"

    def named(self, pids: tuple[int, ...]) -> str:
        """Return a description of these pids."""
        return ", ".join(self.describe_process(pid) for pid in pids)


@dataclass(frozen=True)
class NotChecked:
    """The report of a check that could not be made. ``why`` completes "not checked: "."""

    why: str


Inspect = Callable[[Facts, Requirements], Iterator[Finding]]
#: Returns what a check examined when it found no problem: numbers and names, without conclusions.
OkReport = Callable[[Facts, Requirements], str | NotChecked]


@dataclass(frozen=True)
class Check:
    """A check, and the log texts that it explains.

    ``cause``: what a log line that matches one of ``texts`` (regular expressions) means.
    ``fix``: what the user can do about it.
    ``ok``: report if there is no problem; None for a check that only explains logs. The texts of vhost.py and nics.py
        are replaced by those of ok_reports.py.
    ``severity``: severity of such a log line.
    ``inspect``: the check that runs before a start.
    ``host``: whether the check needs no lab.
    """

    id: str
    cause: str
    fix: str
    ok: OkReport | str | None
    texts: tuple[str, ...] = ()
    severity: Severity = "error"
    inspect: Inspect | None = None
    host: bool = False


def listed(words: Iterable[object], none: str) -> str:
    """Return the words joined with commas, or ``none`` if there are none."""
    return ", ".join(map(str, words)) or none


def no_images(required: Requirements) -> str | NotChecked:
    """Return the report of a check about the image folder if there is none."""
    if all(vm.name in required.running for vm in required.vms):
        return "no VM will be started"
    return NotChecked("there is no image folder")


def options(value: str) -> dict[str, str]:
    """Parse an option string: ``memory-backend-memfd,id=mem,share=on`` as a dict, with the first word under ``""``."""
    pieces = value.replace(",,", "\0").split(",")
    found = {"": pieces[0]} if "=" not in pieces[0] else {}
    return found | {k: v.replace("\0", ",") for k, _, v in (p.partition("=") for p in pieces) if v}
