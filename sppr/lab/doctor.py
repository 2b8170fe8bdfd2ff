"""All findings about a machine and a lab on it, what of them is mended, and rows for a table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sppr.errors import ConfigError, HostError, SpprError
from sppr.host import checks, setup
from sppr.host.facts import Facts
from sppr.lab import machine
from sppr.lab.paths import LabPaths
from sppr.lab.plan import requirements
from sppr.lab.plan.plan import Plan
from sppr.lab.state import state as states
from sppr.lab.up import preflight


@dataclass(frozen=True)
class Diagnosis:
    """``facts`` and ``needs``: what the checks were given. ``session``: of the lab whose findings these are; empty
    where only the machine was looked at."""

    findings: list[checks.Finding]
    facts: Facts
    required: checks.Requirements
    session: str = ""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row for each finding, then one for each check that found nothing: "ok" with what it saw, or "info" where
        it looked at nothing. A check that is known from logs alone has no row."""
        found = [_row(f.id, f.severity, f.what, f.fix, bool(f.fix_steps)) for f in self.findings]
        known = {finding.id for finding in self.findings}
        quiet = [c for c in checks.REGISTRY if c.id not in known and (self.session or c.host)]
        return found + [self._quiet(c.id, c.ok(self.facts, self.required)) for c in quiet if callable(c.ok)]

    @staticmethod
    def _quiet(identity: str, seen: str | checks.NotChecked) -> dict[str, Any]:
        if isinstance(seen, checks.NotChecked):
            return _row(identity, "info", f"not checked: {seen.why}", "nothing to do", False)
        return _row(identity, "ok", seen, "", False)


def of_lab(plan: Plan, paths: LabPaths) -> Diagnosis:
    """Of a lab that can be planned."""
    facts = machine.look(plan.accel)
    findings, needed = preflight.inspect(plan, paths, facts)
    return Diagnosis(findings, facts, needed, plan.session)


def of_host(error: SpprError) -> Diagnosis:
    """Of the machine alone, with what keeps the lab from being planned."""
    identity = "conf" if isinstance(error, ConfigError) else "lab"
    found = checks.Finding(identity, "error", error.what, error.hint or "mend conf.yml, then again")
    facts, needed = machine.look(), requirements.host_requirements()
    return Diagnosis(checks.in_order([found, *checks.check(facts, needed)]), facts, needed)


def apply_fixes(look: Callable[[], Diagnosis], note: Callable[[str], None]) -> None:
    """Run what mends each finding, and can be taken back. Nobody else may be at the session meanwhile."""
    session = look().session
    if not session:
        return
    with states.locked(session):
        # Anew, now that nobody can be starting what would be removed.
        for finding in look().findings:
            if finding.fix_steps:
                note(f"{finding.id}: {finding.what}")
                try:
                    setup.apply_fixes(finding.fix_steps, lambda line: note(f"  $ {line}"))
                except HostError as e:  # the others may go all the same; what is left is told at the end
                    note(f"  not done: {e.what}")


def _row(identity: str, severity: str, found: str, fix: str, fixable: bool) -> dict[str, Any]:
    return {"id": identity, "severity": severity, "found": found, "fix": fix, "fixable": fixable}
