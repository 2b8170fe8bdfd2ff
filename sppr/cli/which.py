"""Which session a command is about when it was not told."""

from sppr.config import peek
from sppr.lab import site
from sppr.lab import state as states


def session_of(named: str | None) -> str:
    """The named one; else the only one there is; else the one that conf.yml names."""
    if named is not None:
        return named
    ours = peek.session(site.find_conf(None)) or "spp"
    there = states.sessions()
    return there[0] if len(there) == 1 else ours
