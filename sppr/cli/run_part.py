"""``sppr run part``: a part as it ran last. For a session whose conf.yml is gone."""

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT
from sppr.cli.part.exec_part import PartEdge, become, begin


@click.command(cls=PartEdge, context_settings=CONTEXT)
@options.part_name
@options.session
@options.dry_run
def main(name: str, session: str | None, dry_run: bool) -> None:
    """Run a part of a session with the words it was started with last. conf.yml is not read."""
    from sppr.cli.session import session_of
    from sppr.lab.state import state as states

    state = states.living(session_of(session))
    states.check_names(state, [name])
    begin(name, state.folder, dry_run)
    become(name, state.plan.part(name).program, state.folder, dry_run)
