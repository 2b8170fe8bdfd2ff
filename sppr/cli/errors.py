"""The edge between sppr and its user: where errors become text and an exit status. Nothing below this prints."""

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

# Python collects garbage once more when it exits: 30 ms of each command. It skips frozen objects.
atexit.register(gc.freeze)

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class ErrorReportingCommand(click.Command):
    """A command that ends as house rules say: our errors with their code and hint, Ctrl-C 130, a bug 70."""

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
                # What is still held for it would be tried, and told, once more at the very end.
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
    """Whether it came from a stream that was printed to: only this room prints."""
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
    """A line for a user who may have gone: a verb may end the terminal it was typed into."""
    with contextlib.suppress(OSError):
        click.echo(line)


def renamed(old: str, new: str) -> None:
    """Print the new name of a command or option that still works under its old one."""
    click.echo(f"note: {old} is now {new}", err=True)


def _whole_word(error: click.NoSuchOption, words: Sequence[str]) -> click.NoSuchOption:
    """click tells of ``-nx`` only its first letter, ``-n``: name the word as it was typed."""
    short = error.option_name
    typed = [word for word in words if word.startswith(short)] if len(short) == 2 else []
    return click.NoSuchOption(typed[0], possibilities=error.possibilities, ctx=error.ctx) if typed else error


def _have_streams() -> None:
    """A stream that was closed (``<&-``) is None in Python: /dev/null takes its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - for the rest of the process


class ErrorReportingGroup(ErrorReportingCommand, click.Group):
    """A group that ends so."""


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
