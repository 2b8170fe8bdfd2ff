"""Who is connected: the primary on one port, secondaries on the other. Handshakes, duplicates, refusals (facts 3.4)."""

import asyncio
import functools
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from sppr.controller.errors import NoAnswer, NotConnected
from sppr.controller.restore import Restorer
from sppr.controller.server import access
from sppr.controller.server.process import TIMEOUT, Peer
from sppr.controller.server.reply import Reply
from sppr.spp.names import FIRST_ID, LAST_ID, printable

KINDS = ("nfv", "vm", "vf", "mirror", "pcap")
#: Connections held at once: ids end at 127, the rest are newcomers that are asked who they are.
MOST_PEERS = 320


class Server:
    """The table of connected processes, kept by itself. ``log`` gets a line for each that comes, goes or is refused.

    ``memory`` wires a process that was here before; only then it is in the table. ``rules``: who may connect by TCP.
    ``vm_uid``: the user that QEMU runs as, where that is none of those.
    """

    def __init__(
        self,
        log: Callable[[str], None],
        *,
        timeout: float = TIMEOUT,
        memory: Restorer | None = None,
        most: int = MOST_PEERS,
        rules: access.Access | None = None,
        vm_uid: int | None = None,
    ) -> None:
        self.primary: Peer | None = None
        self.secondaries: dict[int, Peer] = {}
        self.timeout = timeout
        self._most = min(most, MOST_PEERS)
        self.memory = memory or Restorer(log)
        self._log = log
        self._rules = rules or access.of()
        self._vm_users = self._rules.users | ({vm_uid} if vm_uid is not None else set())
        self._refusals = access.RefusalLog(log)
        self._id_locks: dict[int, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._peers: set[Peer] = set()
        self._listeners: list[asyncio.Server] = []

    async def listen(
        self, primary: socket.socket, secondary: socket.socket, guest: socket.socket | None = None
    ) -> None:
        """Serve on two bound TCP sockets, and on the unix socket of VMs (``guest``), until ``close``."""
        loop = asyncio.get_running_loop()
        places = [(primary, self._greet_primary), (secondary, self._greet_secondary)]
        if guest is not None:
            places.append((guest, self._greet_guest))
        for sock, greet in places:
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
        if reason := self._refusal(peer):
            self._refuse(peer, reason)
            return
        if len(self._peers) >= self._most:
            self._refuse(peer, f"too many connections: {self._most}")
            return
        self._peers.add(peer)
        task = asyncio.ensure_future(self._welcome(greet, peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _refusal(self, peer: Peer) -> str:
        """Why this connection is refused, before a byte of it is read; empty when it is allowed."""
        if peer.ends is not None:
            return self._rules.refusal(*peer.ends)
        found = access.vm_id(peer.socket, self._vm_users)
        if isinstance(found, str):
            return found
        peer.vm_id, peer.address = found, f"VM {found}"
        return ""

    async def _welcome(self, greet: Callable[[Peer], Awaitable[None]], peer: Peer) -> None:
        try:
            await greet(peer)
        except (NotConnected, NoAnswer) as error:
            self._refuse(peer, error.what)

    async def _greet_primary(self, peer: Peer) -> None:
        """SPP asks a primary nothing at first (spp-facts 11.1). Its status must be one of a primary all the same: a web
        page can send a request to this port from the browser of a user who may connect."""
        reply = await peer.request("status", self.timeout)
        if reply.data is None and not reply.text.startswith("Server "):
            self._refuse(peer, f"it is no primary of SPP: it answered {printable(reply.text, 40)!r}")
            return
        async with self._id_lock(0):
            if self.primary is not None and await self.lives(self.primary):
                self._refuse(peer, "a primary is connected and answers")
            elif not peer.gone:
                peer.kind = "primary"
                await self._admit(peer)

    async def _greet_guest(self, peer: Peer) -> None:
        """QEMU connects at its start, and its guest answers once it has booted: wait for it."""
        await self._greet_secondary(peer, None)

    async def _greet_secondary(self, peer: Peer, timeout: float | None = 0) -> None:
        found = introduced(await peer.request("_get_client_id", self.timeout if timeout == 0 else timeout))
        if isinstance(found, str):
            self._refuse(peer, found)
            return
        kind, client_id, plain = found
        if peer.vm_id not in (0, client_id):
            self._refuse(peer, f"its guest claims id {client_id}")
            return
        async with self._id_lock(client_id):
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

    def _id_lock(self, client_id: int) -> asyncio.Lock:
        """The lock that admits newcomers of one id one at a time."""
        return self._id_locks.setdefault(client_id, asyncio.Lock())

    def _refuse(self, peer: Peer, reason: str) -> None:
        """Close a newcomer, and log its address and the reason."""
        self._refusals.refused(peer.address, reason)
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
