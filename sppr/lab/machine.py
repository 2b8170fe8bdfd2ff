"""The facts of this machine, KVM tried where the CPU's flags promise it."""

from dataclasses import replace

from sppr.host import facts
from sppr.host.facts import Facts
from sppr.qemu import kvm


def look(accel: str = "auto", mappers: bool = True) -> Facts:
    """``accel``: what the lab wants; with ``tcg`` nothing is tried. A plan needs no ``mappers`` (facts.read)."""
    found = facts.read(mappers=mappers)
    if accel == "tcg" or not found.kvm_usable():
        return found
    return replace(found, kvm_boots=kvm.guest_boots(found.boot_id))
