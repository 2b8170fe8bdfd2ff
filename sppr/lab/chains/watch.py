"""The ends of all other chains, while one is proved: none of its frames may arrive there."""

import contextlib
import os
from collections.abc import Sequence
from typing import Self

from sppr.host import netns, sniff
from sppr.lab.chains import ends, observe
from sppr.lab.chains.observe import Counters, Observed
from sppr.lab.chains.wiring import ChainWiring, Leg
from sppr.lab.state import State
from sppr.spp import ports


class Watch:
    """Looks at the counters of other chains' ends. One that moves carries somebody's traffic: where it is a tap, the
    frames in it are looked at."""

    def __init__(self, state: State, chain: ChainWiring, macs: Sequence[str]) -> None:
        self._state, self._macs = state, macs
        others = [one for one in state.plan.wiring.chains if one.name != chain.name]
        self._exits: list[tuple[str, Leg]] = [(one.name, legs[-1]) for one in others for _, legs in one.directions]
        self._sniffers: dict[tuple[str, str], list[sniff.Sniffer]] = {}
        self._strays: dict[tuple[str, str], int] = {}
        self._before = Observed({})
        self._moved: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        taps = ports.tap_interfaces(self._state.plan.part("pri").program)
        for name, leg in self._exits:
            if os.geteuid() == 0 and leg.dst in taps:
                with contextlib.suppress(OSError):
                    space = self._namespace(taps[leg.dst])
                    self._sniffers[name, leg.dst] = [sniff.Sniffer(taps[leg.dst], mac, space) for mac in self._macs]
        self._before = self._look()
        return self

    def __exit__(self, *_: object) -> None:
        for sniffers in self._sniffers.values():
            for one in sniffers:
                one.close()

    def _namespace(self, interface: str) -> str | None:
        """The namespace that an interface is in; None: that of this process."""
        found = (
            ends.name_of(self._state.plan, end) for end in self._state.plan.wiring.ends if end.interface == interface
        )
        name = next(found, None)
        return name if name is not None and netns.inode(name) is not None and not sniff.exists(interface) else None

    def _look(self) -> Observed:
        names = dict.fromkeys(leg.process for _, leg in self._exits)
        return observe.look(self._state.plan.api, names) if names else Observed({})

    def strays(self) -> list[str]:
        """Return a reason for each other end at which frames of the proof arrived."""
        after = self._look()
        found: list[str] = []
        for name, leg in self._exits:
            key = (name, leg.dst)
            count = sum(one.count() for one in self._sniffers.get(key, ()))
            if count:
                found.append(f"{count:,} frames arrived at {leg.dst}, an end of chain {name}")
            elif key not in self._sniffers and _may_have_got_some(leg, self._before, after):
                self._moved.append(key)
        return found

    def doubts(self) -> list[str]:
        """Return a reason for each other end that carried traffic that could not be looked at. After ``strays``."""
        return [
            f"{port}, an end of chain {name}, carried traffic that cannot be looked at: frames of this proof, perhaps"
            for name, port in self._moved
        ]


def _may_have_got_some(leg: Leg, before: Observed, after: Observed) -> bool:
    """Whether frames were sent to an end meanwhile, or that is not known: its process is there and does not answer."""
    if observe.HANGS in (before.silent.get(leg.process), after.silent.get(leg.process)):
        return True
    return _sent(leg, before) != _sent(leg, after)


def _sent(leg: Leg, observed: Observed) -> int:
    seen = observed.seen.get(leg.process)
    return seen.counters.get(leg.dst, Counters()).tx if seen else -1
