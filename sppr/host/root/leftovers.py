"""Hugepage files and runtime folders that DPDK processes of root left: a user finds them, and removes them by sudo."""

import re
from itertools import pairwise
from pathlib import Path

import psutil

from sppr.host.root import privilege
from sppr.run import which


def remove_commands(prefix: str, huge_dir: Path) -> list[list[str]]:
    """Return the commands that remove them. For a lab they are always the same, so that sudoers can list them
    exactly."""
    pattern = f"{_escape_regex(f'{huge_dir}/{prefix}')}map_[0-9]+"
    find, rm = (which(name) or f"/usr/bin/{name}" for name in ("find", "rm"))
    return [
        [find, str(huge_dir), "-maxdepth", "1", "-type", "f", "-regex", pattern, "-delete"],
        [rm, "-rf", f"/run/dpdk/{prefix}"],
    ]


def remove_by_sudo(prefix: str, huge_dir: Path, started: bool) -> None:
    """Remove them if no process with this ``--file-prefix`` runs.

    Only root can see the runtime folder, so it is assumed to exist if the lab was ``started``. Raise HostError if sudo
    refuses.
    """
    pages = any(re.fullmatch(rf"{re.escape(prefix)}map_\d+", page.name) for page in huge_dir.glob(f"{prefix}map_*"))
    if not (pages or started) or running_processes(prefix):
        return
    files, folder = remove_commands(prefix, huge_dir)
    if pages:
        privilege.as_root(files)
    privilege.as_root(folder)


def _escape_regex(text: str) -> str:
    """Escape a text for find's default regular expressions (emacs)."""
    return re.sub(r"([][.*+?^$\\])", r"\\\1", text)


def running_processes(prefix: str) -> list[int]:
    """Return the pids of DPDK processes with this prefix.

    They are found by their arguments: a user can read those of root's processes, but not their maps.
    """
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if f"--file-prefix={prefix}" in words or ("--file-prefix", prefix) in pairwise(words):
            found.append(process.pid)
    return found
