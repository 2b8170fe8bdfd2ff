"""``sppr stop``: parts that are ended; the rest runs on."""

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, Edge, say


@click.command(cls=Edge, context_settings=CONTEXT)
@options.part_names
@options.verb_session
@options.powerdown
def main(names: tuple[str, ...], session: str | None, powerdown: float) -> None:
    """End parts; the primary takes its secondaries along. Their panes stay, with the command one arrow-up away."""
    from sppr.cli import lifecycle
    from sppr.lab import lifecycle as parts_lifecycle

    with lifecycle.session(session, names) as state:
        parts_lifecycle.stop(state, names, say, powerdown)
