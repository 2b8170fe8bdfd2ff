"""``topo`` and ``topo_subgraph``: the network drawn into the terminal or a file (spp-facts 6.3)."""

import asyncio
import re
from pathlib import Path

from sppr.controller.errors import BadValue
from sppr.controller.prompt.hosts import Host
from sppr.controller.topology import draw, graph
from sppr.deadline import Deadline
from sppr.run import run, which

_KINDS = {"js": "json", "yml": "yaml", "mmd": "mermaid", "md": "mermaid", "jpeg": "jpg", "text": "txt"}
_PICTURES = ("jpg", "png", "bmp")
TYPES = ("txt", "dot", "mermaid", "svg", "json", "yaml", *_PICTURES)
#: Seconds graphviz may take.
PATIENCE = 20.0


class Topology:
    """Remembers the subgraphs."""

    def __init__(self) -> None:
        self.frames: dict[str, tuple[str, ...]] = {}

    async def topo(self, args: tuple[str, ...], host: Host, size: str) -> str:
        """``topo DST [TYPE]``; what is printed. BadValue: the form is not known, the file cannot be written."""
        where, *kind = args
        found = graph.make(await host.seen(), self.frames)
        if where == "term":
            return self._drawn(found, _kind(kind[0]) if kind else "txt", size)
        if where == "http":
            raise BadValue("topo http is not there", hint="topo FILE.svg, and open it in a browser")
        path = Path(where).expanduser()
        wanted = _kind(kind[0] if kind else path.suffix.removeprefix("."))
        try:
            if wanted in _PICTURES:
                await asyncio.to_thread(_picture, draw.dot(found, size), wanted, path)
            else:
                path.write_text(self._drawn(found, wanted, size))
        except OSError as error:
            raise BadValue(f"{where}: {error.strerror or error}", hint="give a file that can be written") from None
        return f"Create topology: {where}"

    def _drawn(self, found: graph.Graph, kind: str, size: str) -> str:
        if kind in _PICTURES:
            raise BadValue(f"{kind} does not go to a terminal", hint=f"topo FILE.{kind}")
        if kind == "dot":
            return draw.dot(found, size)
        return {"txt": draw.text, "mermaid": draw.mermaid, "svg": draw.svg}.get(kind, draw.as_json)(found)

    def subgraph(self, args: tuple[str, ...]) -> list[str]:
        """``topo_subgraph [add LABEL PORT,PORT | del LABEL]``."""
        match args:
            case ():
                return [f"{label}: {','.join(ports)}" for label, ports in self.frames.items()]
            case ("add", label, ports) if re.fullmatch(r"[\w.-]{1,40}", label):
                self.frames[label] = tuple(filter(None, re.split(r"[,;]", ports)))
                return [f"Add subgraph '{label}'."]
            case ("del", label):
                if self.frames.pop(label, None) is None:
                    raise BadValue(f"{label}: no such subgraph", hint="topo_subgraph lists them")
                return [f"Delete subgraph '{label}'."]
        raise BadValue("topo_subgraph: no such form", hint="topo_subgraph add guest vhost:1,vhost:2")


def _kind(text: str) -> str:
    kind = _KINDS.get(text.lower(), text.lower())
    if kind not in TYPES:
        raise BadValue(f"{text!r} is nothing that topo draws", hint=f"one of {', '.join(TYPES)}")
    return kind


def _picture(text: str, kind: str, path: Path) -> None:
    if which("dot") is None:
        raise BadValue(
            f"{kind} wants the program dot", hint="apt install graphviz, or: topo FILE.svg, which needs none"
        )
    run(["dot", f"-T{kind}", "-o", str(path)], stdin=text, deadline=Deadline(PATIENCE))
