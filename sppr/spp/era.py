"""Which release of SPP a tree is, by what is in it; and where its controllers lie (spp-facts 1.4, 2)."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from sppr.errors import HostError
from sppr.spp.versions import Version


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
