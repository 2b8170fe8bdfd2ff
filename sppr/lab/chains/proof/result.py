"""Define the options and the results of a proof, as values."""

from dataclasses import dataclass, field
from typing import Literal

from sppr.lab.chains.proof.trace import Checkpoint

Verdict = Literal["pass", "fail", "inconclusive"]
#: Each level includes the levels before it.
LEVELS = ("consistency", "reach", "trace", "necessity")


@dataclass(frozen=True)
class Options:
    """The options of a proof.

    ``level``: index in LEVELS. ``frames``: frames in each direction. ``rate``: frames per second.
    ``size``: bytes of a frame, with FCS.
    ``window``: maximal number of frames in flight, so that a guest that stalls loses none in a full queue.
    """

    level: int = 2
    frames: int = 10_000
    rate: int = 10_000
    size: int = 64
    window: int = 32


@dataclass(frozen=True)
class Run:
    """The result of a run in one direction.

    ``direction``: forward or reverse.
    ``wanted``, ``sent``, ``received``: numbers of frames to send, sent, and received.
    ``reordered``, ``duplicate``, ``corrupt``, ``misdelivered``, ``foreign``: frames with this fault.
    ``size``: bytes of a frame. ``latency_ns``: percentiles by name. ``seconds``: time between the first and last frame.
    """

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
        """Return the number of lost frames."""
        return max(0, self.sent - self.received)

    @property
    def is_complete(self) -> bool:
        """Return whether every frame arrived, once, in order, unchanged."""
        faults = (self.reordered, self.duplicate, self.corrupt, self.misdelivered)
        return self.sent == self.received == self.wanted and not any(faults)


@dataclass(frozen=True)
class Restoration:
    """A patch that was removed and restored.

    ``direction``, ``patch``: the direction, and the command of the patch. ``offered``: frames sent in each run.
    ``arrived_without``, ``arrived_after``: frames that arrived without the patch, and after it was restored.
    ``blocked_ms``: effective blocked time in ms: frames lost while the patch was removed and restored, divided by the
    offered rate.
    """

    direction: str
    patch: str
    offered: int
    arrived_without: int
    arrived_after: int
    blocked_ms: float


@dataclass(frozen=True)
class Measured:
    """A property of an impairment, as it was asked for and as it was measured.

    ``key``: such as delay. ``asked``, ``measured``: as text with units. ``ok``: whether they agree.
    """

    direction: str
    key: str
    asked: str
    measured: str
    ok: bool


@dataclass
class Proof:
    """The result for one chain.

    ``chain``, ``level``: its name, and the requested level. ``verdict``: pass, fail or inconclusive.
    ``shown``: levels that passed. ``reasons``: why the verdict is not pass. ``at``: the lowest level that did not pass.
    ``runs``, ``trace``, ``repairs``: the results of the levels. ``repairs`` is a key of the JSON output, and keeps its
    name for that. ``impairments``: what was asked of the impairments, and what was
    measured. ``notes``: lines for the user. ``seconds``: duration of the proof.
    """

    chain: str
    level: int
    verdict: Verdict = "pass"
    shown: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    trace: list[Checkpoint] = field(default_factory=list)
    repairs: list[Restoration] = field(default_factory=list)
    impairments: list[Measured] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    at: str = ""

    def fail(self, reason: str, at: str) -> None:
        """Record that a level failed."""
        self.verdict = "fail"
        self._note(reason, at)

    def doubt(self, reason: str, at: str) -> None:
        """Record that a level is inconclusive: it was shown neither to pass nor to fail."""
        if self.verdict == "pass":
            self.verdict = "inconclusive"
        self._note(reason, at)

    def _note(self, reason: str, at: str) -> None:
        self.reasons.append(reason)
        self.at = at if not self.at else min(self.at, at, key=LEVELS.index)

    def close(self) -> None:
        """Fill in the levels that passed. Call this at the end of the proof."""
        last = LEVELS.index(self.at) if self.at else self.level + 1
        self.shown = list(LEVELS[:last])


def figures(proof: Proof) -> dict[str, object]:
    """Return the figures of a proof for the journal: frames of all directions, and the latency of the slowest one."""
    names = ("p50", "p99", "max") if proof.runs else ()
    latency = {f"{name}_ns": max(run.latency_ns.get(name, 0) for run in proof.runs) for name in names}
    return {
        "verdict": proof.verdict,
        "shown": proof.shown,
        "sent": sum(run.sent for run in proof.runs),
        "lost": sum(run.lost for run in proof.runs),
        **latency,
        "reason": proof.reasons[0] if proof.reasons else "",
    }
