"""Unix sockets by path: which are in use, in any network namespace, and which were left behind."""

import contextlib
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from sppr.host.process.memory import text

#: Flag of a listening socket in /proc/net/unix (__SO_ACCEPTCON).
_LISTENING = "00010000"
#: State of a connected socket there (SS_CONNECTED).
_CONNECTED = "03"


def bound_paths(root: Path = Path("/")) -> frozenset[str]:
    """Return the paths of bound sockets in any state.

    /proc/net/unix shows one network namespace, so it is read once for each namespace, through a process in it.
    """
    tables = {"": root / "proc/net/unix"}
    for folder in (root / "proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # the process has exited, or belongs to another user
            tables.setdefault(str((folder / "ns/net").readlink()), folder / "net/unix")
    return frozenset(words[7] for table in tables.values() for words in _rows(table))


def listening_paths(root: Path = Path("/")) -> frozenset[str]:
    """Return the paths of listening unix sockets.

    Never test a vhost-user socket by connecting: the other side takes the connection for a guest.
    """
    return frozenset(words[7] for words in _rows(root / "proc/net/unix") if words[3] == _LISTENING)


def connected_paths(root: Path = Path("/")) -> frozenset[str]:
    """Return the paths of unix sockets that have a connection."""
    return frozenset(words[7] for words in _rows(root / "proc/net/unix") if words[5] == _CONNECTED)


def _rows(table: Path) -> Iterator[list[str]]:
    """Yield the words of each socket with a path; the eighth is the path."""
    rows = (line.split(maxsplit=7) for line in text(table).splitlines()[1:])
    return (words for words in rows if len(words) == 8)


def find_stale(paths: Iterable[str | Path]) -> list[Path]:
    """Return the paths that are sockets which no process uses. A link to a socket does not count."""
    existing = [path for path in map(Path, paths) if _is_socket(path)]
    in_use = bound_paths() if existing else frozenset()
    return [path for path in existing if str(path) not in in_use]


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return False
