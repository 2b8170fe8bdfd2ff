"""A private lab: its own folder, ports, tap names, tmux server and run directory, separate from every other lab."""

import contextlib
import functools
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from sppr.deadline import Deadline
from sppr.images.build import BASE_NAME
from sppr.spp.control import ControlClient
from tests.conftest import ROOT
from tests.live.dataplane_lab import HUGE, prepare_hugepages, wait_for

CONF = """\
session: {session}
controller: {{host: 127.0.0.1, pri_port: {pri}, sec_port: {sec}, rest_port: {rest}}}
primary:
  coremask: 0x03
  portmask: 0x03
  memory: 128
  vdevs: ["net_tap0,iface={tap}a", "net_tap1,iface={tap}b"]
secondaries:
  - {{id: 1, coremask: 0x0C}}
  - {{id: 2, coremask: 0x30}}
vms_ring: [{{id: 6}}, {{id: 7}}]
vms_vhost: [{{id: 11}}, {{id: 12}}]
vm: {{ssh_port: {ssh}}}
spp: {{sock_dir: {sock_dir}}}
"""


@functools.cache
def _ports() -> tuple[Iterator[int], Iterator[int], socket.socket]:
    """Reserve 3000 ports for this process, below those that the kernel assigns. Return the first ports of blocks of 10
    and of blocks of 150, and the socket that reserves them: an abstract name, which the kernel frees when the process
    exits. Test workers, benches that run side by side and a second test run are separate processes, so none of them
    chooses a port that another one uses.
    """
    for first in range(10000, 31000, 3000):
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.bind(f"\0sppr-test-ports-{first}")
        except OSError:
            sock.close()
        else:
            small, large = range(first, first + 300, 10), range(first + 300, first + 3000, 150)
            return itertools.cycle(small), itertools.cycle(large), sock
    raise AssertionError("seven processes of tests or benches run already; there are no ports for one more")


def free_ports(count: int) -> list[int]:
    """Return up to ten ports of a private block. A port that the kernel assigns may be used by another test by then."""
    while True:
        first = next(_ports()[0])
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return list(range(first, first + count))


def ssh_ports() -> int:
    """Return the first of 150 ports that no other test uses: more than there are ids of VMs."""
    return next(_ports()[1])


@dataclass
class Lab:
    """A lab with a fixed environment, which is as hostile as that of a user may be.
    ``prefix``: words before every command, which run it as another user."""

    folder: Path
    session: str
    env: dict[str, str] = field(default_factory=dict)
    pri: int = 0
    sec: int = 0
    rest: int = 0
    prefix: tuple[str, ...] = ()

    def write(self, extra: str = "") -> None:
        """Write conf.yml with the ports and names of this lab, and ``extra`` lines."""
        self.pri, self.sec, self.rest = free_ports(3)
        self.conf.write_text(
            CONF.format(
                session=self.session,
                pri=self.pri,
                sec=self.sec,
                rest=self.rest,
                tap=self.tap,
                ssh=ssh_ports(),
                sock_dir=self.folder / "socks",
            )
            + extra
        )

    @property
    def conf(self) -> Path:
        return self.folder / "conf.yml"

    @property
    def tap(self) -> str:
        return f"t{os.getpid() % 100000}{self.session[-1]}"

    @property
    def state(self) -> Path:
        return Path(self.env["SPPR_RUN_DIR"]) / self.session

    @property
    def control(self) -> ControlClient:
        return ControlClient(self.state / "api.sock")

    def sppr(self, *words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.prefix, sys.executable, "-m", "sppr", *words], env=self.env, cwd=self.folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def wakeup_argv(self, *words: str) -> list[str]:
        command = [str(ROOT / "bin/wakeup.py"), "--conf", str(self.conf), "--socket-name", self.session]
        return [*self.prefix, *command, *words]

    def wakeup(self, *words: str, timeout: float = 180) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.wakeup_argv(*words), env=self.env, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip

    def down(self) -> subprocess.CompletedProcess[str]:
        return self.sppr("down", "--session", self.session)

    def status(self) -> dict[str, dict[str, Any]]:
        """Return the rows of ``sppr status --json`` by name."""
        done = self.sppr("status", "--json", "--session", self.session)
        assert done.stdout, done.stderr
        return {row["name"]: row for row in json.loads(done.stdout)}

    def tmux(self, *words: str) -> str:
        command = [*self.prefix, "tmux", "-L", self.session, *words]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=False).stdout

    def processes(self) -> list[psutil.Process]:
        """Return every process of this lab: those with its folder or run directory in the arguments or environment."""
        found = []
        marks = (str(self.folder), str(self.state))
        for process in psutil.process_iter():
            try:
                text = " ".join(process.cmdline()) + " ".join(process.environ().values())
            except psutil.Error:
                continue
            if any(mark in text for mark in marks) and process.pid != os.getpid():
                found.append(process)
        return found

    def leftovers(self) -> list[str]:
        """Return leftovers of a stopped lab. Its processes have 5 s to exit: writers of logs end after ``down``."""
        Deadline(5).poll(lambda: not any(map(_name, self.processes())))
        left = [f"process {name}" for p in self.processes() if (name := _name(p))]
        left += [str(p) for p in HUGE.glob(f"{self.session}map_*")]
        places = (Path("/var/run/dpdk") / self.session, self.state, self.state.with_name(f"{self.session}.lock"))
        left += [str(p) for p in places if p.exists()]
        left += [str(p) for p in (self.folder / "socks").glob("*")]
        left += [f"tmux: {line}" for line in self.tmux("list-sessions").splitlines()]
        left += [str(p) for p in self.folder.rglob("*.tmp")]
        left += [path for path in _unix_sockets() if str(self.folder) in path or path.endswith(f"/{self.session}")]
        left += map(str, self.tmux_sockets())
        return list(dict.fromkeys(left))

    def tmux_sockets(self) -> list[Path]:
        """Return the socket files of its tmux server, of any user: tmux does not remove them."""
        return list(Path("/tmp").glob(f"tmux-*/{self.session}"))

    def end(self) -> None:
        """Stop the lab and remove everything, whatever its state."""
        self.down()
        for process in self.processes():
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.Error:
                continue
        self.down()  # again, because a hanging process may have blocked the first one
        self.tmux("kill-server")
        for page in HUGE.glob(f"{self.session}map_*"):
            page.unlink(missing_ok=True)
        for path in self.tmux_sockets():
            path.unlink(missing_ok=True)


def _unix_sockets() -> list[str]:
    """Return the paths of the bound unix sockets of this machine."""
    lines = [line.split(maxsplit=7) for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return [fields[7] for fields in lines if len(fields) == 8]


def _name(process: psutil.Process) -> str | None:
    """Return pid and name, or None if the process has exited."""
    try:
        return f"{process.pid} {process.name()}"
    except psutil.NoSuchProcess:
        return None


def make(folder: Path, session: str, base: Path | None) -> Lab:
    """Make a lab below ``folder``. Its base image is a link to that of all tests."""
    prepare_hugepages()
    home = folder / "home"
    for parent in (folder, *folder.parents):  # pytest's folders are 0700, and VMs of a lab of root run as a user
        if parent.is_relative_to("/tmp") and parent != Path("/tmp") and parent.owner() == "root":
            parent.chmod(parent.stat().st_mode | 0o011)
    for part in ("runscripts", "socks", "home", "run"):
        (folder / part).mkdir()
    if base is not None:
        (folder / "runscripts" / BASE_NAME).symlink_to(base)
    # Files in the home of a user that broke other launchers: T2, T3, T8, T16 (tmux/test_tmux_failures.py).
    (home / ".tmux.conf").write_text("set -g base-index 1\nset -g automatic-rename on\nset -g default-command 'cat'\n")
    (home / ".bashrc").write_text("sleep 0.3\nwhile read -r -t 0.01 -n 1 _; do :; done\nPROMPT_COMMAND='true'\n")
    env = {
        "PATH": os.environ["PATH"], "HOME": str(home), "SHELL": "/bin/bash", "LC_ALL": "C", "TERM": "xterm",
        "SPPR_RUN_DIR": str(folder / "run"), "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    lab = Lab(folder, session, env)
    for path in lab.tmux_sockets():  # of an interrupted earlier run
        path.unlink(missing_ok=True)
    lab.write()
    return lab


@contextlib.contextmanager
def private(folder: Path, session: str, base: Path | None) -> Iterator[Lab]:
    """Make a lab, and end it afterwards."""
    lab = make(folder, session, base)
    try:
        yield lab
    finally:
        lab.end()


@contextlib.contextmanager
def running(folder: Path, session: str, base: Path | None, *flags: str, timeout: float = 180) -> Iterator[Lab]:
    """Make a lab, start it by ``wakeup``, and end it afterwards."""
    with private(folder, session, base) as lab:
        done = lab.wakeup(*flags, timeout=timeout)
        assert done.returncode == 0, done.stdout + done.stderr
        yield lab


@contextlib.contextmanager
def chain_lab(folder: Path, session: str, base: Path | None, extra: str, *flags: str) -> Iterator[tuple[Lab, str]]:
    """Start a lab with ``extra`` in its conf.yml, and VM 11 at secondary 2. Yields it and the output of wakeup."""
    with private(folder, session, base) as lab:
        lab.write(extra)
        lab.conf.write_text(lab.conf.read_text().replace("[{id: 11}", "[{id: 11, secondary: 2}"))
        done = lab.wakeup(*flags)
        assert done.returncode == 0, done.stdout + done.stderr
        yield lab, done.stdout


def wait_state(lab: Lab, name: str, expected: str, seconds: float = 30) -> dict[str, Any]:
    """Wait until a part has the state ``expected``, and return its row."""
    row: dict[str, Any] = wait_for(
        f"{name} {expected}", lambda: r if (r := lab.status()[name])["state"] == expected else None, seconds
    )
    return row


def wait_exit(lab: Lab, name: str, status: int, seconds: float = 30) -> dict[str, Any]:
    """Wait until a part exited with this status, which the shell of its pane writes a moment later. Return its row."""
    row: dict[str, Any] = wait_for(
        f"{name} dead with exit status {status}",
        lambda: r if (r := lab.status()[name])["state"] in ("stopped", "failed") and r["exit"] == status else None,
        seconds,
    )
    return row


def last_line(lab: Lab, pane: str) -> str:
    """Return the last line of a pane that is not empty, with long lines joined."""
    return (lab.tmux("capture-pane", "-J", "-p", "-t", pane).rstrip().splitlines() or [""])[-1]


def run_again(lab: Lab, pane: str, command: str) -> None:
    """Press arrow-up and Enter at the shell of a pane. ``command``: text that the line must contain."""
    wait_for("a shell", lambda: last_line(lab, pane).endswith(("$", "#")))
    lab.tmux("send-keys", "-t", pane, "Up")
    wait_for("the command", lambda: command in last_line(lab, pane))
    lab.tmux("send-keys", "-t", pane, "Enter")
