"""Build the command line of our own controller, which runs in the same Python as sppr."""

from dataclasses import dataclass
from pathlib import Path

from sppr.run import PYTHON


@dataclass(frozen=True)
class Controller:
    """The settings of the controller.

    ``host``, ``pri_port``, ``sec_port``: the TCP address and ports for SPP processes.
    ``api``: the unix socket for requests of the launcher.
    ``wiring``: the file that keeps the ports and patches of the processes over a restart.
    ``rest_host``, ``rest_port``: the TCP address of REST for all other clients; port 0 disables it.
    ``guests``: the unix socket to which the QEMU of each VM connects.
    ``file_prefix``: the EAL option of this name.
    ``allow_users``, ``allow``: users of this machine, and networks, that may connect.
    ``vm_user``: the user of the QEMU processes, if it differs from the user of the controller.
    ``web``, ``metrics``: whether REST's address also serves the web page and the metrics.
    """

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
    web: bool = True
    metrics: bool = True

    def argv(self) -> list[str]:
        """Return the command line."""
        rest = ["--api-host", self.rest_host, "--api-port", str(self.rest_port)] if self.rest_port else []
        return [
            PYTHON, "-m", "sppr.live", str(self.api.parent),
            "--host", self.host,
            "--pri-port", str(self.pri_port),
            "--sec-port", str(self.sec_port),
            "--api-socket", str(self.api),
            "--wiring", str(self.wiring),
            *(("--guests", str(self.guests)) if self.guests else ()),
            *(("--vm-user", self.vm_user) if self.vm_user else ()),
            "--file-prefix", self.file_prefix,
            *rest,
            *(("--web-token", str(self.api.with_name("web-token"))) if self.web and rest else ("--no-web",)),
            *(() if self.metrics else ("--no-metrics",)),
            *(word for name in self.allow_users for word in ("--allow-user", name)),
            *(word for network in self.allow for word in ("--allow", network)),
        ]  # fmt: skip
