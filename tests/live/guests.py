"""A real guest of the data plane: QEMU on an instance of a template that carries spp_vm, and its serial console."""

import contextlib
import signal
from pathlib import Path

from pexpect.popen_spawn import PopenSpawn

from sppr.images.build import SHELL_READY
from sppr.roles.vm import Machine

TEMPLATE_SECONDS = 120


class Guest:
    """``image`` stays as it is (snapshot=on)."""

    def __init__(self, image: Path, folder: Path, vm_id: int, port: int, **ports: tuple[Path, ...]) -> None:
        self.vm = Machine(
            kind="ring", id=vm_id, disk=image, memory=192, cores=1, accel="tcg", qmp=folder / f"{vm_id}.qmp",
            console=folder / f"{vm_id}.console", ssh_port=0, controller=("127.0.0.1", port),
            extra=("-snapshot-is-set-below",), **ports,
        )  # fmt: skip
        argv = [word for word in self.vm.argv() if word != "-snapshot-is-set-below"]
        self.console = PopenSpawn([*argv, "-snapshot"], timeout=60)
        self.console.logfile_read = (folder / f"{vm_id}.log").open("ab")

    def wait_prompt(self) -> None:
        self.console.expect(SHELL_READY.encode())

    def run(self, command: str) -> str:
        """What ``command`` prints on the console."""
        self.console.sendline(f"{command}; printf 'end%d\\n' $?")
        self.console.expect(rb"end\d+\r*\n")
        text = self.console.before.decode(errors="replace").replace("\r", "")
        self.wait_prompt()
        return "\n".join(text.split("\n")[1:]).strip()

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.console.kill(signal.SIGKILL)
        self.console.wait()  # type: ignore[no-untyped-call]
