"""Assign a column to each port, so that chains run from left to right. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from sppr.controller.topology.graph import Edge, Graph, guest_of, kind_of, order

#: Types of ports that the primary and all secondaries share, or the primaries of two hosts.
SHARED = ("tap", "phy", "ring", "link")
#: A port of one process.
Place = tuple[str, str]


@dataclass(frozen=True)
class Line:
    """A patch, or the two patches of both directions, of a process.

    ``edges``: the patches; the first one runs from ``start`` to ``end``. ``start`` is left of ``end``, except for a
    patch that leads back to the begin of a cycle.
    """

    process: str
    start: str
    end: str
    edges: tuple[Edge, ...]

    @property
    def chain(self) -> str:
        """Return the name of its service chain, or an empty text."""
        return next((edge.chain for edge in self.edges if edge.chain), "")


def nets(graph: Graph) -> dict[Place, Place]:
    """Return for each port that is patched the first port that it is connected to.

    Ports are connected if they are the same port in several processes, or the two ends of a guest's port.
    """
    places: dict[Place, None] = {}
    for edge in graph.edges:
        if edge.process:
            places |= {(edge.process, edge.src): None, (edge.process, edge.dst): None}
    by_uid: dict[str, list[Place]] = {}
    for place in places:
        by_uid.setdefault(place[1], []).append(place)
    parent = {place: place for place in places}

    def find(place: Place) -> Place:
        while parent[place] != place:
            place = parent[place]
        return place

    def join(group: Iterable[Place]) -> None:
        first, *others = [find(place) for place in group]
        for other in others:
            parent[other] = first

    for uid, group in by_uid.items():
        if kind_of(uid) in SHARED and not guest_of(uid):
            join(group)
    for edge in graph.edges:
        if edge.bidirectional and edge.src in by_uid and edge.dst in by_uid:
            join([*by_uid[edge.src], *by_uid[edge.dst]])
    return {place: find(place) for place in places}


def lines(graph: Graph, net_of: Mapping[Place, Place]) -> tuple[list[Line], dict[Place, int]]:
    """Return the lines of all processes, and the column of each net."""
    pairs: dict[tuple[str, frozenset[str]], list[Edge]] = {}
    for edge in graph.edges:
        if edge.process:
            pairs.setdefault((edge.process, frozenset((edge.src, edge.dst))), []).append(edge)
    columns = _columns(list(pairs.values()), net_of)
    found = []
    for (process, _), edges in pairs.items():
        first = edges[0]
        both_ways = any(edge.src == first.dst and edge.dst == first.src for edge in edges[1:])
        start = columns[net_of[process, first.src]]
        if both_ways and columns[net_of[process, first.dst]] < start:
            edges.sort(key=lambda edge: edge.src == first.src)
        found.append(Line(process, edges[0].src, edges[0].dst, tuple(edges)))
    return found, columns


def _columns(pairs: Iterable[list[Edge]], net_of: Mapping[Place, Place]) -> dict[Place, int]:
    """Return the column of each net: the longest path from the begin of its chain."""
    after: dict[Place, dict[Place, None]] = {net: {} for net in net_of.values()}
    either: dict[Place, dict[Place, None]] = {net: {} for net in after}
    for edges in pairs:
        nets_of_edges = [(net_of[edge.process, edge.src], net_of[edge.process, edge.dst]) for edge in edges]
        known = any(edge.reverse for edge in edges)
        both_ways = len(edges) > 1 and any(pair == nets_of_edges[0][::-1] for pair in nets_of_edges)
        for edge, (src, dst) in zip(edges, nets_of_edges, strict=True):
            if src == dst:
                continue
            if both_ways and not known:
                either[src][dst] = either[dst][src] = None
            elif edge.reverse:
                after[dst][src] = None
            else:
                after[src][dst] = None
    arcs = list(_forward_arcs(after, either))
    columns = dict.fromkeys(after, 0)
    for src, dst in arcs:  # sources in topological order
        columns[dst] = max(columns[dst], columns[src] + 1)
    begins = {src for src, _ in arcs} - {dst for _, dst in arcs}
    for net in begins:  # a port that joins a chain in its middle stands next to it
        columns[net] = min(columns[dst] for src, dst in arcs if src == net) - 1
    return columns


def _forward_arcs(
    after: Mapping[Place, Collection[Place]], either: Mapping[Place, Collection[Place]]
) -> Iterator[tuple[Place, Place]]:
    """Yield the arcs without those that close a cycle, in the topological order of their sources.

    A connection in both directions gets the direction in which it is reached first from an end of its chain.
    """
    entered = {dst for others in after.values() for dst in others}

    def rank(net: Place) -> tuple[bool, bool, tuple[str, int, str], Place]:
        is_end = len([*after[net], *either[net]]) <= 1
        return net in entered, not is_end, order(net[1]), net

    done: list[Place] = []
    index: dict[Place, int] = {}
    state: dict[Place, bool] = {}  # True: it is on the current path
    chosen: dict[Place, list[Place]] = {}
    for root in sorted(after, key=rank):
        stack: list[tuple[Place, Iterator[Place]]] = [] if root in state else [(root, iter(()))]
        while stack:
            net, remaining = stack[-1]
            if net not in state:
                state[net], chosen[net] = True, []
                remaining = iter([*after[net], *either[net]])
                stack[-1] = net, remaining
            for other in remaining:
                if state.get(other):  # it closes a cycle, or it is the way back
                    continue
                if other in either[net] and other not in after[net] and net in chosen.get(other, ()):
                    continue
                chosen[net].append(other)
                if other not in state:
                    stack.append((other, iter(())))
                    break
            else:
                state[net] = False
                index[net] = len(done)
                done.append(net)
                stack.pop()
    for net in reversed(done):
        yield from ((net, other) for other in chosen[net])
