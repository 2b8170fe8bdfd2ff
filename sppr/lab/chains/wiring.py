"""Define the wiring of service chains, as values that the planner makes, state.json keeps, and the status compares."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sppr.spp import match as matches

#: Types of ports that all processes of a lab share, except its guests.
SHARED = ("tap", "phy", "ring")


def host_of(process: str) -> str:
    """Return the host of a process of a lab over several hosts: ``east/nfv:1`` -> ``east``; "" in a lab of one host."""
    return process.rpartition("/")[0]


@dataclass(frozen=True)
class Leg:
    """A patch of a chain.

    ``process``: the process that forwards: ``primary``, ``nfv:1``; the spp_vm of VM 6 is ``nfv:6``. In a lab over
    several hosts, its host comes first: ``east/nfv:1``.
    ``by``: the name of its part.
    ``src``, ``dst``: it sends the frames received from ``src`` to ``dst``.
    ``hop``: the number of the hop, from 1; 0 within a VM.
    ``own``: whether the guest's own software forwards, so that SPP has no patch.
    ``match``: the frames of ``src`` that it takes, ``vlan=100``; ``default``: those that no other patch of ``src``
    takes; empty: all.
    ``impair``: its impairment, ``delay=20ms``; empty: none.
    """

    process: str
    by: str
    src: str
    dst: str
    hop: int = 0
    own: bool = False
    match: str = ""
    impair: str = ""

    @property
    def source(self) -> str:
        """Return the source with its match, as ``ProcessStatus.patches`` has it."""
        return matches.source(self.src, self.match)

    @property
    def patch(self) -> tuple[str, str, str]:
        """Return process, source with its match, and destination."""
        return self.process, self.source, self.dst

    @property
    def in_guest(self) -> bool:
        """Return whether the patch is in a guest."""
        return self.hop == 0

    @property
    def places(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Return the keys of source and destination in a lab: process and port, or "" and a shared port."""
        src, dst = (
            (host_of(self.process) if not self.in_guest and port.partition(":")[0] in SHARED else self.process, port)
            for port in (self.src, self.dst)
        )
        return src, dst


@dataclass(frozen=True)
class ChainWiring:
    """The wiring of a chain.

    ``name``, ``path``: as in conf.yml.
    ``forward``, ``reverse``: its patches in the order in which a frame passes them. ``reverse`` is empty if the chain
    has one direction.
    ``parts``: names of the parts that it depends on.
    """

    name: str
    path: tuple[str, ...]
    forward: tuple[Leg, ...]
    reverse: tuple[Leg, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def legs(self) -> tuple[Leg, ...]:
        """Return the patches of both directions."""
        return (*self.forward, *self.reverse)

    @property
    def is_classified(self) -> bool:
        """Return whether the chain takes only some frames of its ends, so that other chains may share them."""
        return any(leg.match for leg in self.legs)

    @property
    def shared_ports(self) -> tuple[str, ...]:
        """Return the ends whose counters include frames of other chains."""
        if not self.is_classified:
            return ()
        ports = {port for leg in self.legs if leg.hop for port in (leg.src, leg.dst)}
        return tuple(ports & {self.path[0], self.path[-1]})

    def own_sides(self, leg: Leg) -> tuple[tuple[str, str], ...]:
        """Return the sides of a patch that only frames of this chain pass, as (port, ``rx`` or ``tx``)."""
        sides = ((leg.src, "rx"), (leg.dst, "tx"))
        return tuple(side for side in sides if leg.in_guest or side[0] not in self.shared_ports)

    def counted(self, leg: Leg) -> tuple[str, str] | None:
        """Return the side of a patch whose counter counts the frames of this chain, or None if there is none."""
        return next(reversed(self.own_sides(leg)), None)

    @property
    def directions(self) -> tuple[tuple[str, tuple[Leg, ...]], ...]:
        """Return ``("forward", legs)`` and, if the chain has it, ``("reverse", legs)``."""
        return (("forward", self.forward), *((("reverse", self.reverse),) if self.reverse else ()))


@dataclass(frozen=True)
class LeftOut:
    """A chain of conf.yml that is not in this lab.

    ``name``, ``path``: as in conf.yml. ``why``: the reason why it is left out.
    """

    name: str
    path: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class TapEnd:
    """An end of a chain in a network namespace.

    ``chain``, ``port``: the chain and its port, such as ``tap:0``.
    ``interface``: the TAP interface in the kernel.
    ``netns``: the namespace, by its name in conf.yml.
    ``address``: with its prefix length; empty: none.
    """

    chain: str
    port: str
    interface: str
    netns: str
    address: str


@dataclass(frozen=True)
class LinkEnd:
    """The end of a link to another host.

    ``name``: of the link. ``port``: its port, ``link:0``. ``interface``: in the kernel; empty: a NIC. ``peer``: the
    address of the other host; empty: unknown.
    """

    name: str
    port: str
    interface: str
    peer: str = ""


@dataclass(frozen=True)
class Wiring:
    """The wiring of all chains of a lab, in the order of conf.yml.

    ``chains``, ``left_out``: the chains in this lab, and the others.
    ``retired``: patches of former chains, which may still exist and must be removed.
    ``ends``: the ends in network namespaces.
    ``patches``, ``ports``, ``idle``: the section ``patches:`` of conf.yml: patches, ports without a patch as (process,
    port), and processes that stay idle.
    ``kept``: names of chains that conf.yml no longer has. ``links``: the links to other hosts.
    """

    chains: tuple[ChainWiring, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    retired: tuple[Leg, ...] = ()
    ends: tuple[TapEnd, ...] = ()
    patches: tuple[Leg, ...] = ()
    ports: tuple[tuple[str, str], ...] = ()
    idle: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    links: tuple[LinkEnd, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to wire, and nothing to remove."""
        return not (self.chains or self.retired or self.patches or self.ports)

    @property
    def legs(self) -> tuple[Leg, ...]:
        """Return every patch: those of chains, and those of the section ``patches:``."""
        return (*(leg for chain in self.chains for leg in chain.legs), *self.patches)

    @property
    def link_names(self) -> dict[str, str]:
        """Return the name of each link to another host, by its port: ``{"link:0": "east-west"}``."""
        return {link.port: link.name for link in self.links}

    def replacing(self, old: "Wiring") -> "Wiring":
        """Return this wiring, with all patches of ``old`` that it lacks as retired patches."""
        current = {leg.patch for leg in self.legs}
        previous = dict.fromkeys((*old.retired, *old.legs))
        return replace(self, retired=tuple(leg for leg in previous if leg.patch not in current))

    @property
    def rings(self) -> list[str]:
        """Return the rings of the primary that connect two secondaries."""
        ends = (port for leg in self.legs if not leg.in_guest for port in (leg.src, leg.dst))
        return list(dict.fromkeys(port for port in ends if port.startswith("ring:")))

    def chain(self, name: str) -> ChainWiring:
        """Return the chain of this name. Raise KeyError if there is none."""
        for chain in self.chains:
            if chain.name == name:
                return chain
        raise KeyError(name)


def ports_of(legs: tuple[Leg, ...]) -> Iterator[tuple[str, str]]:
    """Yield the ports that these patches use, as (process, port), each once."""
    yield from dict.fromkeys((leg.process, port) for leg in legs if not leg.own for port in (leg.src, leg.dst))
