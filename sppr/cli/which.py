"""Which session a command is about when it was not told."""

from sppr.config import peek
from sppr.lab import site
from sppr.lab import state as states


def session_of(named: str | None) -> str:
    """The named one; else the one that conf.yml names if it runs; else the only one that runs; else conf.yml's."""
    if named is not None:
        return named
    ours = peek.session(site.find_conf(None)) or "spp"
    there = states.sessions()
    return there[0] if ours not in there and len(there) == 1 else ours
