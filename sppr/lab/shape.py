"""Whether a dataclass read back from JSON has values of the types it says: a file can have been cut or edited."""

import functools
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def check(value: Any) -> None:
    """TypeError that names the first field of a dataclass whose value is not of its type."""
    kind: type = type(value)
    for name, hint in _hints(kind).items():
        if not _fits(getattr(value, name), hint):
            raise TypeError(f"{name} is not {hint}")


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    """The field types of a dataclass. A plan has many parts of one class."""
    return get_type_hints(kind)


def _fits(value: Any, hint: Any) -> bool:
    kind, words = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        return any(_fits(value, word) for word in words)
    if kind is Literal:
        return value in words
    if kind is tuple:
        inner = words[:1] * len(value) if words[-1] is Ellipsis and isinstance(value, tuple) else words
        return isinstance(value, tuple) and len(value) == len(inner) and all(map(_fits, value, inner))
    if kind is dict:
        return isinstance(value, dict) and all(_fits(k, words[0]) and _fits(v, words[1]) for k, v in value.items())
    if hint is float:
        return isinstance(value, int | float)
    return isinstance(value, hint)
