"""Choose the order of the lanes of a diagram, and of the groups of patches in each lane. Pure.

Few lanes: all orders are tried. Many lanes: each lane is moved towards the lanes that it is linked to, and then lanes
are swapped and moved as long as that improves the diagram.
"""

from collections.abc import Sequence
from itertools import combinations, permutations
from typing import TypeVar

from sppr.controller.topology.graph import Graph
from sppr.controller.topology.layout import Diagram, Layout, crossings
from sppr.controller.topology.tracks import Group, groups, pack

_Item = TypeVar("_Item")
#: Up to this number of lanes, all orders are tried.
EXHAUSTIVE = 5
#: Above this number of lanes, lanes are not moved one by one, because that would take seconds.
MOST_MOVED = 24
#: Above this number of patches, the order is not searched, because that would take seconds.
MOST_SEARCHED = 400
#: The number of orders that are improved; the best result is used.
STARTS = 3
#: Rounds of the barycenter method.
ROUNDS = 8

#: Crossings; length and bends of the links; distance from the natural order. The lower, the better.
Cost = tuple[int, int, int]


def lay_out(graph: Graph) -> Layout:
    """Return the diagram of a graph. The result depends on the graph only."""
    return Search(graph).best()


def cost(layout: Layout, natural: dict[str, int]) -> Cost:
    """Return how bad a diagram is."""
    length = sum(link.lower.row - link.upper.row + 2 * (link.side != 0) for link in layout.links)
    places = [natural[lane.process.label] for lane in layout.lanes]
    return crossings(layout), length, sum(a > b for a, b in combinations(places, 2))


class Search:
    """The search for the best order. ``lanes``: the linked lanes; ``above``, ``below``: the others, which stay."""

    def __init__(self, graph: Graph) -> None:
        self.diagram = Diagram(graph)
        self.groups = {
            label: groups(self.diagram.lines_of(label), self.diagram.columns_of(label))
            for label in self.diagram.processes
        }
        self.packed = {label: pack(found) for label, found in self.groups.items()}
        self.lanes = self.diagram.linked
        others = [label for label in self.diagram.processes if label not in self.lanes]
        self.above = [label for label in others if label == "primary"]
        self.below = sorted(
            (label for label in others if label != "primary"), key=lambda label: not self.packed[label].lines
        )

    def arrange(self, lanes: Sequence[str]) -> Layout:
        """Return the diagram with the linked lanes in this order."""
        return self.diagram.arrange([*self.above, *lanes, *self.below], self.packed)

    def cost(self, lanes: Sequence[str]) -> Cost:
        """Return how bad an order of the linked lanes is."""
        return cost(self.diagram.arrange(lanes, self.packed), self.diagram.natural)

    def best(self) -> Layout:
        """Return the best diagram that the search finds."""
        if len(self.diagram.lines) > MOST_SEARCHED:
            return self.arrange(self.lanes)
        lanes, before = self._start(), None
        while (now := self.cost(lanes)) != before:
            before = now
            lanes = self._flip(lanes)
            self._improve_groups(lanes)
            lanes = self._improve(lanes)
        return self.arrange(lanes)

    def _flip(self, lanes: list[str]) -> list[str]:
        """Return the diagram upside down if that is better: the primary is then nearer to the top."""
        now, old = self.cost(lanes), {label: self.groups[label] for label in lanes}
        for label in lanes:
            self._use(label, self.groups[label][::-1])
        if self.cost(lanes[::-1]) < now:
            return lanes[::-1]
        for label in lanes:
            self._use(label, old[label])
        return lanes

    def _start(self) -> list[str]:
        if len(self.lanes) <= EXHAUSTIVE:
            return min(map(list, permutations(self.lanes)), key=self.cost)
        walks = [self._walk(root) for root in self.lanes]
        starts = [self.lanes, *walks, *map(self._barycenter, [self.lanes, *walks])]
        starts = [list(lanes) for lanes in dict.fromkeys(map(tuple, starts))]
        return min(map(self._improve, sorted(starts, key=self.cost)[:STARTS]), key=self.cost)

    def _neighbours(self) -> dict[str, list[str]]:
        members: dict[object, list[str]] = {}
        for (process, _), net in self.diagram.net_of.items():
            members.setdefault(net, []).append(process)
        found: dict[str, list[str]] = {label: [] for label in self.lanes}
        for group in members.values():
            for label in group if len(group) > 1 else ():
                found[label] += [other for other in group if other != label]
        return found

    def _barycenter(self, lanes: Sequence[str]) -> list[str]:
        """Return the lanes, each near the mean place of the lanes that it is linked to."""
        neighbours, ordered = self._neighbours(), list(lanes)
        for _ in range(ROUNDS):
            place = {label: number for number, label in enumerate(ordered)}
            mean = {
                label: sum(place[other] for other in others) / len(others) if others else place[label]
                for label, others in neighbours.items()
            }
            ordered.sort(key=lambda label: (mean[label], place[label]))
        return ordered

    def _walk(self, root: str) -> list[str]:
        """Return the lanes in the order in which a walk along the links from ``root`` reaches them."""
        neighbours, seen = self._neighbours(), dict[str, None]()
        for first in (root, *self.lanes):
            waiting = [first]
            while waiting:
                label = waiting.pop()
                if label not in seen:
                    seen[label] = None
                    waiting += reversed(neighbours[label])
        return list(seen)

    def _improve(self, lanes: Sequence[str]) -> list[str]:
        """Swap and move lanes until no swap of two lanes improves the diagram."""
        now, before = self.cost(lanes), None
        while now != before:
            before = now
            for change in (_swapped, _moved) if len(lanes) <= MOST_MOVED else (_swapped,):
                for a, b in permutations(range(len(lanes)), 2):
                    if change is _swapped and a > b:
                        continue
                    changed = change(lanes, a, b)
                    if (found := self.cost(changed)) < now:
                        lanes, now = changed, found
        return list(lanes)

    def _improve_groups(self, lanes: Sequence[str]) -> None:
        """Exchange neighbouring groups of patches within the lanes where that improves the diagram."""
        now = self.cost(lanes)
        for label in lanes:
            for number in range(len(self.groups[label]) - 1):
                old = self.groups[label], self.packed[label]
                self._use(label, _swapped(old[0], number, number + 1))
                if (found := self.cost(lanes)) < now:
                    now = found
                else:
                    self.groups[label], self.packed[label] = old

    def _use(self, label: str, found: list[Group]) -> None:
        self.groups[label] = found
        self.packed[label] = pack(found)


def _swapped(items: Sequence[_Item], a: int, b: int) -> list[_Item]:
    found = list(items)
    found[a], found[b] = found[b], found[a]
    return found


def _moved(items: Sequence[_Item], a: int, b: int) -> list[_Item]:
    rest = [*items[:a], *items[a + 1 :]]
    return [*rest[:b], items[a], *rest[b:]]
