"""Unix sockets by their paths: which somebody has, in whatever network namespace, and which were left behind."""

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from sppr.errors import HostError
from sppr.host.process.memory import text
from sppr.host.root import vm_user


def bound(root: Path = Path("/")) -> frozenset[str]:
    """Paths that a socket is bound to, in any state. /proc/net/unix is that of one network namespace: each is read
    once, by a process in it."""
    tables = {"": root / "proc/net/unix"}
    for folder in (root / "proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            tables.setdefault(str((folder / "ns/net").readlink()), folder / "net/unix")
    rows = [line.split(maxsplit=7) for table in tables.values() for line in text(table).splitlines()[1:]]
    return frozenset(words[7] for words in rows if len(words) == 8)


def stale(paths: Iterable[str | Path]) -> list[Path]:
    """Those that are sockets which nobody has. A link to a socket is none."""
    there = [path for path in map(Path, paths) if _is_socket(path)]
    taken = bound() if there else frozenset()
    return [path for path in there if str(path) not in taken]


def check_owner(path: Path) -> None:
    """HostError where the socket ``path`` belongs to a user who must not see a guest's memory: not root, not this user,
    not the one that QEMU runs as. In a folder that others can write, such as /tmp, anybody can be there first. A file
    that is gone is nobody's: QEMU does not reach it either."""
    user = vm_user.find()
    try:
        owner = path.lstat().st_uid
    except FileNotFoundError:
        return
    if owner not in {0, os.getuid(), *([user.pw_uid] if user else [])}:
        what = f"{path}: belongs to uid {owner}, who would have the guest's memory"
        raise HostError(
            what, hint="spp.sock_dir: in conf.yml, a folder that only you can write; without it: the run directory"
        )


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return False
