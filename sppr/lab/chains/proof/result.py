"""The options and the results of a proof, as values."""

from dataclasses import dataclass, field
from typing import Literal

from sppr.lab.chains.proof.trace import Checkpoint

Verdict = Literal["pass", "fail", "inconclusive"]
#: Each level shows all below it, too.
LEVELS = ("consistency", "reach", "trace", "necessity")


@dataclass(frozen=True)
class Options:
    """How to prove. ``frames`` at ``rate`` a second each way, of ``size`` bytes with FCS, at most ``window`` of them on
    their way, so that a guest that stalls loses none in a full queue."""

    level: int = 2
    frames: int = 10_000
    rate: int = 10_000
    size: int = 64
    window: int = 32


@dataclass(frozen=True)
class Run:
    """The result of one run in one direction. ``latency_ns``: percentiles by name."""

    direction: str
    wanted: int
    sent: int
    received: int
    reordered: int
    duplicate: int
    corrupt: int
    misdelivered: int
    foreign: int
    size: int
    latency_ns: dict[str, int]
    seconds: float

    @property
    def lost(self) -> int:
        return max(0, self.sent - self.received)

    @property
    def whole(self) -> bool:
        """Whether every frame arrived, once, in order, unchanged."""
        faults = (self.reordered, self.duplicate, self.corrupt, self.misdelivered)
        return self.sent == self.received == self.wanted and not any(faults)


@dataclass(frozen=True)
class Repair:
    """One patch taken away and put back. ``arrived_without``: frames that came while it was away, of ``offered``.
    ``blocked_ms``: effective blocked time, frames lost in a repair over the rate offered."""

    direction: str
    patch: str
    offered: int
    arrived_without: int
    arrived_after: int
    blocked_ms: float


@dataclass
class Proof:
    """The result for one chain. ``shown``: levels that passed. ``reasons``: why it is not a pass. ``at``: the lowest
    level that did not pass."""

    chain: str
    level: int
    verdict: Verdict = "pass"
    shown: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    trace: list[Checkpoint] = field(default_factory=list)
    repairs: list[Repair] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    at: str = ""

    def fail(self, reason: str, at: str) -> None:
        """Note that a level was shown to be wrong."""
        self.verdict = "fail"
        self._note(reason, at)

    def doubt(self, reason: str, at: str) -> None:
        """Note that a level was not shown, and not shown to be wrong."""
        if self.verdict == "pass":
            self.verdict = "inconclusive"
        self._note(reason, at)

    def _note(self, reason: str, at: str) -> None:
        self.reasons.append(reason)
        self.at = at if not self.at else min(self.at, at, key=LEVELS.index)

    def close(self) -> None:
        """Fill in the levels that passed, when all has been tried."""
        last = LEVELS.index(self.at) if self.at else self.level + 1
        self.shown = list(LEVELS[:last])
