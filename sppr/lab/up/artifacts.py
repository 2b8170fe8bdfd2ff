"""Artifacts that must exist before parts start: free socket paths, shared regions, the ssh key of the lab, images."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import psutil

from sppr.deadline import Deadline
from sppr.errors import SpprError
from sppr.host import shared_region
from sppr.host.facts import Facts
from sppr.host.process import sockets
from sppr.host.root import privilege
from sppr.host.root.privilege import as_its_folder
from sppr.images.store import Filler, Store
from sppr.lab.paths import LabPaths
from sppr.lab.plan.plan import Image, Plan, images
from sppr.lab.plan.vms import accel
from sppr.lab.state import state as states
from sppr.lab.up.provision import Provisioner
from sppr.parts.part import Part
from sppr.run import run
from sppr.spp import ivshmem
from sppr.tmux.pane import PaneFiles

Note = Callable[[str], None]


def prepare(plan: Plan, start: Collection[str], paths: LabPaths, found: Facts, note: Note) -> None:
    """All that the parts ``start`` need. What others have or use stays as it is."""
    parts = plan.parts_named(start)
    sockets = [*(plan.vdev_sockets if "pri" in start else ()), *(s for part in parts for s in part.sockets)]
    for path in map(Path, sockets):
        clear_stale_socket(path)
    for path in (Path(r) for part in parts for r in part.regions):
        shared_region.make(path)
    if paths.store is not None and any(part.is_vm for part in parts):
        make_key(paths.public_key)
        write_ssh_config(plan, paths.public_key)
        filler = Provisioner(accel(plan.accel, found), steps=paths.steps, folder=paths.folder)
        make_images(images(parts), paths.store, note, filler)


def clear_stale_socket(path: Path) -> None:
    """Make way for a socket: only that very path, and only if nobody has it."""
    for stale in sockets.stale([path]):
        privilege.remove(stale)


def make_key(public: Path) -> None:
    """The lab's ssh key pair, made when missing; the private half is its user's alone (0600)."""
    if not public.exists():
        private = public.with_suffix("")
        if private.exists():
            private.rename(private.with_name(f"{private.name}.old"))
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "sppr lab", "-f", private])
        as_its_folder(private, public)


def write_ssh_config(plan: Plan, public_key: Path) -> None:
    """``ssh -F ssh_config vm-v11``: a host for each VM of the plan, beside the lab's key.

    A VM made anew has a new host key on the same port of the loopback, so none is kept.
    """
    hosts = [f"Host {name}\n    Port {port}\n" for name, port in plan.ssh.items()]
    common = (
        f"    HostName 127.0.0.1\n    User root\n    IdentityFile {public_key.with_suffix('')}\n"
        "    IdentitiesOnly yes\n    StrictHostKeyChecking no\n    UserKnownHostsFile /dev/null\n    LogLevel ERROR\n"
    )
    text = "# Written by each bring-up of the lab.\n" + "".join(hosts) + "Host vm-*\n" + common
    config = public_key.with_name("ssh_config")
    config.write_text(text)
    as_its_folder(config)


def make_images(wanted: Sequence[Image], store: Store, report: Note, filler: Filler | None = None) -> None:
    """Templates and instances, those that are missing; new templates with what ``filler`` puts in."""
    for image in wanted:
        if image.vm_id:
            store.ensure_instance(image.kind, image.vm_id, report, filler)
        else:
            store.ensure_template(image.kind, report, filler)


#: Seconds that a primary may take to write its line; the first of all, it maps its hugepages before.
TIMEOUT = 40.0


def words(part: Part, run: Path) -> list[str]:
    """Further words for its QEMU; none for any other VM. SpprError where no primary runs, NotReady for a stale line."""
    if part.kind != "ivshmem":
        return []
    primary = states.process(PaneFiles(run, "pri"))
    if primary is None or not primary.alive():
        raise SpprError(f"{part.name}: it has the primary's memory, and no primary runs", hint="sppr start pri")
    # of a user's lab this is sudo, which is older than its program by a moment
    return ivshmem.wait_line(psutil.Process(primary.pid).create_time(), Deadline(TIMEOUT))
