"""A guest under our own hand: QEMU with its serial line on a terminal of ours, a root shell's prompt, one command after
another. Only this module uses pexpect."""

import re
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

_SHELL = re.compile(rb"(?:^|[\r\n])[^\r\n]*# \Z")
_LOGIN = re.compile(rb"login: \Z")
#: What a kernel prints when the host's disk is full (``parts.Disk.report_full``): the guest goes on, to no use.
_FULL = r"I/O error, dev vd[a-z]|EXT4-fs error|Remounting filesystem read-only"
_DEATH = re.compile(f"{console.DEATH.pattern}|{_FULL}".encode())
#: Seconds a console has to log in by itself.
_AUTOLOGIN = 10.0
_STATUS = re.compile(rb"\nstatus=(\d+)[\r\n]")


class NoShell(SpprError):
    """The guest asks for a login: it is well, but its console is not ours to use."""


class _Spawn(pexpect.spawn):  # type: ignore[type-arg]
    """``pexpect.spawn`` that hands file descriptors on, which ptyprocess can do."""

    def __init__(self, *args: Any, pass_fds: Sequence[int], **words: Any) -> None:
        self._pass_fds = tuple(pass_fds)
        super().__init__(*args, **words)

    def _spawnpty(self, args: Any, **words: Any) -> Any:
        return ptyprocess.PtyProcess.spawn(args, pass_fds=self._pass_fds, **words)


class Serial:
    """Runs QEMU; leaving the ``with`` ends it, whatever state it is in. ``log`` keeps all it printed. ``pass_fds``:
    file descriptors that QEMU inherits."""

    def __init__(self, argv: Sequence[str], log: Path, pass_fds: Sequence[int] = ()) -> None:
        self._log = log
        self._file = log.open("wb")
        self._guest = _Spawn(argv[0], list(argv[1:]), timeout=None, echo=False, pass_fds=pass_fds)
        self._guest.logfile_read = self._file

    def __enter__(self) -> "Serial":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        close_terminal(self._guest)
        self._file.close()

    def wait_shell(self, deadline: Deadline) -> None:
        """Wait for a root shell's prompt. NoShell at a login prompt, LaunchError at text that ends all hope."""
        what = "a root shell on its console"
        if self._expect([_SHELL, _LOGIN], what, deadline) == 0:
            return
        try:  # a getty that logs in by itself says so behind these words
            self._expect([_SHELL], what, deadline.within(_AUTOLOGIN))
        except NotReady:
            raise NoShell("its console asks for a login") from None

    def run(self, command: str, deadline: Deadline) -> str:
        """What one command printed; LaunchError where its status is not 0."""
        # The shell may echo what is typed: the text to wait for must not be part of it.
        self._guest.sendline(f"{command}; printf '\\nstatus=%d\\n' $?")
        self._expect([_STATUS], f"the end of: {command}", deadline)
        said = _text(self._guest.before).replace("\r", "").strip()
        status = int(self._guest.match.group(1))  # type: ignore[union-attr]
        if status:
            raise self._error(LaunchError, f"{command}: exited with status {status}")
        return said

    def power_off(self, deadline: Deadline) -> None:
        """Have the guest switch itself off, and wait until QEMU has ended."""
        self._guest.sendline("poweroff")
        self._expect([], "it to power off", deadline)
        close_terminal(self._guest)
        if self._guest.exitstatus:
            raise self._error(LaunchError, f"QEMU exited with status {self._guest.exitstatus}")

    def _expect(self, wanted: list[re.Pattern[bytes]], what: str, deadline: Deadline) -> int:
        """Number of what came of ``wanted``; for an empty list: return at the end of QEMU."""
        patterns: list[Any] = [pexpect.EOF, pexpect.TIMEOUT, _DEATH, *wanted]
        found = self._guest.expect(patterns, timeout=deadline.remaining())
        if found == 0 and not wanted:
            return 0
        if found == 0:
            raise self._error(LaunchError, f"QEMU ended; waited for {what}")
        if found == 1:
            raise self._error(NotReady, f"waited {deadline.seconds:.0f} s for {what}")
        if found == 2:
            raise self._error(LaunchError, f"it printed {self._guest.after!r}; waited for {what}")
        return int(found) - 3

    def _error(self, kind: type[SpprError], what: str) -> SpprError:
        self._file.flush()
        text = self._log.read_bytes().decode("utf-8", "replace").replace("\r", "\n")
        lines = [line.rstrip() for line in text.splitlines() if line.strip()][-6:]
        return kind("\n".join([what, *(f"    last: {line}" for line in lines)]))


def _text(raw: object) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""
