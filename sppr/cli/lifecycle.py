"""What ``start``, ``stop`` and ``restart`` share: the session, its lock, conf.yml as it is now."""

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sppr.cli.errors import say
from sppr.cli.session import load, own_session
from sppr.cli.terminal import sudo_prompt
from sppr.cli.terminal.progress import progress
from sppr.errors import ConfigError, Stopped
from sppr.lab import lifecycle, machine
from sppr.lab.paths import Site
from sppr.lab.state import state as states
from sppr.lab.state.reconcile import Todo
from sppr.lab.state.state import State
from sppr.parts.part import Part
from sppr.tmux.server import Tmux

if TYPE_CHECKING:
    from sppr.cli.context import Lab


@contextlib.contextmanager
def session(named: str | None, names: Sequence[str]) -> Iterator[State]:
    """The state of a session, held for this verb. SpprError where it is not there, or has no such part."""
    from sppr import log

    name = own_session(named)
    states.check_names(states.check_living(load(name, named)), names)
    with states.locked(name):
        log.log_to(states.log_path())
        yield states.living(name)


def outlive_own_pane(state: State) -> None:
    """A verb typed into the very pane that it starts anew goes on to its end."""
    if os.environ.get("TMUX_PANE") in {pane for _, pane in state.panes.values()}:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def replan(state: State, names: Sequence[str]) -> tuple[dict[str, Part], Site | None, "Lab | None"]:
    """These parts as conf.yml has them now; as they ran last where it is gone, or has none of them any more. The lab as
    conf.yml has it comes last, None where that is gone.

    With a primary that has ended, its secondaries that still run are among them. ConfigError where it is wrong:
    nothing is to be ended then.
    """
    from sppr.cli.context import again

    names = lifecycle.with_orphans(state, names)
    try:
        lab = again(state)
    except ConfigError as e:
        e.what += "\nnothing was changed"
        raise
    there = {part.name: part for part in lab.plan.parts} if lab else {}
    if lab:
        lab.site.check_base_named(there[name] for name in names if name in there)
    gone = [name for name in names if name not in there]
    if gone:
        missing = f"{state.plan.conf} is gone" if lab is None else f"{state.plan.conf} has no such part any more"
        say(f"{', '.join(gone)}: {missing}: started as it ran last")
    kept = {name: lifecycle.as_it_ran(state, name) for name in gone}
    return {name: there.get(name) or kept[name] for name in names}, lab.site if lab and not gone else None, lab


def run(todo: Todo, state: State, site: Site | None, lab: "Lab | None" = None) -> None:
    """Do it, shown as it goes on. ``lab``: as conf.yml has it, whose chains are wired then."""
    if lab is not None:
        from sppr.cli.context import rewired

        todo = replace(todo, plan=rewired(lab, todo.plan, state.plan))
    tmux = Tmux(state.plan.socket_name)
    found = machine.look(todo.plan.accel)
    findings = lifecycle.check(todo, site, found)
    outlive_own_pane(state)
    root = sudo_prompt.of_lab(todo.plan, todo.start)
    root.ask()
    with root, progress(todo.plan, todo.start) as report:
        for finding in findings:
            report.note(f"warning: {finding.what}")
        try:
            lifecycle.execute(todo, state, site, tmux, report, found)
        except KeyboardInterrupt:
            raise Stopped("interrupted; what was started stays up", hint="sppr status") from None


def done(todo: Todo) -> None:
    say(f"{', '.join(todo.start)}: ready")
