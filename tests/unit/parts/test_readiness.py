"""Ports of a VM that two processes add at the same time."""

import pytest

from sppr.errors import ControlError
from sppr.parts import readiness


class PatchPanel:
    """A controller on which another process adds the port between the check and the add."""

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
        raise ControlError(f"{uid} already exists")


def test_port_added_by_another_process_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bring-up and run-vm.py in the pane of the VM both add ports, as seen on a loaded machine."""
    monkeypatch.setattr(readiness, "ControlClient", PatchPanel(theirs=True))
    readiness.serve("api", "nfv:1", ["ivshmem:6", "ivshmem:106"])
    monkeypatch.setattr(readiness, "ControlClient", PatchPanel(theirs=False))
    with pytest.raises(ControlError):
        readiness.serve("api", "nfv:1", ["ivshmem:6", "ivshmem:106"])
