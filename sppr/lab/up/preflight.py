"""Everything that would stop a bring-up, found at once and before any window is opened; ``doctor`` tells all of it."""

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

#: Of a unix socket's path, and of the folder that our data plane makes its own in.
MAX_SOCKET_PATH, MAX_SOCK_DIR = 107, 95
#: Seconds that preflight waits for the kernel to remove a tap that no process has open.
TAP_GONE = 5.0


def check(
    plan: Plan, paths: LabPaths, found: Facts, start: Collection[str], stop: Collection[str] = ()
) -> list[checks.Finding]:
    """Warnings that bring-up does not mend by itself, or a HostError with all that must be mended before these parts
    start; the others run already. ``stop``: those of them that run, and are stopped first."""
    if "pri" in start and "pri" not in stop:
        found = _without_going_taps(plan, found)
    findings = look(plan, paths, found, start, stop)
    errors = [f for f in findings if f.severity == "error"]
    if errors:
        raise HostError("\n".join(f"{f.what}\n    fix: {f.fix}" for f in errors))
    return [f for f in findings if f.severity == "warning" and not f.fix_steps]


def look(
    plan: Plan, paths: LabPaths, found: Facts, start: Collection[str] | None = None, stop: Collection[str] = ()
) -> list[checks.Finding]:
    """Every finding about this lab on this machine, the worst first. ``start``: what is to start; by default all that
    does not run. ``stop``: those of them that run: what they hold counts as free."""
    return inspect(plan, paths, found, start, stop)[0]


def inspect(
    plan: Plan, paths: LabPaths, found: Facts, start: Collection[str] | None = None, stop: Collection[str] = ()
) -> tuple[list[checks.Finding], checks.Requirements]:
    """Return the findings as ``look`` does, and what they were compared with."""
    living = requirements.living(plan.session)
    broken = _raised("state", lambda: _check_state(plan.session))
    broken += _raised("session", lambda: _check_owner(plan))
    start = [p.name for p in plan.parts if p.name not in living] if start is None else start
    parts = plan.chosen(start)
    disks = images(parts)
    wanted = requirements.of_plan(plan, paths, start, living)
    held, stopping = _held(plan.session, stop), [living[name] for name in stop if name in living]
    if stop:
        found, wanted = _freed(found, wanted, stopping, held)
    findings = [*broken, *checks.check(found, wanted)]
    kinds = [p.kind or "primary" for p in parts if p.role in ("primary", "secondary")]
    findings += _raised("paths", lambda: paths.check_binaries(list(dict.fromkeys(kinds))))
    scripts = {"cli": "spp.py"}
    programs = [scripts.get(p.kind, p.kind) for p in parts if p.role == "controller" and p.real]
    findings += _raised("paths", lambda: paths.check_controllers(programs))
    if disks and not any(f.id.startswith("img-") and f.severity == "error" for f in findings):
        findings += _raised("paths", lambda: _check_images(disks, paths, stopping))
    for image in disks:
        if image.vm_id == 0 and (store := paths.store):
            findings += _raised("template", lambda s=store, k=image.kind: s.check_template_free(k))  # type: ignore[misc]
    places = {*wanted.sockets, *(s for part in parts for s in part.sockets)}
    findings += [f for path in sorted(places) for f in _raised("socket", lambda p=path: _check_socket(Path(p)))]  # type: ignore[misc]
    folders = {Path(path).parent for path in places} - {Path(plan.run)}  # that one is made
    findings += [f for folder in sorted(folders) for f in _raised("socket", lambda p=folder: _check_folder(p))]  # type: ignore[misc]
    regions = [r for part in parts if serving_part(part.server or "primary") in start for r in part.regions]
    regions = [path for path in regions if path not in held]
    findings += [f for path in regions for f in _raised("region", lambda p=path: _check_region(Path(p)))]  # type: ignore[misc]
    findings += _raised("socket", lambda: _check_length(plan))
    findings += _raised("netns", lambda: ends.check(plan))
    return checks.in_order(findings), wanted


def _without_going_taps(plan: Plan, found: Facts) -> Facts:
    """Return the facts once the kernel has removed the taps of a primary that ended, or after ``TAP_GONE`` seconds."""
    names = requirements.taps(plan)
    for _ in Deadline(TAP_GONE).ticks():
        if not any(interface.name in names and interface.is_being_removed for interface in found.interfaces):
            break
        found = replace(found, interfaces=facts.interfaces(Path(found.root)))
    return found


def _held(session: str, stop: Collection[str]) -> frozenset[str]:
    """Vhost-user sockets and regions that go when these parts of the session stop."""
    if not stop:
        return frozenset()
    plan = states.load(session).plan
    served = [part for part in plan.parts if serving_part(part.server or "primary") in stop]
    own = plan.vdev_sockets if "pri" in stop else ()
    makes = [part for part in plan.parts if part.name in stop and part.makes_sockets]
    return frozenset([*own, *(path for part in (*served, *makes) for path in (*part.sockets, *part.regions))])


def _freed(
    found: Facts, wanted: checks.Requirements, pids: Collection[int], held: Collection[str]
) -> tuple[Facts, checks.Requirements]:
    """The machine and the needs as they are once the processes have ended."""
    memory = 0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            memory += psutil.Process(pid).memory_info().rss >> 20
    return replace(found, memory_free_mib=found.memory_free_mib + memory), replace(
        wanted,
        running={name: pid for name, pid in wanted.running.items() if pid not in pids},
        recorded=wanted.recorded | set(pids),
        holders={path: pid for path, pid in wanted.holders.items() if pid not in pids},
        sockets=tuple(path for path in wanted.sockets if path not in held),
        stale=tuple(path for path in wanted.stale if path not in held),
    )


def _check_images(disks: Collection[Image], paths: LabPaths, stopping: Collection[int]) -> None:
    if paths.store is None:
        raise paths.no_store or HostError("no base image", hint=BUILD_HINT)
    paths.store.check_base()
    for image in disks:
        paths.store.check_usable(image.kind, image.vm_id, stopping)


def _check_state(session: str) -> None:
    """HostError where the session has a state that cannot be understood."""
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
        raise HostError(what, hint=f"write session: NAME in {plan.conf}, or give --session NAME")


def _check_socket(path: Path) -> None:
    if os.path.lexists(path) and (path.is_symlink() or not path.is_socket()):
        raise HostError(f"{path}: is not a socket, and a vhost-user socket must go there", hint=f"move {path} away")


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise HostError(f"{folder}: no such folder for the vhost-user sockets", hint=f"mkdir -p {folder}")


def _check_region(path: Path) -> None:
    if shared_region.is_in_use(path):
        hint = "end its lab, or set rings: or spp.sock_dir: in conf.yml"
        raise HostError(f"{path}: another process serves this ring VM's region", hint=hint)


def _check_length(plan: Plan) -> None:
    """A unix socket's path has 107 bytes at most."""
    api = [plan.api] if isinstance(plan.api, Path) else []
    own = [Path(part.control) for part in plan.parts if part.control]
    longest = max(
        (*api, *own, *(Path(part.qmp) for part in plan.parts if part.qmp)),
        key=lambda p: len(os.fsencode(p)),
        default=Path(),
    )
    if len(os.fsencode(longest)) > MAX_SOCKET_PATH:
        what = f"{longest}: {len(os.fsencode(longest))} bytes are too long for a socket ({MAX_SOCKET_PATH} at most)"
        raise HostError(what, hint="name a shorter folder with SPPR_RUN_DIR")
    if len(os.fsencode(plan.sock_dir)) > MAX_SOCK_DIR:
        what = f"{plan.sock_dir}: is too long for the folder of vhost-user sockets ({MAX_SOCK_DIR} bytes at most)"
        raise HostError(what, hint="name a shorter folder with SPPR_RUN_DIR, or spp.sock_dir: in conf.yml")


def _raised(name: str, one: Callable[[], None]) -> list[checks.Finding]:
    try:
        one()
    except HostError as e:
        return [checks.Finding(name, "error", e.what, e.hint or "see above")]
    return []
