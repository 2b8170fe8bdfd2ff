"""A running QEMU by QMP (package qemu.qmp): powerdown, then quit. One short connection a question."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from qemu.qmp import QMPClient, QMPError

from sppr.deadline import Deadline

logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)


def execute(socket: Path, command: str, timeout: float = 2.0) -> bool:
    """Send one command; whether QEMU took it. A QEMU that waits for a vhost-user peer does not even greet."""

    async def talk() -> None:
        client = QMPClient("sppr")
        await client.connect(str(socket))
        try:
            await client.execute(command)
        finally:
            await _leave(client)

    try:
        asyncio.run(asyncio.wait_for(talk(), timeout))
    except (QMPError, OSError, EOFError, TimeoutError):
        return command == "quit" and not socket.exists()
    return True


async def _leave(client: QMPClient) -> None:
    """``disconnect`` raises EOFError after a quit."""
    try:
        await client.disconnect()
    except (QMPError, OSError, EOFError):
        return


def shut_down(socket: Path, alive: Callable[[], bool], powerdown: Deadline, leave: Deadline) -> str | None:
    """End a guest: powerdown, then quit. Returns how (``powerdown``, ``quit``), None where it still runs."""
    if not alive():
        return "gone"
    if execute(socket, "system_powerdown") and powerdown.poll(lambda: not alive(), 0.1):
        return "powerdown"
    execute(socket, "quit")
    return "quit" if leave.poll(lambda: not alive(), 0.05) else None
