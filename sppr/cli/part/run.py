"""``sppr run``: run one process of the lab, as the runscripts do, for labs outside of the project's folder."""

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingGroup
from sppr.cli.part.controller import main as controller
from sppr.cli.part.exec_part import PartCommand, check_may_start, exec_part
from sppr.cli.part.spp_process import primary, secondary
from sppr.cli.part.vm import main as vm


@click.group(cls=ErrorReportingGroup, context_settings=CONTEXT)
def main() -> None:
    """Run one process of the lab in this terminal."""


@click.command(cls=PartCommand, context_settings=CONTEXT)
@options.part_name
@options.session
@options.dry_run
def part(name: str, session: str | None, dry_run: bool) -> None:
    """Run a part with the command of its last run. conf.yml is not read."""
    from sppr.cli.session import session_of
    from sppr.lab.state import state as states

    state = states.load_same_boot(session_of(session))
    states.check_names(state, [name])
    check_may_start(name, state.folder, dry_run)
    exec_part(name, state.plan.part(name).program, state.folder, dry_run)


for _name, _command in (
    ("controller", controller),
    ("primary", primary),
    ("secondary", secondary),
    ("vm", vm),
    ("part", part),
):
    main.add_command(_command, _name)
