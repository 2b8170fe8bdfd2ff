"""Releases of SPP: what differs in their command lines and controllers, and which release a source tree is.

(spp-facts 0, 1.4, 2)
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from sppr.deadline import Deadline
from sppr.errors import HostError, LaunchError
from sppr.run import run
from sppr.units import SppVersion

VERSIONS: tuple[str, ...] = get_args(SppVersion)[1:]
Era = Literal["ours", "classic", "spp-ctl"]


@dataclass(frozen=True)
class Version:
    """A release by its name; ``""`` is our own data plane, which counts as the newest. ``under_ours``: its programs
    run under our own controller, which speaks the language of each."""

    name: str = ""
    under_ours: bool = False

    def since(self, first: str) -> bool:
        """Whether this is ``first`` or later."""
        return not self.name or VERSIONS.index(self.name) >= VERSIONS.index(first)

    @property
    def era(self) -> Era:
        """Of its controller. ``classic``: spp.py serves processes; ``spp-ctl``: that does, the CLI asks it by REST."""
        return "ours" if not self.name or self.under_ours else "spp-ctl" if self.since("18.08.1") else "classic"

    @property
    def kinds(self) -> tuple[str, ...]:
        """Secondaries it has."""
        first = {"nfv": "16.07", "vf": "17.11", "mirror": "18.08.1", "pcap": "18.08.2"}
        return tuple(kind for kind, since in first.items() if self.since(since)) if self.name else ("nfv",)

    @property
    def last_id(self) -> int:
        """The highest id of a secondary: spp.py closes its door for good after one beyond (spp-facts 3.2)."""
        return 16 if self.era == "classic" else 127

    @property
    def vf_apart(self) -> bool:
        """Whether spp_vf has a controller of its own, spp_vf.py (spp-facts 3.3)."""
        return self.era == "classic" and self.since("17.11")

    @property
    def management(self) -> bool:
        """Whether spp.py takes command lines on a TCP port, too (spp-facts 3.10)."""
        return self.era == "classic" and self.since("17.08")

    @property
    def vhost_client(self) -> bool:
        """Whether nfv has ``--vhost-client``."""
        return self.since("18.08.2")

    @property
    def base_virtaddr(self) -> str | None:
        """Where the primary maps its memory; later DPDK does so by itself (spp-facts 2.1)."""
        return "0x100000000" if self.name and not self.since("19.08") else None

    @property
    def guests_register(self) -> bool:
        """Whether its controller takes our spp_vm, which says in JSON what it is (spp-facts 3.4)."""
        return self.under_ours or self.since("18.08.2")

    @property
    def ivshmem(self) -> bool:
        """Whether guests share rings by DPDK's ivshmem, which wants a patched QEMU (spp-facts 9)."""
        return self.name == "16.07"

    @property
    def primary_forwards(self) -> bool:
        return self.since("19.08")

    def python(self, program: str) -> str:
        """The Python that runs ``spp.py``, ``spp_vf.py``, ``spp-ctl`` or the CLI of this release (spp-facts 1.4)."""
        if program == "spp_vf.py" or not self.since("18.05"):
            return "python2"
        return "python3"

    def modules(self, program: str) -> tuple[str, ...]:
        """Modules beside the standard library that ``program`` imports when it starts. In the Python 2 that up to 18.02
        needs, and in no Python 3, ``Queue`` is of the standard library."""
        if program == "spp-ctl":
            return ("eventlet", "bottle", "netaddr")
        if self.python(program) == "python2":
            return ("Queue",)
        return ("requests", "yaml") if self.since("18.08.1") else ("queue", "socketserver", "yaml")

    @property
    def old_yaml(self) -> bool:
        """Whether its CLI calls ``yaml.load`` without a Loader, which PyYAML 6 refuses."""
        return self.name == "18.08.2"


def _has(*parts: str) -> Callable[[Path], bool]:
    return lambda root: root.joinpath("src", *parts).exists()


def _says(folder: str, text: str) -> Callable[[Path], bool]:
    """Whether a source file below ``src/<folder>``, or that file itself, has this text."""
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
        return path.read_bytes()
    except OSError:
        return b""


#: What only this release and later ones have, the newest first.
MARKS: dict[str, tuple[tuple[str, Callable[[Path], bool]], ...]] = {
    "spp-ctl": (
        ("19.11", _says("primary", "port-num")),
        ("19.08", _says("primary", "disp-stats")),
        ("18.08.4", _has("cli")),
        ("18.08.3", _says("nfv", "master-lcore")),
        ("18.08.2", _has("pcap")),
        ("18.08.1", lambda _: True),
    ),
    "classic": (
        ("18.05", _has("controller")),
        ("18.02", _says("nfv", "nullpmd")),
        ("17.11", _has("spp_vf.py")),
        ("17.08", _says("spp.py", "mng-port")),
        ("16.07", _says("primary", "rte_ivshmem.h")),
        ("17.05", lambda _: True),
    ),
}
CTL, CLI, VF = ("spp-ctl", "spp-ctl"), ("spp.py",), ("spp_vf.py",)


def detect(root: Path) -> str | None:
    """The release of the tree; None where it has no controller of any. Between 17.02 and 17.05 nothing here differs."""
    era = "spp-ctl" if _has(*CTL)(root) else "classic" if _has(*CLI)(root) else None
    return next(name for name, is_it in MARKS[era] if is_it(root)) if era else None


def script(root: Path, name: str) -> Path:
    """Path of ``spp.py``, ``spp_vf.py`` or ``spp-ctl``, whether it is there or not."""
    return root.joinpath("src", *(CTL if name == "spp-ctl" else (name,)))


def check(root: Path, version: Version) -> None:
    """HostError for a tree without the controllers of its release, with every path that was tried."""
    if not root.is_dir():
        raise HostError(f"spp.dir: {root}: no such folder", hint="name the folder of a built SPP tree")
    names = ("spp-ctl", "spp.py") if version.era == "spp-ctl" else ("spp.py",)
    missing = [path for path in (script(root, name) for name in names) if not path.is_file()]
    if missing:
        found = detect(root)
        tried = "\n".join(f"    tried: {path}" for path in (missing if found else (script(root, "spp-ctl"), *missing)))
        hint = f"this tree is of SPP {found}: spp.version" if found else "spp.dir is the folder that has src/ in it"
        raise HostError(f"{root}: no controller of SPP {version.name} in this tree\n{tried}", hint=hint)


#: Runs in Python 2.7 and 3. Prints the major version, which of the named modules are missing, and the PyYAML there is.
_QUESTION = """\
import json, sys
sys.path = [place for place in sys.path if place]  # a controller does not look into the folder it is started in
try:
    from importlib.util import find_spec
except ImportError:
    from pkgutil import find_loader as find_spec
missing = [name for name in sys.argv[1:] if find_spec(name) is None]
yaml = "" if "yaml" in missing or "yaml" not in sys.argv else __import__("yaml").__version__
print(json.dumps({"major": sys.version_info[0], "missing": missing, "yaml": yaml}))
"""
#: Package of a module, where pip calls it otherwise.
_PACKAGES = {"yaml": "pyyaml", "queue": "future", "socketserver": "future"}
#: The last PyYAML before 6 that also builds on Python 3.10 and later.
_OLD_YAML = "pyyaml==5.3.1"


def major(python: str) -> int:
    """Return the major version of an interpreter, 2 or 3. HostError where it does not answer."""
    return int(_ask(python)["major"])


def check_python(python: str, version: Version, program: str) -> None:
    """HostError where this interpreter cannot run ``program``: which module is missing, and the pip line."""
    wanted = version.modules(program)
    answer = _ask(python, wanted)
    shown = f"{program} of SPP {version.name}"
    if version.python(program) == "python2" and answer["major"] != 2:
        what = f"{shown} needs Python 2, and {python} is Python {answer['major']}"
        raise HostError(what, hint="name a Python 2: spp: {python: PATH}")
    missing = answer["missing"]
    old = version.old_yaml and program == "spp.py"
    if missing:
        packages = dict.fromkeys(_OLD_YAML if old and n == "yaml" else _PACKAGES.get(n, n) for n in missing)
        modules = f"module{'s' * (len(missing) > 1)} {', '.join(missing)}"
        what = f"{shown} needs the Python {modules}, which {python} does not have"
        raise HostError(what, hint=f"{python} -m pip install {' '.join(packages)}")
    if old and int(answer["yaml"].partition(".")[0]) >= 6:
        what = f"{shown} calls yaml.load without a Loader, which PyYAML {answer['yaml']} of {python} refuses"
        raise HostError(what, hint=f"{python} -m pip install {_OLD_YAML}")


def _ask(python: str, modules: Sequence[str] = ()) -> dict[str, Any]:
    try:
        return dict(json.loads(run([python, "-c", _QUESTION, *modules], deadline=Deadline(10)).stdout))
    except (LaunchError, ValueError, OSError) as e:
        what = f"{python}: is it a Python? {str(e).splitlines()[-1]}"
        raise HostError(what, hint="name another: spp: {python: PATH}") from None
