"""Compare the desired plan, the recorded plan and the running parts, and return the changes to make. Pure."""

import difflib
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from sppr.lab.plan.plan import Plan, windows_of
from sppr.parts.part import Part

#: The command line of each running part, by its name.
Running = Mapping[str, tuple[str, ...]]
ROLES = ("controller", "primary", "secondary", "vm_ring", "vm_vhost")


@dataclass(frozen=True)
class Changes:
    """The changes to a session.

    ``plan``: the new plan of the session.
    ``start``: parts to start. ``stop``: those of ``start`` that run, and are stopped first.
    ``wait``: running parts that must be ready in the end.
    ``notes``: lines for the user.
    """

    plan: Plan
    start: tuple[str, ...]
    stop: tuple[str, ...] = ()
    wait: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def fresh(self) -> tuple[str, ...]:
        """Return the parts to start that do not run yet."""
        return tuple(name for name in self.start if name not in self.stop)


def reconcile(
    desired: Plan, recorded: Plan | None, running: Running, panes: Collection[str], outlived: Collection[str] = ()
) -> Changes:
    """Return the changes that start the missing parts and leave the running parts alone.

    A running part that differs from ``desired`` keeps running as it was planned, and a note describes the difference.
    So does a part whose pane is not among ``panes``, because stopping it would cost a guest its state.

    A secondary uses the memory of its primary. If the primary is to be started, the running secondaries are stopped
    before it and started after it. The same holds for the secondaries ``outlived``, which use the memory of a previous
    primary.
    """
    known = {part.name: part for part in recorded.parts} if recorded else {}
    requested = {part.name for part in desired.parts}
    secondaries = [name for name in running if _role(name, desired, recorded) == "secondary"]
    orphans = [name for name in secondaries if "pri" not in running or name in outlived]
    planned = [
        _with_program(known.get(p.name, p), running[p.name]) if _keeps_running(p, running, orphans) else p
        for p in desired.parts
    ]
    extra = [_with_program(p, running.get(p.name, ())) for p in known.values() if p.name not in requested]
    parts = tuple(sorted([*planned, *extra], key=lambda part: ROLES.index(part.role)))
    notes = [
        *(f"{n}: runs, but its pane is gone: sppr restart {n}" for n in running if n not in panes and n not in orphans),
        *(_difference_note(part, running[part.name], known.get(part.name))
          for part in desired.parts if _keeps_running(part, running, orphans)),
        *(f"{part.name}: not requested now, and {'keeps running' if part.name in running else 'stays in the session'}"
          for part in extra),
        *(f"{name}: uses the memory of a previous primary, and is restarted" for name in orphans),
    ]  # fmt: skip
    start = [p.name for p in parts if p.name in orphans or (p.name in requested and p.name not in running)]
    return Changes(
        plan=_merge(desired, recorded, parts, keep_primary="pri" in running),
        start=tuple(start),
        stop=tuple(orphans),
        wait=tuple(p.name for p in parts if p.name in requested and _keeps_running(p, running, orphans)),
        notes=tuple(line for line in notes if line),
    )


def replan(
    plan: Plan,
    names: Collection[str],
    running: Collection[str],
    replanned: Mapping[str, Part],
    desired: Plan | None = None,
) -> Changes:
    """Return the changes that start these parts of a session, or restart those that run.

    ``replanned``: the parts as they will be started, by name. ``desired``: the plan that conf.yml defines now, or None
    if that file is gone. The plan of the session takes over from it the parts that do not run.
    """
    current = {part.name: part for part in desired.parts} if desired else {}
    idle = {p.name: current[p.name] for p in plan.parts if p.name not in running and p.name in current}
    parts = tuple((replanned if p.name in names else idle).get(p.name, p) for p in plan.parts)
    selected = [p for p in parts if p.name in names]
    dependencies = {name for part in selected for name in part.depends_on} - set(names)
    return Changes(
        plan=replace(_with_settings(plan, names, desired), parts=parts),
        start=tuple(p.name for p in selected),
        stop=tuple(p.name for p in selected if p.name in running),
        wait=tuple(p.name for p in parts if p.name in dependencies),
    )


def _with_settings(plan: Plan, names: Collection[str], desired: Plan | None) -> Plan:
    """Return the plan with the settings of the lab that take effect when these parts start."""
    if desired is None:
        return plan
    if "ctrler" in names:
        plan = replace(plan, host=desired.host, tcp_ports=desired.tcp_ports, rest=desired.rest)
    if "pri" not in names:
        return plan
    return replace(
        plan, memory=desired.memory, huge_dir=desired.huge_dir, file_prefix=desired.file_prefix,
        lcores=desired.lcores, vdev_sockets=desired.vdev_sockets,
    )  # fmt: skip


def address_conflicts(desired: Plan, names: Collection[str], running: Running, plan: Plan) -> list[str]:
    """Return the parts that must restart together with ``names``, because conf.yml has a new controller address.

    They are the controller, and all running parts that use the old address. The result is empty if all parts would use
    the same address.
    """
    current = {part.name: part for part in desired.parts}
    recorded = {part.name: part for part in plan.parts}
    upstream = bool(recorded["ctrler"].kind) if "ctrler" in recorded else False

    def has_new_address(name: str) -> bool:
        program = running.get(name) or recorded[name].program
        known = name in current and name in recorded
        return known and _address(program, upstream) != _address(current[name].program, upstream)

    clients = [p.name for p in plan.parts if p.role != "controller" and has_new_address(p.name)]
    on_old_address = [name for name in clients if name in running and name not in names]
    if "ctrler" in names:
        return ["ctrler", *on_old_address] if on_old_address else []
    controller_stays = "ctrler" in running and any(name in names for name in clients)
    return ["ctrler", *on_old_address] if controller_stays else []


def _address(program: Sequence[str], upstream: bool) -> list[str]:
    """Return the address of the controller in a command line.

    A guest of our own controller has none, because QEMU connects it to a unix socket. ``upstream``: whether the
    controller is one of upstream SPP.
    """
    if "guestfwd=" in " ".join(program):
        return [word for word in program if "id=control" in word] if upstream else []
    application = list(program[program.index("--") :]) if "--" in program else []
    return [value for option, value in pairwise(application) if option == "-s"]


def with_secondaries(plan: Plan, names: Collection[str], running: Collection[str]) -> list[str]:
    """Return these parts, and with the primary its running secondaries, in the order of the plan.

    The secondaries use the memory of the primary.
    """
    secondaries = [p.name for p in plan.parts if p.role == "secondary" and p.name in running] if "pri" in names else []
    return [p.name for p in plan.parts if p.name in names or p.name in secondaries]


def difference(program: Sequence[str], desired: Sequence[str]) -> str | None:
    """Return how a running command line differs from the desired one, option by option. None if it does not."""
    if tuple(program) == tuple(desired):
        return None
    old, new = _options(program), _options(desired)
    steps = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    removed = [option for tag, a, b, _, _ in steps if tag != "equal" for option in old[a:b]]
    added = [option for tag, _, _, a, b in steps if tag != "equal" for option in new[a:b]]
    if not added:
        return f"runs with {_format(removed)}, which conf.yml and the flags do not specify"
    if not removed:
        return f"runs without {_format(added)}, which conf.yml and the flags specify"
    return f"runs with {_format(removed)}, but conf.yml and the flags specify {_format(added)}"


def _options(words: Sequence[str]) -> list[tuple[str, ...]]:
    """Split a command line into options, each with its values."""
    options: list[list[str]] = []
    for word in words:
        if word.startswith("-") or not options:
            options.append([word])
        else:
            options[-1].append(word)
    return [tuple(option) for option in options]


def _format(options: Sequence[tuple[str, ...]]) -> str:
    text = " ".join(shlex.join(option) for option in options)
    return text if len(text) <= 200 else text[:200] + "…"


def _difference_note(part: Part, program: tuple[str, ...], recorded: Part | None) -> str | None:
    text = difference(program, part.program) if program else None
    if not text and recorded is not None and recorded.restart != part.restart:
        text = f"runs with {_policy(recorded)}, but conf.yml specifies {_policy(part)}"
    return f"{part.name}: {text}: sppr restart {part.name}" if text else None


def _policy(part: Part) -> str:
    return f"restart: on-failure (max {part.restarts}, delay {part.restart_delay:g})" if part.restart else "restart: no"


def _keeps_running(part: Part, running: Running, orphans: Collection[str]) -> bool:
    return part.name in running and part.name not in orphans


def _with_program(part: Part, program: tuple[str, ...]) -> Part:
    return replace(part, program=program) if program else part


def _role(name: str, *plans: Plan | None) -> str:
    return next((part.role for plan in plans if plan for part in plan.parts if part.name == name), "")


def _merge(desired: Plan, recorded: Plan | None, parts: tuple[Part, ...], keep_primary: bool) -> Plan:
    """Return the desired plan with all parts of the session, and with the memory settings of a running primary."""
    if recorded is None:
        return desired
    new, old = desired.flags, recorded.flags
    has_extra = len(parts) > len(desired.parts)

    def count(requested: int | None, before: int | None) -> int | None:
        return max(requested or 0, before or 0) if has_extra else requested

    flags = replace(
        new,
        nof_sec=count(new.nof_sec, old.nof_sec),
        nof_ring=count(new.nof_ring, old.nof_ring),
        nof_vhost=count(new.nof_vhost, old.nof_vhost),
        nof_working=max(new.nof_working, old.nof_working),
    )
    merged = replace(
        desired,
        parts=parts,
        flags=flags,
        windows=windows_of(parts, flags.nof_working),
        lcores=tuple(sorted({*desired.lcores, *recorded.lcores})),
        vdev_sockets=tuple(dict.fromkeys([*desired.vdev_sockets, *recorded.vdev_sockets])),
    )
    if not keep_primary:
        return merged
    return replace(merged, file_prefix=recorded.file_prefix, huge_dir=recorded.huge_dir)
