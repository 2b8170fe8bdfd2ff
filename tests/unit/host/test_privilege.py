"""The command lines for sudo. tests/live/lab/test_privilege.py runs the real sudo."""

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from sppr.errors import HostError
from sppr.host.root import askpass, leftovers, privilege


@pytest.fixture
def ana(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privilege, "is_root", lambda: False)
    monkeypatch.setattr(privilege, "user", lambda: "ana")
    monkeypatch.setattr(privilege, "find_program", lambda name: f"/usr/bin/{name}")


def test_root_runs_programs_without_sudo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(privilege, "is_root", lambda: True)
    assert privilege.elevated(["/x/spp_primary", "-l", "0"], tmp_path) == ["/x/spp_primary", "-l", "0"]
    privilege.check(["/x/spp_primary"], "")


def test_pane_asks_wakeup_for_the_password_while_wakeup_runs(
    ana: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SUDO_ASKPASS", raising=False)
    with askpass.serve(tmp_path, "s3cret") as helper:
        assert privilege.elevated(["/x/spp_nfv"], tmp_path) == ["/usr/bin/sudo", "-A", "--", "/x/spp_nfv"]
        assert os.environ.pop("SUDO_ASKPASS") == str(helper)
        assert "s3cret" not in helper.read_text() and helper.stat().st_mode & 0o077 == 0
    assert privilege.elevated(["/x/spp_nfv"], tmp_path) == ["/usr/bin/sudo", "--", "/x/spp_nfv"]
    assert "SUDO_ASKPASS" not in os.environ and not list(tmp_path.glob("ask*"))


def test_stale_askpass_socket_is_ignored_and_replaced(tmp_path: Path) -> None:
    with askpass.serve(tmp_path, "old"):
        (tmp_path / "copy").hardlink_to(tmp_path / "ask.sock")
    (tmp_path / "copy").rename(tmp_path / "ask.sock")
    assert askpass.helper(tmp_path) is None
    with askpass.serve(tmp_path, "new") as helper:
        assert subprocess.run([helper], capture_output=True, check=True).stdout == b"new\n"


def test_missing_sudo_is_an_error(ana: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privilege, "which", lambda _: None)
    with pytest.raises(HostError, match="the user is ana and there is no sudo"):
        privilege.check(["/x/spp_primary"], "")


def test_sudoers_line_has_the_exact_arguments(ana: None) -> None:
    line = privilege.sudoers_line([["/a b/spp_primary"], ["/usr/bin/find", "/h", "-regex", "/h/x=1,[0-9]+\\.", "*"]])
    assert line == (
        "ana ALL=(root) NOPASSWD: /a\\ b/spp_primary, /usr/bin/find /h -regex /h/x\\=1\\,\\[0-9\\]+\\\\. \\*"
    )


def test_clean_up_finds_only_files_of_its_prefix(tmp_path: Path) -> None:
    ours = ["a.b+map_0", "a.b+map_17"]
    for name in [*ours, "a.bb+map_0", "axb+map_0", "a.b+map_x", "xa.b+map_0", "a.b+map_0.old"]:
        (tmp_path / name).touch()
    find, remove = leftovers.remove_commands("a.b+", tmp_path)
    assert find[-1] == "-delete" and remove[1:] == ["-rf", "/run/dpdk/a.b+"]
    found = subprocess.run([*find[:-1], "-print"], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(Path(path).name for path in found) == ours
    assert all(re.fullmatch(r"a\.b\+map_\d+", name) for name in ours)


def test_link_instead_of_a_socket_keeps_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(privilege, "as_root", asked.append)
    monkeypatch.setattr(os, "access", lambda *_: False)
    socket.socket(socket.AF_UNIX).bind(str(tmp_path / "sock"))
    (tmp_path / "link").symlink_to(tmp_path / "sock")
    privilege.give_to_user(tmp_path / "link")
    assert asked == []
    privilege.give_to_user(tmp_path / "sock")
    assert asked == [["chown", "-h", str(os.getuid()), tmp_path / "sock"]]


def test_root_does_not_use_the_home_of_another_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(privilege, "is_root", lambda: True)
    if os.geteuid() == 0:
        assert privilege.home() == str(tmp_path)
        os.chown(tmp_path, 65534, 65534)
    assert privilege.home() == "/root"
    monkeypatch.setattr(privilege, "is_root", lambda: False)
    assert privilege.home() == str(tmp_path)
