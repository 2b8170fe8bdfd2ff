"""Everything that is known to go wrong: one registry of checks, and of the texts by which a log tells of them.

Facts + what a lab needs -> findings. Pure: nothing is read or touched here.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sppr.host.checks import access, cores, dpdk, guests, memory, nics, seen, tools, vhost
from sppr.host.checks.check import SEVERITIES, Check, Disk, Finding, NotLooked, Process, Requirements, Severity, options
from sppr.host.facts import Facts

__all__ = [
    "REGISTRY",
    "Check",
    "Disk",
    "Explained",
    "Finding",
    "NotLooked",
    "Process",
    "Requirements",
    "Severity",
    "check",
    "explain",
    "hint",
    "options",
]

_ALL: tuple[Check, ...] = (
    *tools.CHECKS,
    *memory.CHECKS,
    *dpdk.CHECKS,
    *guests.CHECKS,
    *vhost.CHECKS,
    *nics.CHECKS,
    *cores.CHECKS,
    *access.CHECKS,
)
REGISTRY: tuple[Check, ...] = tuple(replace(one, fine=seen.SEEN.get(one.id, one.fine)) for one in _ALL)
_TEXTS = [(re.compile(text), one) for one in REGISTRY for text in one.texts]


@dataclass(frozen=True)
class Explained:
    """A line of a log, and the checks that know it."""

    number: int
    line: str
    checks: tuple[Check, ...]


def check(facts: Facts, required: Requirements) -> list[Finding]:
    """Every finding, the worst first."""
    return in_order(finding for one in REGISTRY if one.look for finding in one.look(facts, required))


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first."""
    return sorted(findings, key=lambda f: SEVERITIES.index(f.severity))


def explain(lines: Iterable[str]) -> Iterator[Explained]:
    """The lines of a log that are known; numbers count from 1."""
    for number, line in enumerate(lines, 1):
        if known := _known(line.rstrip()):
            yield Explained(number, line.rstrip(), known)


def _known(line: str) -> tuple[Check, ...]:
    return tuple(dict.fromkeys(one for pattern, one in _TEXTS if pattern.search(line)))


def hint(log: str) -> str | None:
    """The next thing to type, by the last error in a log that is known."""
    fixes = [one.fix for found in explain(log.splitlines()) for one in found.checks[:1] if one.severity == "error"]
    return fixes[-1] if fixes else None
