"""Panes and windows as values, and the tmux command sequences that create them."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sppr import rotation

#: One tmux message holds 16 KiB, words and their terminators included; a longer one fails with "command too long".
MAX_CALL_BYTES = 14_000
#: tmux 3.7 refuses more than 1,000 words with the same message.
MAX_CALL_WORDS = 900
IDS_FORMAT = "#{window_id} #{pane_id} #{pane_pid}"
#: As IDS_FORMAT, and whether the server exits when no client is attached.
IDS_AND_EXIT_FORMAT = IDS_FORMAT + " #{exit-unattached}"


@dataclass(frozen=True)
class PaneSpec:
    """A pane to create.

    ``name``: name of its part or work window.
    ``cwd``: working directory.
    ``argv``: the command that tmux executes as the process of the pane; empty for the user's shell.
    ``log``: file for the output of the pane, from its first byte; None for no log.
    """

    name: str
    cwd: Path
    argv: tuple[str, ...] = ()
    log: Path | None = None


@dataclass(frozen=True)
class WindowSpec:
    """A window to create. If it has several panes, they are tiled."""

    name: str
    panes: tuple[PaneSpec, ...]


@dataclass(frozen=True)
class Pane:
    """An existing pane.

    ``window``: tmux id of its window (``@1``).
    ``pane``: tmux id of the pane (``%1``).
    ``pid``: process id of its first process.
    ``window_name``: name of its window, if it was listed by ``find_session``.
    """

    window: str
    pane: str
    pid: int = 0
    window_name: str = ""


def parse_ids(line: str) -> tuple[str, str, int]:
    """Return window id, pane id and pid from a line that tmux printed in IDS_FORMAT."""
    window, pane, pid, *_ = line.split()
    return window, pane, int(pid)


def part_name(option: str, start_command: str) -> str:
    """Return the name of the part that a pane belongs to, or an empty string.

    ``option``: the pane's option @sppr_part. It is missing if the launcher was killed before it set the option. The
    name then comes from the script in ``start_command``.
    """
    script = re.search(r"/([A-Za-z0-9_]+)\.sh\W*$", start_command)
    return option or (script[1] if script and "/bin/sh" in start_command else "")


def create_commands(
    session: str, windows: Sequence[WindowSpec], size: tuple[int, int], env: Mapping[str, str], owner: str
) -> Iterator[list[str]]:
    """Yield tmux command sequences that create a session with these windows.

    Each sequence holds the commands of whole panes, within MAX_CALL_BYTES and MAX_CALL_WORDS. ``size``: columns and
    lines. ``owner``: value of the session's option @sppr_run.
    """
    printing = [*env_options(env), "-P", "-F"]
    here = f"={session}:"
    columns, lines = map(str, size)
    sequence: list[str] = []
    first = True
    for window in windows:
        for p, pane in enumerate(window.panes):
            if first:
                command = ["new-session", "-d", "-s", session, "-x", columns, "-y", lines, "-n", window.name]
            elif p == 0:
                command = ["new-window", "-t", here, "-n", window.name]
            else:
                command = ["split-window", "-t", here]
            ids_format = IDS_AND_EXIT_FORMAT if first else IDS_FORMAT
            commands = [
                [*command, "-c", escape_formats(str(pane.cwd)), *printing, ids_format, *pane.argv],
                *pane_setup(here, pane),
            ]
            if first:
                commands.append(["set-option", "-t", here, "@sppr_run", owner])
                # If ~/.tmux.conf sets destroy-unattached, tmux would destroy the session at the end of this call.
                commands.append(["set-option", "-t", here, "destroy-unattached", "off"])
            commands += [["select-layout", "-t", here, "tiled"]] if p > 0 else disable_rename(here)
            first = False
            words = [word for one in commands for word in (";", *map(_escape_separator, one))][1:]
            too_long = _size(sequence) + _size(words) > MAX_CALL_BYTES or len(sequence) + len(words) >= MAX_CALL_WORDS
            if sequence and too_long:
                yield sequence
                sequence = []
            sequence += [";"] * bool(sequence) + words
    yield sequence


def _size(words: Sequence[str]) -> int:
    return sum(len(os.fsencode(word)) + 1 for word in words)


def escape_formats(text: str) -> str:
    """Return ``text`` escaped for arguments in which tmux expands formats; ``#(command)`` would run a command.

    tmux does not expand a run of ``#`` before ``[``, so that run stays as it is.
    """
    return re.sub(r"#+(\[?)", lambda run: run[0] if run[1] else run[0] * 2, text)


def env_options(env: Mapping[str, str]) -> list[str]:
    """Return the ``-e`` options that set these environment variables."""
    return [word for name, value in env.items() for word in ("-e", f"{name}={value}")]


def disable_rename(window: str) -> list[list[str]]:
    """Return the commands that keep tmux and programs from renaming the window."""
    return [["set-option", "-w", "-t", window, name, "off"] for name in ("automatic-rename", "allow-rename")]


def pane_setup(here: str, pane: PaneSpec) -> Iterator[list[str]]:
    """Yield the commands that set option, title and log of a pane."""
    yield ["set-option", "-p", "-t", here, "@sppr_part", pane.name]
    yield ["select-pane", "-t", here, "-T", escape_formats(pane.name)]
    if pane.log is not None:
        # tmux expands formats (#) and strftime (%) in this string before /bin/sh reads it.
        command = escape_formats(f"exec /bin/sh {shlex.quote(str(rotation.writer_path(pane.log)))}").replace("%", "%%")
        yield ["pipe-pane", "-t", here, command]


def escape_separators(words: Sequence[str]) -> list[str]:
    """Return a command sequence with words that end in ``;`` escaped. A word ``;`` stays a separator."""
    return [word if word == ";" else _escape_separator(word) for word in words]


def _escape_separator(word: str) -> str:
    """Escape a final ``;``, which would end the command in a sequence."""
    return word[:-1] + "\\;" if word.endswith(";") else word
