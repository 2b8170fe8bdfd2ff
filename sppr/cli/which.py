"""Which session a command is about when it was not told."""

from sppr import units
from sppr.errors import ConfigError
from sppr.lab import state as states


def check_name(option: str, name: str | None) -> None:
    """ConfigError for a name that tmux, or the folder of a session, cannot have."""
    if name is not None and not units.is_name(name):
        what = f"{option} {name[:80]!r}: cannot be used"
        raise ConfigError(what, hint="use letters, digits, - and _ only (tmux reads . and :), 32 at most")


def session_of(named: str | None) -> str:
    """The named one; else the only one there is; else the one that conf.yml names."""
    if named is not None:
        check_name("--session", named)
        return named
    there = states.sessions()
    if len(there) == 1:
        return there[0]
    from sppr.config import peek  # both are for this rare case, and take longer to import than all else here
    from sppr.lab import site

    return peek.session(site.find_conf(None)) or "spp"
