"""Everything that would stop a bring-up, found at once and before any window is opened."""

import os
from collections.abc import Callable, Collection
from pathlib import Path

from sppr.errors import HostError
from sppr.host import checks, facts, prepare, privilege, procs, region
from sppr.images.store import BUILD_HINT
from sppr.lab import rooted
from sppr.lab.plan import Image, Plan, images
from sppr.lab.site import Site
from sppr.qemu.parts import QEMU
from sppr.roles.part import serving_part
from sppr.run import PACKAGES, which

MAX_SOCKET_PATH = 107


def check(plan: Plan, site: Site, found: facts.Facts, start: Collection[str]) -> list[checks.Finding]:
    """Warnings, or a HostError with all that must be mended before these parts start; the others run already."""
    parts = plan.chosen(start)
    disks, primary = images(parts), "pri" in start
    sockets = _sockets(plan, start)
    programs = ["tmux"] + (["qemu-img", QEMU, "ssh-keygen"] if disks else [])
    needs = checks.Needs(
        programs={program: which(program) for program in programs},
        packages=PACKAGES,
        tcp_ports=_ports(plan, start),
        lcores=plan.lcores if primary else (),
        sockets=sockets,
        # What a primary that has gone left is taken up, or swept, by the next one.
        hugepage_mib=max(0, plan.memory - prepare.used_mib(Path(plan.huge_dir), plan.file_prefix)) if primary else 0,
        hugepage_dir=plan.huge_dir,
        accel=plan.accel if disks else "auto",
        who_listens=procs.who_listens,
    )
    findings = checks.check(found, needs)
    rooted_programs = rooted.programs(parts)
    findings += _raised("sudo", lambda: privilege.check(rooted_programs, rooted.sudoers_line(plan)))
    kinds = (["primary"] if primary else []) + (["nfv"] if any(p.role == "secondary" for p in parts) else [])
    findings += _raised("binary", lambda: site.check_binaries(kinds))
    if disks:
        findings += _raised("image", lambda: _check_images(disks, site))
    for image in disks:
        if image.vm_id == 0 and (store := site.store):
            findings += _raised("template", lambda s=store, k=image.kind: s.check_template_free(k))  # type: ignore[misc]
    places = {*sockets, *(s for part in parts for s in part.sockets)}
    findings += [f for path in sorted(places) for f in _raised("socket", lambda p=path: _check_socket(Path(p)))]  # type: ignore[misc]
    regions = [r for part in parts if serving_part(part.server or "primary") in start for r in part.regions]
    findings += [f for path in regions for f in _raised("region", lambda p=path: _check_region(Path(p)))]  # type: ignore[misc]
    findings += _raised("path", lambda: _check_length(plan))
    errors = [f for f in findings if f.severity == "error"]
    if errors:
        raise HostError("\n".join(f"{f.what}\n    fix: {f.fix}" for f in errors))
    return findings


def _ports(plan: Plan, start: Collection[str]) -> dict[int, str]:
    own = dict(zip(plan.tcp_ports, ("controller.pri_port", "controller.sec_port"), strict=True))
    ssh = [part.ssh_port for part in plan.chosen(start) if part.ssh_port]
    return (own if "ctrler" in start else {}) | dict.fromkeys(ssh, "ssh of a VM: vm.ssh_port + id")


def _sockets(plan: Plan, start: Collection[str]) -> tuple[str, ...]:
    """Sockets that are to come: those of VMs whose server runs may listen already."""
    coming = [s for p in plan.chosen(start) if p.server and serving_part(p.server) in start for s in p.sockets]
    own = [s for s in plan.vdev_sockets if "pri" in start]
    return tuple(dict.fromkeys([*own, *coming]))


def _check_images(disks: Collection[Image], site: Site) -> None:
    if site.store is None:
        raise site.no_store or HostError("no base image", hint=BUILD_HINT)
    site.store.check_base()
    for image in disks:
        site.store.check_made(image.kind, image.vm_id)


def _check_socket(path: Path) -> None:
    if os.path.lexists(path) and (path.is_symlink() or not path.is_socket()):
        raise HostError(f"{path}: is not a socket, and a vhost-user socket must go there", hint=f"move {path} away")
    if not path.parent.is_dir():
        raise HostError(f"{path.parent}: no such folder for the vhost-user sockets", hint=f"mkdir -p {path.parent}")


def _check_region(path: Path) -> None:
    if region.is_served(path):
        hint = "end its lab, or set rings: or spp.sock_dir: in conf.yml"
        raise HostError(f"{path}: another process serves this ring VM's region", hint=hint)


def _check_length(plan: Plan) -> None:
    """A unix socket's path has 107 bytes at most."""
    longest = max((plan.api, *(Path(part.qmp) for part in plan.parts if part.qmp)), key=lambda p: len(os.fsencode(p)))
    if len(os.fsencode(longest)) > MAX_SOCKET_PATH:
        what = f"{longest}: {len(os.fsencode(longest))} bytes are too long for a socket ({MAX_SOCKET_PATH} at most)"
        raise HostError(what, hint="name a shorter folder with SPPR_RUN_DIR")


def _raised(name: str, one: Callable[[], None]) -> list[checks.Finding]:
    try:
        one()
    except HostError as e:
        return [checks.Finding(name, "error", e.what, e.hint or "see above")]
    return []
