"""Build the command lines of the controllers of an upstream SPP tree, in the Python that their release needs.

(docs/spp-protocol.md, Controllers)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sppr.run import PYTHON
from sppr.spp import releases
from sppr.spp.releases import Version


@dataclass(frozen=True)
class SppCtl:
    """The settings of ``spp-ctl``, which serves the SPP processes and REST.

    ``python``: path of the interpreter. ``tree``: root of the SPP tree.
    ``host``: the address of all its ports.
    ``pri_port``, ``sec_port``, ``rest_port``: the ports of the primary, of the secondaries and of REST.
    """

    python: str
    tree: Path
    host: str
    pri_port: int
    sec_port: int
    rest_port: int

    def argv(self) -> list[str]:
        """Return the command line."""
        ports = ["-p", str(self.pri_port), "-s", str(self.sec_port), "-a", str(self.rest_port)]
        return [self.python, str(releases.script_path(self.tree, "spp-ctl")), "-b", self.host, *ports]


@dataclass(frozen=True)
class Cli:
    """The settings of SPP's CLI.

    ``python``: path of the interpreter. ``tree``, ``version``: root and release of the SPP tree.
    ``host``, ``rest_port``: the address of the REST of spp-ctl.
    """

    python: str
    tree: Path
    version: Version
    host: str
    rest_port: int

    def argv(self) -> list[str]:
        """Return the command line."""
        address = ["-b", f"{self.host}:{self.rest_port}"]
        if not self.version.since("18.08.2"):
            address = ["-b", self.host, "-a", str(self.rest_port)]
        return [self.python, str(releases.script_path(self.tree, "spp.py")), *address]


@dataclass(frozen=True)
class Classic:
    """The settings of ``spp.py`` (or ``spp_vf.py``) up to 18.05, which runs below ``sppr.classic``.

    The user types at its prompt. ``sppr.classic`` passes the requests of the launcher to its management port, or types
    them at the prompt.

    ``python``: path of the interpreter. ``tree``, ``version``: root and release of the SPP tree.
    ``program``: ``spp.py`` or ``spp_vf.py``.
    ``host``, ``pri_port``, ``sec_port``: the TCP address and ports for SPP processes.
    ``manage``: the management port; 0: none, so requests go to the prompt.
    ``api``: the unix socket for requests of the launcher.
    """

    python: str
    tree: Path
    version: Version
    program: str
    host: str
    pri_port: int
    sec_port: int
    manage: int
    api: Path

    def argv(self) -> list[str]:
        """Return the command line of ``sppr.classic``, followed by that of the program."""
        ours = [PYTHON, "-m", "sppr.classic", "--api-socket", str(self.api), "--version", self.version.name]
        ours += ["--kind", "vf" if self.program == "spp_vf.py" else "nfv"]
        ours += ["--manage", f"{local(self.host)}:{self.manage}"] if self.manage else []
        ours += ["--ports", f"{self.pri_port},{self.sec_port}"]
        return [*ours, "--", self.python, str(releases.script_path(self.tree, self.program)), *self._options()]

    def _options(self) -> Sequence[str]:
        options = ["-p", str(self.pri_port), "-s", str(self.sec_port)]
        return [*options, "-m", str(self.manage), "-ip", self.host] if self.manage else options


def local(host: str) -> str:
    """Return the address at which programs of this machine reach a server that listens on ``host``."""
    return "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104
