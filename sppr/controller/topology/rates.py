"""Compute the rate of each patch from two readings of the counters. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sppr.controller.prompt.controllers import ProcessStatus
from sppr.units import rate_text

#: A patch: process, source and destination, without the suffix of a guest.
Patch = tuple[str, str, str]
#: Seconds between the two readings.
INTERVAL = 0.5


@dataclass(frozen=True)
class Flow:
    """The frames of a patch.

    ``rate``: frames per second. ``dropping``: frames that are dropped per second. Both are None if they are unknown.
    ``dropped``: frames that its two ports have dropped since they were created.
    """

    rate: float | None = None
    dropping: float | None = None
    dropped: int = 0

    @property
    def drops_text(self) -> str:
        """Return the drops as text: a rate if frames are dropped now, otherwise their number; or an empty text."""
        if self.dropping:
            return f"drops {rate_text(self.dropping)}"
        return f"{self.dropped:,} dropped" if self.dropped else ""


#: The flow of a patch whose process has no counters.
NO_FLOW = Flow()


def flows(before: Iterable[ProcessStatus], after: Iterable[ProcessStatus], seconds: float) -> dict[Patch, Flow]:
    """Return the flow of each patch whose process has counters. ``seconds``: the time between the readings.

    A process may have several patches to a destination: then the frames received from the source are counted. If it
    has several from the source, too, the rate is unknown.
    """
    earlier = {str(process): _counters(process) for process in before}
    found: dict[Patch, Flow] = {}
    for process in after:
        label, now = str(process), _counters(process)
        then, patches = earlier.get(label, {}), _patches(process)
        sources, destinations = (Counter(patch[side] for patch in patches) for side in (0, 1))
        for src, dst in patches:
            if src not in now or dst not in now:
                continue
            counted = (dst, "tx") if destinations[dst] == 1 else (src, "rx")
            dropped = _drops(now, src, dst)
            known = src in then and dst in then and seconds > 0 and 1 in (sources[src], destinations[dst])
            grew = now[counted[0]][counted[1]] - then[counted[0]][counted[1]] if known else -1
            lost = dropped - _drops(then, src, dst) if known else 0
            found[label, src, dst] = Flow(
                grew / seconds if grew >= 0 else None, max(lost, 0) / seconds if grew >= 0 else None, dropped
            )
    return found


def _drops(counters: Mapping[str, Mapping[str, int]], src: str, dst: str) -> int:
    return counters[src]["rx_drop"] + counters[dst]["tx_drop"]


def _forwarder(process: ProcessStatus) -> Mapping[str, object]:
    inner = process.status.get("forwarder")
    return inner if isinstance(inner, dict) else process.status


def _name(port: object) -> str:
    return str(port).replace(" ", "")


def _rows(process: ProcessStatus, key: str) -> list[dict[str, object]]:
    rows = _forwarder(process).get(key)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _counters(process: ProcessStatus) -> dict[str, dict[str, int]]:
    """Return the counters by port. A row that is not complete is left out."""
    found: dict[str, dict[str, int]] = {}
    for row in _rows(process, "counters"):
        values = {key: value for key in ("rx", "rx_drop", "tx", "tx_drop") if isinstance(value := row.get(key), int)}
        if len(values) == 4:
            found[_name(row.get("port"))] = values
    return found


def _patches(process: ProcessStatus) -> list[tuple[str, str]]:
    return [(_name(row.get("src")), _name(row.get("dst"))) for row in _rows(process, "patches")]
