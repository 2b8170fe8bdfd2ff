"""How a runscript begins and ends: this very process becomes the program, so that the pane's process is the part."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from sppr.cli.errors import ErrorReportingCommand
from sppr.cli.session import check_owner
from sppr.errors import LaunchError, SpprError
from sppr.host.root import privilege
from sppr.lab.state import state
from sppr.run import pasteable
from sppr.tmux.pane import EXIT_VARIABLE, PaneFiles


class PartCommand(ErrorReportingCommand):
    """A runscript's edge. In a pane it runs the part anew: the exit status that stands there is of the run before."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        if in_pane := os.environ.get(EXIT_VARIABLE):
            Path(in_pane).unlink(missing_ok=True)
        return super().main(*args, **kwargs)


def begin(name: str, run: Path, dry_run: bool, conf: Path | None = None) -> None:
    """Before anything is touched: SpprError where the part ``name`` of the session in ``run`` runs already.

    ``conf``: the conf.yml that was read; SpprError where the session belongs to the lab of another one. None: the
    session was named, so another lab's is meant.
    """
    if dry_run:
        return
    if conf is not None:
        check_owner(run.name, conf)
    there = state.process(PaneFiles(run, name))
    if there is not None and there.alive() and there.pid != os.getpid():
        raise SpprError(
            f"{name} runs already, as pid {there.pid} (session {run.name})",
            hint=f"end it first: Ctrl-C in its pane, or sppr stop {name}{state.flag(run.name)}",
        )


def exec_part(
    name: str, argv: Sequence[str], run: Path, dry_run: bool, as_root: bool = False, more: Sequence[str] = ()
) -> None:
    """Record that this process is the part ``name`` of the session in ``run``, and exec ``argv``; or just print it.

    ``as_root``: by sudo where a user runs this, which is shown. The part's process is sudo then: it ends as its
    program ends, and passes on the terminal's keys. ``more``: words of this run alone, which are not recorded.
    """
    program, argv = argv, [*argv, *more]
    if as_root:
        argv = privilege.elevated(argv, run)
    if dry_run:
        click.echo(pasteable(argv))
        return
    if as_root and not privilege.is_root():
        click.echo(f"$ {pasteable(argv)}")
    state.record_start(run, name, program)
    try:
        os.execv(argv[0], list(argv))  # noqa: S606 - argv only
    except OSError as e:
        raise LaunchError(f"{argv[0]}: {e.strerror}", hint="make up") from e
