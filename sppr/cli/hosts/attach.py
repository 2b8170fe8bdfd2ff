"""Attach to the lab of a host, and run a command of sppr there, both over ssh."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingCommand
from sppr.cli.hosts import verbs
from sppr.hosts.inventory import ssh_words
from sppr.hosts.lab import HostsLab
from sppr.run import find_program


def remote_words(lab: HostsLab, host: str, words: Sequence[str]) -> list[str]:
    """Return the command that runs ``sppr WORDS`` in the folder of the lab on a host, with a terminal."""
    found = lab.config.hosts[host]
    folder, program = f"{found.folder.rstrip('/')}/{lab.session}", f"{found.program}/.venv/bin/sppr"
    sudo = "sudo " if found.become else ""
    there = f"cd {_quoted(folder)} && exec {sudo}{_quoted(program)} {shlex.join(words)}"
    ssh = ssh_words(lab, host)
    return [*ssh[:-1], "-t", ssh[-1], there]


def _quoted(path: str) -> str:
    """Quote a path for the shell of the host. It expands a ``~`` at the beginning."""
    return f"~/{shlex.quote(path[2:])}" if path.startswith("~/") else shlex.quote(path)


def run_there(lab: HostsLab, host: str, words: Sequence[str]) -> None:
    """Become the command of ``remote_words``."""
    verbs.selected(lab, [host])
    argv = remote_words(lab, host, words)
    os.execv(find_program("ssh"), argv)  # noqa: S606 - no shell here; the words for the shell there are quoted


@click.command("on", cls=ErrorReportingCommand, context_settings=CONTEXT | {"ignore_unknown_options": True})
@click.argument("host")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, required=True, metavar="VERB…")
@options.conf
def on(host: str, words: tuple[str, ...], conf: Path | None) -> None:
    """Run a command of sppr on a host, in the folder of its lab: sppr on east logs pri"""
    run_there(verbs.required(conf), host, words)
