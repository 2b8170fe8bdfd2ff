"""Convert the rows and columns of a diagram to pixels. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from sppr.controller.topology.graph import guest_of
from sppr.controller.topology.layout import Box, Lane, Layout, Link, Wire

Point = tuple[float, float]
#: Size of the box of a port, distance of columns, height of a row, gap between lanes, all in pixels.
BOX_WIDTH, BOX_HEIGHT, PITCH, ROW, GAP = 98, 28, 206, 62, 8
#: Margin of the picture, width of the labels of the lanes, height of a lane without patches.
MARGIN, LABEL, EMPTY = 24, 158, 46
#: Chips: height, distance, space for a character, maximum width of a line of chips.
CHIP_HEIGHT, CHIP_GAP, CHIP_CHARACTER, CHIPS_WIDTH = 20, 6, 6.6, 250
#: Distance of the first link that passes a box from the box, and of each further one from the one before.
PASSING, FURTHER = 9, 6
#: Distance of the vertical part of a patch from the middle of its box.
ELBOW = 26
#: Maximum number of characters in a box.
LONGEST = 12
#: The same for a link to another host, ``link:east-west/2``, in smaller letters.
LONGEST_LINK = 17


def shown(text: str, longest: int = LONGEST) -> str:
    """Return the text, cut to ``longest`` characters. The suffix of a guest's port, and the host in front of a port,
    are left out: the lane has them."""
    before, slash, after = text.partition("/")
    text = after if slash and ":" not in before and ":" in after else text
    text = text.partition("@")[0] if guest_of(text) else text
    return text if len(text) <= longest else text[: longest - 1] + "…"


@dataclass(frozen=True)
class Chip:
    """A port that is not patched: its place relative to the right part of its lane."""

    port: str
    x: float
    y: float
    width: float


def chips(ports: Sequence[str]) -> tuple[list[Chip], float, float]:
    """Return the chips of a lane, and the width and height that they need."""
    found: list[Chip] = []
    x = y = width = 0.0
    for port in ports:
        size = CHIP_CHARACTER * len(shown(port)) + 14
        if x and x + size > CHIPS_WIDTH:
            x, y = 0.0, y + CHIP_HEIGHT + CHIP_GAP
        found.append(Chip(port, x, y, size))
        width = max(width, x + size)
        x += size + CHIP_GAP
    return found, width, y + CHIP_HEIGHT if found else 0.0


class Geometry:
    """The places of all parts of a diagram. ``top``: the height of the title and the legend."""

    def __init__(self, layout: Layout, top: float) -> None:
        self.layout = layout
        self.left = MARGIN + LABEL
        self.chips_left = self.left + layout.columns * PITCH - (PITCH - BOX_WIDTH) * bool(layout.columns) + 40
        self.lanes: dict[str, tuple[float, float]] = {}
        self._rows: dict[int, float] = {}
        y, widest = top, 0.0
        for lane in layout.lanes:
            height = self._height(lane)
            self.lanes[lane.process.label] = y, height
            for track in range(lane.height):
                self._rows[lane.row + track] = y + (height - lane.height * ROW) / 2 + (track + 0.5) * ROW
            widest = max(widest, chips(lane.chips)[1])
            y += height + GAP
        looped = any(wire.start == wire.end and wire.start.column == layout.columns - 1 for wire in layout.wires)
        self.chips_left += 70 * looped
        self.width = self.chips_left + (widest + 16 if widest else -24) + MARGIN
        self.height = y - GAP * bool(layout.lanes) + MARGIN

    def _height(self, lane: Lane) -> float:
        has_boxes = any(box.process == lane.process.label for box in self.layout.boxes)
        return max(lane.height * ROW if has_boxes else EMPTY, chips(lane.chips)[2] + 16)

    def x(self, box: Box) -> float:
        """Return the middle of a box."""
        return self.left + BOX_WIDTH / 2 + box.column * PITCH

    def y(self, box: Box) -> float:
        """Return the middle of a box."""
        return self._rows[box.row]

    def link(self, link: Link) -> list[Point]:
        """Return the points of a link, from its upper to its lower end."""
        x, top, bottom = self.x(link.upper), self.y(link.upper) + BOX_HEIGHT / 2, self.y(link.lower) - BOX_HEIGHT / 2
        if not link.side:
            return [(x, top), (x, bottom)]
        beside = x + link.side * (BOX_WIDTH / 2 + PASSING + FURTHER * link.depth)
        return [(x, top), (beside, top + 12), (beside, bottom - 12), (x, bottom)]

    def wire(self, wire: Wire) -> list[Point]:
        """Return the points of a patch, from its start to its end. The patch of a port to itself is a loop."""
        start, end = wire.start, wire.end
        if start == end:
            right, y = self.x(start) + BOX_WIDTH / 2, self.y(start)
            return [(right, y - 7), (right + 22, y - 7), (right + 22, y + 7), (right, y + 7)]
        y = self._rows[wire.row]
        towards = 1 if start.column < end.column else -1
        return [*self._end(start, wire, towards, y), *reversed(self._end(end, wire, -towards, y))]

    def _end(self, box: Box, wire: Wire, towards: int, y: float) -> list[Point]:
        """Return the points from a box to the horizontal part of a patch at ``y``."""
        x, middle = self.x(box), self.y(box)
        side = x + towards * BOX_WIDTH / 2
        if box.row == wire.row:
            return [(side, middle)]
        if wire.hook:
            beside = side + towards * PASSING
            return [(side, middle + 8), (beside, middle + 8), (beside, y)]
        x += towards * ELBOW
        return [(x, middle + BOX_HEIGHT / 2 * (1 if y > middle else -1)), (x, y)]

    def text_of(self, wire: Wire) -> Point:
        """Return the middle of the text at a patch: the gap at the right of its left end."""
        if wire.start == wire.end:
            return self.x(wire.start) + BOX_WIDTH / 2 + 56, self.y(wire.start) + 7
        left = min((wire.start, wire.end), key=lambda box: box.column)
        right = max((wire.start, wire.end), key=lambda box: box.column)
        gap = (PITCH - BOX_WIDTH) / 2
        if left.row != wire.row and right.row == wire.row:
            return self.x(right) - BOX_WIDTH / 2 - gap, self._rows[wire.row]
        return self.x(left) + BOX_WIDTH / 2 + gap, self._rows[wire.row]
