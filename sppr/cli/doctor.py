"""``sppr doctor``: check this machine for problems that would affect the lab, and suggest fixes."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingGroup, renamed
from sppr.cli.hosts.dispatch import over_hosts

#: Bytes of a log that are read, from its end.
_MOST = 64 << 20
_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan", "ok": "green"}


@click.group(cls=ErrorReportingGroup, context_settings=CONTEXT, invoke_without_command=True)
@click.pass_context
@options.lab
@options.hosts
@click.option("--json", "as_json", is_flag=True, help="A list of objects: id severity found fix fixable.")
@click.option("--fix", is_flag=True, help="Fix what can be undone, each command shown first; then check again.")
@click.option("--log", metavar="FILE", hidden=True)
@click.option("-v", "--verbose", is_flag=True, help="Show also the checks that found nothing.")
@click.option("--hosts", "all_hosts", is_flag=True, help="Check all hosts of conf.yml; the default if it has hosts:.")
def main(
    ctx: click.Context,
    /,
    conf: Path | None,
    session: str | None,
    socket_name: str | None,
    as_json: bool,
    fix: bool,
    log: str | None,
    verbose: bool,
    hosts: tuple[str, ...],
    all_hosts: bool,
    **flags: Any,
) -> int | None:
    """Check this machine for problems that would affect the lab, and suggest fixes.

    It checks hugepages, mounts, leftovers, ports, cores, KVM, images and tmux, for a lab as `up` would start it with
    the same options. --fix reserves hugepages, mounts hugetlbfs, and removes stale sockets, partial images and DPDK
    files of this lab. If conf.yml is missing or invalid, only the machine is checked.

    \b
    Exit status: 0 no errors (there may be warnings), 1 errors.
    """
    if ctx.invoked_subcommand is not None:
        return None
    if log is not None:
        renamed("sppr doctor --log", "sppr doctor explain")
        return _explain(log, session, as_json)
    if (far := over_hosts(conf, hosts)) is not None:
        from sppr.cli.hosts import doctor as hosts_doctor
        from sppr.cli.hosts.verbs import allow_options

        allow_options("as_json", "all_hosts")
        return hosts_doctor.doctor(far, hosts, as_json=as_json)
    if all_hosts:
        raise click.UsageError("--hosts: conf.yml has no hosts:")
    from sppr.lab import doctor

    if fix:
        doctor.apply_fixes(lambda: _look(conf, session, socket_name, flags), lambda line: click.echo(line, err=as_json))
    rows = _look(conf, session, socket_name, flags).rows
    if as_json:
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        _table(rows, verbose)
    return 1 if any(row["severity"] == "error" for row in rows) else 0


@main.command()
@click.argument("log", metavar="FILE")
@options.verb_session
@click.option("--json", "as_json", is_flag=True, help="A list of objects: line text id severity means fix.")
def explain(log: str, session: str | None, as_json: bool) -> int:
    """Explain the known errors in a log: a file, the log of a part (pri), or standard input (-).

    Exit status: 0 no known error, 1 at least one.
    """
    return _explain(log, session, as_json)


def _look(conf: Path | None, session: str | None, socket_name: str | None, flags: dict[str, Any]) -> Any:
    """Return the findings. If the lab cannot be planned, the reason is one of them."""
    from sppr.cli.context import gather
    from sppr.errors import SpprError
    from sppr.lab import doctor

    try:
        lab = gather(conf, session, socket_name, flags, named_base=False)  # preflight reports it
    except SpprError as e:
        return doctor.diagnose_host(e)
    return doctor.diagnose_lab(lab.plan, lab.paths)


def _table(rows: list[dict[str, Any]], verbose: bool) -> None:
    shown = [row for row in rows if verbose or row["severity"] != "ok"]
    for row in shown:
        row["text"] = row["found"] + (f"\nfix: {row['fix']}" if row["severity"] != "ok" else "")
    if sys.stdout.isatty():
        _coloured(shown)
    else:
        for row in shown:
            click.echo(f"{row['severity']:8} {row['id']:16} " + row["text"].replace("\n", "\n" + " " * 26))
    fine = sum(row["severity"] == "ok" for row in rows)
    fixable = sum(row["fixable"] for row in rows)
    click.echo(f"{fine} checks fine" + (f"; sppr doctor --fix fixes {fixable}" if fixable else ""))


def _coloured(shown: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for row in shown:
        table.add_row(Text(row["severity"], _STYLES[row["severity"]]), row["id"], Text(row["text"]))
    Console(highlight=False).print(table)


def _explain(log: str, session: str | None, as_json: bool) -> int:
    from sppr.host import checks
    from sppr.wait import plain

    found = list(checks.explain(plain(_read(log, session)).split("\n")))
    if as_json:
        explained = [
            {"line": e.number, "text": e.line, "id": c.id, "severity": c.severity, "means": c.cause, "fix": c.fix}
            for e in found
            for c in e.checks
        ]
        click.echo(json.dumps(explained, indent=1, ensure_ascii=False))
    for one in found if not as_json else ():
        click.echo(f"{log}:{one.number}: {one.line}")
        for check in one.checks:
            name = click.style(check.id, fg="red" if check.severity == "error" else "yellow")
            click.echo(f"    {name}: {check.cause}\n    fix: {check.fix}")
    if not found and not as_json:
        click.echo(f"{log}: nothing that is known")
    return 1 if found else 0


def _read(log: str, session: str | None) -> bytes:
    """Return the end of a file, of standard input (``-``), or of the log of a part."""
    from sppr import rotation
    from sppr.cli.session import session_of
    from sppr.errors import SpprError
    from sppr.lab.state import state as states

    if log == "-":
        return sys.stdin.buffer.read(_MOST)
    if Path(log).exists():
        if not Path(log).is_file():
            raise SpprError(f"{log}: is no regular file", hint="pipe it: … | sppr doctor explain -")
        with Path(log).open("rb") as f:
            f.seek(max(0, f.seek(0, os.SEEK_END) - _MOST))
            return f.read(_MOST)

    try:
        state = states.load(session_of(session))
        part = next(p for p in state.plan.parts if p.name == log)
        return rotation.tail(part.files(state.folder).log, _MOST)
    except (SpprError, StopIteration):
        raise SpprError(f"{log}: no such file, and no part of a lab that runs", hint="sppr status") from None
