"""A look at one key of conf.yml without reading the rest of it: cheap, and it never complains."""

from pathlib import Path

import yaml

_MAX_BYTES = 1_000_000


def session(conf: Path) -> str | None:
    """The session that ``conf`` names; None where it names none or cannot be read."""
    try:
        if not conf.is_file() or conf.stat().st_size > _MAX_BYTES:
            return None
        node = yaml.compose(conf.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None
    if not isinstance(node, yaml.MappingNode):
        return None
    for key, value in node.value:
        if key.value == "session" and isinstance(value, yaml.ScalarNode):
            return str(value.value)
    return None
