"""The user that QEMU runs as in a lab of root. QEMU starts as root, opens its files, and then drops to this user.

A guest that breaks out of QEMU then has neither root's rights nor those of the lab's user. `sppr setup` creates the
user. In a lab of another user, QEMU runs as that user.
"""

import os
import pwd
from collections.abc import Callable
from pathlib import Path

from sppr.errors import HostError

NAME = "sppr-vm"


def find() -> pwd.struct_passwd | None:
    """Return the user, or None if QEMU keeps its user: in a lab of a user other than root, or if this user does not
    exist."""
    try:
        return pwd.getpwnam(NAME) if os.geteuid() == 0 else None
    except KeyError:
        return None


def problem(*folders: Path) -> str:
    """Return why QEMU cannot run as this user in a lab of root, or an empty string if it can.

    ``folders``: those of its sockets, which QEMU opens again after a restart of the other side.
    """
    if os.geteuid() != 0:
        return ""
    if find() is None:
        return f"there is no user {NAME}"
    closed = next((parent for folder in folders for parent in _parents(folder) if not _is_open(parent)), None)
    return f"user {NAME} cannot enter {closed} (no x for others)" if closed else ""


def _parents(folder: Path) -> list[Path]:
    return [path for path in folder.resolve().parents if path.is_dir()]


def _is_open(folder: Path) -> bool:
    user, stat = find(), folder.stat()
    of_group = user is not None and stat.st_gid == user.pw_gid and bool(stat.st_mode & 0o010)
    return of_group or bool(stat.st_mode & 0o001)


def ensure(report: Callable[[str], None]) -> None:
    """Create the user if this is root and the user does not exist."""
    from sppr.host.root import privilege  # `sppr status` starts faster without it

    if os.geteuid() != 0 or find() is not None:
        return
    report(f"creating user {NAME}: in labs of root, VMs run as this user")
    privilege.as_root(
        ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
         "--shell", "/usr/sbin/nologin", NAME]
    )  # fmt: skip


def open_folder(folder: Path) -> None:
    """Let the user pass through a private folder of root without reading it: x for its group."""
    if (user := find()) is not None and os.geteuid() == 0:
        os.chown(folder, -1, user.pw_gid, follow_symlinks=False)
        folder.chmod(0o710)


def check_socket_owner(path: Path) -> None:
    """Raise HostError if the socket belongs to a user who must not read a guest's memory.

    Permitted are root, this user, and the user of QEMU. In a folder that others can write to, such as /tmp, any user
    can create the socket first. A missing file is accepted, because QEMU cannot connect to it.
    """
    user = find()
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
