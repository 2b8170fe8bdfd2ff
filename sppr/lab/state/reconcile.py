"""What is wanted + what is known + what runs -> what is to be done. Pure."""

import difflib
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from sppr.lab.plan.plan import Plan, windows_of
from sppr.parts.part import Part

#: What a running part became, by its name.
Running = Mapping[str, tuple[str, ...]]
ROLES = ("controller", "primary", "secondary", "vm_ring", "vm_vhost")


@dataclass(frozen=True)
class Changes:
    """``plan``: what the session is from now on. ``start``: parts to be started, each in its pane; ``stop``: those of
    them that run and are stopped first; ``wait``: parts that run, and must be ready in the end. ``notes``: lines for
    the user.
    """

    plan: Plan
    start: tuple[str, ...]
    stop: tuple[str, ...] = ()
    wait: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def fresh(self) -> tuple[str, ...]:
        """Parts to be started that do not run yet."""
        return tuple(name for name in self.start if name not in self.stop)


def reconcile(
    wanted: Plan, old: Plan | None, running: Running, panes: Collection[str], outlived: Collection[str] = ()
) -> Changes:
    """Start what is missing or dead, leave what runs, tell what differs. A part that runs stays as it was planned, also
    where its pane is not among ``panes``: to end it for that alone would cost a guest its state.

    A secondary has the memory of its primary: where the primary is to be started, the secondaries that still run are
    ended before, and started after it. So are those that ``outlived`` the primary before the one that runs.
    """
    known = {part.name: part for part in old.parts} if old else {}
    asked = {part.name for part in wanted.parts}
    secondaries = [name for name in running if _role(name, wanted, old) == "secondary"]
    orphans = [name for name in secondaries if "pri" not in running or name in outlived]
    kept = [_kept(known.get(part.name, part), running[part.name]) if _stays(part, running, orphans) else part
            for part in wanted.parts]  # fmt: skip
    extra = [_kept(p, running.get(p.name, ())) for p in known.values() if p.name not in asked]
    parts = tuple(sorted([*kept, *extra], key=lambda part: ROLES.index(part.role)))
    notes = [
        *(f"{n}: runs, but its pane is gone: sppr restart {n}" for n in running if n not in panes and n not in orphans),
        *(_different(part, running[part.name], known.get(part.name))
          for part in wanted.parts if _stays(part, running, orphans)),
        *(f"{part.name}: {'runs' if part.name in running else 'is there'}, not asked for now: left as it is"
          for part in extra),
        *(f"{name}: still uses the memory of a primary that is gone: it is restarted" for name in orphans),
    ]  # fmt: skip
    start = [p.name for p in parts if p.name in orphans or (p.name in asked and p.name not in running)]
    return Changes(
        plan=_merged(wanted, old, parts, keep_primary="pri" in running),
        start=tuple(start),
        stop=tuple(orphans),
        wait=tuple(p.name for p in parts if p.name in asked and _stays(p, running, orphans)),
        notes=tuple(line for line in notes if line),
    )


def again(
    plan: Plan,
    names: Collection[str],
    running: Collection[str],
    replanned: Mapping[str, Part],
    wanted: Plan | None = None,
) -> Changes:
    """Start these parts of a session (once more, where they run), as ``anew`` has them. ``wanted``: the plan of
    conf.yml as it is now; None: that is gone. Parts that do not run are known as it has them, too."""
    now = {part.name: part for part in wanted.parts} if wanted else {}
    idle = {p.name: now[p.name] for p in plan.parts if p.name not in running and p.name in now}
    parts = tuple((replanned if p.name in names else idle).get(p.name, p) for p in plan.parts)
    chosen = [p for p in parts if p.name in names]
    needs = {need for part in chosen for need in part.depends_on} - set(names)
    return Changes(
        plan=replace(_taken_along(plan, names, wanted), parts=parts),
        start=tuple(p.name for p in chosen),
        stop=tuple(p.name for p in chosen if p.name in running),
        wait=tuple(p.name for p in parts if p.name in needs),
    )


def _taken_along(plan: Plan, names: Collection[str], wanted: Plan | None) -> Plan:
    """The plan with the settings of the lab that these parts bring along when they start."""
    if wanted is None:
        return plan
    if "ctrler" in names:
        plan = replace(plan, host=wanted.host, tcp_ports=wanted.tcp_ports, rest=wanted.rest)
    if "pri" not in names:
        return plan
    return replace(
        plan, memory=wanted.memory, huge_dir=wanted.huge_dir, file_prefix=wanted.file_prefix,
        lcores=wanted.lcores, vdev_sockets=wanted.vdev_sockets,
    )  # fmt: skip


def apart(wanted: Plan, names: Collection[str], running: Running, plan: Plan) -> list[str]:
    """Return the parts that must restart with these, because conf.yml has another address for the controller than
    running parts use: the controller, and all that use the old one. Empty where every part would use one address."""
    now = {part.name: part for part in wanted.parts}
    before = {part.name: part for part in plan.parts}
    real = bool(before["ctrler"].kind) if "ctrler" in before else False

    def moved(name: str) -> bool:
        runs = running.get(name) or before[name].program
        return name in now and name in before and _calls(runs, real) != _calls(now[name].program, real)

    callers = [p.name for p in plan.parts if p.role != "controller" and moved(p.name)]
    old = [name for name in callers if name in running and name not in names]
    if "ctrler" in names:
        return ["ctrler", *old] if old else []
    listening = "ctrler" in running and any(name in names for name in callers)
    return ["ctrler", *old] if listening else []


def _calls(program: Sequence[str], real: bool) -> list[str]:
    """The address of the controller in a command line. A guest of our own controller has none: QEMU connects it to a
    unix socket."""
    if "guestfwd=" in " ".join(program):
        return [word for word in program if "id=control" in word] if real else []
    own = list(program[program.index("--") :]) if "--" in program else []
    return [value for option, value in pairwise(own) if option == "-s"]


def with_secondaries(plan: Plan, names: Collection[str], running: Collection[str]) -> list[str]:
    """These parts, and with the primary the secondaries that run: they have its memory. In the order of the plan."""
    along = [p.name for p in plan.parts if p.role == "secondary" and p.name in running] if "pri" in names else []
    return [p.name for p in plan.parts if p.name in names or p.name in along]


def difference(runs: Sequence[str], wanted: Sequence[str]) -> str | None:
    """How two command lines differ, option by option; None where they do not."""
    if tuple(runs) == tuple(wanted):
        return None
    old, new = _options(runs), _options(wanted)
    steps = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    gone = [option for tag, a, b, _, _ in steps if tag != "equal" for option in old[a:b]]
    come = [option for tag, _, _, a, b in steps if tag != "equal" for option in new[a:b]]
    if not come:
        return f"runs with {_shown(gone)}, which conf.yml and flags do not say"
    if not gone:
        return f"runs without {_shown(come)}, which conf.yml and flags say"
    return f"runs with {_shown(gone)}, conf.yml and flags say {_shown(come)}"


def _options(words: Sequence[str]) -> list[tuple[str, ...]]:
    """Each option with its values."""
    found: list[list[str]] = []
    for word in words:
        if word.startswith("-") or not found:
            found.append([word])
        else:
            found[-1].append(word)
    return [tuple(option) for option in found]


def _shown(options: Sequence[tuple[str, ...]]) -> str:
    text = " ".join(shlex.join(option) for option in options)
    return text if len(text) <= 200 else text[:200] + "…"


def _different(part: Part, runs: tuple[str, ...], was: Part | None) -> str | None:
    how = difference(runs, part.program) if runs else None
    if not how and was is not None and was.restart != part.restart:
        how = f"runs with {_policy(was)}, conf.yml says {_policy(part)}"
    return f"{part.name}: {how}: sppr restart {part.name}" if how else None


def _policy(part: Part) -> str:
    return f"restart: on-failure (max {part.restarts}, delay {part.restart_delay:g})" if part.restart else "restart: no"


def _stays(part: Part, running: Running, orphans: Collection[str]) -> bool:
    return part.name in running and part.name not in orphans


def _kept(part: Part, program: tuple[str, ...]) -> Part:
    return replace(part, program=program) if program else part


def _role(name: str, *plans: Plan | None) -> str:
    return next((part.role for plan in plans if plan for part in plan.parts if part.name == name), "")


def _merged(wanted: Plan, old: Plan | None, parts: tuple[Part, ...], keep_primary: bool) -> Plan:
    """The wanted plan over all that the session has; what the primary that runs was given stays known."""
    if old is None:
        return wanted
    a, b = wanted.flags, old.flags
    more = len(parts) > len(wanted.parts)

    def most(one: int | None, other: int | None) -> int | None:
        return max(one or 0, other or 0) if more else one

    flags = replace(
        a,
        nof_sec=most(a.nof_sec, b.nof_sec),
        nof_ring=most(a.nof_ring, b.nof_ring),
        nof_vhost=most(a.nof_vhost, b.nof_vhost),
        nof_working=max(a.nof_working, b.nof_working),
    )
    merged = replace(
        wanted,
        parts=parts,
        flags=flags,
        windows=windows_of(parts, flags.nof_working),
        lcores=tuple(sorted({*wanted.lcores, *old.lcores})),
        vdev_sockets=tuple(dict.fromkeys([*wanted.vdev_sockets, *old.vdev_sockets])),
    )
    if not keep_primary:
        return merged
    return replace(merged, file_prefix=old.file_prefix, huge_dir=old.huge_dir)
