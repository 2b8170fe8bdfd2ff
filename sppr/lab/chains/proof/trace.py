"""Locate lost frames by the counters on both sides of every hop, before and after a run. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sppr.lab.chains.observe import Observed
from sppr.lab.chains.wiring import Leg


@dataclass(frozen=True)
class Checkpoint:
    """A counter on the path of a frame, and its increase during a run.

    ``direction``: forward or reverse. ``process``, ``by``, ``port``: the process, its part, and the port.
    ``way``: rx for frames received from the port, tx for frames sent to it.
    ``grew``: the increase. ``dropped``: frames that the port dropped during the run.
    ``in_guest``: whether the process is in a guest.
    """

    direction: str
    process: str
    by: str
    port: str
    way: str
    grew: int
    dropped: int
    in_guest: bool


def checkpoints(direction: str, legs: Sequence[Leg], before: Observed, after: Observed) -> list[Checkpoint]:
    """Return the counters along a direction, in the order in which a frame passes them.

    A guest whose own software forwards has no counters. Processes that do not answer are left out.
    """
    found: list[Checkpoint] = []
    for leg in legs:
        for port, way in ((leg.src, "rx"), (leg.dst, "tx")):
            first, last = before.counters(leg.process, port), after.counters(leg.process, port)
            if leg.own or first is None or last is None:
                continue
            grew, dropped = ((last.rx - first.rx, last.rx_drop - first.rx_drop) if way == "rx" else
                             (last.tx - first.tx, last.tx_drop - first.tx_drop))  # fmt: skip
            found.append(Checkpoint(direction, leg.process, leg.by, port, way, grew, dropped, leg.in_guest))
    return found


def uncounted(legs: Sequence[Leg], points: Sequence[Checkpoint]) -> list[str]:
    """Return the parts with a counter on the path that is not among ``points``."""
    known = {(point.process, point.port, point.way) for point in points}
    expected = [(leg, port, way) for leg in legs if not leg.own for port, way in ((leg.src, "rx"), (leg.dst, "tx"))]
    return list(dict.fromkeys(leg.by for leg, port, way in expected if (leg.process, port, way) not in known))


def shortfall(points: Sequence[Checkpoint], sent: int) -> str | None:
    """Return the first counter that grew by less than the number of sent frames, or None.

    If all frames arrived, some of them did not pass this hop.
    """
    for point in points:
        if point.grew < sent:
            return f"{_name(point)} counted {point.grew:,} of {sent:,}"
    return None


def locate(points: Sequence[Checkpoint], sent: int) -> str:
    """Return where the ``sent`` frames of a run were lost, as ``between ring:0 and ring:1 in vm_r6 (…)``.

    It is the largest decrease from one counter to the next. Foreign frames can hide as many losses as there are foreign
    frames.
    """
    losses = [(a.grew - b.grew, a, b) for a, b in pairwise(points)]
    losses = [loss for loss in losses if loss[0] > 0]
    not_received = sent - points[0].grew if points else 0
    if not_received > max([loss[0] for loss in losses], default=0):
        others = sum(loss[0] for loss in losses)
        text = f"in front of {_name(points[0])} (it took {points[0].grew:,} of {sent:,})"
        return text + (f", and {others:,} elsewhere" if others else "")
    if not losses:
        return f"behind {_name(points[-1])}" if points else "at a place that no counter shows"
    most, first, second = max(losses, key=lambda loss: loss[0])
    others = sum(loss[0] for loss in losses) - most + max(0, not_received)
    text = _describe_loss(most, first, second)
    return text + (f", and {others:,} elsewhere" if others else "")


def _describe_loss(count: int, first: Checkpoint, second: Checkpoint) -> str:
    """Return where ``count`` frames were lost between two counters, and a probable reason."""
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
