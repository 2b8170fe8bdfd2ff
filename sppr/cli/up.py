"""``wakeup`` and ``sppr up``: bring the lab up and show it."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from sppr.cli import options
from sppr.cli.edge import CONTEXT, Edge


@click.command(cls=Edge, context_settings=CONTEXT)
@options.lab
@click.option("--detach", is_flag=True, help="Do not show the session when it is up.")
@click.option("--dry-run", is_flag=True, help="Print every window, folder and command; touch nothing.")
def main(
    conf: Path | None, session: str | None, socket_name: str | None, detach: bool, dry_run: bool, **flags: Any
) -> None:
    """Bring up the lab of conf.yml in a tmux session: controller, primary, secondaries, VMs, each when the one before
    is ready. Windows: ctrler pri sec vm_r vm_v w0."""
    from sppr.cli.gather import gather
    from sppr.cli.plan import show

    lab = gather(conf, session, socket_name, flags)
    if dry_run:
        show(lab)
        return
    bring_up(lab)
    _attach(lab, detach)


def bring_up(lab: Any) -> None:
    """From a gathered lab to a session whose parts are all ready."""
    from sppr import log
    from sppr.cli.progress import progress
    from sppr.errors import SpprError, Stopped
    from sppr.host import facts
    from sppr.lab import preflight, state, teardown
    from sppr.lab.bringup import BringUp, refuse_if_there
    from sppr.tmux.server import Tmux

    tmux = Tmux(lab.plan.socket_name)
    flag = state.flag(lab.plan.session)
    with state.locked(lab.plan.session):
        log.log_to(state.log_path(lab.plan.session))
        stale = refuse_if_there(lab.plan, tmux)
        if stale is not None:
            teardown.sweep(stale)
        found = facts.read()  # anew, now that nobody else can be at it
        findings = preflight.check(lab.plan, lab.site, found)
        with progress(lab.plan) as report:
            for finding in findings:
                report.note(f"warning: {finding.what}")
            try:
                BringUp(lab.plan, lab.site, found, tmux, report).execute()
            except KeyboardInterrupt:
                raise Stopped("interrupted; what was started stays up", hint=f"sppr down{flag}") from None
            except SpprError as e:
                e.what += f"\nwhat was started stays up for a look; `sppr down{flag}` ends it"
                raise


def _attach(lab: Any, detach: bool) -> None:
    from sppr.tmux.server import Tmux, attach

    tmux = Tmux(lab.plan.socket_name)
    if detach or not (sys.stdin.isatty() and sys.stdout.isatty()):
        click.echo(f"session {lab.plan.session} is up; attach: {shlex.join(tmux.attach_argv(lab.plan.session))}")
        return
    attach(tmux, lab.plan.session)
