"""The commands ``topo`` and ``topo_subgraph``: draw the network to the terminal or to a file (docs/spp-protocol.md,
Topology).
"""

import asyncio
import re
import time
from pathlib import Path

from sppr.controller.errors import BadValue
from sppr.controller.prompt.controllers import Controller
from sppr.controller.topology import export, graph, rates
from sppr.controller.topology.export import PICTURES, TYPES, drawing_type

__all__ = ["TYPES", "Topology"]
#: Formats that show rates, which takes half a second.
_WITH_RATES = ("svg", "png", "html")


class Topology:
    """The subgraphs that the user has defined, and the commands on them."""

    def __init__(self) -> None:
        self.subgraphs: dict[str, tuple[str, ...]] = {}

    async def topo(self, args: tuple[str, ...], controller: Controller, size: str) -> str:
        """Carry out ``topo DST [TYPE]``, and return the text to print.

        Raise BadValue if the form is not known or the file cannot be written.
        """
        where, *kind = args
        if where == "http":
            raise BadValue("topo http is not supported", hint="use topo FILE.svg, and open the file in a browser")
        if where == "term":
            drawing = drawing_type(kind[0]) if kind else "txt"
            if drawing in PICTURES:
                raise BadValue(f"{drawing} cannot be drawn in a terminal", hint=f"topo FILE.{drawing}")
            return export.render(await self._graph(controller, drawing), drawing, size=size)
        path = Path(where).expanduser()
        drawing = drawing_type(kind[0] if kind else path.suffix.removeprefix("."))
        network = await self._graph(controller, drawing)
        title = f"Controller {controller.address}"
        await asyncio.to_thread(export.write, network, drawing, path, title, size=size)
        return f"Create topology: {where}"

    async def _graph(self, controller: Controller, drawing: str) -> graph.Graph:
        """Return the network, with rates if the format shows them."""
        before, since = await controller.process_statuses(), time.monotonic()
        if drawing not in _WITH_RATES:
            return graph.build(before, self.subgraphs)
        await asyncio.sleep(rates.INTERVAL)
        after = await controller.process_statuses()
        flows = rates.flows(before, after, time.monotonic() - since)
        return graph.build(after, self.subgraphs, graph.Details(flows))

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
