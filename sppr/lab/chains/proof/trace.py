"""Where frames were lost: the counters of both sides of every hop, before and after a run. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sppr.lab.chains.observe import Observed
from sppr.lab.chains.wiring import Leg


@dataclass(frozen=True)
class Checkpoint:
    """One counter on the way of a frame, and by how much it grew. ``way``: rx, received from the port; tx, sent to it.
    ``dropped``: frames that the port dropped meanwhile."""

    direction: str
    process: str
    by: str
    port: str
    way: str
    grew: int
    dropped: int
    in_guest: bool


def checkpoints(direction: str, legs: Sequence[Leg], before: Observed, after: Observed) -> list[Checkpoint]:
    """Return the counters along a direction, in the order in which a frame meets them. A guest whose own software
    forwards has none; nor has a process that does not answer."""
    found: list[Checkpoint] = []
    for leg in legs:
        for port, way in ((leg.src, "rx"), (leg.dst, "tx")):
            was, now = before.counters(leg.process, port), after.counters(leg.process, port)
            if leg.own or was is None or now is None:
                continue
            grew, dropped = ((now.rx - was.rx, now.rx_drop - was.rx_drop) if way == "rx" else
                             (now.tx - was.tx, now.tx_drop - was.tx_drop))  # fmt: skip
            found.append(Checkpoint(direction, leg.process, leg.by, port, way, grew, dropped, leg.in_guest))
    return found


def uncounted(legs: Sequence[Leg], points: Sequence[Checkpoint]) -> list[str]:
    """Return the parts with a counter on the way that is not among ``points``."""
    known = {(point.process, point.port, point.way) for point in points}
    wanted = [(leg, port, way) for leg in legs if not leg.own for port, way in ((leg.src, "rx"), (leg.dst, "tx"))]
    return list(dict.fromkeys(leg.by for leg, port, way in wanted if (leg.process, port, way) not in known))


def shortfall(points: Sequence[Checkpoint], sent: int) -> str | None:
    """Return the first counter that grew by less than the frames that were sent. None where none did.

    Where all frames arrived, it is a hop that they did not go through.
    """
    for point in points:
        if point.grew < sent:
            return f"{_name(point)} counted {point.grew:,} of {sent:,}"
    return None


def locate(points: Sequence[Checkpoint], sent: int) -> str:
    """Return where the ``sent`` frames of a run were lost, as ``between ring:0 and ring:1 in vm_r6 (…)``.

    That is where the counters fall most from one to the next. Frames of others can hide as many losses as they are.
    """
    falls = [(a.grew - b.grew, a, b) for a, b in pairwise(points)]
    falls = [fall for fall in falls if fall[0] > 0]
    untaken = sent - points[0].grew if points else 0
    if untaken > max([fall[0] for fall in falls], default=0):
        others = sum(fall[0] for fall in falls)
        text = f"in front of {_name(points[0])} (it took {points[0].grew:,} of {sent:,})"
        return text + (f", and {others:,} elsewhere" if others else "")
    if not falls:
        return f"behind {_name(points[-1])}" if points else "at a place that no counter shows"
    most, first, second = max(falls, key=lambda fall: fall[0])
    others = sum(fall[0] for fall in falls) - most + max(0, untaken)
    text = _between(most, first, second)
    return text + (f", and {others:,} elsewhere" if others else "")


def _between(count: int, first: Checkpoint, second: Checkpoint) -> str:
    if first.process == second.process and first.way == "rx":
        if first.in_guest:
            return f"between {first.port} and {second.port} in {first.by} (the guest took them and sent fewer)"
        full = (
            f"{second.port} was full: {second.dropped:,} dropped" if second.dropped else "it took them and sent fewer"
        )
        return f"between {first.port} and {second.port} in {first.by} ({full})"
    if first.in_guest or second.in_guest:
        guest = first.by if first.in_guest else second.by
        how = "the guest sent them" if first.in_guest else "they were handed to the guest"
        what = f" and dropped {second.dropped:,}" if second.dropped else ""
        return f"between {_name(first)} and {_name(second)} ({how}, and {second.by} took fewer{what}); look at {guest}"
    if second.grew == 0:
        return f"between {first.by} and {second.by}, in {first.port} ({second.by} takes nothing: does it forward?)"
    return f"between {first.by} and {second.by}, in {first.port} ({count:,} never came out)"


def _name(point: Checkpoint) -> str:
    return f"{point.port} in {point.by}" if point.in_guest else f"{point.port} of {point.by}"
