"""Convert errors of pydantic to problems in the terms of a lab, each with a fix that comes from the model."""

import difflib
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from sppr.config import fixes
from sppr.config.model import Config
from sppr.config.problem import Path as KeyPath
from sppr.config.problem import Problem

MEAN = "did you mean "


def place_of(error: ErrorDetails) -> KeyPath:
    """Return the path of an error. pydantic adds the step ``[key]`` for a wrong key of a mapping."""
    return tuple(step for step in error["loc"] if step != "[key]")


def problem(error: ErrorDetails, keys: Mapping[KeyPath, tuple[int, int]]) -> Problem:  # noqa: C901 - a table in code
    """Convert an error of pydantic to a problem. ``keys``: line and column of each key."""
    path = place_of(error)
    kind, ctx, given = error["type"], error.get("ctx", {}), error["input"]
    what, fix = f"{_show(given)}: {error['msg']}", "see docs/conf.md"
    if kind == "extra_forbidden":
        return _unknown_key(path, keys.get(path))
    if kind == "missing":
        what, fix = "missing", f"add {path[-1]}: to this entry"
    elif kind == "value_error":
        what, fix = str(ctx["error"]), fixes.of_value(path, given)
    elif kind in ("int_parsing", "int_type", "int_from_float"):
        kinds = {"coremask": "a mask", "portmask": "a mask", "memory": "a size"}
        what, fix = f"{_show(given)} is not {kinds.get(str(path[-1]), 'a whole number')}", fixes.of_value(path, given)
    elif kind == "bool_type":
        what, fix = f"{_show(given)} is neither true nor false", fixes.of_value(path, given)
    elif kind in ("float_parsing", "float_type"):
        what, fix = f"{_show(given)} is not a number", "write seconds as a decimal number"
    elif kind in ("greater_than_equal", "less_than_equal", "greater_than"):
        what, fix = f"{given} is out of range", f"use a value {_range_of(path)}"
    elif kind in ("too_short", "too_long") and path[0] == "patches":
        what, fix = "an entry has one part and one patch", fixes.PATCH
    elif kind in ("too_short", "too_long") and path[-1] == "between":
        what, fix = "a link is between two hosts", fixes.BETWEEN
    elif kind in ("too_short", "too_long") and path[-1] == "phy":
        what, fix = "a cable connects the NICs of two hosts", fixes.CABLE
    elif kind == "literal_error":
        what, fix = f"{_show(given)} is not known", f"use one of: {ctx['expected']}"
    elif kind == "string_pattern_mismatch":
        what, fix = f"{_show(given)} cannot be used", fixes.of_pattern(path)
    elif kind == "string_too_long":
        what, fix = f"{_show(given)} is too long", f"use {ctx['max_length']} characters at most"
    elif kind in ("string_type", "string_too_short"):
        what, fix = f"{_show(given)} is not a text", "write one word or path, or leave the key out"
        fix = fixes.VDEV if "vdevs" in path else fix
    elif kind in ("tuple_type", "list_type"):
        what, fix = f"{_show(given)} is not a list", fixes.of_list(path, given)
    elif kind in ("model_type", "model_attributes_type", "dict_type"):
        what, fix = f"{_show(given)} is not a mapping", fixes.of_mapping(path, given, list(_keys_at(path)))
    if path[0] == "hosts" and "vars" in path[:-1] and error["loc"][-1] != "[key]":  # it may be a secret
        what = what.replace(_show(given), "its value")
    return Problem(path, what, fix)


def _show(value: object) -> str:
    if value is None:
        return "an empty value"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return repr(value) if len(repr(value)) < 60 else f"{repr(value)[:50]}…"


def _unknown_key(path: KeyPath, mark: tuple[int, int] | None) -> Problem:
    key, known = str(path[-1]), list(_keys_at(path[:-1]))
    close = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.6)
    glued, _, value = key.partition(":")
    odd = next((c for c in key if c.isspace() and c not in " \t\n"), None)
    if key == "<<":
        return Problem(path, "not a known key", "write it without quotes to merge a mapping: <<: *NAME", mark)
    if odd:
        fix = f"use plain spaces: there is a U+{ord(odd):04X} in it"
    elif glued in known and value:
        fix = f"{MEAN}{glued}: {value}, with a space behind the colon?"
    elif owners := _owners(key):
        fix = f"it belongs to {' or '.join(owners)}"
    elif close:
        fix = f"{MEAN}{close[0]}?"
    else:
        fix = f"known here: {', '.join(known)}"
    return Problem(path, "not a known key", fix, mark)


def _owners(key: str) -> list[str]:
    """Return the sections that have this key, and ``the top level, not indented`` if Config has it."""
    top = ["the top level, not indented"] if key in Config.model_fields else []
    return top + [f"{section}:" for section in Config.model_fields if key in _keys_at((section,))]


def model_at(path: KeyPath) -> type[BaseModel] | None:
    """Return the model of the mapping at ``path``. None if its keys are names, such as those of chains."""
    model: type[BaseModel] | None = Config
    named: type[BaseModel] | None = None  # model of the values, if the keys are names
    for step in path:
        if isinstance(step, int):
            continue
        if named is not None:
            model, named = named, None
            continue
        field = model.model_fields.get(step) if model else None
        inner = None if field is None else _model_in(field.annotation)
        model, named = (None, inner) if field is not None and get_origin(field.annotation) is dict else (inner, None)
        if inner is None:
            return None
    return model


def _keys_at(path: KeyPath) -> Iterator[str]:
    model = model_at(path)
    return iter(model.model_fields if model else ())


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        if inner not in (NoneType, Ellipsis) and (found := _model_in(inner)):
            return found
    return None


def _range_of(path: KeyPath) -> str:
    """Return the range of a field as text: ``from 1 to 127``."""
    words = [step for step in path if isinstance(step, str)]
    model = model_at(tuple(words[:-1]))
    field = model.model_fields.get(words[-1]) if model else None
    bounds: dict[str, Any] = {}
    stack: list[Any] = [field] if field else []
    while stack:
        item = stack.pop()
        for meta in getattr(item, "metadata", ()) or getattr(item, "__metadata__", ()):
            for name in ("ge", "gt", "le"):
                if getattr(meta, name, None) is not None:
                    bounds[name] = getattr(meta, name)
            stack += [meta] if hasattr(meta, "metadata") else []
        annotation = getattr(item, "annotation", item)
        stack += [a for a in get_args(annotation) if a not in (NoneType, Ellipsis)]
    low = bounds.get("ge", bounds.get("gt"))
    if low is None and "le" not in bounds:
        return "that fits"
    unit = " MiB" if words[-1] == "memory" else ""
    begin = f"above {low}, up to" if "gt" in bounds else f"from {low} to"
    return f"{begin} {bounds['le']}{unit}" if "le" in bounds else f"of at least {low}{unit}"
