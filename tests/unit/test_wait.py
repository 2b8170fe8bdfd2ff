"""A wait ends at once for each of its reasons, and reports the reason and the last output."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sppr.deadline import Deadline
from sppr.errors import LaunchError, NotReady
from sppr.wait import HARD_LIMIT, LOG_QUIET, Exit, Wait, Work, head, last_lines, tail, wait_ready, work_of
from tests.unit.test_deadline import Clock, deadline


def wait(log: Path, ready: Callable[[], bool] = lambda: False, ended: Callable[[], Exit | None] = lambda: None) -> Wait:
    return Wait(
        "pri", "it to be connected", log, ready, ended, re.compile("PANIC.*"), lambda text: f"look: {len(text)}"
    )


def test_ready_has_priority_over_every_other_reason(tmp_path: Path) -> None:
    log = tmp_path / "pri.log"
    log.write_text("PANIC\n")
    assert wait_ready(wait(log, lambda: True, lambda: Exit(1)), Deadline(5)) < 1


def test_exited_process_ends_the_wait_with_status_and_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "pri.log"
    log.write_text("".join(f"line {n}\r\n" for n in range(9)))
    with pytest.raises(LaunchError) as e:
        wait_ready(wait(log, ended=lambda: Exit(3)), Deadline(60))
    assert e.value.what.startswith("pri: exited with status 3 before it was ready (0.")
    assert " s)\n    last: line 5\n" in e.value.what and f"log:  {log}" in e.value.what
    assert e.value.hint and e.value.hint.startswith("look")


def test_output_that_arrives_after_the_exit_is_in_the_message(tmp_path: Path) -> None:
    log = tmp_path / "pri.log"
    log.write_text("$ primary.py\n")

    def print_late() -> None:
        with log.open("a") as file:
            for number in range(3):
                time.sleep(LOG_QUIET / 2)
                file.write(f"EAL: line {number}\n")
                file.flush()

    thread = threading.Thread(target=print_late)
    thread.start()
    with pytest.raises(LaunchError, match="last: EAL: line 2\n"):
        wait_ready(wait(log, ended=lambda: Exit(3)), Deadline(60))
    thread.join()


def test_fatal_text_ends_the_wait_of_a_running_process(tmp_path: Path) -> None:
    log = tmp_path / "pri.log"
    log.write_text("\x1b[2JPANIC in main\n")
    with pytest.raises(LaunchError, match="printed 'PANIC in main'"):
        wait_ready(wait(log), Deadline(60))


def test_deadline_message_names_the_condition(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"pri: not ready after 0\.\d s, waited for it to be connected"):
        wait_ready(wait(tmp_path / "none"), Deadline(0.05))


def waited(log: Path, clock: Clock, work: Callable[[], Work], limit: float = 40) -> str:
    """Return the message of a wait for a part that never becomes ready."""
    never = replace(wait(log), limit=limit, work=work)
    with pytest.raises(NotReady) as e:
        wait_ready(never, deadline(clock, limit * HARD_LIMIT), 0.25)
    return e.value.what.splitlines()[0]


def test_wait_without_progress_ends_at_its_limit(tmp_path: Path) -> None:
    clock = Clock()
    message = waited(tmp_path / "none", clock, lambda: Work((1,), 0.05 * clock.now))
    assert message == "pri: not ready after 40.0 s, waited for it to be connected (no progress for 40 s)"


def test_limit_starts_at_the_last_progress(tmp_path: Path) -> None:
    clock = Clock()
    message = waited(tmp_path / "none", clock, lambda: Work((min(clock.now, 100),)))
    assert "pri: not ready after 140.0 s" in message and message.endswith("(no progress for 40 s)")


@pytest.mark.parametrize("kind", ["prints", "spins", "spins with a quarter of a core"])
def test_busy_part_ends_at_the_hard_limit(tmp_path: Path, kind: str) -> None:
    clock = Clock()
    works = {"prints": lambda: Work((clock.now,)), "spins": lambda: Work((), clock.now)}
    message = waited(tmp_path / "none", clock, works.get(kind, lambda: Work((), clock.now / 4)))
    assert message == "pri: not ready after 200.0 s, waited for it to be connected (still busy after 200 s)"


def test_slow_part_with_progress_is_awaited(tmp_path: Path) -> None:
    clock = Clock()
    slow = replace(wait(tmp_path / "none", lambda: clock.now >= 120), limit=40, work=lambda: Work((clock.now // 30,)))
    assert wait_ready(slow, deadline(clock, 200), 0.25) == 120


def test_limit_can_be_shorter_than_the_poll_interval(tmp_path: Path) -> None:
    clock = Clock()
    assert waited(tmp_path / "none", clock, lambda: Work((clock.now,)), 0.8).endswith("(still busy after 4 s)")


def test_fatal_text_can_have_priority_over_ready(tmp_path: Path) -> None:
    log = tmp_path / "pri.log"
    log.write_text("PANIC\n")
    with pytest.raises(LaunchError, match="printed 'PANIC'"):
        wait_ready(replace(wait(log, lambda: True), fatal_first=True), Deadline(5))


SPIN = """\
import subprocess, sys, threading, time
if sys.argv[1:] == ["spin"]:
    while True:
        pass
if sys.argv[1:] == ["worker"]:
    threading.Thread(target=lambda: [None for _ in iter(int, 1)]).start()
    time.sleep(60)
subprocess.run([sys.executable, __file__, "spin"])
"""


@pytest.mark.parametrize(
    ("word", "main_threads", "busy"),
    [("", False, True), ("", True, True), ("worker", False, True), ("worker", True, False)],
)
def test_progress_counts_cpu_time_of_tree_or_main_threads(
    tmp_path: Path, word: str, main_threads: bool, busy: bool
) -> None:
    script = tmp_path / "spin.py"
    script.write_text(SPIN)
    process = subprocess.Popen([sys.executable, script, *word.split()], process_group=0)
    try:
        Deadline(0.5).poll(lambda: None)  # the interpreter starts
        before = work_of(process.pid, [], main_threads=main_threads)
        used = Deadline(3.0 if busy else 0.5).poll(
            lambda: work_of(process.pid, [], main_threads=main_threads).cpu - before.cpu > 0.1
        )
        assert bool(used) is busy
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def test_progress_without_a_process_counts_log_bytes(tmp_path: Path) -> None:
    log = tmp_path / "pri.log"
    none = work_of(0, [log], main_threads=True)
    log.write_text("x")
    some = work_of(0, [log], main_threads=True)
    assert some.is_progress(none, 1) and not some.is_progress(work_of(0, [log], main_threads=True), 1)
    log.rename(tmp_path / "pri.log.1")
    log.write_text("y")
    assert work_of(0, [log], main_threads=True).is_progress(some, 1)


def test_logs_are_read_as_plain_text(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"\x1b[1;32mfirst\x1b[0m\r\nsecond\r\n\r\n\xff\n" + b"x" * 100_000)
    assert head(log, 40).startswith("first\nsecond\n")
    assert tail(log, 10) == "x" * 10
    assert last_lines(tmp_path / "none") == []
    assert str(Exit(139)) == "was killed by signal 11" and str(Exit(None)) == "exited"


GATE = "[pri waits for ctrler]\n"
END = "\n[pri exited with status 139] press arrow-up and Enter to run it again\n$ "


def test_output_of_an_earlier_run_is_ignored(tmp_path: Path) -> None:
    log = tmp_path / "pri.log"
    log.write_text(f"{GATE}PANIC in main{END}{GATE}all is well\n")
    with pytest.raises(NotReady) as e:
        wait_ready(wait(log), Deadline(0.05))
    assert "last: all is well" in e.value.what and "PANIC" not in e.value.what and e.value.hint == "look: 11"
    log.write_text(f"{GATE}PANIC in main{END}\nsppr@host$ again\nall is well\n")
    with pytest.raises(NotReady):
        wait_ready(wait(log), Deadline(0.05))
    log.write_text(f"{GATE}all is well{END}{GATE}PANIC in main\n")
    with pytest.raises(LaunchError, match="printed 'PANIC in main'"):
        wait_ready(wait(log), Deadline(60))


def test_last_line_is_of_the_last_run(tmp_path: Path) -> None:
    log = tmp_path / "pri.log"
    log.write_text(f"{GATE}first{END}{GATE}second{END}")
    assert last_lines(log) == ["second"]
    log.write_text(f"{GATE}first{END}{GATE}{END}")
    assert last_lines(log) == []
