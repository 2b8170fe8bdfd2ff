"""One connected SPP process: one command at a time, one reply each, a limit on every wait.

A protocol of asyncio and not a stream: the loop then reads each connection all the time, so an idle process that goes
away is noticed at once, no task is needed for that, and what can be buffered is one fixed buffer and one reply.
"""

import asyncio
import socket
from collections.abc import Callable

from sppr.controller.errors import NoAnswer, NotConnected
from sppr.controller.server import dialect, sockets
from sppr.controller.server.access import HELLO, HELLO_TIMEOUT, End
from sppr.controller.server.reply import MOST, Reply, ReplyCutter
from sppr.spp.names import Target

#: Seconds an exchange may take.
TIMEOUT = 3.0
#: Seconds without a byte after which text without a NUL is taken as whole. No SPP process needs it; small fakes do.
SILENCE = 0.2
#: Bytes of a command: vf copies it into 888 bytes unchecked (spp-facts 3.1).
LONGEST_COMMAND = 800
#: To what nfv and primary pad a reply, by version (spp-facts 0).
SIZES = (1000, 2048, 32768)
#: A machine that vanished is given up after IDLE + INTERVAL * COUNT seconds: 2. Processes that end are noticed at once.
KEEPALIVE = {"TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 1}
#: One for all: the loop fills it and hands it to ``buffer_updated`` in one go.
_BUFFER = memoryview(bytearray(32768))


class Peer(asyncio.BufferedProtocol):
    """A connected process. ``kind`` is primary, nfv, vm, vf, mirror or pcap, empty before the handshake.

    ``status`` is the last status object it sent, for completion; ``told`` the same with its dialect. ``plain`` is true
    if it introduced itself by bare digits (SPP up to 18.08.1), ``staged`` if its changes want a ``flush`` (vf up to
    18.05). ``heard`` is called with each command and its reply. ``lost`` is called once, when the connection is over,
    with the reason.

    ``ours``: it is a process of our own data plane. ``changing``: held while a change is made and compared.
    ``vm_id``: the id of the VM whose QEMU this is, 0 for a process that is connected by TCP. ``ends``: own address and
    the peer's, of TCP.
    """

    def __init__(self, met: Callable[["Peer"], None], lost: Callable[["Peer", str], None]) -> None:
        self.kind = ""
        self.client_id = 0
        self.plain = False
        self.ours = False
        self.changing = asyncio.Lock()
        self.staged = False
        self.told: dialect.Told | None = None
        self.gone = False
        self.address = "?"
        self.vm_id = 0
        self.ends: tuple[End, End | None] | None = None
        self.status: dict[str, object] = {}
        self.heard: Callable[[Peer, str, Reply], None] | None = None
        self._met, self._lost = met, lost
        self._unasked = 0
        self._size = 0  # to what it pads; 0: not known, or it does not
        self._count = 0  # bytes since the last command
        self._owed = 0  # bytes of the reply before that are still to come
        self._padded = False  # the last byte was NUL
        self._tail: bytes | None = None  # of a VM: the end of what was received last; None: nothing was received yet
        self._lock = asyncio.Lock()
        self._transport: asyncio.Transport | None = None
        self._pending: tuple[ReplyCutter, asyncio.Future[Reply]] | None = None
        self._silence: asyncio.TimerHandle | None = None

    def __str__(self) -> str:
        return str(Target(self.kind, self.client_id)) if self.kind else "it"

    async def request(self, command: str, timeout: float | None = TIMEOUT) -> Reply:
        """Send ``command`` when its turn has come and return the reply.

        Raises NotConnected if the process is gone or goes before it answers, NoAnswer after ``timeout`` seconds (None:
        never): the process is dropped then, since a late answer would be taken for that of the next command. ValueError
        for a command that cannot be sent.
        """
        if not command.isascii() or not command.isprintable() or not 0 < len(command) <= LONGEST_COMMAND:
            raise ValueError(f"{command!r} cannot be sent to an SPP process")
        async with self._lock:
            if self.gone or self._transport is None:
                raise NotConnected(f"{self} is not connected", hint="look with: status")
            if not self.ours:
                sockets.remove_stale_vhost(command)
            reply = await self._exchange(self._transport, command, timeout)
        if command == "status":
            self.told = dialect.read(reply, self.client_id)
            self.status = self.told.status
            self.ours = self.ours or self.status.get("data_plane") == "sppr"
        elif command == "_get_client_id":
            self.ours = reply.data is not None and reply.data.get("data_plane") == "sppr"
            self.staged = reply.data is not None and "process_type" not in reply.data
        if self.heard is not None:
            self.heard(self, command, reply)
        return reply

    async def _exchange(self, transport: asyncio.Transport, command: str, timeout: float | None) -> Reply:
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._pending = (ReplyCutter(command), answer)
        if self._count in SIZES and self._padded:
            self._size = self._count
        self._owed = max(0, self._size - self._count) if self._count else 0
        self._count = self._unasked = 0
        transport.write(command.encode())
        try:
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            self.close(f"no answer to `{command}` within {timeout:g} s")
            what = f"{self} did not answer `{command}` within {timeout:g} s and was dropped"
            raise NoAnswer(what, hint="it reconnects by itself if it still runs; see its own window") from None
        except asyncio.CancelledError:
            self.close(f"`{command}` was given up")
            raise
        finally:
            self._pending = None
            self._hush()

    def close(self, reason: str) -> None:
        """Drop the connection. Idempotent."""
        if self._transport is not None:
            self._transport.abort()
        self._over(reason)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        sock = transport.get_extra_info("socket")
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # also of a socket that was reset
            for name, seconds in KEEPALIVE.items():
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)
            self.ends = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
            self.address = "{}:{}".format(*self.ends[1]) if self.ends[1] else "?"
        self._met(self)

    @property
    def socket(self) -> socket.socket:
        """The socket of this connection, to ask the kernel about it."""
        assert self._transport is not None
        found: socket.socket = self._transport.get_extra_info("socket")
        return found

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        self._hush()
        if self.vm_id and not (nbytes := self._skip_hello(nbytes)):
            return
        self._padded = _BUFFER[nbytes - 1] == 0
        if self._pending is None or self._pending[1].done():
            self._unasked += nbytes
            self._count += nbytes  # the padding of the reply before, or babble
            if self._unasked > MOST:
                self.close(f"it sent more than {MOST} bytes nobody asked for")
            return
        cutter, answer = self._pending
        late = min(self._owed, nbytes)
        self._owed -= late
        self._count += nbytes - late
        try:
            reply = cutter.feed(bytes(_BUFFER[late:nbytes]))
        except ValueError as error:
            self.close(f"it sent {error}")
            return
        if reply is not None:
            answer.set_result(reply)
        else:
            self._silence = asyncio.get_running_loop().call_later(SILENCE, self._settle)

    def _skip_hello(self, nbytes: int) -> int:
        """Remove the HELLO of a VM's spp_vm from the buffer, and return how many bytes are left. A HELLO after other
        bytes closes the connection."""
        first = self._tail is None
        data = (self._tail or b"") + bytes(_BUFFER[:nbytes])
        self._tail = data[1 - len(HELLO) :]
        if first and data.startswith(HELLO):
            rest = data[len(HELLO) :]
            self._tail = rest[1 - len(HELLO) :]
            _BUFFER[: len(rest)] = rest
            asyncio.get_running_loop().call_later(HELLO_TIMEOUT, self._check_answer)
            return len(rest)
        if HELLO in data:
            self.close("its spp_vm has started again")
            return 0
        return nbytes

    def _check_answer(self) -> None:
        """Close the connection of a VM whose question was lost; QEMU connects again."""
        if self._pending is not None and self._count == 0:
            self.close("no answer followed its hello")

    def eof_received(self) -> bool:
        self._settle()
        return False  # close our side too

    def connection_lost(self, exc: Exception | None) -> None:
        self._over(f"connection lost: {exc}" if exc else "it closed the connection")

    def _settle(self) -> None:
        self._hush()
        if self._pending is not None and not self._pending[1].done():
            reply = self._pending[0].settle()
            if reply is not None:
                self._pending[1].set_result(reply)

    def _hush(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _over(self, reason: str) -> None:
        if self.gone:
            return
        self.gone = True
        self._hush()
        if self._pending is not None and not self._pending[1].done():
            self._pending[1].set_exception(NotConnected(f"{self} went away: {reason}", hint="look with: status"))
        self._lost(self, reason)
