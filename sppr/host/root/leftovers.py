"""Hugepage files and run folders that DPDK processes of root left, seen and removed by a user."""

import re
from itertools import pairwise
from pathlib import Path

import psutil

from sppr.host.root import privilege
from sppr.run import which


def sweeps(prefix: str, huge_dir: Path) -> list[list[str]]:
    """The commands that remove them: always the same for a lab, so that sudoers can name them to the letter."""
    pattern = f"{_literal(f'{huge_dir}/{prefix}')}map_[0-9]+"
    find, rm = (which(name) or f"/usr/bin/{name}" for name in ("find", "rm"))
    return [
        [find, str(huge_dir), "-maxdepth", "1", "-type", "f", "-regex", pattern, "-delete"],
        [rm, "-rf", f"/run/dpdk/{prefix}"],
    ]


def sweep_by_sudo(prefix: str, huge_dir: Path, started: bool) -> None:
    """Remove them, if no process of this ``--file-prefix`` lives. The run folder is root's alone to see: it is taken
    to be there where the lab was ``started``. HostError where sudo refuses."""
    pages = any(re.fullmatch(rf"{re.escape(prefix)}map_\d+", page.name) for page in huge_dir.glob(f"{prefix}map_*"))
    if not (pages or started) or living(prefix):
        return
    files, folder = sweeps(prefix, huge_dir)
    if pages:
        privilege.as_root(files)
    privilege.as_root(folder)


def _literal(text: str) -> str:
    """For find's default (emacs) regular expressions."""
    return re.sub(r"([][.*+?^$\\])", r"\\\1", text)


def living(prefix: str) -> list[int]:
    """DPDK processes of this prefix: the arguments of root's processes can be read, their maps cannot."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if f"--file-prefix={prefix}" in words or ("--file-prefix", prefix) in pairwise(words):
            found.append(process.pid)
    return found
