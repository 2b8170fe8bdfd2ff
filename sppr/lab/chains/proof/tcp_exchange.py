"""One TCP connection between two network namespaces: where ping works, offloads can still spoil checksums of TCP."""

import socket
import threading
import time

from sppr.host.network.packet_socket import run_in_netns

#: Sent by the client, and back by the server.
BYTES = 65_536
#: Seconds for each step.
TIMEOUT = 5.0


def tcp(client: str, server: str, address: str) -> float:
    """Connect from one namespace to ``address`` in the other, send bytes, and have them sent back. Return the seconds
    it took. OSError where it fails."""
    began = time.monotonic()
    listener = run_in_netns(server, lambda: socket.create_server((address, 0)))
    listener.settimeout(TIMEOUT)
    echo = threading.Thread(target=_echo, args=(listener,), daemon=True)
    echo.start()
    try:
        port = listener.getsockname()[1]
        with run_in_netns(client, lambda: socket.create_connection((address, port), TIMEOUT)) as sock:
            sock.settimeout(TIMEOUT)
            sent = bytes(range(256)) * (BYTES // 256)
            sender = threading.Thread(target=sock.sendall, args=(sent,), daemon=True)
            sender.start()
            got = _receive(sock)
            sender.join(TIMEOUT)
    finally:
        listener.close()
        echo.join(TIMEOUT)
    if got != sent:
        raise OSError(
            f"{len(got):,} of {len(sent):,} bytes came back" if len(got) < len(sent) else "other bytes came back"
        )
    return time.monotonic() - began


def _receive(sock: socket.socket) -> bytes:
    got = bytearray()
    while len(got) < BYTES:
        chunk = sock.recv(65_536)
        if not chunk:
            break
        got += chunk
    return bytes(got)


def _echo(listener: socket.socket) -> None:
    try:
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(TIMEOUT)
            while chunk := sock.recv(65_536):
                sock.sendall(chunk)
    except OSError:
        return  # the client reports it
