"""Where SPP's programs lie: in a real tree named in conf.yml, or our own data plane."""

from pathlib import Path

from sppr.errors import HostError

OURS = Path(__file__).resolve().parent.parent / "dataplane" / "build"


def binary(kind: str, tree: Path | None, target: str) -> Path:
    """Path of ``spp_<kind>`` (primary, nfv, …). HostError that lists every path that was tried.

    In a real tree the DPDK makefiles decide the path: since 17.05 ``src/<kind>/<target>/``, before that doubled,
    each with a copy below ``app/``.
    """
    if tree is None:
        ours = OURS / f"spp_{kind}"
        if not ours.is_file():
            raise HostError(
                f"{ours}: our data plane is not built", hint=f"make up   (or: sppr setup, or: make -C {OURS.parent})"
            )
        return ours
    single, doubled = tree / "src" / kind / target, tree / "src" / kind / "src" / kind / target
    tried = [folder / name for folder in (single, doubled) for name in (f"app/spp_{kind}", f"spp_{kind}")]
    for path in tried:
        if path.is_file():
            return path
    listed = "\n".join(f"    tried: {path}" for path in tried)
    raise HostError(
        f"{tree}: no spp_{kind} in this SPP tree\n{listed}",
        hint="build it there, set spp.target to its RTE_TARGET, or leave spp.dir out to use our own data plane",
    )
