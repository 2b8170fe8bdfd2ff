"""A graph as text for the terminal, as dot, mermaid, svg and json. Pure; no program is needed for these."""

import json
import re
from xml.sax.saxutils import escape, quoteattr

from sppr.controller.topology.graph import Edge, Graph, guest_of

_COLOURS = {"phy": "white", "ring": "yellow", "vhost": "antiquewhite", "tap": "cornsilk", "nullpmd": "cyan",
            "pcap": "gold", "memif": "palegreen", "pipe": "pink", "ivshmem": "pink", "capture": "gold"}  # fmt: skip
_LINES = ("blue", "green", "orange", "chocolate", "black", "darkcyan", "seagreen", "indianred", "olive", "limegreen")


def text(graph: Graph) -> str:
    """One line an edge, ports nobody uses at the end; ``==>`` carries, ``-->`` idles, ``<=>`` joins a
    guest's port (``ring:0@6``) to the host's."""
    width = max((len(edge.src) for edge in graph.edges), default=0)
    middle = max((len(edge.label) for edge in graph.edges), default=0)
    lines = [f"{e.src:>{width}} {_shaft(e, middle)} {e.dst}" for e in sorted(graph.edges, key=lambda e: (e.src, e.dst))]
    used = {end for edge in graph.edges for end in (edge.src, edge.dst)}
    idle = [node for node in graph.nodes if node not in used]
    lines += [f"not patched: {' '.join(idle)}"] if idle else []
    lines += [f"{label}: {' '.join(ports)}" for label, ports in graph.frames.items()]
    return "\n".join(lines or ["nothing to draw: no ports"])


def _shaft(edge: Edge, width: int) -> str:
    line = "=" if edge.running else "-"
    return f"{'<' if edge.both else line}{f' {edge.label} '.ljust(width + 2, line)}{line}>"


def dot(graph: Graph, size: str = "") -> str:
    """For graphviz, laid out as SPP does: one rank a port type, a cluster for the host and one for each subgraph."""
    lines = ["digraph spp{", "newrank=true;", 'node[shape="rectangle", style="filled"];']
    for node in graph.nodes:
        lines.append(f'{_name(node)}[label="{_safe(node)}", fillcolor="{_colour(node)}"];')
    for kind in dict.fromkeys(node.partition(":")[0] for node in graph.nodes):
        same = "; ".join(_name(node) for node in graph.nodes if node.startswith(f"{kind}:"))
        lines.append(f"{{rank=same; {same}}}")
    lines += [
        "subgraph cluster_host{",
        'label="Host";',
        *(f"{_name(node)};" for node in graph.nodes if not guest_of(node)),
    ]
    for number, (label, ports) in enumerate(graph.frames.items()):
        inside = "; ".join(map(_name, ports))
        lines.append(f'subgraph cluster_{number}{{label="{_safe(label)}"; {inside}}}')
    lines.append("}")
    for vm in dict.fromkeys(filter(None, map(guest_of, graph.nodes))):
        inside = "; ".join(_name(node) for node in graph.nodes if guest_of(node) == vm)
        lines.append(f'subgraph cluster_vm{vm}{{label="VM {vm}"; {inside}}}')
    for edge in graph.edges:
        style = "solid" if edge.running else "dashed"
        look = f'label="{_safe(edge.label)}", color="{_line(edge)}", style={style}{", dir=both" if edge.both else ""}'
        lines.append(f"{_name(edge.src)} -> {_name(edge.dst)}[{look}];")
    if size.endswith("%") and size[:-1].isdecimal():
        lines.insert(2, f'ratio="auto"; size="{16 * int(size[:-1]) / 100:g}";')
    return "\n".join([*lines, "}"]) + "\n"


def mermaid(graph: Graph) -> str:
    """For markdown: GitHub and others draw it."""
    framed = {port for ports in graph.frames.values() for port in ports}
    lines = ["flowchart LR"]
    for label, ports in graph.frames.items():
        inside = [f'    {_name(port)}["{_safe(port)}"]' for port in ports]
        lines += [f'  subgraph {_name(label)}["{_safe(label)}"]', *inside, "  end"]
    lines += [f'  {_name(node)}["{_safe(node)}"]' for node in graph.nodes if node not in framed]
    for edge in graph.edges:
        arrow = "<==>" if edge.both else "==>" if edge.running else "-.->"
        lines.append(f'  {_name(edge.src)} {arrow}|"{_safe(edge.label)}"| {_name(edge.dst)}')
    return "\n".join(lines) + "\n"


def as_json(graph: Graph) -> str:
    """``{"ports", "links": [{"src", "dst", "by", "running"}], "subgraphs"}``; YAML reads it too."""
    links = [{"src": e.src, "dst": e.dst, "by": e.label, "running": e.running} for e in graph.edges]
    return json.dumps({"ports": graph.nodes, "links": links, "subgraphs": graph.frames}, indent=2) + "\n"


def svg(graph: Graph) -> str:
    """A column a port type, an arc an edge: small, and needs no graphviz."""
    kinds = list(dict.fromkeys(node.partition(":")[0] for node in graph.nodes))
    place: dict[str, tuple[int, int]] = {}
    for column, kind in enumerate(kinds):
        for row, node in enumerate(n for n in graph.nodes if n.startswith(f"{kind}:")):
            place[node] = 100 + 240 * column, 50 + 80 * row + 30 * (column % 2)
    width, height = 200 + 240 * max(len(kinds) - 1, 0), 100 + max((y for _, y in place.values()), default=0)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
             'font-size="13"><defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" '
             'markerHeight="8" orient="auto"><path d="M0 0L10 5L0 10z"/></marker></defs>']  # fmt: skip
    for number, edge in enumerate(graph.edges):
        (x1, y1), (x2, y2) = place[edge.src], place[edge.dst]
        bend = 40 + 8 * (number % 5) if x1 <= x2 else -40 - 8 * (number % 5)
        x, y = (x1 + x2) / 2 + (90 if x1 == x2 else 0), (y1 + y2) / 2 - bend
        dash = "" if edge.running else ' stroke-dasharray="5 4"'
        stroke = f'fill="none" stroke="{_line(edge)}" marker-end="url(#tip)"{dash}'
        parts.append(f'<path d="M{x1} {y1}Q{x} {y} {x2} {y2}" {stroke}/>')
        parts.append(f'<text x="{x}" y="{(y + (y1 + y2) / 2) / 2}" fill="{_line(edge)}">{escape(edge.label)}</text>')
    for node, (x, y) in place.items():
        fill = quoteattr(_colour(node))
        parts.append(f'<rect x="{x - 42}" y="{y - 15}" width="84" height="30" fill={fill} stroke="black"/>')
        parts.append(f'<text x="{x}" y="{y + 5}" text-anchor="middle">{escape(node)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _name(text: str) -> str:
    return re.sub(r"\W", "_", text)


def _safe(text: str) -> str:
    return re.sub(r'["\\<>\n]', "", text)


def _colour(node: str) -> str:
    return _COLOURS.get(node.partition(":")[0], "lightgrey")


def _line(edge: Edge) -> str:
    return _LINES[edge.client_id % len(_LINES)]
