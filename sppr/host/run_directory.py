"""Where a session keeps its state: the runtime directory of the user, 0700, one folder a session."""

import os
import shlex
import stat as modes
from pathlib import Path

from sppr.errors import HostError
from sppr.host.root import vm_user


def sessions_dir() -> Path:
    """``$SPPR_RUN_DIR``, or /run/sppr for root, or /run/user/UID/sppr, or /tmp/sppr-UID where there is none.

    Root's does not follow XDG_RUNTIME_DIR, so that ``down`` from a login shell finds what ``wakeup`` made under cron.
    """
    if named := os.environ.get("SPPR_RUN_DIR"):
        return Path(named).absolute()
    uid = os.getuid()
    if uid == 0:
        return Path("/run/sppr")
    user = Path(os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{uid}"))
    return user / "sppr" if user.is_dir() else Path(f"/tmp/sppr-{uid}")  # noqa: S108 - owner and mode are checked


def make_private(folder: Path) -> None:
    """Make ``folder`` with mode 0700; of root 0710, for the user that QEMU runs as to pass through. HostError where it
    exists and belongs to another user."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stat = folder.stat(follow_symlinks=False)
    except OSError as e:
        raise HostError(f"{folder}: {e.strerror}", hint="name another folder with SPPR_RUN_DIR") from None
    if folder.is_symlink() or stat.st_uid != os.getuid():
        raise HostError(f"{folder}: is not a folder of yours", hint="name another folder with SPPR_RUN_DIR")
    folder.chmod(0o700)
    vm_user.open_folder(folder)


def check_own(folder: Path) -> None:
    """HostError where ``folder`` is a link, or somebody else's: nothing in it is believed, and nothing removed."""
    try:
        stat = folder.lstat()
    except OSError:
        return
    if modes.S_ISLNK(stat.st_mode) or stat.st_uid != os.getuid():
        raise HostError(f"{folder}: is not a folder of yours", hint=f"look at it: ls -ld {shlex.quote(str(folder))}")
