"""``sppr doctor explain`` reads all pieces of the log of a part, the last 64 MiB of a file, and regular files only."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from sppr.cli import doctor


@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_special_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = {"fifo": tmp_path / "fifo", "device": Path("/dev/zero"), "folder": tmp_path}[kind]
    if kind == "fifo":
        os.mkfifo(path)
    done = CliRunner().invoke(doctor.main, ["explain", str(path)])
    assert done.exit_code == 1 and f"{path}: is no regular file" in done.output


def test_end_of_a_large_file_is_read(tmp_path: Path) -> None:
    log = tmp_path / "large"
    with log.open("wb") as f:
        f.truncate(65 << 20)
        f.seek(0, os.SEEK_END)
        f.write(b"\nEAL: Cannot create lock on '/run/dpdk/x/config'. Is another primary process running?\n")
        f.seek(0)
        f.write(b"EAL: Cannot init memzone\n")
    done = CliRunner().invoke(doctor.main, ["explain", "--json", str(log)])
    assert [row["id"] for row in json.loads(done.output)] == ["dpdk-lock"]
