"""Collect the findings of ``sppr doctor`` about a machine and a lab on it, and apply their fixes."""

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
    """The result of all checks.

    ``findings``: the problems. ``facts``, ``required``: the input of the checks.
    ``session``: the session of the lab; empty: only the machine was checked.
    """

    findings: list[checks.Finding]
    facts: Facts
    required: checks.Requirements
    session: str = ""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each finding, then a row for each check without a finding.

        The severity of the latter is "ok", with the observed values, or "info" if the check did not apply. Checks that
        only explain log lines have no row.
        """
        found = [_row(f.id, f.severity, f.what, f.fix, bool(f.fix_steps)) for f in self.findings]
        with_findings = {finding.id for finding in self.findings}
        passed = [c for c in checks.REGISTRY if c.id not in with_findings and (self.session or c.host)]
        return found + [self._passed_row(c.id, c.ok(self.facts, self.required)) for c in passed if callable(c.ok)]

    @staticmethod
    def _passed_row(identity: str, observed: str | checks.NotChecked) -> dict[str, Any]:
        if isinstance(observed, checks.NotChecked):
            return _row(identity, "info", f"not checked: {observed.why}", "nothing to do", False)
        return _row(identity, "ok", observed, "", False)


def diagnose_lab(plan: Plan, paths: LabPaths) -> Diagnosis:
    """Check the machine and a lab that has a plan."""
    facts = machine.read_facts(plan.accel)
    findings, required = preflight.inspect(plan, paths, facts)
    return Diagnosis(findings, facts, required, plan.session)


def diagnose_host(error: SpprError) -> Diagnosis:
    """Check the machine alone. ``error``: why the lab cannot be planned, which becomes a finding."""
    identity = "conf" if isinstance(error, ConfigError) else "lab"
    found = checks.Finding(identity, "error", error.what, error.hint or "fix conf.yml, and run doctor again")
    facts, required = machine.read_facts(), requirements.host_requirements()
    return Diagnosis(checks.in_order([found, *checks.check(facts, required)]), facts, required)


def apply_fixes(diagnose: Callable[[], Diagnosis], note: Callable[[str], None]) -> None:
    """Run the fix of each finding that has one, if it can be undone. Do nothing without a lab.

    The session is locked meanwhile.
    """
    session = diagnose().session
    if not session:
        return
    with states.locked(session):
        # Check again under the lock, so that no bring-up can be using what a fix removes.
        for finding in diagnose().findings:
            if finding.fix_steps:
                note(f"{finding.id}: {finding.what}")
                try:
                    setup.apply_fixes(finding.fix_steps, lambda line: note(f"  $ {line}"))
                except HostError as e:  # other fixes may work; the caller shows the remaining findings
                    note(f"  failed: {e.what}")


def _row(identity: str, severity: str, found: str, fix: str, fixable: bool) -> dict[str, Any]:
    return {"id": identity, "severity": severity, "found": found, "fix": fix, "fixable": fixable}
