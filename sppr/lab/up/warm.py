"""Find the saved state from which a VM resumes, and save those that are missing."""

import errno
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

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

Start = Literal["auto", "warm", "boot"]
#: Time limit in seconds for a guest to boot its kernel. It takes four seconds under TCG on an idle machine.
SECONDS = 120.0


class Boots(SpprError):
    """A VM cannot resume, so it boots."""


def ensure(parts: Iterable[Part], store: Store, confinement: Confinement, report: Callable[[str], None]) -> None:
    """Save the missing states of VMs that are about to start. Their templates exist.

    A failure is reported, and the VMs boot then. Raise HostError if it is a VM with ``start: warm``.
    """
    wanted = {part: guest for part in parts if part.start != "boot" and (guest := _guest(part, store)) is not None}
    for guest in dict.fromkeys(wanted.values()):
        if states.find(guest) is not None:
            continue
        waiting = [part for part, its in wanted.items() if its == guest]
        report(f"saving the state from which VMs of {guest.memory} MiB resume, once for this machine")
        try:
            _save(guest, store.template(image_kind(waiting[0])), confinement)
        except SpprError as e:
            if strict := [part.name for part in waiting if part.start == "warm"]:
                raise HostError(f"{strict[0]}: start: warm, but no state could be saved: {e.what}", hint=e.hint) from e
            report(f"no state could be saved, so {', '.join(part.name for part in waiting)} will boot: {e.what}")


def _save(guest: Guest, template: Path, confinement: Confinement) -> None:
    from sppr.qemu.warm import save  # imports pexpect

    try:
        save.save(guest, template, "qcow2", confinement, Deadline(SECONDS))
    except OSError as e:
        if e.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # another process has saved the same state meanwhile
            raise


def _guest(part: Part, store: Store) -> Guest | None:
    """Return what the state of a VM depends on, or None if the guests of its image cannot be saved."""
    boot = template_note.read_note(store.template(image_kind(part))).get("boot")
    given = dict(itertools.pairwise(part.program))
    accel: Accel = "kvm" if given["-accel"] == "kvm" else "tcg"
    memory = int(given["-m"].removesuffix("M"))
    return Guest(part.program[0], memory, int(given["-smp"]), accel, str(boot)) if boot else None


def find(machine: "Machine", store: Store | None, kind: Kind, start: Start) -> State:
    """Return the state from which a VM resumes. Its disk exists.

    Raise Boots with the reason if it boots instead; with an empty one if that is what conf.yml says.
    """
    if not machine.id:
        raise Boots("")
    if obstacle := machine.obstacle():  # the plan has turned ``auto`` into ``boot`` for it
        raise Boots(obstacle)
    if start == "boot":
        raise Boots("")
    boot = template_note.read_note(store.template(kind)).get("boot") if store is not None else None
    if boot is None:
        raise Boots("its template was built by an older sppr", hint=f"sppr image build-template --force {kind}")
    if not boot:
        what = "its image does not have the initrd of a base image that this sppr builds"
        raise Boots(what, hint="sppr image rm removes an older base image and its templates; then make up")
    if boot_region.is_own(machine.disk):
        raise Boots("it has a kernel of its own")
    state = states.find(machine.guest(str(boot)))
    if state is None:
        raise Boots("there is no saved state for it yet: sppr up saves one")
    return state
