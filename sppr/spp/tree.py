"""Paths of SPP's programs: in an upstream SPP tree that conf.yml names, or in sppr's own data plane."""

from collections.abc import Iterable
from pathlib import Path

from sppr.errors import HostError

BUILD_DIR = Path(__file__).resolve().parent.parent / "dataplane" / "build"


def target_folders(kind: str, tree: Path) -> tuple[Path, Path]:
    """Return the folders that have a folder for each target in which ``spp_<kind>`` was built.

    The DPDK makefiles decide the path: the first since 17.05, before that the second.
    """
    return tree / "src" / kind, tree / "src" / kind / "src" / kind


def candidates(kind: str, tree: Path, target: str) -> list[Path]:
    """Return the paths at which ``spp_<kind>`` may be in an SPP tree. Each folder has a copy below ``app/``."""
    names = (f"app/spp_{kind}", f"spp_{kind}")
    return [folder / target / name for folder in target_folders(kind, tree) for name in names]


def first_file(paths: Iterable[Path]) -> Path | None:
    """Return the first of these paths that is a file."""
    return next((path for path in paths if path.is_file()), None)


def binary(kind: str, tree: Path | None, target: str) -> Path:
    """Return the path of ``spp_<kind>`` (primary, nfv, …). Raise HostError, with every path that was tried."""
    if tree is None:
        program = BUILD_DIR / f"spp_{kind}"
        if not program.is_file():
            hint = f"make up   (or: sppr setup, or: make -C {BUILD_DIR.parent})"
            raise HostError(f"{program}: sppr's data plane is not built", hint=hint)
        return program
    tried = candidates(kind, tree, target)
    if found := first_file(tried):
        return found
    listed = "\n".join(f"    tried: {path}" for path in tried)
    raise HostError(
        f"{tree}: no spp_{kind} in this SPP tree\n{listed}",
        hint="build it there, set spp.target to its RTE_TARGET, or remove spp.dir to use sppr's own data plane",
    )
