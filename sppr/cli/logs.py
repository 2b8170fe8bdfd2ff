"""``sppr logs``: what a part has printed."""

import sys

import click

from sppr.cli import options
from sppr.cli.edge import CONTEXT, Edge


@click.command(cls=Edge, context_settings=CONTEXT)
@options.part_name
@options.session
def main(name: str, session: str | None) -> None:
    """Print what a part (as `sppr status` names it) has printed since its first byte."""
    from sppr.cli.which import session_of
    from sppr.lab import state as states
    from sppr.lab.state import check_names

    state = states.load(session_of(session))
    check_names(state, [name])
    part = state.plan.part(name)
    with part.files(state.folder).log.open("rb") as log:
        while chunk := log.read(1 << 16):
            sys.stdout.buffer.write(chunk)
