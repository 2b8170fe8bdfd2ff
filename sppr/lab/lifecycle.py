"""``start``, ``stop`` and ``restart`` of single parts of a session that is there."""

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
    """The part with what it became last, and a line that does that again without conf.yml."""
    part = state.plan.part(name)
    command = (PYTHON, "-m", "sppr", "run", "part", name, "--session", state.plan.session)
    return replace(part, command=command, program=states.program(part.files(state.folder)) or part.program)


def stop(state: State, names: Sequence[str], note: teardown.Note, powerdown: float) -> None:
    """End parts that run, the primary's secondaries before it. What is left of the session runs on."""
    running = observe.running(state.folder, state.plan.parts)
    chosen = reconcile.with_secondaries(state.plan, names, running)
    for name in names:
        if name not in running:
            note(f"{name} does not run")
    state.stopping = tuple(name for name in chosen if name in running)
    with contextlib.suppress(OSError):  # a full disk does not keep a part up
        state.save()
    try:
        teardown.stop_parts(state, chosen, note, powerdown)
    finally:
        state.stopping = ()
        with contextlib.suppress(OSError):
            state.save()


def to_restart(
    state: State, names: Sequence[str], replanned: Mapping[str, Part], wanted: Plan | None = None
) -> Changes:
    """These parts ended where they run, and started; with the primary the secondaries that run."""
    running = observe.running(state.folder, state.plan.parts)
    chosen = reconcile.with_secondaries(state.plan, names, running)
    check_address(state, wanted, chosen, running)
    return _checked(state, reconcile.replan(state.plan, chosen, running, replanned, wanted), running)


def with_orphans(state: State, names: Sequence[str]) -> list[str]:
    """Return these parts and, where they have a primary that has ended, the secondaries that still run in its memory.

    As long as one of them runs, EAL cannot remove what the old primary left, and a new one fails.
    """
    running = observe.running(state.folder, state.plan.parts)
    return list(names) if "pri" in running else reconcile.with_secondaries(state.plan, names, running)


def to_start(
    state: State, names: Sequence[str], replanned: Mapping[str, Part], note: teardown.Note, wanted: Plan | None = None
) -> Changes:
    """Start the parts that do not run. With the primary, its secondaries that still run are stopped, and started after
    it, as ``restart`` and ``wakeup`` do."""
    running = observe.running(state.folder, state.plan.parts)
    idle = [name for name in names if name not in running]
    chosen = reconcile.with_secondaries(state.plan, idle, running)
    for name in running:
        if name in chosen:
            note(f"{name}: still uses the memory of the primary that has ended: it is restarted, too")
        elif name in names:
            note(f"{name} runs already")
    check_address(state, wanted, chosen, running)
    return _checked(state, reconcile.replan(state.plan, chosen, running, replanned, wanted), running)


def check_address(state: State, wanted: Plan | None, names: Collection[str], running: reconcile.Running) -> None:
    """SpprError where the controller would listen on another address than the other parts use: conf.yml was changed,
    and not all of them are among ``names``."""
    apart = reconcile.address_conflicts(wanted, names, running, state.plan) if wanted else []
    if not apart:
        return
    left = [name for name in apart if name not in names]
    what = f"{', '.join(left)} would keep the old address of the controller: {state.plan.conf} has another one now"
    what += "\nnothing was changed"
    every = [part.name for part in state.plan.parts if part.name in (*apart, *names)]
    raise SpprError(what, hint=f"sppr restart {' '.join(every)}{states.flag(state.plan.session)}")


def _checked(state: State, changes: Changes, running: Collection[str]) -> Changes:
    missing = [name for name in changes.wait if name not in running]
    if missing:
        what = f"{', '.join(changes.start)}: {', '.join(missing)} must run first"
        names = " ".join([*missing, *changes.start])
        raise SpprError(what, hint=f"sppr start {names}{states.flag(state.plan.session)}")
    return changes


def check(changes: Changes, paths: LabPaths | None, found: Facts) -> list[Finding]:
    """Return the warnings of preflight about the parts to be started. HostError with all that would keep them from
    starting: nothing was changed then. What they hold now counts as free. Without conf.yml nothing is checked."""
    if paths is None or not changes.start:
        return []
    try:
        return preflight.check(changes.plan, paths, found, changes.start, changes.stop)
    except HostError as e:
        e.what += "\nnothing was changed"
        raise


def execute(changes: Changes, state: State, paths: LabPaths | None, tmux: Tmux, report: Report, found: Facts) -> None:
    if changes.start:
        BringUp(changes, state, paths, tmux, report).execute(found)
