"""Clean-up of files when a lab goes down."""

from pathlib import Path

import pytest

from sppr.host.root import privilege
from sppr.lab.down import teardown


def test_root_cleans_up_no_folder_where_others_can_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any user can make /tmp/dpdk a link to a folder of root."""
    monkeypatch.setattr(teardown, "Path", lambda path: tmp_path / str(path).lstrip("/"))
    monkeypatch.setattr(privilege, "is_root", lambda: True)
    victim = tmp_path / "root/lab"
    victim.mkdir(parents=True)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp/dpdk").symlink_to(tmp_path / "root")
    own = tmp_path / "run/dpdk/lab"
    own.mkdir(parents=True)
    teardown.remove_dpdk_files("lab", tmp_path / "huge")
    assert victim.is_dir() and not own.exists()
