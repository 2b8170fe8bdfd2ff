"""How a runscript ends: this very process becomes the program, so that the pane's process is the part itself."""

import os
from collections.abc import Sequence
from pathlib import Path

import click

from sppr.errors import LaunchError
from sppr.lab import state
from sppr.run import pasteable


def become(name: str, argv: Sequence[str], run: Path, dry_run: bool) -> None:
    """Record that this process is the part ``name`` of the session in ``run``, and exec ``argv``; or just print it."""
    if dry_run:
        click.echo(pasteable(argv))
        return
    state.record_start(run, name)
    try:
        os.execv(argv[0], list(argv))  # noqa: S606 - argv only
    except OSError as e:
        raise LaunchError(f"{argv[0]}: {e.strerror}", hint="make up") from e
