"""runscripts/primary.py and secondary.py: run the spp_primary, or one secondary, of the lab."""

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
def primary(conf: Path | None, session: str | None, dry_run: bool, **words: Any) -> None:
    """Run spp_primary: it owns ports, hugepages and rings. Options override conf.yml."""
    flags = {name: words.pop(name) for name in ("portmask", "vdevs", "vdev_tap", "vdev_vhost")}
    _run("pri", "primary", conf, session, dry_run, words, **flags)


@click.command(cls=PartCommand, context_settings=CONTEXT)
@click.option("-i", "--id", "secondary_id", type=click.IntRange(1, 127), required=True, help="Id of the secondary.")
@options.conf
@options.session
@options.spp_process("sec_port")
@options.dry_run
def secondary(secondary_id: int, conf: Path | None, session: str | None, dry_run: bool, **words: Any) -> None:
    """Run a secondary: spp_nfv, or the program of its type. Options override conf.yml."""
    from sppr.parts.part import secondary_name

    _run(secondary_name(secondary_id), secondary_id, conf, session, dry_run, words)


def _run(
    name: str, role: str | int, conf: Path | None, session: str | None, dry_run: bool, words: dict[str, Any],
    **flags: Any,
) -> None:  # fmt: skip
    """Plan the part ``name`` with the options ``words``, and exec it. ``role``: ``primary``, or a secondary's id."""
    from sppr.cli.context import load_paths, overridden
    from sppr.host import facts
    from sppr.host.process.processes import fix_addresses, sleep_longer
    from sppr.lab.plan import plan, planner

    config, paths = load_paths(conf, session)
    check_may_start(name, paths.run, dry_run, None if session else paths.conf)
    config, paths = overridden(config, paths, role, words)
    secondaries = 0 if role == "primary" else len(config.secondaries)
    given = plan.Flags(nof_sec=secondaries, nof_ring=0, nof_vhost=0, **flags)
    part = planner.make(config, given, facts.read(), paths).part(name)
    if not dry_run:
        paths.check_binaries([part.kind or part.role])
    if part.upstream:  # these settings of this process outlast the exec
        fix_addresses()
        sleep_longer()
    exec_part(name, part.program, paths.run, dry_run, as_root=True)
