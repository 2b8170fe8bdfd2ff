"""The controller's process: the one that ships with us, in the Python that runs sppr."""

from dataclasses import dataclass
from pathlib import Path

from sppr.run import PYTHON


@dataclass(frozen=True)
class Controller:
    """``api``: the unix socket on which it answers the launcher; ``wiring``: the file in which it remembers ports and
    patches of the processes. ``rest_port``: REST for all others; 0: none."""

    host: str
    pri_port: int
    sec_port: int
    api: Path
    wiring: Path
    rest_host: str = "127.0.0.1"
    rest_port: int = 0

    def argv(self) -> list[str]:
        rest = ["--api-host", self.rest_host, "--api-port", str(self.rest_port)] if self.rest_port else []
        return [
            PYTHON, "-m", "sppr.controller",
            "--host", self.host,
            "--pri-port", str(self.pri_port),
            "--sec-port", str(self.sec_port),
            "--api-socket", str(self.api),
            "--wiring", str(self.wiring),
            *rest,
        ]  # fmt: skip
