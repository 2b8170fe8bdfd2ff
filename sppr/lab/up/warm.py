"""Find the saved state from which a VM resumes, and save those that are missing."""

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sppr.deadline import Deadline
from sppr.errors import HostError, SpprError
from sppr.images import boot_region, template_note
from sppr.images.store import Kind, Store
from sppr.lab.plan.plan import image_kind
from sppr.parts.part import Part
from sppr.qemu.devices import Accel, Confinement
from sppr.qemu.warm import states
from sppr.qemu.warm.states import Guest, State

if TYPE_CHECKING:
    from sppr.parts.vm import Machine

#: Time limit in seconds for a guest to boot its kernel. It takes four seconds under TCG on an idle machine.
SECONDS = 120.0


class Boots(SpprError):
    """A VM cannot resume, so it boots."""


def ensure(parts: Iterable[Part], store: Store, confinement: Confinement, report: Callable[[str], None]) -> None:
    """Save the missing states of VMs that are about to start. Their templates exist.

    A failure is reported, and the VMs boot then. Raise HostError if it is a VM with ``start: warm``.
    """
    wanted = {}
    for part in parts:
        if part.start != "boot" and (boot := _boot(store, image_kind(part))):
            wanted[part] = _guest(part, boot, store.base_path)
    for guest in dict.fromkeys(wanted.values()):
        if states.find(guest) is not None:
            continue
        waiting = [part for part, its in wanted.items() if its == guest]
        report(f"saving the state from which VMs of {guest.memory} MiB resume, once for this machine")
        from sppr.qemu.warm import save  # imports pexpect

        try:
            save.save(guest, store.template(image_kind(waiting[0])), "qcow2", confinement, Deadline(SECONDS))
        except SpprError as e:
            if strict := [part.name for part in waiting if part.start == "warm"]:
                raise HostError(f"{strict[0]}: start: warm, but no state could be saved: {e.what}", hint=e.hint) from e
            report(f"no state could be saved, so {', '.join(part.name for part in waiting)} will boot: {e.what}")


def _boot(store: Store, kind: Kind) -> str | None:
    """Return the digest of the boot partition of a template; "" if its guests cannot be saved, None if an older sppr
    built it."""
    boot = template_note.read_note(store.template(kind)).get("boot")
    return None if boot is None else str(boot)


def _guest(part: Part, boot: str, base: Path) -> Guest:
    """Return what the state of a VM depends on. ``boot``: the digest of the boot partition of its template."""
    given = dict(itertools.pairwise(part.program))
    accel: Accel = "kvm" if given["-accel"] == "kvm" else "tcg"
    return Guest(part.program[0], int(given["-m"].removesuffix("M")), int(given["-smp"]), accel, boot, base)


def find(part: Part, machine: "Machine", store: Store | None, kind: Kind) -> State:
    """Return the state from which a VM resumes. Its disk exists.

    Raise Boots with the reason if it boots instead; with an empty one if that is what conf.yml says.
    """
    if not machine.id:
        raise Boots("")
    if obstacle := machine.obstacle():  # the plan has turned ``auto`` into ``boot`` for it
        raise Boots(obstacle)
    if part.start == "boot":
        raise Boots("")
    boot = _boot(store, kind) if store is not None else None
    if store is None or boot is None:
        raise Boots("its template was built by an older sppr", hint=f"sppr image build-template --force {kind}")
    if not boot:
        what = "its image does not have the initrd of a base image that this sppr builds"
        raise Boots(what, hint="sppr image rm removes an older base image and its templates; then make up")
    if boot_region.is_own(machine.disk):
        raise Boots("it has a kernel of its own")
    state = states.find(_guest(part, boot, store.base_path))
    if state is None:
        raise Boots("there is no saved state for it yet: sppr up saves one")
    return state
