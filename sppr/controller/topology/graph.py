"""The network as a graph: ports, and the processes that carry frames from one to another (docs/spp-protocol.md,
Topology). Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sppr.controller.prompt.controllers import ProcessStatus
from sppr.controller.topology.rates import NO_FLOW, Flow, Patch
from sppr.spp.names import with_link_name

_TYPES = {"forward": "f", "merge": "m", "classifier": "c", "classifier_mac": "c", "mirror": "m"}


@dataclass(frozen=True)
class Edge:
    """A connection from one port to another.

    ``label``: the process that makes it, with the type of its component. ``process``: the process alone; empty for the
    link of a guest's port.
    ``bidirectional``: it is the link between a port of a guest and a port of the host.
    ``flow``: its rate and its drops. ``chain``: the service chain that it belongs to, or an empty text.
    ``reverse``: it belongs to the reverse direction of the chain.
    """

    src: str
    dst: str
    label: str
    running: bool
    client_id: int
    bidirectional: bool = False
    process: str = ""
    flow: Flow = NO_FLOW
    chain: str = ""
    reverse: bool = False


@dataclass(frozen=True)
class Process:
    """A process with its ports, as UIDs of nodes.

    ``label``: such as ``nfv:1``. ``name``: the name of its part, or an empty text. ``state``: as text for the user.
    ``guest``: whether it runs in a VM.
    """

    label: str
    name: str
    state: str
    running: bool
    guest: bool
    ports: tuple[str, ...]


@dataclass(frozen=True)
class Details:
    """What a lab knows about the processes of a graph, which their statuses do not contain.

    ``flows``: the flow of each patch. ``chains``: the chain of a patch, and whether it is its reverse direction.
    ``names``: the name of the part of a process. ``order``: the names of all chains, in the order of the legend.
    ``links``: the name of each link to another host, by its port: ``link:0``, or ``east/link:0``.
    """

    flows: Mapping[Patch, Flow] = field(default_factory=dict)
    chains: Mapping[Patch, tuple[str, bool]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)

    def port(self, process: ProcessStatus, uid: str) -> str:
        """Return the name of a port in a picture: ``link:east-west/2`` for ``link:0nq2``.

        In a lab over several hosts, a port has its host in front, ``east/tap:0``, and both ends of a crossing have one
        name, that of the lower VLAN id.
        """
        port, _, vlan = uid.partition("nq")
        if process.host and vlan.isdecimal() and process.on_host(port) in self.links:
            uid = f"{port}nq{int(vlan) & ~1}"
        return with_link_name(process.on_host(uid), self.links)


@dataclass(frozen=True)
class Graph:
    """The network.

    - ``nodes``: UIDs. Those of a guest have its id, ``ring:0@6``, because its ring 0 is not the host's. ``capture:ID``
      is the target of the frames of a pcap.
    - ``subgraphs``: ports by the label of a subgraph.
    - ``chains``: the names of the service chains.
    """

    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]
    subgraphs: Mapping[str, tuple[str, ...]]
    processes: tuple[Process, ...] = ()
    chains: tuple[str, ...] = ()


def build(
    processes: Iterable[ProcessStatus],
    subgraphs: Mapping[str, Iterable[str]] | None = None,
    details: Details | None = None,
) -> Graph:
    """Return the graph of all connected processes. A missing or invalid key in a status affects only its own edge."""
    nodes: dict[str, None] = {}
    edges: list[Edge] = []
    lanes: list[Process] = []
    details = details or Details()
    for process in processes:
        suffix = f"@{process.client_id}" if _is_guest(process) else ""
        # nothing patches a whole link, only its channels
        found = [port for port in _ports(process) if port and process.on_host(port) not in details.links]
        ports = tuple(dict.fromkeys(details.port(process, port) + suffix for port in found))
        nodes |= dict.fromkeys(ports)
        edges_found = [_detailed(edge, process, details) for edge in _edges(process) if edge.src and edge.dst]
        edges += [replace(edge, src=edge.src + suffix, dst=edge.dst + suffix) for edge in edges_found]
        lanes.append(_process(process, ports, details))
    edges += _guest_links(nodes)
    for edge in edges:
        nodes |= {edge.src: None, edge.dst: None}
    shown = {label: tuple(p for p in ports if p in nodes) for label, ports in (subgraphs or {}).items()}
    shown = {label: ports for label, ports in shown.items() if ports}
    return Graph(tuple(sorted(nodes, key=order)), tuple(edges), shown, tuple(lanes), details.order)


def _detailed(edge: Edge, process: ProcessStatus, details: Details) -> Edge:
    patch = str(process), edge.src, edge.dst
    chain, reverse = details.chains.get(patch, ("", False))
    flow = details.flows.get(patch, NO_FLOW)
    src, dst = details.port(process, edge.src), details.port(process, edge.dst)
    return replace(edge, src=src, dst=dst, process=str(process), flow=flow, chain=chain, reverse=reverse)


def _process(process: ProcessStatus, ports: tuple[str, ...], details: Details) -> Process:
    status = _dict(process.status.get("forwarder")) or process.status
    state = status.get("status")
    running = state == "running" or process.kind in ("vf", "mirror")
    text = str(state)[:24] if isinstance(state, str) and state.isprintable() else ""
    text = "forwarding" if running else {"idling": "idle", "": "connected"}.get(text, text)
    return Process(str(process), details.names.get(str(process), ""), text, running, bool(_is_guest(process)), ports)


def _is_guest(process: ProcessStatus) -> bool:
    """Return whether the process runs in a VM.

    spp_vm registers as an nfv, but has only one lcore; a DPDK process has at least two.
    """
    single_lcore = process.status.get("lcores") == [0] and process.status.get("master-lcore") == 0
    return process.kind == "vm" or (process.kind == "nfv" and single_lcore)


def guest_of(node: str) -> str:
    """Return the id of the guest that has this port, or an empty text for a port of the host."""
    return node.partition("@")[2]


def kind_of(node: str) -> str:
    """Return the type of a port or process: ``tap`` for ``tap:0`` and ``east/tap:0``, ``link`` for
    ``link:east-west/2``, ``nfv`` for ``east/nfv:1``.
    """
    return node.partition(":")[0].rpartition("/")[2]


def _guest_links(nodes: Iterable[str]) -> list[Edge]:
    """Return the links between the ports of a guest and those of the host.

    Port K of a VM is linked if both ports exist under the default numbers of a VM: its id, and 100 more for each
    further port (docs/guest.md).
    """
    present, edges_found = set(nodes), []
    for node in present:
        before, slash, port = node.partition("@")[0].rpartition("/")
        kind, _, number = port.partition(":")
        host_type = {"ring": "ivshmem", "phy": "vhost"}.get(kind)
        if not (vm_id := guest_of(node)) or host_type is None or not number.isdecimal():
            continue
        host = f"{before}{slash}{host_type}:{int(vm_id) + 100 * int(number)}"
        if host in present:
            edges_found.append(Edge(host, node, f"{before}{slash}vm:{vm_id}", True, int(vm_id), bidirectional=True))
    return sorted(edges_found, key=lambda edge: order(edge.src))


def order(uid: str) -> tuple[str, int, str]:
    """Return the sort key of a port: type, number, and the rest."""
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
