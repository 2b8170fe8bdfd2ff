"""A problem in conf.yml, as a value, and what several rules share."""

from collections.abc import Callable
from dataclasses import dataclass

Path = tuple[str | int, ...]
LineOf = Callable[[Path], int | None]


@dataclass(frozen=True)
class Problem:
    """Something wrong at ``path``: what, and how to fix it. ``mark`` (line, column) where the path alone misleads.
    ``others``: what it is compared with."""

    path: Path
    what: str
    fix: str
    mark: tuple[int, int] | None = None
    others: frozenset[Path] = frozenset()


def default_numbers(vm_id: int, count: int) -> tuple[int, ...]:
    """Numbers of a VM's ports: its id, then 100 more each (``vhost:11``, ``vhost:111``, …)."""
    return tuple(vm_id + 100 * i for i in range(count))


def at_line(line: int | None) -> str:
    """Return `` (line 4)``, or nothing where the line is not known."""
    return f" (line {line})" if line else ""
