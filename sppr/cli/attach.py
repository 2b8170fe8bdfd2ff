"""``sppr attach``: show the lab in this terminal."""

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, Edge


@click.command(cls=Edge, context_settings=CONTEXT)
@options.verb_session
def main(session: str | None) -> None:
    """Show the lab in this terminal; inside its tmux: switch to it."""
    from sppr.cli.session import load, session_of
    from sppr.tmux.server import Tmux, attach

    state = load(session_of(session), session)
    attach(Tmux(state.plan.socket_name), state.plan.session)
