"""Temporary folders of commands over several hosts."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from sppr.hosts import scratch


@pytest.fixture(autouse=True)
def tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def make_old(path: Path) -> None:
    past = time.time() - scratch.ABANDONED_AFTER - 1
    os.utime(path, (past, past))


def test_folder_of_a_killed_process_is_removed_by_the_next_one(tmp: Path) -> None:
    code = "from sppr.hosts import scratch\nwith scratch.folder() as f: print(f, flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp)},
    )  # fmt: skip
    assert process.stdout and process.stdin
    left = Path(process.stdout.readline().strip())
    assert left.parent == tmp
    (left / "inventory.json").touch()
    make_old(left)
    scratch.remove_abandoned()
    assert left.exists(), "its process lives"
    process.kill()
    process.wait()
    process.stdout.close()
    process.stdin.close()
    with scratch.folder() as mine:
        assert not left.exists() and mine.stat().st_mode & 0o777 == 0o700
    assert not list(tmp.iterdir())


def test_folders_of_others_stay(tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sppr-hosts-young", "sppr-hosts-old", "other"):
        (tmp / name).mkdir()
    (tmp / "sppr-hosts-link").symlink_to(tmp / "other")
    make_old(tmp / "sppr-hosts-old")
    make_old(tmp / "other")
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    scratch.remove_abandoned()
    assert len(list(tmp.iterdir())) == 4
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    scratch.remove_abandoned()
    assert {path.name for path in tmp.iterdir()} == {"sppr-hosts-young", "sppr-hosts-link", "other"}
