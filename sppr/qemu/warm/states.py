"""The saved states of this machine: each is the memory and the devices of a guest that waits in its initrd.

A guest is saved before it reads its disk, so a state serves every VM with the same QEMU, machine and kernel, with any
disk. Nothing of an instance is in it: no name, key or address.
"""

import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from sppr.host.run_directory import cache_dir
from sppr.qemu import devices

#: Changes with everything of a state that the key does not include: the devices of ``save.argv``, and how the guest
#: waits.
_FORMAT = 2
_PREFIX = "state-"
#: States that no VM used for this many seconds are removed when another one is saved.
_UNUSED_SECONDS = 30 * 86400.0
#: Fields of /proc/cpuinfo that a guest under KVM sees.
_CPU_FIELDS = ("model name", "flags", "microcode")


@dataclass(frozen=True)
class Guest:
    """Everything that a state depends on.

    ``program``: path of QEMU. ``memory``: MiB. ``cores``: number of virtual CPUs.
    ``boot``: the digest of the boot partition (``images.boot_region``), which has the kernel and the initrd.
    ``base``: the base image that it comes from. No state depends on it: it shows which states of an earlier kernel are
        outdated.
    """

    program: str
    memory: int
    cores: int
    accel: devices.Accel
    boot: str
    base: Path = Path()

    @property
    def key(self) -> str:
        """Return the name of the state: a hash of all that it depends on."""
        described = [
            _FORMAT, _identity(self.program), self.memory, self.cores, self.accel, _cpu(self.accel), self.boot,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(described).encode()).hexdigest()[:20]

    @property
    def folder(self) -> Path:
        """Return the folder of the state."""
        return cache_dir() / f"{_PREFIX}{self.key}"


@dataclass(frozen=True)
class State:
    """A saved state: the memory of the guest, a sparse file, and the stream of its devices."""

    folder: Path

    @property
    def memory(self) -> Path:
        """Return the path of the memory."""
        return self.folder / "memory"

    @property
    def devices(self) -> Path:
        """Return the path of the devices."""
        return self.folder / "devices"

    @property
    def note(self) -> Path:
        """Return the path of the note, which the state is valid with."""
        return self.folder / "note.json"


def find(guest: Guest) -> State | None:
    """Return the state of a guest, or None if there is none that is complete."""
    state = State(guest.folder)
    try:
        note = json.loads(state.note.read_text())
        if note["files"] != fingerprint(state):
            return None
        os.utime(state.note)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state


def fingerprint(state: State) -> list[list[int]]:
    """Return size and time of the files of a state. Nothing changes them after they were saved."""
    stats = (path.stat() for path in (state.memory, state.devices))
    return [[stat.st_size, stat.st_mtime_ns] for stat in stats]


def write_note(state: State, guest: Guest) -> None:
    """Write the note of a state whose files are complete."""
    note = {
        "qemu": [guest.program, _identity(guest.program)], "files": fingerprint(state),
        "base": str(guest.base), "boot": guest.boot,
    }  # fmt: skip
    state.note.write_text(json.dumps(note) + "\n")


def remove(state: State) -> None:
    """Remove a state. A VM that has resumed from it does not need it any more."""
    shutil.rmtree(state.folder, ignore_errors=True)


def remove_outdated(guest: Guest) -> None:
    """Remove the states of a QEMU that has changed, those of an earlier kernel of the base image of ``guest``, those
    that no VM used for a month, and what a killed save left.
    """
    for folder in cache_dir().glob(f"{_PREFIX}*"):
        note = State(folder).note
        try:
            described = json.loads(note.read_text())
            program, identity = described["qemu"]
            outdated = (
                _identity(program) != identity
                or (described["base"] == str(guest.base) and described["boot"] != guest.boot)
                or time.time() - note.stat().st_mtime > _UNUSED_SECONDS
            )
        except (OSError, ValueError, KeyError, TypeError):
            outdated = not _is_being_saved(folder)
        if outdated:
            remove(State(folder))


def clear() -> list[Path]:
    """Remove all states, and return their folders."""
    folders = [folder for folder in sorted(cache_dir().glob(f"{_PREFIX}*")) if not _is_being_saved(folder)]
    for folder in folders:
        remove(State(folder))
    return folders


def temporary(guest: Guest) -> Path:
    """Return the folder in which this process saves the state of a guest."""
    return guest.folder.with_name(f"{guest.folder.name}.{os.getpid()}.tmp")


def _is_being_saved(folder: Path) -> bool:
    """Return whether the process that made a temporary folder still runs."""
    pid = folder.name.removesuffix(".tmp").rpartition(".")[2]
    return folder.suffix == ".tmp" and pid.isdigit() and Path(f"/proc/{pid}").exists()


def _identity(program: str) -> list[int]:
    """Return size and time of a program. Another release of QEMU has others."""
    try:
        stat = Path(program).stat()
    except OSError:
        return []
    return [stat.st_size, stat.st_mtime_ns]


def _cpu(accel: devices.Accel) -> list[str]:
    """Return what a guest sees of the host. Under TCG that is nothing: ``-cpu max`` is the same on every host."""
    if accel == "tcg":
        return []
    lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    return [os.uname().release, *(line for line in lines if line.partition("\t")[0].strip() in _CPU_FIELDS)]
