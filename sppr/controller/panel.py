"""What can be asked of the patch panel: each command of SPP once, checked before it is sent, its failure an exception.

REST and the prompt are two faces of this. Raised: BadValue (nothing was sent), NotConnected, NoAnswer, Refused.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import TypedDict

from sppr.spp.names import Target, check_uid, is_ethdev_number, printable

from .faults import BadValue, NotConnected, Refused
from .reply import Reply
from .server import Server
from .wire import Peer

_NFV = ("nfv", "vm")
#: Never added or deleted: real SPP answers success to some of these and breaks the table of port 0 (spp-facts 3.6, 4).
_FIXED = {"phy": "the primary gets its NICs when it starts", "pipe": "pipes are the primary's"}
Process = TypedDict("Process", {"type": str, "client-id": int}, total=False)


class Panel:
    """The connected processes as one panel. ``self.server`` says who is there."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def peer(self, target: Target) -> Peer:
        """The connected process, which is of the kind asked for (``sec``: any). NotConnected else."""
        if target.kind == "primary":
            found = self.server.primary
        else:
            found = self.server.secondaries.get(target.client_id)
            if found is not None and target.kind == "nfv" and found.kind not in _NFV:
                raise NotConnected(
                    f"{target} is not connected: id {target.client_id} is {found}", hint="look with: status"
                )
        if found is None:
            raise NotConnected(f"{target} is not connected", hint="look with: status")
        return found

    async def ask(self, target: Target, command: str) -> Reply:
        """Send one command of SPP's own language. Refused if the process says that it failed."""
        peer = self.peer(target)
        reply = await peer.request(command, self.server.timeout)
        if reply.failed:
            words = printable(reply.words()) or f"`{command}` failed"
            raise Refused(words, hint=f"said by {peer}: look at its status, its window may tell why")
        return reply

    async def status(self, target: Target) -> dict[str, object]:
        """The status object of a process; classic SPP answers text, which stands under ``status`` then."""
        reply = await self.ask(target, "status")
        return reply.data if reply.data is not None else {"status": reply.text}

    async def processes(self) -> list[Process]:
        """Every process that answers ``status`` now, the primary first; those that do not are dropped."""
        peers = self.peers()
        alive = await asyncio.gather(*(self.server.lives(peer) for peer in peers))
        return [_process(peer) for peer, lives in zip(peers, alive, strict=True) if lives]

    def peers(self) -> list[Peer]:
        """The connected processes, asked nothing: the primary first, then by id."""
        secondaries = [peer for _, peer in sorted(self.server.secondaries.items())]
        return [self.server.primary, *secondaries] if self.server.primary else secondaries

    async def add(self, target: Target, port: object, rings: Iterable[object] = ()) -> None:
        """Create a port. ``rings``: rx and tx ring of a pipe."""
        uid = _changeable(target, port)
        ends = [_uid(ring) for ring in rings]
        if uid.startswith("pipe:") != (len(ends) == 2) or not all(end.startswith("ring:") for end in ends):
            raise BadValue(
                f"{uid}: a pipe, and nothing else, is added with two rings", hint="pri; add pipe:0 ring:0 ring:1"
            )
        await self.ask(target, " ".join(["add", uid, *ends]))

    async def delete(self, target: Target, port: object) -> None:
        """Remove a port. Real SPP stops forwarding by that (spp-facts 4.1)."""
        await self.ask(target, f"del {_changeable(target, port)}")

    async def patch(self, target: Target, src: object, dst: object) -> None:
        """Send what ``src`` receives to ``dst``: one way. For ``sec`` also the numbers that classic SPP shows."""
        ends = [end if target.kind == "sec" and is_ethdev_number(end) else _uid(end) for end in (src, dst)]
        await self.ask(target, "patch {} {}".format(*ends))

    async def reset(self, target: Target) -> None:
        """Forget every patch, keep the ports."""
        await self.ask(target, "patch reset")

    async def forward(self, target: Target, *, start: bool) -> None:
        await self.ask(target, "forward" if start else "stop")

    async def clear(self, target: Target) -> None:
        """Zero the primary's counters."""
        await self.ask(target, "clear")

    async def exit(self, target: Target, *, keep: bool = False) -> None:
        """End a process. Some close without an answer: that is success too (spp-facts 11.5).

        Its ports and patches are forgotten, or with ``keep`` given back when it is started again.
        """
        peer = self.peer(target)
        with contextlib.suppress(NotConnected):
            await self.ask(target, "exit")
        peer.close("it was told to exit")
        if not keep:
            self.server.memory.forget(peer)


def _uid(port: object) -> str:
    try:
        return check_uid(port)
    except ValueError as error:
        raise BadValue(str(error)) from None


def _changeable(target: Target, port: object) -> str:
    uid = _uid(port)
    kind = uid.partition(":")[0]
    if kind in _FIXED and not (kind == "pipe" and target.kind == "primary"):
        raise BadValue(f"{uid} cannot be added to or deleted from {target}", hint=_FIXED[kind])
    return uid


def _process(peer: Peer) -> Process:
    if peer.kind == "primary":
        return {"type": "primary"}
    return {"type": peer.kind, "client-id": peer.client_id}
