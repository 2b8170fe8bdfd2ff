"""Create the artifacts that parts need before they start: free socket paths, shared regions, an ssh key, images."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import psutil

from sppr.deadline import Deadline
from sppr.errors import SpprError
from sppr.host import shared_region
from sppr.host.facts import Facts
from sppr.host.process import sockets
from sppr.host.root import privilege
from sppr.host.root.privilege import give_to_folder_owner
from sppr.images.store import Filler, Store
from sppr.lab.paths import LabPaths
from sppr.lab.plan.plan import Image, Plan, images
from sppr.lab.plan.vms import accel
from sppr.lab.state import state as states
from sppr.lab.up import warm
from sppr.lab.up.provision import Provisioner
from sppr.parts.part import Part
from sppr.run import run
from sppr.spp import ivshmem
from sppr.tmux.pane import PaneFiles

Note = Callable[[str], None]


def prepare(plan: Plan, start: Collection[str], paths: LabPaths, machine: Facts, note: Note) -> None:
    """Create everything that the parts ``start`` need. Files and sockets of other parts stay as they are."""
    parts = plan.parts_named(start)
    sockets = [*(plan.vdev_sockets if "pri" in start else ()), *(s for part in parts for s in part.sockets)]
    for path in map(Path, sockets):
        remove_stale_socket(path)
    for path in (Path(r) for part in parts for r in part.regions):
        shared_region.create(path)
    if paths.store is not None and any(part.is_vm for part in parts):
        create_key(paths.public_key)
        write_ssh_config(plan, paths.public_key)
        filler = Provisioner(accel(plan.accel, machine), steps=paths.steps, folder=paths.folder)
        create_images(images(parts), paths.store, note, filler)
        warm.ensure([part for part in parts if part.is_vm], paths.store, filler.confinement, note)


def remove_stale_socket(path: Path) -> None:
    """Remove the socket at this path, if no process uses it."""
    for stale in sockets.find_stale([path]):
        privilege.remove(stale)


def create_key(public: Path) -> None:
    """Create the ssh key pair of the lab, if its public key does not exist. The private key has mode 0600."""
    if not public.exists():
        private = public.with_suffix("")
        if private.exists():
            private.rename(private.with_name(f"{private.name}.old"))
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "sppr lab", "-f", private])
        give_to_folder_owner(private, public)


def write_ssh_config(plan: Plan, public_key: Path) -> None:
    """Write an ssh_config beside the key, with a host for each VM of the plan: ``ssh -F ssh_config vm-v11``.

    Host keys are not stored, because a recreated VM has a new host key on the same port of the loopback address.
    """
    # ssh expands % in HostName: %% is the one between a link-local address and its bridge.
    hosts = [
        f"Host {name}\n    Port {port}\n"
        + (f"    HostName {address.replace('%', '%%')}\n" if address != "127.0.0.1" else "")
        for name, (address, port) in plan.ssh.items()
    ]
    common = (
        f"    HostName 127.0.0.1\n    User root\n    IdentityFile {public_key.with_suffix('')}\n"
        "    IdentitiesOnly yes\n    StrictHostKeyChecking no\n    UserKnownHostsFile /dev/null\n    LogLevel ERROR\n"
    )
    text = "# Written by each bring-up of the lab.\n" + "".join(hosts) + "Host vm-*\n" + common
    config = public_key.with_name("ssh_config")
    config.write_text(text)
    give_to_folder_owner(config)


def create_images(needed: Sequence[Image], store: Store, report: Note, filler: Filler | None = None) -> None:
    """Create the missing templates and instances. ``filler`` fills new templates."""
    for image in needed:
        if image.vm_id:
            store.ensure_instance(image.kind, image.vm_id, report, filler)
        else:
            store.ensure_template(image.kind, report, filler)


#: Seconds that a primary may take to write the QEMU arguments. It maps its hugepages before.
TIMEOUT = 40.0


def ivshmem_arguments(part: Part, run: Path) -> list[str]:
    """Return the QEMU arguments for the shared memory of a ring VM of SPP 16.07; none for any other VM.

    Raise SpprError if no primary runs, and NotReady if the running primary has not written the arguments in time.
    """
    if part.kind != "ivshmem":
        return []
    primary = states.process(PaneFiles(run, "pri"))
    if primary is None or not primary.alive():
        raise SpprError(f"{part.name}: needs the memory of the primary, which does not run", hint="sppr start pri")
    # The process is sudo in a lab of a user other than root. sudo starts a moment before the primary.
    return ivshmem.wait_line(psutil.Process(primary.pid).create_time(), Deadline(TIMEOUT))
