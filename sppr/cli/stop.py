"""``sppr stop``: parts that are ended; the rest runs on."""

import click

from sppr.cli import options
from sppr.cli.edge import CONTEXT, Edge, say


@click.command(cls=Edge, context_settings=CONTEXT)
@options.part_names
@options.verb_session
@options.powerdown
def main(names: tuple[str, ...], session: str | None, powerdown: float) -> None:
    """End parts; the primary takes its secondaries along. Their panes stay, with the command one arrow-up away."""
    from sppr.cli import verb
    from sppr.lab import verbs

    with verb.session(session, names) as state:
        verbs.stop(state, names, say, powerdown)
