"""Draw a graph as text for the terminal, as dot, mermaid, json, and as a table for html. Pure; no external program is
needed.
"""

import json
import re
from html import escape

from sppr.controller.topology.graph import Edge, Graph, guest_of, kind_of
from sppr.units import rate_text

_PORT_COLOURS = {"phy": "white", "ring": "yellow", "vhost": "antiquewhite", "tap": "cornsilk", "nullpmd": "cyan",
            "pcap": "gold", "memif": "palegreen", "pipe": "pink", "ivshmem": "pink", "capture": "gold",
            "link": "lavender"}  # fmt: skip
_HEADS = ("part", "process", "from", "to", "chain", "state", "frames per second", "drops")
_PAGE = """
body{font:14px/1.4 "DejaVu Sans","Helvetica Neue",Arial,sans-serif;margin:24px;color:#1f2933;background:#fff}
svg{max-width:100%;height:auto}table{border-collapse:collapse}
th,td{text-align:left;padding:4px 14px 4px 0;border-bottom:1px solid #d5dbe1}td:nth-child(7){text-align:right}
td:nth-child(8){color:#c81e1e}
"""
_LINE_COLOURS = (
    "blue", "green", "orange", "chocolate", "black", "darkcyan", "seagreen", "indianred", "olive", "limegreen",
)  # fmt: skip


def text(graph: Graph) -> str:
    """Return one line for each edge, and then the ports that no process uses.

    ``==>`` is a running edge, ``-->`` an idling one, and ``<=>`` the link of a guest's port (``ring:0@6``) to the
    host's. A rate, drops and a chain follow if they are known.
    """
    width = max((len(edge.src) for edge in graph.edges), default=0)
    middle = max((len(edge.label) for edge in graph.edges), default=0)
    last = max((len(edge.dst) for edge in graph.edges), default=0)
    lines = [
        f"{e.src:>{width}} {_arrow(e, middle)} {e.dst:{last}}{_flow(e)}".rstrip()
        for e in sorted(graph.edges, key=lambda e: (e.src, e.dst))
    ]
    used = {end for edge in graph.edges for end in (edge.src, edge.dst)}
    idle = [node for node in graph.nodes if node not in used]
    lines += [f"not patched: {' '.join(idle)}"] if idle else []
    lines += [f"{label}: {' '.join(ports)}" for label, ports in graph.subgraphs.items()]
    return "\n".join(lines or ["nothing to draw: no ports"])


def _flow(edge: Edge) -> str:
    rate = f"{rate_text(edge.flow.rate):>10}" if edge.flow.rate is not None else ""
    words = [rate, edge.chain and f"chain {edge.chain}", edge.flow.drops_text]
    return "".join(f"  {word}" for word in words if word)


def _label(edge: Edge) -> str:
    rate = f" {rate_text(edge.flow.rate)}" if edge.flow.rate is not None else ""
    return _remove_special(f"{edge.label}{rate}")


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
    for kind in dict.fromkeys(map(kind_of, graph.nodes)):
        same = "; ".join(_node_name(node) for node in graph.nodes if kind_of(node) == kind)
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
        attributes = f'label="{_label(edge)}", color="{_line_colour(edge)}", style={style}'
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
        lines.append(f'  {_node_name(edge.src)} {arrow}|"{_label(edge)}"| {_node_name(edge.dst)}')
    return "\n".join(lines) + "\n"


def as_json(graph: Graph) -> str:
    """Return ``{"ports", "links": [{"src", "dst", "by", "running"}], "subgraphs"}``, which is valid YAML, too.

    A link has ``chain``, ``rate`` (frames per second), ``dropping`` (the same) and ``dropped`` (frames) if they are
    known.
    """
    links = []
    for edge in graph.edges:
        link: dict[str, object] = {"src": edge.src, "dst": edge.dst, "by": edge.label, "running": edge.running}
        link |= {"chain": edge.chain} if edge.chain else {}
        flow = edge.flow
        link |= {} if flow.rate is None else {"rate": flow.rate, "dropping": flow.dropping, "dropped": flow.dropped}
        links.append(link)
    return json.dumps({"ports": graph.nodes, "links": links, "subgraphs": graph.subgraphs}, indent=2) + "\n"


def html(graph: Graph, picture: str, title: str, note: str = "") -> str:
    """Return one page without scripts and other files: the picture, and a table of the patches."""
    rows = []
    for edge in sorted((e for e in graph.edges if e.process), key=lambda e: (e.process, e.src, e.dst)):
        name = next((p.name for p in graph.processes if p.label == edge.process), "") or edge.label
        state = "forwarding" if edge.running else "not forwarding"
        cells = [
            name,
            edge.label,
            edge.src,
            edge.dst,
            edge.chain,
            state,
            rate_text(edge.flow.rate),
            edge.flow.drops_text,
        ]
        rows.append(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>")
    heads = "".join(f"<th>{head}</th>" for head in _HEADS)
    table = "\n".join([f"<table><thead><tr>{heads}</tr></thead><tbody>", *rows, "</tbody></table>"])
    named = escape(title)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{named}</title>'
    body = f"<h1>{named}</h1>\n<p>{escape(note)}</p>\n{picture}\n<h2>Patches</h2>\n{table}"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}<style>{_PAGE}</style></head>\n<body>\n{body}\n</body></html>\n'
    )


def _node_name(text: str) -> str:
    return re.sub(r"\W", "_", text)


def _remove_special(text: str) -> str:
    return re.sub(r'["\\<>\n]', "", text)


def _colour(node: str) -> str:
    return _PORT_COLOURS.get(kind_of(node), "lightgrey")


def _line_colour(edge: Edge) -> str:
    return _LINE_COLOURS[edge.client_id % len(_LINE_COLOURS)]
