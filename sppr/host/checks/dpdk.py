"""DPDK's processes among themselves: who is the primary, what it left, and whether secondaries fit it."""

from collections.abc import Iterator

from sppr.host.checks.check import Check, Finding, NotLooked, Process, Requirements, listed, remove_folder
from sppr.host.facts import Facts, Runtime


def _ours(facts: Facts, required: Requirements) -> list[Runtime]:
    return [r for r in facts.runtimes if required.file_prefix and r.prefix == required.file_prefix]


def _lock(facts: Facts, required: Requirements) -> Iterator[Finding]:
    for runtime in _ours(facts, required):
        if runtime.holder is not None and runtime.holder not in required.own:
            who = required.name_of(runtime.holder)
            what = f"{runtime.path}/config: {who} is a primary with --file-prefix {runtime.prefix} already"
            fix = f"end it: kill {runtime.holder}; or another prefix: spp: {{file_prefix: NAME}} in conf.yml"
            yield Finding("dpdk-lock", "error", what, fix)


def _stale(facts: Facts, required: Requirements) -> Iterator[Finding]:
    for runtime in _ours(facts, required):
        if runtime.holder is not None:
            continue
        strangers = tuple(pid for pid in runtime.mappers if pid not in required.own)
        if strangers:
            what = f"{runtime.path}: its primary is gone, but {required.named(strangers)} still run over what it left"
            yield Finding("dpdk-stale", "error", what, f"end them: kill {' '.join(map(str, strangers))}")
        elif not runtime.writable:
            what = f"{runtime.path}: left by a primary of another user, and not yours to clear"
            yield Finding("dpdk-stale", "error", what, f"sudo rm -r {runtime.path}")
        elif not runtime.mappers:
            what = f"{runtime.path}: left by a primary that has ended"
            real = facts.root.rstrip("/") + runtime.path
            yield Finding("dpdk-stale", "warning", what, "sppr doctor --fix", (remove_folder(real),))


def _primary(required: Requirements) -> Process | None:
    return next((p for p in required.spp if p.role == "primary"), None)


def _secondaries(required: Requirements) -> list[Process]:
    return [p for p in required.spp if p.role == "secondary"]


def _first(_: Facts, required: Requirements) -> Iterator[Finding]:
    primary = _primary(required)
    for process in _secondaries(required) if primary else []:
        if primary and primary.name not in process.depends_on:
            what = f"{process.name} would start without waiting for {primary.name}"
            yield Finding("sec-first", "error", what, "start the primary first")


def _prefix(_: Facts, required: Requirements) -> Iterator[Finding]:
    yield from _same(required, "--file-prefix", "sec-prefix")


def _same(required: Requirements, option: str, identity: str) -> Iterator[Finding]:
    primary = _primary(required)
    for process in _secondaries(required) if primary else []:
        mine, its = _value(process, option), _value(primary, option) if primary else ""
        if mine != its:
            what = f"{process.name} has {option} {mine or 'not'}, the primary {its or 'not'}"
            yield Finding(identity, "error", what, "give both the same")


def _value(process: Process, option: str) -> str:
    return (process.values(option) or [""])[-1]


def _build(_: Facts, required: Requirements) -> Iterator[Finding]:
    if len(set(required.builds.values())) > 1:
        told = ", ".join(f"{program} on {build}" for program, build in sorted(required.builds.items()))
        yield Finding("sec-ver", "error", f"built on different DPDKs: {told}", "build both from one tree, on one DPDK")


def _flags(_: Facts, required: Requirements) -> Iterator[Finding]:
    primary = _primary(required)
    for process in _secondaries(required) if primary else []:
        for flag in ("--legacy-mem", "--single-file-segments"):
            if primary and (flag in primary.eal()) != (flag in process.eal()):
                having, other = (primary, process) if flag in primary.eal() else (process, primary)
                what = f"{having.name} has {flag} and {other.name} has not: memory would be corrupted in silence"
                yield Finding("sec-flags", "error", what, "give it to both, or to none")


def _aslr(facts: Facts, required: Requirements) -> Iterator[Finding]:
    if facts.aslr and _secondaries(required):
        what = "address space randomisation is on: seldom a secondary cannot map what the primary has"
        fix = "if one says so: --base-virtaddr 0x100000000 on the primary, or sysctl -w kernel.randomize_va_space=0"
        yield Finding("sec-map", "info", what, fix)


def _no_folder(required: Requirements) -> str | NotLooked:
    if not required.is_root:
        return NotLooked("/run/dpdk can be read by root alone")
    return f"no runtime folder of --file-prefix {required.file_prefix or 'none'}"


def _lock_seen(facts: Facts, required: Requirements) -> str | NotLooked:
    held = [
        f"{r.path}/config: locked by this lab's {required.name_of(r.holder)}"
        for r in _ours(facts, required)
        if r.holder
    ]
    free = [f"{r.path}/config: nobody has locked it" for r in _ours(facts, required) if not r.holder]
    return "; ".join([*held, *free]) or _no_folder(required)


def _stale_seen(facts: Facts, required: Requirements) -> str | NotLooked:
    return "; ".join(_used(r, required) for r in _ours(facts, required)) or _no_folder(required)


def _used(runtime: Runtime, required: Requirements) -> str:
    if runtime.holder is not None:
        return f"{runtime.path}: its primary runs, {required.name_of(runtime.holder)}"
    return f"{runtime.path}: its primary has ended, this lab's {required.named(runtime.mappers)} still use it"


def _pairs(required: Requirements) -> tuple[Process, list[Process]] | str:
    """The primary and its secondaries; or what is missing."""
    primary, secondaries = _primary(required), _secondaries(required)
    if primary is None:
        return "no primary is planned"
    return (primary, secondaries) if secondaries else "no secondary is planned"


def _first_seen(_: Facts, required: Requirements) -> str:
    pairs = _pairs(required)
    if isinstance(pairs, str):
        return pairs
    return f"what waits for {pairs[0].name}: {listed((p.name for p in pairs[1]), 'none')}"


def _prefix_seen(_: Facts, required: Requirements) -> str:
    pairs = _pairs(required)
    if isinstance(pairs, str):
        return pairs
    names = listed((p.name for p in (pairs[0], *pairs[1])), "none")
    return f"--file-prefix {_value(pairs[0], '--file-prefix') or 'not given'}: {names}"


def _build_seen(_: Facts, required: Requirements) -> str | NotLooked:
    if not required.builds:
        return NotLooked("no program shows which DPDK it is linked to")
    return listed((f"{program} is linked to {build}" for program, build in sorted(required.builds.items())), "none")


def _aslr_seen(facts: Facts, required: Requirements) -> str:
    secondaries = listed((p.name for p in _secondaries(required)), "none")
    return f"kernel.randomize_va_space is {facts.aslr}; secondaries: {secondaries}"


def _flags_seen(_: Facts, required: Requirements) -> str:
    pairs = _pairs(required)
    if isinstance(pairs, str):
        return pairs
    given = [flag for flag in ("--legacy-mem", "--single-file-segments") if flag in pairs[0].eal()]
    names = listed((p.name for p in (pairs[0], *pairs[1])), "none")
    return f"memory options of {names}: {listed(given, 'none')}"


CHECKS = (
    Check(
        "dpdk-lock",
        "another primary runs with this --file-prefix",
        "sppr doctor   (names it): end it, or spp.file_prefix in conf.yml; is it this lab? sppr status",
        _lock_seen,
        (r"Cannot create lock on .*",),
        look=_lock,
    ),
    Check(
        "dpdk-stale",
        "what an earlier primary left is in the way",
        "sppr doctor --fix   (removes our prefix's folder); else look at $RUNTIME_DIRECTORY, its owner and mode",
        _stale_seen,
        (
            r"Unable to open runtime directory",
            r"Error while clearing runtime dir",
            r"Cannot clear runtime directory",
        ),
        look=_stale,
    ),
    Check(
        "sec-orphan",
        "secondaries of a dead primary still run",
        "sppr down, then again",
        None,
        (r"Cannot init memzone", r"Cannot allocate memzone list"),
    ),
    Check(
        "sec-first",
        "a secondary was started before its primary",
        "start the primary, wait until it is connected, then this one again (arrow-up, Enter)",
        _first_seen,
        (r"Cannot open '.*' for rte_mem_config", r"Cannot get port info structure"),
        look=_first,
    ),
    Check(
        "sec-prefix",
        "or primary and secondary have different --file-prefix",
        "compare --file-prefix of both: sppr plan prints them",
        _prefix_seen,
        (r"Cannot open '.*' for rte_mem_config", r"Cannot get port info structure"),
        look=_prefix,
    ),
    Check(
        "sec-ver",
        "primary and secondary are built on different DPDKs",
        "build both anew from one tree: make dataplane, or make in spp.dir",
        _build_seen,
        (r"Primary and secondary process DPDK version mismatch",),
        look=_build,
    ),
    Check(
        "sec-map",
        "a secondary could not map the primary's memory where the primary has it",
        "start it again; if it stays: --base-virtaddr 0x100000000 on the primary, then for the run "
        "sysctl -w kernel.randomize_va_space=0   (less secure)",
        _aslr_seen,
        (
            r"Cannot mmap memory for rte_config at \[.*\], got \[.*\]",
            r"Could not map memory from primary process",
            r"It is recommended to disable ASLR in the kernel",
            r"Base virtual address hint \(.* != .*\) not respected",
            r"EAL: Could not mmap",
        ),
        look=_aslr,
    ),
    Check(
        "sec-flags",
        "memory options of primary and secondary differ",
        "give --legacy-mem and --single-file-segments to both, or to none",
        _flags_seen,
        look=_flags,
    ),
)
