"""What needs root, and how a user gets it: by sudo, each command logged as it can be pasted. Root asks nobody.

sudo keeps a ticket per terminal (``timestamp_type=tty``), and each pane is a terminal of its own: a ticket of the
terminal where wakeup runs does not count in panes. So there the password comes from wakeup, by ``sudo -A``
(host/root/askpass.py), while that runs, and after it sudo asks in the pane itself.
"""

import contextlib
import logging
import os
import pwd
import re
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sppr.errors import HostError, LaunchError
from sppr.host.root import askpass
from sppr.run import find_program, pasteable, run, which

#: cli/ shows what is said here: each command that is run as root, before it is.
log = logging.getLogger(__name__)

#: The terminal is one: sudo may ask there, and only one sudo at a time.
_one_at_a_time = threading.Lock()
#: What tells sudo the password while wakeup has it. Not in our environment, which a tmux server would keep for good.
_helper: Path | None = None
_REFUSED = re.compile(r"^(sudo:|Sorry,|\S+ is not )", re.MULTILINE)


def is_root() -> bool:
    return os.geteuid() == 0


def user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"#{os.getuid()}"


def has_terminal() -> bool:
    """Whether there is somebody who could be asked."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def elevated(argv: Sequence[str], folder: Path) -> list[str]:
    """``argv`` as a pane of the session in ``folder`` runs it as root: by the password of the wakeup that runs, or
    else by sudo's own question in that pane."""
    if is_root():
        return list(argv)
    helper = askpass.helper(folder)
    if helper is not None:
        os.environ["SUDO_ASKPASS"] = str(helper)
    return [find_program("sudo"), *(["-A"] if helper else []), "--", *argv]


@contextlib.contextmanager
def helped_by(helper: Path) -> Iterator[None]:
    """While in it, what this process runs as root is given the password by ``helper``."""
    global _helper
    _helper = helper
    try:
        yield
    finally:
        _helper = None


def sudo(options: Sequence[str], argv: Sequence[str] = (), stdin: str | None = None) -> tuple[int, str, bool]:
    """Run sudo: its status, what it or the program said on stderr, and whether it was sudo that refused."""
    env = {**os.environ, "LC_ALL": "C"} | ({"SUDO_ASKPASS": str(_helper)} if _helper else {})
    before = ["setsid", "--wait"] if "-n" in options else []
    done = run([*before, "sudo", *options, *(["--", *argv] if argv else [])], stdin=stdin, env=env, check=False)
    said = done.stderr.strip()
    return done.returncode, said, done.returncode != 0 and bool(_REFUSED.search(said))


def as_root(argv: Sequence[str | os.PathLike[str]], stdin: str | None = None) -> None:
    """Run ``argv`` to its end as root; told first. HostError where sudo refuses or nobody can be asked."""
    words = [find_program(os.fspath(argv[0])), *(os.fspath(word) for word in argv[1:])]
    if is_root():
        run(words, stdin=stdin)
        return
    log.info("sudo %s", pasteable(words))
    with _one_at_a_time:
        status, said, refused = sudo(["-A"] if _helper else [] if has_terminal() else ["-n"], words, stdin)
    if refused:
        hint = f"run it in a terminal, or as root: visudo -f /etc/sudoers.d/sppr\n    {sudoers_line([words])}"
        raise HostError(f"not done: sudo {pasteable(words)}\n    {said}", hint=hint)
    if status:
        raise LaunchError(f"sudo {pasteable(words)}: exited with status {status}: {said}")


def asks_in_panes(programs: Iterable[str]) -> bool:
    """Whether sudo would want a password in a pane for one of these. Asked of sudo itself, in a session of its own, so
    that a ticket counts just where it would count there; each is run for its help only."""
    return any(sudo(["-n"], [program, "--help"])[2] for program in dict.fromkeys(programs))


def check(programs: Sequence[str], line: str) -> None:
    """HostError where these cannot be run as root: no sudo, or a password is wanted and there is nobody to ask."""
    if is_root() or not programs:
        return
    if which("sudo") is None:
        what = f"DPDK needs root for hugepages and ports; this is {user()}, and there is no sudo"
        raise HostError(what, hint="as root: apt-get install sudo   (or run this as root)")
    if not has_terminal() and asks_in_panes(programs):
        what = f"sudo wants the password of {user()} to run {_names(programs)} as root, and there is no terminal to ask"
        raise HostError(what, hint=f"run it in a terminal, or as root: visudo -f /etc/sudoers.d/sppr\n    {line}")


def _names(programs: Iterable[str]) -> str:
    return " and ".join(Path(program).name for program in dict.fromkeys(programs))


def sudoers_line(commands: Iterable[Sequence[str]]) -> str:
    """The line that lets this user run ``commands`` without a password. One without arguments is allowed with any."""
    listed = ", ".join(" ".join([_escaped(argv[0]), *map(_escaped, argv[1:])]) for argv in commands)
    return f"{user()} ALL=(root) NOPASSWD: {listed}"


def _escaped(word: str) -> str:
    """As sudoers wants it: its own separators and the wildcards it would expand, each behind a backslash."""
    return re.sub(r"([\\,:=*?\[\]! \t#\"])", r"\\\1", word)


def home() -> str:
    """HOME for what runs here. After ``sudo -E`` it is that of the user who called: root leaves no files there."""
    named = os.environ.get("HOME", "/")
    with contextlib.suppress(OSError):
        if is_root() and Path(named).stat().st_uid != 0:
            return pwd.getpwuid(0).pw_dir
    return named


def dropped() -> list[str]:
    """Return the words before a command line by which root runs it as this user; none where this is root."""
    if is_root():
        return []
    return [find_program("setpriv"), f"--reuid={os.getuid()}", f"--regid={os.getgid()}", "--init-groups", "--"]


def kill(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal processes of root: what sudo started. sudo itself hears its caller, and passes the signal on."""
    with contextlib.suppress(LaunchError):  # one has just ended
        as_root([which("kill") or "/usr/bin/kill", f"-{number.name.removeprefix('SIG')}", *map(str, pids)])


def remove(path: Path) -> None:
    """Remove a file, as root where it lies in a sticky folder and is root's."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        as_root(["rm", "-f", "--", path])


def hand_over(path: Path) -> None:
    """Have a socket that root made open to this user: our data plane does that itself, SPP's own programs cannot."""
    if path.is_socket() and not path.is_symlink() and not os.access(path, os.W_OK):
        as_root(["chown", "-h", str(os.getuid()), path])  # -h: no link that takes its place is followed


def as_its_folder(*paths: Path) -> None:
    """Give files that root has just made to the owner of the folder each lies in. After ``sudo wakeup`` the images, the
    ssh key and ssh_config beside conf.yml are still the user's. Anybody but root makes files of their own anyway."""
    if os.geteuid() != 0:
        return
    for path in paths:
        folder = path.parent.stat()
        if folder.st_uid != 0:
            os.chown(path, folder.st_uid, folder.st_gid, follow_symlinks=False)
