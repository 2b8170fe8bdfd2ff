"""Test a TCP connection between two network namespaces. Offloads can corrupt TCP checksums even if ping works."""

import socket
import threading
import time

from sppr.host.network.packet_socket import run_in_netns

#: Bytes that the client sends, and the server sends back.
BYTES = 65_536
#: Time limit in seconds of each step.
TIMEOUT = 5.0


def tcp(client: str, server: str, address: str) -> float:
    """Connect from the namespace ``client`` to ``address`` in ``server``, and exchange bytes. Return the seconds taken.

    Raise OSError if the connection fails, or if other bytes come back.
    """
    start = time.monotonic()
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
            received = _receive(sock)
            sender.join(TIMEOUT)
    finally:
        listener.close()
        echo.join(TIMEOUT)
    if received != sent:
        count = f"{len(received):,} of {len(sent):,} bytes"
        raise OSError(f"{count} came back" if len(received) < len(sent) else "other bytes came back")
    return time.monotonic() - start


def _receive(sock: socket.socket) -> bytes:
    received = bytearray()
    while len(received) < BYTES:
        chunk = sock.recv(65_536)
        if not chunk:
            break
        received += chunk
    return bytes(received)


def _echo(listener: socket.socket) -> None:
    """Accept one connection, and send everything back."""
    try:
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(TIMEOUT)
            while chunk := sock.recv(65_536):
                sock.sendall(chunk)
    except OSError:
        return  # the client reports it
