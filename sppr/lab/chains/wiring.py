"""The wiring of service chains, as values: what the planner makes, state.json keeps, and status compares."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

#: Port types that all processes of a lab share, except its guests.
SHARED = ("tap", "phy", "ring")


@dataclass(frozen=True)
class Leg:
    """One patch of a chain: ``process`` (``primary``, ``nfv:1``; the spp_vm of VM 6 is ``nfv:6``) sends what ``src``
    receives to ``dst``. ``by``: the part's name. ``hop``: the number of the hop, from 1; 0 within a VM. ``own``: the
    guest's own software forwards, so there is no patch of SPP."""

    process: str
    by: str
    src: str
    dst: str
    hop: int = 0
    own: bool = False

    @property
    def patch(self) -> tuple[str, str, str]:
        """Process, source and destination, without the place in a chain."""
        return self.process, self.src, self.dst

    @property
    def in_guest(self) -> bool:
        return self.hop == 0

    @property
    def places(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """What identifies source and destination in a lab: process and port; of a shared port the port alone."""
        src, dst = (
            ("" if not self.in_guest and port.partition(":")[0] in SHARED else self.process, port)
            for port in (self.src, self.dst)
        )
        return src, dst


@dataclass(frozen=True)
class ChainWiring:
    """One chain. ``forward`` and ``reverse``: its patches in the order in which a frame meets them; ``reverse`` is
    empty where the chain has one direction. ``parts``: names of the parts it depends on."""

    name: str
    path: tuple[str, ...]
    forward: tuple[Leg, ...]
    reverse: tuple[Leg, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def legs(self) -> tuple[Leg, ...]:
        return (*self.forward, *self.reverse)

    @property
    def directions(self) -> tuple[tuple[str, tuple[Leg, ...]], ...]:
        """``("forward", legs)`` and, where the chain has it, ``("reverse", legs)``."""
        return (("forward", self.forward), *((("reverse", self.reverse),) if self.reverse else ()))


@dataclass(frozen=True)
class LeftOut:
    """A chain of conf.yml that is not in this lab, and why."""

    name: str
    path: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class TapEnd:
    """An end of a chain in a network namespace: ``interface`` is the tap in the kernel, ``netns`` the namespace as
    conf.yml names it. ``address``: with its prefix length; empty: none."""

    chain: str
    port: str
    interface: str
    netns: str
    address: str


@dataclass(frozen=True)
class Wiring:
    """All chains of a lab, in the order of conf.yml.

    ``retired``: patches of former chains, no longer wanted and perhaps still there. ``ends``: those in network
    namespaces. ``patches``, ``ports`` (process and port), ``idle`` (processes): what conf.yml says beside its chains.
    ``kept``: names of chains that conf.yml no longer has.
    """

    chains: tuple[ChainWiring, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    retired: tuple[Leg, ...] = ()
    ends: tuple[TapEnd, ...] = ()
    patches: tuple[Leg, ...] = ()
    ports: tuple[tuple[str, str], ...] = ()
    idle: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to wire, and nothing to take down."""
        return not (self.chains or self.retired or self.patches or self.ports)

    @property
    def legs(self) -> tuple[Leg, ...]:
        """Every patch, of chains and beside them."""
        return (*(leg for chain in self.chains for leg in chain.legs), *self.patches)

    def replacing(self, old: "Wiring") -> "Wiring":
        """Return this wiring with all patches of ``old`` retired that it does not have."""
        mine = {leg.patch for leg in self.legs}
        before = dict.fromkeys((*old.retired, *old.legs))
        return replace(self, retired=tuple(leg for leg in before if leg.patch not in mine))

    @property
    def rings(self) -> list[str]:
        """Rings of the primary that join two secondaries."""
        ends = (port for leg in self.legs if not leg.in_guest for port in (leg.src, leg.dst))
        return list(dict.fromkeys(port for port in ends if port.startswith("ring:")))

    def chain(self, name: str) -> ChainWiring:
        """Return the chain of this name. KeyError where there is none."""
        for chain in self.chains:
            if chain.name == name:
                return chain
        raise KeyError(name)


def ports_of(legs: tuple[Leg, ...]) -> Iterator[tuple[str, str]]:
    """Yield the ports that these patches use, as (process, port), each once."""
    yield from dict.fromkeys((leg.process, port) for leg in legs if not leg.own for port in (leg.src, leg.dst))
