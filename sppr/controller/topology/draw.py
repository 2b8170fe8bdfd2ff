"""Draw a graph as text for the terminal, as dot, mermaid, svg and json. Pure; no external program is needed."""

import json
import re
from xml.sax.saxutils import escape, quoteattr

from sppr.controller.topology.graph import Edge, Graph, guest_of

_PORT_COLOURS = {"phy": "white", "ring": "yellow", "vhost": "antiquewhite", "tap": "cornsilk", "nullpmd": "cyan",
            "pcap": "gold", "memif": "palegreen", "pipe": "pink", "ivshmem": "pink", "capture": "gold"}  # fmt: skip
_LINE_COLOURS = (
    "blue", "green", "orange", "chocolate", "black", "darkcyan", "seagreen", "indianred", "olive", "limegreen",
)  # fmt: skip


def text(graph: Graph) -> str:
    """Return one line for each edge, and then the ports that no process uses.

    ``==>`` is a running edge, ``-->`` an idling one, and ``<=>`` the link of a guest's port (``ring:0@6``) to the
    host's.
    """
    width = max((len(edge.src) for edge in graph.edges), default=0)
    middle = max((len(edge.label) for edge in graph.edges), default=0)
    lines = [f"{e.src:>{width}} {_arrow(e, middle)} {e.dst}" for e in sorted(graph.edges, key=lambda e: (e.src, e.dst))]
    used = {end for edge in graph.edges for end in (edge.src, edge.dst)}
    idle = [node for node in graph.nodes if node not in used]
    lines += [f"not patched: {' '.join(idle)}"] if idle else []
    lines += [f"{label}: {' '.join(ports)}" for label, ports in graph.subgraphs.items()]
    return "\n".join(lines or ["nothing to draw: no ports"])


def _arrow(edge: Edge, width: int) -> str:
    line = "=" if edge.running else "-"
    return f"{'<' if edge.bidirectional else line}{f' {edge.label} '.ljust(width + 2, line)}{line}>"


def dot(graph: Graph, size: str = "") -> str:
    """Return the graph for graphviz, in the layout of SPP: a rank for each port type, a cluster for the host and for
    each subgraph.
    """
    lines = ["digraph spp{", "newrank=true;", 'node[shape="rectangle", style="filled"];']
    for node in graph.nodes:
        lines.append(f'{_node_name(node)}[label="{_remove_special(node)}", fillcolor="{_colour(node)}"];')
    for kind in dict.fromkeys(node.partition(":")[0] for node in graph.nodes):
        same = "; ".join(_node_name(node) for node in graph.nodes if node.startswith(f"{kind}:"))
        lines.append(f"{{rank=same; {same}}}")
    lines += [
        "subgraph cluster_host{",
        'label="Host";',
        *(f"{_node_name(node)};" for node in graph.nodes if not guest_of(node)),
    ]
    for number, (label, ports) in enumerate(graph.subgraphs.items()):
        inside = "; ".join(map(_node_name, ports))
        lines.append(f'subgraph cluster_{number}{{label="{_remove_special(label)}"; {inside}}}')
    lines.append("}")
    for vm in dict.fromkeys(filter(None, map(guest_of, graph.nodes))):
        inside = "; ".join(_node_name(node) for node in graph.nodes if guest_of(node) == vm)
        lines.append(f'subgraph cluster_vm{vm}{{label="VM {vm}"; {inside}}}')
    for edge in graph.edges:
        style = "solid" if edge.running else "dashed"
        attributes = f'label="{_remove_special(edge.label)}", color="{_line_colour(edge)}", style={style}'
        attributes += ", dir=both" if edge.bidirectional else ""
        lines.append(f"{_node_name(edge.src)} -> {_node_name(edge.dst)}[{attributes}];")
    if size.endswith("%") and size[:-1].isdecimal():
        lines.insert(2, f'ratio="auto"; size="{16 * int(size[:-1]) / 100:g}";')
    return "\n".join([*lines, "}"]) + "\n"


def mermaid(graph: Graph) -> str:
    """Return the graph for markdown; GitHub and others draw it."""
    in_subgraph = {port for ports in graph.subgraphs.values() for port in ports}
    lines = ["flowchart LR"]
    for label, ports in graph.subgraphs.items():
        inside = [f'    {_node_name(port)}["{_remove_special(port)}"]' for port in ports]
        lines += [f'  subgraph {_node_name(label)}["{_remove_special(label)}"]', *inside, "  end"]
    lines += [f'  {_node_name(node)}["{_remove_special(node)}"]' for node in graph.nodes if node not in in_subgraph]
    for edge in graph.edges:
        arrow = "<==>" if edge.bidirectional else "==>" if edge.running else "-.->"
        lines.append(f'  {_node_name(edge.src)} {arrow}|"{_remove_special(edge.label)}"| {_node_name(edge.dst)}')
    return "\n".join(lines) + "\n"


def as_json(graph: Graph) -> str:
    """Return ``{"ports", "links": [{"src", "dst", "by", "running"}], "subgraphs"}``, which is valid YAML, too."""
    links = [{"src": e.src, "dst": e.dst, "by": e.label, "running": e.running} for e in graph.edges]
    return json.dumps({"ports": graph.nodes, "links": links, "subgraphs": graph.subgraphs}, indent=2) + "\n"


def svg(graph: Graph) -> str:
    """Return a picture with a column for each port type and an arc for each edge. It needs no graphviz."""
    kinds = list(dict.fromkeys(node.partition(":")[0] for node in graph.nodes))
    positions: dict[str, tuple[int, int]] = {}
    for column, kind in enumerate(kinds):
        for row, node in enumerate(n for n in graph.nodes if n.startswith(f"{kind}:")):
            positions[node] = 100 + 240 * column, 50 + 80 * row + 30 * (column % 2)
    width, height = 200 + 240 * max(len(kinds) - 1, 0), 100 + max((y for _, y in positions.values()), default=0)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
             'font-size="13"><defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" '
             'markerHeight="8" orient="auto"><path d="M0 0L10 5L0 10z"/></marker></defs>']  # fmt: skip
    for number, edge in enumerate(graph.edges):
        (x1, y1), (x2, y2) = positions[edge.src], positions[edge.dst]
        bend = 40 + 8 * (number % 5) if x1 <= x2 else -40 - 8 * (number % 5)
        x, y = (x1 + x2) / 2 + (90 if x1 == x2 else 0), (y1 + y2) / 2 - bend
        dash = "" if edge.running else ' stroke-dasharray="5 4"'
        stroke = f'fill="none" stroke="{_line_colour(edge)}" marker-end="url(#tip)"{dash}'
        parts.append(f'<path d="M{x1} {y1}Q{x} {y} {x2} {y2}" {stroke}/>')
        label = f'fill="{_line_colour(edge)}">{escape(edge.label)}</text>'
        parts.append(f'<text x="{x}" y="{(y + (y1 + y2) / 2) / 2}" {label}')
    for node, (x, y) in positions.items():
        fill = quoteattr(_colour(node))
        parts.append(f'<rect x="{x - 42}" y="{y - 15}" width="84" height="30" fill={fill} stroke="black"/>')
        parts.append(f'<text x="{x}" y="{y + 5}" text-anchor="middle">{escape(node)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _node_name(text: str) -> str:
    return re.sub(r"\W", "_", text)


def _remove_special(text: str) -> str:
    return re.sub(r'["\\<>\n]', "", text)


def _colour(node: str) -> str:
    return _PORT_COLOURS.get(node.partition(":")[0], "lightgrey")


def _line_colour(edge: Edge) -> str:
    return _LINE_COLOURS[edge.client_id % len(_LINE_COLOURS)]
