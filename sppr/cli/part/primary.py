"""runscripts/primary.py: run the spp_primary of the lab."""

from pathlib import Path
from typing import Any

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT
from sppr.cli.part.exec_part import PartCommand, check_may_start, exec_part


@click.command(cls=PartCommand, context_settings=CONTEXT)
@options.conf
@options.session
@options.vdevs
@options.spp_process("pri_port")
@click.option("-n", "--rings", type=click.IntRange(1, 98), help="Rings ring:0 … to make.  [default: conf.yml, 10]")
@click.option("-m", "--memory", type=click.IntRange(64), help="Hugepage memory in MiB.  [default: conf.yml, 512]")
@options.dry_run
def main(conf: Path | None, session: str | None, dry_run: bool, **words: Any) -> None:
    """Run spp_primary: it owns ports, hugepages and rings. Options override conf.yml."""
    from sppr.cli.context import load_paths, overridden
    from sppr.host import facts
    from sppr.lab.plan import plan, planner

    flags = {name: words.pop(name) for name in ("portmask", "vdevs", "vdev_tap", "vdev_vhost")}
    config, paths = load_paths(conf, session)
    check_may_start("pri", paths.run, dry_run, None if session else paths.conf)
    config, paths = overridden(config, paths, "primary", words)
    made = planner.make(config, plan.Flags(nof_sec=0, nof_ring=0, nof_vhost=0, **flags), facts.read(), paths)
    if not dry_run:
        paths.check_binaries(["primary"])
    exec_part("pri", made.part("pri").program, paths.run, dry_run, as_root=True)
