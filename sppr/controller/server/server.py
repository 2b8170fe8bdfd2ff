"""Accept connections of SPP processes: the primary on one port, secondaries on another, VMs on a unix socket.

The server performs the handshake, refuses duplicate and invalid ids, and keeps the table of connected processes
(docs/spp-protocol.md, Client id).
"""

import asyncio
import functools
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from sppr.controller.errors import NoAnswer, NotConnected
from sppr.controller.restore import Restorer
from sppr.controller.server import access
from sppr.controller.server.process import TIMEOUT, ConnectedProcess
from sppr.controller.server.reply import Reply
from sppr.spp.names import FIRST_ID, LAST_ID, printable

KINDS = ("nfv", "vm", "vf", "mirror", "pcap")
#: Maximum number of connections. Ids end at 127; the rest is for connections whose handshake is not complete.
MAX_CONNECTIONS = 320


class Server:
    """The table of connected processes.

    - ``log``: called with a line for each process that connects, disconnects or is refused.
    - ``restorer``: restores the ports and patches of a process that was connected before. The process enters the table
      after that.
    - ``max_connections``: further connections are refused.
    - ``rules``: who may connect by TCP.
    - ``vm_uid``: the user that QEMU runs as, if ``rules`` do not include that user.
    - ``timeout``: seconds for each command.

    ``on_connected`` and ``on_disconnected`` (with the reason) are called for each registered process.
    """

    def __init__(
        self,
        log: Callable[[str], None],
        *,
        timeout: float = TIMEOUT,
        restorer: Restorer | None = None,
        max_connections: int = MAX_CONNECTIONS,
        rules: access.AccessRules | None = None,
        vm_uid: int | None = None,
    ) -> None:
        self.primary: ConnectedProcess | None = None
        self.secondaries: dict[int, ConnectedProcess] = {}
        self.timeout = timeout
        self.on_connected: Callable[[ConnectedProcess], None] | None = None
        self.on_disconnected: Callable[[ConnectedProcess, str], None] | None = None
        self._max_connections = min(max_connections, MAX_CONNECTIONS)
        self.restorer = restorer or Restorer(log)
        self._log = log
        self._rules = rules or access.make_rules()
        self._vm_uids = self._rules.users | ({vm_uid} if vm_uid is not None else set())
        self._refusals = access.RefusalLog(log)
        self._id_locks: dict[int, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[ConnectedProcess] = set()
        self._listeners: list[asyncio.Server] = []

    async def listen(self, primary: socket.socket, secondary: socket.socket, vm: socket.socket | None = None) -> None:
        """Serve on two bound TCP sockets, and on the unix socket for VMs (``vm``), until ``close``."""
        loop = asyncio.get_running_loop()
        places = [(primary, self._handshake_primary), (secondary, self._handshake_secondary)]
        if vm is not None:
            places.append((vm, self._handshake_vm))
        for sock, handshake in places:
            on_connected = functools.partial(self._on_connected, handshake)
            self._listeners.append(
                await loop.create_server(functools.partial(ConnectedProcess, on_connected, self._on_closed), sock=sock)
            )

    async def close(self) -> None:
        """Stop listening and close every connection. The processes keep running and try to connect to the next
        controller.
        """
        for listener in self._listeners:
            listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._log = lambda _line: None
        self.on_disconnected = None
        for process in list(self._connections):
            process.close("the controller is stopping")
        await asyncio.sleep(0)

    async def is_alive(self, process: ConnectedProcess) -> bool:
        """Return whether ``process`` answers ``status`` now. If it does not, it is removed from the table."""
        try:
            await process.request("status", self.timeout)
        except (NotConnected, NoAnswer):
            return False
        return True

    def _on_connected(
        self, handshake: Callable[[ConnectedProcess], Awaitable[None]], process: ConnectedProcess
    ) -> None:
        if reason := self._refusal(process):
            self._refuse(process, reason)
            return
        if len(self._connections) >= self._max_connections:
            self._refuse(process, f"too many connections: {self._max_connections}")
            return
        self._connections.add(process)
        task = asyncio.ensure_future(self._handshake(handshake, process))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _refusal(self, process: ConnectedProcess) -> str:
        """Return the reason to refuse a connection, or an empty text. No byte of the connection has been read yet."""
        if process.endpoints is not None:
            return self._rules.refusal(*process.endpoints)
        found = access.vm_id(process.socket, self._vm_uids)
        if isinstance(found, str):
            return found
        process.vm_id, process.address = found, f"VM {found}"
        return ""

    async def _handshake(
        self, handshake: Callable[[ConnectedProcess], Awaitable[None]], process: ConnectedProcess
    ) -> None:
        try:
            await handshake(process)
        except (NotConnected, NoAnswer) as error:
            self._refuse(process, error.what)

    async def _handshake_primary(self, process: ConnectedProcess) -> None:
        """Check the status of a primary, and register it.

        SPP's protocol has no handshake for a primary (docs/spp-protocol.md, Client id). Its status is checked
        nevertheless: a web page can send a request to this port from the browser of a user who may connect.
        """
        reply = await process.request("status", self.timeout)
        if reply.data is None and not reply.text.startswith("Server "):
            self._refuse(process, f"it is not an SPP primary: it answered {printable(reply.text, 40)!r}")
            return
        async with self._id_lock(0):
            if self.primary is not None and await self.is_alive(self.primary):
                self._refuse(process, "another primary is already connected")
            elif not process.closed:
                process.kind = "primary"
                await self._register(process)

    async def _handshake_vm(self, process: ConnectedProcess) -> None:
        """Wait for the guest without a time limit: QEMU connects when it starts, and the guest answers once it has
        booted.
        """
        await self._handshake_secondary(process, None)

    async def _handshake_secondary(self, process: ConnectedProcess, timeout: float | None = 0) -> None:
        found = parse_identity(await process.request("_get_client_id", self.timeout if timeout == 0 else timeout))
        if isinstance(found, str):
            self._refuse(process, found)
            return
        kind, client_id, bare_id = found
        if process.vm_id not in (0, client_id):
            self._refuse(process, f"its guest sent id {client_id}, which is not the id of the VM")
            return
        async with self._id_lock(client_id):
            old = self.secondaries.get(client_id)
            if old is not None and await self.is_alive(old):
                self._refuse(process, f"id {client_id} is already used by {old}: give one of them another id")
            elif not process.closed:
                process.kind, process.client_id, process.bare_id = kind, client_id, bare_id
                await self._register(process)

    async def _register(self, process: ConnectedProcess) -> None:
        """Restore the ports and patches of a new process, and then add it to the table."""
        message = await self.restorer.synchronize(process, self.timeout)
        if process.closed:
            return
        if process.kind == "primary":
            self.primary = process
        else:
            self.secondaries[process.client_id] = process
        self._log(f"{process} connected")
        if message:
            self._log(message)
        if self.on_connected is not None:
            self.on_connected(process)

    def _id_lock(self, client_id: int) -> asyncio.Lock:
        """Return the lock that lets processes of one id register one at a time."""
        return self._id_locks.setdefault(client_id, asyncio.Lock())

    def _refuse(self, process: ConnectedProcess, reason: str) -> None:
        """Close a new connection, and log its address and the reason."""
        self._refusals.refused(process.address, reason)
        process.close(reason)

    def _on_closed(self, process: ConnectedProcess, reason: str) -> None:
        self._connections.discard(process)
        if self.primary is process:
            self.primary = None
        elif self.secondaries.get(process.client_id) is process:
            del self.secondaries[process.client_id]
        else:
            return
        self._log(f"{process} disconnected: {reason}")
        if self.on_disconnected is not None:
            self.on_disconnected(process, reason)


def parse_identity(reply: Reply) -> tuple[str, int, bool] | str:
    """Return kind, id, and whether the id came as bare digits, from the reply to ``_get_client_id``; or the reason to
    refuse the process, as text.

    JSON without ``process_type`` is spp_vf of 17.11 to 18.05. Bare digits are nfv and vm up to 18.08.1
    (docs/spp-protocol.md, Client id).
    """
    kind: Any
    client_id: Any
    if reply.data is None:
        if not (reply.text.isascii() and reply.text.isdigit() and len(reply.text) < 10):
            return f"it is not an SPP process: it answered {printable(reply.text, 40)!r}"
        kind, client_id, bare_id = "nfv", int(reply.text), True
    else:
        kind, client_id, bare_id = reply.data.get("process_type", "vf"), reply.data.get("client_id"), False
    if reply.failed or kind not in KINDS:
        return f"it is not an SPP secondary: it answered {printable(reply.text, 120)!r}"
    if not isinstance(client_id, int) or isinstance(client_id, bool):
        return f"it sent no id: it answered {printable(reply.text, 120)!r}"
    if not FIRST_ID <= client_id <= LAST_ID:
        return f"id {client_id} is not in {FIRST_ID} to {LAST_ID}"
    return kind, client_id, bare_id
