"""Ports of VMs that two processes ask for at once."""

import pytest

from sppr.errors import ControlError
from sppr.parts import readiness


class PatchPanel:
    """A controller whose server gets a port from somebody else between the look and the add."""

    def __init__(self, *, theirs: bool) -> None:
        self.there = ["ivshmem:6"]
        self.theirs = theirs

    def __call__(self, _api: object) -> "PatchPanel":
        return self

    def ports(self, _server: str) -> list[str]:
        return list(self.there)

    def add_port_verified(self, _server: str, uid: str) -> None:
        if self.theirs:
            self.there.append(uid)
        raise ControlError(f"{uid} is there already")


def test_a_port_that_another_process_has_just_added_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bring-up and run-vm.py in the VM's pane: seen with a ring VM of two ports on a loaded machine."""
    monkeypatch.setattr(readiness, "ControlClient", PatchPanel(theirs=True))
    readiness.serve("api", "nfv:1", ["ivshmem:6", "ivshmem:106"])
    monkeypatch.setattr(readiness, "ControlClient", PatchPanel(theirs=False))
    with pytest.raises(ControlError):
        readiness.serve("api", "nfv:1", ["ivshmem:6", "ivshmem:106"])
