"""The controller's process: the one that ships with us, in the Python that runs sppr."""

from dataclasses import dataclass
from pathlib import Path

from sppr.run import PYTHON


@dataclass(frozen=True)
class Controller:
    """``api``: the unix socket on which it answers the launcher. ``guests``: the unix socket to which VMs connect.
    ``wiring``: the file that keeps ports and patches of the processes over a restart. ``rest_port``: REST for all
    others; 0: none. ``allow_users``, ``allow``: users of this machine and networks that may connect. ``file_prefix``:
    EAL's. ``vm_user``: the user that QEMU runs as, where that is not the controller's."""

    host: str
    pri_port: int
    sec_port: int
    api: Path
    wiring: Path
    rest_host: str = "127.0.0.1"
    rest_port: int = 0
    guests: Path | None = None
    file_prefix: str = "rte"
    allow_users: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    vm_user: str = ""

    def argv(self) -> list[str]:
        rest = ["--api-host", self.rest_host, "--api-port", str(self.rest_port)] if self.rest_port else []
        return [
            PYTHON, "-m", "sppr.controller",
            "--host", self.host,
            "--pri-port", str(self.pri_port),
            "--sec-port", str(self.sec_port),
            "--api-socket", str(self.api),
            "--wiring", str(self.wiring),
            *(("--guests", str(self.guests)) if self.guests else ()),
            *(("--vm-user", self.vm_user) if self.vm_user else ()),
            "--file-prefix", self.file_prefix,
            *rest,
            *(word for name in self.allow_users for word in ("--allow-user", name)),
            *(word for network in self.allow for word in ("--allow", network)),
        ]  # fmt: skip
