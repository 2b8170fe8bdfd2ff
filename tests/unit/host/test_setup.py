"""Reserving hugepages and other setup steps, below a root that a test supplies. Commands are printed first."""

from pathlib import Path

import pytest

from sppr.errors import HostError
from sppr.host import setup
from sppr.host.checks.check import remove_files, remove_folder, write_number
from tests.unit.host.test_facts import machine

PAGES = "sys/kernel/mm/hugepages/hugepages-2048kB"


def test_enough_hugepages_need_no_change(tmp_path: Path) -> None:
    machine(tmp_path)
    setup.hugepages(8, pytest.fail, tmp_path)
    assert (tmp_path / PAGES / "nr_hugepages").read_text() == "10\n"


def test_missing_hugepages_are_reserved_and_the_command_printed(tmp_path: Path) -> None:
    machine(tmp_path)
    printed: list[str] = []
    with pytest.raises(HostError, match="only 8 of 100 MiB could be reserved"):  # this /sys never has more free
        setup.hugepages(100, printed.append, tmp_path)
    pages = tmp_path / PAGES / "nr_hugepages"
    assert pages.read_text() == "56\n", "10, and 46 more of 2 MiB for the 92 that are missing"
    assert printed == ["hugepages: 8 MiB free, 100 MiB needed", f"echo 56 | tee {pages}"]


def test_failing_step_ends_setup_with_the_error_of_the_command(tmp_path: Path) -> None:
    printed: list[str] = []
    with pytest.raises(HostError, match="No such file or directory"):
        setup.apply_fixes((write_number(str(tmp_path / "no/where"), "1"), remove_files("/never")), printed.append)
    assert printed == [f"echo 1 | tee {tmp_path}/no/where"]


def test_only_named_files_are_removed(tmp_path: Path) -> None:
    (tmp_path / "keep").touch()
    (tmp_path / "-rf").touch()
    (tmp_path / "old").mkdir()
    (tmp_path / "old/config").touch()
    setup.apply_fixes((remove_files(str(tmp_path / "-rf")), remove_folder(str(tmp_path / "old"))), lambda _: None)
    assert [p.name for p in tmp_path.iterdir() if p.is_file() or p.name == "old"] == ["keep"]
