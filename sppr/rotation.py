"""Logs of bounded size: how one is written in pieces, and how the pieces are read as one.

``pri.log`` is written, ``pri.log.1`` and ``pri.log.2`` are older; ``pri.log.lost`` is there once a piece was dropped.
The writer is split of coreutils, which hands each piece to a filter as it comes: nothing is held back. QEMU writes the
console of a VM, ``vm_v11.console``, by itself, and the same text goes through the pane: when a piece of that log is
full, the console is cut to its end. QEMU appends to it (``logappend=on``), so it goes on there.
"""

import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

#: Bytes of a piece, and how many pieces are kept.
SIZE = 8 << 20
KEPT = 3
_FILTER = """\
cat >>"$LOG"
[ "$(stat -c %s "$LOG")" -lt {size} ] && exit
[ ! -e "$LOG.2" ] || : >"$LOG.lost"
[ ! -e "$LOG.1" ] || mv -f "$LOG.1" "$LOG.2"
mv "$LOG" "$LOG.1" && : >"$LOG"
console="${{LOG%.log}}.console"
[ ! -f "$console" ] || {{ tail -c 4096 "$console" >"$console.tail" && cat "$console.tail" >"$console"; }}
rm -f "$console.tail"
"""


def writer(log: Path, size: int = SIZE) -> str:
    """Shell script that writes its standard input to ``log``."""
    words = ["env", "SHELL=/bin/sh", f"LOG={log}", "split", "-b", str(size), f"--filter={_FILTER.format(size=size)}"]
    return f"exec {shlex.join(words)}"


def writer_of(log: Path) -> Path:
    """Where that script lies: a command for tmux has to be short."""
    return log.with_suffix(".writer")


def pieces(log: Path) -> list[Path]:
    """The pieces there may be, the oldest first."""
    return [*(log.with_name(f"{log.name}.{n}") for n in range(KEPT - 1, 0, -1)), log]


def lost(log: Path) -> bool:
    """Whether the first bytes are gone."""
    return log.with_name(f"{log.name}.lost").exists()


def tail(log: Path, size: int) -> bytes:
    """The last ``size`` bytes. Empty when there is no log."""
    raw = b""
    for file in reversed(_opened(log)):
        with file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - (size - len(raw))))
            raw = file.read(size - len(raw)) + raw
    return raw


def read(log: Path, more: Callable[[], bool] = lambda: False, ticks: Iterable[object] = ()) -> Iterator[bytes]:
    """All of it from the oldest piece on; then, while ``more`` says so, what is added, looking at each of ``ticks``."""
    held: list[BinaryIO] = []
    try:
        for _ in chain([None], ticks):
            going = more()
            held = _with_newer(held, log)
            while held:
                while chunk := held[0].read(1 << 16):
                    yield chunk
                if len(held) == 1:
                    break
                held.pop(0).close()
            if not going:
                return
    finally:
        for file in held:
            file.close()


def _with_newer(held: list[BinaryIO], log: Path) -> list[BinaryIO]:
    """The piece in hand and those after it; all that is there where it has been dropped meanwhile."""
    if not held:
        return _opened(log)
    mine = _inode(os.fstat(held[0].fileno()))
    try:
        if _inode(log.stat()) == mine:
            return held
    except OSError:
        return held
    there = _opened(log)
    names = [_inode(os.fstat(file.fileno())) for file in there]
    known = names.index(mine) + 1 if mine in names else 0
    for file in there[:known]:
        file.close()
    return held + there[known:]


def _opened(log: Path) -> list[BinaryIO]:
    """The pieces, the oldest first. Opened from the newest on: one that moves up meanwhile is met twice, not missed."""
    found: dict[tuple[int, int], BinaryIO] = {}
    for path in reversed(pieces(log)):
        try:
            file = path.open("rb")
        except OSError:
            continue
        if found.setdefault(_inode(os.fstat(file.fileno())), file) is not file:
            file.close()
    return list(reversed(found.values()))


def _inode(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino
