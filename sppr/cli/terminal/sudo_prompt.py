"""Ask for the sudo password once, in the terminal of wakeup, if sudo would ask in a pane."""

import contextlib
import getpass
import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import click

from sppr.errors import HostError
from sppr.host.root import askpass, privilege
from sppr.host.run_directory import make_private

TRIES = 3


class SudoPrompt(contextlib.ExitStack):
    """Root privileges for the programs of a lab while it comes up.

    ``programs``: the programs that panes run as root. ``folder``: the run directory. ``line``: the sudoers line with
    which sudo does not ask.
    """

    def __init__(self, programs: Sequence[str], folder: Path, line: str) -> None:
        super().__init__()
        self.programs, self.folder, self.line, self._have = programs, folder, line, privilege.is_root()

    def ask(self) -> None:
        """Ask for the password if it is needed. A second call does nothing.

        Raise HostError if sudo is not installed, there is no terminal, or the password is wrong.
        """
        if self._have or not self.programs:
            return
        privilege.check(self.programs, self.line)
        if privilege.asks_in_panes(self.programs):
            password = self._password()
            make_private(self.folder)
            self.enter_context(privilege.using_askpass(self.enter_context(askpass.serve(self.folder, password))))
        self._have = True

    def _password(self) -> str:
        """Return the password, after sudo accepted it. It is never in argv, the environment, a log or a file."""
        prompt = f"[sppr] sudo password for {privilege.user()} (spp_primary and spp_nfv run as root): "
        for _ in range(TRIES):
            password = getpass.getpass(prompt)
            # -k: with a ticket of this terminal, sudo would accept any password.
            status, message, _ = privilege.sudo(["-S", "-k", "-p", "", "-v"], stdin=f"{password}\n")
            if status == 0:
                return password
            if "incorrect password" not in message and "no password was provided" not in message:
                raise HostError(f"sudo: {message}", hint=f"as root, with visudo: {self.line}")
            click.echo("Sorry, try again.", err=True)
        what = f"sudo did not take the password, {TRIES} times"
        raise HostError(what, hint=f"nothing was started; to be asked no more, as root, with visudo: {self.line}")


class _Shown(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            click.echo(record.getMessage(), err=True)


def show_commands() -> None:
    """Print each command that runs as root, before it runs."""
    if not privilege.log.handlers:
        privilege.log.addHandler(_Shown())
        privilege.log.setLevel(logging.INFO)


def of_lab(plan: Any, start: Collection[str]) -> SudoPrompt:
    """Return the prompt for these parts of a plan."""
    from sppr.lab import sudoers

    show_commands()
    return SudoPrompt(sudoers.programs(plan.parts_named(start)), Path(plan.run), sudoers.sudoers_line(plan))
