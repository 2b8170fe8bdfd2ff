"""Describe the chains of conf.yml as a topology of containerlab, with the kernel instead of SPP. Pure.

The ends of a chain and its VMs become Linux containers, and its hops become links. A VM forwards with a bridge of the
kernel. docs/guide.md (Containerlab) lists what the topology lacks.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from sppr.config.chains import is_port
from sppr.config.model import Chain, Config
from sppr.errors import ConfigError

#: It has the program ip, which the commands of the nodes need.
IMAGE = "ghcr.io/srl-labs/network-multitool"
#: Words that YAML reads as a boolean or as nothing.
_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")


@dataclass
class Node:
    """A container: its commands, a comment, and the number of its interfaces ``eth1``, ``eth2``, …

    eth0 belongs to the management network of containerlab.
    """

    name: str
    exec: list[str] = field(default_factory=list)
    comment: str = ""
    interfaces: int = 0
    bridges: int = 0

    def add_interface(self) -> str:
        self.interfaces += 1
        return f"eth{self.interfaces}"

    def bridge(self, interfaces: Sequence[str]) -> None:
        """Forward between these interfaces."""
        name = f"br{self.bridges}"
        self.bridges += 1
        self.exec += [f"ip link add {name} type bridge", f"ip link set {name} up"]
        self.exec += [f"ip link set {interface} master {name}" for interface in interfaces]


class _Topology:
    """The nodes and links of all chains."""

    def __init__(self, config: Config) -> None:
        self.nodes: dict[str, Node] = {}
        self.links: list[tuple[str, str]] = []
        vms = (element for chain in config.chains.values() for element in chain.path if not is_port(element))
        self._names = {node_name(vm) for vm in vms}

    def add(self, name: str, chain: Chain) -> None:
        """Add a chain: its elements, and a link for each hop."""
        nodes = [self._element(name, chain, place) for place in range(len(chain.path))]
        sides: list[list[str]] = [[] for _ in nodes]
        for place, (first, second) in enumerate(itertools.pairwise(nodes)):
            ends = first.add_interface(), second.add_interface()
            sides[place].append(ends[0])
            sides[place + 1].append(ends[1])
            self.links.append((f"{first.name}:{ends[0]}", f"{second.name}:{ends[1]}"))
        for element, node, interfaces in zip(chain.path, nodes, sides, strict=True):
            if element in chain.ends and chain.ends[element].address:
                node.exec.append(f"ip addr add {chain.ends[element].address} dev {interfaces[0]}")
            elif chain.functions.get(element) == "guest":
                node.comment = "software of the guest forwards in the lab: add it here"
            elif len(interfaces) == 2:
                node.bridge(interfaces)

    def _element(self, name: str, chain: Chain, place: int) -> Node:
        """Return the node of an element. A port is an end of one chain, and a VM can be in several chains."""
        element = chain.path[place]
        if not is_port(element):
            return self.nodes.setdefault(node_name(element), Node(node_name(element)))
        end = chain.ends.get(element)
        base = node_name(end.netns if end else element)
        free = next(n for n in (base, *(f"{base}-{i}" for i in range(2, 1000))) if n not in self._names)
        self._names.add(free)
        self.nodes[free] = Node(free, comment=f"{element} of chain {name}")
        return self.nodes[free]


def topology(config: Config, conf: str = "conf.yml") -> str:
    """Return the topology of all chains as YAML. Raise ConfigError if there is no chain. ``conf``: path of conf.yml."""
    if not config.chains:
        hint = "add a chain (docs/chain.md); sppr init writes a conf.yml that has one"
        raise ConfigError(f"{conf}: has no chains:, so there is nothing to export", hint=hint)
    made = _Topology(config)
    for name, chain in config.chains.items():
        made.add(name, chain)
    lines = [
        "# The chains of conf.yml for containerlab, by sppr export clab. The kernel forwards, without SPP and DPDK.",
        "# Deploy: containerlab deploy -t FILE",
        *(f"# chain {name}: forward only; links carry both directions" for name in _one_way(config)),
        *(f"# chain {name}: its match is not exported" for name, c in config.chains.items() if c.match is not None),
        f"name: {_quoted(node_name(config.session))}",
        "topology:",
        "  nodes:",
    ]
    for node in made.nodes.values():
        lines += [f"    {_quoted(node.name)}:{f'  # {node.comment}' * bool(node.comment)}", "      kind: linux"]
        lines += [f"      image: {IMAGE}", *["      exec:"] * bool(node.exec)]
        lines += [f"        - {command}" for command in node.exec]
    lines.append("  links:")
    lines += [f'    - endpoints: ["{first}", "{second}"]' for first, second in made.links]
    return "\n".join(lines) + "\n"


def node_name(text: str) -> str:
    """Return a name that containerlab accepts and DNS resolves: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "node"


def _quoted(name: str) -> str:
    """Return a name in quotes if YAML could read another type than text, such as ``5``, ``1e3`` or ``no``."""
    plain = re.fullmatch(r"[a-z][a-z0-9-]*", name) and name not in _WORDS
    return name if plain else f'"{name}"'


def _one_way(config: Config) -> list[str]:
    return [name for name, chain in config.chains.items() if chain.direction == "forward"]
