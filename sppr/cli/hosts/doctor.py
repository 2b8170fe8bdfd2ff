"""``sppr doctor`` in a lab over several hosts: what each host lacks, and whether full-size frames pass the links."""

import json
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import click

from sppr.cli.hosts.verbs import selected
from sppr.hosts import engine
from sppr.hosts.engine import HostResult, TaskEvent
from sppr.hosts.inventory import inventory
from sppr.hosts.lab import HostsLab
from sppr.images.store import BUILD_HINT

#: Seconds that a clock may differ: ssh and Ansible take up to a second to read it.
MOST_SKEW = 2.0
#: Beginnings of the fixes that ``sppr setup`` makes, which ``sppr up`` runs on each host.
BY_SETUP = ("sppr setup", BUILD_HINT)
_STYLES = {"error": "red", "warning": "yellow", "info": "cyan"}


def doctor(lab: HostsLab, hosts: Sequence[str], *, as_json: bool) -> int:
    """Check the hosts, print the findings, and return the exit status: 1 if there is an error, otherwise 0."""
    names = selected(lab, hosts)
    skews: dict[str, float] = {}

    def take(event: TaskEvent) -> None:
        if event.task == "Read the clock" and event.kind == "ok":
            skews[event.host] = float(event.result["stdout"]) - time.time()

    results = engine.run_playbook("doctor", inventory(lab), names, take)
    rows = [{"host": host, **row} for host in names for row in _findings(results[host], skews.get(host, 0.0))]
    if as_json:
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        _print(rows)
    return 1 if any(row["severity"] == "error" for row in rows) else 0


def _row(identity: str, severity: str, found: str, fix: str) -> dict[str, str]:
    return {"id": identity, "severity": severity, "found": found, "fix": fix}


def _findings(result: HostResult, skew: float) -> list[dict[str, str]]:
    """Return a row for each problem of a host."""
    if result.unreachable:
        return [_row("host", "error", f"unreachable: {result.error}", "check address:, user: and the ssh server there")]
    rows = []
    for why in dict.fromkeys(result.ignored):
        found, _, fix = why.partition(": set ")
        rows.append(_row("link", "error", found, f"set {fix}"))
    if result.error:
        rows.append(_row("host", "error", result.error, "see the error"))
    if abs(skew) > MOST_SKEW:
        fix = "apt-get install systemd-timesyncd"
        rows.append(_row("clock", "warning", f"its clock differs by {skew:+.1f} s", fix))
    there = str(result.results.get("Read its version", {}).get("stdout", "")).split()[-1:]
    if not there and not result.error:
        rows.append(_row("program", "info", "sppr is not installed there yet", "sppr up installs it"))
    elif there and there[0] != version("sppr"):
        what = f"it has sppr {there[0]}, and this machine has {version('sppr')}"
        rows.append(_row("program", "error", what, "remove its program folder: sppr up copies this version"))
    return [*rows, *_checks(result.results.get("Run the checks of one host", {}))]


def _checks(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the problems that the doctor of the host found."""
    try:
        rows = json.loads(found.get("stdout") or "[]")
    except ValueError:
        return [_row("host", "error", f"sppr doctor failed there: {found.get('stderr', '')[-200:]}", "run it there")]
    return [
        _row(row["id"], "info", row["found"], "sppr up does that")
        if row["fix"].startswith(BY_SETUP)
        else _row(row["id"], row["severity"], row["found"], row["fix"])
        for row in rows
        if row["severity"] in ("error", "warning")
    ]


def _print(rows: Sequence[Mapping[str, str]]) -> None:
    if not rows:
        click.echo("no problems: all hosts can have their labs, and full-size frames pass the links")
        return
    width = max(len(row["host"]) for row in rows)
    for row in rows:
        severity = click.style(f"{row['severity']:8}", fg=_STYLES.get(row["severity"]))
        click.echo(f"{row['host']:{width}}  {severity}  {row['id']}: {row['found']}")
        if row["fix"]:
            click.echo(f"{'':{width}}            fix: {row['fix']}")
