"""Write a graph to a file in each format. ``topo`` of the prompt and ``sppr topo`` share it."""

from pathlib import Path

from sppr.controller.errors import BadValue
from sppr.controller.topology import draw, picture
from sppr.controller.topology.graph import Graph
from sppr.deadline import Deadline
from sppr.host import atomic_write
from sppr.run import run, which

_ALIASES = {"js": "json", "yml": "yaml", "mmd": "mermaid", "md": "mermaid", "jpeg": "jpg", "text": "txt", "htm": "html"}
#: Formats that are not text, and the programs that make them: rsvg-convert from our SVG, dot from the dot text.
PICTURES = {"png": "rsvg-convert", "jpg": "dot", "bmp": "dot"}
TYPES = ("txt", "dot", "mermaid", "svg", "html", "json", "yaml", *PICTURES)
#: Seconds for a program that draws.
TIMEOUT = 20.0
_INSTALL = {
    "rsvg-convert": "apt install librsvg2-bin, or use FILE.svg, which does not need it",
    "dot": "apt install graphviz, or use FILE.svg, which does not need it",
}


def drawing_type(text: str) -> str:
    """Return the format of this name or suffix. Raise BadValue if there is none."""
    kind = _ALIASES.get(text.lower(), text.lower())
    if kind not in TYPES:
        raise BadValue(f"topo cannot draw {text!r}", hint=f"use one of {', '.join(TYPES)}")
    return kind


def render(graph: Graph, kind: str, title: str = "Topology", note: str = "", size: str = "") -> str:
    """Return the graph in a format that is text. ``size``: the ``topo_size`` of the prompt, for dot."""
    if kind == "dot":
        return draw.dot(graph, size)
    if kind == "svg":
        return picture.svg(graph, title, note)
    if kind == "html":
        return draw.html(graph, picture.svg(graph, title, note), title, note)
    return {"txt": lambda graph: draw.text(graph) + "\n", "mermaid": draw.mermaid}.get(kind, draw.as_json)(graph)


def write(graph: Graph, kind: str, path: Path, title: str = "Topology", note: str = "", size: str = "") -> None:
    """Write the graph to a file, completely or not at all.

    Raise BadValue if the file cannot be written or if the program that draws the format is missing.
    """
    try:
        if kind in PICTURES:
            _write_picture(graph, kind, path, title, note, size)
        else:
            atomic_write.write(path, render(graph, kind, title, note, size))
    except OSError as error:
        raise BadValue(f"{path}: {error.strerror or error}", hint="use a file that can be written") from None


def _write_picture(graph: Graph, kind: str, path: Path, title: str, note: str, size: str) -> None:
    program = PICTURES[kind]
    if which(program) is None:
        raise BadValue(f"{kind} needs the program {program}", hint=_INSTALL[program])
    temporary = atomic_write.temporary_path(path)
    try:
        temporary.open("xb").close()  # an error names the file, before the picture is drawn
        if program == "dot":
            argv, text = ["dot", f"-T{kind}", "-o", str(temporary)], draw.dot(graph, size)
        else:
            argv, text = [program, "--zoom=2", "-o", str(temporary)], picture.svg(graph, title, note)
        run(argv, stdin=text, deadline=Deadline(TIMEOUT))
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
