"""Show progress while a lab comes up: a table in a terminal, lines otherwise."""

import contextlib
import sys
import threading
import time
from collections.abc import Collection, Iterator
from typing import Any

import click

from sppr.lab.plan.plan import Plan
from sppr.lab.up.bringup import Report


class Lines:
    """Progress as lines, for a log or a pipe."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def _print(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the reader has gone; bring-up continues
            click.echo(f"[{time.monotonic() - self._start:6.1f} s] {text}")

    def note(self, text: str) -> None:
        self._print(text)

    def waiting(self, name: str, what: str) -> None:
        self._print(f"{name}: waiting for {what}")

    def ready(self, name: str, seconds: float) -> None:
        self._print(f"{name}: ready after {seconds:.1f} s")

    def failed(self, name: str) -> None:
        self._print(f"{name}: failed")

    def step(self, done: str) -> None:
        """Ignore it: steps are for tests."""


class Table:
    """Progress as a table of parts with waiting times, redrawn in place."""

    def __init__(self, plan: Plan, shown: Collection[str], console: Any) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._rows: dict[str, tuple[str, float, float | None]] = {
            part.name: (f"after {', '.join(part.depends_on)}" if part.depends_on else "", 0.0, None)
            for part in plan.parts_named(shown)
        }

    def note(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)

    def waiting(self, name: str, what: str) -> None:
        self._set(name, f"waiting for {what}", time.monotonic(), None)

    def ready(self, name: str, seconds: float) -> None:
        self._set(name, "ready", 0.0, seconds)

    def failed(self, name: str) -> None:
        self._set(name, "failed", 0.0, None)

    def step(self, done: str) -> None:
        """Ignore it: steps are for tests."""

    def _set(self, name: str, text: str, since: float, took: float | None) -> None:
        with self._lock:
            self._rows[name] = (text, since, took)

    def __rich__(self) -> Any:
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable.grid(padding=(0, 2))
        with self._lock:
            rows = dict(self._rows)
        for name, (text, since, took) in rows.items():
            seconds = took if took is not None else time.monotonic() - since if since else None
            style = {"ready": "green", "failed": "red"}.get(text, "yellow" if since else "dim")
            table.add_row(name, Text(text, style), f"{seconds:5.1f} s" if seconds is not None else "")
        return table


@contextlib.contextmanager
def progress(plan: Plan, shown: Collection[str]) -> Iterator[Report]:
    """Yield the report for these parts."""
    if not sys.stdout.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.live import Live

    console = Console()
    table = Table(plan, shown, console)
    with Live(table, console=console, refresh_per_second=8):
        yield table
