"""Start and end of a runscript. The runscript execs its program, so the process of the pane is the part."""

import os
from collections.abc import Callable, Sequence
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
    """A runscript. In a pane, it first removes the exit status of the previous run."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        if in_pane := os.environ.get(EXIT_VARIABLE):
            Path(in_pane).unlink(missing_ok=True)
        return super().main(*args, **kwargs)


def check_may_start(name: str, run: Path, dry_run: bool, conf: Path | None = None) -> None:
    """Check, before any change, that the part ``name`` of the session in ``run`` may start.

    Raise SpprError if it already runs, or if the session belongs to another lab than that of ``conf``. None for
    ``conf``: the session was named on the command line, so it may be that of another lab.
    """
    if dry_run:
        return
    if conf is not None:
        check_owner(run.name, conf)
    there = state.process(PaneFiles(run, name))
    if there is not None and there.alive() and there.pid != os.getpid():
        raise SpprError(
            f"{name} runs already, as pid {there.pid} (session {run.name})",
            hint=f"stop it first: Ctrl-C in its pane, or sppr stop {name}{state.flag(run.name)}",
        )


def exec_part(
    name: str,
    argv: Sequence[str],
    run: Path,
    dry_run: bool,
    as_root: bool = False,
    more: Sequence[str] = (),
    instead: Callable[[], Sequence[str]] | None = None,
) -> None:
    """Record this process as the part ``name`` of the session in ``run``, and exec ``argv``. ``dry_run``: print it.

    ``as_root``: use sudo if the user is not root. Then the process of the part is sudo, which passes on the keys of the
    terminal, and exits as the program does. ``more``: arguments of this run only, which are not recorded. ``instead``:
    called right before the exec; returns another command line with the same effect.
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
    if instead is not None:
        argv = instead()
    try:
        os.execv(argv[0], list(argv))  # noqa: S606 - argv only
    except OSError as e:
        raise LaunchError(f"{argv[0]}: {e.strerror}", hint="make up") from e
