"""Read the facts of this machine, and try KVM if the CPU has its flags."""

from dataclasses import replace

from sppr.host import facts
from sppr.host.facts import Facts
from sppr.qemu import kvm


def read_facts(accel: str = "auto", mappers: bool = True) -> Facts:
    """Return the facts of this machine.

    ``accel``: ``vm.accel`` of the lab. With ``tcg``, KVM is not tried. ``mappers``: see ``facts.read``; a plan does not
    need them.
    """
    found = facts.read(mappers=mappers)
    if accel == "tcg" or not found.kvm_usable():
        return found
    return replace(found, kvm_boots=kvm.guest_boots(found.boot_id))
