"""``sppr restart``: parts ended and started again, each in its own pane."""

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, Edge


@click.command(cls=Edge, context_settings=CONTEXT)
@options.part_names
@options.verb_session
def main(names: tuple[str, ...], session: str | None) -> None:
    """End parts (as `sppr status` names them) and start them again, each in its own pane, with conf.yml as it is now.
    The primary takes its secondaries along; ports and patches come back. VMs run on."""
    from sppr.cli import lifecycle
    from sppr.lab import lifecycle as parts_lifecycle
    from sppr.lab.state import observe, reconcile

    with lifecycle.session(session, names) as state:
        running = observe.running(state.folder, state.plan.parts)
        chosen = reconcile.with_secondaries(state.plan, names, running)
        replanned, site, lab = lifecycle.replan(state, chosen)
        todo = parts_lifecycle.to_restart(state, chosen, replanned, lab.plan if lab else None)
        lifecycle.run(todo, state, site, lab)
        lifecycle.done(todo)
