"""Start, stop and restart single parts of an existing session."""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from sppr.errors import HostError, SpprError
from sppr.host.checks import Finding
from sppr.host.facts import Facts
from sppr.lab.down import teardown
from sppr.lab.paths import LabPaths
from sppr.lab.plan.plan import Plan
from sppr.lab.state import observe, reconcile
from sppr.lab.state import state as states
from sppr.lab.state.reconcile import Changes
from sppr.lab.state.state import State
from sppr.lab.up import preflight
from sppr.lab.up.bringup import BringUp, Report
from sppr.parts.part import Part
from sppr.run import PYTHON
from sppr.tmux.server import Tmux


def running_command(state: State, name: str) -> Part:
    """Return the part with the command line of its last run, and a command that repeats it without conf.yml."""
    part = state.plan.part(name)
    command = (PYTHON, "-m", "sppr", "run", "part", name, "--session", state.plan.session)
    return replace(part, command=command, program=states.program(part.files(state.folder)) or part.program)


def stop(state: State, names: Sequence[str], note: teardown.Note, powerdown: float) -> None:
    """Stop these parts, and the secondaries before their primary. The other parts of the session keep running."""
    running = observe.running(state.folder, state.plan.parts)
    selected = reconcile.with_secondaries(state.plan, names, running)
    for name in names:
        if name not in running:
            note(f"{name} does not run")
    state.stopping = tuple(name for name in selected if name in running)
    with contextlib.suppress(OSError):  # a full disk must not prevent the stop
        state.save()
    try:
        teardown.stop_parts(state, selected, note, powerdown)
    finally:
        state.stopping = ()
        with contextlib.suppress(OSError):
            state.save()


def restart_changes(
    state: State, names: Sequence[str], replanned: Mapping[str, Part], desired: Plan | None = None
) -> Changes:
    """Return the changes that restart these parts, and with the primary the running secondaries.

    Parts that do not run are started. ``replanned``, ``desired``: see ``reconcile.replan``. Raise SpprError if other
    parts must restart, too, or if a dependency does not run.
    """
    running = observe.running(state.folder, state.plan.parts)
    selected = reconcile.with_secondaries(state.plan, names, running)
    check_address(state, desired, selected, running)
    return _check_dependencies(state, reconcile.replan(state.plan, selected, running, replanned, desired), running)


def with_orphans(state: State, names: Sequence[str]) -> list[str]:
    """Return these parts, and the running secondaries if ``names`` has a primary that does not run.

    As long as a secondary uses the memory of the previous primary, EAL cannot remove it, and a new primary fails.
    """
    running = observe.running(state.folder, state.plan.parts)
    return list(names) if "pri" in running else reconcile.with_secondaries(state.plan, names, running)


def start_changes(
    state: State, names: Sequence[str], replanned: Mapping[str, Part], note: teardown.Note, desired: Plan | None = None
) -> Changes:
    """Return the changes that start those of these parts that do not run.

    With the primary, the running secondaries are restarted, as ``restart`` and ``wakeup`` do. Raise SpprError as
    ``restart_changes`` does.
    """
    running = observe.running(state.folder, state.plan.parts)
    idle = [name for name in names if name not in running]
    selected = reconcile.with_secondaries(state.plan, idle, running)
    for name in running:
        if name in selected:
            note(f"{name}: uses the memory of the previous primary, and is restarted, too")
        elif name in names:
            note(f"{name} runs already")
    check_address(state, desired, selected, running)
    return _check_dependencies(state, reconcile.replan(state.plan, selected, running, replanned, desired), running)


def check_address(state: State, desired: Plan | None, names: Collection[str], running: reconcile.Running) -> None:
    """Raise SpprError if conf.yml has a new address of the controller, and ``names`` lacks parts that must use it."""
    conflicts = reconcile.address_conflicts(desired, names, running, state.plan) if desired else []
    if not conflicts:
        return
    left = [name for name in conflicts if name not in names]
    what = f"{', '.join(left)} would keep the old address of the controller: {state.plan.conf} has a new one"
    what += "\nnothing was changed"
    every = [part.name for part in state.plan.parts if part.name in (*conflicts, *names)]
    raise SpprError(what, hint=f"sppr restart {' '.join(every)}{states.flag(state.plan.session)}")


def _check_dependencies(state: State, changes: Changes, running: Collection[str]) -> Changes:
    """Return the changes. Raise SpprError if a dependency of a part to start does not run."""
    missing = [name for name in changes.wait if name not in running]
    if missing:
        what = f"{', '.join(changes.start)}: {', '.join(missing)} must run first"
        names = " ".join([*missing, *changes.start])
        raise SpprError(what, hint=f"sppr start {names}{states.flag(state.plan.session)}")
    return changes


def check(changes: Changes, paths: LabPaths | None, machine: Facts) -> list[Finding]:
    """Return the warnings of preflight about the parts to start.

    Resources of parts that are stopped first count as free. Without conf.yml (``paths`` is None) nothing is checked.
    Raise HostError with all problems that would prevent the start; nothing was changed then.
    """
    if paths is None or not changes.start:
        return []
    try:
        return preflight.check(changes.plan, paths, machine, changes.start, changes.stop)
    except HostError as e:
        e.what += "\nnothing was changed"
        raise


def execute(changes: Changes, state: State, paths: LabPaths | None, tmux: Tmux, report: Report, machine: Facts) -> None:
    """Execute the changes, if any part is to start. Raise the errors of ``BringUp.execute``."""
    if changes.start:
        BringUp(changes, state, paths, tmux, report).execute(machine)
