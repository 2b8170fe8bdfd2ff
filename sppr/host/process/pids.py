"""Processes by pid and start time: a number alone may be somebody else's by now. Cheap to import and to ask."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Proc:
    """A process: ``pid``, and ``started``, its start in clock ticks since boot, to tell it from a later one."""

    pid: int
    started: int

    def alive(self) -> bool:
        """Whether it runs. A zombie has ended."""
        found = _stat(self.pid)
        return found is not None and found == (self.started, False)


def current(pid: int) -> Proc | None:
    """The process that has this pid now."""
    found = _stat(pid)
    return Proc(pid, found[0]) if found else None


def boot_id() -> str:
    """Id of this run of the machine; a restart changes it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _stat(pid: int) -> tuple[int, bool] | None:
    """Start time, and whether it is a zombie (or dead)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return int(fields[19]), fields[0] in "ZX"
    except (OSError, IndexError, ValueError):
        return None
