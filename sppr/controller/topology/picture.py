"""Draw a diagram as SVG: lanes of processes, ports, patches with their rates, links between the lanes. Pure.

The picture has its own white background and fonts, so that it looks the same on a light and on a dark page.
"""

import colorsys
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from sppr.controller.topology.geometry import (
    BOX_HEIGHT,
    BOX_WIDTH,
    CHIP_HEIGHT,
    LONGEST,
    LONGEST_LINK,
    MARGIN,
    Geometry,
    Point,
    chips,
    shown,
)  # fmt: skip
from sppr.controller.topology.graph import Edge, Graph
from sppr.controller.topology.lane_order import lay_out
from sppr.controller.topology.layout import Box, Lane, Layout, Link, Wire
from sppr.units import rate_text

_STYLE = """
text{font-family:"DejaVu Sans","Helvetica Neue",Arial,sans-serif;fill:#1f2933;font-size:12px}
.card{fill:#fff;stroke:#d5dbe1}.title{font-size:17px;font-weight:bold}.note{fill:#61707f;font-size:12px}
.lane{stroke:none}.host{fill:#f1f5f9}.guest{fill:#fdf6e9}
.name{font-size:14px;font-weight:bold}.state{fill:#52606d;font-size:11px}
.box{fill:#fff;stroke:#52606d;stroke-width:1.3}.port{text-anchor:middle}
.chip{fill:#fff;stroke:#9aa5b1;stroke-dasharray:3 2}.chip-text{fill:#616e7c;font-size:11px;text-anchor:middle}
.wire{fill:none;stroke-width:2}.link{fill:none;stroke-width:2}
.rate,.drop{font-size:11px;text-anchor:middle;paint-order:stroke;stroke-width:3px;stroke-linejoin:round}
.host-text{stroke:#f1f5f9}.guest-text{stroke:#fdf6e9}.drop{fill:#c81e1e;font-weight:bold}
"""
#: Colours of chains: they differ also for colour-blind readers, and none is red.
_COLOURS = ("#0b69b7", "#b8620a", "#0a8a62", "#7b3fa8", "#00838f", "#8a6d00", "#4a5bd0", "#a0337d")
_GREY, _RED = "#7b8794", "#d32020"
_DOTS = {"forwarding": "#1e9e5a", "idle": "#e0a100"}
_DASH = ' stroke-dasharray="6 4"'


def svg(graph: Graph, title: str = "Topology", note: str = "") -> str:
    """Return the picture. ``note``: a line below the title."""
    layout = lay_out(graph)
    colours = {chain: _colour(number) for number, chain in enumerate(_chains(graph))}
    width = Geometry(layout, 0).width
    legend, bottom = _legend(layout, colours, max(width, 560) - 2 * MARGIN, 70 if note else 50)
    geometry = Geometry(layout, bottom + 14)
    width, height = max(geometry.width, 560), geometry.height
    size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{_safe(title)}</title><style>{_STYLE}</style>",
        f'<rect class="card" x=".5" y=".5" width="{width - 1:g}" height="{height - 1:g}" rx="10"/>',
        _text(MARGIN, 36, title, "title"),
        *([_text(MARGIN, 56, note, "note")] if note else []),
        *legend,
        *(_lane(lane, geometry, width) for lane in layout.lanes),
        *(_link(link, geometry, _link_colour(link, layout, colours)) for link in layout.links),
    ]
    places = {lane.process.label: lane for lane in layout.lanes}
    parts += [_wire(wire, geometry, places[wire.line.process], colours) for wire in layout.wires]
    parts += [_box(box, geometry) for box in layout.boxes]
    if not layout.lanes:
        parts.append(_text(MARGIN, bottom + 10, "no process is connected", "note"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _chains(graph: Graph) -> list[str]:
    return list(dict.fromkeys([*graph.chains, *(edge.chain for edge in graph.edges if edge.chain)]))


def _colour(number: int) -> str:
    if number < len(_COLOURS):
        return _COLOURS[number]
    hue = 0.1 + (number * 0.618) % 1 * 0.8  # red is at 0 and 1
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, 0.36, 0.7))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _safe(text: str) -> str:
    """Return text for XML: escaped, and without characters that XML does not permit."""
    return escape("".join(c if c.isprintable() else "?" for c in text))


def _text(x: float, y: float, text: str, style: str, more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{style}"{more}>{_safe(text)}</text>'


def _legend(layout: Layout, colours: dict[str, str], width: float, top: float) -> tuple[list[str], float]:
    """Return the legend, in as many lines as it needs, and its lower edge. It explains only what the picture has."""
    edges = [edge for wire in layout.wires for edge in wire.line.edges]
    rows = [(f'stroke="{colour}"', chain, shown(chain, 24)) for chain, colour in colours.items()]
    grey = f'stroke="{_GREY}"'
    if colours and any(not edge.chain for edge in edges):
        rows.append((grey, "", "patch of no chain"))
    if any(not edge.running for edge in edges):
        rows.append((grey + _DASH, "", "not forwarding"))
    if any(edge.flow.dropping for edge in edges):
        rows.append((f'stroke="{_RED}"', "", "drops frames now"))
    items: list[tuple[float, str]] = []
    for stroke, chain, label in rows:
        line = f'<path class="wire" d="M0 0H26" {stroke}/><text x="33" y="4">{_safe(label)}</text>'
        items.append((33 + 7.2 * len(label), f"<g>{f'<title>chain {_safe(chain)}</title>' if chain else ''}{line}</g>"))
    if any(lane.chips for lane in layout.lanes):
        items.append(
            (130, '<rect class="chip" y="-8" width="26" height="16" rx="8"/><text x="33" y="4">not patched</text>')
        )
    found, x, y = [], 0.0, top
    for size, item in items:
        if x and x + size > width:
            x, y = 0.0, y + 22
        found.append(f'<g transform="translate({MARGIN + x:g} {y + 10:g})">{item}</g>')
        x += size + 26
    return found, y + 22 * bool(items)


def _lane(lane: Lane, geometry: Geometry, width: float) -> str:
    process = lane.process
    y, height = geometry.lanes[process.label]
    kind = "guest" if process.guest else "host"
    middle, name = y + height / 2, process.name or process.label
    state = f"{process.label}, {process.state}" if process.name else process.state
    title = f"{process.label}: {process.state}"
    patched = any(wire.line.process == process.label for wire in geometry.layout.wires)
    dot = _DOTS.get(process.state if patched or process.running else "", "#aab4be")
    left = MARGIN - 12
    parts = [
        f'<g><title>{_safe(title)}</title><rect class="lane {kind}" x="{left}" y="{y:g}" '
        f'width="{width - 2 * left:g}" height="{height:g}" rx="8"/>',
        f'<circle cx="{MARGIN + 2}" cy="{middle - 7:g}" r="4.5" fill="{dot}"/>',
        _text(MARGIN + 14, middle - 2, shown(name, 14), "name"),
        _text(MARGIN + 14, middle + 14, shown(state, 22), "state"),
        "</g>",
    ]
    found, wide, high = chips(lane.chips)
    right = max(geometry.chips_left, width - MARGIN - wide - 4)
    for chip in found:
        x, top = right + chip.x, middle - high / 2 + chip.y
        rect = f'<rect class="chip" x="{x:g}" y="{top:g}" width="{chip.width:g}" height="{CHIP_HEIGHT}" rx="10"/>'
        label = _text(x + chip.width / 2, top + 14, shown(chip.port), "chip-text")
        parts.append(f"<g>{_title_of(process.label, chip.port)}{rect}{label}</g>")
    return "".join(parts)


def _title_of(process: str, port: str) -> str:
    return f"<title>{_safe(f'{process} {port}')}</title>"


def _box(box: Box, geometry: Geometry) -> str:
    x, y = geometry.x(box), geometry.y(box)
    left, top = x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2
    rect = f'<rect class="box" x="{left:g}" y="{top:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="7"/>'
    small = box.port.startswith("link:") and len(box.port) > LONGEST
    text = shown(box.port, LONGEST_LINK if small else LONGEST)
    drawn = _text(x, y + 4, text, "port", ' style="font-size:8.5px"' if small else "")
    return f"<g>{_title_of(box.process, box.port)}{rect}{drawn}</g>"


def _link_colour(link: Link, layout: Layout, colours: dict[str, str]) -> str:
    """Return the colour of the chain that has a patch at both ends."""
    ends = [
        {wire.line.chain for wire in layout.wires if box in (wire.start, wire.end)} for box in (link.upper, link.lower)
    ]
    common = [chain for chain in colours if chain in ends[0] & ends[1]]
    return colours[common[0]] if common else _GREY


def _link(link: Link, geometry: Geometry, colour: str) -> str:
    first, *others = geometry.link(link)
    if len(others) == 1:
        path = f"M{first[0]:g} {first[1]:g}V{others[0][1]:g}"
    else:
        (x, top), (_, bottom), (end, last) = others
        path = f"M{first[0]:g} {first[1]:g}C{first[0]:g} {top:g} {x:g} {first[1]:g} {x:g} {top + 6:g}"
        path += f"V{bottom - 6:g}C{x:g} {last:g} {end:g} {bottom:g} {end:g} {last:g}"
    title = f"{link.upper.process} {link.upper.port} = {link.lower.process} {link.lower.port}"
    return f'<g><title>{_safe(title)}</title><path class="link" d={quoteattr(path)} stroke="{colour}"/></g>'


def _wire(wire: Wire, geometry: Geometry, lane: Lane, colours: dict[str, str]) -> str:
    edges = wire.line.edges
    colour = _RED if any(edge.flow.dropping for edge in edges) else colours.get(wire.line.chain, _GREY)
    points = geometry.wire(wire)
    dash = "" if all(edge.running for edge in edges) else _DASH
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
    titles = "\n".join(_title(edge) for edge in edges)
    backwards = any(edge.src == wire.line.end for edge in edges) and wire.start != wire.end
    parts = [
        f"<g><title>{_safe_lines(titles)}</title>",
        f'<path class="wire" d="{path}" stroke="{colour}" stroke-linejoin="round"{dash}/>',
        _arrow(points[-2], points[-1], colour),
        *([_arrow(points[1], points[0], colour)] if backwards else []),
        *_texts(wire, geometry, lane),
        "</g>",
    ]
    return "".join(parts)


def _safe_lines(text: str) -> str:
    return "\n".join(map(_safe, text.split("\n")))


def _title(edge: Edge) -> str:
    flow = edge.flow
    rate = f", {rate_text(flow.rate)}" if flow.rate is not None else ""
    drops = f", {flow.drops_text}" if flow.drops_text else ""
    return f"{edge.label}: {edge.src} → {edge.dst}{rate}{drops}{f', chain {edge.chain}' if edge.chain else ''}"


def _texts(wire: Wire, geometry: Geometry, lane: Lane) -> Iterator[str]:
    """Yield the rates and drops: those from left to right above the line, the others below it."""
    x, y = geometry.text_of(wire)
    halo = "guest-text" if lane.process.guest else "host-text"
    loop = wire.start == wire.end
    to_right = wire.start.column <= wire.end.column
    for edge in wire.line.edges[:2]:
        above = (edge.src == wire.line.start) == to_right
        both = len(wire.line.edges) > 1
        if edge.flow.rate is not None:
            rate = rate_text(edge.flow.rate)
            text = rate if not both else f"{rate} →" if above else f"← {rate}"
            yield _text(x, y - 3 if loop else y - 6 if above else y + 15, text, f"rate {halo}")
        if edge.flow.drops_text:
            yield _text(x, y + 11 if loop else y - 19 if above else y + 27, edge.flow.drops_text, f"drop {halo}")


def _arrow(before: Point, tip: Point, colour: str) -> str:
    """Return an arrowhead at ``tip``, in the direction of a horizontal or vertical line from ``before``."""
    (x, y), length, half = tip, 9, 4.5
    dx, dy = _sign(tip[0] - before[0]), _sign(tip[1] - before[1])
    corners: Sequence[Point] = (
        (x - length * dx - half * dy, y - length * dy - half * dx),
        (x - length * dx + half * dy, y - length * dy + half * dx),
    )
    points = " ".join(f"{px:g},{py:g}" for px, py in (tip, *corners))
    return f'<polygon points="{points}" fill="{colour}"/>'


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
