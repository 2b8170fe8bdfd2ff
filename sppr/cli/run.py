"""``sppr run``: one process of the lab, as the runscripts start it. For labs that lie outside the project's folder."""

import click

from sppr.cli.edge import CONTEXT, EdgeGroup
from sppr.cli.run_controller import main as controller
from sppr.cli.run_part import main as part
from sppr.cli.run_primary import main as primary
from sppr.cli.run_secondary import main as secondary
from sppr.cli.run_vm import main as vm


@click.group(cls=EdgeGroup, context_settings=CONTEXT)
def main() -> None:
    """One process of the lab, in this terminal."""


for _name, _command in (
    ("controller", controller),
    ("primary", primary),
    ("secondary", secondary),
    ("vm", vm),
    ("part", part),
):
    main.add_command(_command, _name)
