"""Attach to the labs of all hosts in one tmux session, or to that of one host, and run a command of sppr there."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingCommand
from sppr.cli.hosts import verbs
from sppr.errors import SpprError
from sppr.hosts.inventory import ssh_words
from sppr.hosts.lab import HostsLab
from sppr.run import find_program
from sppr.tmux.commands import PaneSpec, WindowSpec
from sppr.tmux.server import Tmux, attach_line, attach_terminal, window_size


def remote_words(lab: HostsLab, host: str, words: Sequence[str], terminal: bool = True) -> list[str]:
    """Return the command that runs ``sppr WORDS`` in the folder of the lab on a host."""
    found = lab.config.hosts[host]
    folder, program = lab.folder_on(host), f"{found.program}/.venv/bin/sppr"
    there = f"cd {_quoted(folder)} && exec {_quoted(program)} {shlex.join(words)}"
    if found.become:  # only root may enter the folder, and a ~ in its path is root's home
        there = f"exec sudo -H sh -c {shlex.quote(there)}"
    ssh = ssh_words(lab, host)
    return [*ssh[:-1], *(["-t"] if terminal else []), ssh[-1], there]


def _quoted(path: str) -> str:
    """Quote a path for the shell of the host. It expands a ``~`` at the beginning."""
    return f"~/{shlex.quote(path[2:])}" if path.startswith("~/") else shlex.quote(path)


def session_name(lab: HostsLab) -> str:
    """Return the name of the tmux session here that shows the labs of all hosts."""
    return f"{lab.session[:26]}-hosts"


def open_session(lab: HostsLab) -> Tmux:
    """Create the session that shows the labs of all hosts, unless it exists: a window for each, attached over ssh.

    A window whose connection ends shows why, and Enter connects again. Raise SpprError if another program has a session
    of this name.
    """
    tmux, name, owner = Tmux(), session_name(lab), Tmux.owner_id(lab.conf)
    found = tmux.find_session(name)
    if found is not None and found.owner != owner:
        raise SpprError(f"tmux has a session {name} of another lab", hint=f"tmux kill-session -t ={name}")
    if found is None:
        script = 'while :; do "$@"; echo "the connection ended; press Enter to connect again"; read -r _ || exit; done'
        specs = [
            WindowSpec(host, (PaneSpec(host, lab.conf.parent, ("/bin/sh", "-c", script, "sh",
                                                               *remote_words(lab, host, ["attach"]))),))
            for host in lab.config.hosts
        ]  # fmt: skip
        tmux.create_session(name, specs, window_size(), owner)
    return tmux


def close_session(lab: HostsLab) -> None:
    """Kill the session of ``open_session``, if it exists."""
    tmux, name = Tmux(), session_name(lab)
    found = tmux.find_session(name)
    if found is not None and found.owner == Tmux.owner_id(lab.conf):
        tmux.kill_session(name)


def attach_to_all(lab: HostsLab) -> None:
    """Attach this terminal to the session of all hosts, or print how to."""
    tmux = open_session(lab)
    if sys.stdin.isatty() and sys.stdout.isatty():
        attach_terminal(tmux, session_name(lab))
    click.echo(f"attach: {attach_line(tmux, session_name(lab))}")


def run_there(lab: HostsLab, host: str, words: Sequence[str]) -> None:
    """Become the command of ``remote_words``."""
    verbs.selected(lab, [host])
    argv = remote_words(lab, host, words, terminal=sys.stdin.isatty() and sys.stdout.isatty())
    os.execv(find_program("ssh"), argv)  # noqa: S606 - no shell here; the words for the shell there are quoted


@click.command("on", cls=ErrorReportingCommand, context_settings=CONTEXT | {"ignore_unknown_options": True})
@click.argument("host")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, required=True, metavar="VERB…")
@options.conf
def on(host: str, words: tuple[str, ...], conf: Path | None) -> None:
    """Run a command of sppr on a host, in the folder of its lab: sppr on east logs pri"""
    run_there(verbs.required(conf), host, words)
