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
