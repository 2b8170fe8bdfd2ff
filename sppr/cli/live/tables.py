"""The tables of ``sppr top``: a sample of the lab as rows of text, sorted and filtered. Pure."""

import unicodedata
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sppr.spp.names import with_link_name

_BARS = " ▁▂▃▄▅▆▇█"
#: Samples that a sparkline shows.
HISTORY = 10
#: Colour of a row by the state in it.
COLOURS = {
    "ready": "green", "up": "green", "starting": "yellow", "stopping": "yellow", "degraded": "yellow",
    "failed": "red", "down": "red", "stopped": "dim",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column. ``width``: in characters; 0: the rest of the line. ``cell``: the text of a row. ``sort``: its value to
    sort by. ``right``: numbers are aligned to the right.
    """

    title: str
    width: int
    cell: Callable[[Mapping[str, Any]], str]
    sort: Callable[[Mapping[str, Any]], Any]
    right: bool = False


def short(value: float | None) -> str:
    """Return a number with three digits: ``0``, ``12.3k``, ``1.40M``; ``-``: unknown."""
    if value is None:
        return "-"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size * 0.9995:
            scaled = value / size
            return (
                f"{scaled:.2f}{unit}"
                if scaled < 9.995
                else f"{scaled:.1f}{unit}"
                if scaled < 99.95
                else f"{scaled:.0f}{unit}"
            )
    return f"{value:.0f}" if value >= 9.95 or value < 0.5 or isinstance(value, int) else f"{value:.1f}"


def _ms(ns: object) -> str:
    return f"{ns / 1e6:.1f}" if isinstance(ns, int | float) and ns else "-"


def _figure(value: object) -> float:
    return value if isinstance(value, int | float) else 0.0


def _text(key: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: str(row.get(key) or "")


def _number(key: str) -> Callable[[Mapping[str, Any]], float]:
    return lambda row: -(row.get(key) or 0.0)


def _rate(title: str, key: str, width: int = 7) -> Column:
    return Column(title, width, lambda row: short(row.get(key)), _number(key), right=True)


def _scaled(title: str, key: str, factor: float) -> Column:
    return Column(
        title, 6, lambda row: "-" if row[key] is None else f"{row[key] * factor:.0f}", _number(key), right=True
    )


def _proof(key: str, title: str, form: Callable[[object], str], width: int = 7) -> Column:
    return Column(
        title, width, lambda row: form((row.get("proof") or {}).get(key)),
        lambda row: -_figure((row.get("proof") or {}).get(key)), right=True,
    )  # fmt: skip


CHAINS = (
    Column("CHAIN", 10, _text("name"), _text("name")),
    Column("STATE", 9, _text("state"), _text("state")),
    _rate("FWD/s", "forward"),
    _rate("REV/s", "reverse"),
    _rate("DROP/s", "drop_rate"),
    _proof("lost", "LOST", lambda value: "-" if value is None else str(value), 5),
    _proof("p50_ns", "P50 ms", _ms),
    _proof("p99_ns", "P99 ms", _ms),
    Column("", 0, lambda row: (row["why"] or [" → ".join(row["path"])])[0], lambda row: row["path"]),
)
PARTS = (
    Column("PART", 10, _text("name"), _text("name")),
    Column("STATE", 9, _text("state"), _text("state")),
    _scaled("CPU%", "cpu", 100),
    _scaled("MEM M", "memory", 1 / (1 << 20)),
    Column("RESTARTS", 9, lambda row: str(row["restarts"] or ""), _number("restarts"), right=True),
    Column("PID", 8, lambda row: str(row["pid"] or "-"), lambda row: row["pid"] or 0, right=True),
    Column("", 0, lambda row: row["note"] or row["last"] or row["process"] or "", lambda row: row["note"] or ""),
)
PORTS = (
    Column("PROCESS", 10, _text("process"), _text("order")),
    Column("PORT", 11, _text("port"), _text("port")),
    _rate("RX/s", "rx_rate"),
    _rate("TX/s", "tx_rate"),
    _rate("DROP/s", "drop_rate"),
    _rate("DROPPED", "dropped", 8),
    Column("", HISTORY, _text("spark"), _number("rx_rate")),
    Column("", 0, _text("to"), _text("to")),
)


@dataclass
class Table:
    """A table. ``sort``: index of the column to sort by; None: the order of the lab. ``reverse``: descending."""

    title: str
    columns: tuple[Column, ...]
    sort: int | None = None
    reverse: bool = False
    rows: list[Mapping[str, Any]] = field(default_factory=list)

    def show(self, rows: list[Mapping[str, Any]], words: str = "") -> None:
        """Set the rows: those that contain ``words``, sorted."""
        wanted = words.lower()
        found = [row for row in rows if wanted in row["words"]]
        if self.sort is not None:
            found = sorted(found, key=self.columns[self.sort].sort, reverse=self.reverse)
        elif self.reverse:
            found = found[::-1]
        self.rows = found

    def sort_next(self) -> None:
        """Sort by the next column, and after the last one in the order of the lab."""
        named = [number for number, column in enumerate(self.columns) if column.title]
        later = [number for number in named if self.sort is None or number > self.sort]
        self.sort, self.reverse = (later[0] if later else None), False

    def head(self, width: int) -> str:
        """Return the line with the titles. An arrow marks the column that is sorted by."""
        marks = ["" if n != self.sort else "↑" if self.reverse else "↓" for n in range(len(self.columns))]
        return self._line([column.title + mark for column, mark in zip(self.columns, marks, strict=True)], width)

    def line(self, row: Mapping[str, Any], width: int) -> str:
        """Return the line of a row, at most ``width`` characters."""
        return self._line([column.cell(row) for column in self.columns], width)

    def _line(self, cells: list[str], width: int) -> str:
        found = []
        for column, cell in zip(self.columns, cells, strict=True):
            text = _plain(cell)
            if column.width:
                text = text[: column.width]
                text = text.rjust(column.width) if column.right else text.ljust(column.width)
            found.append(text)
        return " ".join(found)[:width].rstrip()


@dataclass
class Rows:
    """The rows of all tables, with the history of each port for its sparkline."""

    _history: dict[str, deque[float]] = field(default_factory=dict)

    def of(self, sample: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], ...]:
        """Return the rows of chains, parts and ports of a sample."""
        processes = list(sample["processes"])
        parts: list[Mapping[str, Any]] = [
            {**row, "words": f"{row['name']} {row['process']} {row['state']}".lower()} for row in sample["parts"]
        ]
        chains: list[Mapping[str, Any]] = [
            {**row, "words": " ".join([row["name"], row["state"], *row["path"]]).lower()} for row in sample["chains"]
        ]
        links = sample.get("links", {})
        of_process = {row["process"]: row["name"] for row in sample["parts"]}
        ports: list[Mapping[str, Any]] = []
        before, self._history = self._history, {}
        for number, process in enumerate(processes):
            patches: dict[str, str] = {}
            for src, dst, *_ in process["patches"]:
                target = with_link_name(dst, links)
                patches[src] = f"{patches[src]} {target}" if src in patches else target
            name = of_process.get(process["name"], process["name"])
            for uid, row in process["ports"].items():
                key = f"{process['name']}/{uid}"
                history = self._history[key] = before.get(key) or deque(maxlen=HISTORY)
                history.append(max(row["rx_rate"] or 0.0, row["tx_rate"] or 0.0))
                to = [f"→ {patches[uid]}"] if uid in patches else []
                if (shown := with_link_name(uid, links)) != uid:
                    to.insert(0, shown)
                if not row["linked"]:
                    to.append("(no peer)")
                ports.append(_PortRow(name, number, uid, row, history, " ".join(to), process["state"]))
        return chains, parts, ports


class _PortRow(dict[str, Any]):
    """A row of a port. Its sparkline is made when the row is drawn: most rows are not on the screen.

    ``to``: the name of a link, where its frames go, and whether it has no peer.
    """

    def __init__(
        self,
        process: str,
        number: int,
        uid: str,
        row: Mapping[str, Any],
        history: deque[float],
        to: str,
        state: str,
    ) -> None:
        drops = None if row["rx_drop"] is None else row["rx_drop"] + row["tx_drop"]
        super().__init__(
            row, process=process, order=f"{number:04}", port=uid, dropped=drops, state=state, to=to,
            words=f"{process} {uid} {to} {state}".lower(),
        )  # fmt: skip
        self._samples = history

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, and the sparkline for ``spark``."""
        return sparkline(self._samples) if key == "spark" else super().get(key, default)


def _plain(text: str) -> str:
    """Return the text with a ``?`` for each character that does not take exactly one column of a terminal."""
    return "".join(c if (c.isascii() and c.isprintable()) or _has_one_column(c) else "?" for c in text)


def _has_one_column(c: str) -> bool:
    return c.isprintable() and not unicodedata.combining(c) and unicodedata.east_asian_width(c) not in "WF"


def sparkline(values: "deque[float] | list[float]") -> str:
    """Return one block for each value, scaled to the largest. Zero is a blank."""
    top = max(values, default=0.0)
    if top < 0.5:
        return ""
    return "".join(_BARS[0 if v < 0.5 else max(1, min(8, round(v / top * 8)))] for v in values)


def make() -> tuple[Table, ...]:
    """Return the tables of chains, parts and ports."""
    return Table("chains", CHAINS), Table("parts", PARTS), Table("ports", PORTS)


def summary(sample: Mapping[str, Any]) -> str:
    """Return the first line: the session, ready parts, chains that are up, and frames per second."""
    parts, chains = sample["parts"], sample["chains"]
    ready = sum(row["state"] == "ready" for row in parts)
    up = sum(row["state"] == "up" for row in chains)
    rate = sum(row["tx_rate"] or 0.0 for process in sample["processes"] for row in process["ports"].values())
    counts = f"{ready}/{len(parts)} parts ready  {up}/{len(chains)} chains up"
    text = (
        f"{counts}  {short(rate)} frames/s sent" if sample["controller"] else f"{counts}  no answer of the controller"
    )
    return _plain(f"session {sample['session']}  {text}")


def text(sample: Mapping[str, Any], rows: Rows, width: int) -> list[str]:
    """Return one whole frame as lines, for ``--once``."""
    lines = [summary(sample)[:width]]
    for table, found in zip(make(), rows.of(sample), strict=True):
        table.show(found)
        if table.rows:
            lines += ["", table.head(width), *(table.line(row, width) for row in table.rows)]
    return lines
