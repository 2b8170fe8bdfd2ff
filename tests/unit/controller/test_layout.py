"""The diagram of topo: columns, order of lanes, crossings, places of all parts."""

import random
from itertools import combinations, pairwise, permutations

import pytest

from sppr.controller.prompt.controllers import ProcessStatus
from sppr.controller.topology import graph
from sppr.controller.topology.geometry import BOX_HEIGHT, BOX_WIDTH, MARGIN, Geometry, Point, chips
from sppr.controller.topology.lane_order import Search, lay_out
from sppr.controller.topology.layout import Box, Layout, Link, Wire, crossings, links_of
from tests.unit.controller.networks import (
    EIGHT,
    LONG,
    NETWORKS,
    PLANAR,
    RINGS,
    SIXTEEN,
    SMALL,
    STAR,
    both,
    details,
    guest,
    host,
)

_layouts: dict[int, tuple[list[ProcessStatus], Layout]] = {}


def arranged(processes: list[ProcessStatus]) -> Layout:
    """Return the diagram. It is made once for each network."""
    if id(processes) not in _layouts:
        _layouts[id(processes)] = processes, lay_out(graph.build(processes, None, details()))
    return _layouts[id(processes)][1]


def columns(layout: Layout) -> dict[tuple[str, str], int]:
    return {(box.process, box.port): box.column for box in layout.boxes}


def tangled(seed: int, count: int = 6) -> list[ProcessStatus]:
    """Return a random network of secondaries that share rings."""
    choose = random.Random(seed)  # noqa: S311 - not for security
    found = []
    for number in range(1, count + 1):
        rings = [f"ring:{n}" for n in choose.sample(range(10), 6)]
        found.append(host(number, both(*zip(rings[::2], rings[1::2], strict=True))))
    return found


def proper(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Return whether two segments cross, without a common end."""

    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < -1e-6 and side(c, d, a) * side(c, d, b) < -1e-6


def test_a_chain_runs_from_left_to_right() -> None:
    places = columns(arranged(EIGHT))
    chain = [
        ("nfv:1", "tap:0"), ("nfv:1", "ivshmem:6"), ("nfv:6", "ring:1@6"), ("nfv:2", "vhost:11"),
        ("nfv:11", "phy:1@11"), ("nfv:3", "tap:1"),
    ]  # fmt: skip
    assert [places[place] for place in chain] == [0, 1, 2, 3, 4, 5]
    assert places["nfv:6", "ring:0@6"] == places["nfv:1", "ivshmem:6"]


def test_a_chain_in_both_directions_begins_at_the_end_that_the_lab_names_first() -> None:
    reversed_names = [host(1, both(("tap:1", "vhost:2"), ("vhost:2", "tap:0")))]
    without = columns(lay_out(graph.build(reversed_names)))
    assert without["nfv:1", "tap:0"] == 0 and without["nfv:1", "tap:1"] == 2
    chain = {("nfv:1", "tap:1", "vhost:2"): ("c", False), ("nfv:1", "vhost:2", "tap:0"): ("c", False)}
    chain |= {(process, dst, src): ("c", True) for process, src, dst in chain}
    given = columns(lay_out(graph.build(reversed_names, None, graph.Details(chains=chain))))
    assert given["nfv:1", "tap:1"] == 0 and given["nfv:1", "tap:0"] == 2


def test_a_cycle_has_one_line_back() -> None:
    layout = arranged(RINGS)
    assert sorted({box.column for box in layout.boxes}) == [0, 1, 2, 3]
    assert sum(wire.start.column > wire.end.column for wire in layout.wires) == 1


def test_two_directions_are_one_line() -> None:
    [line] = {wire.line for wire in arranged([host(1, both(("tap:0", "tap:1")))]).wires}
    assert [(edge.src, edge.dst) for edge in line.edges] == [("tap:0", "tap:1"), ("tap:1", "tap:0")]


@pytest.mark.parametrize("name", PLANAR)
def test_planar_networks_have_no_crossing(name: str) -> None:
    assert crossings(arranged(PLANAR[name])) == 0


def test_a_wrong_order_has_crossings() -> None:
    """The straight chain of 3 lanes crosses itself if its ends are neighbours."""
    straight = [host(1, both(("ring:0", "ring:9"))), host(2, both(("tap:0", "ring:0"), ("ring:9", "tap:1")))]
    middle = host(3, both(("vhost:0", "vhost:1"), ("vhost:1", "vhost:2"), ("vhost:2", "vhost:3")))
    search = Search(graph.build([*straight, middle]))
    assert crossings(search.arrange(["nfv:1", "nfv:2"])) == 0
    assert crossings(search.diagram.arrange(["nfv:1", "nfv:3", "nfv:2"], search.packed)) == 2


def test_links_at_the_same_side_of_a_box_cross_if_they_are_interleaved() -> None:
    boxes = [Box(f"nfv:{row}", "ring:0", 0, row, ("", str(row))) for row in range(6)]
    outer, inner, later = Link(boxes[0], boxes[5], 1), Link(boxes[1], boxes[3], 1), Link(boxes[2], boxes[4], 1)
    assert crossings(Layout((), (), (), (outer, inner), 1)) == 0
    assert crossings(Layout((), (), (), (inner, later), 1)) == 1
    left = Link(boxes[2], boxes[4], -1)
    assert crossings(Layout((), (), (), (inner, left), 1)) == 0


@pytest.mark.parametrize("processes", [EIGHT, SIXTEEN, STAR, tangled(3, 8)])
def test_no_swap_of_two_lanes_improves_the_diagram(processes: list[ProcessStatus]) -> None:
    search = Search(graph.build(processes, None, details()))
    best = [lane.process.label for lane in search.best().lanes if lane.process.label in search.lanes]
    least = search.cost(best)
    assert least[0] == crossings(search.arrange(best))
    for a, b in combinations(range(len(best)), 2):
        changed = list(best)
        changed[a], changed[b] = changed[b], changed[a]
        assert search.cost(changed) >= least, (best[a], best[b])


@pytest.mark.parametrize(("patch", "side"), [(("ring:0", "vhost:2"), -1), (("vhost:2", "ring:0"), 1)])
def test_a_link_passes_a_box_on_the_side_without_a_patch(patch: tuple[str, str], side: int) -> None:
    middle = [Box("nfv:2", patch[0], 0, 1, ("", "a")), Box("nfv:2", patch[1], 1, 1, ("", "b"))]
    column = 0 if side < 0 else 1
    ends = [Box("nfv:1", "ring:1", column, 0, ("", "c")), Box("nfv:3", "ring:1", column, 2, ("", "c"))]
    [line] = Search(graph.build([host(2, [patch])])).diagram.lines
    [link] = links_of([*ends, *middle], [Wire(line, *middle, 1)])
    assert link.side == side


@pytest.mark.parametrize("seed", range(6))
def test_few_lanes_have_the_fewest_crossings_of_all_orders(seed: int) -> None:
    network = graph.build(tangled(seed, 5))
    search = Search(network)
    fewest = min(search.cost(list(order)) for order in permutations(search.lanes))
    assert crossings(lay_out(network)) <= fewest[0]


@pytest.mark.parametrize("processes", [*NETWORKS.values(), *(tangled(seed) for seed in range(12))])
def test_the_picture_has_as_many_crossings_as_are_counted(processes: list[ProcessStatus]) -> None:
    layout = arranged(processes)
    geometry = Geometry(layout, 0)
    routes: list[tuple[Link | Wire, list[Point]]] = [(link, geometry.link(link)) for link in layout.links]
    routes += [(wire, geometry.wire(wire)) for wire in layout.wires]
    found = 0
    for (_, one), (_, other) in combinations(routes, 2):
        found += sum(proper(a, b, c, d) for a, b in pairwise(one) for c, d in pairwise(other))
    assert found == crossings(layout)


@pytest.mark.parametrize("processes", [*NETWORKS.values(), *(tangled(seed) for seed in range(6))])
def test_nothing_overlaps(processes: list[ProcessStatus]) -> None:
    layout = arranged(processes)
    geometry = Geometry(layout, 0)
    rectangles = []
    for box in layout.boxes:
        x, y = geometry.x(box), geometry.y(box)
        rectangles.append((x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2, x + BOX_WIDTH / 2, y + BOX_HEIGHT / 2))
        top, height = geometry.lanes[box.process]
        assert top <= y - BOX_HEIGHT / 2 and y + BOX_HEIGHT / 2 <= top + height
    for wire in layout.wires:  # rates of both directions, and drops
        x, y = geometry.text_of(wire)
        rectangles.append((x - 40, y - 30, x + 40, y - 1))
        assert x + 40 < geometry.width - MARGIN + 40
    for one, other in combinations(rectangles, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, (one, other)
    lanes = sorted(geometry.lanes.values())
    assert all(top + height <= below for (top, height), (below, _) in pairwise(lanes))
    boxes = {(box.row, box.column) for box in layout.boxes}
    assert len(boxes) == len(layout.boxes)
    for link in layout.links:
        passed = {(row, link.upper.column) for row in range(link.upper.row + 1, link.lower.row)} & boxes
        assert link.upper.column == link.lower.column and (link.side != 0 or not passed)


def test_chips_do_not_overlap_and_their_lines_have_a_maximum_width() -> None:
    found, width, height = chips([f"vhost:{number}" for number in range(100, 140)])
    assert len(found) == 40 and width <= 250 and height > 200
    for one, other in combinations(found, 2):
        assert one.y != other.y or one.x + one.width <= other.x or other.x + other.width <= one.x


def test_a_shared_port_without_a_patch_is_one_chip() -> None:
    layout = arranged(
        [host(0, [], ["phy:0", "phy:1", "vhost:1"]), host(1, both(("phy:0", "ring:0")), ["phy:1", "vhost:1"])]
    )
    assert {lane.process.label: lane.chips for lane in layout.lanes} == {
        "primary": ("phy:1", "vhost:1"), "nfv:1": ("vhost:1",),
    }  # fmt: skip


def test_the_primary_is_at_the_top_and_idle_parts_at_the_bottom() -> None:
    labels = [lane.process.label for lane in arranged([guest(10, [], ["ring:0"]), *SMALL]).lanes]
    assert labels == ["primary", "nfv:1", "nfv:6", "nfv:10"]


@pytest.mark.parametrize("name", ["sixteen", "star"])
def test_the_diagram_depends_on_the_network_only(name: str) -> None:
    first, again = arranged(NETWORKS[name]), arranged(list(NETWORKS[name]))
    assert first == again
    shuffled = arranged(NETWORKS[name][::-1])
    assert crossings(shuffled) == crossings(first)


def test_a_large_network_is_laid_out_without_a_search() -> None:
    many = [host(n, both(*((f"vhost:{n}{k}", f"vhost:{n + 1}{k}") for k in range(200)))) for n in (1, 2, 3)]
    assert len(arranged(many).wires) == 600 and len(arranged(LONG).wires) == 30
