"""sppr.spp.http_call with a server that sends given bytes."""

import socket
import threading
from pathlib import Path

import pytest

from sppr.spp import http_call


def answered(folder: Path, raw: bytes, *, step: int = 1 << 16) -> tuple[tuple[int, bytes], bytes]:
    """Return the result of a call, and the request that the server saw."""
    path = folder / "api.sock"
    seen = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                seen.append(sock.recv(65536))
                for start in range(0, len(raw), step):
                    sock.sendall(raw[start : start + step])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            return http_call.call(str(path), 5.0, "PUT", "/v1/nfvs/1/ports", '{"a": 1}'), seen[0]
        finally:
            thread.join()


@pytest.mark.parametrize("step", [1, 7, 65536])
def test_body_ends_at_its_content_length(tmp_path: Path, step: int) -> None:
    raw = b"HTTP/1.0 200 OK\r\nServer: x\r\nContent-Length: 4\r\n\r\n[{}]"
    found, request = answered(tmp_path, raw, step=step)
    assert found == (200, b"[{}]")
    assert request == b'PUT /v1/nfvs/1/ports HTTP/1.0\r\nHost: localhost\r\nContent-Length: 8\r\n\r\n{"a": 1}'


def test_body_without_length_ends_with_the_connection(tmp_path: Path) -> None:
    assert answered(tmp_path, b"HTTP/1.1 404 Not Found\r\n\r\nno such process")[0] == (404, b"no such process")


def test_reply_without_content_has_no_body(tmp_path: Path) -> None:
    assert answered(tmp_path, b"HTTP/1.0 204 No Content\r\nX: y\r\n\r\n")[0] == (204, b"")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "closed without a response"),
        (b"SSH-2.0-x\r\n\r\n", "not HTTP"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\n[]", "cut off: 2 of 10 bytes"),
        (b"HTTP/1.0 200 OK\r\nContent-Le", "cut off"),
    ],
)
def test_invalid_reply_is_an_error(tmp_path: Path, raw: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        answered(tmp_path, raw)


def test_reply_that_is_too_long_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_call, "MAX_RESPONSE", 50)
    with pytest.raises(ValueError, match="more than 50 bytes"):
        answered(tmp_path, b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 100)


def test_refused_connection_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        http_call.call(str(tmp_path / "none.sock"), 1.0, "GET", "/")


class Server:
    """A TCP server that answers each connection with ``raw``, and records what it received."""

    def __init__(self, raw: bytes) -> None:
        self.seen: list[bytes] = []
        self._raw = raw
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        sock, _ = self._listener.accept()
        with sock:
            self.seen.append(sock.recv(65536))
            sock.sendall(self._raw)

    def close(self) -> None:
        self._thread.join(5)
        self._listener.close()


def test_a_call_over_tcp_without_a_body() -> None:
    server = Server(b"HTTP/1.0 200 OK\r\n\r\n[]")
    assert http_call.call(server.address, 5.0, "GET", "/v1/processes") == (200, b"[]")
    server.close()
    assert server.seen == [f"GET /v1/processes HTTP/1.0\r\nHost: {server.address}\r\n\r\n".encode()]


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_server_without_a_reply_times_out(tmp_path: Path, family: int) -> None:
    with socket.socket(family) as listener:
        listener.bind(str(tmp_path / "x.sock") if family == socket.AF_UNIX else ("127.0.0.1", 0))
        listener.listen()
        name = listener.getsockname()
        with pytest.raises(TimeoutError):
            http_call.call(name if isinstance(name, str) else "{}:{}".format(*name), 0.05, "GET", "/")


def test_only_the_header_has_the_length(tmp_path: Path) -> None:
    raw = b"HTTP/1.0 200 OK\r\n\r\nx\r\nContent-Length: 1\r\n\r\nyy"
    assert answered(tmp_path, raw)[0] == (200, raw[19:])


def test_bytes_after_the_body_are_dropped(tmp_path: Path) -> None:
    assert answered(tmp_path, b"HTTP/1.0 200 OK\r\ncontent-length:2\r\n\r\n[]xyz")[0] == (200, b"[]")


def test_no_content_has_no_body(tmp_path: Path) -> None:
    assert answered(tmp_path, b"HTTP/1.0 204 No Content\r\n\r\nxyz")[0] == (204, b"")


def test_the_longest_response(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 29
    monkeypatch.setattr(http_call, "MAX_RESPONSE", len(raw))
    assert answered(tmp_path, raw)[0] == (200, b"x" * 29)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "the connection was closed without a response"),
        (b"HTTP/2 200\r\n\r\n", "the response is not HTTP"),
        (b"HTTP/1.0 200 OK\r\n", "the response was cut off in its header"),
    ],
)
def test_the_whole_reason_of_a_bad_response(tmp_path: Path, raw: bytes, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        answered(tmp_path, raw)
    assert str(caught.value) == reason
