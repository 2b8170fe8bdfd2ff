"""The network as a graph: ports, and the processes that carry frames from one to another (docs/spp-protocol.md,
Topology). Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sppr.controller.prompt.controllers import ProcessStatus

_TYPES = {"forward": "f", "merge": "m", "classifier": "c", "classifier_mac": "c", "mirror": "m"}


@dataclass(frozen=True)
class Edge:
    """A connection from one port to another. ``label``: the process that makes it. ``bidirectional``: it is the link
    between a port of a guest and a port of the host.
    """

    src: str
    dst: str
    label: str
    running: bool
    client_id: int
    bidirectional: bool = False


@dataclass(frozen=True)
class Graph:
    """The network.

    - ``nodes``: UIDs. Those of a guest have its id, ``ring:0@6``, because its ring 0 is not the host's. ``capture:ID``
      is the target of the frames of a pcap.
    - ``subgraphs``: ports by the label of a subgraph.
    """

    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]
    subgraphs: Mapping[str, tuple[str, ...]]


def build(processes: Iterable[ProcessStatus], subgraphs: Mapping[str, Iterable[str]] | None = None) -> Graph:
    """Return the graph of all connected processes. A missing or invalid key in a status affects only its own edge."""
    nodes: dict[str, None] = {}
    edges: list[Edge] = []
    for process in processes:
        suffix = f"@{process.client_id}" if _is_guest(process) else ""
        for port in _ports(process):
            nodes[port and port + suffix] = None
        edges_found = [edge for edge in _edges(process) if edge.src and edge.dst]
        edges += [replace(edge, src=edge.src + suffix, dst=edge.dst + suffix) for edge in edges_found]
    nodes.pop("", None)
    edges += _guest_links(nodes)
    for edge in edges:
        nodes |= {edge.src: None, edge.dst: None}
    shown = {label: tuple(p for p in ports if p in nodes) for label, ports in (subgraphs or {}).items()}
    return Graph(tuple(sorted(nodes, key=_order)), tuple(edges), {k: v for k, v in shown.items() if v})


def _is_guest(process: ProcessStatus) -> bool:
    """Return whether the process runs in a VM.

    spp_vm registers as an nfv, but has only one lcore; a DPDK process has at least two.
    """
    single_lcore = process.status.get("lcores") == [0] and process.status.get("master-lcore") == 0
    return process.kind == "vm" or (process.kind == "nfv" and single_lcore)


def guest_of(node: str) -> str:
    """Return the id of the guest that has this port, or an empty text for a port of the host."""
    return node.partition("@")[2]


def _guest_links(nodes: Iterable[str]) -> list[Edge]:
    """Return the links between the ports of a guest and those of the host.

    Port K of a VM is linked if both ports exist under the default numbers of a VM: its id, and 100 more for each
    further port (docs/guest.md).
    """
    present, edges_found = set(nodes), []
    for node in present:
        kind, _, number = node.partition("@")[0].partition(":")
        host_type = {"ring": "ivshmem", "phy": "vhost"}.get(kind)
        if not (vm_id := guest_of(node)) or host_type is None or not number.isdecimal():
            continue
        host = f"{host_type}:{int(vm_id) + 100 * int(number)}"
        if host in present:
            edges_found.append(Edge(host, node, f"vm:{vm_id}", True, int(vm_id), bidirectional=True))
    return sorted(edges_found, key=lambda edge: _order(edge.src))


def _order(uid: str) -> tuple[str, int, str]:
    kind, _, number = uid.partition(":")
    digits = number.partition("@")[0].partition("nq")[0]
    return kind, int(digits) if digits.isdecimal() else 0, number


def _ports(process: ProcessStatus) -> list[str]:
    status = _dict(process.status.get("forwarder")) or process.status
    return [_uid(port) for port in _list(status.get("ports"))]


def _edges(process: ProcessStatus) -> list[Edge]:
    status, number = process.status, process.client_id
    if process.kind == "pcap":
        running = status.get("status") == "running"
        ports = [_uid(_dict(p).get("port")) for core in _dicts(status.get("core")) for p in _list(core.get("rx_port"))]
        return [Edge(port, f"capture:{number}", f"pcap:{number}", running, number) for port in ports]
    if process.kind in ("vf", "mirror"):
        edges_found = []
        for part in _dicts(status.get("components")):
            label = f"{process}:{_TYPES.get(str(part.get('type')), '?')}" if process.kind == "vf" else str(process)
            ends = [[_uid(_dict(p).get("port")) for p in _list(part.get(key))] for key in ("rx_port", "tx_port")]
            edges_found += [Edge(src, dst, label, True, number) for src in ends[0] for dst in ends[1]]
        return edges_found
    inner = _dict(status.get("forwarder")) or status
    running = inner.get("status") == "running"
    return [
        Edge(_uid(patch.get("src")), _uid(patch.get("dst")), str(process), running, number)
        for patch in _dicts(inner.get("patches"))
    ]


def _uid(port: object) -> str:
    """Return a port as in a command, ``phy:0nq3`` for ``phy:0 nq 3``, or an empty text if it is not a port."""
    text = str(port).replace(" ", "")[:40] if isinstance(port, str) else ""
    return text if ":" in text and "@" not in text and text.isprintable() else ""


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _dict(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[dict[str, object]]:
    return [_dict(entry) for entry in _list(value)]
