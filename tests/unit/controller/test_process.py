"""The connection to one SPP process, over a real socket pair. The bytes of the process are passed to the protocol by
hand, so each test decides in which pieces they arrive.
"""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sppr.controller.errors import LIST_PROCESSES, NoAnswer, NotConnected
from sppr.controller.server import process
from sppr.controller.server.access import HELLO
from sppr.controller.server.process import MAX_COMMAND_SIZE, PADDED_SIZES, SILENCE, TIMEOUT, ConnectedProcess
from sppr.controller.server.reply import MAX_REPLY_SIZE, Reply

STATUS = {"status": "idling", "ports": ["ring:0"]}
JSON = json.dumps(STATUS).encode()


class Peer:
    """A ConnectedProcess and the other end of its socket. ``closed``: the reasons that were reported."""

    def __init__(self, family: int = socket.AF_UNIX) -> None:
        self.closed: list[str] = []
        self.connected: list[ConnectedProcess] = []
        self.replies: list[tuple[str, Reply]] = []
        self.process = ConnectedProcess(self.connected.append, self._on_closed)
        self.process.kind, self.process.client_id = "nfv", 3
        self.process.on_reply = lambda _, command, reply: self.replies.append((command, reply))
        self.end = self._connect(family)

    def _on_closed(self, process: ConnectedProcess, reason: str) -> None:
        assert process is self.process
        self.closed.append(reason)

    def _connect(self, family: int) -> socket.socket:
        if family == socket.AF_UNIX:
            own, end = socket.socketpair()
        else:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                end = socket.create_connection(listener.getsockname())
                own = listener.accept()[0]
        own.setblocking(False)
        end.setblocking(False)
        self._own = own
        return end

    async def start(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self.process, sock=self._own)

    async def ask(self, command: str, timeout: float | None = TIMEOUT) -> "asyncio.Task[Reply]":
        """Start a request, and return its task after the command was sent."""
        task = asyncio.ensure_future(self.process.request(command, timeout))
        assert await self.sent(len(command)) == command
        return task

    async def sent(self, size: int) -> str:
        """Return the next ``size`` bytes that were sent to the process."""
        data = b""
        while len(data) < size:
            data += await asyncio.get_running_loop().sock_recv(self.end, size - len(data))
        return data.decode()

    def receive(self, *pieces: bytes) -> None:
        """Pass ``pieces`` to the protocol, one after another, as if the process had sent them."""
        for piece in pieces:
            self.process.get_buffer(-1)[: len(piece)] = piece
            self.process.buffer_updated(len(piece))

    async def exchange(self, command: str, *pieces: bytes) -> Reply:
        task = await self.ask(command)
        self.receive(*pieces)
        return await task


def run(test: Callable[[Peer], Awaitable[Any]], family: int = socket.AF_UNIX) -> Peer:
    """Run ``test`` with a new connection, and return it."""
    peer = Peer(family)

    async def whole() -> None:
        await peer.start()
        await test(peer)

    try:
        asyncio.run(asyncio.wait_for(whole(), 20))
    finally:
        peer.end.close()
    return peer


def test_a_request_returns_the_reply_and_reports_it() -> None:
    async def test(peer: Peer) -> None:
        assert peer.connected == [peer.process] and str(peer.process) == "nfv:3"
        reply = await peer.exchange("forward", b"forward\0")
        assert reply == Reply("forward", echo=True) and peer.replies == [("forward", reply)]

    assert run(test).closed == []


def test_a_process_before_the_handshake_has_no_name() -> None:
    assert str(ConnectedProcess(lambda _: None, lambda *_: None)) == "the process"


def test_requests_wait_for_each_other() -> None:
    async def test(peer: Peer) -> None:
        first = await peer.ask("forward")
        second = asyncio.ensure_future(peer.process.request("stop"))
        await asyncio.sleep(0.02)
        with pytest.raises(BlockingIOError):
            peer.end.recv(1)
        peer.receive(b"forward\0")
        await first
        assert await peer.sent(4) == "stop"
        peer.receive(b"stop\0")
        assert (await second).text == "stop"

    run(test)


@pytest.mark.parametrize(
    "command", ["", "a\nb", "a\0b", "é", "\x1b", "x" * (MAX_COMMAND_SIZE + 1)], ids=["empty", *"12345"]
)
def test_a_command_that_no_process_understands_is_not_sent(command: str) -> None:
    async def test(peer: Peer) -> None:
        with pytest.raises(ValueError, match="cannot be sent to an SPP process"):
            await peer.process.request(command)

    assert run(test).replies == []


def test_the_longest_command_is_sent() -> None:
    async def test(peer: Peer) -> None:
        command = "x" * MAX_COMMAND_SIZE
        assert (await peer.exchange(command, command.encode() + b"\0")).echo

    run(test)


def test_status_is_kept_and_shows_whose_data_plane_it_is() -> None:
    async def test(peer: Peer) -> None:
        await peer.exchange("status", JSON)
        assert peer.process.status == STATUS and not peer.process.is_sppr
        assert peer.process.parsed_status is not None and not peer.process.parsed_status.classic
        await peer.exchange("forward", b'{"status": "running", "data_plane": "sppr"}')
        assert peer.process.status == STATUS and not peer.process.is_sppr
        await peer.exchange("status", b'{"data_plane": "sppr"}')
        assert peer.process.is_sppr
        await peer.exchange("status", JSON)
        assert peer.process.is_sppr

    run(test)


def test_a_classic_status_has_the_id_of_the_process() -> None:
    async def test(peer: Peer) -> None:
        await peer.exchange("status", b"Client ID 9 Idling\n\0")
        assert peer.process.status == {"client-id": 3, "status": "idling", "ports": [], "patches": []}

    run(test)


@pytest.mark.parametrize(
    ("reply", "is_sppr", "needs_flush"),
    [
        (b'{"client_id": 3, "process_type": "nfv", "data_plane": "sppr"}', True, False),
        (b'{"client_id": 3, "process_type": "nfv"}', False, False),
        (b'{"client_id": 3}', False, True),
        (b"3\0", False, False),
    ],
)
def test_the_id_shows_the_kind_of_process(reply: bytes, is_sppr: bool, needs_flush: bool) -> None:
    async def test(peer: Peer) -> None:
        await peer.exchange("_get_client_id", reply)
        assert (peer.process.is_sppr, peer.process.needs_flush) == (is_sppr, needs_flush)

    run(test)


@pytest.mark.parametrize("is_sppr", [True, False])
def test_a_stale_socket_of_upstream_vhost_is_removed_before_the_command(
    is_sppr: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[str] = []
    monkeypatch.setattr(process.sockets, "remove_stale_vhost", removed.append)

    async def test(peer: Peer) -> None:
        peer.process.is_sppr = is_sppr
        await peer.exchange("add vhost:1", b"add\0vhost:1\0")

    run(test)
    assert removed == ([] if is_sppr else ["add vhost:1"])


def test_without_an_answer_the_connection_is_closed() -> None:
    async def test(peer: Peer) -> None:
        task = await peer.ask("status", 0.05)
        with pytest.raises(NoAnswer) as caught:
            await task
        assert caught.value.what == "nfv:3 did not answer `status` within 0.05 s; its connection was closed"
        assert caught.value.hint == "it reconnects if it is still running; see its tmux window"
        with pytest.raises(NotConnected) as refused:
            await peer.process.request("status")
        assert (refused.value.what, refused.value.hint) == ("nfv:3 is not connected", LIST_PROCESSES)

    peer = run(test)
    assert peer.closed == ["no answer to `status` within 0.05 s"] and peer.process.closed


def test_a_request_without_a_limit_waits() -> None:
    async def test(peer: Peer) -> None:
        task = await peer.ask("status", None)
        await asyncio.sleep(0.05)
        peer.receive(JSON)
        assert (await task).data == STATUS

    run(test)


def test_a_cancelled_request_closes_the_connection() -> None:
    async def test(peer: Peer) -> None:
        task = await peer.ask("status")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert run(test).closed == ["`status` was cancelled"]


def test_a_process_that_disconnects_fails_the_request() -> None:
    async def test(peer: Peer) -> None:
        task = await peer.ask("status")
        peer.end.close()
        with pytest.raises(NotConnected) as caught:
            await task
        assert caught.value.what == "nfv:3 disconnected: it closed the connection"
        assert caught.value.hint == LIST_PROCESSES

    assert run(test).closed == ["it closed the connection"]


def test_the_error_of_a_lost_connection_is_reported_once() -> None:
    async def test(peer: Peer) -> None:
        peer.process.connection_lost(ConnectionResetError("reset by peer"))
        peer.process.connection_lost(None)
        peer.process.close("twice")

    assert run(test).closed == ["connection lost: reset by peer"]


def test_text_before_the_end_of_the_connection_is_the_reply() -> None:
    async def test(peer: Peer) -> None:
        task = await peer.ask("_get_client_id")
        peer.receive(b"3")
        assert peer.process.eof_received() is False
        assert await task == Reply("3")

    run(test)


def test_text_is_complete_after_a_silence() -> None:
    async def test(peer: Peer) -> None:
        loop = asyncio.get_running_loop()
        task = await peer.ask("_get_client_id")
        peer.receive(b"1")
        await asyncio.sleep(SILENCE / 2)
        start = loop.time()
        peer.receive(b"2")  # begins the silence again
        assert await task == Reply("12")
        assert loop.time() - start >= SILENCE * 0.9

    run(test)


def test_incomplete_json_is_not_complete_after_a_silence() -> None:
    async def test(peer: Peer) -> None:
        task = await peer.ask("status", SILENCE * 3)
        peer.receive(JSON[:10])
        await asyncio.sleep(SILENCE * 1.5)
        assert not task.done()
        peer.receive(JSON[10:])
        assert (await task).data == STATUS

    run(test)


@pytest.mark.parametrize("size", PADDED_SIZES)
def test_late_padding_of_a_reply_is_not_part_of_the_next(size: int) -> None:
    """A reply is complete at its closing brace. The rest of its padding may arrive after the next command."""

    async def test(peer: Peer) -> None:
        await peer.exchange("status", JSON.ljust(size, b"\0"))  # the size is known after it
        await peer.exchange("status", JSON)
        task = await peer.ask("_get_client_id")
        peer.receive(bytes(size - len(JSON)))
        assert not task.done()
        peer.receive(b"3".ljust(10, b"\0"))
        assert (await task).text == "3"

    run(test)


def test_late_bytes_of_a_padded_reply_are_not_part_of_the_next() -> None:
    """The reply is complete at its first NUL. A process that does not clear its buffer sends old bytes behind it."""

    async def test(peer: Peer) -> None:
        await peer.exchange("status", JSON.ljust(1000, b"\0"))  # the size is known after it
        assert (await peer.exchange("forward", b"ok\0")).text == "ok"
        task = await peer.ask("stop")
        peer.receive(b"old".ljust(500, b"\0"), b"bytes".ljust(497, b"\0") + b"stop\0")
        assert (await task).echo

    run(test)


def test_padding_and_the_next_reply_in_one_piece() -> None:
    async def test(peer: Peer) -> None:
        await peer.exchange("status", JSON.ljust(1000, b"\0"))
        await peer.exchange("status", JSON)
        task = await peer.ask("forward")
        peer.receive(bytes(1000 - len(JSON)) + b"forward\0")
        assert (await task).echo

    run(test)


def test_a_size_that_is_no_padding_is_not_expected_again() -> None:
    async def test(peer: Peer) -> None:
        await peer.exchange("status", JSON.ljust(999, b"\0"))
        await peer.exchange("status", JSON)
        await peer.exchange("forward", b"forward\0")

    run(test)


def test_a_reply_of_a_padded_size_without_padding_is_not_expected_again() -> None:
    """Only a reply that ends with NUL shows that the process pads its replies."""

    async def test(peer: Peer) -> None:
        whole = json.dumps({"a": "x" * 991}).encode()
        assert len(whole) == 1000
        await peer.exchange("status", whole)
        await peer.exchange("status", JSON)
        await peer.exchange("forward", b"forward\0")

    run(test)


def test_padding_that_arrives_between_two_commands_is_counted() -> None:
    async def test(peer: Peer) -> None:
        await peer.exchange("status", JSON.ljust(1000, b"\0"))
        await peer.exchange("status", JSON)
        peer.receive(bytes(500), bytes(500 - len(JSON)))
        assert (await peer.exchange("forward", b"forward\0")).echo

    run(test)


def test_a_flood_without_a_command_closes_the_connection() -> None:
    async def test(peer: Peer) -> None:
        size = 32768
        peer.receive(*[b"x" * size] * (MAX_REPLY_SIZE // size))
        assert peer.closed == []
        peer.receive(b"x")

    assert run(test).closed == ["it sent more than 65536 unsolicited bytes"]


def test_each_command_begins_the_count_of_unsolicited_bytes_again() -> None:
    async def test(peer: Peer) -> None:
        for _ in range(3):
            peer.receive(b"\0" * 32768)
            await peer.exchange("forward", b"forward\0")

    assert run(test).closed == []


def test_a_reply_that_never_ends_closes_the_connection() -> None:
    async def test(peer: Peer) -> None:
        task = await peer.ask("status")
        peer.receive(*[b"{" + b"x" * 32767] * 3)
        with pytest.raises(NotConnected, match="disconnected: it sent more than 65536 bytes without an end"):
            await task

    assert run(test).closed == ["it sent more than 65536 bytes without an end"]


def test_bytes_after_the_reply_are_unsolicited() -> None:
    async def test(peer: Peer) -> None:
        task = await peer.ask("forward")
        peer.receive(b"forward\0", b"{" * 100)
        assert (await task).echo

    assert run(test).closed == []


def vm(test: Callable[[Peer], Awaitable[Any]]) -> Peer:
    async def of_vm(peer: Peer) -> None:
        peer.process.vm_id = 3
        await test(peer)

    return run(of_vm)


@pytest.mark.parametrize("pieces", [(HELLO + b"3\0",), (HELLO, b"3\0")], ids=["together", "apart"])
def test_the_hello_of_a_vm_is_not_part_of_the_reply(pieces: tuple[bytes, ...]) -> None:
    async def test(peer: Peer) -> None:
        assert await peer.exchange("_get_client_id", *pieces) == Reply("3")

    assert vm(test).closed == []


@pytest.mark.parametrize("cut", [0, 1, 5, len(HELLO) - 1])
def test_a_second_hello_closes_the_connection(cut: int) -> None:
    """spp_vm was restarted in the guest: it has no ports any more, and the controller must begin again."""

    async def test(peer: Peer) -> None:
        await peer.exchange("_get_client_id", HELLO + b"3\0")
        peer.receive(*filter(None, (HELLO[:cut], HELLO[cut:])))

    assert vm(test).closed == ["its spp_vm was restarted"]


def test_a_hello_right_after_the_first_one_closes_the_connection() -> None:
    async def test(peer: Peer) -> None:
        peer.receive(HELLO)
        assert peer.closed == []
        peer.receive(HELLO)

    assert vm(test).closed == ["its spp_vm was restarted"]


def test_a_hello_after_other_bytes_closes_the_connection() -> None:
    async def test(peer: Peer) -> None:
        peer.receive(b"\0\0", HELLO)

    assert vm(test).closed == ["its spp_vm was restarted"]


def test_hello_of_another_process_than_a_vm_is_data() -> None:
    async def test(peer: Peer) -> None:
        task = await peer.ask("status")
        peer.receive(b"x" + HELLO)
        assert (await task).text == "x"

    assert run(test).closed == []


def test_a_vm_that_lost_the_command_is_closed_after_its_hello(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "HELLO_TIMEOUT", 0.05)

    async def test(peer: Peer) -> None:
        task = await peer.ask("_get_client_id")
        peer.receive(HELLO)
        with pytest.raises(NotConnected, match="its spp_vm did not answer after its hello"):
            await task

    assert vm(test).closed == ["its spp_vm did not answer after its hello"]


def test_a_vm_that_answers_after_its_hello_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "HELLO_TIMEOUT", 0.05)

    async def test(peer: Peer) -> None:
        peer.receive(HELLO)
        await asyncio.sleep(0.1)  # no command is pending
        task = await peer.ask("status")
        peer.receive(JSON[:5])
        await asyncio.sleep(0.1)
        peer.receive(JSON[5:])
        assert (await task).data == STATUS

    assert vm(test).closed == []


def test_tcp_connection_has_endpoints_and_keepalive() -> None:
    async def test(peer: Peer) -> None:
        assert peer.process.endpoints == (peer.end.getpeername(), peer.end.getsockname())
        assert peer.process.address == "{}:{}".format(*peer.end.getsockname())
        sock = peer.process.socket
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        options = [socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT]
        assert [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [1, 1, 1]

    run(test, socket.AF_INET)


def test_unix_socket_has_no_endpoint() -> None:
    async def test(peer: Peer) -> None:
        assert peer.process.endpoints is None and peer.process.address == "?"

    run(test)


def test_a_command_after_the_hello_has_its_own_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a command that was sent before the hello can be lost. A slow guest may need longer for a later one."""
    monkeypatch.setattr(process, "HELLO_TIMEOUT", 0.05)

    async def test(peer: Peer) -> None:
        assert await peer.exchange("_get_client_id", HELLO, b"3\0") == Reply("3")
        task = await peer.ask("status")
        await asyncio.sleep(0.1)
        peer.receive(JSON)
        assert (await task).data == STATUS

    assert vm(test).closed == []
