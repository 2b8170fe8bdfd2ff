"""Who is connected: the primary on one port, secondaries on the other. Handshakes, duplicates, refusals (facts 3.4)."""

import asyncio
import functools
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

from sppr.spp.names import FIRST_ID, LAST_ID, printable

from .faults import NoAnswer, NotConnected
from .memory import Memory
from .reply import Reply
from .wire import TIMEOUT, Peer

KINDS = ("nfv", "vm", "vf", "mirror", "pcap")
#: Seconds in which the same refusal is logged once: a refused process comes back every second.
QUIET = 30.0
#: Refusals told of in that time; whoever babbles could fill the log else.
MOST_TOLD = 30
#: Connections held at once: ids end at 127, the rest are newcomers that are asked who they are.
MOST_PEERS = 320


class Server:
    """The table of connected processes, kept by itself. ``log`` gets a line for each that comes, goes or is refused.

    ``memory`` wires a process that was here before; only then it is in the table.
    """

    def __init__(
        self,
        log: Callable[[str], None],
        *,
        timeout: float = TIMEOUT,
        memory: Memory | None = None,
        most: int = MOST_PEERS,
    ) -> None:
        self.primary: Peer | None = None
        self.secondaries: dict[int, Peer] = {}
        self.timeout = timeout
        self._most = min(most, MOST_PEERS)
        self.memory = memory or Memory(log)
        self._log = log
        self._logged: dict[str, float] = {}
        self._doors: dict[int, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._peers: set[Peer] = set()
        self._listeners: list[asyncio.Server] = []

    async def listen(self, primary: socket.socket, secondary: socket.socket) -> None:
        """Serve on two bound sockets, until ``close``."""
        loop = asyncio.get_running_loop()
        for sock, greet in ((primary, self._greet_primary), (secondary, self._greet_secondary)):
            met = functools.partial(self._meet, greet)
            self._listeners.append(await loop.create_server(functools.partial(Peer, met, self._lose), sock=sock))

    async def close(self) -> None:
        """Stop listening and close every connection; the processes live on and look for the next controller."""
        for listener in self._listeners:
            listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._log = lambda _line: None
        for peer in list(self._peers):
            peer.close("the controller ends")
        await asyncio.sleep(0)

    async def lives(self, peer: Peer) -> bool:
        """Whether ``peer`` answers ``status`` now. It is gone from the table if not."""
        try:
            await peer.request("status", self.timeout)
        except (NotConnected, NoAnswer):
            return False
        return True

    def _meet(self, greet: Callable[[Peer], Awaitable[None]], peer: Peer) -> None:
        if len(self._peers) >= self._most:
            self._refuse(peer, f"too many connections: {self._most}")
            return
        self._peers.add(peer)
        task = asyncio.ensure_future(self._welcome(greet, peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _welcome(self, greet: Callable[[Peer], Awaitable[None]], peer: Peer) -> None:
        try:
            await greet(peer)
        except (NotConnected, NoAnswer) as error:
            self._refuse(peer, error.what)

    async def _greet_primary(self, peer: Peer) -> None:
        """The connection is the primary's, nothing is sent first (spp-facts 11.1)."""
        async with self._door(0):
            if self.primary is not None and await self.lives(self.primary):
                self._refuse(peer, "a primary is connected and answers")
            elif not peer.gone:
                peer.kind = "primary"
                await self._admit(peer)

    async def _greet_secondary(self, peer: Peer) -> None:
        found = introduced(await peer.request("_get_client_id", self.timeout))
        if isinstance(found, str):
            self._refuse(peer, found)
            return
        kind, client_id, plain = found
        async with self._door(client_id):
            old = self.secondaries.get(client_id)
            if old is not None and await self.lives(old):
                self._refuse(peer, f"id {client_id} belongs to {old}, which answers: give one of them another id")
            elif not peer.gone:
                peer.kind, peer.client_id, peer.plain = kind, client_id, plain
                await self._admit(peer)

    async def _admit(self, peer: Peer) -> None:
        """Take a newcomer into the table, once it is wired as it was before."""
        said = await self.memory.welcome(peer, self.timeout)
        if peer.gone:
            return
        if peer.kind == "primary":
            self.primary = peer
        else:
            self.secondaries[peer.client_id] = peer
        self._log(f"{peer} connected")
        if said:
            self._log(said)

    def _door(self, client_id: int) -> asyncio.Lock:
        """Newcomers of one id pass one at a time."""
        return self._doors.setdefault(client_id, asyncio.Lock())

    def _refuse(self, peer: Peer, reason: str) -> None:
        """Close a newcomer. The log names its address, which differs each time, but counts only the reason."""
        now = time.monotonic()
        if now - self._logged.get(reason, -QUIET) >= QUIET:
            self._logged = {r: t for r, t in self._logged.items() if now - t < QUIET}
            if len(self._logged) < MOST_TOLD:
                self._log(f"refused {peer.address}: {reason}")
            elif len(self._logged) == MOST_TOLD:
                self._log("refused more than can be told of")
            if len(self._logged) <= MOST_TOLD:
                self._logged[reason] = now
        peer.close(reason)

    def _lose(self, peer: Peer, reason: str) -> None:
        self._peers.discard(peer)
        if self.primary is peer:
            self.primary = None
        elif self.secondaries.get(peer.client_id) is peer:
            del self.secondaries[peer.client_id]
        else:
            return
        self._log(f"{peer} disconnected: {reason}")


def introduced(reply: Reply) -> tuple[str, int, bool] | str:
    """Kind, id and whether it spoke in bare digits, out of the answer to ``_get_client_id``; or why it is refused.

    JSON without ``process_type`` is spp_vf of 17.11 to 18.05, digits are nfv and vm up to 18.08.1 (spp-facts 11.3).
    """
    kind: Any
    client_id: Any
    if reply.data is None:
        if not (reply.text.isascii() and reply.text.isdigit() and len(reply.text) < 10):
            return f"it is no SPP process: it answered {printable(reply.text, 40)!r}"
        kind, client_id, plain = "nfv", int(reply.text), True
    else:
        kind, client_id, plain = reply.data.get("process_type", "vf"), reply.data.get("client_id"), False
    if reply.failed or kind not in KINDS:
        return f"it is no secondary of SPP: it answered {printable(reply.text, 120)!r}"
    if not isinstance(client_id, int) or isinstance(client_id, bool):
        return f"it told no id: it answered {printable(reply.text, 120)!r}"
    if not FIRST_ID <= client_id <= LAST_ID:
        return f"id {client_id} is not in {FIRST_ID} to {LAST_ID}"
    return kind, client_id, plain
