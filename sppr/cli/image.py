"""``sppr image``: base images."""

from pathlib import Path

import click

from sppr.cli import options
from sppr.cli.edge import CONTEXT, EdgeGroup


@click.group(cls=EdgeGroup, context_settings=CONTEXT)
def main() -> None:
    """Base images."""


@main.command()
@options.conf
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to.  [default: images.dir of conf.yml]")
def build(conf: Path | None, output: Path | None) -> None:
    """Build a base image from Debian's packages: apt, sshd, a root shell on the serial console. No password in it."""
    from sppr.cli.gather import site_of
    from sppr.images.build import BASE_NAME, build_base
    from sppr.lab.site import images_folder

    config, site = site_of(conf, None)
    target = output or images_folder(site.folder, config.images.dir) / BASE_NAME
    build_base(target, report=click.echo)
    click.echo(str(target))
