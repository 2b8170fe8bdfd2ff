"""Convert terminal output to plain lines.

None of our dependencies does this for a stream: rich and click parse colours, but neither charset selections nor cursor
movements, by which a prompt redraws its line.
"""

import re

_ESCAPE = re.compile(
    r"\x1b\[(?P<numbers>[0-?]*)[ -/]*(?P<final>[@-~])"  # CSI
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC and other strings
    r"|\x1b[ -/]+[0-~]"  # charset selections
    r"|\x1b[0-OQ-WYZ\\`-~]"
    r"|(?P<control>[\x00-\x08\x0b-\x1f\x7f])"
)
#: Sequences that change text already in the line.
_MOVES = re.compile(r"[\r\x08]|\x1b\[[0-?]*[ -/]*[A-HJKPX`adf]")
#: Longest line, and longest escape sequence, in bytes. A longer line is returned in pieces.
_MOST, _LONGEST = 1 << 20, 4096
_WIDEST = 1000


class PlainText:
    """A converter that returns each line once it is complete.

    An escape sequence may be split over two reads, and a prompt may redraw its line.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """Add bytes, and return the lines that are complete now."""
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        out = [_plain(line) + b"\n" for line in lines]
        if len(self._rest) > _MOST:
            begun = self._rest.rfind(b"\x1b", len(self._rest) - _LONGEST)
            cut = begun if begun > 0 else len(self._rest)
            out.append(_plain(self._rest[:cut]))
            self._rest = self._rest[cut:]
        return b"".join(out)

    def end(self) -> bytes:
        """Return the rest, which has no end of line."""
        rest, self._rest = self._rest, b""
        return _plain(rest)


def _plain(raw: bytes) -> bytes:
    """Convert one line. Bytes that are not UTF-8 are kept."""
    text = raw.decode("utf-8", "surrogateescape").rstrip("\r")
    plain = "\n".join(_drawn(text)) if _MOVES.search(text) else _ESCAPE.sub("", text)
    return plain.encode("utf-8", "surrogateescape")


def _drawn(text: str) -> list[str]:
    """Return the line as a terminal finally shows it; several lines if the cursor moved to another one."""
    line, place = _Line(), 0
    for found in _ESCAPE.finditer(text):
        line.write(text[place : found.start()])
        place = found.end()
        if control := found["control"]:
            line.move(control, 1)
        elif final := found["final"]:
            given = re.match(r"\d{1,6}", found["numbers"])
            line.move(final, min(int(given[0]), _WIDEST) if given else None)
    line.write(text[place:])
    return [*line.above, "".join(line.cells)]


class _Line:
    """The line of the cursor. ``above``: the lines that the cursor has left."""

    def __init__(self) -> None:
        self.above: list[str] = []
        self.cells: list[str] = []
        self.column = 0

    def write(self, text: str) -> None:
        """Write ``text`` over the line at the cursor, and move the cursor behind it."""
        if text:
            self.cells += " " * (self.column - len(self.cells))
            self.cells[self.column : self.column + len(text)] = text
            self.column += len(text)

    def move(self, final: str, number: int | None) -> None:
        """Apply a control character, or an escape sequence with this final byte."""
        if final == "\r":
            self.column = 0
        elif final in "\x08D":
            self.column = max(0, self.column - (number or 1))
        elif final in "Ca":
            self.column = min(self.column + (number or 1), max(len(self.cells), _WIDEST))
        elif final in "G`":
            self.column = (number or 1) - 1
        elif final in "PX":
            gone = slice(self.column, self.column + (number or 1))
            self.cells[gone] = [" "] * len(self.cells[gone]) * (final == "X")
        elif final in "JK":
            self._erase(number or 0)
        elif final in "ABEFHdf":
            if shown := "".join(self.cells).rstrip():
                self.above.append(shown)
            self.cells, self.column = [], 0

    def _erase(self, number: int) -> None:
        """Erase from the cursor to the end (0), from the start to the cursor (1), or all."""
        if number == 0:
            del self.cells[self.column :]
        elif number == 1:
            before = slice(0, self.column + 1)
            self.cells[before] = [" "] * len(self.cells[before])
        else:
            self.cells = []
