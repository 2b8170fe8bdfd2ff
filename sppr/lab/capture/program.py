"""The command line of ``spp_capture``, which merges the sides of ports into one pcapng (docs/dataplane.md, Capture)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sppr.errors import SpprError
from sppr.lab.capture.sides import Side
from sppr.run import which

#: Columns of tshark without a file.
_COLUMNS = (
    '"Time","%t","Interface","%Cus:frame.interface_name","Source","%s","Destination","%d","Protocol","%p",'
    '"Length","%L","Info","%i"'
)


@dataclass(frozen=True)
class Options:
    """The options of a capture.

    ``file``: the path, ``-`` for the standard output. ``expression``: a filter of tcpdump; "" for all frames.
    ``count``: frames after which it ends; 0: none. ``snaplen``: bytes of each frame; 0: all.
    ``force``: replace an existing file.
    """

    file: str = "-"
    expression: str = ""
    count: int = 0
    snaplen: int = 0
    force: bool = False


def argv(program: Path, sides: Sequence[Side], sockets: Mapping[str, Path], options: Options) -> list[str]:
    """Return the command line. ``sockets``: the socket of each process."""
    words = [str(program), "-w", options.file]
    words += ["--force"] if options.force else []
    words += ["-f", options.expression] if options.expression else []
    words += ["-c", str(options.count)] if options.count else []
    words += ["-s", str(options.snaplen)] if options.snaplen else []
    for side in sides:
        words += ["-i", str(sockets[side.process]), side.port, side.way, side.name]
    return words


def socket_of(sock_dir: str, side: Side) -> Path:
    """Return the socket at which a process of the host offers its ports."""
    return Path(sock_dir) / f"spp-capture.{side.number}.sock"


def decoder() -> list[str]:
    """Return the command that prints a pcapng from its standard input. Raise SpprError if none is installed."""
    if tshark := which("tshark"):
        return [tshark, "-l", "-n", "-r", "-", "-o", f"gui.column.format:{_COLUMNS}"]
    if tcpdump := which("tcpdump"):
        return [tcpdump, "-l", "-n", "-e", "-r", "-"]
    what = "neither tshark nor tcpdump is installed, so nothing can print the frames"
    raise SpprError(what, hint="-w FILE, or: apt-get install tshark")
