"""Find conf.yml, and read its session name without the rest of the file. Invalid files are no error here."""

import re
from pathlib import Path
from typing import Any

_MAX_BYTES = 1_000_000
#: The project's own folder, where the package is used in place (``pip install -e``, bin/wakeup.py).
PROJECT = Path(__file__).resolve().parent.parent.parent


def find_conf(named: Path | None) -> Path:
    """Return the absolute path of conf.yml: the named one, otherwise ./conf.yml, otherwise that of the project.

    bin/ and runscripts/ name that of the project.
    """
    if named is not None:
        return named.absolute()
    here = Path.cwd() / "conf.yml"
    return here if here.is_file() or not (PROJECT / "conf.yml").is_file() else PROJECT / "conf.yml"


def has_hosts(conf: Path) -> bool:
    """Return whether ``conf`` may be that of a lab over several hosts: a line begins with ``hosts``.

    The file is not parsed, so that commands of one host start as fast as without this.
    """
    try:
        if not conf.is_file():
            return False
        with conf.open("rb") as f:
            return re.search(rb"^[\"']?hosts[\"']?\s*:", f.read(_MAX_BYTES), re.MULTILINE) is not None
    except OSError:
        return False


def session(conf: Path) -> str | None:
    """Return the session that ``conf`` names. None if it names none, or cannot be read."""
    import yaml  # find_conf alone does not need it

    try:
        if not conf.is_file() or conf.stat().st_size > _MAX_BYTES:
            return None
        node = yaml.compose(conf.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None
    return _session(node, set())


def _session(node: Any, seen: set[int]) -> str | None:
    """Return the session of a mapping, its own or a merged one. ``seen``: ids of nodes that were visited."""
    import yaml

    from sppr.config.syntax import is_merge

    if not isinstance(node, yaml.MappingNode) or id(node) in seen:
        return None
    seen.add(id(node))
    merged: list[Any] = []
    for key, value in node.value:
        if key.value == "session" and isinstance(value, yaml.ScalarNode):
            return str(value.value)
        if is_merge(key):
            merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
    return next((name for one in merged if (name := _session(one, seen))), None)
