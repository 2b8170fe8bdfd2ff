"""Facts + what a lab needs -> findings. Pure: nothing is read or touched here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from sppr.host.facts import Facts

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """Something about the machine: ``id`` as in docs, how bad, what was found, and the command that mends it."""

    id: str
    severity: Severity
    what: str
    fix: str


@dataclass(frozen=True)
class Needs:
    """What a lab wants of the machine.

    ``programs``: name -> path or None where it is missing. ``tcp_ports``: port -> what for. ``lcores``: all that
    the masks name. ``sockets``: paths this lab will create. ``hugepage_mib``: of the primary.
    """

    programs: dict[str, str | None] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    tcp_ports: dict[int, str] = field(default_factory=dict)
    lcores: tuple[int, ...] = ()
    sockets: tuple[str, ...] = ()
    hugepage_mib: int = 0
    hugepage_dir: str = "/dev/hugepages"
    accel: str = "auto"
    is_root: bool = True
    who_listens: Callable[[int], str] = lambda _: "another process"


def check(facts: Facts, needs: Needs) -> list[Finding]:
    """Every finding, errors first."""
    found = [finding for one in CHECKS for finding in one(facts, needs)]
    return sorted(found, key=lambda f: f.severity != "error")


def _root(_: Facts, needs: Needs) -> Iterator[Finding]:
    if not needs.is_root:
        what = "DPDK needs root for hugepages and ports, and this is not root"
        yield Finding("root", "error", what, "sudo -E ./bin/wakeup.py")


def _programs(_: Facts, needs: Needs) -> Iterator[Finding]:
    for program, path in needs.programs.items():
        if path is None:
            package = needs.packages.get(program, program)
            yield Finding("program", "error", f"{program}: not installed", f"make up   (or: apt-get install {package})")


def _hugepages_free(facts: Facts, needs: Needs) -> Iterator[Finding]:
    if not needs.hugepage_mib:
        return
    free = sum(size.free_mib for size in facts.hugepages)
    if free < needs.hugepage_mib:
        total = sum(size.total * size.size_kb // 1024 for size in facts.hugepages)
        what = f"hugepages: the primary needs {needs.hugepage_mib} MiB, {free} MiB are free (of {total} MiB reserved)"
        pages = (needs.hugepage_mib - free) // 2 + sum(s.total for s in facts.hugepages if s.size_kb == 2048)
        fix = f"sppr setup   (or: echo {pages} > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages)"
        yield Finding("hp-none", "error", what, fix)


def _hugepages_mounted(facts: Facts, needs: Needs) -> Iterator[Finding]:
    if needs.hugepage_mib and needs.hugepage_dir not in facts.hugetlbfs:
        fix = f"sppr setup   (or: mount -t hugetlbfs nodev {needs.hugepage_dir})"
        yield Finding("hp-mount", "error", f"hugepages: {needs.hugepage_dir} is not a hugetlbfs mount", fix)


def _ports(facts: Facts, needs: Needs) -> Iterator[Finding]:
    for port, purpose in needs.tcp_ports.items():
        if port in facts.tcp_listening:
            what = f"port {port} ({purpose}) is taken by {needs.who_listens(port)}"
            yield Finding("net-port", "error", what, "end that process, or choose another port in conf.yml")


def _lcores(facts: Facts, needs: Needs) -> Iterator[Finding]:
    beyond = [lcore for lcore in needs.lcores if lcore not in facts.cpus]
    if beyond:
        what = (
            f"{len(needs.lcores)} lcores on {len(facts.cpus)} cores: lcores are mapped onto the cores there are "
            "(--lcores L@C), so they share them"
        )
        yield Finding("cores-exist", "warning", what, "use masks within the host's cores where speed matters")


def _sockets(facts: Facts, needs: Needs) -> Iterator[Finding]:
    for path in needs.sockets:
        if path in facts.unix_listening:
            what = f"{path}: another process listens on this vhost-user socket"
            yield Finding("vhost-taken", "error", what, "end it, or set vhosts: or spp.sock_dir: in conf.yml")


def _kvm(facts: Facts, needs: Needs) -> Iterator[Finding]:
    if needs.accel == "kvm" and not facts.kvm_usable():
        why = "the CPU has neither vmx nor svm" if facts.kvm_device else "/dev/kvm cannot be opened"
        yield Finding("kvm-none", "error", f"vm.accel is kvm, but {why}", "set vm.accel: auto in conf.yml")


CHECKS = (_root, _programs, _hugepages_free, _hugepages_mounted, _ports, _sockets, _kvm, _lcores)
