"""The journal of a lab: events are written, read, followed over a rename, and never stop the lab."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sppr.lab.state import journal
from tests.unit.lab.test_full_disk import full


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events]


def append(folder: Path, text: str) -> None:
    """Append text as the pane scripts do."""
    with journal.path(folder).open("a") as file:
        file.write(text)


def fill(folder: Path, name: str) -> None:
    """Write one event that makes the file full, so that it is renamed."""
    journal.write(folder, name, reason="x" * journal.MAX_SIZE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(journal, "MAX_SIZE", 2000)
    made = tmp_path / "lab"
    made.mkdir()
    return made


def test_event_is_read_as_it_was_written(folder: Path) -> None:
    journal.write(folder, "part.ready", part="sec1", seconds=0.25)
    journal.write(folder, "up.failed", reason="line\nof “text” \udcff")
    ready, failed = journal.read(folder)
    assert (ready["event"], ready["part"], ready["seconds"]) == ("part.ready", "sec1", 0.25)
    assert failed["reason"] == "line\nof “text” \udcff"
    assert ready["time"] <= failed["time"] and 0 < ready["uptime"] <= failed["uptime"]
    assert journal.path(folder).stat().st_mode & 0o777 == 0o600


def test_event_of_a_pane_has_no_uptime(folder: Path) -> None:
    append(folder, '{"time":1764337329.123,"event":"part.exited","part":"sec1","status":-1}\n')
    assert journal.read(folder) == [{"time": 1764337329.123, "event": "part.exited", "part": "sec1", "status": -1}]


def test_missing_folder_is_not_created(tmp_path: Path) -> None:
    journal.write(tmp_path / "gone", "up.ready")
    assert not (tmp_path / "gone").exists() and journal.read(tmp_path / "gone") == []


def test_symlink_in_place_of_the_journal_is_not_followed(folder: Path) -> None:
    target = folder / "target"
    target.write_text("kept\n")
    journal.path(folder).symlink_to(target)
    journal.write(folder, "up.ready")
    assert target.read_text() == "kept\n" and journal.path(folder).is_symlink()


def test_full_disk_does_not_stop_the_lab(folder: Path) -> None:
    with full():
        journal.write(folder, "up.started")
    assert journal.path(folder).read_text() == "" and journal.read(folder) == []
    journal.write(folder, "up.ready")
    assert names(journal.read(folder)) == ["up.ready"]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "not JSON",
        "[" * 100_000,
        "5",
        "null",
        '["time", "event"]',
        '{"time": 1}',
        '{"event": "a"}',
        '{"time": 1, "event": 5}',
        '{"time": "soon", "event": "a"}',
        '{"time": null, "event": "a"}',
        '{"time": NaN, "event": "a"}',
        '{"time": 1e999, "event": "a"}',
        '{"time": -1, "event": "a"}',
        '{"time": 1e15, "event": "a"}',
        f'{{"time": 1{"0" * 400}, "event": "a"}}',
    ],
    ids=str.split("empty text deep number null list no-event no-time kind word none nan inf past future long"),
)
def test_line_that_is_no_event_is_left_out(folder: Path, line: str) -> None:
    append(folder, f"{line}\n")
    append(folder, '{"time": 2, "event": "next"}\n')
    assert names(journal.read(folder)) == ["next"]


def test_line_that_is_not_utf_8_is_left_out(folder: Path) -> None:
    journal.path(folder).write_bytes(b'{"time": 1, "event": "\xff"}\n{"time": 2, "event": "next"}\n')
    assert names(journal.read(folder)) == ["next"]


def test_event_behind_a_truncated_one_is_read(folder: Path) -> None:
    """A full disk truncated the first event, so the next one is in the same line."""
    journal.write(folder, "part.ready", part='a "{"time": 3, "event": "forged"}')
    whole = journal.path(folder).read_text()
    journal.path(folder).write_text(whole[:-10])
    journal.write(folder, "up.ready")
    assert names(journal.read(folder)) == ["up.ready"]


def test_full_file_is_renamed_and_one_is_kept(folder: Path) -> None:
    for number in range(100):
        journal.write(folder, f"event.{number}")
    found = names(journal.read(folder))
    assert found == [f"event.{number}" for number in range(100 - len(found), 100)] and 20 < len(found) < 90
    sizes = [path.stat().st_size for path in folder.iterdir()]
    assert len(sizes) == 2 and max(sizes) < journal.MAX_SIZE + 100


def test_file_that_another_writer_has_renamed_is_not_renamed_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two writers fill the file at the same time. The second one must not put the new file over the full one."""
    real = journal.os.write

    def rename_by_another(fd: int, data: bytes) -> int:
        size = real(fd, data)
        journal.path(folder).rename(folder / "events.jsonl.1")
        append(folder, '{"time": 2, "event": "new"}\n')
        return size

    monkeypatch.setattr(journal.os, "write", rename_by_another)
    fill(folder, "full")
    assert names(journal.read(folder)) == ["full", "new"]


def test_follow_yields_old_and_new_events(folder: Path) -> None:
    journal.write(folder, "old")

    def ticks() -> Iterator[None]:
        assert names(found) == ["old"]
        yield  # nothing new
        assert names(found) == ["old"]
        journal.write(folder, "new.1")
        journal.write(folder, "new.2")
        yield
        assert names(found) == ["old", "new.1", "new.2"]
        append(folder, '{"time": 1, "event": "in')
        yield
        append(folder, ' pieces"}\n')
        yield

    found: list[dict[str, Any]] = []
    for event in journal.follow(folder, ticks()):
        found.append(event)
    assert names(found) == ["old", "new.1", "new.2", "in pieces"]


def test_follow_begins_before_there_is_a_journal(folder: Path) -> None:
    def ticks() -> Iterator[None]:
        yield
        journal.write(folder, "first")
        yield

    assert names(list(journal.follow(folder, ticks()))) == ["first"]


@pytest.mark.parametrize("count", [1, 20], ids=["shorter", "longer than what was read"])
def test_follow_continues_over_a_rename(folder: Path, count: int) -> None:
    """Events are written before the rename and after it, between two looks. None is lost or repeated."""

    def ticks() -> Iterator[None]:
        journal.write(folder, "last of the old file")
        fill(folder, "full")
        for number in range(count):
            journal.write(folder, f"new.{number}")
        yield
        journal.write(folder, "later")
        yield

    journal.write(folder, "old")
    found = names(list(journal.follow(folder, ticks())))
    new = [f"new.{number}" for number in range(count)]
    assert found == ["old", "last of the old file", "full", *new, "later"]


def test_follow_survives_the_end_of_the_run_directory(folder: Path) -> None:
    journal.write(folder, "old")

    def ticks() -> Iterator[None]:
        journal.path(folder).unlink()
        folder.rmdir()
        yield

    assert names(list(journal.follow(folder, ticks()))) == ["old"]


def test_latest_is_the_newest_event_of_each_name(folder: Path) -> None:
    for chain, lost in (("a", 1), ("b", 2), ("a", 3)):
        journal.write(folder, "chain.proved", chain=chain, lost=lost)
    journal.write(folder, "chain.state", chain="a", lost=4)
    found = journal.latest(journal.read(folder), "chain.proved", "chain")
    assert {chain: event["lost"] for chain, event in found.items()} == {"a": 3, "b": 2}


def test_each_line_is_one_json_object(folder: Path) -> None:
    journal.write(folder, "a", reason="\n\r\u2028\x85")
    (line,) = journal.path(folder).read_bytes().splitlines()
    assert json.loads(line)["reason"] == "\n\r\u2028\x85"
