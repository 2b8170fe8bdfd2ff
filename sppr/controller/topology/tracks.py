"""Place the ports and patches of one process on the tracks of its lane. Pure.

A track is a row of cells: cell 2 C is the port in column C, and cell 2 C + 1 the gap at its right.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sppr.controller.topology.columns import Line
from sppr.controller.topology.graph import order


@dataclass(frozen=True)
class Placed:
    """A line and the track of its horizontal part. ``hook``: its vertical parts run beside the ports, not below."""

    line: Line
    track: int
    hook: bool = False


@dataclass
class Group:
    """Ports that patches connect, with tracks from 0. ``cells``: the cells in use, by track."""

    tracks: dict[str, int] = field(default_factory=dict)
    lines: list[Placed] = field(default_factory=list)
    cells: dict[int, set[int]] = field(default_factory=dict)

    @property
    def height(self) -> int:
        """Return its number of tracks."""
        return max(self.cells, default=-1) + 1

    def use(self, track: int, cells: Iterable[int]) -> None:
        """Mark cells as used."""
        self.cells.setdefault(track, set()).update(cells)

    def is_free(self, track: int, cells: Iterable[int]) -> bool:
        """Return whether no cell is used."""
        return self.cells.get(track, set()).isdisjoint(cells)


@dataclass(frozen=True)
class Packed:
    """A lane: the track of each port, its lines, and its number of tracks."""

    tracks: Mapping[str, int]
    lines: tuple[Placed, ...]
    height: int


def groups(lines: Sequence[Line], columns: Mapping[str, int]) -> list[Group]:
    """Return the groups of a process, the leftmost first. ``columns``: the column of each port."""
    neighbours: dict[str, list[Line]] = {}
    for line in lines:
        for port in dict.fromkeys((line.start, line.end)):
            neighbours.setdefault(port, []).append(line)
    found, seen = [], set[str]()
    for port in sorted(neighbours, key=lambda port: (columns[port], order(port))):
        if port not in seen:
            members = list(_connected(port, neighbours))
            seen.update(members)
            found.append(_group(sorted(members, key=lambda p: (columns[p], order(p))), neighbours, columns))
    return found


def _connected(first: str, neighbours: Mapping[str, Sequence[Line]]) -> Iterator[str]:
    seen, waiting = {first}, [first]
    while waiting:
        port = waiting.pop()
        yield port
        for line in neighbours[port]:
            for other in (line.start, line.end):
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)


def _group(ports: Sequence[str], neighbours: Mapping[str, Sequence[Line]], columns: Mapping[str, int]) -> Group:
    group, drawn = Group(), set[int]()

    def place(port: str, track: int) -> None:
        group.tracks[port] = track
        group.use(track, [2 * columns[port]])

    for port in ports:
        if port not in group.tracks:
            place(port, group.height)
        waiting = [port]
        while waiting:
            here = waiting.pop()
            for line in neighbours[here]:
                if id(line) in drawn:
                    continue
                drawn.add(id(line))
                other = line.end if line.start == here else line.start
                if line.start == line.end:
                    group.use(group.tracks[here], [2 * columns[here] + 1])
                    group.lines.append(Placed(line, group.tracks[here]))
                    continue
                low, high = sorted((columns[here], columns[other]))
                track = group.tracks[here]
                between = range(2 * low + 1, 2 * high)
                if other not in group.tracks and group.is_free(track, [*between, 2 * columns[other]]):
                    place(other, track)
                    group.use(track, between)
                    group.lines.append(Placed(line, track))
                    waiting.append(other)
                    continue
                _elbow(group, line, here, other, columns)
                if other not in group.tracks:
                    place(other, group.lines[-1].track)
                    waiting.append(other)
    return group


def _elbow(group: Group, line: Line, here: str, other: str, columns: Mapping[str, int]) -> None:
    """Place a line that leaves the track of ``here``: it takes a part of a lower track."""
    low, high = sorted((columns[here], columns[other]))
    ends = [port for port in (here, other) if port in group.tracks]
    track = max(group.tracks[port] for port in ends) + 1
    cells = range(2 * low, 2 * high + 1)
    while not group.is_free(track, cells):
        track += 1
    ports = {(place, columns[port]) for port, place in group.tracks.items()}
    hook = any((row, columns[port]) in ports for port in ends for row in range(group.tracks[port] + 1, track))
    group.use(track, cells)
    group.lines.append(Placed(line, track, hook))


def pack(found: Sequence[Group]) -> Packed:
    """Return the lane with its groups on as few tracks as possible. Earlier groups get higher places."""
    used: dict[int, set[int]] = {}
    tracks: dict[str, int] = {}
    lines: list[Placed] = []
    for group in found:
        shift = 0
        while any(used.get(track + shift, set()) & cells for track, cells in _filled(group)):
            shift += 1
        for track, cells in _filled(group):
            used.setdefault(track + shift, set()).update(cells)
        tracks |= {port: track + shift for port, track in group.tracks.items()}
        lines += [Placed(p.line, p.track + shift, p.hook) for p in group.lines]
    return Packed(tracks, tuple(lines), max(used, default=0) + 1)


def _filled(group: Group) -> list[tuple[int, set[int]]]:
    """Return the cells of a group by track. A group of several tracks keeps the others out of its columns."""
    if group.height <= 1:
        return list(group.cells.items())
    every = set[int]().union(*group.cells.values())
    return [(track, set(range(min(every), max(every) + 1))) for track in range(group.height)]
