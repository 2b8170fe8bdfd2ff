"""Problems in the words of a lab, from those of pydantic: what is wrong, and a fix read off the model itself."""

import difflib
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from sppr.config.model import Config
from sppr.config.rules import Path as KeyPath
from sppr.config.rules import Problem

MEAN = "did you mean "


def dotted(path: KeyPath) -> str:
    """``secondaries[1].coremask``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def problem(error: ErrorDetails, keys: Mapping[KeyPath, tuple[int, int]]) -> Problem:  # noqa: C901 - a table in code
    """A problem in the words of a lab, from pydantic's. ``keys``: where each key is written."""
    path: KeyPath = tuple(error["loc"])
    kind, ctx, given = error["type"], error.get("ctx", {}), error["input"]
    what, fix = f"{_show(given)}: {error['msg']}", "see docs/conf.md"
    if kind == "extra_forbidden":
        return _unknown_key(path, keys.get(path))
    if kind == "missing":
        what, fix = "missing", f"add {path[-1]}: to this entry"
    elif kind == "value_error":
        what, fix = str(ctx["error"]), _value_fix(path)
    elif kind in ("int_parsing", "int_type", "int_from_float"):
        what, fix = f"{_show(given)} is not a whole number", "write a decimal number"
    elif kind in ("float_parsing", "float_type"):
        what, fix = f"{_show(given)} is not a number", "write seconds as a decimal number"
    elif kind in ("greater_than_equal", "less_than_equal", "greater_than"):
        what, fix = f"{given} is out of range", f"use a value {_range_of(path)}"
    elif kind == "literal_error":
        what, fix = f"{_show(given)} is not known", f"use one of: {ctx['expected']}"
    elif kind == "string_pattern_mismatch":
        what, fix = f"{_show(given)} cannot be used", _pattern_fix(path)
    elif kind == "string_too_long":
        what, fix = f"{_show(given)} is too long", f"use {ctx['max_length']} characters at most"
    elif kind in ("string_type", "string_too_short"):
        what, fix = f"{_show(given)} is not a text", "write one word or path, or leave the key out"
    elif kind in ("tuple_type", "list_type"):
        what, fix = f"{_show(given)} is not a list", "start each entry with '- '"
    elif kind in ("model_type", "model_attributes_type"):
        what, fix = f"{_show(given)} is not a mapping", "write 'key: value' lines below it, indented"
    return Problem(path, what, fix)


def _show(value: object) -> str:
    if value is None:
        return "an empty value"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return repr(value) if len(repr(value)) < 60 else f"{repr(value)[:50]}…"


def _value_fix(path: KeyPath) -> str:
    fixes = {
        "id": "write a decimal number",
        "pri_port": "write a decimal number",
        "sec_port": "write a decimal number",
        "ssh_port": "write a decimal number",
        "rings": "write a decimal number",
        "channels": "write a decimal number",
        "cores": "write a decimal number",
        "secondary": "write a decimal number",
        "coremask": "write a mask such as 0x0C",
        "portmask": "write a mask such as 0x03",
        "memory": "write MiB, or a number with M or G",
        "restart": "use one of: no, on-failure, {policy: on-failure, delay: 1, max: 5}",
        "host": "write an address such as 127.0.0.1",
    }
    return fixes.get(str(path[-1]), "write it as net_tap0,iface=vtap0" if "vdevs" in path else "see docs/conf.md")


def _pattern_fix(path: KeyPath) -> str:
    if path[-1] == "to":
        return "write an absolute path in the guest"
    if path[-1] in ("sock_dir", "hugepages"):
        return "write an absolute path without spaces"
    if path[-1] == "dir":
        return "write a path"
    if path[-1] == "base":
        return "write a file name only; the folder goes to images.dir"
    return "use letters, digits, - and _ only (tmux reads . and : as separators), 32 at most"


def _unknown_key(path: KeyPath, mark: tuple[int, int] | None) -> Problem:
    known = list(_keys_at(path[:-1]))
    close = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.6)
    fix = f"{MEAN}{close[0]}?" if close else f"known here: {', '.join(known)}"
    return Problem(path, "not a known key", fix, mark)


def model_at(path: KeyPath) -> type[BaseModel] | None:
    model: type[BaseModel] = Config
    for step in path:
        if isinstance(step, int):
            continue
        field = model.model_fields.get(step)
        inner = None if field is None else _model_in(field.annotation)
        if inner is None:
            return None
        model = inner
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
    """``from 1 to 127``, read off the field itself."""
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
    return f"from {low} to {bounds['le']}" if "le" in bounds else f"of at least {low}"
