"""The registry of all checks of the machine, and of the log texts that they explain.

A check takes ``Facts`` and ``Requirements`` and returns findings; it must not read or change anything else, and it must
not know QEMU, SPP or the plan of a lab beyond these values.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sppr.host.checks import access, cores, dpdk, guests, memory, nics, ok_reports, tools, vhost
from sppr.host.checks.check import (
    SEVERITIES,
    Check,
    Disk,
    Finding,
    NotChecked,
    Process,
    Requirements,
    Severity,
    options,
)
from sppr.host.facts import Facts

__all__ = [
    "REGISTRY",
    "Check",
    "Disk",
    "Explained",
    "Finding",
    "NotChecked",
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
REGISTRY: tuple[Check, ...] = tuple(replace(one, ok=ok_reports.OK_REPORTS.get(one.id, one.ok)) for one in _ALL)
_TEXTS = [(re.compile(text), one) for one in REGISTRY for text in one.texts]


@dataclass(frozen=True)
class Explained:
    """A line of a log, and the checks that explain it."""

    number: int
    line: str
    checks: tuple[Check, ...]


def check(facts: Facts, required: Requirements) -> list[Finding]:
    """Return all findings, the most severe first."""
    return in_order(finding for one in REGISTRY if one.inspect for finding in one.inspect(facts, required))


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings, the most severe first."""
    return sorted(findings, key=lambda f: SEVERITIES.index(f.severity))


def explain(lines: Iterable[str]) -> Iterator[Explained]:
    """Yield the lines of a log that a check explains. Line numbers start at 1."""
    for number, line in enumerate(lines, 1):
        if matching := _matching_checks(line.rstrip()):
            yield Explained(number, line.rstrip(), matching)


def _matching_checks(line: str) -> tuple[Check, ...]:
    return tuple(dict.fromkeys(one for pattern, one in _TEXTS if pattern.search(line)))


def hint(log: str) -> str | None:
    """Return the fix for the last error in a log that a check explains, or None."""
    fixes = [one.fix for found in explain(log.splitlines()) for one in found.checks[:1] if one.severity == "error"]
    return fixes[-1] if fixes else None
