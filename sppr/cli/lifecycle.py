"""The verbs that start and stop a lab or parts of it: ``down``, ``start``, ``stop``, ``restart``, ``attach``."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingCommand, echo
from sppr.cli.hosts.dispatch import over_hosts

if TYPE_CHECKING:
    from sppr.cli.context import Lab
    from sppr.lab.paths import LabPaths
    from sppr.lab.state.reconcile import Changes
    from sppr.lab.state.state import State
    from sppr.parts.part import Part


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
@options.verb_session
@options.hosts
@options.powerdown
def down(session: str | None, hosts: tuple[str, ...], powerdown: float) -> int:
    """Stop the lab: VMs, secondaries, primary, controller. Then remove its session, sockets and hugepage files."""
    from sppr import log
    from sppr.cli.session import check_lost_owner, own_session
    from sppr.cli.terminal.sudo_prompt import show_commands
    from sppr.lab.down import recovery, teardown
    from sppr.lab.state import state as states
    from sppr.tmux.server import Tmux

    if (far := over_hosts(None, hosts, session)) is not None:
        from sppr.cli.hosts import verbs

        verbs.allow_options()
        return verbs.down(far, hosts)
    name = own_session(session)
    show_commands()
    with states.locked(name):
        log.log_to(states.log_path())
        try:
            state = states.load(name)
        except states.NoSession as e:
            if session is None:
                check_lost_owner(name)
            others = ", ".join(states.sessions())
            if recovery.down_without_state(name, echo):
                echo(f"session {name} is down")
            else:
                click.echo(e.what + (f"; running: {others}" if others else ""))
            return 0
        except states.UnreadableState as e:
            click.echo(f"warning: {e.what}; ending what its pid records name")
            sure = recovery.down_corrupt_state(name, echo)
            echo(f"session {name} is down")
            return 0 if sure else 1
        tmux = Tmux(state.plan.socket_name)
        if state.stale:
            teardown.remove_stale_session(state, tmux)
            click.echo(f"session {name} ran before the machine was restarted: its leftovers were removed")
            return 0
        teardown.down(state, tmux, echo, powerdown)
        echo(f"session {name} is down")
    return 0


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
@options.part_names
@options.verb_session
def start(names: tuple[str, ...], session: str | None) -> None:
    """Start parts that are stopped or failed, each in its own pane, with conf.yml as it is now."""
    from sppr.lab import lifecycle

    with locked_session(session, names) as state:
        replanned, paths, lab = replan(state, names)
        changes = lifecycle.start_changes(state, names, replanned, echo, lab.plan if lab else None)
        if changes.start:
            execute(changes, state, paths, lab)
            report_ready(changes)


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
@options.part_names
@options.verb_session
@options.powerdown
def stop(names: tuple[str, ...], session: str | None, powerdown: float) -> None:
    """Stop parts. With the primary, stop its secondaries too. The panes stay, with the command one arrow-up away."""
    from sppr.lab import lifecycle

    with locked_session(session, names) as state:
        lifecycle.stop(state, names, echo, powerdown)


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
@options.part_names
@options.verb_session
def restart(names: tuple[str, ...], session: str | None) -> None:
    """Stop parts and start them again, each in its own pane, with conf.yml as it is now.

    With the primary, restart its secondaries too. Ports and patches are restored. VMs keep running.
    """
    from sppr.lab import lifecycle
    from sppr.lab.state import observe, reconcile

    with locked_session(session, names) as state:
        running = observe.running(state.folder, state.plan.parts)
        chosen = reconcile.with_secondaries(state.plan, names, running)
        replanned, paths, lab = replan(state, chosen)
        changes = lifecycle.restart_changes(state, chosen, replanned, lab.plan if lab else None)
        execute(changes, state, paths, lab)
        report_ready(changes)


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
@click.argument("host", required=False)
@options.verb_session
def attach(host: str | None, session: str | None) -> None:
    """Attach this terminal to the lab. Inside tmux, switch to it. HOST: to that of this host of conf.yml, over ssh."""
    from sppr.cli.session import load, session_of
    from sppr.tmux.server import Tmux, attach_terminal

    if host is not None:
        from sppr.cli.hosts import attach as far
        from sppr.cli.hosts.verbs import required

        far.run_there(required(None), host, ["attach"])
    if (lab := over_hosts(session=session)) is not None:
        from sppr.cli.hosts import attach as far

        far.attach_to_all(lab)
        return
    state = load(session_of(session), session)
    attach_terminal(Tmux(state.plan.socket_name), state.plan.session)


@contextlib.contextmanager
def locked_session(named: str | None, names: Sequence[str]) -> "Iterator[State]":
    """Lock a session and return its state. Raise SpprError if it does not exist, or has no such part."""
    from sppr import log
    from sppr.cli.session import load, own_session
    from sppr.lab.state import state as states

    name = own_session(named)
    states.check_names(states.check_same_boot(load(name, named)), names)
    with states.locked(name):
        log.log_to(states.log_path())
        yield states.load_same_boot(name)


def replan(state: "State", names: Sequence[str]) -> "tuple[dict[str, Part], LabPaths | None, Lab | None]":
    """Plan these parts again from conf.yml as it is now.

    A part that conf.yml no longer has gets the command of its last run. If the primary has exited, its secondaries that
    still run are added. Return the parts by name; the paths of the lab, None if a part is not in conf.yml; and the lab,
    None if conf.yml is gone. Raise ConfigError if conf.yml is invalid, before any part is stopped.
    """
    from sppr.cli.context import reload
    from sppr.errors import ConfigError
    from sppr.lab import lifecycle

    names = lifecycle.with_orphans(state, names)
    try:
        lab = reload(state)
    except ConfigError as e:
        e.what += "\nnothing was changed"
        raise
    there = {part.name: part for part in lab.plan.parts} if lab else {}
    if lab:
        lab.paths.check_base_named(there[name] for name in names if name in there)
    gone = [name for name in names if name not in there]
    if gone:
        missing = f"{state.plan.conf} is gone" if lab is None else f"{state.plan.conf} has no such part any more"
        echo(f"{', '.join(gone)}: {missing}: started as it ran last")
    kept = {name: lifecycle.running_command(state, name) for name in gone}
    return {name: there.get(name) or kept[name] for name in names}, lab.paths if lab and not gone else None, lab


def execute(changes: "Changes", state: "State", paths: "LabPaths | None", lab: "Lab | None" = None) -> None:
    """Carry out the changes, and show progress. ``lab``: the lab of conf.yml, whose chains are then wired."""
    from sppr.cli.context import rewired
    from sppr.cli.terminal import sudo_prompt
    from sppr.cli.terminal.progress import progress
    from sppr.errors import Cancelled
    from sppr.lab import lifecycle, machine
    from sppr.tmux.server import Tmux

    if lab is not None:
        changes = replace(changes, plan=rewired(lab, changes.plan, state.plan))
    tmux = Tmux(state.plan.socket_name)
    found = machine.read_facts(changes.plan.accel)
    findings = lifecycle.check(changes, paths, found)
    root = sudo_prompt.of_lab(changes.plan, changes.start)
    root.ask()
    with root, progress(changes.plan, changes.start) as report:
        for finding in findings:
            report.note(f"warning: {finding.what}")
        try:
            lifecycle.execute(changes, state, paths, tmux, report, found)
        except KeyboardInterrupt:
            raise Cancelled("interrupted; started parts keep running", hint="sppr status") from None


def report_ready(changes: "Changes") -> None:
    """Report that the started parts are ready."""
    echo(f"{', '.join(changes.start)}: ready")
