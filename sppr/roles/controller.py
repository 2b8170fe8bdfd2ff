"""The controller's process: the one that ships with us, in the Python that runs sppr."""

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Controller:
    """``api``: the unix socket on which it answers the launcher; ``wiring``: the file in which it remembers ports and
    patches of the processes."""

    host: str
    pri_port: int
    sec_port: int
    api: Path
    wiring: Path

    def argv(self) -> list[str]:
        return [
            sys.executable, "-m", "sppr.controller",
            "--host", self.host,
            "--pri-port", str(self.pri_port),
            "--sec-port", str(self.sec_port),
            "--api-socket", str(self.api),
            "--wiring", str(self.wiring),
        ]  # fmt: skip
