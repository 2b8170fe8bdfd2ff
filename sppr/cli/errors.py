"""Convert errors to text and an exit status. Only sppr/cli/ prints."""

import atexit
import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from sppr.errors import EXIT_BUG, EXIT_INTERRUPTED, HostError, SpprError

# Python collects garbage when it exits, which takes 30 ms. It skips frozen objects.
atexit.register(gc.freeze)
# By default it also collects after every 700 new objects: 1.2 ms of `sppr status`, which creates few that are garbage.
gc.set_threshold(20_000)

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class ErrorReportingCommand(click.Command):
    """A command that reports errors: an SpprError with its exit status and hint, Ctrl-C with 130, a bug with 70."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["standalone_mode"] = False
        _have_streams()
        try:
            result = super().main(*args, **kwargs)
        except click.ClickException as e:
            if isinstance(e, click.NoSuchOption):
                e = _whole_word(e, args[0] if args and args[0] is not None else kwargs.get("args") or sys.argv[1:])
            e.show()
            sys.exit(e.exit_code)
        except (click.exceptions.Abort, KeyboardInterrupt):
            _end("interrupted", None, EXIT_INTERRUPTED)
        except SpprError as e:
            _end(e.what, e.hint, e.exit_code)
        except BrokenPipeError:
            os._exit(141)
        except OSError as e:
            if e.filename is None and _folder_is_gone():
                _end("the current folder was removed", "cd to another", HostError.exit_code)
            if e.filename is None and _was_printing(e):
                e.filename = "standard output"
                # Python would flush the buffer at exit, and report the same error again.
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            log_file = _log_exception("the system refused")
            where = f"{e.filename}: " if e.filename is not None else ""
            _end(
                f"{where}{e.strerror or e}",
                f"the log has more: {log_file}" if log_file else None,
                HostError.exit_code,
            )
        except Exception:
            _end(f"this is a bug of sppr; the traceback is in {_keep_traceback()}", None, EXIT_BUG)
        sys.exit(result if isinstance(result, int) else 0)


def _was_printing(e: OSError) -> bool:
    """Return whether the error came from printing: the last frame is in click.echo, or in sppr/cli/."""
    place = e.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return False
    code = place.tb_frame.f_code
    return code is click.echo.__code__ or Path(__file__).parent in Path(code.co_filename).parents


def _folder_is_gone() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def echo(line: str) -> None:
    """Print a line. Ignore errors, because a verb may close the terminal in which it was typed."""
    with contextlib.suppress(OSError):
        click.echo(line)


def renamed(old: str, new: str) -> None:
    """Print the new name of a command or option that still works under its old one."""
    click.echo(f"note: {old} is now {new}", err=True)


def _whole_word(error: click.NoSuchOption, words: Sequence[str]) -> click.NoSuchOption:
    """Return the error with the whole word, as typed. click names only the first letter: ``-n`` for ``-nx``."""
    short = error.option_name
    typed = [word for word in words if word.startswith(short)] if len(short) == 2 else []
    return click.NoSuchOption(typed[0], possibilities=error.possibilities, ctx=error.ctx) if typed else error


def _have_streams() -> None:
    """Open /dev/null for each standard stream that is closed (``<&-``), which is None in Python."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - for the rest of the process


class ErrorReportingGroup(ErrorReportingCommand, click.Group):
    """A group of commands that reports errors in the same way."""


def _end(what: str, hint: str | None, status: int) -> NoReturn:
    click.echo(f"error: {what}" if status else what, err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)
    sys.exit(status)


def _log_exception(what: str) -> Path | None:
    """Write the traceback to the log of this command. Return the path of the log, None if the command has none."""
    import logging  # logging and its handlers take 5 ms: a command that succeeds without a log does not import them

    from sppr import log

    if path := log.current():
        logging.getLogger("sppr").exception(what)
    return path


def _keep_traceback() -> Path:
    if path := _log_exception("a bug of sppr"):
        return path
    import tempfile
    import traceback

    handle, name = tempfile.mkstemp(prefix="sppr-bug-", suffix=".log")
    with os.fdopen(handle, "w") as f:
        traceback.print_exc(file=f)
    return Path(name)
