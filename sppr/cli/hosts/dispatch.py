"""Find out whether a command is for a lab over several hosts. Nothing else here is imported by commands of one host."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sppr.config import peek
from sppr.errors import ConfigError

if TYPE_CHECKING:
    from sppr.hosts.lab import HostsLab
    from sppr.lab.state.state import State


def over_hosts(conf: Path | None = None, hosts: Sequence[str] = (), session: str | None = None) -> "HostsLab | None":
    """Return the lab of conf.yml if it is over several hosts and no session is named, otherwise None.

    ``hosts``: the values of --host; with one of them, raise ConfigError if conf.yml has no hosts.
    """
    if session is not None and not hosts:
        return None
    if not hosts and not peek.has_hosts(peek.find_conf(conf)):
        return None
    from sppr.cli.hosts import verbs

    return verbs.required(conf) if hosts else verbs.find(conf)


def not_over_hosts(conf: Path) -> ConfigError:
    """Return the error of a command that works on one host, for the conf.yml of a lab over several."""
    context = click.get_current_context(silent=True)
    command = context.command_path.removeprefix("sppr ") if context else "COMMAND"
    what = f"{conf}: a lab over several hosts, and this command works on one of them"
    return ConfigError(what, hint=f"sppr on HOST {command} …, or --session NAME for a lab of this machine")


@contextlib.contextmanager
def joined_or_local(session: str | None) -> "Iterator[State]":
    """Yield the state of a session that runs: that of all hosts, joined, if conf.yml has hosts and none is named."""
    if (lab := over_hosts(session=session)) is not None:
        from sppr.cli.hosts import chains

        with chains.joined(lab) as state:
            yield state
        return
    from sppr.cli.session import load, session_of
    from sppr.lab.state import state as states

    yield states.check_same_boot(load(session_of(session), session))
