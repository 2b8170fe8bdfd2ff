"""Every text in the table of symptoms is recognised in a log, by its id. Harmless texts are not."""

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
def test_log_line_matches_only_its_ids(ids: str, line: str) -> None:
    found = [one.id for explained in checks.explain([line]) for one in explained.checks]
    assert found == ([] if ids == "-" else ids.split(","))


def test_every_text_of_a_check_has_an_example() -> None:
    unseen = [
        text for one in checks.REGISTRY for text in one.texts if not any(re.search(text, line) for _, line in LINES)
    ]
    assert unseen == []


def test_lines_are_numbered_and_unchanged() -> None:
    [found] = checks.explain(["spp", "  EAL: lcore 9 unavailable  ", "ok"])
    assert (found.number, found.line) == (2, "  EAL: lcore 9 unavailable")


def test_hint_is_of_the_last_error() -> None:
    log = "EAL: No free 2048 kB hugepages reported on node 1\nEAL: Cannot create lock on 'x'.\n"
    log += "EAL: No free hugepages reported in hugepages-1048576kB\nEAL: '-c <coremask>' option is deprecated\n"
    assert (checks.hint(log) or "").startswith("sppr doctor   (names it): stop it, or set spp.file_prefix in conf.yml")
    assert checks.hint("EAL: No free hugepages reported in hugepages-1048576kB") is None
    assert (checks.hint("EAL: No free 2048 kB hugepages reported") or "").startswith("sppr setup   (reserves hugepages")


def test_symptoms_are_defined_once() -> None:
    text = (ROOT / "sppr/parts/readiness.py").read_text()
    assert "checks.hint" in text and "_HINTS" not in text
