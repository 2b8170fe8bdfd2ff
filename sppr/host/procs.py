"""Ending processes with all they started, and who has a port."""

import contextlib
import os
import signal
from collections.abc import Iterable

import psutil

from sppr.deadline import Deadline
from sppr.host import pids


def ourselves() -> set[int]:
    """Pids of this process and its ancestors: not to be ended while it still has work."""
    return {os.getpid(), *(p.pid for p in psutil.Process().parents())}


def tree(roots: Iterable[int]) -> list[psutil.Process]:
    """These processes and all their descendants, children first."""
    found: dict[int, psutil.Process] = {}
    for pid in roots:
        try:
            parent = psutil.Process(pid)
            for process in (*reversed(parent.children(recursive=True)), parent):
                found.setdefault(process.pid, process)
        except psutil.NoSuchProcess:
            continue
    return list(found.values())


def end(processes: list[psutil.Process], polite: Deadline) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """SIGTERM, and SIGKILL to what is left when ``polite`` is over.

    Returns those that had to be killed, and those that are still there 5 s later.
    """
    for process in processes:
        _send(process, signal.SIGTERM)
    _, stubborn = psutil.wait_procs(processes, timeout=polite.remaining())
    # Stopped first, so that none of them starts another child while the children are looked for.
    for process in stubborn:
        _send(process, signal.SIGSTOP)
    doomed = tree(process.pid for process in stubborn)
    for process in doomed:
        _send(process, signal.SIGKILL)
    _, left = psutil.wait_procs(doomed, timeout=5.0)
    return stubborn, [process for process in left if not _is_zombie(process)]


def _is_zombie(process: psutil.Process) -> bool:
    """Ended, and only not yet collected by its parent."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def session_members(sid: int, before: int | None = None) -> list[psutil.Process]:
    """Processes of the terminal session ``sid``, children first: also those whose parent has gone.

    None where the number is another's by now: a leader of it that started after ``before`` (clock ticks since boot).
    """
    leader = pids.current(sid)
    if sid <= 0 or (leader is not None and before is not None and leader.started > before):
        return []
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == sid:
                found.append(process)
    return tree(process.pid for process in found)


def hang_up(process: psutil.Process) -> None:
    """SIGHUP, as a terminal that closes sends it."""
    _send(process, signal.SIGHUP)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def who_listens(port: int) -> str:
    """``pid 123 (name)`` of the process that listens on this TCP port, as far as it may be seen."""
    try:
        for connection in psutil.net_connections("tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and getattr(connection.laddr, "port", None) == port
                and connection.pid
            ):
                return f"pid {connection.pid} ({psutil.Process(connection.pid).name()})"
    except psutil.Error:
        pass
    return "another process"
