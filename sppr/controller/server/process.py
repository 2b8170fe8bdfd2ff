"""The connection to one SPP process: one command at a time, one reply to each, and a time limit for every wait.

ConnectedProcess is an asyncio protocol, not a stream, because the event loop then reads every connection all the time.
An idle process that disconnects is noticed at once and without a task of its own, and the memory for unread data is
limited to one fixed buffer and one reply.
"""

import asyncio
import socket
from collections.abc import Callable

from sppr.controller.errors import LIST_PROCESSES, NoAnswer, NotConnected
from sppr.controller.server import dialect, sockets
from sppr.controller.server.access import HELLO, HELLO_TIMEOUT, Endpoint
from sppr.controller.server.reply import MAX_REPLY_SIZE, Reply, ReplyParser
from sppr.spp.names import Target

#: Seconds for a command and its reply.
TIMEOUT = 3.0
#: Seconds without a byte after which text without a NUL counts as complete. Only the small fakes of the tests need it;
#: no SPP process does.
SILENCE = 0.2
#: Maximum size of a command in bytes. vf copies a command into 888 bytes without a check (docs/spp-protocol.md,
#: Transport).
MAX_COMMAND_SIZE = 800
#: Sizes to which nfv and primary pad a reply, by release (docs/spp-protocol.md, Transport).
PADDED_SIZES = (1000, 2048, 32768)
#: The connection to a machine that vanished is closed after IDLE + INTERVAL * COUNT seconds, 2 in all. The end of a
#: process is noticed at once.
KEEPALIVE = {"TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 1}
#: Shared by all connections: the event loop fills it and calls ``buffer_updated`` before it reads another connection.
_BUFFER = memoryview(bytearray(32768))


class ConnectedProcess(asyncio.BufferedProtocol):
    """A connected SPP process.

    - ``kind``: primary, nfv, vm, vf, mirror or pcap; empty before the handshake.
    - ``status``: the status object it sent last. ``parsed_status``: the same, with its dialect.
    - ``bare_id``: it sent its id as bare digits (SPP up to 18.08.1).
    - ``needs_flush``: its changes take effect only after ``flush`` (vf up to 18.05).
    - ``is_sppr``: it belongs to sppr's own data plane, not to upstream SPP.
    - ``change_lock``: held while a change is sent and compared with the status.
    - ``closed``: the connection is closed.
    - ``vm_id``: the id of the VM whose QEMU this is; 0 for a process connected by TCP.
    - ``endpoints``: of TCP, the local address and that of the process. ``address``: the latter as text, for the log.
    - ``on_reply``: called with each command and its reply.

    ``on_closed`` is called once, when the connection is closed, with the reason.
    """

    def __init__(
        self, on_connected: Callable[["ConnectedProcess"], None], on_closed: Callable[["ConnectedProcess", str], None]
    ) -> None:
        self.kind = ""
        self.client_id = 0
        self.bare_id = False
        self.is_sppr = False
        self.change_lock = asyncio.Lock()
        self.needs_flush = False
        self.parsed_status: dialect.ParsedStatus | None = None
        self.closed = False
        self.address = "?"
        self.vm_id = 0
        self.endpoints: tuple[Endpoint, Endpoint | None] | None = None
        self.status: dict[str, object] = {}
        self.on_reply: Callable[[ConnectedProcess, str, Reply], None] | None = None
        self._on_connected, self._on_closed = on_connected, on_closed
        self._unsolicited = 0
        self._padded_size = 0  # size to which the process pads its replies; 0: unknown, or no padding
        self._received = 0  # bytes since the last command
        self._padding_due = 0  # bytes of the previous reply that have not arrived yet
        self._ends_with_nul = False  # the byte received last is NUL
        self._last_bytes: bytes | None = None  # VM only: the bytes received last; None: no byte was received yet
        self._lock = asyncio.Lock()
        self._transport: asyncio.Transport | None = None
        self._pending: tuple[ReplyParser, asyncio.Future[Reply]] | None = None
        self._silence: asyncio.TimerHandle | None = None

    def __str__(self) -> str:
        return str(Target(self.kind, self.client_id)) if self.kind else "the process"

    async def request(self, command: str, timeout: float | None = TIMEOUT) -> Reply:
        """Send ``command`` when its turn has come, and return the reply. ``timeout``: in seconds; None for no limit.

        Raise NotConnected if the process is disconnected or disconnects before it answers, NoAnswer if it does not
        answer in time, and ValueError if the command cannot be sent. After NoAnswer the connection is closed, because a
        late reply would be taken for the reply to the next command.
        """
        if not command.isascii() or not command.isprintable() or not 0 < len(command) <= MAX_COMMAND_SIZE:
            raise ValueError(f"{command!r} cannot be sent to an SPP process")
        async with self._lock:
            if self.closed or self._transport is None:
                raise NotConnected(f"{self} is not connected", hint=LIST_PROCESSES)
            if not self.is_sppr:
                sockets.remove_stale_vhost(command)
            reply = await self._exchange(self._transport, command, timeout)
        if command == "status":
            self.parsed_status = dialect.parse_status(reply, self.client_id)
            self.status = self.parsed_status.status
            self.is_sppr = self.is_sppr or self.status.get("data_plane") == "sppr"
        elif command == "_get_client_id":
            self.is_sppr = reply.data is not None and reply.data.get("data_plane") == "sppr"
            self.needs_flush = reply.data is not None and "process_type" not in reply.data
        if self.on_reply is not None:
            self.on_reply(self, command, reply)
        return reply

    async def _exchange(self, transport: asyncio.Transport, command: str, timeout: float | None) -> Reply:
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._pending = (ReplyParser(command), answer)
        if self._received in PADDED_SIZES and self._ends_with_nul:
            self._padded_size = self._received
        self._padding_due = max(0, self._padded_size - self._received) if self._received else 0
        self._received = self._unsolicited = 0
        transport.write(command.encode())
        try:
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            self.close(f"no answer to `{command}` within {timeout:g} s")
            what = f"{self} did not answer `{command}` within {timeout:g} s; its connection was closed"
            raise NoAnswer(what, hint="it reconnects if it is still running; see its tmux window") from None
        except asyncio.CancelledError:
            self.close(f"`{command}` was cancelled")
            raise
        finally:
            self._pending = None
            self._cancel_silence_timer()

    def close(self, reason: str) -> None:
        """Close the connection. Idempotent."""
        if self._transport is not None:
            self._transport.abort()
        self._mark_closed(reason)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set TCP keepalive, record the endpoints, and call ``on_connected``."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        sock = transport.get_extra_info("socket")
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # works on a socket that was reset, too
            for name, seconds in KEEPALIVE.items():
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)
            self.endpoints = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
            self.address = "{}:{}".format(*self.endpoints[1]) if self.endpoints[1] else "?"
        self._on_connected(self)

    @property
    def socket(self) -> socket.socket:
        """The socket of this connection, for questions to the kernel."""
        assert self._transport is not None
        found: socket.socket = self._transport.get_extra_info("socket")
        return found

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """Return the shared receive buffer."""
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Pass the received bytes to the parser of the pending reply. Close the connection on an oversized or
        unsolicited flood.
        """
        self._cancel_silence_timer()
        if self.vm_id and not (nbytes := self._skip_hello(nbytes)):
            return
        self._ends_with_nul = _BUFFER[nbytes - 1] == 0
        if self._pending is None or self._pending[1].done():
            self._unsolicited += nbytes
            self._received += nbytes  # the padding of the previous reply, or unsolicited data
            if self._unsolicited > MAX_REPLY_SIZE:
                self.close(f"it sent more than {MAX_REPLY_SIZE} unsolicited bytes")
            return
        parser, answer = self._pending
        padding = min(self._padding_due, nbytes)
        self._padding_due -= padding
        self._received += nbytes - padding
        try:
            reply = parser.feed(bytes(_BUFFER[padding:nbytes]))
        except ValueError as error:
            self.close(f"it sent {error}")
            return
        if reply is not None:
            answer.set_result(reply)
        else:
            self._silence = asyncio.get_running_loop().call_later(SILENCE, self._finish_after_silence)

    def _skip_hello(self, nbytes: int) -> int:
        """Remove the HELLO of a VM's spp_vm from the buffer, and return how many bytes are left.

        A HELLO that follows other bytes closes the connection: spp_vm was restarted in the guest.
        """
        first = self._last_bytes is None
        data = (self._last_bytes or b"") + bytes(_BUFFER[:nbytes])
        self._last_bytes = data[1 - len(HELLO) :]
        if first and data.startswith(HELLO):
            rest = data[len(HELLO) :]
            self._last_bytes = rest[1 - len(HELLO) :]
            _BUFFER[: len(rest)] = rest
            asyncio.get_running_loop().call_later(HELLO_TIMEOUT, self._check_answer, self._pending)
            return len(rest)
        if HELLO in data:
            self.close("its spp_vm was restarted")
            return 0
        return nbytes

    def _check_answer(self, pending: tuple[ReplyParser, asyncio.Future[Reply]] | None) -> None:
        """Close the connection of a VM that lost ``pending``, the command sent before its HELLO. QEMU then connects
        again. A later command has reached spp_vm, and has its own time limit.
        """
        if pending is not None and self._pending is pending and self._received == 0:
            self.close("its spp_vm did not answer after its hello")

    def eof_received(self) -> bool:
        """Complete the pending reply. Returns False, which closes this side of the connection as well."""
        self._finish_after_silence()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the reason to ``on_closed``."""
        self._mark_closed(f"connection lost: {exc}" if exc else "it closed the connection")

    def _finish_after_silence(self) -> None:
        self._cancel_silence_timer()
        if self._pending is not None and not self._pending[1].done():
            reply = self._pending[0].finish()
            if reply is not None:
                self._pending[1].set_result(reply)

    def _cancel_silence_timer(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _mark_closed(self, reason: str) -> None:
        if self.closed:
            return
        self.closed = True
        self._cancel_silence_timer()
        if self._pending is not None and not self._pending[1].done():
            self._pending[1].set_exception(NotConnected(f"{self} disconnected: {reason}", hint=LIST_PROCESSES))
        self._on_closed(self, reason)
