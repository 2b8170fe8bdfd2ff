"""The network as a graph: ports, and who carries what from one to another (spp-facts 6.3). Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sppr.controller.prompt.hosts import Seen

_TYPES = {"forward": "f", "merge": "m", "classifier": "c", "classifier_mac": "c", "mirror": "m"}


@dataclass(frozen=True)
class Edge:
    src: str
    dst: str
    label: str
    running: bool
    client_id: int
    both: bool = False


@dataclass(frozen=True)
class Graph:
    """``nodes``: UIDs, those of a guest as ``ring:0@6`` (its ring 0 is not the host's), and
    ``capture:ID`` where a pcap's frames go. ``frames``: ports by the label of a subgraph."""

    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]
    frames: Mapping[str, tuple[str, ...]]


def make(seen: Iterable[Seen], frames: Mapping[str, Iterable[str]] | None = None) -> Graph:
    """All that the connected processes told; any key may be missing or wrong, which costs its edge only."""
    nodes: dict[str, None] = {}
    edges: list[Edge] = []
    for process in seen:
        within = f"@{process.client_id}" if _is_guest(process) else ""
        for port in _ports(process):
            nodes[port and port + within] = None
        found = [edge for edge in _edges(process) if edge.src and edge.dst]
        edges += [replace(edge, src=edge.src + within, dst=edge.dst + within) for edge in found]
    nodes.pop("", None)
    edges += _cables(nodes)
    for edge in edges:
        nodes |= {edge.src: None, edge.dst: None}
    kept = {label: tuple(p for p in ports if p in nodes) for label, ports in (frames or {}).items()}
    return Graph(tuple(sorted(nodes, key=_order)), tuple(edges), {k: v for k, v in kept.items() if v})


def _is_guest(process: Seen) -> bool:
    """Whether it runs in a VM. spp_vm registers as an nfv does, but one lcore does it all: a process
    on DPDK has two at least."""
    one = process.status.get("lcores") == [0] and process.status.get("master-lcore") == 0
    return process.kind == "vm" or (process.kind == "nfv" and one)


def guest_of(node: str) -> str:
    """The id of the guest whose port this is; nothing for the host's."""
    return node.partition("@")[2]


def _cables(nodes: Iterable[str]) -> list[Edge]:
    """What joins a guest's K-th port to the host, where both are there under the numbers that a VM has by default: its
    id, then 100 more each (docs/guest.md)."""
    there, found = set(nodes), []
    for node in there:
        kind, _, number = node.partition("@")[0].partition(":")
        outer = {"ring": "ivshmem", "phy": "vhost"}.get(kind)
        if not (vm := guest_of(node)) or outer is None or not number.isdecimal():
            continue
        host = f"{outer}:{int(vm) + 100 * int(number)}"
        if host in there:
            found.append(Edge(host, node, f"vm:{vm}", True, int(vm), both=True))
    return sorted(found, key=lambda edge: _order(edge.src))


def _order(uid: str) -> tuple[str, int, str]:
    kind, _, number = uid.partition(":")
    digits = number.partition("@")[0].partition("nq")[0]
    return kind, int(digits) if digits.isdecimal() else 0, number


def _ports(process: Seen) -> list[str]:
    status = _dict(process.status.get("forwarder")) or process.status
    return [_uid(port) for port in _list(status.get("ports"))]


def _edges(process: Seen) -> list[Edge]:
    status, number = process.status, process.client_id
    if process.kind == "pcap":
        running = status.get("status") == "running"
        ports = [_uid(_dict(p).get("port")) for core in _dicts(status.get("core")) for p in _list(core.get("rx_port"))]
        return [Edge(port, f"capture:{number}", f"pcap:{number}", running, number) for port in ports]
    if process.kind in ("vf", "mirror"):
        found = []
        for part in _dicts(status.get("components")):
            label = f"{process}:{_TYPES.get(str(part.get('type')), '?')}" if process.kind == "vf" else str(process)
            ends = [[_uid(_dict(p).get("port")) for p in _list(part.get(key))] for key in ("rx_port", "tx_port")]
            found += [Edge(src, dst, label, True, number) for src in ends[0] for dst in ends[1]]
        return found
    inner = _dict(status.get("forwarder")) or status
    running = inner.get("status") == "running"
    return [
        Edge(_uid(patch.get("src")), _uid(patch.get("dst")), str(process), running, number)
        for patch in _dicts(inner.get("patches"))
    ]


def _uid(port: object) -> str:
    """``phy:0 nq 3`` becomes ``phy:0nq3``; what is no port becomes nothing."""
    text = str(port).replace(" ", "")[:40] if isinstance(port, str) else ""
    return text if ":" in text and "@" not in text and text.isprintable() else ""


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _dict(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[dict[str, object]]:
    return [_dict(entry) for entry in _list(value)]
