"""``sppr status``: each part of the lab as it is."""

import json
from dataclasses import asdict
from typing import Any

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, Edge

_COLOURS = {"ready": "green", "starting": "yellow", "stopping": "yellow", "dead": "red", "absent": None}


def _owner(plan: Any) -> str:
    """Whose lab it is, and whether that is this folder's."""
    from pathlib import Path

    from sppr.config import peek
    from sppr.lab.state import state as states

    owner = Path(plan.conf)
    gone = "" if owner.parent.is_dir() else " (its folder is gone)"
    other = "" if gone or states.is_lab_of(owner, peek.find_conf(None)) else " (not the lab of this folder)"
    return f"session {plan.session}, the lab of {owner}{gone or other}"


@click.command(cls=Edge, context_settings=CONTEXT)
@options.verb_session
@click.option("--json", "as_json", is_flag=True, help="A list of objects: name role state pid window pane …")
def main(session: str | None, as_json: bool) -> int:
    """Show each part of the lab as it is now, and its chains. Exit status 0 when all are ready and up, 1 when not."""
    from sppr.cli.session import load, session_of
    from sppr.lab.state import state as states
    from sppr.lab.state.status import left_half_way, status

    there = states.check_living(load(session_of(session), session))
    rows = status(there)
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        click.echo(_owner(there.plan))
        width = max((len(row.name) for row in rows), default=0)
        for row in rows:
            more = f"  exit {row.exit}" if row.exit is not None else ""
            more += f" at {row.when[11:19]}" if row.when else ""
            more += f"  restarts {row.restarts}" if row.restarts else ""
            more += f"  {row.last or row.note or ''}".rstrip()
            state = click.style(f"{row.state:9}", fg=_COLOURS[row.state])
            click.echo(f"{row.name:{width}}  {row.role:10}  {state} {row.pid or '-':>8}  {row.window:7}{more}")
    chains = _chains(there)
    for name, state, why in chains if not as_json else ():
        colour = {"up": "green", "degraded": "yellow", "down": "red"}[state]
        click.echo(f"chain {name}: {click.style(state, fg=colour)}{': ' * bool(why)}{why}")
    if half_way := left_half_way(there):
        click.echo(half_way, err=True)
    return 0 if all(row.state == "ready" for row in rows) and all(state == "up" for _, state, _ in chains) else 1


def _chains(there: Any) -> list[tuple[str, str, str]]:
    """Name, state and first reason of each chain of the lab."""
    if not there.plan.wiring.chains:
        return []
    from sppr.lab.chains import status

    return [(row.name, row.state, row.why[0] if row.why else "") for row in status.chains(there, interval=0)]
