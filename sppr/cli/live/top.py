"""``sppr top``: a live view of chains, parts and ports in the terminal."""

import json
import shutil
import sys
import time
from typing import Any

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingCommand


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
@click.option("--once", is_flag=True, help="Print one frame as text.")
@click.option("--json", "as_json", is_flag=True, help="Print a sample a second, one JSON object a line.")
@options.verb_session
def top(once: bool, as_json: bool, session: str | None) -> None:
    """Show chains, parts and ports with their rates, once a second."""
    from sppr.cli.session import load, session_of
    from sppr.errors import SpprError
    from sppr.lab.state import state as states
    from sppr.live.source import Source

    state = states.check_same_boot(load(session_of(session), session))
    source = Source(state)
    if as_json:
        while True:
            began = time.monotonic()
            click.echo(json.dumps(source.sample()))
            if once or not states.exists(state.plan.session):
                return
            time.sleep(max(0.0, 1.0 - (time.monotonic() - began)))
    if once:
        _print_frame(source)
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise SpprError("top needs a terminal", hint="sppr top --once, or sppr top --json")
    from sppr.cli.live.app import Top  # textual takes 0.2 s to import, and only this view needs it

    view = Top(source)
    window = view.run()
    if view.return_code:
        sys.exit(view.return_code)
    if window:
        _show_window(state, window)


def _print_frame(source: Any) -> None:
    """Print one frame. The rates need a sample a second before."""
    from sppr.cli.live import tables

    rows = tables.Rows()
    sample = source.sample()
    known = any(row["rx_rate"] is not None for process in sample["processes"] for row in process["ports"].values())
    if not known:
        time.sleep(1.0)
        sample = source.sample()
    width = shutil.get_terminal_size((120, 24)).columns if sys.stdout.isatty() else 120
    click.echo("\n".join(tables.text(sample, rows, width)))


def _show_window(state: Any, pane: str) -> None:
    """Show the pane of a part: attach this terminal to the lab, with the focus on the pane."""
    from sppr.tmux.server import Tmux, attach_terminal

    tmux = Tmux(state.plan.socket_name)
    tmux.show_pane(pane)
    attach_terminal(tmux, state.plan.session)
