"""Resume a VM from a saved state.

This process becomes QEMU. What has to be done after that is done by a helper process, which ends when the guest runs.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sppr.errors import SpprError
from sppr.qemu.pluggable import Frontend, Netdev
from sppr.qemu.warm import qmp, states
from sppr.qemu.warm.machine import Handover
from sppr.qemu.warm.states import State

#: Seconds for QEMU to load the state, and for the guest to answer. Each takes a quarter of a second.
LOAD_SECONDS = 20.0
_ANSWER = b"resumed\n"
_SEED_BYTES = 64


@dataclass(frozen=True)
class Resume:
    """A VM that is about to resume. ``own``, ``theirs``: both ends of the sockets of ``handover``."""

    state: State
    handover: Handover
    own: tuple[socket.socket, socket.socket]
    theirs: tuple[socket.socket, socket.socket]

    def start_helper(self, plugs: Sequence[Netdev | Frontend], resuming: Path | None) -> None:
        """Start the helper. Call this right before this process executes QEMU.

        ``plugs``: what is plugged into the guest before it runs. ``resuming``: a file that exists until it runs. If it
        does not come to that, QEMU is killed, and the state is removed unless only a device could not be plugged.
        """
        if resuming is not None:
            resuming.touch()
        qemu = os.pidfd_open(os.getpid())
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            os.close(qemu)
            for sock in self.own:
                sock.close()
            return
        try:
            if os.fork() == 0:  # not a child of QEMU, which would have to wait for it
                for sock in self.theirs:
                    sock.close()
                for fd in (self.handover.memory, *self.handover.disk):
                    os.close(fd)
                _help(self, plugs, resuming, qemu)
        finally:
            os._exit(0)


def prepare(state: State, disk: Path, *, shared: bool) -> Resume:
    """Open the memory of a state and the disk of the VM, and make the sockets.

    ``shared``: whether other processes read and write the memory of the guest. It gets a copy then. Otherwise all
    guests have the pages of the file in common, and each keeps to itself what it writes.

    Raise SpprError if there is not enough memory, or if a file cannot be opened.
    """
    try:
        memory = _copy(state.memory) if shared else os.open(state.memory, os.O_RDWR)
        opened = (os.open(disk, os.O_RDONLY), os.open(disk, os.O_RDWR))
    except OSError as e:
        raise SpprError(f"{e.filename or state.memory}: {e.strerror}") from e
    for fd in (memory, *opened):
        os.set_inheritable(fd, True)
    resume, control = socket.socketpair(), socket.socketpair()
    handover = Handover(memory, qmp.inherited(resume[1]), qmp.inherited(control[1]), opened)
    return Resume(state, handover, (resume[0], control[0]), (resume[1], control[1]))


def _copy(source: Path) -> int:
    """Return a memfd with the content of a sparse file."""
    target = os.memfd_create("guest")
    with source.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        os.ftruncate(target, size)
        end = 0
        while (start := _next(file.fileno(), end, os.SEEK_DATA)) is not None:
            end = _next(file.fileno(), start, os.SEEK_HOLE) or size
            os.lseek(target, start, os.SEEK_SET)
            os.lseek(file.fileno(), start, os.SEEK_SET)
            left = end - start
            while left:
                left -= os.sendfile(target, file.fileno(), None, left)
    return target


def _next(fd: int, offset: int, what: int) -> int | None:
    """Return the offset of the next data or hole, or None at the end of the file."""
    try:
        return os.lseek(fd, offset, what)
    except OSError:
        return None


def _help(resume: Resume, plugs: Sequence[Netdev | Frontend], resuming: Path | None, qemu: int) -> None:
    """Load the state, plug the devices in, and let the guest run."""
    step, why = "load", "the helper ended"

    def begin(name: str) -> None:
        nonlocal step
        step = name

    try:
        asyncio.run(_resume(resume, plugs, begin))
        step = ""
        if resuming is not None:
            resuming.unlink(missing_ok=True)
    except (SpprError, OSError, TimeoutError) as e:
        why = str(e)
    finally:
        if step:
            if step != "plug":
                states.remove(resume.state)
            os.write(2, f"\r\nthe VM could not resume from its saved state: {why}\r\n".encode())
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(qemu, signal.SIGKILL)


async def _resume(resume: Resume, plugs: Sequence[Netdev | Frontend], begin: Callable[[str], None]) -> None:
    """Take the steps ``load``, ``plug`` and ``run``. ``begin`` is called with the name of each step after the first."""
    serial, control = resume.own
    async with qmp.connected(control) as connection:
        with resume.state.devices.open("rb") as file:
            await asyncio.wait_for(connection.load(file.fileno()), LOAD_SECONDS)
        begin("plug")
        await connection.run([plug.command() for plug in plugs])
        begin("run")
        await connection.execute("cont")
        serial.sendall(line(time.time()))
        # QEMU drops what the guest has not read when the socket is closed.
        await asyncio.wait_for(_read_answer(serial), LOAD_SECONDS)


async def _read_answer(serial: socket.socket) -> None:
    serial.setblocking(False)
    answer = b""
    while not answer.endswith(_ANSWER):
        received = await asyncio.get_running_loop().sock_recv(serial, len(_ANSWER))
        if not received:
            raise SpprError("QEMU ended")
        answer += received


def line(now: float) -> bytes:
    """Return what spp_resume reads in the guest: the time, and random numbers that no other guest has."""
    return f"{now:.6f} {secrets.token_hex(_SEED_BYTES)}\n".encode()
