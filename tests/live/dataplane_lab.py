"""Helpers of the live tests of the data plane: a small controller, tap ends, and processes with clean-up."""

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "sppr" / "dataplane"
#: Set SPPR_SANITIZE=1 to run the same tests over the ASan and UBSan build.
SANITIZE = os.environ.get("SPPR_SANITIZE", "") not in ("", "0")
BUILD = SOURCE / ("build/asan" if SANITIZE else "build")
HUGE = Path("/dev/hugepages")
FREE_PAGES = 300
REPLY_SIZE = 32768
ETHERTYPE = 0x88B5  # EtherType for local experiments: no other program on the host uses it
TIMEOUT = 20.0  # seconds; enough for a busy machine with two cores


def wait_for(what: str, ready: Callable[[], Any], seconds: float = TIMEOUT) -> Any:
    """Poll until ``ready`` returns a true value, and return it."""
    end = time.monotonic() + seconds
    while not (value := ready()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)
    return value


def has_ended(pid: int) -> bool:
    """Return whether a process has ended. A zombie has: init may reap an orphan much later on a busy machine."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def attempts(check: Callable[[], None]) -> None:
    """Run ``check``, a measurement of times, until it passes. Other users of the machine take CPU time for a moment; a
    process that is too slow fails each time.
    """
    for left in reversed(range(3)):
        try:
            check()
            return
        except AssertionError:
            if left == 0:
                raise
            time.sleep(0.5)


def make(*targets: str) -> list[str]:
    return ["make", "-C", str(SOURCE), *(["SANITIZE=1"] if SANITIZE else []), *targets]


def free_pages() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("HugePages_Free"))


def prepare_hugepages(free: int = FREE_PAGES) -> None:
    """Ensure ``free`` free pages of 2 MiB for each parallel test, and a hugetlbfs at /dev/hugepages."""
    HUGE.mkdir(exist_ok=True)
    if not any(line.split()[1] == str(HUGE) for line in Path("/proc/mounts").read_text().splitlines()):
        subprocess.run(["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", str(HUGE)], check=True)
    pages = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
    missing = free * int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) - free_pages()
    if missing > 0:
        pages.write_text(str(int(pages.read_text()) + missing))
    assert free_pages() >= free, "the host has no memory for hugepages"


class Connection:
    """The controller's connection to one process."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(TIMEOUT)

    def ask_raw(self, command: str) -> bytes:
        self.sock.sendall(command.encode())
        reply = b""
        while len(reply) < REPLY_SIZE:
            chunk = self.sock.recv(REPLY_SIZE - len(reply))
            assert chunk, f"{command}: closed after {len(reply)} bytes"
            reply += chunk
        return reply

    def ask(self, command: str) -> dict[str, Any]:
        return dict(json.loads(self.ask_raw(command).split(b"\0", 1)[0]))

    def ok(self, *commands: str) -> None:
        for command in commands:
            raw = self.ask_raw(command).rstrip(b"\0")
            echo = raw == command.replace(" ", "\0").encode()
            assert echo or json.loads(raw)["result"] == "succeeded", (command, raw)

    def failed(self, command: str) -> None:
        assert self.ask(command)["result"] == "failed", command

    def status(self) -> dict[str, Any]:
        return self.ask("status")

    def close(self) -> None:
        self.sock.close()


class Controller:
    """A controller that listens for connections of processes."""

    def __init__(self, port: int = 0) -> None:
        self.listener = socket.create_server(("127.0.0.1", port))
        self.listener.settimeout(TIMEOUT)
        self.port: int = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"

    def accept(self) -> Connection:
        return Connection(self.listener.accept()[0])

    def close(self) -> None:
        self.listener.close()


class TapEnd:
    """The kernel's end of a tap, which sends and receives numbered frames."""

    def __init__(self, name: str) -> None:
        # With a protocol it would receive the frames of all interfaces, those of other labs too, until bind.
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.sock.bind((name, ETHERTYPE))

    def send(self, number: int, size: int = 64) -> None:
        frame = b"\x02\0\0\0\0\x01" + b"\x02\0\0\0\0\x02" + ETHERTYPE.to_bytes(2) + number.to_bytes(4)
        self.sock.send(frame.ljust(size, b"\0"))

    def receive(self, seconds: float) -> int | None:
        """Return the number of the next frame, or None."""
        self.sock.settimeout(seconds)
        try:
            return int.from_bytes(self.sock.recv(2048)[14:18])
        except TimeoutError:
            return None

    def drain(self) -> None:
        while self.receive(0.05) is not None:
            pass

    def close(self) -> None:
        self.sock.close()


def send_all(source: TapEnd, sink: TapEnd, count: int, window: int = 16, first: int = 0) -> list[int]:
    """Send numbered frames, at most ``window`` in flight. Return the received numbers in order."""
    got: list[int] = []
    sent = 0
    while len(got) < count:
        while sent < count and sent - len(got) < window:
            source.send(first + sent)
            sent += 1
        number = sink.receive(5.0)
        if number is None:
            break
        got.append(number)
    return got


def passes(source: TapEnd, sink: TapEnd, mark: int) -> bool:
    """Return whether a frame with this mark crosses. Frames with other marks are ignored."""
    source.send(mark)
    end = time.monotonic() + 0.2
    while (left := end - time.monotonic()) > 0:
        if sink.receive(left) == mark:
            return True
    return False


class Process:
    """A program under test with its log."""

    def __init__(self, argv: list[str], log: Path) -> None:
        # ASan's shadow memory overlaps DPDK's preferred addresses; without randomisation all find the same gap
        self.argv = ["setarch", "-R", *argv] if SANITIZE else argv
        self.log = log
        with log.open("ab") as out:
            self.popen = subprocess.Popen(
                self.argv,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"ASAN_OPTIONS": "detect_leaks=0"},  # EAL never frees its own
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_printed(self, line: str) -> None:
        wait_for(f"{line!r} in {self.log}", lambda: line in self.text())

    def wait_end(self, seconds: float = TIMEOUT) -> int:
        return self.popen.wait(seconds)

    def terminate(self, signo: int = signal.SIGTERM) -> int:
        self.popen.send_signal(signo)
        return self.wait_end()

    def kill(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Lab:
    """The prefix, taps, sockets and processes of one test. ``close`` removes them all."""

    def __init__(self, tmp_path: Path, number: int) -> None:
        tag = f"{os.getpid() % 100000}x{number}"
        self.tmp = tmp_path
        self.prefix = f"sppt{tag}"
        self.taps = (f"t{tag}a", f"t{tag}b")
        self.sockets = Path("/tmp") / f"sppt{tag}"  # tmp_path is too long for the path of a socket
        self.sockets.mkdir()
        self.primary_port = Controller()
        self.secondary_port = Controller()
        self.processes: list[Process] = []
        self.stack = contextlib.ExitStack()

    def run(self, name: str, argv: list[str]) -> Process:
        process = Process(argv, self.tmp / f"{name}.log")
        self.processes.append(process)
        return process

    def primary_argv(self, *extra: str, lcores: str = "0@0,1@1", vdevs: tuple[str, ...] | None = None) -> list[str]:
        if vdevs is None:
            vdevs = tuple(f"net_tap{i},iface={tap}" for i, tap in enumerate(self.taps))
        return [
            *(str(BUILD / "spp_primary"), "--lcores", lcores, "-n", "4", "--socket-mem", "64", "--huge-dir", str(HUGE)),
            *("--proc-type", "primary", "--file-prefix", self.prefix, "--no-pci"),
            *(word for vdev in vdevs for word in ("--vdev", vdev)),
            *("--", "-p", "0x03", "-n", "10", "-s", self.primary_port.address, "--sock-dir", str(self.sockets), *extra),
        ]

    def nfv_argv(self, number: int, *extra: str, workers: int = 1) -> list[str]:
        first = 2 + 4 * (number - 1)
        lcores = ",".join([f"{first}@0", *(f"{first + 1 + i}@{(number + i) % 2}" for i in range(workers))])
        return [
            *(str(BUILD / "spp_nfv"), "--lcores", lcores, "-n", "4", "--proc-type", "secondary"),
            *("--file-prefix", self.prefix, "--no-pci", "--", "-n", str(number), "-s", self.secondary_port.address),
            *("--sock-dir", str(self.sockets), *extra),
        ]

    def start_primary(self, *extra: str, **how: Any) -> tuple[Process, Connection]:
        process = self.run("primary", self.primary_argv(*extra, **how))
        return process, self.primary_port.accept()

    def start_nfv(self, number: int, *extra: str, workers: int = 1) -> tuple[Process, Connection]:
        process = self.run(f"nfv{number}", self.nfv_argv(number, *extra, workers=workers))
        connection = self.secondary_port.accept()
        assert connection.ask("_get_client_id")["client_id"] == number
        return process, connection

    def tap_ends(self, *names: str) -> tuple[TapEnd, TapEnd]:
        first, second = (self.stack.enter_context(contextlib.closing(TapEnd(n))) for n in names or self.taps)
        return first, second

    def logs(self) -> str:
        return "\n".join(f"--- {p.log.name}\n{p.text()}" for p in self.processes)

    def close(self) -> None:
        self.stack.close()
        for process in reversed(self.processes):
            process.kill()
        self.primary_port.close()
        self.secondary_port.close()
        for left in HUGE.glob(f"{self.prefix}*map_*"):
            left.unlink(missing_ok=True)
        for folder in Path("/var/run/dpdk").glob(f"{self.prefix}*"):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(self.sockets, ignore_errors=True)


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """Run a server of another program at this path."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield server


marks = itertools.count(1_000_000)


def crosses(source: TapEnd, sink: TapEnd) -> None:
    """Wait until traffic crosses from one tap end to the other."""
    wait_for("a frame across", lambda: passes(source, sink, next(marks)))


def stands_still(source: TapEnd, sink: TapEnd) -> None:
    sink.drain()
    assert not passes(source, sink, next(marks))


def start_chain(lab: Lab) -> tuple[Connection, Connection, Connection, Process]:
    """Start and forward tap:0 -> nfv 1 -> ring:0 -> nfv 2 -> tap:1. The last value is the process of nfv 2."""
    _, primary = lab.start_primary()
    _, one = lab.start_nfv(1)
    last, two = lab.start_nfv(2)
    one.ok("add ring:0", "patch tap:0 ring:0", "forward")
    two.ok("add ring:0", "patch ring:0 tap:1", "forward")
    return primary, one, two, last


def vhost_peer_argv(lab: Lab, path: Path, *app: str, server: bool = False, lcores: str = "0@0,1@1") -> list[str]:
    """Return the command line of a dpdk-testpmd as the peer of the vhost-user socket at ``path``."""
    return [
        *(
            "dpdk-testpmd",
            "--lcores",
            lcores,
            "-n",
            "1",
            "--no-pci",
            "--in-memory",
            "--single-file-segments",
        ),
        *("-m", "64", "--file-prefix", f"{lab.prefix}p"),
        *("--vdev", f"net_virtio_user0,path={path},queues=1{',server=1' * server}"),
        *("--", "--total-num-mbufs=2048", "--nb-cores=1", "--stats-period=1", *app),
    ]


def idle_percent(processes: list[Process], seconds: float) -> list[float]:
    """Return the share of a core that each process used, in percent."""
    before = [process.cpu_seconds() for process in processes]
    start = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - start
    return [100 * (p.cpu_seconds() - b) / took for p, b in zip(processes, before, strict=True)]


def wake_latencies(source: TapEnd, sink: TapEnd, count: int, rest: float = 0.05) -> list[float]:
    """Return the times, in seconds, of frames across a data plane that slept for ``rest``."""
    took = []
    for mark in itertools.islice(marks, count):
        time.sleep(rest)
        start = time.perf_counter()
        source.send(mark)
        while (number := sink.receive(5.0)) != mark:
            assert number is not None, "a frame after idle was lost"
        took.append(time.perf_counter() - start)
    return took
