"""Problems in conf.yml: the value that rules yield, the order in which problems are reported, and their text."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sppr.config.syntax import Mark

Path = tuple[str | int, ...]
LineOf = Callable[[Path], int | None]


@dataclass(frozen=True)
class Problem:
    """A problem at ``path``, with its fix.

    ``mark``: line and column, if they differ from those of the path. ``others``: paths that the value conflicts with.
    """

    path: Path
    what: str
    fix: str
    mark: tuple[int, int] | None = None
    others: frozenset[Path] = frozenset()


def at_line(line: int | None) -> str:
    """Return `` (line 4)``, or an empty text if the line is unknown."""
    return f" (line {line})" if line else ""


def dotted(path: Path) -> str:
    """Return a path as text: ``secondaries[1].coremask``."""
    text = ""
    for step in path:
        word = f"[{step}]" if isinstance(step, int) else step or "''"
        text += f".{word}" if text and isinstance(step, str) else word
    return text


def report(name: str, places: Mapping[Path, Mark], problems: Iterable[Problem]) -> str:
    """Return the problems of the file ``name`` as text, in the order of the file. ``places``: place of each path."""
    # A value that several mappings merge is a problem of each of them, but has one place in the file.
    once: dict[tuple[object, ...], tuple[tuple[int, int], Problem]] = {}
    for one in problems:
        at = one.mark or _nearest(places, one.path)
        once.setdefault((at, one.what, one.fix), (at, one))
    in_order = sorted(once.values(), key=lambda found: found[0])
    return "\n".join(_text(name, at, one) for at, one in in_order)


def _nearest(places: Mapping[Path, Mark], path: Path) -> tuple[int, int]:
    """Return the place of ``path``, or of its nearest parent that the file has."""
    while path and path not in places:
        path = path[:-1]
    place = places.get(path, Mark(1, 1))
    return place.line, place.column


def _text(name: str, at: tuple[int, int], one: Problem) -> str:
    where = f"{_capped(dotted(one.path), 80)}: " if one.path else ""
    what, fix = _printable(f"{where}{_capped(one.what, 200)}"), _printable(_capped(one.fix, 160))
    return f"{name}:{at[0]}:{at[1]}: {what}\n    fix: {fix}"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text.replace("\n", " "))


def _capped(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[: size - 1]}…"
