"""Collect the requirements of a plan on the machine: programs, images, and the processes that use ports and files."""

import mmap
import os
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sppr.config.load import where
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
from sppr.parts.part import Part, serving_part
from sppr.qemu.devices import QEMU
from sppr.run import PACKAGES, run, which
from sppr.tmux.pane import PaneFiles

#: Space in MiB that a new image may take, and space that must stay free besides.
TEMPLATE_MIB, INSTANCE_MIB, MARGIN_MIB = 96, 16, 64
_EAL = re.compile(rb"librte_eal\.so\.\d+")


def host_requirements(
    programs: Sequence[str] = ("tmux", "qemu-img", QEMU, "ssh-keygen"), as_root: Sequence[str] = ()
) -> checks.Requirements:
    """Return the requirements that do not depend on a lab: the user and the tools.

    ``as_root``: programs that run as root.
    """
    return checks.Requirements(
        programs={program: which(program) for program in programs},
        packages=PACKAGES,
        is_root=privilege.is_root(),
        sudo=_sudo(as_root),
        sudoers=privilege.sudoers_line([[program] for program in as_root or ("ALL",)]),
        terminal=privilege.has_terminal(),
        user=privilege.user(),
        find_listener=processes.find_listener,
        describe_process=open_files.describe_process,
        tmux_version=run(["tmux", "-V"], check=False).stdout.strip() if which("tmux") else "",
        environment={name: os.environ[name] for name in ("LC_ALL", "TMUX") if name in os.environ},
    )


def lab_requirements(
    plan: Plan, paths: LabPaths, start: Collection[str], living: Mapping[str, int]
) -> checks.Requirements:
    """Return the requirements of the parts ``start``, while the parts ``living`` (name -> pid) run."""
    parts = plan.parts_named(start)
    needed, primary, as_root = images(parts), "pri" in start, sudoers.programs(parts)
    sockets = _new_sockets(plan, start)
    folder = Path(plan.sock_dir)
    store = paths.store if needed else None
    disks = _disks(needed, store) if store else {}
    return replace(
        host_requirements(as_root=as_root) if needed else host_requirements(("tmux",), as_root),
        sudoers=sudoers.sudoers_line(plan),
        tcp_ports=_tcp_ports(plan, start),
        lcores=plan.lcores if primary else (),
        sockets=sockets,
        taps=taps(plan) if primary else {},
        stale=tuple(map(str, unix.find_stale(sockets))),
        sock_dir_open=not folder.is_dir() or os.access(folder, os.W_OK | os.X_OK),
        hugepage_mib=plan.memory if primary else 0,
        hugepage_dir=plan.huge_dir,
        hugepage_file=Path(plan.huge_dir).is_file(),
        file_prefix=plan.file_prefix,
        accel=plan.accel if needed else "tcg",
        processes=tuple(
            checks.Process(p.name, p.role, p.program, p.depends_on, p.sockets, p.upstream, p.bridge) for p in plan.parts
        ),
        builds=_linked_dpdk(plan),
        running=dict(living),
        recorded=_last_pids(plan.session, [part.name for part in plan.parts]),
        listening_own=open_files.tcp_ports_of(living.values()),
        disks=tuple(disks.values()),
        holders=open_files.find_opener(_written_disks(needed, store)) if store else {},
        partial_images=_partial_images(store) if store else (),
        disk_folder=str(store.folder) if store else "",
        disk_mib=_disk_space(needed, store) if store else (0, 0),
        bridge_place=_place_of_bridge(parts, paths.conf),
        vm_user_problem="" if paths.vm_user else vm_user.problem(paths.run, folder) or _spp_tree_problem(paths),
    )


def _place_of_bridge(parts: Sequence[Part], conf: Path) -> str:
    """Return the place of vm.bridge in conf.yml, to be put in front of a message about it."""
    return (where(conf, ("vm", "bridge")) if any(part.bridge for part in parts) else "") or "vm.bridge: "


def _spp_tree_problem(paths: LabPaths) -> str:
    """Return why QEMU runs as root with upstream SPP, or "" if it does not."""
    return "upstream SPP creates vhost sockets that only root can open" if paths.tree and privilege.is_root() else ""


def _sudo(programs: Sequence[str]) -> bool | None:
    """Return whether sudo runs these programs in a pane without a password, or None if sudo is not installed."""
    if which("sudo") is None:
        return None
    return privilege.is_root() or not privilege.asks_in_panes(programs or ["true"])


def running_pids(session: str) -> dict[str, int]:
    """Return the pid of each running part of the session.

    If state.json cannot be read, the parts are those that have a pid file.
    """
    folder = states.folder_of(session)
    try:
        names = [part.name for part in states.load(session).plan.parts]
    except states.UnreadableState:
        names = [path.stem for path in sorted(folder.glob("*.pid"))]
    except SpprError:
        return {}
    last = {name: states.process(PaneFiles(folder, name)) for name in names}
    return {name: proc.pid for name, proc in last.items() if proc is not None and proc.alive()}


def _last_pids(session: str, names: Collection[str]) -> frozenset[int]:
    """Return the last pid of each part. A process that exited a moment ago still belongs to the lab."""
    folder = states.folder_of(session)
    last = (states.process(PaneFiles(folder, name)) for name in names)
    return frozenset(proc.pid for proc in last if proc is not None)


def _tcp_ports(plan: Plan, start: Collection[str]) -> dict[int, str]:
    """Return the TCP ports that the parts ``start`` will listen on, each with the key of conf.yml that sets it."""
    keys = ("pri_port", "sec_port", "rest_port, which 0 turns off", "vf_pri_port", "vf_sec_port")
    names = [f"controller.{key}" for key in keys]
    own = dict(zip(plan.tcp_ports, names, strict=False))
    ssh = [part.ssh_port for part in plan.parts_named(start) if part.ssh_port]
    return (own if "ctrler" in start else {}) | dict.fromkeys(ssh, "ssh of a VM: vm.ssh_port + id")


def _new_sockets(plan: Plan, start: Collection[str]) -> tuple[str, ...]:
    """Return the sockets that do not exist before the start.

    The sockets of a VM whose server runs already are not among them, because they may listen.
    """
    served = [s for p in plan.parts_named(start) if p.server and serving_part(p.server) in start for s in p.sockets]
    own = [s for s in plan.vdev_sockets if "pri" in start]
    return tuple(dict.fromkeys([*own, *served]))


def taps(plan: Plan) -> dict[str, str]:
    """Return the network interfaces that the net_tap devices of the primary create, each with its device.

    Without ``iface=``, DPDK 22.11 takes the next free dtapN, so it needs no particular name. A DPDK from before 2019,
    on which upstream SPP may be built, counts from dtap0 and fails if that interface exists.
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
            if iface is None and part.upstream:
                iface = f"dtap{unnamed}"
                unnamed += 1
            if iface:
                found[iface] = device
    return found


def _linked_dpdk(plan: Plan) -> dict[str, str]:
    """Return the DPDK library that each SPP program is linked to. Programs without a known one are left out."""
    found: dict[str, str] = {}
    for path in dict.fromkeys(Path(p.program[0]) for p in plan.parts if p.role in ("primary", "secondary")):
        try:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if linked := _EAL.search(content):
                    found[path.name] = linked[0].decode()
        except (OSError, ValueError):  # an empty file raises ValueError
            continue
    return found


def _paths(needed: Sequence[Image], store: Store) -> list[tuple[Path, int]]:
    """Return the path of each image of the lab, whether it exists or not, and the space in MiB that it may take."""
    kinds = dict.fromkeys(image.kind for image in needed)
    templates = [(store.template(kind), TEMPLATE_MIB) for kind in kinds]
    return templates + [(store.instance(i.kind, i.vm_id), INSTANCE_MIB) for i in needed if i.vm_id]


def _disks(needed: Sequence[Image], store: Store) -> dict[str, checks.Disk]:
    """Return the existing images of the lab by path. Images that qemu-img cannot read are left out."""
    found: dict[str, checks.Disk] = {}
    for path, _ in _paths(needed, store):
        if not path.is_file():
            continue
        try:
            info = qemu_img.info(path)
        except HostError:
            continue  # the check of the store reports it
        backing = os.path.normpath(path.parent / info.backing) if info.backing else None
        backing_exists = backing is None or Path(backing).exists()
        found[str(path)] = checks.Disk(str(path), info.format, backing, info.backing_format, backing_exists)
    return found


def _written_disks(needed: Sequence[Image], store: Store) -> list[str]:
    """Return the images that a VM of the plan writes. Their backing files are only read, by any number of guests."""
    return [str(store.instance(i.kind, i.vm_id) if i.vm_id else store.template(i.kind)) for i in needed]


def _disk_space(needed: Sequence[Image], store: Store) -> tuple[int, int]:
    """Return the space in MiB that new images need, and the free space."""
    missing = sum(mib for path, mib in _paths(needed, store) if not path.exists())
    free = shutil.disk_usage(store.folder).free >> 20 if store.folder.is_dir() else 0
    return (missing + MARGIN_MIB if missing else 0), free


def _partial_images(store: Store) -> tuple[str, ...]:
    """Return the temporary images whose creator has exited: ``.<name>.<pid>.tmp``."""
    temporary = [*store.folder.glob(f".*{store.base}.*.tmp"), *(store.folder / "img").glob(f".*{store.base}.*.tmp")]
    creators = {path: path.name.split(".")[-2] for path in temporary}
    return tuple(str(p) for p, pid in sorted(creators.items()) if pid.isdigit() and not Path(f"/proc/{pid}").exists())
