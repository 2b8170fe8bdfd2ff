"""Ending processes with all they started, and who has a port or a file."""

import contextlib
import itertools
import logging
import os
import re
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from sppr.deadline import Deadline
from sppr.errors import HostError
from sppr.host.process import pids
from sppr.host.root import privilege

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


#: Threads of a DPDK process that poll: 16.07 to 20.08, 20.11, 22.11, 24.11 and later.
_WORKER = re.compile(r"(lcore-slave-|lcore-worker-|rte-worker-|dpdk-worker)\d+")
#: For polling threads that share a core with main threads. Measured with three polling testpmd on one core: the main
#: thread answers in 4 ms instead of 11 ms (median), 8 ms instead of 55 ms (p99), and another DPDK process starts in
#: 286 ms instead of 675 ms.
POLLING_NICE = 10


def renice_workers(pid: int, nice: int = POLLING_NICE) -> int:
    """Lower the priority of the polling threads of a DPDK process, and return how many. The main thread keeps its own.

    Threads of another user are left alone.
    """
    count = 0
    for thread in Path(f"/proc/{pid}/task").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if _WORKER.fullmatch((thread / "comm").read_text().strip()):
                os.setpriority(os.PRIO_PROCESS, int(thread.name), nice)  # Linux: of one thread
                count += 1
    return count


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


@dataclass(frozen=True)
class Holder:
    """A process that has a file open; ``writes``: not only for reading."""

    pid: int
    name: str
    writes: bool

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


def holders(paths: Iterable[Path]) -> dict[Path, list[Holder]]:
    """Who has these files open, by whatever name, as far as it may be seen. A file nobody has is not in it."""
    wanted = {(stat.st_dev, stat.st_ino): path for path in paths if (stat := _stat(path))}
    found: dict[Path, dict[int, Holder]] = {}
    for pid, link in _open_files():
        stat = _stat(link)
        path = wanted.get((stat.st_dev, stat.st_ino)) if stat else None
        if path is None:
            continue
        before = found.setdefault(path, {}).get(pid)
        with contextlib.suppress(OSError, psutil.Error):
            writes = _writes(link) or (before is not None and before.writes)
            found[path][pid] = Holder(pid, _called(psutil.Process(pid)), writes)
    return {path: list(by_pid.values()) for path, by_pid in found.items() if by_pid}


def _open_files() -> Iterator[tuple[int, Path]]:
    """Every open file of every process: its pid, and the link below /proc that leads to it."""
    for pid in psutil.pids():
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            yield from ((pid, link) for link in list(Path(f"/proc/{pid}/fd").iterdir()))


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _writes(link: Path) -> bool:
    text = (link.parent.parent / "fdinfo" / link.name).read_text()
    flags = next(line for line in text.splitlines() if line.startswith("flags:")).split()[1]
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY


def _called(process: psutil.Process) -> str:
    """Its name; of a QEMU the guest's."""
    words = process.cmdline()
    guests = [after for word, after in itertools.pairwise(words) if word == "-name"]
    return guests[0].removeprefix("guest=").split(",")[0] if guests else process.name()
