"""Checks of lcores: they exist, each belongs to one process, and DPDK supports them."""

import re
from collections.abc import Iterator
from itertools import combinations

from sppr import units
from sppr.host.checks.check import Check, Finding, Process, Requirements, listed
from sppr.host.facts import Facts

#: RTE_MAX_LCORE in the usual builds of DPDK.
MAX_LCORE = 128


def exist(facts: Facts, required: Requirements) -> Iterator[Finding]:
    """Report lcores for which this process has no CPU."""
    missing = [lcore for lcore in required.lcores if lcore not in facts.cpus]
    if missing:
        cpus = ",".join(map(str, facts.cpus))
        what = (
            f"{len(required.lcores)} lcores on {len(facts.cpus)} cores ({cpus}): several lcores are mapped to one core "
            "(--lcores L@C)"
        )
        fits = units.format_mask(units.mask(facts.cpus))
        yield Finding("cores-exist", "warning", what, f"use masks within {fits} if speed matters")


def _exist(facts: Facts, required: Requirements) -> Iterator[Finding]:
    yield from exist(facts, required)
    workers = sum(max(0, len(lcores(p)) - 1) for p in required.spp if p.upstream and p.role == "secondary")
    if workers and workers >= len(facts.cpus):
        what = (
            f"{workers} polling lcores share {len(facts.cpus)} cores: upstream SPP's programs never sleep, so each "
            "forwards only a part of the time, and other programs of this machine are slow"
        )
        yield Finding("cores-exist", "warning", what, "fewer secondaries (-ns), or a machine with more cores")


def _exist_ok(facts: Facts, required: Requirements) -> str:
    there = f"this process may use {len(facts.cpus)} cores ({listed(facts.cpus, 'none')})"
    if not required.lcores:
        return f"{there}; no primary will be started, so no masks were compared"
    return f"{there}; lcores of this lab: {listed(required.lcores, 'none')}"


def lcores(process: Process) -> set[int]:
    """Return the lcores of a process: ``--lcores 0@0,(2-3)@1``, ``-l 0-3``, ``-c 0x0F``."""
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
            what = f"{one.name} and {other.name} share lcore {shared[0]}, which corrupts the memory pool's caches"
            yield Finding("cores-overlap", "error", what, "give each a coremask of its own in conf.yml")


def _too_high(_: Facts, required: Requirements) -> Iterator[Finding]:
    for process in required.spp:
        if beyond := sorted(lcore for lcore in lcores(process) if lcore >= MAX_LCORE):
            what = (
                f"{process.name} uses lcore {beyond[0]}, but DPDK is built for lcores below {MAX_LCORE} (RTE_MAX_LCORE)"
            )
            yield Finding(
                "cores-128", "error", what, f"use a lower lcore that is mapped to that core: --lcores 0@{beyond[0]}"
            )


def _mask_option(_: Facts, required: Requirements) -> Iterator[Finding]:
    for process in required.spp:
        if "-c" in process.eal():
            listed = ",".join(map(str, sorted(lcores(process))))
            yield Finding(
                "cores-c",
                "warning",
                f"{process.name} has the option -c, which is deprecated in DPDK",
                f"use -l {listed}",
            )


def _lcores_ok(_: Facts, required: Requirements) -> str:
    if len(required.spp) < 2:
        return f"fewer than two SPP processes to compare ({listed((p.name for p in required.spp), 'none')})"
    return "lcores: " + "; ".join(f"{p.name} {listed(sorted(lcores(p)), 'none')}" for p in required.spp)


def _too_high_ok(_: Facts, required: Requirements) -> str:
    found = [lcore for process in required.spp for lcore in lcores(process)]
    if not found:
        return "no SPP process of this lab has lcores"
    return f"the highest lcore is {max(found)}, of 0 to {MAX_LCORE - 1}"


def _mask_option_ok(_: Facts, required: Requirements) -> str:
    if not required.spp:
        return "no SPP process is planned"
    return f"no -c among the EAL options of {listed((p.name for p in required.spp), 'none')}"


CHECKS = (
    Check(
        "cores-exist",
        "a coremask names cores this process may not use",
        "sppr doctor   (lists the cores and a mask that fits); then set coremask in conf.yml",
        _exist_ok,
        (
            r"lcore \d+ unavailable",
            r"invalid coremask or core-list parameter",
            r"please check specified cores are part of",
            r"No lcores in coremask",
            r"invalid coremask syntax",
        ),
        inspect=_exist,
    ),
    Check(
        "cores-overlap",
        "two processes share an lcore",
        "give each a coremask of its own in conf.yml",
        _lcores_ok,
        inspect=_overlap,
    ),
    Check(
        "cores-128",
        "an lcore is above the limit that DPDK is built for",
        "use lower lcores that are mapped to the cores: --lcores 0@130",
        _too_high_ok,
        (r"lcore \d+ >= RTE_MAX_LCORE \(\d+\), cannot use", r"To use high physical core ids, please use --lcores"),
        inspect=_too_high,
    ),
    Check(
        "cores-c",
        "the option -c is deprecated in DPDK; it still works",
        "none needed; sppr itself uses --lcores; on your own command lines use -l 0,1 instead",
        _mask_option_ok,
        (r"'-c <coremask>' option is deprecated",),
        "warning",
        _mask_option,
    ),
)
