"""What tmux is told, as argument lists: panes and windows as values, and chains of commands that make them."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sppr import rotation

#: A tmux message holds 16 KiB, words and their ends ("command too long" beyond): a chain stays below.
BYTES_A_CALL = 14_000
IDS = "#{window_id} #{pane_id} #{pane_pid}"
#: Of the first pane: whether the server ends when no client is attached to it.
IDS_AND_EXIT = IDS + " #{exit-unattached}"


@dataclass(frozen=True)
class PaneSpec:
    """A pane: its process *is* ``argv`` (empty: the user's shell). ``log``: its output from the first byte."""

    name: str
    cwd: Path
    argv: tuple[str, ...] = ()
    log: Path | None = None


@dataclass(frozen=True)
class WindowSpec:
    """A window; more than one pane are tiled."""

    name: str
    panes: tuple[PaneSpec, ...]


@dataclass(frozen=True)
class Pane:
    """A pane that is there: ``window`` @id, ``pane`` %id, and the pid of its process."""

    window: str
    pane: str
    pid: int = 0


def ids(line: str) -> tuple[str, str, int]:
    window, pane, pid, *_ = line.split()
    return window, pane, int(pid)


def part_of(option: str, start: str) -> str:
    """Whose pane it is: as its option says, else (a launcher was killed before it was set) by the script it runs."""
    script = re.search(r"/([A-Za-z0-9_]+)\.sh\W*$", start)
    return option or (script[1] if script and "/bin/sh" in start else "")


def steps(
    session: str, windows: Sequence[WindowSpec], size: tuple[int, int], env: Mapping[str, str], owner: str
) -> Iterator[list[str]]:
    """tmux argument lists, each a chain of commands of whole panes, of BYTES_A_CALL at most."""
    made = [*variables(env), "-P", "-F"]
    here = f"={session}:"
    chain: list[str] = []
    first = True
    for window in windows:
        for p, pane in enumerate(window.panes):
            if first:
                verb = ["new-session", "-d", "-s", session, "-x", str(size[0]), "-y", str(size[1]), "-n", window.name]
            elif p == 0:
                verb = ["new-window", "-t", here, "-n", window.name]
            else:
                verb = ["split-window", "-t", here]
            shown = IDS_AND_EXIT if first else IDS
            parts = [[*verb, "-c", literal(str(pane.cwd)), *made, shown, *pane.argv], *after(here, pane)]
            if first:
                parts.append(["set-option", "-t", here, "@sppr_run", owner])
                # A session without a terminal would end as soon as this call does.
                parts.append(["set-option", "-t", here, "destroy-unattached", "off"])
            parts += [["select-layout", "-t", here, "tiled"]] if p > 0 else named(here)
            first = False
            words = [word for part in parts for word in (";", *map(_escaped, part))][1:]
            if chain and _size(chain) + _size(words) > BYTES_A_CALL:
                yield chain
                chain = []
            chain += [";"] * bool(chain) + words
    yield chain


def _size(words: Sequence[str]) -> int:
    return sum(len(os.fsencode(word)) + 1 for word in words)


def literal(text: str) -> str:
    """``text`` where tmux expands formats (``#(command)`` runs one!). A run of # before a [ it leaves as it is."""
    return re.sub(r"#+(\[?)", lambda run: run[0] if run[1] else run[0] * 2, text)


def variables(env: Mapping[str, str]) -> list[str]:
    return [word for name, value in env.items() for word in ("-e", f"{name}={value}")]


def named(window: str) -> list[list[str]]:
    """The window keeps the name it was given."""
    return [["set-option", "-w", "-t", window, name, "off"] for name in ("automatic-rename", "allow-rename")]


def after(here: str, pane: PaneSpec) -> Iterator[list[str]]:
    yield ["set-option", "-p", "-t", here, "@sppr_part", pane.name]
    yield ["select-pane", "-t", here, "-T", literal(pane.name)]
    if pane.log is not None:
        # tmux expands formats (#) and strftime (%) in this string before /bin/sh reads it.
        command = literal(f"exec /bin/sh {shlex.quote(str(rotation.writer_of(pane.log)))}").replace("%", "%%")
        yield ["pipe-pane", "-t", here, command]


def chainable(words: Sequence[str]) -> list[str]:
    """One command or a chain whose separators are words of their own."""
    return [word if word == ";" else _escaped(word) for word in words]


def _escaped(word: str) -> str:
    """A word that ends in ``;`` would end the command in a chain."""
    return word[:-1] + "\\;" if word.endswith(";") else word
