"""Find the upstream SPP source trees of this machine, and what each of them lacks.

A built tree records the DPDK that it was built with in the command files of its objects (``.main.o.cmd``), and a
program lists its drivers (``PMD_INFO_STRING``, as DPDK's own dpdk-pmdinfo reads them).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sppr.errors import HostError
from sppr.spp import releases, tree
from sppr.spp.releases import Version

#: The DPDK releases that match a release of SPP (docs/spp-protocol.md, Releases). 17.02 is detected as 17.05, and HEAD
#: as 19.11.
DPDK = {
    "16.07": ("16.07",), "17.05": ("17.02", "17.05"), "17.08": ("17.08",), "17.11": ("17.11",), "18.02": ("18.02",),
    "18.05": ("18.05",), "18.08.1": ("18.08",), "18.08.2": ("18.08", "18.11"), "18.08.3": ("18.08", "18.11"),
    "18.08.4": ("18.08", "18.11"), "19.08": ("19.08",), "19.11": ("19.11", "20.02"),
}  # fmt: skip
#: What does not work without a driver.
DRIVERS = {
    "null": "a lab without NICs",
    "ring": "patches between secondaries",
    "vhost": "vhost VMs",
    "pcap": "pcap ports",
    "tap": "taps at the ends of chains",
    "memif": "memif ports",
}
#: Folders below a given one that are searched: levels, and the most folders of a level.
_LEVELS, _MOST = 2, 500


@dataclass(frozen=True)
class Problem:
    """Something that a tree lacks. ``fix``: what to do."""

    what: str
    fix: str


@dataclass(frozen=True)
class Build:
    """A build in a tree.

    ``target``: its RTE_TARGET, for ``spp.target`` in conf.yml.
    ``programs``: kinds of the programs: ``primary``, ``nfv``.
    ``dpdk``: the release of DPDK, "" if unknown. ``sdk``: its folder.
    ``drivers``: names without prefix: ``null``, ``vhost``.
    """

    target: str
    programs: tuple[str, ...]
    dpdk: str = ""
    sdk: str = ""
    drivers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tree:
    """A source tree of SPP. ``release``: as ``spp.version`` detects it."""

    path: Path
    release: str
    builds: tuple[Build, ...] = ()
    problems: tuple[Problem, ...] = ()


def find(folders: Iterable[Path]) -> list[Path]:
    """Return the trees that are one of these folders, or at most two levels below one. Links are not followed."""
    found: dict[Path, None] = {}
    for folder in folders:
        level = [folder]
        for depth in range(_LEVELS + 1):
            trees = [place for place in level if is_tree(place)]
            found |= dict.fromkeys(place.resolve() for place in trees)
            if depth < _LEVELS:
                level = [child for place in level if place not in trees for child in _folders(place)][:_MOST]
    return list(found)


def is_tree(folder: Path) -> bool:
    """Return whether a folder is a source tree of SPP."""
    try:
        scripts = (releases.script_path(folder, name) for name in ("spp-ctl", "spp.py"))
        return (folder / "src" / "primary").is_dir() and any(script.exists() for script in scripts)
    except OSError:
        return False


def _folders(place: Path) -> list[Path]:
    try:
        return sorted(c for c in place.iterdir() if c.is_dir() and not c.is_symlink() and not c.name.startswith("."))
    except OSError:
        return []


def inspect(path: Path, python: str | None = None) -> Tree:
    """Return the tree at ``path`` with its builds, and what is missing.

    ``python``: the interpreter that conf.yml names for its controllers; None: the default.
    """
    release = releases.detect(path) or ""
    version = Version(release)
    kinds = ("primary", *version.kinds)
    builds = tuple(_build(path, target, kinds) for target in _targets(path, kinds))
    problems = [problem for build in builds for problem in _build_problems(build, version, kinds)]
    if not builds:
        dpdk = " or ".join(DPDK[release])
        problems.append(Problem("it is not built", f"build it with DPDK {dpdk}, as its own setup guide describes"))
    problems += _python_problems(path, version, python)
    return Tree(path, release, builds, tuple(dict.fromkeys(problems)))


def _targets(path: Path, kinds: Sequence[str]) -> list[str]:
    names = {folder.name for kind in kinds for place in tree.target_folders(kind, path) for folder in _folders(place)}
    return sorted(name for name in names if _programs(path, name, kinds))


def _programs(path: Path, target: str, kinds: Sequence[str]) -> dict[str, Path]:
    """Return the programs of a target by kind."""
    found = {kind: tree.first_file(tree.candidates(kind, path, target)) for kind in kinds}
    return {kind: program for kind, program in found.items() if program is not None}


def _build(path: Path, target: str, kinds: Sequence[str]) -> Build:
    programs = _programs(path, target, kinds)
    folders = [place / target for kind in programs for place in tree.target_folders(kind, path)]
    dpdk, sdk = next((found for folder in folders if (found := _dpdk(folder, target))), ("", ""))
    drivers = {name for kind in ("primary", "nfv") if kind in programs for name in _drivers(programs[kind])}
    return Build(target, tuple(programs), dpdk, sdk, tuple(sorted(drivers)))


def _dpdk(folder: Path, target: str) -> tuple[str, str] | None:
    """Return release and folder of the DPDK with which the objects in ``folder`` were built, or None if unknown.

    A command also has the include folder of the SPP program, which need not exist.
    """
    pattern = re.compile(rf"-I(/\S+)/{re.escape(target)}/include(?:\s|$)")
    for command in sorted(folder.glob(".*.o.cmd")):
        try:
            included = pattern.findall(command.read_text(errors="replace"))
        except OSError:
            continue
        for sdk in included:
            if release := _dpdk_release(Path(sdk)):
                return release, sdk
    return None


def _dpdk_release(sdk: Path) -> str:
    """Return the release of a DPDK tree, ``20.02``, or "" if it cannot be read."""
    try:
        return ".".join((sdk / "VERSION").read_text().strip().split(".")[:2])
    except OSError:
        pass
    try:
        header = (sdk / "lib/librte_eal/common/include/rte_version.h").read_text(errors="replace")
    except OSError:
        return ""
    numbers = [re.search(rf"^#define RTE_VER_{part} (\d+)", header, re.MULTILINE) for part in ("YEAR", "MONTH")]
    return ".".join(f"{int(number[1]):02}" for number in numbers if number)


def _drivers(program: Path) -> set[str]:
    try:
        names = re.findall(rb'PMD_INFO_STRING= \{"name" : "(?:net|eth)_(\w+)"', program.read_bytes())
    except OSError:
        return set()
    return {name.decode() for name in names}


def _build_problems(build: Build, version: Version, kinds: Sequence[str]) -> Iterator[Problem]:
    missing = [f"spp_{kind}" for kind in kinds if kind not in build.programs]
    if missing:
        fix = "install liblz4-dev and build it again" if missing == ["spp_pcap"] else "build it again; see its messages"
        yield Problem(f"target {build.target} has no {', '.join(missing)}", fix)
    expected = DPDK[version.name]
    if build.dpdk and build.dpdk not in expected:
        what = f"target {build.target} was built with DPDK {build.dpdk}, but SPP {version.name} matches"
        yield Problem(f"{what} {' or '.join(expected)}", "build it again with that release of DPDK")
    for name, use in DRIVERS.items() if build.drivers else ():
        if version.since(releases.FIRST_WITH_PORT.get(name, "16.07")) and name not in build.drivers:
            what = f"target {build.target} has no driver {name}: no {use}"
            yield Problem(what, f"set CONFIG_RTE_LIBRTE_PMD_{name.upper()}=y in the configuration of DPDK")


def _python_problems(path: Path, version: Version, python: str | None) -> Iterator[Problem]:
    """Yield what the Python of the controllers lacks."""
    programs = ["spp-ctl", "spp.py"] if version.era == "spp-ctl" else ["spp.py"]
    programs += ["spp_vf.py"] if version.has_vf_controller else []
    for program in programs:
        try:
            releases.check_controller(path, version, program, python)
        except HostError as e:
            yield Problem(e.what, e.hint or "")
