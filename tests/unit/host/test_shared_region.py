"""The region file of a ring VM is created completely, or not at all."""

import fcntl
import stat
from pathlib import Path

import pytest

from sppr.errors import HostError
from sppr.host import shared_region


def test_region_is_complete_and_private_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "socks"
    folder.mkdir()
    path = folder / "ivshmem6"
    shared_region.create(path)
    assert path.stat().st_size == shared_region.SIZE and stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open("r+b") as f:
        f.write(b"x")
    shared_region.create(path)
    assert path.read_bytes()[:1] == b"x" and list(folder.iterdir()) == [path]
    shared_region.remove(path)
    shared_region.remove(path)
    assert list(folder.iterdir()) == []


def test_other_file_is_refused_and_unchanged(tmp_path: Path) -> None:
    short, link = tmp_path / "short", tmp_path / "link"
    short.write_bytes(b"precious")
    link.symlink_to(tmp_path / "gone")
    for path in (short, link, tmp_path):
        with pytest.raises(HostError, match="not a shared region of sppr"):
            shared_region.create(path)
        shared_region.remove(path)
    assert short.read_bytes() == b"precious" and link.is_symlink() and not (tmp_path / "gone").exists()


def test_region_in_use_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "ivshmem6"
    shared_region.create(path)
    assert not shared_region.is_in_use(path) and not shared_region.is_in_use(tmp_path / "none")
    with path.open("r+b") as server:
        fcntl.flock(server, fcntl.LOCK_EX)
        assert shared_region.is_in_use(path)
        shared_region.remove(path)
        assert path.exists()
    shared_region.remove(path)
    assert not path.exists()
