"""What a program sent to its terminal, as plain lines.

None of the libraries we depend on does this for a stream: rich and click know colours, but neither charset selections
nor cursor movements, and a prompt redraws its line by those.
"""

import re

_ESCAPE = re.compile(
    r"\x1b\[(?P<numbers>[0-?]*)[ -/]*(?P<final>[@-~])"  # CSI
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC and other strings
    r"|\x1b[ -/]+[0-~]"  # charset selections
    r"|\x1b[0-OQ-WYZ\\`-~]"
    r"|(?P<control>[\x00-\x08\x0b-\x1f\x7f])"
)
#: What changes text that stands in the line already.
_MOVES = re.compile(r"[\r\x08]|\x1b\[[0-?]*[ -/]*[A-HJKPX`adf]")
#: A line that is longer is given out in pieces; an escape sequence that is longer is cut.
_MOST, _LONGEST = 1 << 20, 4096
_WIDEST = 1000


class PlainText:
    """Takes bytes as they were read, and gives out each line once it is complete: an escape sequence may be split over
    two reads, and a prompt may redraw its line."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """The lines that are complete now."""
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
        """What is left without an end of line."""
        rest, self._rest = self._rest, b""
        return _plain(rest)


def _plain(raw: bytes) -> bytes:
    """One line. Bytes that are no UTF-8 stay as they are."""
    text = raw.decode("utf-8", "surrogateescape").rstrip("\r")
    plain = "\n".join(_drawn(text)) if _MOVES.search(text) else _ESCAPE.sub("", text)
    return plain.encode("utf-8", "surrogateescape")


def _drawn(text: str) -> list[str]:
    """The line as a terminal shows it in the end; several where the cursor was sent to another line."""
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
    """The line the cursor stands in. ``above``: lines that it has left."""

    def __init__(self) -> None:
        self.above: list[str] = []
        self.cells: list[str] = []
        self.column = 0

    def write(self, text: str) -> None:
        if text:
            self.cells += " " * (self.column - len(self.cells))
            self.cells[self.column : self.column + len(text)] = text
            self.column += len(text)

    def move(self, final: str, number: int | None) -> None:
        """Do what an escape sequence that ends so, or a control character, does to the line."""
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
        """From the cursor on (0), up to it (1), or all of it."""
        if number == 0:
            del self.cells[self.column :]
        elif number == 1:
            before = slice(0, self.column + 1)
            self.cells[before] = [" "] * len(self.cells[before])
        else:
            self.cells = []
