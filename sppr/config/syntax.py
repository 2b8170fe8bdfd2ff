"""Parse YAML into nodes. For invalid YAML, return the place and a fix that depends on the message of the parser."""

import re
from dataclasses import dataclass

import yaml

MAX_BYTES = 1_000_000

#: Message of PyYAML -> fix. ``{line}``: the line where an unclosed construct begins. The first match is used.
_FIXES = (
    (r"character '\\t'", "indent with spaces, not tabs"),
    (r"undefined alias|duplicate anchor|scanning an (alias|anchor)", "write the value out, or put it in quotes"),
    (r"another document", "keep one lab in a file: remove the line ---"),
    (r"quoted scalar, found (unexpected end|unexpected document)", "close the quote that opens on line {line}"),
    (r"unknown escape character|expected escape sequence", r"use single quotes: in double ones \ begins an escape"),
    (r"flow (sequence|mapping)", "close the bracket that opens on line {line}, and put commas between its entries"),
    (
        r"mapping values are not allowed",
        "write 'key: value', a space behind the colon; indent alike; quote a text with ': '",
    ),
    (r"could not find expected ':'", "write 'key: value', with a colon and a space"),
    (r"but found '<scalar>'", "look for a quote or a word too many on this line"),
    (r"expected <block end>", "indent all keys, or all '- ', of one section alike"),
    (r"sequence entries are not allowed", "begin a list on a line of its own, below its key"),
    (r"tag|directive|YAML document", "leave the tag or directive out"),
    (r"character '.' that cannot start any token|block scalar", "put the value in quotes"),
)
_OTHER = "look at the indentation, and for a missing space behind a colon"


@dataclass(frozen=True)
class Mark:
    """A place in the file. Line and column count from 1."""

    line: int
    column: int


class Unreadable(Exception):
    """The file is not YAML, or not a lab: the place, the problem, and a fix."""

    def __init__(self, mark: Mark, what: str, fix: str) -> None:
        self.mark, self.what, self.fix = mark, what, fix


def mark_of(mark: yaml.Mark) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


def is_merge(key: yaml.Node) -> bool:
    """Return whether a key is the merge key ``<<`` of YAML. In quotes, it is a text."""
    return isinstance(key, yaml.ScalarNode) and key.value == "<<" and key.style is None


def compose(data: bytes) -> yaml.Node | None:
    """Return the root node, with scalars as text; None for an empty file. Raise Unreadable."""
    if len(data) > MAX_BYTES:
        raise Unreadable(Mark(1, 1), f"larger than {MAX_BYTES} bytes", "name the lab's conf.yml")
    text = _decode(data)
    try:
        return yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as e:
        raise _unreadable(e) from None
    except yaml.reader.ReaderError as e:
        what = f"not YAML: character U+{ord(text[e.position]):04X} is not allowed"
        raise Unreadable(_place(text, e.position), what, "remove this control character") from None
    except RecursionError:
        raise Unreadable(Mark(1, 1), "nested too deep to be a lab", "close the brackets") from None


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        place = _place(data[: e.start].decode("utf-8"), e.start)
        raise Unreadable(place, f"not UTF-8 text: byte 0x{data[e.start]:02X}", "save the file as UTF-8") from None


def _place(text: str, position: int) -> Mark:
    before = text[:position]
    return Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))


def _unreadable(e: yaml.MarkedYAMLError) -> Unreadable:
    place = e.problem_mark or e.context_mark
    context = f"{e.context} (from line {e.context_mark.line + 1})" if e.context and e.context_mark else e.context
    what = ", ".join(x for x in (context, e.problem) if x)
    plain = ", ".join(x for x in (e.context, e.problem) if x)
    fix = next((fix for words, fix in _FIXES if re.search(words, plain)), _OTHER)
    began = (e.context_mark or place).line + 1 if place else 1
    return Unreadable(mark_of(place) if place else Mark(1, 1), f"not YAML: {what}", fix.format(line=began))
