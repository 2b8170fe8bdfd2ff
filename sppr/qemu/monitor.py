"""Control a running QEMU through QMP (package qemu.qmp), with one short connection for each command."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from qemu.qmp import QMPClient, QMPError

from sppr.deadline import Deadline

logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)


def execute(socket: Path, command: str, timeout: float = 2.0) -> bool:
    """Send one command, and return whether QEMU accepted it within ``timeout`` seconds.

    A QEMU that waits for a vhost-user peer does not even send its greeting.
    """

    async def send() -> None:
        client = QMPClient("sppr")
        await client.connect(str(socket))
        try:
            await client.execute(command)
        finally:
            await _disconnect(client)

    try:
        asyncio.run(asyncio.wait_for(send(), timeout))
    except (QMPError, OSError, EOFError, TimeoutError):
        return command == "quit" and not socket.exists()
    return True


async def _disconnect(client: QMPClient) -> None:
    """Disconnect. After ``quit``, ``disconnect`` raises EOFError, which is ignored."""
    try:
        await client.disconnect()
    except (QMPError, OSError, EOFError):
        return


def shut_down(socket: Path, alive: Callable[[], bool], powerdown: Deadline, leave: Deadline) -> str | None:
    """Stop a guest by ``system_powerdown``, and after the deadline ``powerdown`` by ``quit``.

    Return ``gone`` if it was not running, else the command that stopped it: ``powerdown`` or ``quit``. Return None if
    it still runs at the deadline ``leave``.
    """
    if not alive():
        return "gone"
    if execute(socket, "system_powerdown") and powerdown.poll(lambda: not alive(), 0.1):
        return "powerdown"
    execute(socket, "quit")
    return "quit" if leave.poll(lambda: not alive(), 0.05) else None
