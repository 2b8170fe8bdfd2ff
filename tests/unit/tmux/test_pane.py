"""The script of a pane, run by /bin/sh with programs that fail."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sppr.deadline import Deadline
from sppr.lab.state import state as states
from sppr.tmux import pane
from sppr.tmux.pane import PaneFiles, Restart
from sppr.wait import last_lines


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run the pane script of a program (text of a shell script), open its gate, and return its output."""
    monkeypatch.setenv("SHELL", "/bin/bash")
    files = PaneFiles(tmp_path, "part")

    def run(program: str, restart: Restart | None, *, ready: bool = True, shell: str = "/bin/sh") -> str:
        (tmp_path / "program").write_text(f"#!/bin/sh\necho ran >>{tmp_path}/runs\n{program}\n")
        (tmp_path / "program").chmod(0o755)
        pane.write(files, [str(tmp_path / "program")], tmp_path, (), {}, restart)
        if ready:
            files.supervised.touch()
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "dumb"}
        with files.log.open("wb") as log:
            script = subprocess.Popen([shell, files.script], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
            pane.open_gate(files, Deadline(20))
            script.wait(60)
        return files.log.read_text()

    return run


def runs(tmp_path: Path) -> int:
    return (tmp_path / "runs").read_text().count("ran")


def test_restarts_are_limited_and_slow_down(run: Callable[..., str], tmp_path: Path) -> None:
    output = run("echo no; exit 7", Restart(3, 0.1))
    assert runs(tmp_path) == 4 and (tmp_path / "part.restarts").read_text() == "3\n"
    for number, pause in enumerate(("0.100", "0.200", "0.400"), 1):
        message = (
            f"[part exited with status 7] restarting in {pause} s ({number} of 3 in a row); Ctrl-C cancels the restart"
        )
        assert output.count(message) == 1
    assert "[part was restarted 3 times in a row: no more automatic restarts]" in output
    assert output.index("no more automatic restarts") < output.index(
        "[part exited with status 7] press arrow-up and Enter to run it again"
    )
    assert (tmp_path / "part.exit").read_text() == "7\n"
    assert last_lines(tmp_path / "part.log", 1) == ["no"]


def test_long_run_resets_the_restart_count(run: Callable[..., str], tmp_path: Path) -> None:
    stop_in_the_end = f"[ $(wc -l <{tmp_path}/runs) -lt 5 ] || exit 0; kill -KILL $$"
    output = run(stop_in_the_end, Restart(1, 0.1, stable_s=0))
    assert runs(tmp_path) == 5 and output.count("status 137] restarting in 0.100 s (1 of 1 in a row)") == 4
    assert (tmp_path / "part.restarts").read_text() == "4\n" and (tmp_path / "part.exit").read_text() == "0\n"


@pytest.mark.parametrize("end", ["exit 0", "kill -INT $$", "kill -TERM $$", "kill -HUP $$", "exit 130"])
def test_part_stopped_by_a_user_is_not_restarted(run: Callable[..., str], tmp_path: Path, end: str) -> None:
    output = run(end, Restart(5, 0.1))
    assert runs(tmp_path) == 1 and "restarting in" not in output


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
@pytest.mark.parametrize(
    ("end", "kept", "shown"),
    [
        ("exit 255", -1, "exited with status 255"),
        ("exit 137", -119, "exited with status 137"),
        ("exit 128", 128, "exited with status 128"),
        ("exit 1", 1, "exited with status 1"),
        ("kill -KILL $$", 137, "was killed by signal 9"),
        ("kill -SEGV $$", 139, "was killed by signal 11"),
        ("kill -TERM $$", 143, "was killed by signal 15"),
        ("kill -INT $$", 130, "was killed by signal 2"),
        ("kill -PIPE $$", 141, "was killed by signal 13"),
        ("echo oops >&2; exit 255", -1, "exited with status 255"),
    ],
)
def test_exit_status_is_a_signal_only_if_the_kernel_reports_one(
    run: Callable[..., str], tmp_path: Path, shell: str, end: str, kept: int, shown: str
) -> None:
    printed = run(end, None, shell=shell)
    assert (tmp_path / "part.exit").read_text() == f"{kept}\n"
    assert str(states.last_exit(PaneFiles(tmp_path, "part"))) == shown
    assert ("oops" in printed) == ("oops" in end) and ("Killed" in printed) == ("KILL" in end)


@pytest.mark.parametrize("status", [143, 129])
def test_program_that_exits_with_a_signal_number_is_restarted(
    run: Callable[..., str], tmp_path: Path, status: int
) -> None:
    run(f"exit {status}", Restart(1, 0.01))
    assert runs(tmp_path) == 2


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_program_runs_when_its_report_cannot_be_written(run: Callable[..., str], tmp_path: Path, shell: str) -> None:
    (tmp_path / "part.report").mkdir()
    assert "oops" in run("echo oops >&2; exit 7", None, shell=shell)
    assert runs(tmp_path) == 1 and (tmp_path / "part.exit").read_text() == "7\n"


def test_without_a_policy_nothing_is_restarted(run: Callable[..., str], tmp_path: Path) -> None:
    assert "restarting in" not in run("exit 1", None) and runs(tmp_path) == 1


def test_part_that_was_never_ready_is_not_restarted(run: Callable[..., str], tmp_path: Path) -> None:
    assert "restarting in" not in run("exit 1", Restart(5, 0.1), ready=False) and runs(tmp_path) == 1


def test_part_being_stopped_is_not_restarted(run: Callable[..., str], tmp_path: Path) -> None:
    assert "restarting in" not in run(f"touch {tmp_path}/part.stopped; kill -KILL $$", Restart(5, 0.1))
    assert runs(tmp_path) == 1


def test_runscript_detects_that_a_pane_runs_it(run: Callable[..., str], tmp_path: Path) -> None:
    rc = tmp_path / ".bashrc"
    rc.write_text(f'echo "shell: ${{{pane.POLICY_VARIABLE}-nobody}}" >>{tmp_path}/who\n')
    run(f'echo "${{{pane.POLICY_VARIABLE}-nobody}}" >>{tmp_path}/who; exit 7', Restart(1, 0.01))
    assert (tmp_path / "who").read_text().splitlines() == ["nobody", "yes", "shell: nobody"]


def test_last_line_while_waiting_for_a_restart_is_of_the_program(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "EAL: bad\n\n[sec1 exited with status 1] restarting in 4.000 s (3 of 5 in a row); Ctrl-C cancels the restart\n"
    )
    assert last_lines(log, 1) == ["EAL: bad"]
