"""The ends of all other chains, while one is proved: none of its frames may arrive there."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

from sppr.config.chains import is_port
from sppr.host.network import packet_socket
from sppr.lab.chains import ends, observe
from sppr.lab.chains.observe import Observed
from sppr.lab.chains.wiring import ChainWiring, Leg
from sppr.lab.state.state import State
from sppr.spp import names


class Watch:
    """Watches the counters of other chains' ends: a change means traffic. Frames at a tap are inspected."""

    def __init__(self, state: State, chain: ChainWiring, macs: Sequence[str]) -> None:
        self._state, self._macs = state, macs
        others = [one for one in state.plan.wiring.chains if one.name != chain.name]
        # Both ends of each, also that at which a one-way chain begins. A port is taken from the path: the patches may
        # be wrong.
        self._exits: list[tuple[str, Leg]] = []
        for one in others:
            first, last = one.forward[0], one.forward[-1]
            near, far = one.path[0], one.path[-1]
            self._exits.append((one.name, replace(last, dst=far) if is_port(far) else last))
            self._exits.append((one.name, replace(first, src=first.dst, dst=near if is_port(near) else first.src)))
        self._sniffers: dict[tuple[str, str], list[packet_socket.Sniffer]] = {}
        self._stack = contextlib.ExitStack()
        self._before = Observed({})
        self._moved: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            taps = names.tap_interfaces(self._state.plan.part("pri").program)
            for name, leg in self._exits:
                if os.geteuid() == 0 and leg.dst in taps:
                    self._sniffers[name, leg.dst] = self._sniff(taps[leg.dst], stack)
            self._before = self._look()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _sniff(self, interface: str, stack: contextlib.ExitStack) -> list[packet_socket.Sniffer]:
        """A sniffer for each address of the proof; none where the interface is not found."""
        for space in self._namespaces(interface):
            with contextlib.suppress(OSError):
                return [
                    stack.enter_context(contextlib.closing(packet_socket.Sniffer(interface, mac, space)))
                    for mac in self._macs
                ]
        return []

    def _namespaces(self, interface: str) -> list[str | None]:
        """Where to look for an interface: in the namespace that it was moved into, then in that of this process."""
        known = [end for end in self._state.plan.wiring.ends if end.interface == interface]
        return [*(ends.name_of(self._state.plan, end) for end in known), None]

    def _look(self) -> Observed:
        asked = dict.fromkeys(leg.process for _, leg in self._exits)
        return observe.observe_processes(self._state.plan.api, asked) if asked else Observed({})

    def strays(self) -> list[str]:
        """Return a reason for each other end at which frames of the proof arrived."""
        after = self._look()
        found: list[str] = []
        for name, leg in self._exits:
            key = (name, leg.dst)
            count = sum(one.count() for one in self._sniffers.get(key, ()))
            if count:
                found.append(f"{count:,} frames arrived at {leg.dst}, an end of chain {name}")
            elif not self._sniffers.get(key) and _may_have_got_some(leg, self._before, after):
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
    if (leg.process in before.statuses) != (leg.process in after.statuses):
        return True
    there = after.statuses.get(leg.process)
    if there and there.ports and not there.counters:
        return True  # SPP's own process, which counts no frames
    was, now = (one.counters(leg.process, leg.dst) for one in (before, after))
    return (was.tx if was else 0) != (now.tx if now else 0)
