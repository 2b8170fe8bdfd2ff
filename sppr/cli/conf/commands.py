"""The verbs that write files about a lab, and need no lab: ``init``, ``schema``, ``export``."""

import os
from pathlib import Path

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingCommand, ErrorReportingGroup

_COUNT = click.IntRange(0, 127)


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
@click.option("-ns", "--nof-sec", type=_COUNT, help="Secondaries.  [default: 5]")
@click.option("-nr", "--nof-ring", type=_COUNT, help="Ring VMs.  [default: 5]")
@click.option("-nv", "--nof-vhost", type=_COUNT, help="Vhost VMs.  [default: 5]")
def init(**counts: int | None) -> None:
    """Write a conf.yml with comments into this folder, and conf.schema.json for editors. Existing files stay."""
    from sppr.config import example, schema
    from sppr.errors import ConfigError

    text = example.text(**(example.COUNTS | {name: count for name, count in counts.items() if count is not None}))
    conf, beside = Path.cwd() / "conf.yml", Path.cwd() / schema.FILE
    if os.path.lexists(conf):
        raise ConfigError(f"{conf}: exists, and is not replaced", hint="move it, or run init in another folder")
    # First the schema, so that no conf.yml refers to a missing one.
    if not os.path.lexists(beside):
        _write(beside, schema.text())
    elif not beside.is_file() or beside.read_text(errors="replace") != schema.text():
        click.echo(f"note: {beside}: exists, and is not that of this release: sppr schema >{schema.FILE}", err=True)
    _write(conf, text)
    click.echo(f"{conf}: written. Next: sppr doctor, sppr up")


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
def schema() -> None:
    """Print the JSON schema of conf.yml."""
    from sppr.config import schema as schemas

    click.echo(schemas.text(), nl=False)


@click.group(cls=ErrorReportingGroup, context_settings=CONTEXT)
def export() -> None:
    """Write the chains of conf.yml in the format of another tool."""


@export.command(cls=ErrorReportingCommand)
@options.conf
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write a new file.  [default: print]"
)
def clab(conf: Path | None, output: Path | None) -> None:
    """Write a topology of containerlab, in which the kernel forwards instead of SPP."""
    from sppr.config import load, peek
    from sppr.errors import ConfigError
    from sppr.lab.chains import clab as topologies

    path = peek.find_conf(conf)
    text = topologies.topology(load.load(path), str(path))
    if output is None or str(output) == "-":
        click.echo(text, nl=False)
        return
    if os.path.lexists(output):
        raise ConfigError(f"{output}: exists, and is not replaced", hint="remove it, or name another file with -o")
    _write(output, text)
    click.echo(f"{output}: written. Next: containerlab deploy -t {output}")


def _write(path: Path, text: str) -> None:
    """Write a file completely or not at all. Raise HostError if the folder cannot be written."""
    from sppr.errors import HostError
    from sppr.host import atomic_write

    try:
        atomic_write.write(path, text)
    except OSError as e:
        raise HostError(f"{path}: {e.strerror}", hint="choose a folder that exists and that you can write") from None
