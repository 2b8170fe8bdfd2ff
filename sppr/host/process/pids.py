"""Identify processes by pid and start time, because the kernel reuses pids. Fast to import and to query."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Proc:
    """A process.

    ``pid``: its id.
    ``started``: its start in clock ticks since boot, which distinguishes it from a later process with the same id.
    """

    pid: int
    started: int

    def alive(self) -> bool:
        """Return whether it runs. A zombie counts as exited."""
        found = _stat(self.pid)
        return found is not None and found == (self.started, False)


def current(pid: int) -> Proc | None:
    """Return the process that has this pid now, or None."""
    found = _stat(pid)
    return Proc(pid, found[0]) if found else None


def boot_id() -> str:
    """Return the id of the current boot of this machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _stat(pid: int) -> tuple[int, bool] | None:
    """Return the start time, and whether the process is a zombie or dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return int(fields[19]), fields[0] in "ZX"
    except (OSError, IndexError, ValueError):
        return None
