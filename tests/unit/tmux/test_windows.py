"""A window holds as many panes as stay usable; the panes after that go to the next window."""

from pathlib import Path

import pytest

from sppr.tmux.commands import PaneSpec, WindowSpec
from sppr.tmux.windows import (
    MIN_COLUMNS,
    MIN_LINES,
    OpenWindow,
    capacity,
    next_number,
    open_windows,
    split_full,
    tiled_size,
)


@pytest.mark.parametrize(
    ("count", "size", "smallest"),
    [
        (1, (80, 24), (80, 24)),
        (2, (80, 24), (80, 11)),
        (4, (80, 24), (39, 11)),
        (9, (80, 24), (26, 7)),
        (10, (80, 24), (26, 5)),
        (16, (80, 24), (19, 5)),
        (37, (80, 24), (12, 2)),
        (65, (80, 24), (9, 1)),
        (30, (160, 48), (31, 7)),
        (36, (160, 48), (25, 7)),
        (42, (200, 50), (32, 6)),
    ],
)
def test_tiled_size_is_that_measured_with_tmux(count: int, size: tuple[int, int], smallest: tuple[int, int]) -> None:
    assert tiled_size(count, size) == smallest


@pytest.mark.parametrize(
    ("size", "panes"),
    [((80, 23), 9), ((80, 24), 9), ((160, 47), 30), ((200, 49), 49), ((80, 12), 1), ((80, 13), 4), ((10, 2), 1)],
)
def test_capacity(size: tuple[int, int], panes: int) -> None:
    assert capacity(size) == panes
    assert OpenWindow("sec", panes - 1, size).has_room() and not OpenWindow("sec", panes, size).has_room()


def test_every_pane_of_a_full_window_is_usable() -> None:
    for columns in range(80, 240, 7):
        for lines in range(23, 100, 3):
            width, height = tiled_size(capacity((columns, lines)), (columns, lines))
            assert width >= MIN_COLUMNS and height >= MIN_LINES


def test_full_windows_are_split_in_order() -> None:
    def window(name: str, count: int) -> WindowSpec:
        return WindowSpec(name, tuple(PaneSpec(f"{name}{n}", Path("/")) for n in range(count)))

    made = split_full([window("pri", 1), window("sec", 19), window("vm_r", 9), window("w0", 1)], (80, 23))
    assert [(w.name, w.panes[0].name, len(w.panes)) for w in made] == [
        ("pri", "pri0", 1), ("sec", "sec0", 9), ("sec-2", "sec9", 9), ("sec-3", "sec18", 1), ("vm_r", "vm_r0", 9),
        ("w0", "w00", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("taken", "number"),
    [((), 1), (("sec",), 2), (("sec", "sec-2"), 3), (("sec-2",), 1), (("sec", "sec-3"), 2), (("mine",), 1)],
)
def test_next_window_has_the_first_free_number(taken: tuple[str, ...], number: int) -> None:
    assert next_number("sec", taken) == number


def test_windows_are_parsed_with_spaces_in_their_names() -> None:
    lines = ["@3 9 80 23 sec", "@7 2 80 23 my own"]
    assert open_windows(lines) == {"@3": OpenWindow("sec", 9, (80, 23)), "@7": OpenWindow("my own", 2, (80, 23))}
