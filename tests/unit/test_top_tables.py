"""The tables of sppr top as text."""

import unicodedata
from collections.abc import Mapping
from typing import Any

import pytest

from sppr.cli.live import events, tables
from sppr.cli.live.tables import Rows, Table, make, short, sparkline, summary, text

PROOF = {"verdict": "pass", "lost": 3, "p50_ns": 1_500_000, "p99_ns": 12_000_000}


def part(name: str, **values: object) -> dict[str, Any]:
    return {
        "name": name, "role": "secondary", "process": "nfv:1", "state": "ready", "pid": 4194304, "cpu": 1.0,
        "memory": 50 << 20, "restarts": 0, "note": None, "last": None, "pane": "%1", **values,
    }  # fmt: skip


def port(**values: object) -> dict[str, Any]:
    counters = {"rx": 1, "rx_drop": 2, "tx": 3, "tx_drop": 4}
    return {**counters, "rx_rate": 1000.0, "tx_rate": 2000.0, "drop_rate": 0.0, "linked": True, **values}


def process(name: str, ports: Mapping[str, object], **values: object) -> dict[str, Any]:
    return {"name": name, "state": "running", "patches": [], "ports": ports, **values}


def chain(name: str, **values: object) -> dict[str, Any]:
    return {
        "name": name, "path": ["tap:0", "vm_v11", "tap:1"], "state": "up", "why": [], "legs": [], "proof": PROOF,
        "forward": 14_880_000.0, "reverse": None, "drop_rate": 0.0, "dropped": 0, **values,
    }  # fmt: skip


def sample(**values: object) -> dict[str, Any]:
    return {
        "session": "spp", "controller": True, "chains": [chain("web")],
        "parts": [part("sec1"), part("sec2", process="nfv:2", cpu=0.05, memory=None, state="failed", pid=None)],
        "processes": [process("nfv:1", {"tap:0": port()}, patches=[["tap:0", "tap:1"]])], **values,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "-"), (0, "0"), (0.4, "0"), (0.6, "0.6"), (9.94, "9.9"), (9.96, "10"), (6, "6"), (42, "42"),
        (999.4, "999"), (999.9, "1.00k"), (1000, "1.00k"), (9994, "9.99k"), (9996, "10.0k"),
        (99_940, "99.9k"), (99_960, "100k"),
        (999_499, "999k"), (999_600, "1.00M"), (14_880_000, "14.9M"), (2.5e9, "2.50G"),
    ],
)  # fmt: skip
def test_numbers_have_three_digits(value: float | None, expected: str) -> None:
    assert short(value) == expected and len(expected) <= 5


def test_frame_as_text() -> None:
    assert text(sample(), Rows(), 80) == [
        "session spp  1/2 parts ready  1/1 chains up  2.00k frames/s sent",
        "",
        "CHAIN      STATE       FWD/s   REV/s  DROP/s  LOST  P50 ms  P99 ms",
        "web        up          14.9M       -       0     3     1.5    12.0 tap:0 → vm_v1",
        "",
        "PART       STATE       CPU%  MEM M  RESTARTS      PID",
        "sec1       ready        100     50            4194304 nfv:1",
        "sec2       failed         5      -                  - nfv:2",
        "",
        "PROCESS    PORT           RX/s    TX/s  DROP/s  DROPPED",
        "sec1       tap:0         1.00k   2.00k       0        6 █          → tap:1",
    ]


def test_link_to_another_host_has_its_name() -> None:
    ports = {"link:0nq2": port(), "link:1nq2": port(), "ring:0": port(linked=False)}
    patches = [["link:0nq2", "ring:0"], ["ring:0", "link:0nq2"]]
    found = text(sample(processes=[process("nfv:1", ports, patches=patches)], links={"link:0": "far"}), Rows(), 120)
    assert [line[67:] for line in found[-3:]] == ["link:far/2 → ring:0", "", "→ link:far/2 (no peer)"]


def test_unknown_values_and_the_reason_are_shown() -> None:
    unknown = dict.fromkeys(("rx", "rx_drop", "tx", "tx_drop", "rx_rate", "tx_rate", "drop_rate"))
    lines = text(
        sample(
            chains=[chain("web", state="down", why=["sec1 does not run"], proof=None)],
            parts=[part("pri", note="the controller does not answer", cpu=None, restarts=12)],
            processes=[process("nfv:9", {"ring:0": port(**unknown, linked=False)})],
        ),
        Rows(),
        120,
    )
    assert lines[3].endswith("0     -       -       - sec1 does not run")
    assert lines[6].split()[2:5] == ["-", "50", "12"] and lines[6].endswith("the controller does not answer")
    assert lines[9].split() == ["nfv:9", "ring:0", "-", "-", "-", "-", "(no", "peer)"]


def test_tables_without_rows_are_left_out() -> None:
    assert text(sample(chains=[], parts=[], processes=[]), Rows(), 80) == [
        "session spp  0/0 parts ready  0/0 chains up  0 frames/s sent"
    ]


def test_summary_without_a_controller() -> None:
    assert summary(sample(controller=False, processes=[])).endswith("chains up  no answer of the controller")
    assert len(summary(sample(controller=False))) <= 80


@pytest.mark.parametrize("width", [20, 80, 200])
def test_width_is_never_exceeded(width: int) -> None:
    long = "x" * 300
    found = sample(
        session=long,
        chains=[chain(long, why=[long], forward=1e15)],
        parts=[part(long, note=long, restarts=10**30, pid=10**30, cpu=1e9, memory=10**30)],
        processes=[process(long, {long: port(rx_rate=1e18, rx_drop=10**18)}, patches=[[long, long]])],
    )
    lines = text(found, Rows(), width)
    assert max(map(len, lines)) == width
    assert len(tables.make()[1].head(width)) <= width


@pytest.mark.parametrize("hostile", ["\x1b[2J", "a\nb", "a\x00b", "\u202eabc", "名前", "e\u0301", "\ud800", "\x85"])
def test_characters_that_would_break_the_screen_are_replaced(hostile: str) -> None:
    found = sample(
        session=hostile,
        chains=[chain(hostile, why=[hostile])],
        parts=[part(hostile, note=hostile)],
        processes=[process(hostile, {hostile: port()}, patches=[[hostile, hostile]])],
    )
    lines = text(found, Rows(), 80)
    assert len(lines) == 10 and all(line.isprintable() for line in lines)
    assert not any(unicodedata.east_asian_width(c) in "WF" or unicodedata.combining(c) for c in "".join(lines))


def columns(table: Table) -> list[str]:
    return [row["name"] for row in table.rows]


def test_sort_goes_over_the_columns_and_back() -> None:
    parts = [part("c", cpu=0.5), part("a", cpu=None, memory=None), part("b", cpu=2.0, restarts=5)]
    rows = list(Rows().of(sample(parts=parts))[1])
    table = make()[1]
    orders, heads = [], []
    for _ in range(7):
        table.show(rows)
        orders.append("".join(columns(table)))
        heads.append(table.head(80))
        table.sort_next()
    assert orders == ["cab", "abc", "cab", "bca", "cba", "bca", "cab"]
    assert ["↓" in head for head in heads] == [False] + [True] * 6 and "RESTARTS↓" in heads[5]
    assert table.sort is None


def test_reverse_applies_to_every_order() -> None:
    rows = list(Rows().of(sample(parts=[part("c"), part("a"), part("b")]))[1])
    table = make()[1]
    table.reverse = True
    table.show(rows)
    assert columns(table) == ["b", "a", "c"]
    table.sort = 0
    table.show(rows)
    assert columns(table) == ["c", "b", "a"] and "PART↑" in table.head(80)
    table.sort_next()
    assert not table.reverse


def test_chains_sort_by_every_column_whatever_the_proof_is() -> None:
    proofs: list[Any] = [None, {}, PROOF, {"lost": "x", "p50_ns": None, "p99_ns": []}]
    chains = [chain(f"c{number}", proof=proof) for number, proof in enumerate(proofs)]
    rows = list(Rows().of(sample(chains=chains))[0])
    table = make()[0]
    for number in range(len(table.columns)):
        table.sort = number
        table.show(rows)
        assert len(table.rows) == 4 and all(table.line(row, 80) for row in table.rows)
    table.sort = 5
    table.show(rows)
    assert columns(table)[0] == "c2"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", (1, 2, 3)),
        ("SEC2", (0, 1, 1)),
        ("tap:", (1, 0, 2)),
        ("vhost", (0, 0, 1)),
        ("failed", (0, 1, 0)),
        ("?", (0, 0, 0)),
    ],
)
def test_filter_finds_names_ports_and_states(words: str, expected: tuple[int, ...]) -> None:
    processes = [
        process("nfv:1", {"tap:0": port(), "tap:1": port()}, patches=[["tap:0", "tap:1"]]),
        process("nfv:2", {"vhost:1": port()}),
    ]
    found = Rows().of(sample(processes=processes))
    counts = []
    for table, rows in zip(make(), found, strict=True):
        table.show(rows, words)
        counts.append(len(table.rows))
    assert tuple(counts) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""), ([0.0, 0.4], ""), ([1.0], "█"), ([0, 8, 4, 1], " █▄▁"), ([1000, 1], "█▁"), ([0.4, 100], " █"),
    ],
)  # fmt: skip
def test_sparkline(values: list[float], expected: str) -> None:
    assert sparkline(values) == expected


def test_history_of_a_port_is_bounded_and_forgotten_with_it() -> None:
    rows = Rows()
    for number in range(25):
        rate = 1000.0 + number
        found = rows.of(sample(processes=[process("nfv:1", {"tap:0": port(rx_rate=rate, tx_rate=None)})]))
        assert 1 <= len(found[2][0].get("spark")) <= tables.HISTORY
    rows.of(sample(processes=[]))
    found = rows.of(sample())
    assert found[2][0].get("spark") == "█"


def test_ports_have_the_name_of_the_part() -> None:
    found = Rows().of(sample(processes=[process("nfv:2", {"a": port()}), process("nfv:77", {"b": port()})]))
    assert [row["process"] for row in found[2]] == ["sec2", "nfv:77"]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"event": "up.started", "parts": {"pri": [], "sec1": ["pri"]}}, "lab         bring-up of pri, sec1"),
        ({"event": "up.started", "parts": [5]}, "lab         bring-up of nothing"),
        ({"event": "part.exited", "part": "sec1", "status": 137}, "sec1        exited with signal SIGKILL"),
        ({"event": "part.exited", "part": "sec1", "status": -1}, "sec1        exited with status 255"),
        ({"event": "part.exited", "part": "sec1", "status": 999}, "sec1        exited with status 999"),
        ({"event": "part.exited", "part": "sec1", "status": None}, "sec1        exited with status None"),
        ({"event": "chain.state", "chain": "web", "state": "up", "reason": ""}, "chain web   up"),
        (
            {"event": "process.disconnected", "process": "nfv:1", "reason": "x\x1b[2J"},
            "nfv:1       disconnected: x?[2J",
        ),
        ({"event": "new.kind", "part": ["x"]}, "['x']       kind"),
        ({"event": "nonsense"}, "lab         "),
    ],
)
def test_event_as_a_line(event: dict[str, Any], expected: str) -> None:
    line = events.line({"time": 1764337329.5, **event})
    assert events.click.unstyle(line).partition(".500  ")[2] == expected
