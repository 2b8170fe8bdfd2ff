"""One HTTP request over a unix socket or TCP, for verbs that must answer at once.

http.client does the same, but its import takes 15 ms: `sppr status` took 2.2 times an import of click, and takes 1.9.

The request is HTTP/1.0: the server answers without chunks and closes the connection.
"""

import re
import socket

#: Bytes of the largest answer that is read.
MOST = 1 << 24
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r\n]")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*(?:\r\n|$)", re.IGNORECASE)


def call(address: str, timeout: float, method: str, path: str, body: str = "") -> tuple[int, bytes]:
    """Send one request and return the status and the body of the answer.

    ``address``: the path of a unix socket, or ``host:port``. ``timeout``: seconds that one send or receive may take.
    Raises OSError where the connection fails, ValueError for an answer that is not HTTP, too long or cut off.
    """
    host = "localhost" if "/" in address else address
    head = [f"{method} {path} HTTP/1.0", f"Host: {host}"]
    head += [f"Content-Length: {len(body.encode())}"] if body else []
    with _connect(address, timeout) as sock:
        sock.sendall("\r\n".join([*head, "", body]).encode())
        return _answer(sock)


def _connect(address: str, timeout: float) -> socket.socket:
    if "/" not in address:
        host, _, port = address.rpartition(":")
        return socket.create_connection((host, int(port)), timeout)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def _answer(sock: socket.socket) -> tuple[int, bytes]:
    """Read until the end of the body: its Content-Length, or else the end of the connection."""
    got = bytearray()
    body, length = -1, None
    while body < 0 or length is None or len(got) < body + length:
        chunk = sock.recv(65536)
        if not chunk:
            break
        got += chunk
        if len(got) > MOST:
            raise ValueError(f"an answer of more than {MOST} bytes")
        if body < 0 and (end := got.find(b"\r\n\r\n")) >= 0:
            body = end + 4
            found = _LENGTH.search(got, 0, end + 2)
            length = int(found[1]) if found else None
    if not got:
        raise ValueError("the connection was closed without an answer")
    status = _STATUS.match(got)
    if status is None:
        raise ValueError("the answer is not HTTP")
    if body < 0:
        raise ValueError("the answer was cut off in its header")
    if length is not None and len(got) < body + length:
        raise ValueError(f"the answer was cut off: {len(got) - body} of {length} bytes")
    if status[1] == b"204":
        return 204, b""
    return int(status[1]), bytes(got[body:] if length is None else got[body : body + length])
