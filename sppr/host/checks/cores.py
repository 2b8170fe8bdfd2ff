"""lcores: there, each with one process, within what DPDK is built for."""

import re
from collections.abc import Iterator
from itertools import combinations

from sppr import units
from sppr.host.checks.check import Check, Finding, Process, Requirements, listed
from sppr.host.facts import Facts

#: RTE_MAX_LCORE of DPDK's usual builds.
MAX_LCORE = 128


def exist(facts: Facts, required: Requirements) -> Iterator[Finding]:
    beyond = [lcore for lcore in required.lcores if lcore not in facts.cpus]
    if beyond:
        there = ",".join(map(str, facts.cpus))
        what = (
            f"{len(required.lcores)} lcores on {len(facts.cpus)} cores ({there}): lcores are mapped onto the cores "
            "there are (--lcores L@C), so they share them"
        )
        fits = units.format_mask(units.mask(facts.cpus))
        yield Finding("cores-exist", "warning", what, f"use masks within {fits} where speed matters")


def _exist(facts: Facts, required: Requirements) -> Iterator[Finding]:
    yield from exist(facts, required)
    workers = sum(max(0, len(lcores(p)) - 1) for p in required.spp if p.real and p.role == "secondary")
    if workers and workers >= len(facts.cpus):
        what = (
            f"{workers} polling lcores share {len(facts.cpus)} cores: SPP's own programs never sleep, so their main "
            "threads get little time, and parts become ready late or not at all"
        )
        yield Finding("cores-exist", "warning", what, "fewer secondaries (-ns), or a machine with more cores")


def _exist_seen(facts: Facts, required: Requirements) -> str:
    there = f"this process may use {len(facts.cpus)} cores ({listed(facts.cpus, 'none')})"
    if not required.lcores:
        return f"{there}; no primary is to start, so no masks were compared"
    return f"{there}; lcores of this lab: {listed(required.lcores, 'none')}"


def lcores(process: Process) -> set[int]:
    """Ids of the lcores a process was given: ``--lcores 0@0,(2-3)@1``, ``-l 0-3``, ``-c 0x0F``."""
    found: set[int] = set()
    eal = Process(process.name, process.role, process.eal())
    for value in [*eal.values("--lcores"), *eal.values("-l")]:
        for piece in re.findall(r"\([^)]*\)(?:@[^,(]*(?:\([^)]*\))?)?|[^,]+", value):
            for first, last in re.findall(r"(\d+)(?:-(\d+))?", piece.partition("@")[0]):
                found |= set(range(int(first), int(last or first) + 1))
    for value in eal.values("-c"):
        try:
            found |= set(units.bits(units.parse_mask(value)))
        except ValueError:
            continue
    return found


def _overlap(_: Facts, required: Requirements) -> Iterator[Finding]:
    for one, other in combinations(required.spp, 2):
        if shared := sorted(lcores(one) & lcores(other)):
            what = f"{one.name} and {other.name} share lcore {shared[0]}: that corrupts the memory pool's caches"
            yield Finding("cores-overlap", "error", what, "give each a coremask of its own in conf.yml")


def _beyond(_: Facts, required: Requirements) -> Iterator[Finding]:
    for process in required.spp:
        if beyond := sorted(lcore for lcore in lcores(process) if lcore >= MAX_LCORE):
            what = f"{process.name} has lcore {beyond[0]}, and DPDK is built for {MAX_LCORE} (RTE_MAX_LCORE)"
            yield Finding(
                "cores-128", "error", what, f"use lower lcores, mapped onto that core: --lcores 0@{beyond[0]}"
            )


def _mask_option(_: Facts, required: Requirements) -> Iterator[Finding]:
    for process in required.spp:
        if "-c" in process.eal():
            listed = ",".join(map(str, sorted(lcores(process))))
            yield Finding("cores-c", "warning", f"{process.name} is given -c, which DPDK gives up", f"use -l {listed}")


def _lcores_seen(_: Facts, required: Requirements) -> str:
    if len(required.spp) < 2:
        return f"there are not two SPP processes to compare ({listed((p.name for p in required.spp), 'none')})"
    return "lcores: " + "; ".join(f"{p.name} {listed(sorted(lcores(p)), 'none')}" for p in required.spp)


def _beyond_seen(_: Facts, required: Requirements) -> str:
    found = [lcore for process in required.spp for lcore in lcores(process)]
    if not found:
        return "no SPP process of this lab has lcores"
    return f"the highest lcore is {max(found)}, of 0 to {MAX_LCORE - 1}"


def _mask_option_seen(_: Facts, required: Requirements) -> str:
    if not required.spp:
        return "no SPP process is planned"
    return f"no -c among the EAL options of {listed((p.name for p in required.spp), 'none')}"


CHECKS = (
    Check(
        "cores-exist",
        "a coremask names cores this process may not use",
        "sppr doctor   (which cores there are, and a mask that fits); then coremask in conf.yml",
        _exist_seen,
        (
            r"lcore \d+ unavailable",
            r"invalid coremask or core-list parameter",
            r"please check specified cores are part of",
            r"No lcores in coremask",
            r"invalid coremask syntax",
        ),
        look=_exist,
    ),
    Check(
        "cores-overlap",
        "two processes share an lcore",
        "give each a coremask of its own in conf.yml",
        _lcores_seen,
        look=_overlap,
    ),
    Check(
        "cores-128",
        "an lcore is beyond what DPDK is built for",
        "use lower lcores, mapped onto the cores: --lcores 0@130",
        _beyond_seen,
        (r"lcore \d+ >= RTE_MAX_LCORE \(\d+\), cannot use", r"To use high physical core ids, please use --lcores"),
        look=_beyond,
    ),
    Check(
        "cores-c",
        "DPDK gives up -c; it still works",
        "nothing now; sppr itself gives --lcores; by hand: -l 0,1 in its place",
        _mask_option_seen,
        (r"'-c <coremask>' option is deprecated",),
        "warning",
        _mask_option,
    ),
)
