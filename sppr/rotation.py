"""Logs of limited size: a log is written in pieces, and the pieces are read as one log.

``pri.log`` is being written; ``pri.log.1`` and ``pri.log.2`` are older. ``pri.log.lost`` exists once a piece was
deleted. The writer is coreutils' split, which passes each piece to a filter as it arrives, so nothing is delayed.

QEMU itself writes the console of a VM to ``vm_v11.console``, and the pane's log has the same text. When a piece of that
log is full, the console is truncated to its last bytes. QEMU appends to it (``logappend=on``), so it continues there.
"""

import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

#: Size of a piece in bytes, and the number of pieces to keep.
PIECE_BYTES = 8 << 20
PIECES = 3
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


def writer_command(log: Path, size: int = PIECE_BYTES) -> str:
    """Return a shell script that writes its standard input to ``log``."""
    words = ["env", "SHELL=/bin/sh", f"LOG={log}", "split", "-b", str(size), f"--filter={_FILTER.format(size=size)}"]
    return f"exec {shlex.join(words)}"


def writer_path(log: Path) -> Path:
    """Return the path for that script. The script is in a file because a tmux command must be short."""
    return log.with_suffix(".writer")


def pieces(log: Path) -> list[Path]:
    """Return the paths of all possible pieces, the oldest first."""
    return [*(log.with_name(f"{log.name}.{n}") for n in range(PIECES - 1, 0, -1)), log]


def is_truncated(log: Path) -> bool:
    """Return whether the beginning of the log was deleted."""
    return log.with_name(f"{log.name}.lost").exists()


def tail(log: Path, size: int) -> bytes:
    """Return the last ``size`` bytes, or nothing if there is no log."""
    raw = b""
    for file in reversed(_opened(log)):
        with file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - (size - len(raw))))
            raw = file.read(size - len(raw)) + raw
    return raw


def read(log: Path, more: Callable[[], bool] = lambda: False, ticks: Iterable[object] = ()) -> Iterator[bytes]:
    """Yield the log from its oldest piece on. Then, while ``more`` returns True, yield new content at each of
    ``ticks``."""
    open_pieces: list[BinaryIO] = []
    try:
        for _ in chain([None], ticks):
            going = more()
            open_pieces = _with_newer(open_pieces, log)
            while open_pieces:
                while chunk := open_pieces[0].read(1 << 16):
                    yield chunk
                if len(open_pieces) == 1:
                    break
                open_pieces.pop(0).close()
            if not going:
                return
    finally:
        for file in open_pieces:
            file.close()


def _with_newer(open_pieces: list[BinaryIO], log: Path) -> list[BinaryIO]:
    """Return the piece that is being read and those after it; all pieces if it was deleted meanwhile."""
    if not open_pieces:
        return _opened(log)
    current = _inode(os.fstat(open_pieces[0].fileno()))
    try:
        if _inode(log.stat()) == current:
            return open_pieces
    except OSError:
        return open_pieces
    existing = _opened(log)
    inodes = [_inode(os.fstat(file.fileno())) for file in existing]
    known = inodes.index(current) + 1 if current in inodes else 0
    for file in existing[:known]:
        file.close()
    return open_pieces + existing[known:]


def _opened(log: Path) -> list[BinaryIO]:
    """Open the pieces, and return them with the oldest first.

    They are opened from the newest on: a piece that is renamed meanwhile is then opened twice rather than missed.
    """
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
