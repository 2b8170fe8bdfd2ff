"""Find the session that a command acts on, and check that it belongs to the lab of this folder."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sppr import units
from sppr.cli.hosts.dispatch import not_over_hosts
from sppr.config import peek
from sppr.errors import ConfigError, SpprError
from sppr.lab.state import state as states
from sppr.lab.state.state import State

#: The note of a proof in the run directory (lab/chains/proof/testbed.py).
PROOF = "prove.json"

if TYPE_CHECKING:
    from sppr.lab.down.recovery import LostSession


def check_name(option: str, name: str | None) -> None:
    """Raise ConfigError for a name that tmux, or the run directory of a session, cannot have."""
    if name is not None and not units.is_name(name):
        what = f"{option} {name[:80]!r}: cannot be used"
        raise ConfigError(what, hint="use letters, digits, - and _ only (tmux reads . and :), 32 at most")


def session_of(named: str | None) -> str:
    """Return the session to show: the named one, otherwise the one of conf.yml.

    If this folder has no conf.yml and one session runs, return that session. Raise ConfigError if conf.yml is that of a
    lab over several hosts.
    """
    if named is not None:
        check_name("--session", named)
        return named
    if peek.has_hosts(conf := peek.find_conf(None)):
        raise not_over_hosts(conf)
    name = _of_conf()
    there = states.sessions()
    if name not in there and len(there) == 1 and not Path("conf.yml").is_file():
        return there[0]
    return name


def own_session(named: str | None) -> str:
    """Return the session to change, as ``session_of``.

    Raise SpprError if it is not named and belongs to the lab of another folder.
    """
    name = session_of(named)
    if named is None:
        check_owner(name, peek.find_conf(None))
    return name


def check_owner(session: str, conf: Path) -> None:
    """Raise SpprError if the session belongs to the lab of another folder. The error names that lab."""
    owner = states.owner(session)
    if owner is None or states.is_same_lab(owner, conf):
        return
    raise refused(session, owner, conf)


def load(session: str, named: str | None, conf: Path | None = None) -> State:
    """Load the state of a session, as ``states.load``.

    Raise SpprError if the run directory was removed while the session runs; if the session is not ``named`` and belongs
    to another folder, the error of ``check_owner``. ``conf``: conf.yml of the command, by default that of this folder.
    """
    try:
        return _restored(states.load(session))
    except states.NoSession:
        from sppr.lab.down import recovery  # it imports libtmux, which takes longer than all other imports here

        if found := recovery.find(session):
            _check_lost(found, named, conf)
            raise SpprError(found.what, hint=found.hint) from None
        raise


def _restored(state: State) -> State:
    """Restore the ends of a chain whose proof was killed, and return the state."""
    if (state.folder / PROOF).exists() and not state.stale:
        from sppr.lab.chains.proof import testbed

        if line := testbed.restore_interrupted(state):
            click.echo(line, err=True)
    return state


def check_lost_owner(session: str) -> None:
    """Check the owner of a session that has no state on disk, as ``check_owner``."""
    from sppr.lab.down import recovery

    if found := recovery.find(session):
        _check_lost(found, None, None)


def _check_lost(found: "LostSession", named: str | None, conf: Path | None) -> None:
    conf = conf or peek.find_conf(None)
    if named is None and found.folder is not None and not states.is_same_lab(found.folder / "conf.yml", conf):
        raise refused(found.session, found.folder / "conf.yml", conf)


def refused(session: str, owner: Path, conf: Path) -> SpprError:
    """Return the error for a session of the lab of ``owner``, for a command in the folder of ``conf``."""
    here = str(conf) if conf.exists() else str(conf.parent)
    gone = "" if owner.parent.is_dir() else ", whose folder is gone"
    what = f"session {session} belongs to the lab of {owner}{gone}, not to {here}\nnothing was changed"
    mine = next(name for n in range(2, 1000) if (name := f"{session[:28]}{n}") not in states.sessions())
    context = click.get_current_context(silent=True)
    verb = context.info_name if context else None
    if verb in ("start", "stop", "restart", "down"):
        words = " ".join([verb, *(context.params.get("names") or ())] if context else [verb])
        there = f"to act on that lab: sppr {words} --session {session}"
    else:
        there = f"to end that lab: sppr down --session {session}"
    return SpprError(what, hint=f"{there}; for a lab of your own: session: {mine} in {conf}, or --session {mine}")


def _of_conf() -> str:
    """Return the session of the conf.yml found: the one it names; else the only one that was started from its folder
    under another name."""
    there, conf = states.sessions(), peek.find_conf(None)
    mine = [name for name in there if (owner := states.owner(name)) and states.is_same_lab(owner, conf)]
    if len(mine) == 1 == len(there):
        return mine[0]
    name = peek.session(conf) or "spp"
    return mine[0] if name not in there and len(mine) == 1 else name
