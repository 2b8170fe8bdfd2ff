"""Run commands as root: directly if this is root, otherwise by sudo. Each sudo command is logged so that it can be
pasted.

sudo keeps a ticket for each terminal (``timestamp_type=tty``), and each pane is its own terminal, so the ticket of the
terminal of wakeup does not count in panes. While wakeup runs, it passes the password to the panes through ``sudo -A``
(host/root/askpass.py). Afterwards sudo asks in the pane.
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

#: The CLI prints these records: each command that runs as root, before it runs.
log = logging.getLogger(__name__)

#: sudo may ask for the password in the terminal, so only one sudo may run at a time.
_sudo_lock = threading.Lock()
#: The askpass helper while wakeup has the password. It is not in this process's environment, because a tmux server
#: would keep it there permanently.
_askpass_helper: Path | None = None
_REFUSED = re.compile(r"^(sudo:|Sorry,|\S+ is not )", re.MULTILINE)


def is_root() -> bool:
    """Return whether this process runs as root."""
    return os.geteuid() == 0


def user() -> str:
    """Return the name of this user."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"#{os.getuid()}"


def has_terminal() -> bool:
    """Return whether there is a terminal in which sudo can ask."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def elevated(argv: Sequence[str], folder: Path) -> list[str]:
    """Return the command with which a pane of the session in ``folder`` runs ``argv`` as root.

    The password comes from a running wakeup; without one, sudo asks in the pane.
    """
    if is_root():
        return list(argv)
    helper = askpass.helper(folder)
    if helper is not None:
        os.environ["SUDO_ASKPASS"] = str(helper)
    return [find_program("sudo"), *(["-A"] if helper else []), "--", *argv]


@contextlib.contextmanager
def using_askpass(helper: Path) -> Iterator[None]:
    """Give sudo the password from ``helper`` within this context."""
    global _askpass_helper
    _askpass_helper = helper
    try:
        yield
    finally:
        _askpass_helper = None


def sudo(options: Sequence[str], argv: Sequence[str] = (), stdin: str | None = None) -> tuple[int, str, bool]:
    """Run sudo. Return its status, the standard error of sudo or the program, and whether sudo itself refused."""
    env = {**os.environ, "LC_ALL": "C"} | ({"SUDO_ASKPASS": str(_askpass_helper)} if _askpass_helper else {})
    before = ["setsid", "--wait"] if "-n" in options else []
    done = run([*before, "sudo", *options, *(["--", *argv] if argv else [])], stdin=stdin, env=env, check=False)
    stderr = done.stderr.strip()
    return done.returncode, stderr, done.returncode != 0 and bool(_REFUSED.search(stderr))


def as_root(argv: Sequence[str | os.PathLike[str]], stdin: str | None = None) -> None:
    """Run ``argv`` as root and wait for it. It is logged first.

    Raise HostError if sudo refuses or cannot ask for the password, LaunchError if the command fails.
    """
    words = [find_program(os.fspath(argv[0])), *(os.fspath(word) for word in argv[1:])]
    if is_root():
        run(words, stdin=stdin)
        return
    log.info("sudo %s", pasteable(words))
    with _sudo_lock:
        status, stderr, refused = sudo(["-A"] if _askpass_helper else [] if has_terminal() else ["-n"], words, stdin)
    if refused:
        hint = f"run it in a terminal, or as root: visudo -f /etc/sudoers.d/sppr\n    {sudoers_line([words])}"
        raise HostError(f"sudo refused: sudo {pasteable(words)}\n    {stderr}", hint=hint)
    if status:
        raise LaunchError(f"sudo {pasteable(words)}: exited with status {status}: {stderr}")


def asks_in_panes(programs: Iterable[str]) -> bool:
    """Return whether sudo would ask for a password in a pane, for one of these programs.

    sudo is run in a session of its own, so that only tickets that are valid in a pane count. Each program is run with
    --help only.
    """
    return any(sudo(["-n"], [program, "--help"])[2] for program in dict.fromkeys(programs))


def check(programs: Sequence[str], line: str) -> None:
    """Raise HostError if these programs cannot run as root: there is no sudo, or it needs a password and there is no
    terminal."""
    if is_root() or not programs:
        return
    if which("sudo") is None:
        what = f"DPDK needs root for hugepages and ports, but the user is {user()} and there is no sudo"
        raise HostError(what, hint="as root: apt-get install sudo   (or run this as root)")
    if not has_terminal() and asks_in_panes(programs):
        what = f"sudo needs the password of {user()} to run {_names(programs)} as root, but there is no terminal"
        raise HostError(what, hint=f"run it in a terminal, or as root: visudo -f /etc/sudoers.d/sppr\n    {line}")


def _names(programs: Iterable[str]) -> str:
    return " and ".join(Path(program).name for program in dict.fromkeys(programs))


def sudoers_line(commands: Iterable[Sequence[str]]) -> str:
    """Return the sudoers line that lets this user run ``commands`` without a password.

    A command without arguments is permitted with any.
    """
    listed = ", ".join(" ".join([_escaped(argv[0]), *map(_escaped, argv[1:])]) for argv in commands)
    return f"{user()} ALL=(root) NOPASSWD: {listed}"


def _escaped(word: str) -> str:
    """Escape the separators and wildcards of sudoers with a backslash."""
    return re.sub(r"([\\,:=*?\[\]! \t#\"])", r"\\\1", word)


def home() -> str:
    """Return HOME for programs of the lab.

    After ``sudo -E``, HOME is that of the calling user, in which root must not create files.
    """
    named = os.environ.get("HOME", "/")
    with contextlib.suppress(OSError):
        if is_root() and Path(named).stat().st_uid != 0:
            return pwd.getpwuid(0).pw_dir
    return named


def drop_to_user_argv() -> list[str]:
    """Return the words before a command line with which root runs it as this user; none if this is root."""
    if is_root():
        return []
    return [find_program("setpriv"), f"--reuid={os.getuid()}", f"--regid={os.getgid()}", "--init-groups", "--"]


def kill(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to processes that sudo started as root.

    A user can signal sudo, which passes the signal on, but not its child.
    """
    with contextlib.suppress(LaunchError):  # one of them has just exited
        as_root([which("kill") or "/usr/bin/kill", f"-{number.name.removeprefix('SIG')}", *map(str, pids)])


def remove(path: Path) -> None:
    """Remove a file; as root if it belongs to root in a sticky folder."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        as_root(["rm", "-f", "--", path])


def give_to_user(path: Path) -> None:
    """Make a socket that root created accessible to this user.

    sppr's data plane does so itself; SPP's own programs cannot.
    """
    if path.is_socket() and not path.is_symlink() and not os.access(path, os.W_OK):
        as_root(["chown", "-h", str(os.getuid()), path])  # -h: do not follow a link that replaced it


def give_to_folder_owner(*paths: Path) -> None:
    """Give new files of root to the owner of their folder.

    After ``sudo wakeup``, the images, the ssh key and ssh_config beside conf.yml then still belong to the user.
    """
    if os.geteuid() != 0:
        return
    for path in paths:
        folder = path.parent.stat()
        if folder.st_uid != 0:
            os.chown(path, folder.st_uid, folder.st_gid, follow_symlinks=False)
