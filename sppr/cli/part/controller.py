"""runscripts/controller.py: the controller of the lab with its prompt, or that of an upstream SPP tree."""

from pathlib import Path

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT
from sppr.cli.part.exec_part import PartCommand, check_may_start, exec_part


@click.command(cls=PartCommand, context_settings=CONTEXT)
@options.conf
@options.session
@click.option("-ch", "--host", help="Address to listen on.  [default: conf.yml]")
@click.option("-p", "--pri-port", type=int, help="Port for the primary.  [default: conf.yml]")
@click.option("-s", "--sec-port", type=int, help="Port for secondaries.  [default: conf.yml]")
@click.option("-a", "--rest-port", type=int, help="Port for REST, 0 for none.  [default: conf.yml]")
@click.option("--cli", "which", flag_value="cli", help="Run SPP's CLI, in addition to spp-ctl.")
@click.option("--vf", "which", flag_value="vfctrl", help="Run spp_vf.py, in addition to spp.py of SPP 17.11 to 18.05.")
@options.dry_run
def main(
    conf: Path | None,
    session: str | None,
    host: str | None,
    pri_port: int | None,
    sec_port: int | None,
    rest_port: int | None,
    which: str | None,
    dry_run: bool,
) -> None:
    """Run the controller: SPP processes connect to it, and you type at its prompt."""
    from sppr.cli.context import load_paths
    from sppr.errors import ConfigError
    from sppr.host.run_directory import make_private
    from sppr.lab.plan import controllers

    config, paths = load_paths(conf, session)
    name = which or "ctrler"
    check_may_start(name, paths.run, dry_run, None if session else paths.conf)
    given = {"host": host, "pri_port": pri_port, "sec_port": sec_port, "rest_port": rest_port}
    given = {key: value for key, value in given.items() if value is not None}
    config = config.model_copy(update={"controller": config.controller.model_copy(update=given)})
    made = {part.name: part for part in controllers.controllers(config, paths, config.secondaries)}
    if name not in made:
        shown = f"SPP {paths.version.name}" if paths.tree else "our own data plane"
        raise ConfigError(f"{name}: {shown} has no such controller", hint=f"it has: {', '.join(made)}")
    if not dry_run:
        paths.check_controllers([p for p in (made[name].kind,) if p not in ("", "cli")])
        make_private(paths.run)
    exec_part(name, made[name].program, paths.run, dry_run)
