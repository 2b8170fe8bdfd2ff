"""Find the processes that have files open, describe them, and list the TCP ports of some."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

import psutil


def describe_process(pid: int) -> str:
    """Return ``pid 123 (spp_primary)``."""
    try:
        return f"pid {pid} ({psutil.Process(pid).name()})"
    except psutil.Error:
        return f"pid {pid}"


def find_opener(paths: Collection[str]) -> dict[str, int]:
    """Return for each path the pid of a process that has it open, of those that this user may inspect. Links are
    followed."""
    wanted = {os.path.realpath(path): path for path in paths}
    found: dict[str, int] = {}
    for folder in Path("/proc").glob("[0-9]*/fd") if wanted else ():
        try:
            with os.scandir(folder) as entries:
                targets = [os.readlink(entry.path) for entry in entries]  # noqa: PTH115 - thousands of them
        except OSError:
            continue
        for target in targets:
            if target in wanted:
                found[wanted[target]] = int(folder.parent.name)
    return found


def tcp_ports_of(pids: Iterable[int]) -> frozenset[int]:
    """Return the TCP ports that these processes listen on."""
    found = set()
    for pid in pids:
        try:
            connections = psutil.Process(pid).net_connections("tcp")
        except (psutil.Error, AttributeError):
            continue
        found |= {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}
    return frozenset(found)
