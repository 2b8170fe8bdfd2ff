"""``wakeup`` and ``sppr up``: bring the lab up, and attach to it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingCommand
from sppr.cli.hosts.dispatch import over_hosts


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
@options.lab
@options.hosts
@click.option("--detach", is_flag=True, help="Do not attach to the session.")
@click.option("--keep-chains", metavar="NAME,…", default="", help="Keep chains that conf.yml no longer has.")
@click.option("--prove", is_flag=True, help="Then prove with packets that the chains work.")
@click.option("--dry-run", is_flag=True, help="Print every window, folder and command, and start nothing.")
def main(
    conf: Path | None,
    session: str | None,
    socket_name: str | None,
    detach: bool,
    keep_chains: str,
    prove: bool,
    dry_run: bool,
    hosts: tuple[str, ...],
    **flags: Any,
) -> int:
    """Bring up the lab of conf.yml in a tmux session: controller, primary, secondaries, VMs. All windows open at once;
    each part starts when its dependencies are ready. Windows: ctrler pri sec vm_r vm_v w0.
    A window without room for a further pane continues in the next: sec-2, sec-3."""
    from sppr.cli.context import gather
    from sppr.cli.inspect import show_plan

    if (far := over_hosts(conf, hosts)) is not None:
        from sppr.cli.hosts import verbs

        verbs.allow_options("detach", "prove", "dry_run")
        return verbs.show_plan(far, hosts) if dry_run else verbs.up(far, hosts, detach=detach, prove=prove)
    lab = gather(conf, session, socket_name, flags)
    if dry_run:
        show_plan(lab)
        return 0
    changed = bring_up(lab, [name for name in keep_chains.split(",") if name])
    status = _prove(lab, changed) if prove else 0
    if status:  # attaching would hide the result
        click.echo(f"attach: sppr attach{_flag(lab)}")
    elif changed or not (detach or _no_terminal()):
        _attach(lab, detach)
    return status


def _flag(lab: Any) -> str:
    from sppr.lab.state import state

    return state.flag(lab.plan.session)


def _prove(lab: Any, changed: bool) -> int:
    """Prove every chain of the lab, and return the exit status.

    In a lab that was already up, skip a chain that carries traffic.
    """
    from sppr.cli.chain import prove
    from sppr.lab.chains.proof.prove import traffic
    from sppr.lab.chains.proof.result import Options
    from sppr.lab.state import state

    session = lab.plan.session
    with state.locked(session):
        there = state.load_same_boot(session)
        busy = [c.name for c in there.plan.wiring.chains if not changed and traffic(there, c)]
        for name in busy:
            click.echo(f"chain {name}: carries traffic, so it was not proved: sppr chain prove {name}{_flag(lab)}")
        names = [chain.name for chain in there.plan.wiring.chains if chain.name not in busy]
        proofs = prove.prove(session, names, Options(), yes=True) if names else []
    return prove.exit_status(proofs)


def bring_up(lab: Any, keep_chains: Sequence[str] = ()) -> bool:
    """Start what is missing, until all parts are ready and all chains are up. Return False if nothing was to be done.

    ``keep_chains``: names of chains that conf.yml no longer has, and that are kept.
    """
    from dataclasses import replace

    from sppr import log
    from sppr.cli.context import rewired
    from sppr.cli.session import check_owner, load
    from sppr.lab import lifecycle
    from sppr.lab.state import observe, reconcile, state
    from sppr.tmux.server import Tmux

    tmux = Tmux(lab.plan.socket_name)
    with state.locked(lab.plan.session):
        log.log_to(state.log_path())
        check_owner(lab.plan.session, lab.paths.conf)
        old = _known(lab, tmux)
        if old is not None and old.plan.socket_name != lab.plan.socket_name:
            tmux = _same_server(lab, old)
        parts = {part.name: part for plan in (lab.plan, old.plan if old else None) if plan for part in plan.parts}
        seen = observe.observe(lab.paths.run, lab.plan.session, parts.values(), tmux)
        changes = reconcile.reconcile(lab.plan, old.plan if old else None, seen.running, seen.panes, seen.outlived)
        plan = rewired(lab, changes.plan, old.plan if old else None, keep_chains)
        notes = [f"chain {left.name}: left out: {left.why}" for left in plan.wiring.left_out]
        changes = replace(changes, plan=plan, notes=(*changes.notes, *notes))
        if old is not None and is_current(changes, old, tmux, seen):
            return False
        if old is not None:
            lifecycle.check_address(old, lab.plan, changes.start, seen.running)
        run(changes, old, lab, tmux)
        load(lab.plan.session, None, lab.paths.conf)  # restores the ends of a chain whose proof was killed
    return True


def _known(lab: Any, tmux: Any) -> Any:
    """Return the state of the session. None if there is none, or if the machine was restarted since."""
    from sppr.cli.session import load
    from sppr.lab.state import state

    session = lab.plan.session
    try:
        old = load(session, None, lab.paths.conf)
    except state.NoSession:
        return None
    if not old.stale:
        return old
    from sppr.lab.down import teardown

    teardown.remove_stale_session(old, tmux)
    click.echo(f"session {session} ran before the machine was restarted: its leftovers were removed")
    return None


def _same_server(lab: Any, old: Any) -> Any:
    """Return the tmux server of the lab. Raise SpprError if the session runs in another one."""
    from sppr.errors import SpprError
    from sppr.lab.state import observe, state
    from sppr.tmux.server import Tmux

    if observe.running(old.folder, old.plan.parts) or Tmux(old.plan.socket_name).find_session(old.plan.session):
        named = old.plan.socket_name
        what = f"session {old.plan.session} is in {f'the tmux server {named}' if named else 'the default tmux server'}"
        hint = f"--socket-name {named}" if named else "without --socket-name"
        raise SpprError(what, hint=f"{hint}; or end it: sppr down{state.flag(old.plan.session)}")
    return Tmux(lab.plan.socket_name)


def is_current(changes: Any, old: Any, tmux: Any, seen: Any) -> bool:
    """Return whether nothing is to be done, and print that."""
    from dataclasses import replace

    from sppr.lab.state import state
    from sppr.lab.state.status import part_statuses
    from sppr.lab.up.panes import Panes
    from sppr.tmux.server import attach_line

    session = old.plan.session
    shells = Panes(changes.plan, tmux, old.panes).missing_shells(seen)
    if changes.start or shells or not seen.session:
        return False
    rows = {row.name: row for row in part_statuses(replace(old, phase="up"))}
    if any(rows[name].state != "ready" for name in changes.wait) or chains_to_change(changes.plan, old):
        return False
    if old.phase != "up":
        replace(old, phase="up", stopping=()).save()
    for line in changes.notes:
        click.echo(line)
    click.echo(f"session {session} is running already, with all its {len(changes.wait)} parts: nothing was changed")
    click.echo(f"hint: {attach_line(tmux, session)}   or end it: sppr down{state.flag(session)}")
    return True


def chains_to_change(plan: Any, old: Any) -> bool:
    """Return whether a chain differs from the plan, or a former chain still exists."""
    from sppr.lab.chains import ends, observe, reconcile
    from sppr.lab.state.state import stopped_parts

    if plan.wiring != old.plan.wiring or ends.faults(plan):
        return True
    if plan.wiring.is_empty:
        return False
    observed = observe.observe_processes(plan.api, observe.processes(plan.parts, plan.wiring), stopped_parts(old))
    return bool(reconcile.steps(plan.wiring, observed))


def run(changes: Any, old: Any, lab: Any, tmux: Any) -> None:
    """Carry out the changes, and show progress."""
    from sppr.cli.terminal import sudo_prompt
    from sppr.cli.terminal.progress import progress
    from sppr.errors import Cancelled, SpprError
    from sppr.lab import machine
    from sppr.lab.state import state
    from sppr.lab.up import preflight
    from sppr.lab.up.bringup import BringUp

    flag = state.flag(changes.plan.session)
    found = machine.read_facts(changes.plan.accel)  # again, now that the session is locked
    findings = preflight.check(changes.plan, lab.paths, found, changes.fresh)
    root = sudo_prompt.of_lab(changes.plan, changes.start)
    root.ask()
    with root, progress(changes.plan, (*changes.start, *changes.wait)) as report:
        for line in (*(f"warning: {finding.what}" for finding in findings), *changes.notes):
            report.note(line)
        try:
            BringUp(changes, old, lab.paths, tmux, report).execute(found)
        except KeyboardInterrupt:
            hint = f"sppr up continues, sppr down{flag} stops the lab"
            raise Cancelled("interrupted; started parts keep running", hint=hint) from None
        except SpprError as e:
            e.what += f"\nstarted parts keep running; `sppr down{flag}` stops them"
            raise


def _no_terminal() -> bool:
    return not (sys.stdin.isatty() and sys.stdout.isatty())


def _attach(lab: Any, detach: bool) -> None:
    from sppr.tmux.server import Tmux, attach_line, attach_terminal

    tmux = Tmux(lab.plan.socket_name)
    if detach or _no_terminal():
        click.echo(f"session {lab.plan.session} is up; attach: {attach_line(tmux, lab.plan.session)}")
        return
    attach_terminal(tmux, lab.plan.session)
