"""Every text of the table of troubles is recognised in a log, and told by its id; what is harmless is not."""

import re
from pathlib import Path

import pytest

from sppr.host import checks
from tests.conftest import ROOT

LINES = [
    tuple(line.split(" | ", 1))
    for line in (Path(__file__).parent / "data/symptoms.txt").read_text().splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize(("ids", "line"), LINES, ids=[line for _, line in LINES])
def test_a_line_of_a_log_is_known_by_its_ids_and_no_other(ids: str, line: str) -> None:
    found = [one.id for explained in checks.explain([line]) for one in explained.checks]
    assert found == ([] if ids == "-" else ids.split(","))


def test_every_check_with_texts_has_each_of_them_shown() -> None:
    unseen = [
        text for one in checks.REGISTRY for text in one.texts if not any(re.search(text, line) for _, line in LINES)
    ]
    assert unseen == []


def test_lines_are_numbered_and_kept_as_they_are() -> None:
    [found] = checks.explain(["spp", "  EAL: lcore 9 unavailable  ", "ok"])
    assert (found.number, found.line) == (2, "  EAL: lcore 9 unavailable")


def test_the_hint_is_that_of_the_last_error_and_never_of_what_is_harmless() -> None:
    log = "EAL: No free 2048 kB hugepages reported on node 1\nEAL: Cannot create lock on 'x'.\n"
    log += "EAL: No free hugepages reported in hugepages-1048576kB\nEAL: '-c <coremask>' option is deprecated\n"
    assert (checks.hint(log) or "").startswith("sppr doctor   (names it): stop it, or set spp.file_prefix in conf.yml")
    assert checks.hint("EAL: No free hugepages reported in hugepages-1048576kB") is None
    assert (checks.hint("EAL: No free 2048 kB hugepages reported") or "").startswith("sppr setup   (reserves hugepages")


def test_there_is_one_table_of_symptoms() -> None:
    text = (ROOT / "sppr/parts/readiness.py").read_text()
    assert "checks.hint" in text and "_HINTS" not in text
