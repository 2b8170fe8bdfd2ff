"""Controllers of a real SPP tree: what to run (spp-facts 2.3), in the Python that their release needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sppr.run import PYTHON
from sppr.spp import releases
from sppr.spp.releases import Version


@dataclass(frozen=True)
class SppCtl:
    """``spp-ctl``: serves the processes, and REST at ``rest_port``; one address for all of it."""

    python: str
    tree: Path
    host: str
    pri_port: int
    sec_port: int
    rest_port: int

    def argv(self) -> list[str]:
        ports = ["-p", str(self.pri_port), "-s", str(self.sec_port), "-a", str(self.rest_port)]
        return [self.python, str(releases.script_path(self.tree, "spp-ctl")), "-b", self.host, *ports]


@dataclass(frozen=True)
class Cli:
    """SPP's CLI, which asks spp-ctl at ``host``."""

    python: str
    tree: Path
    version: Version
    host: str
    rest_port: int

    def argv(self) -> list[str]:
        where = ["-b", f"{self.host}:{self.rest_port}"]
        if not self.version.since("18.08.2"):
            where = ["-b", self.host, "-a", str(self.rest_port)]
        return [self.python, str(releases.script_path(self.tree, "spp.py")), *where]


@dataclass(frozen=True)
class Classic:
    """``spp.py`` (or spp_vf.py) up to 18.05, kept by ``sppr.classic``: its prompt is the user's, and the launcher's
    questions go to its management port ``manage``, or where that is 0 into its prompt. ``api``: where they arrive."""

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
        ours = [PYTHON, "-m", "sppr.classic", "--api-socket", str(self.api), "--version", self.version.name]
        ours += ["--kind", "vf" if self.program == "spp_vf.py" else "nfv"]
        ours += ["--manage", f"{local(self.host)}:{self.manage}"] if self.manage else []
        ours += ["--ports", f"{self.pri_port},{self.sec_port}"]
        return [*ours, "--", self.python, str(releases.script_path(self.tree, self.program)), *self._words()]

    def _words(self) -> Sequence[str]:
        words = ["-p", str(self.pri_port), "-s", str(self.sec_port)]
        return [*words, "-m", str(self.manage), "-ip", self.host] if self.manage else words


def local(host: str) -> str:
    """The address at which a program of this machine reaches one that listens on ``host``."""
    return "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104
