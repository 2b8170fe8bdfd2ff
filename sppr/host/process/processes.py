"""Stop processes with all their descendants, set how DPDK processes run, and find the users of ports and files."""

import contextlib
import ctypes
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


def self_and_ancestors() -> set[int]:
    """Return the pids of this process and its ancestors. They must not be stopped while this process works."""
    return {os.getpid(), *(p.pid for p in psutil.Process().parents())}


def outlive_terminal() -> None:
    """Let this process, and the programs that it starts from now on, run on when their terminal closes (SIGHUP).

    To ignore the signal is not enough: a tmux client sets a handler of its own, and exits with status 0 and without the
    output of its command. A blocked signal stays blocked in new programs.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


@contextlib.contextmanager
def terminal_closes() -> Iterator[None]:
    """Outlive the terminal, which the body closes. Afterwards the standard streams are /dev/null instead of it."""
    streams = [fd for fd in range(3) if os.isatty(fd)]
    outlive_terminal()
    yield
    null = os.open(os.devnull, os.O_RDWR)
    for fd in streams:
        os.dup2(null, fd)
    os.close(null)


def tree(roots: Iterable[int]) -> list[psutil.Process]:
    """Return these processes and all their descendants, children first."""
    found: dict[int, psutil.Process] = {}
    for pid in roots:
        try:
            parent = psutil.Process(pid)
            for process in (*reversed(parent.children(recursive=True)), parent):
                found.setdefault(process.pid, process)
        except psutil.NoSuchProcess:
            continue
    return list(found.values())


#: Names of polling threads in DPDK 16.07 to 20.08, in 20.11, in 22.11, and in 24.11 and later.
_WORKER = re.compile(r"(lcore-slave-|lcore-worker-|rte-worker-|dpdk-worker)\d+")
#: Niceness of polling threads that share a core with main threads. Measured with three polling testpmd on one core: the
#: main thread answers in 4 ms instead of 11 ms (median), 8 ms instead of 55 ms (p99), and another DPDK process starts
#: in 286 ms instead of 675 ms.
POLLING_NICE = 10


def renice_workers(pid: int, nice: int = POLLING_NICE) -> int:
    """Lower the priority of the polling threads of a DPDK process, and return their number.

    The main thread keeps its priority. Threads of another user are left alone.
    """
    count = 0
    for thread in Path(f"/proc/{pid}/task").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if _WORKER.fullmatch((thread / "comm").read_text().strip()):
                os.setpriority(os.PRIO_PROCESS, int(thread.name), nice)  # on Linux, this sets one thread
                count += 1
    return count


#: PR_SET_TIMERSLACK of prctl(2), and the slack in nanoseconds.
_PR_SET_TIMERSLACK, _TIMER_SLACK = 29, 4_000_000


def sleep_longer() -> None:
    """Let each usleep of the program that this process will exec last up to 4 ms longer.

    The main threads of spp_vf, spp_mirror and spp_pcap call usleep(100) in a loop. Measured on Linux 6.18 with
    autogroups: on a core with such a thread and a polling thread of the same process, another process gets 1 % of the
    core instead of half, and spp_nfv answers after up to 4 s. With 2 ms of slack, the core is shared evenly; with 0.5
    ms it is not.
    """
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(_TIMER_SLACK), 0, 0, 0)


#: ADDR_NO_RANDOMIZE of personality(2).
_ADDR_NO_RANDOMIZE = 0x0040000


def fix_addresses() -> None:
    """Let the program that this process will exec have its code at the same addresses in each run.

    DPDK keeps addresses of functions in the memory that its processes share, and its documentation requires this
    setting. Without it, a restarted spp_nfv of SPP HEAD crashes in rte_mempool_free when a VM connects to its vhost
    port: the pool is that of the previous process.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.personality(_ADDR_NO_RANDOMIZE | libc.personality(0xFFFFFFFF))


def end(processes: list[psutil.Process], term_deadline: Deadline) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """Stop processes: SIGTERM, then SIGKILL for those that still run at ``term_deadline``.

    Return the processes that had to be killed, and those that still exist 5 s later.
    """
    _send(processes, signal.SIGTERM)
    stubborn = wait_exited(processes, term_deadline)
    # SIGSTOP first, so that none of them starts another child while the descendants are collected.
    _send(stubborn, signal.SIGSTOP)
    remaining = tree(process.pid for process in stubborn)
    _send(remaining, signal.SIGKILL)
    return stubborn, wait_exited(remaining, Deadline(5.0))


def wait_exited(processes: Iterable[psutil.Process], deadline: Deadline) -> list[psutil.Process]:
    """Return the processes that still run at the deadline. A zombie counts as exited: in a container it may never be
    reaped."""
    running = list(processes)

    def all_exited() -> bool:
        running[:] = [process for process in running if _runs(process)]
        return not running

    deadline.poll(all_exited, 0.01)
    return running


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def session_members(sid: int, before: int | None = None) -> list[psutil.Process]:
    """Return the processes of the terminal session ``sid``, children first, orphaned ones included.

    Return an empty list if the kernel has reused the number: if the leader started after ``before`` (clock ticks since
    boot).
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


def send_sighup(process: psutil.Process) -> None:
    """Send SIGHUP, as a closing terminal does. Processes of root get it from the kernel when their pane closes."""
    with contextlib.suppress(psutil.Error):
        process.send_signal(signal.SIGHUP)


def _send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Send a signal; to processes of root by one sudo. If sudo refuses, they continue to run, and the caller finds
    them running."""
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


def find_listener(port: int) -> str:
    """Return ``pid 123 (name)`` of the process that listens on this TCP port, or "another process" if it is not
    visible."""
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
    """A process that has a file open. ``writes``: whether it opened the file for writing."""

    pid: int
    name: str
    writes: bool

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


def find_holders(paths: Iterable[Path]) -> dict[Path, list[Holder]]:
    """Return the processes that have these files open, under any name, of those that this user may inspect.

    Files that no process has open are not in the result.
    """
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
            found[path][pid] = Holder(pid, _display_name(psutil.Process(pid)), writes)
    return {path: list(by_pid.values()) for path, by_pid in found.items() if by_pid}


def _open_files() -> Iterator[tuple[int, Path]]:
    """Yield every open file of every process: the pid, and the link below /proc."""
    for pid in psutil.pids():
        with contextlib.suppress(OSError):  # the process has exited, or belongs to another user
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


def _display_name(process: psutil.Process) -> str:
    """Return the name of the process; of a QEMU the name of its guest."""
    words = process.cmdline()
    guests = [after for word, after in itertools.pairwise(words) if word == "-name"]
    return guests[0].removeprefix("guest=").split(",")[0] if guests else process.name()
