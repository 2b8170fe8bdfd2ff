"""A full disk below the run directory: a lab can still be stopped, and errors name the file.

RLIMIT_FSIZE keeps files from growing, so writes fail as on a full disk.
"""

import contextlib
import logging
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from sppr import log
from sppr.lab.state import state as states


@contextlib.contextmanager
def full() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_session_can_be_locked_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPPR_RUN_DIR", str(tmp_path))
    with full(), states.locked("lab"):
        assert (tmp_path / "lab.lock").exists()


def test_log_entry_that_cannot_be_written_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours = logging.getLogger("sppr")
    before = ours.handlers[:], ours.level, ours.propagate
    try:
        log.log_to(tmp_path / "sppr.log")
        with full():
            ours.info("a line")
        assert (tmp_path / "sppr.log").read_text() == "" and capsys.readouterr().err == ""
    finally:
        ours.handlers[:], ours.level, ours.propagate = before


def test_error_names_the_file_that_cannot_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "state.json").write_text("{}")
    with pytest.raises(OSError) as message, full():
        states.record_start(folder, "pri", ["spp_primary"])
    assert message.value.filename == str(folder / "pri.program")
    assert [path.name for path in folder.iterdir()] == ["state.json"]
