"""Run a guest with its serial port on a terminal of this process, and execute commands in its root shell.

Only this module uses pexpect.
"""

import re
import signal
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pexpect
import ptyprocess

from sppr.deadline import Deadline
from sppr.errors import LaunchError, NotReady, SpprError
from sppr.qemu import console
from sppr.run import close_terminal

_SHELL_PROMPT = re.compile(rb"(?:^|[\r\n])[^\r\n]*# \Z")
_LOGIN_PROMPT = re.compile(rb"login: \Z")
#: Messages of a guest kernel when the host's disk is full (``devices.Disk.report_full``). The guest keeps running, but
#: is unusable.
_DISK_FULL = r"I/O error, dev vd[a-z]|EXT4-fs error|Remounting filesystem read-only"
_FATAL = re.compile(f"{console.FATAL}|{_DISK_FULL}".encode())
#: Seconds for a console to log in automatically.
_AUTOLOGIN = 10.0
_STATUS = re.compile(rb"\nstatus=(\d+)[\r\n]")


class LoginRequired(SpprError):
    """The guest booted, but its console asks for a login."""


class _Spawn(pexpect.spawn):  # type: ignore[type-arg]
    """``pexpect.spawn`` that passes file descriptors on, which ptyprocess supports."""

    def __init__(self, *args: Any, pass_fds: Sequence[int], **words: Any) -> None:
        self._pass_fds = tuple(pass_fds)
        super().__init__(*args, **words)

    def _spawnpty(self, args: Any, **words: Any) -> Any:
        return ptyprocess.PtyProcess.spawn(args, pass_fds=self._pass_fds, **words)


def _die_of_sighup() -> None:
    """Undo what nohup did to this process. The kernel sends SIGHUP to QEMU when this process is killed. QEMU would
    ignore it, too, until it has set up its handlers.
    """
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Serial:
    """A running QEMU. Leaving the ``with`` block stops it in whatever state it is.

    ``log``: file for everything that the console prints.
    ``pass_fds``: file descriptors that QEMU inherits.
    """

    def __init__(self, argv: Sequence[str], log: Path, pass_fds: Sequence[int] = ()) -> None:
        self._log = log
        self._file = log.open("wb")
        self._guest = _Spawn(
            argv[0], list(argv[1:]), timeout=None, echo=False, pass_fds=pass_fds, preexec_fn=_die_of_sighup
        )
        self._guest.logfile_read = self._file

    def __enter__(self) -> "Serial":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        close_terminal(self._guest)
        self._file.close()

    def wait_shell(self, deadline: Deadline) -> None:
        """Wait for the prompt of a root shell.

        Raise LoginRequired at a login prompt, LaunchError if QEMU exits or prints a fatal error, NotReady at the
        deadline.
        """
        what = "a root shell on its console"
        if self._expect([_SHELL_PROMPT, _LOGIN_PROMPT], what, deadline) == 0:
            return
        try:  # a getty with automatic login prints the login prompt, too
            self._expect([_SHELL_PROMPT], what, deadline.within(_AUTOLOGIN))
        except NotReady:
            raise LoginRequired("its console asks for a login") from None

    def wait_text(self, text: str, deadline: Deadline) -> None:
        """Wait until the console prints ``text``. Raise LaunchError or NotReady, as ``wait_shell`` does."""
        self._expect([re.compile(re.escape(text).encode())], repr(text), deadline)

    def run(self, command: str, deadline: Deadline) -> str:
        """Run a command and return its output. Raise LaunchError if its status is not 0."""
        # The shell may echo the command, so the command must not contain the text to wait for.
        self._guest.sendline(f"{command}; printf '\\nstatus=%d\\n' $?")
        self._expect([_STATUS], f"the end of: {command}", deadline)
        output = _text(self._guest.before).replace("\r", "").strip()
        status = int(self._guest.match.group(1))  # type: ignore[union-attr]
        if status:
            raise self._error(LaunchError, f"{command}: exited with status {status}")
        return output

    def power_off(self, deadline: Deadline) -> None:
        """Power the guest off, and wait until QEMU exits."""
        self._guest.sendline("poweroff")
        self._expect([], "the guest to power off", deadline)
        close_terminal(self._guest)
        if self._guest.exitstatus:
            raise self._error(LaunchError, f"QEMU exited with status {self._guest.exitstatus}")

    def _expect(self, patterns: list[re.Pattern[bytes]], what: str, deadline: Deadline) -> int:
        """Return the index of the pattern that appeared. With an empty list, return 0 when QEMU exits."""
        events: list[Any] = [pexpect.EOF, pexpect.TIMEOUT, _FATAL, *patterns]
        index = self._guest.expect(events, timeout=deadline.remaining())
        if index == 0 and not patterns:
            return 0
        if index == 0:
            raise self._error(LaunchError, f"QEMU exited; waited for {what}")
        if index == 1:
            raise self._error(NotReady, f"waited {deadline.seconds:.0f} s for {what}")
        if index == 2:
            raise self._error(LaunchError, f"the guest printed {self._guest.after!r}; waited for {what}")
        return int(index) - 3

    def _error(self, kind: type[SpprError], what: str) -> SpprError:
        self._file.flush()
        text = self._log.read_bytes().decode("utf-8", "replace").replace("\r", "\n")
        lines = [line.rstrip() for line in text.splitlines() if line.strip()][-6:]
        return kind("\n".join([what, *(f"    last: {line}" for line in lines)]))


def _text(raw: object) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""
