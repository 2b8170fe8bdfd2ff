"""A wait ends at once for each of its four reasons, and says which and what it saw."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sppr.deadline import Deadline
from sppr.errors import LaunchError, NotReady
from sppr.ready import Exit, Wait, head, last_lines, tail, wait_ready


def wait(log: Path, ready: Callable[[], bool] = lambda: False, ended: Callable[[], Exit | None] = lambda: None) -> Wait:
    return Wait(
        "pri", "it to be connected", log, ready, ended, re.compile("PANIC.*"), lambda text: f"look: {len(text)}"
    )


def test_ready_wins_over_everything_else(tmp_path: Path) -> None:
    log = tmp_path / "pri.log"
    log.write_text("PANIC\n")
    assert wait_ready(wait(log, lambda: True, lambda: Exit(1)), Deadline(5)) < 1


def test_a_process_that_ended_ends_the_wait_with_its_status_and_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "pri.log"
    log.write_text("".join(f"line {n}\r\n" for n in range(9)))
    with pytest.raises(LaunchError) as e:
        wait_ready(wait(log, ended=lambda: Exit(3)), Deadline(60))
    assert e.value.what.startswith("pri ended with status 3 after 0.")
    assert "before it was ready\n    last: line 5\n" in e.value.what and f"log:  {log}" in e.value.what
    assert e.value.hint and e.value.hint.startswith("look")


def test_fatal_text_ends_the_wait_though_the_process_lives(tmp_path: Path) -> None:
    log = tmp_path / "pri.log"
    log.write_text("\x1b[2JPANIC in main\n")
    with pytest.raises(LaunchError, match="printed 'PANIC in main'"):
        wait_ready(wait(log), Deadline(60))


def test_the_deadline_says_what_was_awaited(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"pri was not ready after 0\.\d s: waited for it to be connected"):
        wait_ready(wait(tmp_path / "none"), Deadline(0.05))


def test_logs_are_read_without_colours_and_carriage_returns(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"\x1b[1;32mfirst\x1b[0m\r\nsecond\r\n\r\n\xff\n" + b"x" * 100_000)
    assert head(log, 40).startswith("first\nsecond\n")
    assert tail(log, 10) == "x" * 10
    assert last_lines(tmp_path / "none") == []
    assert str(Exit(139)) == "was ended by signal 11" and str(Exit(None)) == "ended"


GATE = "[pri waits for ctrler]\n"
END = "\n[pri ended with status 139] arrow-up and Enter run it again\n$ "


def test_what_an_earlier_run_printed_says_nothing_of_this_one(tmp_path: Path) -> None:
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


def test_the_last_line_of_a_part_is_of_its_last_run(tmp_path: Path) -> None:
    log = tmp_path / "pri.log"
    log.write_text(f"{GATE}first{END}{GATE}second{END}")
    assert last_lines(log) == ["second"]
    log.write_text(f"{GATE}first{END}{GATE}{END}")
    assert last_lines(log) == []
