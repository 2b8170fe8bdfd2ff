"""Show what each host does: a row for each host in a terminal, lines otherwise."""

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from sppr.hosts.engine import TaskEvent

#: Task whose tries have the state of the parts.
WATCHED = "Watch its parts"
#: Tasks that take time. Others are not shown.
SHOWN = (
    "Unpack the program", "Install packages, and build the data plane (some minutes, once)",
    "Make a link", "Prepare the host", "Start the lab", "End the lab",
)  # fmt: skip


def parts_text(event: TaskEvent) -> str:
    """Return the states of the parts in the result of a task: ``2 of 5 ready; starting: sec1 vm_v11``."""
    try:
        rows = json.loads(event.result.get("stdout") or "[]")
        waits = [f"{row['name']} {row['note']}" if row.get("note") else str(row["name"]) for row in rows
                 if row["state"] != "ready"]  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return ""
    ready = f"{len(rows) - len(waits)} of {len(rows)} parts ready"
    return f"{ready}; waiting for {', '.join(waits[:4])}" if waits else ready if rows else ""


class _Rows:
    """The latest task of each host, and since when it runs."""

    def __init__(self, hosts: Sequence[str], show: Callable[[str, str, float], None] | None) -> None:
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._show = show
        self._rows: dict[str, tuple[str, float]] = dict.fromkeys(hosts, ("connecting", self._start))

    def take(self, event: TaskEvent) -> None:
        """Take an event of Ansible."""
        text = event.task
        if event.task == WATCHED:
            text = parts_text(event) or "Start the lab"
        if event.kind in ("failed", "unreachable"):
            text = f"{event.kind}: {event.task}" if event.task else event.kind
        elif event.task != WATCHED and (event.kind != "start" or event.task not in SHOWN):
            return
        with self._lock:
            if text == self._rows[event.host][0]:
                return
            self._rows[event.host] = (text, time.monotonic())
        if self._show is not None:
            self._show(event.host, text, time.monotonic() - self._start)

    def __rich__(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        with self._lock:
            rows = dict(self._rows)
        for host, (text, since) in rows.items():
            table.add_row(host, Text(text, "yellow"), f"{time.monotonic() - since:5.1f} s")
        return table


@contextlib.contextmanager
def watch(hosts: Sequence[str]) -> Iterator[Callable[[TaskEvent], None]]:
    """Yield a function that takes the events of Ansible and shows them."""
    if not sys.stdout.isatty():
        yield _Rows(hosts, lambda host, text, at: click.echo(f"[{at:6.1f} s] {host}: {text}")).take
        return
    from rich.live import Live

    rows = _Rows(hosts, None)
    with Live(rows, refresh_per_second=8, transient=True):
        yield rows.take
