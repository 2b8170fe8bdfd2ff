"""A user without root: only DPDK processes run as root, the password is requested once, and is stored nowhere."""

import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import psutil
import pytest

from sppr.host.root import askpass
from sppr.images.store import Store
from sppr.lab.up.artifacts import create_key
from tests.conftest import ROOT
from tests.live import labs
from tests.live.dataplane_lab import wait_for
from tests.live.labs import Lab, wait_state

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="makes a user, which needs root"),
]

PROMPT = r"\[sppr\] sudo password for \S+ \(spp_primary and spp_nfv run as root\): "
PANE_PROMPT = "[sudo] password for"


class User:
    """A user of this machine, with a password and rules in sudoers."""

    def __init__(self, folder: Path) -> None:
        self.name = f"sppr{os.getpid() % 1000000}"
        self.password = f"Pw{secrets.token_hex(12)}"
        self.sudoers = Path("/etc/sudoers.d") / self.name
        home = str(folder / "home")
        subprocess.run(["useradd", "-M", "-d", home, "-s", "/bin/bash", self.name], check=True, capture_output=True)
        subprocess.run(["chpasswd"], input=f"{self.name}:{self.password}", text=True, check=True)
        self.uid = pwd.getpwnam(self.name).pw_uid

    def may(self, rule: str) -> None:
        """Replace the rules of this user."""
        temporary = self.sudoers.with_name(f"{self.name}.new")  # a name with a dot is not read
        temporary.write_text(f"{rule}\n")
        temporary.chmod(0o440)
        subprocess.run(["visudo", "-cqf", temporary], check=True)
        temporary.rename(self.sudoers)

    def remove(self) -> None:
        self.sudoers.unlink(missing_ok=True)
        for left in (Path("/run/sudo/ts") / self.name, Path(f"/tmp/tmux-{self.uid}")):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
        subprocess.run(["userdel", self.name], check=True, capture_output=True)


@contextlib.contextmanager
def open_to_all(*paths: Path) -> Iterator[None]:
    """Make the folders accessible for every user: a clone may be below /root, or in a folder of mktemp."""
    closed = {}
    for path in {place for p in paths for place in (p, *p.parents)}:
        mode = path.stat().st_mode & 0o7777
        needed = 0o005 if path in paths and path.is_dir() else 0o001
        if path.is_dir() and mode & needed != needed:
            closed[path] = mode
            path.chmod(mode | needed)
    try:
        yield
    finally:
        for path, mode in closed.items():
            path.chmod(mode)


@pytest.fixture(scope="module")
def user() -> Iterator[tuple[User, Path]]:
    folder = Path(tempfile.mkdtemp(prefix="sppr-user-"))
    made = User(folder)
    try:
        with open_to_all(ROOT, Path(sys.prefix).resolve()):
            yield made, folder
    finally:
        made.remove()
        shutil.rmtree(folder)


@pytest.fixture
def lab(user: tuple[User, Path], programs: None, base_image: Path, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A lab in a folder of the user. Its commands run as this user, without a terminal."""
    owner, folder = user
    for old in folder.iterdir():  # the folder is the home of the user, so each lab has the same
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    made = labs.make(folder, f"priv{request.node.name[5]}", base_image)
    made.env |= {"USER": owner.name, "LOGNAME": owner.name}
    made.prefix = ("setsid", "--wait", "setpriv", f"--reuid={owner.uid}", f"--regid={owner.uid}", "--init-groups", "--")
    subprocess.run(["chown", "-R", f"{owner.uid}:{owner.uid}", folder], check=True)
    folder.chmod(0o700)
    try:
        yield made
    finally:
        made.end()


def uids(lab: Lab) -> dict[str, int]:
    """Return the uid of the program of each part: that of sudo's child, if the process is sudo."""
    found = {}
    for name, row in lab.status().items():
        process = psutil.Process(row["pid"])
        while process.name() == "sudo":
            process = process.children()[0]
        found[name] = process.uids().effective
    return found


def in_terminal(lab: Lab, argv: list[str]) -> Any:
    """Run a command of the user in a terminal of its own."""
    words = list(lab.prefix[2:])  # pexpect made the session
    return pexpect.spawn(words[0], [*words[1:], *argv], env=lab.env, cwd=str(lab.folder), timeout=120, encoding="utf-8")


def test_sudoers_line_is_printed_without_a_terminal_and_avoids_the_password(lab: Lab, user: tuple[User, Path]) -> None:
    owner, folder = user
    ends = "{tap:0: {netns: client, address: 10.20.0.1/24}}"
    lab.write(f"chains: {{web: {{path: [tap:0, vm_v11, tap:1], ends: {ends}}}}}\n")
    os.chown(lab.conf, owner.uid, owner.uid)
    owner.may(f"{owner.name} ALL=(ALL) ALL")
    refused = lab.wakeup("-ns", "2", "-nr", "0", "-nv", "1")
    assert refused.returncode == 3 and "but there is no terminal" in refused.stderr, refused.stdout + refused.stderr
    line = re.search(
        rf"^ +({owner.name} ALL=\(root\) NOPASSWD: /\S+/spp_primary, /\S+/spp_nfv, .+)$", refused.stderr, re.M
    )
    assert line, refused.stderr
    assert lab.tmux("list-sessions") == "" and not lab.state.exists()

    owner.may(line[1])
    done = lab.wakeup("-ns", "2", "-nr", "0", "-nv", "1", "--prove")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pass: consistency, reach, trace" in done.stdout
    space = f"{lab.session}-client"
    inside = subprocess.run(["ip", "-n", space, "-br", "address"], capture_output=True, text=True, check=True).stdout
    assert f"{lab.tap}a" in inside and "10.20.0.1/24" in inside
    assert uids(lab) == {"ctrler": owner.uid, "pri": 0, "sec1": 0, "sec2": 0, "vm_v11": owner.uid}
    log = (lab.state / "pri.log").read_text()
    assert re.search(r"\$ \S*/sudo -- \S+/spp_primary .+--proc-type primary", log), "each command is seen in its pane"
    wait_for("the guest", lambda: "vhost:11: a guest connected" in (lab.state / "sec1.log").read_text())
    assert (folder / "socks/sock11").stat().st_uid == owner.uid

    ping = ["ip", "netns", "exec", space, "ping", "-c", "30", "-i", "0.2", "10.20.0.9"]
    with subprocess.Popen(ping, stdout=subprocess.DEVNULL) as traffic:
        done = lab.sppr("capture", "web", "-c", "4", "-w", str(folder / "web.pcapng"), timeout=60)
        traffic.kill()
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "web.pcapng").stat().st_size > 500

    row = lab.status()["sec2"]
    lab.tmux("send-keys", "-t", row["pane"], "C-c")
    wait_for("its exit status", lambda: lab.status()["sec2"]["exit"] == 0)
    again(lab, row["pane"])
    assert wait_state(lab, "sec2", "ready")["pid"] != row["pid"]

    assert [str(p) for p in folder.rglob("*") if p.lstat().st_uid != owner.uid] == []
    # stop sudo, which would continue its child, and the child of root, which is killed by another sudo
    hung = psutil.Process(lab.status()["sec1"]["pid"])
    for process in (hung, *hung.children(recursive=True)):
        process.send_signal(signal.SIGSTOP)
    done = lab.down()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sec1 stopped (SIGKILL)" in done.stdout and "sec2 stopped (exit)" in done.stdout
    assert "kill -KILL" in done.stderr and "rm -rf /run/dpdk" in done.stderr, "each command is shown"
    assert f"ip netns delete {space}" in done.stderr and not Path(f"/run/netns/{space}").exists()
    assert lab.leftovers() == []


def again(lab: Lab, pane: str) -> None:
    """Arrow-up and Enter."""
    last = lambda: (lab.tmux("capture-pane", "-J", "-p", "-t", pane).rstrip().splitlines() or [""])[-1]  # noqa: E731
    wait_for("a shell", lambda: last().endswith("$"))
    lab.tmux("send-keys", "-t", pane, "Up")
    wait_for("the command", lambda: "secondary.py" in last())
    lab.tmux("send-keys", "-t", pane, "Enter")


def type_secret(lab: Lab, pane: str, text: str) -> None:
    """Type the password in the terminal: it is never in the arguments of a process."""
    tmux = [*lab.prefix, "tmux", "-L", lab.session]
    subprocess.run([*tmux, "load-buffer", "-"], input=f"{text}\n", text=True, env=lab.env, check=True)
    subprocess.run([*tmux, "paste-buffer", "-d", "-t", pane], env=lab.env, check=True)


def traces(secret: bytes, folders: list[Path]) -> list[str]:
    """Return the places where ``secret`` can be read: arguments and environments of all processes, and files."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                if secret in (process / name).read_bytes():
                    found.append(f"{process}/{name}")
            except OSError:
                continue
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and path.stat().st_size < 1 << 20 and secret in path.read_bytes():
                found.append(str(path))
    return found


def test_password_is_requested_once_and_stored_nowhere(lab: Lab, user: tuple[User, Path]) -> None:
    owner, folder = user
    owner.may(f"{owner.name} ALL=(ALL) ALL")
    secret = owner.password.encode()
    found: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            found.update(traces(secret, [folder]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        terminal = in_terminal(lab, lab.wakeup_argv("-ns", "2", "-nr", "0", "-nv", "0", "--detach")[len(lab.prefix) :])
        terminal.expect(PROMPT)
        terminal.sendline("not the password")
        terminal.expect("Sorry, try again")
        terminal.expect(PROMPT)
        terminal.sendline(owner.password)
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == 0, terminal.before
        assert "assword" not in terminal.before, "once"
        assert uids(lab) == {"ctrler": owner.uid, "pri": 0, "sec1": 0, "sec2": 0}
        assert not (lab.state / "ask.sock").exists() and not (lab.state / "askpass").exists()

        # after the end of wakeup its tickets are invalid: sudo asks in the pane
        for ticket in (owner.name, str(owner.uid)):  # of sudo 1.9.13, and of 1.9.16
            (Path("/run/sudo/ts") / ticket).unlink(missing_ok=True)
        row = lab.status()["sec2"]
        lab.tmux("send-keys", "-t", row["pane"], "C-c")
        wait_state(lab, "sec2", "stopped")
        again(lab, row["pane"])
        wait_for("sudo", lambda: PANE_PROMPT in lab.tmux("capture-pane", "-p", "-t", row["pane"]))
        type_secret(lab, row["pane"], owner.password)
        wait_state(lab, "sec2", "ready")
        panes = lab.tmux("list-panes", "-s", "-t", f"={lab.session}:", "-F", "#{pane_id}").split()
        screens = "".join(lab.tmux("capture-pane", "-p", "-S", "-", "-t", pane) for pane in panes)
        assert "spp_nfv: connected" in screens and owner.password not in screens
    finally:
        over.set()
        watcher.join()
    assert found == set()
    down_in_terminal(lab, owner)


def down_in_terminal(lab: Lab, owner: User) -> None:
    """``down`` removes files of root, so sudo asks once in this terminal. Without a terminal it is an error."""
    refused = lab.down()
    assert refused.returncode == 3 and "sudo refused: sudo /usr/bin/" in refused.stderr, refused.stderr
    assert f"{owner.name} ALL=(root) NOPASSWD: /usr/bin/" in refused.stderr and lab.state.exists()
    terminal = in_terminal(lab, [sys.executable, "-m", "sppr", "down", "--session", lab.session])
    terminal.expect_exact(PANE_PROMPT)
    terminal.sendline(owner.password)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0 and PANE_PROMPT not in terminal.before, terminal.before
    assert lab.leftovers() == []


def test_files_of_root_in_a_user_folder_belong_to_the_user(user: tuple[User, Path], base_image: Path) -> None:
    """After ``sudo wakeup``: images, key and ssh_config."""
    owner, folder = user
    images = folder / "images"
    images.mkdir()
    (images / base_image.name).symlink_to(base_image)
    os.chown(images, owner.uid, owner.uid)
    store = Store(images, base_image.name, "qcow2")
    store.ensure_instance("vhost", 11, print)
    create_key(images / "lab_key.pub")
    made = {path.relative_to(images): path.stat().st_uid for path in images.rglob("*") if not path.is_symlink()}
    assert len(made) == 6 and set(made.values()) == {owner.uid}, made


def test_askpass_serves_the_password_only_to_this_user_and_while_open(user: tuple[User, Path]) -> None:
    owner, folder = user
    with askpass.serve(folder, "s3cret") as helper:
        assert askpass.helper(folder) == helper
        assert subprocess.run([helper, "Password:"], capture_output=True, check=True).stdout == b"s3cret\n"
        folder.chmod(0o755)  # the folder is not the only protection
        helper.chmod(0o755)
        (folder / "ask.sock").chmod(0o777)
        other = subprocess.run([helper], user=owner.uid, group=owner.uid, capture_output=True, check=False)
        assert (other.returncode, other.stdout) == (1, b"")
    assert askpass.helper(folder) is None and not helper.exists() and not (folder / "ask.sock").exists()


def test_sockets_of_root_can_be_given_to_the_user_or_removed(user: tuple[User, Path]) -> None:
    """SPP's own programs create sockets as root, so the user changes the owner by sudo."""
    owner, folder = user
    owner.may(f"{owner.name} ALL=(root) NOPASSWD: ALL")
    folder.chmod(0o1777)
    paths = [folder / name for name in ("one", "two")]
    sockets = [socket.socket(socket.AF_UNIX) for _ in paths]
    for path, made in zip(paths, sockets, strict=True):
        made.bind(str(path))
        made.close()
    code = (
        "import sys; from pathlib import Path; from sppr.host.root import privilege;"
        "privilege.give_to_user(Path(sys.argv[1])); privilege.remove(Path(sys.argv[2]))"
    )
    words = ["setpriv", f"--reuid={owner.uid}", f"--regid={owner.uid}", "--init-groups", sys.executable, "-c", code]
    subprocess.run([*words, *paths], env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}, check=True)
    assert paths[0].stat().st_uid == owner.uid and not paths[1].exists()


@pytest.mark.parametrize(("kind", "asks"), [("tty", "True"), ("global", "False")])
def test_sudo_ticket_is_valid_in_panes_by_its_timestamp_type(user: tuple[User, Path], kind: str, asks: str) -> None:
    """wakeup checks this before it asks for a password. The ticket belongs to the terminal of wakeup."""
    owner, folder = user
    folder.chmod(0o755)
    owner.may(f"Defaults:{owner.name} timestamp_type={kind}\n{owner.name} ALL=(ALL) ALL")
    code = (
        "import subprocess, sys; from sppr.host.root import privilege;"
        "subprocess.run(['sudo', '-v'], check=True);"
        "subprocess.run(['sudo', '-n', 'true'], check=True);"
        "print('asks:', privilege.asks_in_panes([sys.argv[1]]))"
    )
    words = [f"--reuid={owner.uid}", f"--regid={owner.uid}", "--init-groups", sys.executable, "-c", code, "/bin/true"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    terminal = pexpect.spawn("setpriv", words, env=env, cwd="/", timeout=60, encoding="utf-8")
    terminal.expect_exact(PANE_PROMPT)
    terminal.sendline(owner.password)
    terminal.expect(r"asks: (\w+)")
    assert terminal.match[1] == asks
    terminal.close()
