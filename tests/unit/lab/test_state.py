"""A damaged session folder: its report, and links that are never followed."""

import os
from pathlib import Path

import pytest

from sppr.errors import HostError, SpprError
from sppr.host.run_directory import sessions_dir
from sppr.lab.down import footprint
from sppr.lab.plan import requirements
from sppr.lab.state import state as states
from sppr.tmux.pane import POLICY_VARIABLE, PaneFiles


@pytest.fixture
def folder() -> Path:
    made = sessions_dir() / "lab"
    made.mkdir(parents=True)
    return made


def test_too_deeply_nested_state_is_broken(folder: Path) -> None:
    (folder / "state.json").write_text("[" * 100_000)
    (folder / "footprint.json").write_text("[" * 100_000)
    with pytest.raises(states.UnreadableState, match="cannot be read"):
        states.load("lab")
    assert footprint.read(folder) is None


def test_link_is_neither_read_nor_emptied(folder: Path) -> None:
    (folder / "state.json").write_text("{}")
    link = sessions_dir() / "link"
    link.symlink_to(folder)
    for verb in (lambda: states.load("link"), lambda: states.remove(link)):
        with pytest.raises(HostError, match="link: is not a folder of this user"):
            verb()
    assert (folder / "state.json").exists()


def test_folder_of_another_user_is_neither_read_nor_emptied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.getuid() == 0:
        os.chown(folder, 65534, 65534)
    else:
        monkeypatch.setenv("SPPR_RUN_DIR", "/")
    with pytest.raises(HostError, match="is not a folder of this user"):
        states.load("lab" if os.getuid() == 0 else "etc")


def test_prefix_is_found_in_a_command_line() -> None:
    words = [["spp_primary", "--file-prefix", "a", "--huge-dir=/mnt/h"], ["spp_nfv", "--file-prefix=b"], ["sh"]]
    assert footprint.prefixes(words) == {"a": "/mnt/h", "b": ""}


def test_part_stopped_before_its_restart_stays_stopped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "state.json").write_text("{}")
    files = PaneFiles(folder, "sec1")
    files.stopped.touch()
    states.record_start(folder, "sec1", ["spp_nfv"])  # typed by a user
    monkeypatch.setenv(POLICY_VARIABLE, "yes")
    with pytest.raises(SpprError, match="sec1: was stopped"):
        states.record_start(folder, "sec1", ["spp_nfv"])
    files.stopped.unlink()
    states.record_start(folder, "sec1", ["spp_nfv"])


def test_processes_of_a_broken_state_are_found_by_their_records(folder: Path) -> None:
    (folder / "state.json").write_text("{}")
    states.record_start(folder, "pri", ["spp_primary"])
    (folder / "state.json").write_text("{")
    assert requirements.running_pids("lab") == {"pri": os.getpid()}
