"""Lay the network out as a diagram of lanes: one horizontal lane for each process. Pure.

A port has a column, which is its position along its chain, and a row. Patches run within the rows of a lane, links
between the lanes run within a column. The order of the lanes is chosen so that as few lines as possible cross.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise

from sppr.controller.topology.columns import SHARED, Line, Place, lines, nets
from sppr.controller.topology.graph import Graph, Process, guest_of, kind_of, order
from sppr.controller.topology.tracks import Packed


@dataclass(frozen=True)
class Box:
    """A port that a process patches. ``net``: the first of the ports that it is connected to."""

    process: str
    port: str
    column: int
    row: int
    net: Place


@dataclass(frozen=True)
class Wire:
    """A patch, or both directions of it. ``row``: the row of its horizontal part. ``hook``: see ``tracks.Placed``."""

    line: Line
    start: Box
    end: Box
    row: int
    hook: bool = False

    @property
    def span(self) -> tuple[float, float]:
        """Return begin and end of its horizontal part: 2 C is column C. A patch of a port to itself has a loop."""
        low, high = sorted((2.0 * self.start.column, 2.0 * self.end.column))
        return (low, low + 0.9) if self.start == self.end else (low, high)


@dataclass(frozen=True)
class Link:
    """A line between two boxes of one net, in the column of both.

    ``side``: 0 if it is straight; it passes the boxes between its ends at their left (-1) or right (1).
    ``depth``: its place among the links that pass the same boxes, from 0.
    """

    upper: Box
    lower: Box
    side: int = 0
    depth: int = 0

    @property
    def position(self) -> float:
        """Return its horizontal position, in the unit of ``Wire.span``."""
        return 2.0 * self.upper.column + 0.5 * self.side


@dataclass(frozen=True)
class Lane:
    """A process, the first of its rows, and their number. ``chips``: its ports that are not patched."""

    process: Process
    row: int
    height: int
    chips: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """A complete diagram. ``columns``: the number of columns."""

    lanes: tuple[Lane, ...]
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]
    links: tuple[Link, ...]
    columns: int
    chains: tuple[str, ...] = ()


class Diagram:
    """The parts of a diagram that do not depend on the order of its lanes."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.net_of = nets(graph)
        self.lines, self.columns = lines(graph, self.net_of)
        self.processes = {process.label: process for process in sorted(graph.processes, key=_natural)}
        self.natural = {label: number for number, label in enumerate(self.processes)}

    def lines_of(self, label: str) -> list[Line]:
        """Return the lines of a process."""
        return [line for line in self.lines if line.process == label]

    def columns_of(self, label: str) -> dict[str, int]:
        """Return the column of each patched port of a process."""
        return {port: self.columns[net] for (process, port), net in self.net_of.items() if process == label}

    @cached_property
    def linked(self) -> list[str]:
        """Return the processes that share a net with another one."""
        members: dict[Place, set[str]] = {}
        for (process, _), net in self.net_of.items():
            members.setdefault(net, set()).add(process)
        found = {process for group in members.values() if len(group) > 1 for process in group}
        return [label for label in self.processes if label in found]

    @cached_property
    def chips(self) -> dict[str, tuple[str, ...]]:
        """Return the ports of each process that are not patched. A shared port that is patched in another process is
        not among them, and a shared port of several processes is a chip of the first one."""
        shared = {port for _, port in self.net_of if _is_shared(port)}
        found: dict[str, tuple[str, ...]] = {}
        for label, process in self.processes.items():
            ports = [port for port in process.ports if (label, port) not in self.net_of and port not in shared]
            shared.update(filter(_is_shared, ports))
            found[label] = tuple(sorted(ports, key=order))
        return found

    def arrange(self, labels: Sequence[str], packed: Mapping[str, Packed]) -> Layout:
        """Return the diagram with the lanes in this order."""
        row, lanes, boxes, wires = 0, [], dict[Place, Box](), list[Wire]()
        for label in labels:
            lane = packed[label]
            lanes.append(Lane(self.processes[label], row, lane.height, self.chips[label]))
            for port, track in lane.tracks.items():
                net = self.net_of[label, port]
                boxes[label, port] = Box(label, port, self.columns[net], row + track, net)
            for placed in lane.lines:
                line = placed.line
                ends = boxes[label, line.start], boxes[label, line.end]
                wires.append(Wire(line, *ends, row + placed.track, placed.hook))
            row += lane.height
        links = links_of(list(boxes.values()), wires)
        width = max((box.column for box in boxes.values()), default=-1) + 1
        return Layout(tuple(lanes), tuple(boxes.values()), tuple(wires), tuple(links), width, self.graph.chains)


def _natural(process: Process) -> tuple[bool, bool, tuple[str, int, str]]:
    return process.guest, kind_of(process.label) != "primary", order(process.label)


def _is_shared(port: str) -> bool:
    return kind_of(port) in SHARED and not guest_of(port)


def links_of(boxes: Sequence[Box], wires: Sequence[Wire]) -> list[Link]:
    """Return the links, each with the side on which it crosses the fewest lines. Short links choose first."""
    members: dict[Place, list[Box]] = {}
    for box in boxes:
        members.setdefault(box.net, []).append(box)
    pairs: list[tuple[Box, Box]] = []
    for group in members.values():
        ordered = sorted(group, key=lambda box: box.row)
        pairs += pairwise(ordered)
    blocked = {(box.row, box.column) for box in boxes}
    for wire in wires:
        for box in (wire.start, wire.end):
            blocked |= {(row, box.column) for row in range(min(box.row, wire.row), max(box.row, wire.row) + 1)}
    spans: dict[int, list[tuple[float, float]]] = {}
    found: list[Link] = []
    for upper, lower in sorted(pairs, key=lambda pair: (pair[1].row - pair[0].row, pair[0].row, pair[0].column)):
        if not any((row, upper.column) in blocked for row in range(upper.row + 1, lower.row)):
            found.append(Link(upper, lower))
            continue
        spans = spans or _spans(wires)
        beside = [link for link in found if link.upper.column == upper.column]
        options = []
        for side in (1, -1):
            same = [link for link in beside if link.side == side and _overlap(link, upper, lower)]
            link = Link(upper, lower, side, len(same))
            count = _wires_crossed(link, spans) + sum(_interleaved(link, other) for other in same)
            options.append((count, len(same), -side, link))
        found.append(min(options, key=lambda option: option[:3])[3])
    return found


def _overlap(link: Link, upper: Box, lower: Box) -> bool:
    return link.upper.row < lower.row and upper.row < link.lower.row


def _spans(wires: Sequence[Wire]) -> dict[int, list[tuple[float, float]]]:
    """Return the horizontal parts of the wires by row."""
    found: dict[int, list[tuple[float, float]]] = {}
    for wire in wires:
        found.setdefault(wire.row, []).append(wire.span)
    return found


def _wires_crossed(link: Link, spans: Mapping[int, Sequence[tuple[float, float]]]) -> int:
    at = link.position
    return sum(low < at < high for row in range(link.upper.row + 1, link.lower.row) for low, high in spans.get(row, ()))


def _interleaved(one: Link, other: Link) -> bool:
    """Return whether two links on the same side of a column cross: each begins or ends between the ends of the
    other."""
    first, second = sorted((one, other), key=lambda link: (link.upper.row, link.lower.row))
    return first.upper.row < second.upper.row < first.lower.row < second.lower.row


def crossings(layout: Layout) -> int:
    """Return how many pairs of lines cross: links and patches, two links, two patches of a lane."""
    spans = _spans(layout.wires)
    count = sum(_wires_crossed(link, spans) for link in layout.links)
    for one, other in combinations([link for link in layout.links if link.side], 2):
        count += one.position == other.position and _interleaved(one, other)
    for box, row in _elbows(layout.wires):
        low, high = sorted((box.row, row))
        count += sum(left < 2 * box.column < right for r in range(low + 1, high) for left, right in spans.get(r, ()))
    return count


def _elbows(wires: Sequence[Wire]) -> Iterator[tuple[Box, int]]:
    """Yield the vertical parts of wires: the box, and the row of the horizontal part."""
    for wire in wires:
        yield from ((box, wire.row) for box in (wire.start, wire.end) if box.row != wire.row)
