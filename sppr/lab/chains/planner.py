"""Plan the wiring of the service chains of conf.yml over the parts of a lab. Pure.

A *hop* is the connection of two neighbours in a path. One secondary carries it, or two secondaries with a ring of the
primary per direction.
"""

from collections.abc import Sequence
from dataclasses import replace

from sppr import units
from sppr.config.chains import is_link, is_port, link_of, ports_at, ports_needed, secondary_id
from sppr.config.model import Chain, Config
from sppr.errors import ConfigError
from sppr.lab.chains.wiring import ChainWiring, LeftOut, Leg, LinkEnd, TapEnd, Wiring
from sppr.parts.part import Part, serving_part
from sppr.spp import match, names

#: Maximal number of ports of a process: MAX_PORTS of our data plane, RTE_MAX_ETHPORTS of upstream SPP's DPDK.
MOST_PORTS, MOST_UPSTREAM_PORTS = 256, 32


def chains(config: Config, parts: Sequence[Part], kept: Sequence[ChainWiring] = ()) -> Wiring:
    """Return the wiring of the chains whose parts are among ``parts``. Other chains are left out, with the reason.

    ``parts`` define which ports a VM has, and which process serves them. A running part has the ports with which it was
    started. ``kept``: chains that conf.yml no longer has, and that stay. Raise ConfigError with the key of conf.yml for
    a chain that cannot be wired.
    """
    kept = [chain for chain in kept if chain.name not in config.chains]
    wiring = _Planner(config, parts, kept).plan()
    wiring = replace(wiring, chains=(*wiring.chains, *kept))
    _check_kept(wiring, kept)
    return _with_patches(config, parts, wiring)


def _check_kept(wiring: Wiring, kept: Sequence[ChainWiring]) -> None:
    """Raise ConfigError if a chain of conf.yml uses a port of a kept chain."""
    used = {place: chain for chain in kept for leg in chain.legs for place in leg.places}
    sources = {(leg.process, leg.source) for chain in kept for leg in chain.legs}
    for chain in wiring.chains:
        for leg in chain.legs if chain not in kept else ():
            for place in leg.places:
                other = used.get(place)
                may_share = other is not None and place[1] in other.shared_ports and place[1] in chain.shared_ports
                if other is not None and (not may_share or (leg.process, leg.source) in sources):
                    what = f"chain {chain.name}: {place[1]} belongs to chain {other.name}, which is kept"
                    raise ConfigError(what, hint="remove --keep-chains", key=("chains", chain.name, "path"))


def _with_patches(config: Config, parts: Sequence[Part], wiring: Wiring) -> Wiring:
    """Return the wiring with the section ``patches:`` for the parts of this lab.

    Raise ConfigError for a port that a chain uses.
    """
    processes = {part.name: part.process for part in parts if part.process}
    used = {place: chain.name for chain in wiring.chains for leg in chain.legs for place in leg.places}
    patches: list[Leg] = []
    ports: list[tuple[str, str]] = []
    idle: list[str] = []
    for index, entry in enumerate(config.patches):
        for name, text in entry.items():
            if name not in processes:
                continue
            process, (source, _, dst) = processes[name], text.partition(" -> ")
            src, words = match.split(source)
            leg = Leg(process, name, src, dst, hop=0 if name.startswith("vm_") else 1, match=words)
            taken = next((place for place in leg.places if place in used), None)
            if taken:
                what = f"{taken[1]} of {name} belongs to chain {used[taken]}"
                raise ConfigError(what, hint="remove this patch, or the chain", key=("patches", index, name))
            if text == "idle":
                idle.append(process)
            elif dst:
                patches.append(leg)
            else:
                ports.append((process, src))
    return replace(wiring, patches=tuple(patches), ports=tuple(ports), idle=tuple(idle))


class _Planner:
    """The planner of the chains of one lab."""

    def __init__(self, config: Config, parts: Sequence[Part], kept: Sequence[ChainWiring]) -> None:
        self.config = config
        self.parts = {part.name: part for part in parts}
        self.carriers = [f"nfv:{p.id}" for p in parts if p.role == "secondary" and p.kind == "nfv"]
        primary = self.parts.get("pri")
        if (
            not self.carriers
            and primary is not None
            and not primary.upstream
            and units.bits(config.primary.coremask)[1:]
        ):
            self.carriers = ["primary"]
        processes = dict.fromkeys([*self.carriers, "primary"])  # the primary carries the ends at links
        self.patches = dict.fromkeys(processes, 0)
        self.ports: dict[str, set[str]] = {name: self._ports_at_start(name) for name in processes}
        self.limit = MOST_UPSTREAM_PORTS if primary is not None and primary.upstream else MOST_PORTS
        self.used_rings = {s.port for s in config.secondaries if s.type == "pcap"} | set(Wiring(tuple(kept)).rings)
        patch_ports = (word for entry in config.patches for text in entry.values() for word in text.split(" -> "))
        self.used_rings |= {word for word in patch_ports if word.startswith("ring:")}
        self.next_ring = 0
        self.taps = names.tap_interfaces(primary.program if primary else ())
        self.needed = ports_needed(config)
        self.used: dict[str, int] = {}  # VM -> number of its ports that earlier chains use
        self.owners: dict[str, str] = {}  # end that chains share -> the process that reads and fills it

    def plan(self) -> Wiring:
        """Return the wiring of all chains of conf.yml."""
        wired: list[ChainWiring] = []
        left_out: list[LeftOut] = []
        ends: list[TapEnd] = []
        reasons = {name: self._why_left_out(chain) for name, chain in self.config.chains.items()}
        self._assign_shared_ends([chain for name, chain in self.config.chains.items() if not reasons[name]])
        for name, chain in self.config.chains.items():
            why = reasons[name]
            if why:
                left_out.append(LeftOut(name, chain.path, why))
                self._count_ports(chain)
            else:
                wired.append(self._chain(name, chain))
                ends += self._tap_ends(name, chain)
        links = [
            LinkEnd(str(link.name), f"link:{number}", link.netdev or "", link.peer or "")
            for number, link in enumerate(self.config.links)
        ]
        return Wiring(tuple(wired), tuple(left_out), ends=tuple(ends), links=tuple(links))

    def _assign_shared_ends(self, chains: Sequence[Chain]) -> None:
        """Assign each end of a chain with a match to a process: only one may read a port, and only one may fill it.

        It is the process that ``via`` names, or the one that serves the next VM, of the first chain that has either.
        """
        for chain in chains:
            for place, hop in ((0, 0), (-1, -1)) if chain.match is not None else ():
                port, neighbour = chain.path[place], chain.path[1 if place == 0 else -2]
                if not is_port(port) or is_link(port) or port in self.owners:
                    continue
                if chain.via:
                    self.owners[port] = f"nfv:{secondary_id(chain.via[hop])}"
                elif not is_port(neighbour):
                    self.owners[port] = self.parts[neighbour].server or "primary"
        for chain in chains:
            if chain.match is not None:
                for port in {chain.path[0], chain.path[-1]} - self.owners.keys():
                    if is_port(port) and not is_link(port):
                        self.owners[port] = self.carriers[0]

    def _tap_ends(self, name: str, chain: Chain) -> list[TapEnd]:
        """Return the ends of a chain that are moved into a network namespace."""
        return [TapEnd(name, port, self.taps[port], e.netns, e.address or "") for port, e in chain.ends.items()]

    def _why_left_out(self, chain: Chain) -> str:
        """Return why a chain cannot be in this lab, or "" if it can."""
        required = [*(e for e in chain.path if not is_port(e)), *(chain.via or ())]
        missing = list(dict.fromkeys(name for name in required if name not in self.parts))
        if missing:
            return f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not in this lab"
        if any(is_link(e) for e in chain.path) and not units.bits(self.config.primary.coremask)[1:]:
            return "it ends at a link, and the primary has no lcore that forwards: add one to primary.coremask"
        if not self.carriers:
            return "this lab has no secondary, and its primary has no lcore that forwards"
        vdevs = [e for e in chain.path if not is_port(e) and (self.parts[e].server or "primary") not in self.carriers]
        if vdevs:
            return f"the ports of {', '.join(vdevs)} are vdevs of the primary (-vdv), which no secondary can use"
        short = next((e for e in chain.path if not is_port(e) and not self._has_enough_ports(e)), None)
        if short:
            has, needs = len(self.parts[short].ports), self.needed[short]
            return f"{short} has {has} of the {needs} ports that its chains need: sppr restart {short}"
        missing_taps = [port for port in chain.ends if port not in self.taps]
        if missing_taps:
            return f"the primary has no {', '.join(missing_taps)}: a NIC is bound to DPDK, or other vdevs are set"
        return ""

    def _has_enough_ports(self, element: str) -> bool:
        """Return whether a VM has the ports that its chains need. It may have been started before a chain was added."""
        return len(self.parts[element].ports) >= self.needed[element]

    def _ports_at_start(self, process: str) -> set[str]:
        """Return the ports that a process has before any chain: those of the primary, and of the VMs that it serves."""
        served = {uid for part in self.parts.values() if part.server == process for uid in part.ports}
        return served | {f"(port {n} of the primary)" for n in range(self.config.primary.portmask.bit_count())}

    def _count_ports(self, chain: Chain) -> None:
        """Reserve the ports of a chain on its VMs.

        The ports of a VM belong to its chains in the order of conf.yml, whether the chains are in the lab or not.
        """
        for index, element in enumerate(chain.path):
            if not is_port(element):
                self.used[element] = self.used.get(element, 0) + ports_at(chain.path, index)

    def _chain(self, name: str, chain: Chain) -> ChainWiring:
        """Return the wiring of one chain."""
        vm_ports = self._vm_ports(chain)
        forward: list[Leg] = []
        reverse: list[Leg] = []
        last = len(chain.path) - 1
        for index, element in enumerate(chain.path):
            if 0 < index < last:
                part, own = self.parts[element], chain.functions.get(element) == "guest"
                before, after = (self._guest_port(element, number) for number in vm_ports[index])
                process = f"nfv:{part.id}"
                forward.append(Leg(process, element, before, after, own=own))
                reverse.append(Leg(process, element, after, before, own=own))
            if index < last:
                hop_forward, hop_reverse = self._hop(name, chain, index, vm_ports)
                forward += hop_forward
                reverse += hop_reverse
        both = chain.direction == "both"
        carriers = [leg.by for leg in forward if not leg.in_guest]
        vms = [element for element in chain.path if not is_port(element)]
        return ChainWiring(
            name=name,
            path=chain.path,
            forward=_with_entry(forward, chain.match_words(), chain.impair_words()),
            reverse=_with_entry(reverse[::-1], chain.match_words(reverse=True), chain.impair_words()) if both else (),
            parts=tuple(dict.fromkeys(["ctrler", "pri", *carriers, *vms])),
        )

    def _vm_ports(self, chain: Chain) -> list[list[int]]:
        """Return the port numbers of each VM in the path: to the element before it, and to the element after it."""
        numbers: list[list[int]] = []
        for index, element in enumerate(chain.path):
            first = self.used.get(element, 0)
            numbers.append([] if is_port(element) else list(range(first, first + ports_at(chain.path, index))))
        self._count_ports(chain)
        return numbers

    def _guest_port(self, element: str, number: int) -> str:
        """Return the name of a port in the guest: ``ring:0`` in a ring VM, ``phy:0`` in a vhost VM."""
        return f"{'ring' if self.parts[element].role == 'vm_ring' else 'phy'}:{number}"

    def _hop(self, name: str, chain: Chain, index: int, vm_ports: list[list[int]]) -> tuple[list[Leg], list[Leg]]:
        """Return the patches of one hop along the path and against it. Both lists are in the order of the path."""
        first, second = chain.path[index : index + 2]
        src = self._port(first) if is_port(first) else self.parts[first].ports[vm_ports[index][-1]]
        dst = self._port(second) if is_port(second) else self.parts[second].ports[vm_ports[index + 1][0]]
        found = (self._server(chain, e) for e in (first, second))
        servers = [server for server in found if server]
        via = f"nfv:{secondary_id(chain.via[index])}" if chain.via else None
        key = ("chains", name, "via", index) if via else ("chains", name, "path", index)
        if servers:
            self._check_via((src, dst), (first, second), servers, via, key)
        if not servers:
            servers = [via or min(self.carriers, key=lambda process: self.patches[process])]
        number = index + 1
        if len(set(servers)) == 1:
            process = servers[0]
            self._add_ports(name, process, (src, dst), chain)
            leg = Leg(process, serving_part(process), src, dst, number)
            return [leg], [_reversed(leg)]
        ring, back = self._ring(name, key), self._ring(name, key) if chain.direction == "both" else ""
        near, far = servers
        self._add_ports(name, near, (src, ring, *([back] if back else [])), chain)
        self._add_ports(name, far, (dst, ring, *([back] if back else [])), chain)
        forward = [Leg(near, serving_part(near), src, ring, number), Leg(far, serving_part(far), ring, dst, number)]
        reverse = [Leg(near, serving_part(near), back, src, number), Leg(far, serving_part(far), dst, back, number)]
        return forward, reverse

    def _port(self, element: str) -> str:
        """Return the port of an element that is a port or a link: ``tap:0``, ``link:0nq2``."""
        name, vlan = link_of(element)
        if vlan is None:
            return element
        return names.link_channel([link.name for link in self.config.links].index(name), vlan)

    def _server(self, chain: Chain, element: str) -> str | None:
        """Return the process that has the port of an element, or None if any process may have it."""
        if is_link(element):
            return "primary"
        if is_port(element):
            return self.owners.get(element) if chain.match is not None else None
        return self.parts[element].server or "primary"

    def _check_via(
        self, ports: tuple[str, str], elements: tuple[str, str], servers: list[str], via: str | None,
        key: tuple[str | int, ...],
    ) -> None:  # fmt: skip
        """Raise ConfigError if ``via`` has none of the ports of this hop."""
        if not via or via in servers:
            return
        served = serving_part(servers[0])
        vms = [element for element in elements if not is_port(element)]
        if vms:
            what = f"{serving_part(via)} cannot reach the ports of {vms[0]}: {served} serves them"
            raise ConfigError(what, hint=f"use {served} for this hop, or set another secondary: for the VM", key=key)
        what = f"{serving_part(via)} cannot reach {ports[0]}: {served} reads it for another chain"
        raise ConfigError(what, hint=f"use {served} for this hop", key=key)

    def _add_ports(self, name: str, process: str, uids: Sequence[str], chain: Chain) -> None:
        """Count the ports and patches of a hop for its process. Raise ConfigError if it would have too many ports."""
        self.patches[process] += 1 + (chain.direction == "both")
        ports = self.ports[process]
        ports.update(p for p in uids if not p.startswith("phy:"))  # phy ports are counted with the ports of the primary
        if len(ports) > self.limit:
            what = f"chain {name}: {serving_part(process)} would have {len(ports)} ports, but the limit is {self.limit}"
            raise ConfigError(what, hint="use more secondaries: -ns, or via:", key=("chains", name))

    def _ring(self, name: str, key: tuple[str | int, ...]) -> str:
        """Allocate the unused ring of the primary with the lowest number. Raise ConfigError if there is none."""
        while f"ring:{self.next_ring}" in self.used_rings:
            self.next_ring += 1
        if self.next_ring >= self.config.primary.rings:
            what = f"chain {name}: too few rings: primary.rings is {self.config.primary.rings}, and all are in use"
            hint = "increase primary.rings (98 at most), or let one secondary serve both VMs: secondary:"
            raise ConfigError(what, hint=hint, key=key)
        self.next_ring += 1
        return f"ring:{self.next_ring - 1}"


def _with_entry(legs: Sequence[Leg], words: str, impair: str) -> tuple[Leg, ...]:
    """Return the patches of a direction, the first one with its impairment, and its match if frames enter at a port.

    Frames that come from a link have entered the chain on another host.
    """
    first, *others = legs
    if first.src.startswith("link:"):
        return tuple(legs)
    return (replace(first, match=words if is_port(first.src) else "", impair=impair), *others)


def _reversed(leg: Leg) -> Leg:
    return Leg(leg.process, leg.by, leg.dst, leg.src, leg.hop)
