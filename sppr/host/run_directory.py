"""The directory with the state of all sessions: in the user's runtime directory, with mode 0700 and one folder for
each session. Also the folder of what is made once per machine."""

import os
import shlex
import stat as modes
from pathlib import Path

from sppr.errors import HostError
from sppr.host.root import vm_user


def sessions_dir() -> Path:
    """Return ``$SPPR_RUN_DIR``; else for root /run/sppr; else /run/user/UID/sppr, or /tmp/sppr-UID if /run/user/UID is
    missing.

    For root, XDG_RUNTIME_DIR is ignored, so that ``down`` in a login shell finds a lab that cron started.
    """
    if named := os.environ.get("SPPR_RUN_DIR"):
        return Path(named).absolute()
    uid = os.getuid()
    if uid == 0:
        return Path("/run/sppr")
    user = Path(os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{uid}"))
    return user / "sppr" if user.is_dir() else Path(f"/tmp/sppr-{uid}")  # noqa: S108 - owner and mode are checked


def cache_dir() -> Path:
    """Return the folder of what is made once per machine: ``$SPPR_CACHE_DIR``; else for root /var/cache/sppr; else
    $XDG_CACHE_HOME/sppr or ~/.cache/sppr.
    """
    if named := os.environ.get("SPPR_CACHE_DIR"):
        return Path(named).absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/sppr")
    from sppr.host.root.privilege import home

    named = os.environ.get("XDG_CACHE_HOME", "")
    return Path(named if named.startswith("/") else f"{home()}/.cache") / "sppr"


def make_private(folder: Path) -> None:
    """Create ``folder`` with mode 0700. For root it is 0710, so that the user of QEMU can pass through it.

    Raise HostError if it exists and belongs to another user.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stat = folder.stat(follow_symlinks=False)
    except OSError as e:
        raise HostError(f"{folder}: {e.strerror}", hint="set SPPR_RUN_DIR to another folder") from None
    if folder.is_symlink() or stat.st_uid != os.getuid():
        raise HostError(f"{folder}: is not a folder of this user", hint="set SPPR_RUN_DIR to another folder")
    folder.chmod(0o700)
    vm_user.open_folder(folder)


def check_owner(folder: Path) -> None:
    """Raise HostError if ``folder`` is a link or belongs to another user. Its content cannot be trusted then, and is
    not removed."""
    try:
        stat = folder.lstat()
    except OSError:
        return
    if modes.S_ISLNK(stat.st_mode) or stat.st_uid != os.getuid():
        raise HostError(
            f"{folder}: is not a folder of this user", hint=f"inspect it: ls -ld {shlex.quote(str(folder))}"
        )
