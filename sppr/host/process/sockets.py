"""Unix sockets by path: which are in use, in any network namespace, and which were left behind."""

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from sppr.errors import HostError
from sppr.host.process.memory import text
from sppr.host.root import vm_user


def bound_paths(root: Path = Path("/")) -> frozenset[str]:
    """Return the paths of bound sockets in any state.

    /proc/net/unix shows one network namespace, so it is read once for each namespace, through a process in it.
    """
    tables = {"": root / "proc/net/unix"}
    for folder in (root / "proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # the process has exited, or belongs to another user
            tables.setdefault(str((folder / "ns/net").readlink()), folder / "net/unix")
    rows = [line.split(maxsplit=7) for table in tables.values() for line in text(table).splitlines()[1:]]
    return frozenset(words[7] for words in rows if len(words) == 8)


def find_stale(paths: Iterable[str | Path]) -> list[Path]:
    """Return the paths that are sockets which no process uses. A link to a socket does not count."""
    existing = [path for path in map(Path, paths) if _is_socket(path)]
    in_use = bound_paths() if existing else frozenset()
    return [path for path in existing if str(path) not in in_use]


def check_owner(path: Path) -> None:
    """Raise HostError if the socket belongs to a user who must not read a guest's memory.

    Permitted are root, this user, and the user of QEMU. In a folder that others can write to, such as /tmp, any user
    can create the socket first. A missing file is accepted, because QEMU cannot connect to it.
    """
    user = vm_user.find()
    try:
        owner = path.lstat().st_uid
    except FileNotFoundError:
        return
    if owner not in {0, os.getuid(), *([user.pw_uid] if user else [])}:
        what = f"{path}: belongs to uid {owner}, who could read the guest's memory"
        raise HostError(
            what,
            hint="set spp.sock_dir in conf.yml to a folder that only you can write to, or omit it",
        )


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return False
