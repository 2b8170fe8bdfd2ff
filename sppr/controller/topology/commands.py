"""The commands ``topo`` and ``topo_subgraph``: draw the network to the terminal or to a file (docs/spp-protocol.md,
Topology).
"""

import asyncio
import re
from pathlib import Path

from sppr.controller.errors import BadValue
from sppr.controller.prompt.controllers import Controller
from sppr.controller.topology import draw, graph
from sppr.deadline import Deadline
from sppr.run import run, which

_ALIASES = {"js": "json", "yml": "yaml", "mmd": "mermaid", "md": "mermaid", "jpeg": "jpg", "text": "txt"}
_PICTURES = ("jpg", "png", "bmp")
TYPES = ("txt", "dot", "mermaid", "svg", "json", "yaml", *_PICTURES)
#: Seconds for graphviz.
DOT_TIMEOUT = 20.0


class Topology:
    """The subgraphs that the user has defined, and the commands on them."""

    def __init__(self) -> None:
        self.subgraphs: dict[str, tuple[str, ...]] = {}

    async def topo(self, args: tuple[str, ...], controller: Controller, size: str) -> str:
        """Carry out ``topo DST [TYPE]``, and return the text to print.

        Raise BadValue if the form is not known or the file cannot be written.
        """
        where, *kind = args
        topology = graph.build(await controller.process_statuses(), self.subgraphs)
        if where == "term":
            return self._render(topology, _drawing_type(kind[0]) if kind else "txt", size)
        if where == "http":
            raise BadValue("topo http is not supported", hint="use topo FILE.svg, and open the file in a browser")
        path = Path(where).expanduser()
        picture_type = _drawing_type(kind[0] if kind else path.suffix.removeprefix("."))
        try:
            if picture_type in _PICTURES:
                await asyncio.to_thread(_render_picture, draw.dot(topology, size), picture_type, path)
            else:
                path.write_text(self._render(topology, picture_type, size))
        except OSError as error:
            raise BadValue(f"{where}: {error.strerror or error}", hint="use a file that can be written") from None
        return f"Create topology: {where}"

    def _render(self, topology: graph.Graph, kind: str, size: str) -> str:
        if kind in _PICTURES:
            raise BadValue(f"{kind} cannot be drawn in a terminal", hint=f"topo FILE.{kind}")
        if kind == "dot":
            return draw.dot(topology, size)
        return {"txt": draw.text, "mermaid": draw.mermaid, "svg": draw.svg}.get(kind, draw.as_json)(topology)

    def subgraph(self, args: tuple[str, ...]) -> list[str]:
        """Carry out ``topo_subgraph [add LABEL PORT,PORT | del LABEL]``, and return the lines to print."""
        match args:
            case ():
                return [f"{label}: {','.join(ports)}" for label, ports in self.subgraphs.items()]
            case ("add", label, ports) if re.fullmatch(r"[\w.-]{1,40}", label):
                self.subgraphs[label] = tuple(filter(None, re.split(r"[,;]", ports)))
                return [f"Add subgraph '{label}'."]
            case ("del", label):
                if self.subgraphs.pop(label, None) is None:
                    raise BadValue(f"{label}: no such subgraph", hint="topo_subgraph lists them")
                return [f"Delete subgraph '{label}'."]
        raise BadValue("topo_subgraph: invalid arguments", hint="topo_subgraph add guest vhost:1,vhost:2")


def _drawing_type(text: str) -> str:
    kind = _ALIASES.get(text.lower(), text.lower())
    if kind not in TYPES:
        raise BadValue(f"topo cannot draw {text!r}", hint=f"use one of {', '.join(TYPES)}")
    return kind


def _render_picture(text: str, kind: str, path: Path) -> None:
    if which("dot") is None:
        raise BadValue(
            f"{kind} needs the program dot", hint="apt install graphviz, or topo FILE.svg, which does not need it"
        )
    run(["dot", f"-T{kind}", "-o", str(path)], stdin=text, deadline=Deadline(DOT_TIMEOUT))
