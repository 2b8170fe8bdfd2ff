"""The one door to subprocesses: argv lists only, never a shell, every command logged so that it can be pasted."""

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

#: The Python that runs sppr by one name, however it was called: two names of it are no difference to tell.
PYTHON = next((p for p in (f"{sys.prefix}/bin/python3",) if os.access(p, os.X_OK)), sys.executable)

#: Seconds that a program may take to end after SIGKILL.
KILLED = 10.0

#: Which Debian package brings a program that may be missing.
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
}


def pasteable(argv: Argv) -> str:
    """``argv`` as a line that can be pasted into a shell."""
    return shlex.join(os.fspath(a) for a in argv)


def which(program: str) -> str | None:
    """Path of ``program``, also where a user's PATH lacks the sbin folders; None when it is not installed."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(program, path=f"{path}:/usr/local/sbin:/usr/sbin:/sbin")


def find_program(program: str) -> str:
    """Path of ``program``; a HostError that names the Debian package where it is missing."""
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
    """Run ``argv`` to its end and return status, stdout and stderr as text.

    The first word is looked up on PATH. With ``check`` a status other than 0 raises LaunchError with the
    command and the last lines of its output; a missing program is a HostError, an overrun a LaunchError.
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
        raise LaunchError(f"{pasteable(argv)}: no end after {e.timeout:.1f} s") from e
    log.debug("status %d: %s", done.returncode, pasteable(argv[:1]))
    if check and done.returncode != 0:
        raise LaunchError(_failure(argv, done))
    return done


def run_streaming(argv: Argv, line: Callable[[str], None]) -> None:
    """Run ``argv`` to its end and hand on each line it prints, when it prints it; a carriage return ends one, too.

    LaunchError with its last lines where its status is not 0. It is ended when the wait for it is.
    """
    words = [find_program(os.fspath(argv[0])), *(os.fspath(a) for a in argv[1:])]
    log.debug("run: %s", pasteable(argv))
    said: deque[str] = deque(maxlen=5)
    # Universal newlines: progress is printed over itself with carriage returns.
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        try:
            for text in process.stdout:
                said.append(text)
                line(text)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        done = subprocess.CompletedProcess(words, process.returncode, "".join(said), "")
        raise LaunchError(_failure(argv, done))


def _failure(argv: Argv, done: subprocess.CompletedProcess[str]) -> str:
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-5:]
    lines = [f"{os.fspath(argv[0])} exited with status {done.returncode}", f"    command: {pasteable(argv)}"]
    return "\n".join(lines + [f"    {line}" for line in said])


def close_terminal(child: "pexpect.spawn[Any]") -> None:
    """Stop a program that runs in a terminal of pexpect, and close the terminal.

    pexpect raises an error where a program is still there 0.1 s after SIGKILL. On a loaded machine it takes longer: it
    has ``KILLED`` seconds here before that error is raised.
    """
    from pexpect import ExceptionPexpect  # few commands have such a program

    try:
        child.close(force=True)
    except ExceptionPexpect:
        if Deadline(KILLED).poll(lambda: not child.isalive()) is None:
            raise
