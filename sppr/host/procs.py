"""Ending processes with all they started, and who has a port."""

import contextlib
import logging
import os
import signal
from collections.abc import Iterable

import psutil

from sppr.deadline import Deadline
from sppr.errors import HostError
from sppr.host import pids, privilege

log = logging.getLogger(__name__)


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
    _send(processes, signal.SIGTERM)
    stubborn = wait_ended(processes, polite)
    # Stopped first, so that none of them starts another child while the children are looked for.
    _send(stubborn, signal.SIGSTOP)
    doomed = tree(process.pid for process in stubborn)
    _send(doomed, signal.SIGKILL)
    return stubborn, wait_ended(doomed, Deadline(5.0))


def wait_ended(processes: Iterable[psutil.Process], deadline: Deadline) -> list[psutil.Process]:
    """Those that still run at the deadline. A zombie has ended: in a container nobody may ever collect it."""
    left = list(processes)

    def over() -> bool:
        left[:] = [process for process in left if _runs(process)]
        return not left

    deadline.poll(over, 0.01)
    return left


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


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
    """SIGHUP, as a terminal that closes sends it. Root's processes get that from the kernel, when their pane closes."""
    with contextlib.suppress(psutil.Error):
        process.send_signal(signal.SIGHUP)


def _send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Signal them, those of root by one sudo. Where that is refused they live on, and the caller sees them."""
    of_root = []
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.AccessDenied:
            of_root.append(process)
        except psutil.NoSuchProcess:
            continue
    if denied := [process.pid for process in of_root if process.is_running()]:
        try:
            privilege.kill(denied, number)
        except HostError as e:
            log.warning("%s", e.what)


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
