"""runscripts/controller.py: the lab's controller with its prompt."""

from pathlib import Path

import click

from sppr.cli import options
from sppr.cli.become import PartEdge, become, begin
from sppr.cli.edge import CONTEXT


@click.command(cls=PartEdge, context_settings=CONTEXT)
@options.conf
@options.session
@click.option("-ch", "--host", help="Address to listen on.  [default: conf.yml]")
@click.option("-p", "--pri-port", type=int, help="Port for the primary.  [default: conf.yml]")
@click.option("-s", "--sec-port", type=int, help="Port for secondaries.  [default: conf.yml]")
@options.dry_run
def main(
    conf: Path | None, session: str | None, host: str | None, pri_port: int | None, sec_port: int | None, dry_run: bool
) -> None:
    """Run the controller: SPP processes connect to it, you type at its prompt, the launcher asks it."""
    from sppr.cli.gather import site_of
    from sppr.host.rundir import make_private
    from sppr.lab.plan import api_socket, wiring_file
    from sppr.roles.controller import Controller

    config, site = site_of(conf, session)
    begin("ctrler", site.run, dry_run)
    c = config.controller
    ports = pri_port or c.pri_port, sec_port or c.sec_port
    controller = Controller(host or c.host, *ports, api_socket(site.run), wiring_file(site.run))
    if not dry_run:
        make_private(site.run)
    become("ctrler", controller.argv(), site.run, dry_run)
