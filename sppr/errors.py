"""Errors that the user can act on: what happened, and the next step.

Library code raises them. Only ``sppr.cli`` prints them and exits with ``exit_code``.
"""

from typing import ClassVar

#: Exit status for any other exception, which is a bug of sppr. Its traceback goes to the log file.
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


class SpprError(Exception):
    """An error that the user can act on.

    ``what``: what happened.
    ``hint``: the next step, usually a command; None if there is none.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class ConfigError(SpprError):
    """An error in conf.yml or in the command line. ``what`` contains all problems, one for each line.

    ``key``: the key in conf.yml, if its line number is not known yet.
    """

    exit_code = 2

    def __init__(self, what: str, *, hint: str | None = None, key: tuple[str | int, ...] = ()) -> None:
        super().__init__(what, hint=hint)
        self.key = key


class HostError(SpprError):
    """The machine lacks something: a program, hugepages, an image, a free port."""

    exit_code = 3


class LaunchError(SpprError):
    """A program could not be started, or exited before it was ready. ``what`` contains command, status, last lines
    and log."""

    exit_code = 4


class NotReady(SpprError):
    """A part was not ready in time. ``what`` contains what was awaited, how long, what was observed, and the log."""

    exit_code = 5


class Cancelled(SpprError):
    """The user pressed Ctrl-C."""

    exit_code = EXIT_INTERRUPTED


class ControlError(SpprError):
    """The controller, or an SPP process behind it, refused a command or did not respond."""

    exit_code = 6
