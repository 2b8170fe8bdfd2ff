"""What a plan wants of the machine, with all that must be read for it: programs, images, who has what."""

import mmap
import os
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sppr.errors import HostError, SpprError
from sppr.host import checks
from sppr.host.process import open_files, processes
from sppr.host.process import sockets as unix
from sppr.host.root import privilege, vm_user
from sppr.images import qemu_img
from sppr.images.store import Store
from sppr.lab import sudoers
from sppr.lab.paths import LabPaths
from sppr.lab.plan.plan import Image, Plan, images
from sppr.lab.state import state as states
from sppr.parts.part import serving_part
from sppr.qemu.devices import QEMU
from sppr.run import PACKAGES, run, which
from sppr.tmux.pane import PaneFiles

#: What an image may grow to while it is made, in MiB, and what must be left beside.
TEMPLATE_MIB, INSTANCE_MIB, MARGIN_MIB = 96, 16, 64
_EAL = re.compile(rb"librte_eal\.so\.\d+")


def of_host(
    programs: Sequence[str] = ("tmux", "qemu-img", QEMU, "ssh-keygen"), rooted: Sequence[str] = ()
) -> checks.Requirements:
    """Without a lab: who the user is, and what the tools are. ``rooted``: programs that run as root."""
    return checks.Requirements(
        programs={program: which(program) for program in programs},
        packages=PACKAGES,
        is_root=privilege.is_root(),
        sudo=_sudo(rooted),
        sudoers=privilege.sudoers_line([[program] for program in rooted or ("ALL",)]),
        terminal=privilege.has_terminal(),
        user=privilege.user(),
        find_listener=processes.find_listener,
        describe_process=open_files.describe_process,
        tmux_version=run(["tmux", "-V"], check=False).stdout.strip() if which("tmux") else "",
        environment={name: os.environ[name] for name in ("LC_ALL", "TMUX") if name in os.environ},
    )


def of_plan(plan: Plan, paths: LabPaths, start: Collection[str], living: Mapping[str, int]) -> checks.Requirements:
    """What the parts ``start`` want, among those that are ``living`` (part -> pid)."""
    parts = plan.chosen(start)
    made, primary, as_root = images(parts), "pri" in start, sudoers.programs(parts)
    sockets = _sockets(plan, start)
    folder = Path(plan.sock_dir)
    store = paths.store if made else None
    disks = _disks(made, store) if store else {}
    return replace(
        of_host(rooted=as_root) if made else of_host(("tmux",), as_root),
        sudoers=sudoers.sudoers_line(plan),
        tcp_ports=_ports(plan, start),
        lcores=plan.lcores if primary else (),
        sockets=sockets,
        taps=taps(plan) if primary else {},
        stale=tuple(map(str, unix.find_stale(sockets))),
        sock_dir_open=not folder.is_dir() or os.access(folder, os.W_OK | os.X_OK),
        hugepage_mib=plan.memory if primary else 0,
        hugepage_dir=plan.huge_dir,
        hugepage_file=Path(plan.huge_dir).is_file(),
        file_prefix=plan.file_prefix,
        accel=plan.accel if made else "tcg",
        processes=tuple(checks.Process(p.name, p.role, p.program, p.depends_on, p.sockets, p.real) for p in plan.parts),
        builds=_builds(plan),
        running=dict(living),
        recorded=_recorded(plan.session, [part.name for part in plan.parts]),
        listening_own=open_files.tcp_ports_of(living.values()),
        disks=tuple(disks.values()),
        holders=open_files.find_opener(_written(made, store)) if store else {},
        partial_images=_torn(store) if store else (),
        disk_folder=str(store.folder) if store else "",
        disk_mib=_room(made, store) if store else (0, 0),
        vm_user_problem="" if paths.vm_user else vm_user.problem(paths.run, folder) or _spp_tree(paths),
    )


def _spp_tree(paths: LabPaths) -> str:
    """SPP's own programs make their vhost sockets for root alone."""
    return "SPP's own programs make sockets that only root can open" if paths.tree and privilege.is_root() else ""


def _sudo(programs: Sequence[str]) -> bool | None:
    if which("sudo") is None:
        return None
    return privilege.is_root() or not privilege.asks_in_panes(programs or ["true"])


def living(session: str) -> dict[str, int]:
    """Parts of the session that run -> pid. Where its state cannot be understood: all that has a pid record."""
    folder = states.folder_of(session)
    try:
        names = [part.name for part in states.load(session).plan.parts]
    except states.Broken:
        names = [path.stem for path in sorted(folder.glob("*.pid"))]
    except SpprError:
        return {}
    found = {name: states.process(PaneFiles(folder, name)) for name in names}
    return {name: proc.pid for name, proc in found.items() if proc is not None and proc.alive()}


def _recorded(session: str, names: Collection[str]) -> frozenset[int]:
    """Pids that the session's parts had last: one that ended a moment ago is no stranger's."""
    folder = states.folder_of(session)
    found = (states.process(PaneFiles(folder, name)) for name in names)
    return frozenset(proc.pid for proc in found if proc is not None)


def _ports(plan: Plan, start: Collection[str]) -> dict[int, str]:
    keys = ("pri_port", "sec_port", "rest_port, which 0 turns off", "vf_pri_port", "vf_sec_port")
    names = [f"controller.{key}" for key in keys]
    own = dict(zip(plan.tcp_ports, names, strict=False))
    ssh = [part.ssh_port for part in plan.chosen(start) if part.ssh_port]
    return (own if "ctrler" in start else {}) | dict.fromkeys(ssh, "ssh of a VM: vm.ssh_port + id")


def _sockets(plan: Plan, start: Collection[str]) -> tuple[str, ...]:
    """Sockets that are to come: those of VMs whose server runs may listen already."""
    coming = [s for p in plan.chosen(start) if p.server and serving_part(p.server) in start for s in p.sockets]
    own = [s for s in plan.vdev_sockets if "pri" in start]
    return tuple(dict.fromkeys([*own, *coming]))


def taps(plan: Plan) -> dict[str, str]:
    """Network interfaces that the primary's net_tap devices create, and for which device.

    Without ``iface=`` DPDK 22.11 takes the next free dtapN, so no name is in the way. A DPDK of before 2019, on which a
    real SPP may be built, counts from dtap0 and fails where that exists.
    """
    found: dict[str, str] = {}
    for part in plan.parts:
        if part.role != "primary":
            continue
        vdevs = checks.Process(part.name, part.role, part.program).values("--vdev")
        unnamed = 0
        for vdev in vdevs:
            device, _, rest = vdev.partition(",")
            if not device.startswith(("net_tap", "eth_tap")):
                continue
            iface = checks.options(rest).get("iface") if rest else None
            if iface is None and part.real:
                iface = f"dtap{unnamed}"
                unnamed += 1
            if iface:
                found[iface] = device
    return found


def _builds(plan: Plan) -> dict[str, str]:
    """Which DPDK the SPP programs are linked to, where it can be told."""
    found: dict[str, str] = {}
    for path in dict.fromkeys(Path(p.program[0]) for p in plan.parts if p.role in ("primary", "secondary")):
        try:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if linked := _EAL.search(content):
                    found[path.name] = linked[0].decode()
        except (OSError, ValueError):  # ValueError: an empty file
            continue
    return found


def _paths(made: Sequence[Image], store: Store) -> list[tuple[Path, int]]:
    """Images of the lab, made or not, and what each may take, in MiB."""
    kinds = dict.fromkeys(image.kind for image in made)
    templates = [(store.template(kind), TEMPLATE_MIB) for kind in kinds]
    return templates + [(store.instance(i.kind, i.vm_id), INSTANCE_MIB) for i in made if i.vm_id]


def _disks(made: Sequence[Image], store: Store) -> dict[str, checks.Disk]:
    found: dict[str, checks.Disk] = {}
    for path, _ in _paths(made, store):
        if not path.is_file():
            continue
        try:
            info = qemu_img.info(path)
        except HostError:
            continue  # told by the store's own check
        backing = os.path.normpath(path.parent / info.backing) if info.backing else None
        there = backing is None or Path(backing).exists()
        found[str(path)] = checks.Disk(str(path), info.format, backing, info.backing_format, there)
    return found


def _written(made: Sequence[Image], store: Store) -> list[str]:
    """Disks that a VM of the plan writes; what they stand on is read by any number of guests."""
    return [str(store.instance(i.kind, i.vm_id) if i.vm_id else store.template(i.kind)) for i in made]


def _room(made: Sequence[Image], store: Store) -> tuple[int, int]:
    """MiB that are to be written, and that are free."""
    missing = sum(mib for path, mib in _paths(made, store) if not path.exists())
    free = shutil.disk_usage(store.folder).free >> 20 if store.folder.is_dir() else 0
    return (missing + MARGIN_MIB if missing else 0), free


def _torn(store: Store) -> tuple[str, ...]:
    """Temporary images whose maker has gone: ``.<name>.<pid>.tmp``."""
    found = [*store.folder.glob(f".*{store.base}.*.tmp"), *(store.folder / "img").glob(f".*{store.base}.*.tmp")]
    made_by = {path: path.name.split(".")[-2] for path in found}
    return tuple(str(p) for p, pid in sorted(made_by.items()) if pid.isdigit() and not Path(f"/proc/{pid}").exists())
