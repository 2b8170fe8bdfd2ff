"""Find all problems that would make a bring-up fail, before a window opens. ``sppr doctor`` shows the same findings."""

import contextlib
import os
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import psutil

from sppr.deadline import Deadline
from sppr.errors import HostError
from sppr.host import checks, facts, shared_region
from sppr.host.facts import Facts
from sppr.images.store import BUILD_HINT
from sppr.lab.chains import ends
from sppr.lab.down import recovery
from sppr.lab.paths import LabPaths
from sppr.lab.plan import requirements
from sppr.lab.plan.plan import Image, Plan, images
from sppr.lab.state import state as states
from sppr.parts.part import serving_part

#: Maximal length in bytes of the path of a unix socket, and of the folder in which our data plane creates its sockets.
MAX_SOCKET_PATH, MAX_SOCK_DIR = 107, 95
#: Seconds to wait until the kernel removes a TAP interface that no process has open.
TAP_GONE = 5.0


def check(
    plan: Plan, paths: LabPaths, machine: Facts, start: Collection[str], stop: Collection[str] = ()
) -> list[checks.Finding]:
    """Return the warnings that the bring-up does not fix by itself.

    ``start``: the parts to start; the other parts run already. ``stop``: those of ``start`` that run, and are stopped
    first. Raise HostError with everything that must be fixed before these parts start.
    """
    if "pri" in start and "pri" not in stop:
        machine = _wait_for_taps(plan, machine)
    findings = find_problems(plan, paths, machine, start, stop)
    errors = [f for f in findings if f.severity == "error"]
    if errors:
        raise HostError("\n".join(f"{f.what}\n    fix: {f.fix}" for f in errors))
    return [f for f in findings if f.severity == "warning" and not f.fix_steps]


def find_problems(
    plan: Plan, paths: LabPaths, machine: Facts, start: Collection[str] | None = None, stop: Collection[str] = ()
) -> list[checks.Finding]:
    """Return every finding about this lab on this machine, the worst first.

    ``start``: the parts to start; by default all parts that do not run. ``stop``: those of ``start`` that run; their
    resources count as free.
    """
    return inspect(plan, paths, machine, start, stop)[0]


def inspect(
    plan: Plan, paths: LabPaths, machine: Facts, start: Collection[str] | None = None, stop: Collection[str] = ()
) -> tuple[list[checks.Finding], checks.Requirements]:
    """Return the findings as ``find_problems`` does, and the requirements of the parts."""
    running = requirements.running_pids(plan.session)
    session_findings = _finding("state", lambda: _check_state(plan.session))
    session_findings += _finding("session", lambda: _check_owner(plan))
    start = [p.name for p in plan.parts if p.name not in running] if start is None else start
    parts = plan.parts_named(start)
    disks = images(parts)
    required = requirements.lab_requirements(plan, paths, start, running)
    vanishing, stopping = _vanishing_paths(plan.session, stop), [running[name] for name in stop if name in running]
    if stop:
        machine, required = _after_stop(machine, required, stopping, vanishing)
    findings = [*session_findings, *checks.check(machine, required)]
    kinds = [p.kind or "primary" for p in parts if p.role in ("primary", "secondary")]
    findings += _finding("paths", lambda: paths.check_binaries(list(dict.fromkeys(kinds))))
    scripts = {"cli": "spp.py"}
    programs = [scripts.get(p.kind, p.kind) for p in parts if p.role == "controller" and p.upstream]
    findings += _finding("paths", lambda: paths.check_controllers(programs))
    if disks and not any(f.id.startswith("img-") and f.severity == "error" for f in findings):
        findings += _finding("paths", lambda: _check_images(disks, paths, stopping))
    for image in disks:
        if image.vm_id == 0 and (store := paths.store):
            findings += _finding("template", lambda s=store, k=image.kind: s.check_template_free(k))  # type: ignore[misc]
    sockets = {*required.sockets, *(s for part in parts for s in part.sockets)}
    findings += [f for path in sorted(sockets) for f in _finding("socket", lambda p=path: _check_socket(Path(p)))]  # type: ignore[misc]
    folders = {Path(path).parent for path in sockets} - {Path(plan.run)}  # the bring-up creates the run directory
    findings += [f for folder in sorted(folders) for f in _finding("socket", lambda p=folder: _check_folder(p))]  # type: ignore[misc]
    regions = [r for part in parts if serving_part(part.server or "primary") in start for r in part.regions]
    regions = [path for path in regions if path not in vanishing]
    findings += [f for path in regions for f in _finding("region", lambda p=path: _check_region(Path(p)))]  # type: ignore[misc]
    findings += _finding("socket", lambda: _check_length(plan))
    findings += _finding("netns", lambda: ends.check(plan))
    return checks.in_order(findings), required


def _wait_for_taps(plan: Plan, machine: Facts) -> Facts:
    """Wait until the kernel has removed the TAP interfaces of the previous primary, and return the facts then.

    Return after ``TAP_GONE`` seconds in any case.
    """
    names = requirements.taps(plan)
    for _ in Deadline(TAP_GONE).ticks():
        if not any(interface.name in names and interface.is_being_removed for interface in machine.interfaces):
            break
        machine = replace(machine, interfaces=facts.interfaces(Path(machine.root)))
    return machine


def _vanishing_paths(session: str, stop: Collection[str]) -> frozenset[str]:
    """Return the vhost-user sockets and regions that are free when these parts of the session have stopped."""
    if not stop:
        return frozenset()
    plan = states.load(session).plan
    served = [part for part in plan.parts if serving_part(part.server or "primary") in stop]
    own = plan.vdev_sockets if "pri" in stop else ()
    listening = [part for part in plan.parts if part.name in stop and part.makes_sockets]
    return frozenset([*own, *(path for part in (*served, *listening) for path in (*part.sockets, *part.regions))])


def _after_stop(
    machine: Facts, required: checks.Requirements, pids: Collection[int], vanishing: Collection[str]
) -> tuple[Facts, checks.Requirements]:
    """Return the facts and the requirements as they will be when these processes have exited."""
    memory = 0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            memory += psutil.Process(pid).memory_info().rss >> 20
    return replace(machine, memory_free_mib=machine.memory_free_mib + memory), replace(
        required,
        running={name: pid for name, pid in required.running.items() if pid not in pids},
        recorded=required.recorded | set(pids),
        holders={path: pid for path, pid in required.holders.items() if pid not in pids},
        sockets=tuple(path for path in required.sockets if path not in vanishing),
        stale=tuple(path for path in required.stale if path not in vanishing),
    )


def _check_images(disks: Collection[Image], paths: LabPaths, stopping: Collection[int]) -> None:
    if paths.store is None:
        raise paths.no_store or HostError("no base image", hint=BUILD_HINT)
    paths.store.check_base()
    for image in disks:
        paths.store.check_usable(image.kind, image.vm_id, stopping)


def _check_state(session: str) -> None:
    """Raise HostError if state.json of the session cannot be read, or is missing although the lab left something."""
    try:
        states.load(session)
    except states.NoSession:
        if found := recovery.find(session):
            raise HostError(found.what, hint=found.hint) from None
    except (states.Broken, HostError) as e:
        raise HostError(e.what, hint=e.hint) from None


def _check_owner(plan: Plan) -> None:
    owner = states.owner(plan.session)
    if owner is not None and not states.is_lab_of(owner, Path(plan.conf)):
        what = f"session {plan.session} belongs to the lab of {owner}, not to {plan.conf}"
        raise HostError(what, hint=f"set session: NAME in {plan.conf}, or use --session NAME")


def _check_socket(path: Path) -> None:
    if os.path.lexists(path) and (path.is_symlink() or not path.is_socket()):
        raise HostError(f"{path}: is not a socket, but a vhost-user socket needs this path", hint=f"move {path} away")


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise HostError(f"{folder}: no such folder for the vhost-user sockets", hint=f"mkdir -p {folder}")


def _check_region(path: Path) -> None:
    if shared_region.is_in_use(path):
        hint = "stop the lab of that process, or set rings: or spp.sock_dir: in conf.yml"
        raise HostError(f"{path}: another process serves the shared region of this ring VM", hint=hint)


def _check_length(plan: Plan) -> None:
    """Raise HostError if the path of a unix socket, or the folder of vhost-user sockets, is too long."""
    api = [plan.api] if isinstance(plan.api, Path) else []
    own = [Path(part.control) for part in plan.parts if part.control]
    longest = max(
        (*api, *own, *(Path(part.qmp) for part in plan.parts if part.qmp)),
        key=lambda p: len(os.fsencode(p)),
        default=Path(),
    )
    if len(os.fsencode(longest)) > MAX_SOCKET_PATH:
        what = f"{longest}: {len(os.fsencode(longest))} bytes are too long for a socket ({MAX_SOCKET_PATH} at most)"
        raise HostError(what, hint="set SPPR_RUN_DIR to a shorter path")
    if len(os.fsencode(plan.sock_dir)) > MAX_SOCK_DIR:
        what = f"{plan.sock_dir}: is too long for the folder of vhost-user sockets ({MAX_SOCK_DIR} bytes at most)"
        raise HostError(what, hint="set SPPR_RUN_DIR to a shorter path, or set spp.sock_dir: in conf.yml")


def _finding(name: str, check: Callable[[], None]) -> list[checks.Finding]:
    """Run a check. Return its HostError as a finding, or an empty list if it passes."""
    try:
        check()
    except HostError as e:
        return [checks.Finding(name, "error", e.what, e.hint or "see above")]
    return []
