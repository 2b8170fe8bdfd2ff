"""A lab of a test's own: folder, ports, tap names, tmux server and run directory, so that no other lab is touched."""

import contextlib
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


_blocks = itertools.count(os.getpid())


def free_ports(count: int) -> list[int]:
    """Ports of a block of their own: one that the kernel gives out may be another test's by the time it is used."""
    while True:
        first = ssh_ports()
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return list(range(first, first + count))


def ssh_ports() -> int:
    """The first of 200 ports that no other test of this run takes, below those the kernel gives out."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return 10000 + 6000 * worker + 200 * (next(_blocks) % 30)


@dataclass
class Lab:
    """``run`` calls sppr as a user would; ``env`` is pinned and hostile where a user's may be.
    ``prefix``: what every command is put behind, to be another user's."""

    folder: Path
    session: str
    env: dict[str, str] = field(default_factory=dict)
    pri: int = 0
    sec: int = 0
    rest: int = 0
    prefix: tuple[str, ...] = ()

    def write(self, extra: str = "") -> None:
        """conf.yml with ports and names of this lab's own, and ``extra`` lines."""
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
        """Rows of ``sppr status --json`` by name."""
        done = self.sppr("status", "--json", "--session", self.session)
        assert done.stdout, done.stderr
        return {row["name"]: row for row in json.loads(done.stdout)}

    def tmux(self, *words: str) -> str:
        command = [*self.prefix, "tmux", "-L", self.session, *words]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=False).stdout

    def processes(self) -> list[psutil.Process]:
        """Every process of this lab: each has its folder or its run directory in its arguments or environment."""
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
        """What a lab that is down must not leave. Its processes get 5 s: those that wrote a log end after ``down``."""
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
        """Socket files of its tmux server, whoever's that is: tmux leaves them behind."""
        return list(Path("/tmp").glob(f"tmux-*/{self.session}"))

    def end(self) -> None:
        """Whatever state the test left it in: nothing stays."""
        self.down()
        for process in self.processes():
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.Error:
                continue
        self.down()  # once more, where a process that hung kept it from its end
        self.tmux("kill-server")
        for page in HUGE.glob(f"{self.session}map_*"):
            page.unlink(missing_ok=True)
        for path in self.tmux_sockets():
            path.unlink(missing_ok=True)


def _unix_sockets() -> list[str]:
    """Paths that unix sockets of this machine are bound to."""
    lines = [line.split(maxsplit=7) for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return [fields[7] for fields in lines if len(fields) == 8]


def _name(process: psutil.Process) -> str | None:
    """Pid and name, None where it has ended meanwhile."""
    try:
        return f"{process.pid} {process.name()}"
    except psutil.NoSuchProcess:
        return None


def make(folder: Path, session: str, base: Path | None) -> Lab:
    """A lab below ``folder``, its base image a link to the one all tests share."""
    prepare_hugepages()
    home = folder / "home"
    for parent in (folder, *folder.parents):  # pytest's folders are 0700, and a lab of root drops VMs to a user
        if parent.is_relative_to("/tmp") and parent != Path("/tmp") and parent.owner() == "root":
            parent.chmod(parent.stat().st_mode | 0o011)
    for part in ("runscripts", "socks", "home", "run"):
        (folder / part).mkdir()
    if base is not None:
        (folder / "runscripts" / BASE_NAME).symlink_to(base)
    # What users have in their home, and what broke launchers before: T2, T3, T8, T16 of the known troubles.
    (home / ".tmux.conf").write_text("set -g base-index 1\nset -g automatic-rename on\nset -g default-command 'cat'\n")
    (home / ".bashrc").write_text("sleep 0.3\nwhile read -r -t 0.01 -n 1 _; do :; done\nPROMPT_COMMAND='true'\n")
    env = {
        "PATH": os.environ["PATH"], "HOME": str(home), "SHELL": "/bin/bash", "LC_ALL": "C", "TERM": "xterm",
        "SPPR_RUN_DIR": str(folder / "run"), "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    lab = Lab(folder, session, env)
    for path in lab.tmux_sockets():  # of a run before that was cut off
        path.unlink(missing_ok=True)
    lab.write()
    return lab


@contextlib.contextmanager
def chain_lab(folder: Path, session: str, base: Path | None, extra: str, *flags: str) -> Iterator[tuple[Lab, str]]:
    """A lab that wakeup brought up with ``extra`` in its conf.yml, VM 11 at secondary 2; and what wakeup printed."""
    lab = make(folder, session, base)
    lab.write(extra)
    lab.conf.write_text(lab.conf.read_text().replace("[{id: 11}", "[{id: 11, secondary: 2}"))
    try:
        done = lab.wakeup(*flags)
        assert done.returncode == 0, done.stdout + done.stderr
        yield lab, done.stdout
    finally:
        lab.end()


def wait_state(lab: Lab, name: str, wanted: str, seconds: float = 30) -> dict[str, Any]:
    """Wait until status tells ``wanted`` of a part, and return its row."""
    row: dict[str, Any] = wait_for(
        f"{name} {wanted}", lambda: r if (r := lab.status()[name])["state"] == wanted else None, seconds
    )
    return row


def wait_exit(lab: Lab, name: str, status: int, seconds: float = 30) -> dict[str, Any]:
    """Wait until a part is dead with this exit status, which its pane's shell writes a moment later. Its row."""
    row: dict[str, Any] = wait_for(
        f"{name} dead with exit status {status}",
        lambda: r if (r := lab.status()[name])["state"] in ("stopped", "failed") and r["exit"] == status else None,
        seconds,
    )
    return row


def last_line(lab: Lab, pane: str) -> str:
    """What stands in the last line of a pane that is not empty, as a user sees it (long lines joined)."""
    return (lab.tmux("capture-pane", "-J", "-p", "-t", pane).rstrip().splitlines() or [""])[-1]


def run_again(lab: Lab, pane: str, command: str) -> None:
    """Arrow-up and Enter, once the shell is there. ``command``: text of the line that must come up."""
    wait_for("a shell", lambda: last_line(lab, pane).endswith(("$", "#")))
    lab.tmux("send-keys", "-t", pane, "Up")
    wait_for("the command", lambda: command in last_line(lab, pane))
    lab.tmux("send-keys", "-t", pane, "Enter")
