"""With a terminal, wakeup attaches to the session, or switches to it inside tmux. Tab completes commands."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.conftest import ROOT
from tests.live import labs
from tests.live.dataplane_lab import wait_for
from tests.live.labs import Lab

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]
SMALL = ["-ns", "0", "-nr", "0", "-nv", "0"]


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with labs.private(tmp_path_factory.mktemp("lab"), "testlab3", None) as made:
        yield made


def spawn(lab: Lab, *command: str) -> "pexpect.spawn[str]":
    """Start a command in a terminal."""
    return pexpect.spawn(command[0], list(command[1:]), env=lab.env, encoding="utf-8", dimensions=(40, 120), timeout=60)


def wakeup(lab: Lab) -> list[str]:
    return [str(ROOT / "bin/wakeup.py"), "--conf", str(lab.conf), "--socket-name", lab.session, *SMALL]


def clients(lab: Lab) -> list[str]:
    return lab.tmux("list-clients", "-F", "#{client_session} #{window_name}").splitlines()


def test_terminal_shows_progress_and_is_attached(lab: Lab) -> None:
    terminal = spawn(lab, *wakeup(lab))
    terminal.expect("waiting for it to be connected to the controller")
    wait_for("a client", lambda: clients(lab) == ["testlab3 w0"], 60)
    terminal.send("\x02d")
    terminal.expect(r"\[detached \(from session testlab3\)\]")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    again = spawn(lab, sys.executable, "-m", "sppr", "attach", "--session", "testlab3")
    wait_for("a client", lambda: clients(lab) == ["testlab3 w0"])
    again.close(force=True)


def test_t07_client_of_the_same_tmux_server_is_switched(lab: Lab) -> None:
    outer = spawn(lab, "tmux", "-L", lab.session, "new-session", "-s", "outer", "/bin/sh")
    wait_for("a client", lambda: clients(lab))
    wait_for("a prompt", lambda: labs.last_line(lab, "=outer:").endswith(("$", "#")))  # keys before it are lost
    outer.send(" ".join(wakeup(lab)) + "\r")
    wait_for("the switch", lambda: clients(lab) == ["testlab3 w0"], 60)
    outer.close(force=True)


def test_t07_inside_another_tmux_server_the_command_is_printed(lab: Lab) -> None:
    lab.env["TMUX"] = "/tmp/tmux-0/somebody,1,0"
    terminal = spawn(lab, *wakeup(lab))
    terminal.expect("inside another tmux server")
    terminal.expect("env -u TMUX tmux -L testlab3 attach -t =testlab3")
    terminal.expect(pexpect.EOF)
    assert clients(lab) == []


def test_arrow_up_in_zsh_gives_the_command(lab: Lab) -> None:
    lab.env["SHELL"] = "/usr/bin/zsh"
    (lab.folder / "home" / ".zshrc").write_text("PS1='mine> '\n")
    done = lab.wakeup("-ns", "1", "-nr", "0", "-nv", "0")
    assert done.returncode == 0, done.stderr
    row = lab.status()["sec1"]
    lab.tmux("send-keys", "-t", row["pane"], "C-c")
    wait_for("its exit status", lambda: lab.status()["sec1"]["exit"] == 0)

    def last_line() -> str:
        return (lab.tmux("capture-pane", "-J", "-p", "-t", row["pane"]).rstrip().splitlines() or [""])[-1]

    wait_for("their own prompt", lambda: last_line().endswith("mine>"))
    lab.tmux("send-keys", "-t", row["pane"], "Up")
    wait_for("the command", lambda: "-i 1" in last_line())
    lab.tmux("send-keys", "-t", row["pane"], "Enter")
    assert labs.wait_state(lab, "sec1", "ready")["pid"] != row["pid"]


@pytest.mark.parametrize(
    ("program", "words", "offered"),
    [
        ("sppr", "sppr st", "plain,status"),
        ("sppr", "sppr up --no", "plain,--nof-sec"),
        ("wakeup", "wakeup --vd", "plain,--vdev-tap"),
    ],
)
def test_tab_completes_commands_and_options(program: str, words: str, offered: str) -> None:
    typed = words.split()
    env = os.environ | {
        f"_{program.upper()}_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(typed) - 1),
    }  # fmt: skip
    command = [Path(sys.executable).parent / program]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert offered in done.stdout.splitlines(), done.stderr
