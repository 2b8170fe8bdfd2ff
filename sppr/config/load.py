"""Load conf.yml into a Config. All problems are reported at once, each with line, column and a fix.

Scalars are read as written: YAML 1.1 would turn an unquoted 0x10 into 16, 010 into 8, 12:30:45 into 45045 and ``no``
into False, and would silently keep the last of two equal keys.
"""

import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sppr.config import rules
from sppr.config.explain import MEAN, model_at, place_of, problem
from sppr.config.hosts import rules as hosts_rules
from sppr.config.model import Config
from sppr.config.problem import Path as KeyPath
from sppr.config.problem import Problem, dotted, report
from sppr.config.syntax import MAX_BYTES, Mark, Unreadable, compose, is_merge, mark_of
from sppr.errors import ConfigError

#: With aliases, a small file can expand to billions of nodes. A file of MAX_BYTES without aliases has about as many.
MAX_NODES = 100_000
MAX_DEPTH = 16
#: Keys with this prefix are ignored. They hold values with anchors, for aliases and merge keys.
EXTENSION = "x-"


class _Reader:
    """A converter of YAML nodes to dicts, lists and text, which records the place of each."""

    def __init__(self) -> None:
        self.places: dict[KeyPath, Mark] = {}
        self.keys: dict[KeyPath, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self._nodes = 0

    def read(self, node: yaml.Node, path: KeyPath = ()) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise Unreadable(mark_of(node.start_mark), f"more than {MAX_NODES} values", "write it without aliases")
        if len(path) > MAX_DEPTH:
            raise Unreadable(mark_of(node.start_mark), "nested too deep to be a lab", "docs/conf.md has every key")
        self.places.setdefault(path, mark_of(node.start_mark))
        self._check_tag(node, path)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, i)) for i, item in enumerate(node.value)]
        text = str(node.value)
        plain = getattr(node, "style", None) is None
        return None if plain and text in ("", "~", "null") else text

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, key_node, value_node in self._pairs(node, path):
            here = (*path, key)
            place = mark_of(key_node.start_mark)
            self.places[here] = place
            self.keys[here] = (place.line, place.column)
            value = self.read(value_node, here)
            if key.startswith(EXTENSION):
                continue
            found[key] = value
            if isinstance(value_node, yaml.ScalarNode) and value is not None:
                self.places[here] = mark_of(value_node.start_mark)
        return found

    def _pairs(
        self, node: yaml.MappingNode, path: KeyPath, depth: int = 0
    ) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        """Yield the keys of a mapping with their nodes: its own keys, then merged ones (``<<``) that it does not have.

        If several merged mappings have a key, the first one takes precedence.
        """
        self._nodes += depth > 0
        if self._nodes > MAX_NODES:
            raise Unreadable(mark_of(node.start_mark), f"more than {MAX_NODES} values", "write it without merge keys")
        if depth > MAX_DEPTH:
            raise Unreadable(mark_of(node.start_mark), "nested too deep to be a lab", "write it without merge keys")
        written: dict[str, int] = {}
        merged: list[yaml.MappingNode] = []
        for key_node, value_node in node.value:
            place = mark_of(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                self._wrong(path, "a list or mapping cannot be a key", "write one word as the key", key_node)
                continue
            key = str(key_node.value)
            if key in written:
                what = f"key given twice (first on line {written[key]})"
                self._wrong((*path, key), what, "keep one of them", key_node)
                continue
            written[key] = place.line
            if is_merge(key_node):
                merged += self._merged(value_node, (*path, key))
            else:
                yield key, key_node, value_node
        for source in merged:
            for key, key_node, value_node in self._pairs(source, path, depth + 1):
                if key not in written:
                    written[key] = mark_of(key_node.start_mark).line
                    yield key, key_node, value_node

    def _merged(self, node: yaml.Node, path: KeyPath) -> Iterator[yaml.MappingNode]:
        """Yield the mappings that a merge key names: one, or a list of them."""
        self._check_tag(node, path)
        for source in node.value if isinstance(node, yaml.SequenceNode) else (node,):
            if isinstance(source, yaml.MappingNode):
                self._check_tag(source, path)
                yield source
                continue
            is_list = isinstance(source, yaml.SequenceNode)
            kind = "a list in a list" if is_list else "a text" if source.value else "an empty value"
            self._wrong(
                path,
                f"merges mappings only, and this is {kind}",
                "write '<<: *NAME', with NAME an anchor (&NAME) on a mapping",
                source,
            )

    def _check_tag(self, node: yaml.Node, path: KeyPath) -> None:
        if (tag := node.tag.replace("tag:yaml.org,2002:", "!!", 1)) not in ("!!str", "!!seq", "!!map"):
            self._wrong(path, f"tag {tag} is not known here", "leave the tag out", node)

    def _wrong(self, path: KeyPath, what: str, fix: str, node: yaml.Node) -> None:
        place = mark_of(node.start_mark)
        self.problems.append(Problem(path, what, fix, (place.line, place.column)))


def load(path: Path) -> Config:
    """Load a file. Raise ConfigError with all its problems, or if it cannot be read."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise ConfigError(f"{path}: is not a regular file", hint="name another with --conf FILE")
        with path.open("rb") as f:
            data = f.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file", hint="name one with --conf FILE, or write one into this folder: sppr init"
        ) from None
    except OSError as e:
        raise ConfigError(f"{path}: cannot be read: {e.strerror}", hint="name another with --conf FILE") from None
    return parse(data, str(path))


def _places(path: Path) -> dict[KeyPath, Mark]:
    """Return the place of each key of a file. Empty if it cannot be read."""
    reader = _Reader()
    try:
        if (node := compose(path.read_bytes())) is not None:
            reader.read(node)
    except (OSError, Unreadable):
        return {}
    return reader.places


def where(path: Path, key: KeyPath) -> str:
    """Return the place of ``key`` as text, ``conf.yml:3:13: primary.portmask: ``. Empty if the file lacks it."""
    place = _places(path).get(key)
    return f"{path}:{place.line}:{place.column}: {dotted(key)}: " if place else ""


def error(path: Path, problems: Sequence[Problem]) -> ConfigError:
    """Return the error for problems that were found after the file was loaded, with their places in it."""
    return ConfigError(report(str(path), _places(path), problems))


def parse(data: bytes, name: str) -> Config:
    """Load from bytes, as ``load``. ``name``: the file name in front of each problem."""
    reader = _Reader()
    try:
        node = compose(data)
        raw = {} if node is None else reader.read(node)
    except Unreadable as e:
        raise ConfigError(f"{name}:{e.mark.line}:{e.mark.column}: {e.what}\n    fix: {e.fix}") from None
    if not isinstance(raw, dict):
        fix = "begin with a section, such as 'primary:' on a line of its own"
        raise ConfigError(report(name, reader.places, [Problem((), "not a mapping of sections", fix)]))
    config, problems = _validate({k: v for k, v in raw.items() if v is not None}, reader)
    if config is not None:
        wrong = {problem.path for problem in problems}
        check = hosts_rules.check if config.hosts else rules.check
        problems += check(config, lambda p: getattr(reader.places.get(p), "line", None), wrong)
    if config is None or problems:
        raise ConfigError(report(name, reader.places, problems))
    return config


def _validate(raw: dict[str, Any], reader: _Reader) -> tuple[Config | None, list[Problem]]:
    """Return the model, and the problems of its fields.

    A wrong field is replaced by its default, or by None if it is required, so that the rules over several fields can
    run as well. Rules ignore None.
    """
    try:
        return Config.model_validate(raw), list(reader.problems)
    except ValidationError as e:
        errors = e.errors(include_url=False)
    problems = [problem(error, reader.keys) for error in errors]
    meant = {(*p.path[:-1], match[1]) for p in problems if (match := re.match(rf"{MEAN}(\w+)", p.fix))}
    problems = [p for p in problems if not (p.what == "missing" and p.path in meant)]
    try:
        return _without(raw, [place_of(error) for error in errors]), [*reader.problems, *problems]
    except (ValidationError, LookupError, TypeError):
        return None, [*reader.problems, *problems]


def _without(raw: dict[str, Any], wrong: list[KeyPath]) -> Config:
    """Return the model of ``raw`` without the ``wrong`` paths.

    Raise ValidationError, LookupError or TypeError if too much is wrong.
    """
    copy = deepcopy(raw)
    unset: list[KeyPath] = []
    for path in wrong:
        field, owner = path[-1], model_at(path[:-1])
        if path[0] == "chains" and len(path) > 1:  # rules cannot ignore a part of a chain
            copy["chains"].pop(path[1], None)
            continue
        parent: Any = copy
        for step in path[:-1]:
            parent = parent[step]
        parent.pop(field, None)
        if owner and isinstance(field, str) and field in owner.model_fields and owner.model_fields[field].is_required():
            if path[0] == "hosts":  # an address that no other host has
                parent[field] = f"wrong-{path[1]}"
                continue
            parent[field] = "1"
            unset.append(path)
    config = Config.model_validate(copy)
    for section, index, field in unset:
        entries = list(getattr(config, str(section)))
        entries[int(index)] = entries[int(index)].model_copy(update={str(field): None})
        config = config.model_copy(update={str(section): tuple(entries)})
    return config
