"""Save the state of a guest: boot an image until its initrd waits, and keep its memory and its devices."""

import asyncio
import errno
import os
import socket
from pathlib import Path

from sppr.deadline import Deadline
from sppr.errors import SpprError
from sppr.qemu import devices
from sppr.qemu.serial import Serial
from sppr.qemu.warm import qmp, states
from sppr.qemu.warm.machine import argv
from sppr.qemu.warm.states import Guest, State

#: What spp_resume prints in the guest when it waits.
READY = "sppr: ready to be saved"
#: Unit in which memory of zeros is left out of the file.
_BLOCK = 64 << 10


def save(guest: Guest, image: Path, image_format: str, confinement: devices.Confinement, deadline: Deadline) -> State:
    """Save the state of a guest of this image, and return it. The image is only read.

    Raise SpprError if the guest does not come to wait, or if its state cannot be written. Nothing remains then.
    """
    states.remove_outdated(guest)
    state = State(states.temporary(guest))
    try:
        state.folder.mkdir(mode=0o700, parents=True)
        _save(state, guest, image, image_format, confinement, deadline)
        states.write_note(state, guest)
        if states.find(guest) is None:  # otherwise another process has saved it meanwhile
            states.remove(State(guest.folder))
            _rename(state.folder, guest.folder)
    except OSError as e:
        raise SpprError(f"{e.filename or state.folder}: {e.strerror}") from e
    finally:
        states.remove(state)
    return State(guest.folder)


def _rename(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as e:
        if e.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # another process was faster
            raise


def _save(
    state: State, guest: Guest, image: Path, image_format: str, confinement: devices.Confinement, deadline: Deadline
) -> None:
    written = state.folder / "memory.full"
    with written.open("wb") as file:  # without the space, QEMU would die of SIGBUS
        os.posix_fallocate(file.fileno(), 0, guest.memory << 20)
    machine = devices.Machine("sppr-state", guest.memory, guest.cores, guest.accel, memory_file=written)
    disk = devices.opts(file=image, format=image_format, if_="none", id="disk", readonly=True)
    own, theirs = zip(socket.socketpair(), socket.socketpair(), strict=True)
    fds = [sock.fileno() for sock in theirs]
    with state.devices.open("wb") as stream:
        try:
            words = argv(machine, ["-drive", disk], devices.Terminal(), *fds)
            wait = devices.FwCfg("save", "1").argv()
            for sock in theirs:
                sock.set_inheritable(True)
            program = [guest.program, *words, *confinement.argv(), *wait]
            with Serial(program, state.folder / "console.log", fds) as console:
                console.wait_text(READY, deadline)
                asyncio.run(asyncio.wait_for(_write(own[1], stream.fileno()), deadline.remaining()))
        finally:
            for sock in (*own, *theirs):
                sock.close()
    _copy_sparse(written, state.memory)
    written.unlink()
    (state.folder / "console.log").unlink()


async def _write(control: socket.socket, fd: int) -> None:
    async with qmp.connected(control) as connection:
        await connection.save(fd)


def _copy_sparse(source: Path, target: Path) -> None:
    """Copy a file without its blocks of zeros. Those of the guest are free memory, and a copy for a VM is smaller."""
    zeros = bytes(_BLOCK)
    with source.open("rb") as reader, target.open("wb") as writer:
        os.truncate(writer.fileno(), source.stat().st_size)
        while block := reader.read(_BLOCK):
            if block != zeros[: len(block)]:
                os.pwrite(writer.fileno(), block, reader.tell() - len(block))
