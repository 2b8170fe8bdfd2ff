"""The critical chain of a bring-up, from the events in the journal."""

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from sppr.lab.state import journal
from sppr.live import critical_chain
from sppr.live.critical_chain import BringUp, last_bring_up, svg, text

Events = list[dict[str, Any]]
#: The clock of the machine is set back by an hour during each bring-up. The uptime is not affected.
CLOCK = 1_764_000_000.0


def event(uptime: float, kind: str, **fields: object) -> dict[str, Any]:
    return {"time": CLOCK - 360 * uptime, "event": kind, "uptime": 500 + uptime, **fields}


def bring_up(at: float = 0.0) -> Events:
    """The controller, the primary, and two parallel secondaries, of which sec2 is the slow one."""
    parts = {"ctrler": [], "pri": ["ctrler"], "sec1": ["pri"], "sec2": ["pri"], "alone": []}
    return [
        event(at, "up.started", parts=parts),
        event(at + 0.1, "up.step", step="state"),
        event(at + 0.4, "up.step", step="panes"),
        event(at + 0.5, "part.waiting", part="ctrler", reason="its socket"),
        event(at + 0.5, "part.waiting", part="alone"),
        event(at + 0.9, "part.ready", part="ctrler", seconds=0.4),
        event(at + 1.0, "part.waiting", part="pri"),
        event(at + 3.0, "part.ready", part="pri"),
        event(at + 3.1, "part.waiting", part="sec1"),
        event(at + 3.1, "part.waiting", part="sec2"),
        event(at + 3.5, "part.ready", part="sec1"),
        event(at + 3.6, "part.ready", part="alone"),
        event(at + 4.0, "part.waiting", part="sec2", reason="a second reason"),
        event(at + 5.0, "part.ready", part="sec2"),
        event(at + 6.0, "up.step", step="chains"),
        event(at + 6.1, "up.ready"),
        event(at + 9.0, "part.exited", part="sec2", status=1),
        event(at + 9.5, "part.ready", part="sec2"),
    ]


def found(events: Events) -> BringUp:
    result = last_bring_up(events)
    assert result is not None
    return result


def chain(events: Events) -> list[tuple[str, float]]:
    return [(span.name, round(span.seconds, 3)) for span in found(events).critical_chain()]


def parsed(picture: str) -> ElementTree.Element:
    """Parse an SVG. Raise ParseError if it is not XML."""
    return ElementTree.fromstring(picture)  # noqa: S314 - ours


def test_journal_without_a_bring_up() -> None:
    assert last_bring_up([]) is None and last_bring_up([event(0, "up.ready")]) is None


def test_chain_is_that_of_the_slowest_of_parallel_parts() -> None:
    result = found(bring_up())
    assert (result.time, result.seconds, result.reason) == (CLOCK, pytest.approx(6.1), "")
    assert chain(bring_up()) == [
        ("chains", 1.0), ("sec2", 1.9), ("pri", 2.0), ("ctrler", 0.4), ("panes", 0.3), ("state", 0.1),
    ]  # fmt: skip


def test_text_has_the_times_of_each_span() -> None:
    lines = text(found(bring_up()))
    assert lines[1:4] == ["up @6.100s", "└─chains @6.000s +1.000s", "  └─sec2 @5.000s +1.900s"]
    assert lines[-1] == "          └─state @0.100s +0.100s"


def test_failed_part_is_named() -> None:
    events = [
        *bring_up()[:11],
        event(4, "part.failed", part="sec2", reason="x"),
        event(4.1, "up.failed", reason="sec2"),
    ]
    result = found(events)
    assert result.seconds is None and result.reason == "sec2"
    assert text(result)[-1] == "not ready: alone, sec2" and "up @" not in "\n".join(text(result))
    assert chain(events)[0] == ("sec1", 0.4)
    assert "Bring-up that failed" in svg(result) and svg(result).count(">not ready<") == 2


def test_bring_up_that_has_not_ended() -> None:
    result = found(bring_up()[:6])
    assert result.seconds is None and result.reason == ""
    assert chain(bring_up()[:6]) == [("ctrler", 0.4), ("panes", 0.3), ("state", 0.1)]
    assert text(result)[-1] == "not ready: alone"


def test_bring_up_that_has_just_begun() -> None:
    result = found(bring_up()[:1])
    assert result.spans == () and len(text(result)) == 1 and parsed(svg(result)) is not None


def test_only_the_last_bring_up_counts() -> None:
    second = bring_up(1000)
    second[-4] = event(1007, "up.step", step="chains")
    second[-3] = event(1007.5, "up.ready")
    events = [*bring_up(), *second]
    assert found(events).seconds == pytest.approx(7.5) and chain(events)[0] == ("chains", 2.0)


def test_restart_of_one_part() -> None:
    """The dependencies of the part were not started, so the launcher's steps come before it."""
    events = [
        *bring_up(),
        event(100, "up.started", parts={"sec2": ["pri"]}),
        event(100.1, "up.step", step="state"),
        event(100.6, "up.step", step="stopped"),
        event(100.7, "part.waiting", part="sec2"),
        event(100.8, "part.ready", part="sec1"),  # of another launcher
        event(101.5, "part.ready", part="sec2"),
        event(101.6, "up.ready"),
    ]
    assert chain(events) == [("sec2", 0.8), ("stopped", 0.5), ("state", 0.1)]


def test_bring_up_of_chains_only() -> None:
    events = [
        event(0, "up.started", parts={}),
        event(1, "up.step", step="state"),
        event(3, "up.step", step="chains"),
        event(3, "up.ready"),
    ]
    assert chain(events) == [("chains", 2.0), ("state", 1.0)]


def test_without_uptime_the_clock_counts() -> None:
    events = [{**entry, "time": entry["uptime"]} for entry in bring_up()]
    assert [{**entry, "uptime": "?"} for entry in events] != events
    assert chain([{**entry, "uptime": "?"} for entry in events]) == chain(bring_up())


def test_cyclic_dependencies_end() -> None:
    events = [
        event(0, "up.started", parts={"a": ["b"], "b": ["a"]}),
        *[event(n, kind, part=part) for n, (kind, part) in enumerate(
            [("part.waiting", "a"), ("part.waiting", "b"), ("part.ready", "a"), ("part.ready", "b")])],
    ]  # fmt: skip
    assert [name for name, _ in chain(events)] == ["b", "a"]


HOSTILE: list[object] = [None, 5, -1e308, 1e308, 10**400, True, "x", [], [[]], {}, {"a": 5}, "\x00\x1b[2J</text>"]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value)[:12])
@pytest.mark.parametrize("key", ["parts", "step", "part", "uptime", "reason", "time", "event"])
@pytest.mark.parametrize("missing", [False, True], ids=["wrong", "some missing"])
def test_hostile_events_do_not_raise(key: str, value: object, missing: bool) -> None:
    events = bring_up()
    for number, entry in enumerate(events):
        if key in entry or key == "reason":
            entry[key] = value
        if missing and number % 3 == 2:
            entry.pop(key, None)
    lines = [json.dumps(entry).encode() for entry in [*bring_up()[:1], *events]]
    kept = list(journal.parse(lines))
    critical_chain.names(kept)
    result = found(kept)
    printed = "\n".join(text(result))
    parsed(svg(result))
    assert all(line.isprintable() for line in printed.splitlines())


def test_svg_is_xml_with_a_bar_for_each_span() -> None:
    picture = parsed(svg(found(bring_up())))
    space = "{http://www.w3.org/2000/svg}"
    texts = [str(node.text) for node in picture.iter(f"{space}text")]
    assert texts[0] == "Bring-up: 6.1 s" and {"state", "panes", "ctrler", "sec1", "sec2", "alone", "chains"} <= {*texts}
    bars = [node for node in picture.iter(f"{space}rect") if node.get("height") == "15"]
    assert len(bars) == len(found(bring_up()).spans) == 8
    emphasized = [str(node.text) for node in picture.iter(f"{space}text") if node.get("font-weight") == "600"]
    assert emphasized == ["Bring-up: 6.1 s", "state", "panes", "ctrler", "pri", "sec2", "chains"]
    assert all(0 < float(str(bar.get("x"))) + float(str(bar.get("width"))) < 900 for bar in bars)


@pytest.mark.parametrize("name", ["<script>&\"'", "a\x00\x1b[31m\ud800b", "]]>"])
def test_hostile_name_is_escaped(name: str) -> None:
    events = [
        event(0, "up.started", parts={name: []}),
        event(1, "part.waiting", part=name),
        event(2, "part.ready", part=name),
        event(3, "up.ready"),
    ]
    picture = svg(found(events))
    assert "<script" not in picture and parsed(picture) is not None
    assert picture.encode() and text(found(events))[2].isprintable()


@pytest.mark.parametrize("seconds", [0.0, 0.004, 0.9, 61.0, 86400.0, 1e9])
def test_axis_has_a_readable_number_of_ticks(seconds: float) -> None:
    picture = svg(BringUp(CLOCK, (), seconds))
    assert 2 <= picture.count(" s</text>") <= 12
