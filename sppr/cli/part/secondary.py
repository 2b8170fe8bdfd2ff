"""runscripts/secondary.py: run one secondary of the lab."""

from pathlib import Path
from typing import Any

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT
from sppr.cli.part.exec_part import PartCommand, check_may_start, exec_part


@click.command(cls=PartCommand, context_settings=CONTEXT)
@click.option("-i", "--id", "secondary_id", type=click.IntRange(1, 127), required=True, help="Id of the secondary.")
@options.conf
@options.session
@options.spp_process("sec_port")
@options.dry_run
def main(secondary_id: int, conf: Path | None, session: str | None, dry_run: bool, **words: Any) -> None:
    """Run spp_nfv, the secondary that patches ports together, or what its type says. The rest comes from conf.yml."""
    from sppr.cli.context import load_paths, overridden
    from sppr.host import facts
    from sppr.lab.plan import plan, planner
    from sppr.parts.part import secondary_name

    config, paths = load_paths(conf, session)
    name = secondary_name(secondary_id)
    check_may_start(name, paths.run, dry_run, None if session else paths.conf)
    config, paths = overridden(config, paths, secondary_id, words)
    made = planner.make(
        config, plan.Flags(nof_sec=len(config.secondaries), nof_ring=0, nof_vhost=0), facts.read(), paths
    )
    if not dry_run:
        paths.check_binaries([made.part(name).kind])
    exec_part(name, made.part(name).program, paths.run, dry_run, as_root=True)
