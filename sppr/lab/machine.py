"""The facts of this machine, KVM tried where the CPU's flags promise it."""

from dataclasses import replace

from sppr.host import facts
from sppr.host.facts import Facts
from sppr.qemu import kvm


def look(accel: str = "auto") -> Facts:
    """``accel``: what the lab wants; with ``tcg`` nothing is tried."""
    found = facts.read()
    if accel == "tcg" or not found.kvm_usable():
        return found
    return replace(found, kvm_boots=kvm.boots(found.boot_id))
