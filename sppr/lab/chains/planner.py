"""conf.yml + parts -> the wiring of its service chains. Pure: nothing is read or touched here.

A *hop* is the piece between two neighbours of a path. A secondary carries it, or two secondaries and a ring of the
primary per direction.
"""

from collections.abc import Sequence
from dataclasses import replace

from sppr import units
from sppr.config.chains import is_port, ports_at, ports_needed, secondary_id
from sppr.config.model import Chain, Config
from sppr.errors import ConfigError
from sppr.lab.chains.wiring import ChainWiring, LeftOut, Leg, TapEnd, Wiring
from sppr.parts.part import Part, serving_part
from sppr.spp import names

#: Ports that one process holds: MAX_PORTS of our data plane, RTE_MAX_ETHPORTS of SPP's DPDK.
MOST_PORTS, MOST_PORTS_OF_SPP = 256, 32


def chains(config: Config, parts: Sequence[Part], kept: Sequence[ChainWiring] = ()) -> Wiring:
    """Return the wiring of the chains whose parts are among ``parts``; the others are left out, with the reason.

    ``parts`` decide which ports a VM has and which process serves them: of a part that runs, those that it was started
    with. ``kept``: chains that conf.yml no longer has and that stay. Raises ConfigError with the key of conf.yml for a
    chain that cannot be wired.
    """
    kept = [chain for chain in kept if chain.name not in config.chains]
    made = _Planner(config, parts, kept).plan()
    made = replace(made, chains=(*made.chains, *kept))
    _check_kept(made, kept)
    return _with_patches(config, parts, made)


def _check_kept(made: Wiring, kept: Sequence[ChainWiring]) -> None:
    """ConfigError where a chain of conf.yml has a port of one that is kept."""
    used = {place: chain.name for chain in kept for leg in chain.legs for place in leg.places}
    for chain in made.chains:
        for leg in chain.legs if chain not in kept else ():
            for place in leg.places:
                if place in used:
                    what = f"chain {chain.name}: {place[1]} belongs to chain {used[place]}, which is kept"
                    raise ConfigError(what, hint="leave --keep-chains out", key=("chains", chain.name, "path"))


def _with_patches(config: Config, parts: Sequence[Part], made: Wiring) -> Wiring:
    """The wiring with what ``patches:`` says of parts that are there. ConfigError for a port that a chain has."""
    processes = {p.name: "primary" if p.role == "primary" else f"nfv:{p.id}" for p in parts}
    used = {place: chain.name for chain in made.chains for leg in chain.legs for place in leg.places}
    patches: list[Leg] = []
    ports: list[tuple[str, str]] = []
    idle: list[str] = []
    for index, entry in enumerate(config.patches):
        for name, text in entry.items():
            if name not in processes:
                continue
            process, (src, _, dst) = processes[name], text.partition(" -> ")
            leg = Leg(process, name, src, dst, hop=0 if name.startswith("vm_") else 1)
            taken = next((place for place in leg.places if place in used), None)
            if taken:
                what = f"{taken[1]} of {name} belongs to chain {used[taken]}"
                raise ConfigError(what, hint="leave this patch out, or the chain", key=("patches", index, name))
            if text == "idle":
                idle.append(process)
            elif dst:
                patches.append(leg)
            else:
                ports.append((process, src))
    return replace(made, patches=tuple(patches), ports=tuple(ports), idle=tuple(idle))


class _Planner:
    """Wires one lab."""

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
        self.patches = dict.fromkeys(self.carriers, 0)
        self.ports: dict[str, set[str]] = {name: self._ports_at_start(name) for name in self.carriers}
        self.limit = MOST_PORTS_OF_SPP if primary is not None and primary.upstream else MOST_PORTS
        self.taken = {s.port for s in config.secondaries if s.type == "pcap"} | set(Wiring(tuple(kept)).rings)
        named = (word for entry in config.patches for text in entry.values() for word in text.split(" -> "))
        self.taken |= {word for word in named if word.startswith("ring:")}
        self.next_ring = 0
        self.taps = names.tap_interfaces(primary.program if primary else ())
        self.needed = ports_needed(config)
        self.used: dict[str, int] = {}  # VM -> ports that chains before have

    def plan(self) -> Wiring:
        wired: list[ChainWiring] = []
        left_out: list[LeftOut] = []
        ends: list[TapEnd] = []
        for name, chain in self.config.chains.items():
            why = self._missing(chain)
            if why:
                left_out.append(LeftOut(name, chain.path, why))
                self._count_ports(chain)
            else:
                wired.append(self._chain(name, chain))
                ends += self._tap_ends(name, chain)
        return Wiring(tuple(wired), tuple(left_out), ends=tuple(ends))

    def _tap_ends(self, name: str, chain: Chain) -> list[TapEnd]:
        """The ends that are moved into a namespace."""
        return [TapEnd(name, port, self.taps[port], e.netns, e.address or "") for port, e in chain.ends.items()]

    def _missing(self, chain: Chain) -> str:
        """Why a chain cannot be in this lab; empty where it can."""
        wanted = [*(e for e in chain.path if not is_port(e)), *(chain.via or ())]
        missing = list(dict.fromkeys(name for name in wanted if name not in self.parts))
        if missing:
            return f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not in this lab"
        if not self.carriers:
            return "no secondary is in this lab, and the primary has no lcore that forwards"
        vdevs = [e for e in chain.path if not is_port(e) and (self.parts[e].server or "primary") not in self.carriers]
        if vdevs:
            return f"the ports of {', '.join(vdevs)} are the primary's own (-vdv), which no secondary can use"
        short = next((e for e in chain.path if not is_port(e) and not self._suffices(e)), None)
        if short:
            has, needs = len(self.parts[short].ports), self.needed[short]
            return f"{short} has {has} of the {needs} ports that chains need of it: sppr restart {short}"
        unmade = [port for port in chain.ends if port not in self.taps]
        if unmade:
            return f"the primary has no {', '.join(unmade)}: a NIC is bound to DPDK, or other vdevs are named"
        return ""

    def _suffices(self, element: str) -> bool:
        """Whether a VM has the ports that the chains need. One that runs may have been started before they did."""
        return len(self.parts[element].ports) >= self.needed[element]

    def _ports_at_start(self, process: str) -> set[str]:
        """Ports that a process has before any chain: those of the primary, and of the VMs that it serves."""
        served = {uid for part in self.parts.values() if part.server == process for uid in part.ports}
        return served | {f"(port {n} of the primary)" for n in range(self.config.primary.portmask.bit_count())}

    def _count_ports(self, chain: Chain) -> None:
        """The ports of a VM belong to its chains in the order of conf.yml, whether these are in the lab or not."""
        for place, element in enumerate(chain.path):
            if not is_port(element):
                self.used[element] = self.used.get(element, 0) + ports_at(chain.path, place)

    def _chain(self, name: str, chain: Chain) -> ChainWiring:
        towards = self._ends_of(chain)
        forward: list[Leg] = []
        reverse: list[Leg] = []
        last = len(chain.path) - 1
        for place, element in enumerate(chain.path):
            if 0 < place < last:
                part, own = self.parts[element], chain.functions.get(element) == "guest"
                before, after = (self._in_guest(element, index) for index in towards[place])
                process = f"nfv:{part.id}"
                forward.append(Leg(process, element, before, after, own=own))
                reverse.append(Leg(process, element, after, before, own=own))
            if place < last:
                there, back = self._hop(name, chain, place, towards)
                forward += there
                reverse += back
        both = chain.direction == "both"
        carriers = [leg.by for leg in forward if not leg.in_guest]
        vms = [element for element in chain.path if not is_port(element)]
        return ChainWiring(
            name=name,
            path=chain.path,
            forward=tuple(forward),
            reverse=tuple(reversed(reverse)) if both else (),
            parts=tuple(dict.fromkeys(["ctrler", "pri", *carriers, *vms])),
        )

    def _ends_of(self, chain: Chain) -> list[list[int]]:
        """Indexes of the ports of each VM in the path: towards the one before it, and towards the one behind it."""
        found: list[list[int]] = []
        for place, element in enumerate(chain.path):
            first = self.used.get(element, 0)
            found.append([] if is_port(element) else list(range(first, first + ports_at(chain.path, place))))
        self._count_ports(chain)
        return found

    def _in_guest(self, element: str, index: int) -> str:
        """The name that the guest has for its port: ``ring:0`` in a ring VM, ``phy:0`` in a vhost VM."""
        return f"{'ring' if self.parts[element].role == 'vm_ring' else 'phy'}:{index}"

    def _hop(self, name: str, chain: Chain, place: int, towards: list[list[int]]) -> tuple[list[Leg], list[Leg]]:
        """Patches of one hop: in the direction of the path, and against it in the same order of places."""
        first, second = chain.path[place : place + 2]
        src = first if is_port(first) else self.parts[first].ports[towards[place][-1]]
        dst = second if is_port(second) else self.parts[second].ports[towards[place + 1][0]]
        servers = [self.parts[e].server or "primary" for e in (first, second) if not is_port(e)]
        via = f"nfv:{secondary_id(chain.via[place])}" if chain.via else None
        key = ("chains", name, "via", place) if via else ("chains", name, "path", place)
        if servers:
            vm = second if is_port(first) else first
            self._check_via(vm, servers, via, key)
        if not servers:
            servers = [via or min(self.carriers, key=lambda process: self.patches[process])]
        number = place + 1
        if len(set(servers)) == 1:
            process = servers[0]
            self._carry(name, process, (src, dst), chain)
            leg = Leg(process, serving_part(process), src, dst, number)
            return [leg], [_back(leg)]
        there, back = self._ring(name, key), self._ring(name, key) if chain.direction == "both" else ""
        near, far = servers
        self._carry(name, near, (src, there, *([back] if back else [])), chain)
        self._carry(name, far, (dst, there, *([back] if back else [])), chain)
        forward = [Leg(near, serving_part(near), src, there, number), Leg(far, serving_part(far), there, dst, number)]
        reverse = [Leg(near, serving_part(near), back, src, number), Leg(far, serving_part(far), dst, back, number)]
        return forward, reverse

    def _check_via(self, vm: str, servers: list[str], via: str | None, key: tuple[str | int, ...]) -> None:
        """ConfigError where ``via`` serves no VM of this hop."""
        if via and via not in servers:
            served = serving_part(servers[0])
            what = f"{serving_part(via)} cannot reach the ports of {vm}: {served} serves them"
            raise ConfigError(what, hint=f"write {served} for this hop, or give the VM another secondary:", key=key)

    def _carry(self, name: str, process: str, uids: Sequence[str], chain: Chain) -> None:
        self.patches[process] += 1 + (chain.direction == "both")
        held = self.ports[process]
        held.update(p for p in uids if not p.startswith("phy:"))  # those are the primary's, and counted
        if len(held) > self.limit:
            what = f"chain {name}: {serving_part(process)} would hold {len(held)} ports, and {self.limit} is the most"
            raise ConfigError(what, hint="use more secondaries: -ns, or via:", key=("chains", name))

    def _ring(self, name: str, key: tuple[str | int, ...]) -> str:
        """Take the lowest ring of the primary that nobody has."""
        while f"ring:{self.next_ring}" in self.taken:
            self.next_ring += 1
        if self.next_ring >= self.config.primary.rings:
            what = f"chain {name}: too few rings: primary.rings is {self.config.primary.rings}, and all are in use"
            hint = "raise primary.rings (98 at most), or let one secondary serve both VMs: secondary:"
            raise ConfigError(what, hint=hint, key=key)
        self.next_ring += 1
        return f"ring:{self.next_ring - 1}"


def _back(leg: Leg) -> Leg:
    return Leg(leg.process, leg.by, leg.dst, leg.src, leg.hop)
