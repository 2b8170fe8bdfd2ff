"""``sppr logs``: what a part has printed."""

import math
import sys

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, Edge


@click.command(cls=Edge, context_settings=CONTEXT)
@options.part_name
@click.option("-f", "--follow", is_flag=True, help="Go on with what it prints, over restarts, until Ctrl-C or the end.")
@click.option("--raw", is_flag=True, help="Keep colours and other terminal escapes.  [default: in a terminal]")
@options.verb_session
def main(name: str, follow: bool, raw: bool, session: str | None) -> None:
    """Print what a part (as `sppr status` names it) has printed since its first byte, also when it has ended. A pipe or
    a file gets plain lines, as they stood in the terminal in the end."""
    from sppr import rotation
    from sppr.cli.session import load, session_of
    from sppr.cli.terminal.plain_text import PlainText
    from sppr.deadline import Deadline
    from sppr.lab.state import state as states
    from sppr.lab.state.state import check_names

    state = load(session_of(session), session)
    check_names(state, [name])
    log = state.plan.part(name).files(state.folder).log
    if rotation.lost(log):
        click.echo(f"{name}: it has printed more than is kept: the first bytes are gone", err=True)
    plain = None if raw or sys.stdout.isatty() else PlainText()
    ticks = Deadline(math.inf).ticks(0.1) if follow else ()
    for chunk in rotation.read(log, lambda: follow and states.there(state.plan.session), ticks):
        sys.stdout.buffer.write(plain.feed(chunk) if plain else chunk)
        sys.stdout.buffer.flush()
    if plain:
        sys.stdout.buffer.write(plain.end())
        sys.stdout.buffer.flush()
