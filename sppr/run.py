"""Run subprocesses. No other module starts a program and waits for it.

Commands are argument lists, never shell text. Each is logged so that it can be pasted.
"""

import logging
import os
import shlex
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sppr.deadline import Deadline
from sppr.errors import HostError, LaunchError

if TYPE_CHECKING:
    import pexpect

log = logging.getLogger(__name__)

Argv = Sequence[str | os.PathLike[str]]

#: The path of the Python that runs sppr. It is the same under every name of that Python, because plans compare command
#: lines.
PYTHON = next((p for p in (f"{sys.prefix}/bin/python3",) if os.access(p, os.X_OK)), sys.executable)

#: Seconds for a program to exit after SIGKILL.
KILLED = 10.0

#: Debian package of each required program.
PACKAGES = {
    "tmux": "tmux",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "mmdebstrap": "mmdebstrap",
    "ssh-keygen": "openssh-client",
    "mke2fs": "e2fsprogs",
    "sfdisk": "fdisk",
    "syslinux": "syslinux",
    "mcopy": "mtools",
    "mformat": "mtools",
    "cpio": "cpio",
    "dpkg-deb": "dpkg",
    "make": "make",
    "passt": "passt",
    "ip": "iproute2",
    "mount": "mount",
    "rsvg-convert": "librsvg2-bin",
}


def pasteable(argv: Argv) -> str:
    """Return ``argv`` as text that can be pasted into a shell."""
    return shlex.join(os.fspath(a) for a in argv)


def which(program: str) -> str | None:
    """Return the path of ``program``, or None. The sbin folders are searched even if the user's PATH lacks them."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(program, path=f"{path}:/usr/local/sbin:/usr/sbin:/sbin")


def find_program(program: str) -> str:
    """Return the path of ``program``. If it is not installed, raise HostError with the name of its Debian package."""
    found = which(program)
    if found is None:
        package = PACKAGES.get(program, program)
        raise HostError(f"{program}: not installed", hint=f"make up   (or: apt-get install {package})")
    return found


def run(
    argv: Argv,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    deadline: Deadline | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run ``argv``, wait for it, and return status, stdout and stderr as text.

    The first word is searched on PATH. Raise HostError if the program is missing, LaunchError if it does not exit
    before the deadline. With ``check``, also raise LaunchError for a status other than 0, with the command and its last
    lines.
    """
    words = [find_program(os.fspath(argv[0])), *(os.fspath(a) for a in argv[1:])]
    log.debug("run: %s", pasteable(argv))
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=env,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=deadline.remaining() if deadline else None,
            check=False,
        )
    except subprocess.TimeoutExpired as e:
        raise LaunchError(f"{pasteable(argv)}: did not exit within {e.timeout:.1f} s") from e
    log.debug("status %d: %s", done.returncode, pasteable(argv[:1]))
    if check and done.returncode != 0:
        raise LaunchError(_failure(argv, done))
    return done


def run_streaming(argv: Argv, line: Callable[[str], None]) -> None:
    """Run ``argv``, wait for it, and call ``line`` with each line when it is printed. A carriage return also ends a
    line.

    Raise LaunchError with the last lines if its status is not 0. If the wait is interrupted, the program is killed.
    """
    words = [find_program(os.fspath(argv[0])), *(os.fspath(a) for a in argv[1:])]
    log.debug("run: %s", pasteable(argv))
    last_lines: deque[str] = deque(maxlen=5)
    # Universal newlines, because progress is printed over itself with carriage returns.
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        try:
            for text in process.stdout:
                last_lines.append(text)
                line(text)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        done = subprocess.CompletedProcess(words, process.returncode, "".join(last_lines), "")
        raise LaunchError(_failure(argv, done))


def _failure(argv: Argv, done: subprocess.CompletedProcess[str]) -> str:
    last_lines = (done.stderr.strip() or done.stdout.strip()).splitlines()[-5:]
    lines = [f"{os.fspath(argv[0])} exited with status {done.returncode}", f"    command: {pasteable(argv)}"]
    return "\n".join(lines + [f"    {line}" for line in last_lines])


def close_terminal(child: "pexpect.spawn[Any]") -> None:
    """Stop a program that runs in a terminal of pexpect, and close the terminal.

    pexpect raises ExceptionPexpect if the program still exists 0.1 s after SIGKILL. A loaded machine needs longer, so
    this function waits ``KILLED`` seconds before it raises the error.
    """
    from pexpect import ExceptionPexpect  # few commands need it

    try:
        child.close(force=True)
    except ExceptionPexpect:
        if Deadline(KILLED).poll(lambda: not child.isalive()) is None:
            raise
