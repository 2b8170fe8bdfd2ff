"""Paths of SPP's programs: in an upstream SPP tree that conf.yml names, or in sppr's own data plane."""

from pathlib import Path

from sppr.errors import HostError

BUILD_DIR = Path(__file__).resolve().parent.parent / "dataplane" / "build"


def binary(kind: str, tree: Path | None, target: str) -> Path:
    """Return the path of ``spp_<kind>`` (primary, nfv, …). Raise HostError, with every path that was tried.

    In an SPP tree, the DPDK makefiles decide the path: ``src/<kind>/<target>/`` since 17.05, before that
    ``src/<kind>/src/<kind>/<target>/``, each with a copy below ``app/``.
    """
    if tree is None:
        program = BUILD_DIR / f"spp_{kind}"
        if not program.is_file():
            hint = f"make up   (or: sppr setup, or: make -C {BUILD_DIR.parent})"
            raise HostError(f"{program}: sppr's data plane is not built", hint=hint)
        return program
    single, doubled = tree / "src" / kind / target, tree / "src" / kind / "src" / kind / target
    tried = [folder / name for folder in (single, doubled) for name in (f"app/spp_{kind}", f"spp_{kind}")]
    for path in tried:
        if path.is_file():
            return path
    listed = "\n".join(f"    tried: {path}" for path in tried)
    raise HostError(
        f"{tree}: no spp_{kind} in this SPP tree\n{listed}",
        hint="build it there, set spp.target to its RTE_TARGET, or remove spp.dir to use sppr's own data plane",
    )
