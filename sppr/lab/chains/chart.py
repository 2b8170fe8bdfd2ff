"""Draw chains and results of a benchmark as SVG. Pure; no other program is needed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from sppr.lab.chains.wiring import ChainWiring, Wiring

if TYPE_CHECKING:
    from sppr.lab.chains.bench import Result

_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" '
    'font-family="sans-serif" font-size="13">\n<rect width="100%" height="100%" fill="white"/>\n'
)
_STATES = {"up": "#2e7d32", "degraded": "#f9a825", "down": "#c62828", "not in this lab": "#9e9e9e"}
_LINES = ("#1565c0", "#ef6c00", "#2e7d32", "#6a1b9a")
_BOX, _GAP, _LANE, _LEFT = 110, 120, 96, 150


def lanes(wiring: Wiring, states: dict[str, str]) -> str:
    """Return a picture with a lane for each chain, from left to right.

    Boxes are its elements. Lines are its hops, with the secondaries that carry them, and the ring between two
    secondaries. Below its name are the frames that it takes, and its impairment. ``states``: the state of each chain,
    which sets the colour of its name.
    """
    rows = [*((c.name, c.path, c) for c in wiring.chains), *((c.name, c.path, None) for c in wiring.left_out)]
    longest = max((len(path) for _, path, _ in rows), default=1)
    width = _LEFT + longest * (_BOX + _GAP) - _GAP + 30
    parts = [_HEAD.format(w=width, h=max(1, len(rows)) * _LANE + 20)]
    for number, (name, path, chain) in enumerate(rows):
        parts += _lane(name, path, chain, number * _LANE + 20, states.get(name, "not in this lab"))
    return "".join([*parts, "</svg>\n"])


def _lane(name: str, path: Sequence[str], chain: ChainWiring | None, top: int, state: str) -> list[str]:
    middle = top + 30
    lines = [
        f'<circle cx="20" cy="{middle - 5}" r="6" fill="{_STATES[state]}"/>',
        _text(34, middle, name, weight="bold"),
        _text(34, middle + 18, state, colour=_STATES[state], size=11),
    ]
    if chain is not None:
        entry = chain.forward[0]
        lines += [_text(34, middle + 34, entry.match, size=10, colour="#1565c0")] if entry.match else []
        lines += [_text(34, middle + 48, entry.impair, size=10, colour="#c62828")] if entry.impair else []
    for index, element in enumerate(path):
        left = _LEFT + index * (_BOX + _GAP)
        fill = "#e3f2fd" if element.startswith("vm_") else "#fff8e1"
        dash = ' stroke-dasharray="4 3"' if chain is None else ""
        lines.append(
            f'<rect x="{left}" y="{top + 6}" width="{_BOX}" height="40" rx="6" fill="{fill}" stroke="#546e7a"{dash}/>'
        )
        lines.append(_text(left + _BOX // 2, middle, element, anchor="middle"))
        if index + 1 < len(path):
            lines += _hop(chain, index + 1, left + _BOX, middle - 4)
    return lines


def _hop(chain: ChainWiring | None, number: int, left: int, y: int) -> list[str]:
    right, both = left + _GAP, chain is not None and bool(chain.reverse)
    lines = [
        f'<line x1="{left}" y1="{y}" x2="{right}" y2="{y}" stroke="#546e7a" stroke-width="2"/>',
        _arrow(right, y, -1),
    ]
    lines += [_arrow(left, y, 1)] if both else []
    if chain is None:
        return lines
    legs = [leg for leg in chain.forward if leg.hop == number]
    ring = [leg.dst for leg in legs[:-1]]
    text = f" {ring[0]} ".join(leg.by for leg in legs) if ring else legs[0].by
    lines.append(_text((left + right) // 2, y - 8, text, anchor="middle", size=11))
    ends = f"{legs[0].src} → {legs[-1].dst}"
    lines.append(_text((left + right) // 2, y + 36, ends, anchor="middle", size=9, colour="#78909c"))
    return lines


def _arrow(x: int, y: int, direction: int) -> str:
    return f'<path d="M{x} {y} l{direction * 8} -4 v8 z" fill="#546e7a"/>'


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    weight: str = "normal",
    size: int = 13,
    colour: str = "#263238",
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}" fill="{colour}">'
        f"{escape(text)}</text>\n"
    )


def measured(results: Sequence["Result"]) -> str:
    """Return a picture with the found rates as bars, and the latency at shares of each rate: p50 and p99."""
    row, left, bar, right = 96, 210, 260, 680
    most = max((rate.frames or 0 for result in results for rate in result.rates), default=0) or 1
    parts = [_HEAD.format(w=1080, h=len(results) * row + 60)]
    parts.append(_text(left, 24, "frames a second of one chain", weight="bold"))
    parts.append(_text(right, 24, "latency at shares of it: p50 (dark) and p99 (light)", weight="bold"))
    for number, result in enumerate(results):
        top = 44 + number * row
        size = f"{result.size}{' B' * result.size.isdecimal()}"
        parts.append(_text(14, top + 18, ", ".join(result.chains), weight="bold"))
        parts.append(_text(14, top + 36, f"{result.topology}  {size}  {result.direction}"))
        for index, rate in enumerate(result.rates):
            y = top + 6 + index * 22
            width = (rate.frames or 0) / most * bar
            dash = ' stroke="#263238" stroke-dasharray="3 2"' if rate.limited else ""
            colour = _LINES[index % len(_LINES)]
            parts.append(f'<rect x="{left}" y="{y}" width="{width:.1f}" height="16" fill="{colour}"{dash}/>\n')
            words = f"{rate.goal}  {frames(rate.frames, limited=rate.limited)}"
            parts.append(_text(left + width + 6, y + 13, words, size=11))
        parts += _latency(result, right, top)
    return "".join([*parts, "</svg>\n"])


def _latency(result: "Result", left: int, top: int) -> list[str]:
    """Return one bar per load. Each result has its own scale."""
    full_width, most = 190, max((latency.p99 for latency in result.latency), default=1) or 1
    lines = []
    for index, latency in enumerate(result.latency):
        y, bar = top + 2 + index * 20, left + 56
        share = f"{latency.share:.0%}" if latency.share else "no load"
        lines.append(_text(left + 48, y + 11, share, anchor="end", size=11))
        for value, colour in ((latency.p99, "#b3e5fc"), (latency.p50, "#0277bd")):
            width = value / most * full_width
            lines.append(f'<rect x="{bar}" y="{y}" width="{width:.1f}" height="13" fill="{colour}"/>\n')
        text = f"{latency.p50 / 1000:,.0f} / {latency.p99 / 1000:,.0f} µs"
        lines.append(_text(bar + full_width + 8, y + 11, text, size=11))
    return lines


def frames(value: float | None, *, limited: bool = False) -> str:
    """Return frames per second as text: ``8,123 frames/s``, ``1.24 Mpps``. ``limited``: the generator was the limit."""
    if value is None:
        return "none found"
    text = f"{value / 1e6:.3g} Mpps" if value >= 1e6 else f"{value:,.0f} frames/s"
    return f"generator limited, >= {text}" if limited else text
