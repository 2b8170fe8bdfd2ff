"""``sppr start``: parts that do not run."""

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, Edge, say


@click.command(cls=Edge, context_settings=CONTEXT)
@options.part_names
@options.verb_session
def main(names: tuple[str, ...], session: str | None) -> None:
    """Start parts that were stopped or have died, each in its own pane, with conf.yml as it is now."""
    from sppr.cli import lifecycle
    from sppr.lab import lifecycle as parts_lifecycle

    with lifecycle.session(session, names) as state:
        replanned, site, lab = lifecycle.replan(state, names)
        todo = parts_lifecycle.to_start(state, names, replanned, say, lab.plan if lab else None)
        if todo.start:
            lifecycle.run(todo, state, site, lab)
            lifecycle.done(todo)
