"""The application of ``sppr top``. A table draws only the lines on the screen, once a second."""

import asyncio
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Footer, Input, Static

from sppr import rotation
from sppr.cli.live import tables
from sppr.cli.terminal.plain_text import PlainText
from sppr.live.source import Source

#: Bytes of the end of a log that its view shows.
LOG_BYTES = 65536
_STYLES = {colour: Style.parse(colour) for colour in ("green", "yellow", "red", "dim")}
_HEAD, _CURSOR, _PLAIN = Style(bold=True, underline=True), Style(reverse=True), Style()


class TableView(ScrollView, can_focus=True):
    """A table with a cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "move(-10)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("home", "move(-100000)", show=False),
        Binding("end", "move(100000)", show=False),
    ]

    def __init__(self, table: tables.Table) -> None:
        super().__init__(id=table.title)
        self.table = table
        self.cursor = 0

    @property
    def current(self) -> Any:
        """The row under the cursor, or None."""
        return self.table.rows[self.cursor] if self.cursor < len(self.table.rows) else None

    def update(self) -> None:
        """Draw the current rows, and keep the cursor on one of them."""
        count = len(self.table.rows)
        self.cursor = max(0, min(self.cursor, count - 1))
        size = Size(self.size.width, count + 1)
        if self.virtual_size != size:
            self.virtual_size = size
        self.refresh()

    def action_move(self, rows: int) -> None:
        """Move the cursor, and scroll so that it is visible."""
        self.cursor = max(0, min(self.cursor + rows, len(self.table.rows) - 1))
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor > top + self.size.height - 2:
            self.scroll_to(y=self.cursor - self.size.height + 2, animate=False)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return a line: the titles, or a row."""
        width = self.size.width
        if y == 0:
            return _strip(self.table.head(width), _HEAD, width)
        number = y - 1 + self.scroll_offset.y
        if number >= len(self.table.rows):
            return Strip.blank(width)
        row = self.table.rows[number]
        style = _STYLES.get(_colour(row), _PLAIN)
        if number == self.cursor and self.has_focus:
            style += _CURSOR
        return _strip(self.table.line(row, width), style, width)


def _colour(row: Any) -> str:
    if (row.get("drop_rate") or 0.0) >= 0.5:
        return "red"
    return "red" if row.get("state") == "lost" else tables.COLOURS.get(str(row.get("state")), "")


def _strip(text: str, style: Style, width: int) -> Strip:
    return Strip([Segment(text.ljust(width), style)], width)


class LogScreen(ModalScreen[None]):
    """The end of the log of a part, followed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,l,enter", "dismiss", "Back")]

    def __init__(self, name: str, log: Any) -> None:
        super().__init__()
        self._name_of_part, self._log_file, self._shown = name, log, b""

    def compose(self) -> ComposeResult:
        """Return the title and the text."""
        yield Static(f"log of {self._name_of_part}   (Escape: back)", id="title", markup=False)
        yield Static("", id="log", markup=False)

    def on_mount(self) -> None:
        """Read the log now, and each second."""
        self._read()
        self.set_interval(1.0, self._read)

    def _read(self) -> None:
        raw = rotation.tail(self._log_file, LOG_BYTES)
        if raw == self._shown:
            return
        self._shown = raw
        plain = PlainText()
        lines = (plain.feed(raw) + plain.end()).decode("utf-8", "replace").splitlines()
        height = max(1, self.size.height - 3)
        self.query_one("#log", Static).update("\n".join(lines[-height:]))


class Top(App[str]):
    """The view. Its result is the tmux pane to show, or None."""

    CSS = """
    #summary { height: 1; text-style: bold; background: $panel; }
    #chains { height: auto; max-height: 6; }
    #parts { height: 1fr; border-top: solid $panel; }
    #ports { height: 1fr; border-top: solid $panel; }
    TableView { scrollbar-size-vertical: 1; overflow-x: hidden; overflow-y: auto; }
    #filter { display: none; height: 1; border: none; }
    #filter.shown { display: block; }
    LogScreen { background: $background; }
    #title { height: 1; background: $panel; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "focus_next", "Table", show=True),
        Binding("s", "sort", "Sort"),
        Binding("r", "reverse", "Reverse"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("l,enter", "log", "Log"),
        Binding("w", "window", "Window"),
        Binding("q", "quit", "Quit"),
        Binding("escape", "clear_filter", show=False),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source
        self._rows = tables.Rows()
        self._views = [TableView(table) for table in tables.make()]
        self._latest: Any = None
        self._found: tuple[Any, ...] = ()
        self._words = ""

    def compose(self) -> ComposeResult:
        """Return the widgets from top to bottom."""
        yield Static("reading …", id="summary", markup=False)
        yield from self._views
        yield Input(placeholder="filter: part, port, chain; Escape clears it", id="filter")
        yield Footer()

    def on_mount(self) -> None:
        """Take the first sample, and one each second."""
        self._views[1].focus()
        self.run_worker(self._refresh_forever(), exclusive=True)

    async def _refresh_forever(self) -> None:
        while True:
            began = asyncio.get_running_loop().time()
            self._latest = await asyncio.to_thread(self._source.sample)
            self._found = self._rows.of(self._latest)
            self.query_one("#summary", Static).update(tables.summary(self._latest))
            self._show()
            await asyncio.sleep(max(0.1, 1.0 - (asyncio.get_running_loop().time() - began)))

    def _show(self) -> None:
        for view, rows in zip(self._views, self._found, strict=False):
            view.table.show(rows, self._words)
            view.update()
        chains = len(self._found[0]) if self._found else 0
        self._views[0].styles.height = min(6, chains + 1) if chains else 0

    def _focused(self) -> TableView:
        return self.focused if isinstance(self.focused, TableView) else self._views[1]

    def action_sort(self) -> None:
        """Sort the focused table by its next column."""
        self._focused().table.sort_next()
        self._show()

    def action_reverse(self) -> None:
        """Reverse the order of the focused table."""
        table = self._focused().table
        table.reverse = not table.reverse
        self._show()

    def action_filter(self) -> None:
        """Open the line for the filter."""
        field = self.query_one("#filter", Input)
        field.add_class("shown")
        field.focus()

    def action_clear_filter(self) -> None:
        """Clear the filter, and close its line."""
        field = self.query_one("#filter", Input)
        field.value = ""
        field.remove_class("shown")
        self._views[1].focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Apply the filter while it is typed."""
        self._words = event.value.strip()
        self._show()

    def on_input_submitted(self) -> None:
        """Keep the filter, and go back to the tables."""
        self._views[1].focus()

    def _part(self) -> Any:
        """Return the part of the row under the cursor: of a port or a chain, the part that has it."""
        row = self._focused().current
        if row is None or self._latest is None:
            return None
        names = [row["name"]] if "role" in row else [row.get("process")]
        if "legs" in row:
            names = [leg["process"] for leg in row["legs"]]
        parts = self._latest["parts"]
        return next((part for part in parts if part["name"] in names or part["process"] in names), None)

    def action_log(self) -> None:
        """Show the log of the part under the cursor."""
        part = self._part()
        if part is None:
            self.bell()
            return
        log = self._source.state.plan.part(part["name"]).files(self._source.state.folder).log
        self.push_screen(LogScreen(part["name"], log))

    def action_window(self) -> None:
        """Leave the view, and show the tmux pane of the part under the cursor."""
        part = self._part()
        if part is None or not part["pane"]:
            self.bell()
            return
        self.exit(part["pane"])
