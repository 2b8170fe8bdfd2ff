"""Watch the ends of all other chains while a chain is proved: none of its frames may arrive there."""

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

#: Words of the reason for traffic at an end whose frames nobody saw.
NOT_INSPECTED = "cannot be inspected"


class Watch:
    """A watch over the ends of other chains. A changed counter means traffic. Frames at a TAP interface are inspected.

    ``macs``: the destination addresses of the proof. ``own``: ports at which frames of the proof must arrive, also if
    other chains end there. It is a context manager.
    """

    def __init__(self, state: State, chain: ChainWiring, macs: Sequence[str], own: Sequence[str] = ()) -> None:
        self._state, self._macs = state, macs
        others = [other for other in state.plan.wiring.chains if other.name != chain.name]
        # Watch both ends, even the end at which a one-way chain begins. Ports come from the path, because the patches
        # may be wrong.
        self._exits: list[tuple[str, Leg]] = []
        for other in others:
            first, last = other.forward[0], other.forward[-1]
            near, far = other.path[0], other.path[-1]
            self._exits.append((other.name, replace(last, dst=far) if is_port(far) else last))
            self._exits.append((other.name, replace(first, src=first.dst, dst=near if is_port(near) else first.src)))
        self._exits = [(name, leg) for name, leg in self._exits if leg.dst not in own]
        self._sniffers: dict[tuple[str, str], list[packet_socket.Sniffer]] = {}
        self._stack = contextlib.ExitStack()
        self._before = Observed({})
        self._unknown: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            program = next((part.program for part in self._state.plan.parts if part.name == "pri"), ())
            taps = names.tap_interfaces(program)  # none in a lab over several hosts: their taps are elsewhere
            for name, leg in self._exits:
                if os.geteuid() == 0 and leg.dst in taps:
                    self._sniffers[name, leg.dst] = self._sniff(taps[leg.dst], stack)
            self._before = self._observe()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _sniff(self, interface: str, stack: contextlib.ExitStack) -> list[packet_socket.Sniffer]:
        """Return a sniffer for each address of the proof. The list is empty if the interface is not found."""
        for space in self._namespaces(interface):
            with contextlib.suppress(OSError):
                return [
                    stack.enter_context(contextlib.closing(packet_socket.Sniffer(interface, mac, space)))
                    for mac in self._macs
                ]
        return []

    def _namespaces(self, interface: str) -> list[str | None]:
        """Return the namespaces in which an interface may be: that of its end, then that of this process (None)."""
        known = [end for end in self._state.plan.wiring.ends if end.interface == interface]
        return [*(ends.name_of(self._state.plan, end) for end in known), None]

    def _observe(self) -> Observed:
        processes = dict.fromkeys(leg.process for _, leg in self._exits)
        return observe.observe_processes(self._state.plan.api, processes) if processes else Observed({})

    def stray_frames(self) -> list[str]:
        """Return a reason for each other end at which frames of the proof arrived."""
        after = self._observe()
        reasons: list[str] = []
        for name, leg in self._exits:
            key = (name, leg.dst)
            count = sum(sniffer.count() for sniffer in self._sniffers.get(key, ()))
            if count:
                reasons.append(f"{count:,} frames arrived at {leg.dst}, an end of chain {name}")
            elif not self._sniffers.get(key) and _may_have_received(leg, self._before, after):
                self._unknown.append(key)
        return reasons

    def unknown_traffic(self) -> list[str]:
        """Return a reason for each other end with traffic that could not be inspected. Call ``stray_frames`` first."""
        return [
            f"{port}, an end of chain {name}, carried traffic that {NOT_INSPECTED}: it may be frames of this proof"
            for name, port in self._unknown
        ]


def _may_have_received(leg: Leg, before: Observed, after: Observed) -> bool:
    """Return whether frames were sent to an end between two observations, or whether that is unknown.

    It is unknown if its process does not answer, or counts no frames.
    """
    if observe.HANGS in (before.silent.get(leg.process), after.silent.get(leg.process)):
        return True
    if (leg.process in before.statuses) != (leg.process in after.statuses):
        return True
    status = after.statuses.get(leg.process)
    if status and status.ports and not status.counters:
        return True  # a process of upstream SPP, which counts no frames
    first, last = (observed.counters(leg.process, leg.dst) for observed in (before, after))
    return (first.tx if first else 0) != (last.tx if last else 0)
