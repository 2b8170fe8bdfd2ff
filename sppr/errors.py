"""Errors a user can act on: what happened, and the next thing to type.

Library code raises these; only ``sppr.cli`` prints them and exits with ``exit_code``.
"""

from typing import ClassVar

#: Not one of ours: a bug of sppr itself. The traceback goes to the log file.
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


class SpprError(Exception):
    """Something the user can act on: ``what`` happened, and ``hint``, the next command to type."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class ConfigError(SpprError):
    """conf.yml or a flag asks for something that cannot be; ``what`` holds every problem, one a line.

    ``key``: the place in conf.yml that it is about, where its line is still to be found.
    """

    exit_code = 2

    def __init__(self, what: str, *, hint: str | None = None, key: tuple[str | int, ...] = ()) -> None:
        super().__init__(what, hint=hint)
        self.key = key


class HostError(SpprError):
    """The machine lacks something: a program, hugepages, an image, a free port."""

    exit_code = 3


class LaunchError(SpprError):
    """A program could not be started, or ended before it was ready: argv, status, last lines, log path."""

    exit_code = 4


class NotReady(SpprError):
    """A wait ran out: what was awaited, for how long, what was seen instead, log path."""

    exit_code = 5


class Stopped(SpprError):
    """The user pressed Ctrl-C."""

    exit_code = EXIT_INTERRUPTED


class ControlError(SpprError):
    """The controller, or an SPP process behind it, refused or did not answer."""

    exit_code = 6
