"""``sppr run``: one process of the lab, as the runscripts start it. For labs that lie outside the project's folder."""

import click

from sppr.cli.errors import CONTEXT, EdgeGroup
from sppr.cli.part.controller import main as controller
from sppr.cli.part.primary import main as primary
from sppr.cli.part.secondary import main as secondary
from sppr.cli.part.vm import main as vm
from sppr.cli.run_part import main as part


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
