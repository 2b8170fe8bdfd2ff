"""Find the critical chain of a bring-up in the journal, as systemd-analyze does for a boot, and draw it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from sppr.lab.state.journal import plain

#: The steps of the launcher before the first part, and after the last one.
_FIRST_STEPS, _LAST_STEPS = ("state", "stopped", "leftovers", "artifacts", "panes"), ("chains",)
#: Seconds that an uptime or a time since the epoch cannot reach.
_LONGEST = 1e12
_WIDTH, _ROW, _LEFT, _TOP = 900, 24, 110, 60


@dataclass(frozen=True)
class Span:
    """A step or part of a bring-up. ``start``, ``end``: seconds since the bring-up began; ``end`` None: it failed, or
    has not ended. ``after``: names of the parts that it waited for.
    """

    name: str
    start: float
    end: float | None
    after: tuple[str, ...] = ()
    is_part: bool = True

    @property
    def seconds(self) -> float:
        """Return the duration. 0: it has not ended."""
        return self.end - self.start if self.end is not None else 0.0


@dataclass(frozen=True)
class BringUp:
    """A bring-up. ``time``: when it began, in seconds since the epoch. ``spans``: by start. ``seconds``: until the lab
    was up; None: it failed, or has not ended. ``reason``: why it failed.
    """

    time: float
    spans: tuple[Span, ...]
    seconds: float | None
    reason: str = ""

    def critical_chain(self) -> list[Span]:
        """Return the spans that determined the duration, the last one first: each one waited for the next."""
        done = [span for span in self.spans if span.end is not None]
        chain: list[Span] = []
        current = max(done, key=lambda span: span.end or 0.0, default=None)
        while current is not None:
            chain.append(current)
            before = [span for span in done if self._precedes(span, current) and span not in chain]
            current = max(before, key=lambda span: span.end or 0.0, default=None)
        return chain

    def _precedes(self, span: Span, current: Span) -> bool:
        """Return whether ``current`` waited for ``span``: a dependency, or an earlier step of the launcher."""
        if current.after and current.is_part:
            return span.name in current.after
        return (span.end or 0.0) <= current.start + 0.001 and not (current.is_part and span.is_part)


def last_bring_up(events: Sequence[Mapping[str, Any]]) -> BringUp | None:
    """Return the last bring-up in the journal, or None if there is none."""
    starts = [number for number, event in enumerate(events) if event["event"] == "up.started"]
    if not starts:
        return None
    first, rest = events[starts[-1]], events[starts[-1] + 1 :]
    given = first.get("parts")
    parts: Mapping[str, Any] = given if isinstance(given, dict) else {}
    spans: dict[str, Span] = {}
    seconds, reason, step_end = None, "", 0.0
    for event in rest:
        at, kind, part = _seconds_between(first, event), event["event"], str(event.get("part"))
        if kind == "up.step" and event.get("step") in (*_FIRST_STEPS, *_LAST_STEPS):
            start = step_end
            if event["step"] in _LAST_STEPS:
                start = max((span.end or 0.0 for span in spans.values()), default=0.0)
            spans[str(event["step"])] = Span(str(event["step"]), start, at, is_part=False)
            step_end = at
        elif kind == "part.waiting" and part in parts and part not in spans:
            after = parts[part] if isinstance(parts[part], list) else []
            # Dependencies that ran already did not delay it.
            spans[part] = Span(part, at, None, tuple(name for name in map(str, after) if name in parts))
        elif kind == "part.ready" and part in spans and spans[part].end is None:
            spans[part] = Span(part, spans[part].start, max(at, spans[part].start), spans[part].after)
        elif kind in ("up.ready", "up.failed"):
            seconds = at if kind == "up.ready" else None
            reason = str(event.get("reason", ""))
            break
    found = sorted((s for s in spans.values() if s.is_part or s.seconds >= 0.0005), key=lambda span: span.start)
    return BringUp(float(first["time"]), tuple(found), seconds, reason)


def text(bring_up: BringUp) -> list[str]:
    """Return the critical chain as lines. ``@``: when the part was ready. ``+``: how long it took."""
    lines = ["@: seconds until it was ready or done; +: seconds that it took after its dependencies"]
    if bring_up.seconds is not None:
        lines.append(f"up @{bring_up.seconds:.3f}s")
    for depth, span in enumerate(bring_up.critical_chain()):
        lines.append(f"{'  ' * depth}└─{plain(span.name)} @{span.end or 0:.3f}s +{span.seconds:.3f}s")
    unfinished = [span.name for span in bring_up.spans if span.end is None]
    if unfinished:
        lines.append(f"not ready: {plain(', '.join(unfinished))}")
    return lines


def svg(bring_up: BringUp) -> str:
    """Return a picture with a bar for each step and part. The critical chain is emphasized."""
    critical = {span.name for span in bring_up.critical_chain()}
    ends = [span.end if span.end is not None else span.start for span in bring_up.spans]
    total = max([bring_up.seconds or 0.0, *ends, 0.001])
    scale = (_WIDTH - _LEFT - 90) / total
    height = _TOP + _ROW * len(bring_up.spans) + 30
    title = f"Bring-up: {bring_up.seconds:.1f} s" if bring_up.seconds is not None else "Bring-up that failed"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff" rx="8"/>',
        f'<text x="16" y="28" font-size="17" font-weight="600" fill="#14202e">{escape(title)}</text>',
    ]
    for tick in _ticks(total):
        x = _LEFT + tick * scale
        parts.append(f'<path d="M{x:.1f} {_TOP - 12}V{height - 26}" stroke="#e2e7ee"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle" fill="#5b6878">{tick:g} s</text>')
    for row, span in enumerate(bring_up.spans):
        y = _TOP + row * _ROW
        end = span.end if span.end is not None else total
        fill = "#c4232b" if span.end is None else "#0b6bcb" if span.name in critical else "#a9c6e6"
        weight = ' font-weight="600"' if span.name in critical else ""
        name = escape(plain(span.name))
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end" fill="#14202e"{weight}>{name}</text>')
        width = max(1.5, (end - span.start) * scale)
        x = _LEFT + span.start * scale
        parts.append(f'<rect x="{x:.1f}" y="{y - 8}" width="{width:.1f}" height="15" rx="3" fill="{fill}"/>')
        label = f"{span.seconds:.2f} s" if span.end is not None else "not ready"
        parts.append(f'<text x="{_LEFT + end * scale + 6:.1f}" y="{y + 4}" fill="#5b6878">{label}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _ticks(total: float) -> list[float]:
    """Return four to ten round numbers from 0 to ``total``."""
    step = next(s * 10.0**e for e in range(-3, 12) for s in (1, 2, 5) if total / (s * 10.0**e) <= 10)
    return [round(number * step, 6) for number in range(int(total / step) + 1)]


def _seconds_between(first: Mapping[str, Any], event: Mapping[str, Any]) -> float:
    """Return the seconds between two events, by the uptime if both have one. At least 0."""
    for key in ("uptime", "time"):
        begin, end = _number(first.get(key)), _number(event.get(key))
        if begin is not None and end is not None:
            return max(0.0, end - begin)
    return 0.0


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value < _LONGEST else None


def names(events: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the names of the parts, processes and chains in these events."""
    return {str(event[key]) for event in events for key in ("part", "process", "chain") if key in event}
