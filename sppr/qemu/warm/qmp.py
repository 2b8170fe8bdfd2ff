"""The QMP connection of a guest that is saved or resumed, over a socket that QEMU inherits."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

from qemu.qmp import QMPClient, QMPError

from sppr.errors import LaunchError
from sppr.qemu.pluggable import Command

#: The memory is a file of its own and not part of the stream. QEMU has this capability only in QMP.
_SHARED = {"capabilities": [{"capability": "x-ignore-shared", "state": True}]}
_POLL_SECONDS = 0.003


class Failed(LaunchError):
    """QEMU refused a command, or ended."""


class Connection:
    """A QMP connection."""

    def __init__(self, client: QMPClient) -> None:
        self._client = client

    async def execute(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        """Execute a command and return its result. Raise Failed."""
        try:
            return await self._client.execute(command, arguments or {})
        except (QMPError, OSError, EOFError) as e:
            raise Failed(f"{command}: {e}") from e

    async def send_fd(self, name: str, fd: int) -> None:
        """Send a file descriptor, which QEMU then knows by a name."""
        self._client.send_fd_scm(fd)
        await self.execute("getfd", {"fdname": name})

    async def save(self, fd: int) -> None:
        """Stop the guest, write its devices to a file, and end QEMU."""
        await self.execute("stop")
        await self.execute("migrate-set-capabilities", _SHARED)
        await self.send_fd("devices", fd)
        await self.execute("migrate", {"uri": "fd:devices"})
        while (found := await self.execute("query-migrate")).get("status") != "completed":
            if found.get("status") in ("failed", "cancelled"):
                raise Failed(f"migrate: {found.get('error-desc', 'failed')}")
            await asyncio.sleep(_POLL_SECONDS)
        with contextlib.suppress(Failed):
            await self.execute("quit")

    async def load(self, fd: int) -> None:
        """Load the devices of a guest from a file. It stays paused."""
        await self.execute("migrate-set-capabilities", _SHARED)
        await self.send_fd("devices", fd)
        await self.execute("migrate-incoming", {"uri": "fd:devices"})
        while (await self.execute("query-status"))["status"] == "inmigrate":
            await asyncio.sleep(_POLL_SECONDS)

    async def run(self, commands: list[Command]) -> None:
        """Execute commands in order."""
        for command, arguments in commands:
            await self.execute(command, arguments)


@contextlib.asynccontextmanager
async def connected(sock: socket.socket) -> AsyncIterator[Connection]:
    """Connect to the QEMU at the other end of ``sock``."""
    client = QMPClient("sppr")
    try:
        await client.connect(sock)
        yield Connection(client)
    except (QMPError, OSError, EOFError) as e:
        raise Failed(f"QEMU ended: {e}") from e
    finally:
        with contextlib.suppress(QMPError, OSError, EOFError):
            await client.disconnect()


def inherited(sock: socket.socket) -> int:
    """Return the file descriptor of a socket that the next program inherits."""
    os.set_inheritable(sock.fileno(), True)
    return sock.fileno()
