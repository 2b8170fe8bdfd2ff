"""Decide how many panes a window holds, and what the window after a full one is called.

tmux tiles panes until each has one line, so it never refuses a pane that nobody can type in: in a terminal of 80x24, 16
panes have 19x5 and 71 have 9x1. sppr continues in the next window before that: ``sec``, ``sec-2``, ``sec-3``.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sppr.tmux.commands import WindowSpec

#: The smallest usable pane. A third of 80 columns, the borders left out, holds ``sec 1; patch ring:0 phy:0``. Six lines
#: hold a command that fills two lines, its output and the next prompt.
MIN_COLUMNS = 26
MIN_LINES = 6
SIZES_FORMAT = "#{window_id} #{window_panes} #{window_width} #{window_height} #{window_name}"


@dataclass(frozen=True)
class OpenWindow:
    """An existing window. ``panes``: number of its panes. ``size``: its columns and lines."""

    name: str
    panes: int
    size: tuple[int, int]

    def has_room(self) -> bool:
        """Return whether a further pane would leave all panes usable, once they are tiled."""
        return self.panes < capacity(self.size)


def open_windows(lines: Sequence[str]) -> dict[str, OpenWindow]:
    """Return the windows of a session by id, in their order. ``lines``: printed by list-windows in SIZES_FORMAT."""
    found = {}
    for line in lines:
        window, panes, columns, height, name = line.split(" ", 4)
        found[window] = OpenWindow(name, int(panes), (int(columns), int(height)))
    return found


def tiled_size(count: int, size: tuple[int, int]) -> tuple[int, int]:
    """Return columns and lines of the smallest of ``count`` panes that tmux tiles in a window of this size."""
    columns = rows = 1
    while columns * rows < count:
        rows += 1
        if columns * rows < count:
            columns += 1
    # A border of one cell separates two panes.
    return (size[0] - (columns - 1)) // columns, (size[1] - (rows - 1)) // rows


def capacity(size: tuple[int, int]) -> int:
    """Return the number of usable panes that a window of this size holds: one at least."""
    count = 1
    while True:
        columns, lines = tiled_size(count + 1, size)
        if columns < MIN_COLUMNS or lines < MIN_LINES:
            return count
        count += 1


def numbered(name: str, number: int) -> str:
    """Return the name of the window ``number`` of those that continue ``name``: ``sec``, ``sec-2``, ``sec-3``."""
    return name if number == 1 else f"{name}-{number}"


def next_number(name: str, taken: Collection[str]) -> int:
    """Return the first number whose window does not exist. A user may have closed a window before the last."""
    number = 1
    while numbered(name, number) in taken:
        number += 1
    return number


def split_full(windows: Sequence[WindowSpec], size: tuple[int, int]) -> list[WindowSpec]:
    """Return these windows, with those that hold too many panes for ``size`` split into several."""
    room = capacity(size)
    return [
        WindowSpec(numbered(window.name, number), window.panes[first : first + room])
        for window in windows
        for number, first in enumerate(range(0, len(window.panes), room), 1)
    ]
