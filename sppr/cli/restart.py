"""``sppr restart``: parts ended and started again, each in its own pane."""

import click

from sppr.cli import options
from sppr.cli.edge import CONTEXT, Edge


@click.command(cls=Edge, context_settings=CONTEXT)
@options.part_names
@options.verb_session
def main(names: tuple[str, ...], session: str | None) -> None:
    """End parts (as `sppr status` names them) and start them again, each in its own pane, with conf.yml as it is now.
    The primary takes its secondaries along; ports and patches come back. VMs run on."""
    from sppr.cli import verb
    from sppr.lab import reconcile, survey, verbs

    with verb.session(session, names) as state:
        running = survey.running(state.folder, state.plan.parts)
        chosen = reconcile.with_secondaries(state.plan, names, running)
        replanned, site, lab = verb.replan(state, chosen)
        todo = verbs.to_restart(state, chosen, replanned, lab.plan if lab else None)
        verb.run(todo, state, site, lab)
        verb.done(todo)
