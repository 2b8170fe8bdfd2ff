"""The releases of SPP: how their command lines and controllers differ, and how the release of a source tree is
detected.

(docs/spp-protocol.md, Releases, Controllers, Command lines)
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from sppr.deadline import Deadline
from sppr.errors import HostError, LaunchError
from sppr.run import run, which
from sppr.units import SppVersion

VERSIONS: tuple[str, ...] = get_args(SppVersion)[1:]
#: The first release in which a port type can be in a chain. Secondaries receive from taps of the primary since DPDK
#: 18.11. Up to 18.02 they do not see any vdev of the primary.
FIRST_WITH_PORT = {"memif": "19.11", "nullpmd": "18.02", "pcap": "18.02", "tap": "18.08.2"}
Era = Literal["sppr", "classic", "spp-ctl"]


@dataclass(frozen=True)
class Version:
    """A release of SPP.

    ``name``: name of the release; empty for sppr's own data plane, which counts as the newest.
    ``sppr_controller``: whether SPP's programs run with sppr's controller, which supports the dialect of every release.
    """

    name: str = ""
    sppr_controller: bool = False

    def since(self, first: str) -> bool:
        """Return whether this is the release ``first`` or a later one."""
        return not self.name or VERSIONS.index(self.name) >= VERSIONS.index(first)

    @property
    def era(self) -> Era:
        """The generation of the controller.

        ``sppr``: sppr's own controller.
        ``classic``: spp.py, to which the processes connect.
        ``spp-ctl``: spp-ctl, to which the processes connect; the CLI sends REST calls to it.
        """
        return "sppr" if not self.name or self.sppr_controller else "spp-ctl" if self.since("18.08.1") else "classic"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The types of secondaries in this release."""
        first = {"nfv": "16.07", "vf": "17.11", "mirror": "18.08.1", "pcap": "18.08.2"}
        return tuple(kind for kind, since in first.items() if self.since(since)) if self.name else ("nfv",)

    @property
    def last_id(self) -> int:
        """The highest id of a secondary.

        After a connection with a higher id, a classic spp.py accepts no further secondaries (docs/spp-protocol.md,
        Client id).
        """
        return 16 if self.era == "classic" else 127

    @property
    def has_vf_controller(self) -> bool:
        """Whether spp_vf needs a controller of its own, spp_vf.py (docs/spp-protocol.md, Controllers)."""
        return self.era == "classic" and self.since("17.11")

    @property
    def has_management_port(self) -> bool:
        """Whether spp.py also accepts command lines on a TCP port (docs/spp-protocol.md, Management port)."""
        return self.era == "classic" and self.since("17.08")

    @property
    def vhost_client(self) -> bool:
        """Whether spp_nfv has the option ``--vhost-client``."""
        return self.since("18.08.2")

    @property
    def base_virtaddr(self) -> str | None:
        """The address at which the primary must map its memory, or None.

        Later DPDK releases have this default (docs/spp-protocol.md, Command lines).
        """
        return "0x100000000" if self.name and not self.since("19.08") else None

    @property
    def accepts_guests(self) -> bool:
        """Whether the controller accepts sppr's spp_vm, which reports its type in JSON (docs/spp-protocol.md, Client
        id)."""
        return self.sppr_controller or self.since("18.08.2")

    @property
    def ivshmem(self) -> bool:
        """Whether guests share rings through DPDK's ivshmem, which needs a patched QEMU (docs/spp-protocol.md, Ring
        VMs of 16.07)."""
        return self.name == "16.07"

    @property
    def primary_forwards(self) -> bool:
        """Whether the primary can forward frames."""
        return self.since("19.08")

    def python(self, program: str) -> str:
        """Return the command of the Python that runs ``spp.py``, ``spp_vf.py`` or ``spp-ctl`` of this release.

        ``program``: ``spp.py``, ``spp_vf.py`` or ``spp-ctl`` (docs/spp-protocol.md, Controllers).
        """
        if program == "spp_vf.py" or not self.since("18.05"):
            return "python2"
        return "python3"

    def modules(self, program: str) -> tuple[str, ...]:
        """Return the modules outside the standard library that ``program`` imports at its start.

        Releases up to 18.02 need Python 2. For them ``Queue`` is listed: it is in the standard library of Python 2
        only.
        """
        if program == "spp-ctl":
            return ("eventlet", "bottle", "netaddr")
        if self.python(program) == "python2":
            return ("Queue",)
        return ("requests", "yaml") if self.since("18.08.1") else ("queue", "socketserver", "yaml")

    @property
    def needs_old_yaml(self) -> bool:
        """Whether its CLI calls ``yaml.load`` without a Loader, which raises an error in PyYAML 6."""
        return self.name == "18.08.2"


def _has(*parts: str) -> Callable[[Path], bool]:
    return lambda root: root.joinpath("src", *parts).exists()


def _contains(folder: str, text: str) -> Callable[[Path], bool]:
    """Return a test whether a source file below ``src/<folder>``, or the file ``src/<folder>``, contains a word."""
    pattern = re.compile(rb"(?<!\w)" + re.escape(text.encode()) + rb"(?![\w-])")
    return lambda root: any(pattern.search(_read(path)) for path in _sources(root / "src" / folder))


def _sources(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
        return
    for suffix in ("*.c", "*.h", "*.py"):
        yield from sorted(place.rglob(suffix))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() else b""  # reading a FIFO would not end
    except OSError:
        return b""


#: How to recognise a release: the first test that succeeds, in the order from the newest to the oldest.
MARKERS: dict[str, tuple[tuple[str, Callable[[Path], bool]], ...]] = {
    "spp-ctl": (
        ("19.11", _contains("primary", "port-num")),
        ("19.08", _contains("primary", "disp-stats")),
        ("18.08.4", _has("cli")),
        ("18.08.3", _contains("nfv", "master-lcore")),
        ("18.08.2", _has("pcap")),
        ("18.08.1", lambda _: True),
    ),
    "classic": (
        ("18.05", _has("controller")),
        ("18.02", _contains("nfv", "nullpmd")),
        ("17.11", _has("spp_vf.py")),
        ("17.08", _contains("spp.py", "mng-port")),
        ("16.07", _contains("primary", "rte_ivshmem.h")),
        ("17.05", lambda _: True),
    ),
}
CTL, CLI, VF = ("spp-ctl", "spp-ctl"), ("spp.py",), ("spp_vf.py",)


def detect(root: Path) -> str | None:
    """Return the release of a source tree, or None if it contains no controller.

    17.02 to 17.05 look alike here, so both count as 17.05.
    """
    era = "spp-ctl" if _has(*CTL)(root) else "classic" if _has(*CLI)(root) else None
    return next(name for name, is_it in MARKERS[era] if is_it(root)) if era else None


def script_path(root: Path, name: str) -> Path:
    """Return the path of ``spp.py``, ``spp_vf.py`` or ``spp-ctl``. The file need not exist."""
    return root.joinpath("src", *(CTL if name == "spp-ctl" else (name,)))


def check(root: Path, version: Version) -> None:
    """Raise HostError, with every path that was tried, for a tree without the controllers of its release."""
    if not root.is_dir():
        raise HostError(f"spp.dir: {root}: no such folder", hint="set spp.dir to the folder of a built SPP tree")
    names = ("spp-ctl", "spp.py") if version.era == "spp-ctl" else ("spp.py",)
    missing = [path for path in (script_path(root, name) for name in names) if not path.is_file()]
    if missing:
        found = detect(root)
        tried = "\n".join(
            f"    tried: {path}" for path in (missing if found else (script_path(root, "spp-ctl"), *missing))
        )
        hint = f"this tree is SPP {found}: set spp.version" if found else "set spp.dir to the folder that contains src/"
        raise HostError(f"{root}: no controller of SPP {version.name} in this tree\n{tried}", hint=hint)


#: A script for Python 2.7 and 3. Prints the major version, the missing modules, and the version of PyYAML.
_QUERY_SCRIPT = """\
import json, sys
sys.path = [place for place in sys.path if place]  # a controller does not search its working directory
try:
    from importlib.util import find_spec
except ImportError:
    from pkgutil import find_loader as find_spec
missing = [name for name in sys.argv[1:] if find_spec(name) is None]
yaml = "" if "yaml" in missing or "yaml" not in sys.argv else __import__("yaml").__version__
print(json.dumps({"major": sys.version_info[0], "missing": missing, "yaml": yaml}))
"""
#: The pip package of a module, if the names differ.
_PACKAGES = {"yaml": "pyyaml", "queue": "future", "socketserver": "future"}
#: The last PyYAML before 6 that also installs on Python 3.10 and later.
_PYYAML_5 = "pyyaml==5.3.1"


def major_version(python: str) -> int:
    """Return the major version of a Python interpreter, 2 or 3. Raise HostError if it does not run."""
    return int(_query(python)["major"])


def check_python(python: str, version: Version, program: str) -> None:
    """Raise HostError, with the pip command, if this interpreter cannot run ``program`` because a module is missing."""
    answer = _query(python, version.modules(program))
    title = f"{program} of SPP {version.name}"
    if version.python(program) == "python2" and answer["major"] != 2:
        what = f"{title} needs Python 2, but {python} is Python {answer['major']}"
        raise HostError(what, hint="set a Python 2 in conf.yml: spp: {python: PATH}")
    missing = answer["missing"]
    old = version.needs_old_yaml and program == "spp.py"
    if missing:
        packages = dict.fromkeys(_PYYAML_5 if old and n == "yaml" else _PACKAGES.get(n, n) for n in missing)
        modules = f"module{'s' * (len(missing) > 1)} {', '.join(missing)}"
        what = f"{title} needs the Python {modules}, which {python} does not have"
        raise HostError(what, hint=f"{python} -m pip install {' '.join(packages)}")
    if old and int(answer["yaml"].partition(".")[0]) >= 6:
        what = f"{title} calls yaml.load without a Loader, which is an error in PyYAML {answer['yaml']} of {python}"
        raise HostError(what, hint=f"{python} -m pip install {_PYYAML_5}")


def check_controller(root: Path, version: Version, program: str, python: str | None = None) -> None:
    """Raise HostError if a controller of a tree, its Python, or a module that it needs is missing.

    ``python``: the interpreter that conf.yml names; None: that of the release.
    """
    python, script = python or version.python(program), script_path(root, program)
    if not script.is_file():
        raise HostError(f"{script}: no such file", hint="check that the SPP tree in spp.dir is complete")
    if (found := which(python)) is None:
        what = f"{program} of SPP {version.name} needs {python}, which is not installed"
        raise HostError(what, hint="set its path: spp: {python: PATH}")
    check_python(found, version, program)


def _query(python: str, modules: Sequence[str] = ()) -> dict[str, Any]:
    try:
        return dict(json.loads(run([python, "-c", _QUERY_SCRIPT, *modules], deadline=Deadline(10)).stdout))
    except (LaunchError, ValueError, OSError) as e:
        what = f"{python}: cannot be used as Python: {str(e).splitlines()[-1]}"
        raise HostError(what, hint="set another in conf.yml: spp: {python: PATH}") from None
