"""Processes of this machine."""

import os
import subprocess
import sys
from pathlib import Path

from sppr.deadline import Deadline
from tests.conftest import ROOT

#: A shell in a terminal. When it closes, the kernel sends SIGHUP to the shell, and when that exits, to its programs.
SHELL = """
import os, signal, subprocess, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
os.close(os.open(os.ttyname(0), os.O_RDWR))  # the controlling terminal of this session
subprocess.run(sys.argv[1:])
"""
VERB = """
import pathlib, subprocess, sys
from sppr.host.process.processes import outlive_terminal
outlive_terminal()
started, result, client = sys.argv[1:]
done = subprocess.run([sys.executable, "-c", client, started], stdout=subprocess.PIPE, text=True)
pathlib.Path(result).write_text(f"{done.returncode} {done.stdout}")
"""
#: It sets the signal back, as a tmux client does.
CLIENT = """
import pathlib, signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)
pathlib.Path(sys.argv[1]).touch()
time.sleep(1)
print("output")
"""


def test_verb_and_its_programs_outlive_their_terminal(tmp_path: Path) -> None:
    started, result = tmp_path / "started", tmp_path / "result"
    master, slave = os.openpty()
    verb = [sys.executable, "-c", VERB, str(started), str(result), CLIENT]
    shell = subprocess.Popen([sys.executable, "-c", SHELL, *verb], cwd=ROOT, stdin=slave, start_new_session=True)
    os.close(slave)
    assert Deadline(20).poll(started.exists)
    os.close(master)
    assert shell.wait(20) < 0
    assert Deadline(20).poll(lambda: result.exists() and result.read_text() != "")
    assert result.read_text() == "0 output\n"
