"""A guest of the data plane: QEMU on an instance of a template with spp_vm, and its serial console."""

import contextlib
import signal
import socket
from pathlib import Path

from pexpect.popen_spawn import PopenSpawn

from sppr.controller.server.access import HELLO
from sppr.controller.server.reply import ReplyParser
from sppr.images.build import SHELL_READY
from sppr.parts.vm import Machine
from tests.live.dataplane_lab import REPLY_SIZE, Connection

#: Limit of the boot of a guest, in seconds, for a machine with many users. On an idle machine it takes 4 s.
BOOT_SECONDS = 200
#: The controller's socket of VMs, in the folder of the guest.
SOCKET = "guests.sock"


class GuestConnection(Connection):
    """The connection of QEMU for a guest. spp_vm first sends HELLO. QEMU keeps the connection when spp_vm ends."""

    def ask_raw(self, command: str) -> bytes:
        """Return the reply. It is not padded, so the controller's parser finds its end."""
        self.sock.sendall(command.encode())
        got, parser = b"", ReplyParser(command)
        while parser.feed(b"") is None:
            chunk = self.sock.recv(REPLY_SIZE)
            assert chunk, f"{command}: closed after {len(got)} bytes"
            new = (got + chunk).removeprefix(HELLO)
            parser.feed(new[len(got.removeprefix(HELLO)) :])
            got += chunk
        return got.removeprefix(HELLO)


class GuestController:
    """A controller that listens for the connection of a guest's QEMU."""

    def __init__(self, folder: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(folder / SOCKET))
        self.listener.listen()
        self.listener.settimeout(BOOT_SECONDS)

    def accept(self) -> GuestConnection:
        connection = GuestConnection(self.listener.accept()[0])
        connection.sock.settimeout(BOOT_SECONDS)
        return connection


class Guest:
    """A VM that does not change ``image`` (snapshot=on)."""

    def __init__(self, image: Path, folder: Path, vm_id: int, **ports: tuple[Path, ...]) -> None:
        self.vm = Machine(
            kind="ring", id=vm_id, disk=image, memory=192, cores=1, accel="tcg", qmp=folder / f"{vm_id}.qmp",
            console=folder / f"{vm_id}.console", ssh_port=0, controller=(folder / SOCKET, 6666),
            extra=("-snapshot-is-set-below",), **ports,
        )  # fmt: skip
        argv = [word for word in self.vm.argv() if word != "-snapshot-is-set-below"]
        self.console = PopenSpawn([*argv, "-snapshot"], timeout=BOOT_SECONDS)
        self.console.logfile_read = (folder / f"{vm_id}.log").open("ab")

    def wait_prompt(self) -> None:
        self.console.expect(SHELL_READY.encode())

    def run(self, command: str) -> str:
        """Run ``command`` on the console, and return its output."""
        self.console.sendline(f"{command}; printf 'end%d\\n' $?")
        self.console.expect(rb"end\d+\r*\n")
        text = self.console.before.decode(errors="replace").replace("\r", "")
        self.wait_prompt()
        return "\n".join(text.split("\n")[1:]).strip()

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.console.kill(signal.SIGKILL)
        self.console.wait()  # type: ignore[no-untyped-call]
