"""DPDK's processes among themselves: who is the primary, what it left, and whether secondaries fit it."""

from collections.abc import Iterator

from sppr.host.checks.check import Check, Finding, Needs, NotLooked, Process, listed, remove_folder
from sppr.host.facts import Facts, Runtime


def _ours(facts: Facts, needs: Needs) -> list[Runtime]:
    return [r for r in facts.runtimes if needs.file_prefix and r.prefix == needs.file_prefix]


def _lock(facts: Facts, needs: Needs) -> Iterator[Finding]:
    for runtime in _ours(facts, needs):
        if runtime.holder is not None and runtime.holder not in needs.own:
            who = needs.name_of(runtime.holder)
            what = f"{runtime.path}/config: {who} is a primary with --file-prefix {runtime.prefix} already"
            fix = f"end it: kill {runtime.holder}; or another prefix: spp: {{file_prefix: NAME}} in conf.yml"
            yield Finding("dpdk-lock", "error", what, fix)


def _stale(facts: Facts, needs: Needs) -> Iterator[Finding]:
    for runtime in _ours(facts, needs):
        if runtime.holder is not None:
            continue
        strangers = tuple(pid for pid in runtime.mappers if pid not in needs.own)
        if strangers:
            what = f"{runtime.path}: its primary is gone, but {needs.named(strangers)} still run over what it left"
            yield Finding("dpdk-stale", "error", what, f"end them: kill {' '.join(map(str, strangers))}")
        elif not runtime.writable:
            what = f"{runtime.path}: left by a primary of another user, and not yours to clear"
            yield Finding("dpdk-stale", "error", what, f"sudo rm -r {runtime.path}")
        elif not runtime.mappers:
            what = f"{runtime.path}: left by a primary that has ended"
            real = facts.root.rstrip("/") + runtime.path
            yield Finding("dpdk-stale", "warning", what, "sppr doctor --fix", (remove_folder(real),))


def _primary(needs: Needs) -> Process | None:
    return next((p for p in needs.spp if p.role == "primary"), None)


def _secondaries(needs: Needs) -> list[Process]:
    return [p for p in needs.spp if p.role == "secondary"]


def _first(_: Facts, needs: Needs) -> Iterator[Finding]:
    primary = _primary(needs)
    for process in _secondaries(needs) if primary else []:
        if primary and primary.name not in process.needs:
            what = f"{process.name} would start without waiting for {primary.name}"
            yield Finding("sec-first", "error", what, "start the primary first")


def _prefix(_: Facts, needs: Needs) -> Iterator[Finding]:
    yield from _same(needs, "--file-prefix", "sec-prefix")


def _same(needs: Needs, option: str, identity: str) -> Iterator[Finding]:
    primary = _primary(needs)
    for process in _secondaries(needs) if primary else []:
        mine, its = _value(process, option), _value(primary, option) if primary else ""
        if mine != its:
            what = f"{process.name} has {option} {mine or 'not'}, the primary {its or 'not'}"
            yield Finding(identity, "error", what, "give both the same")


def _value(process: Process, option: str) -> str:
    return (process.values(option) or [""])[-1]


def _build(_: Facts, needs: Needs) -> Iterator[Finding]:
    if len(set(needs.builds.values())) > 1:
        told = ", ".join(f"{program} on {build}" for program, build in sorted(needs.builds.items()))
        yield Finding("sec-ver", "error", f"built on different DPDKs: {told}", "build both from one tree, on one DPDK")


def _flags(_: Facts, needs: Needs) -> Iterator[Finding]:
    primary = _primary(needs)
    for process in _secondaries(needs) if primary else []:
        for flag in ("--legacy-mem", "--single-file-segments"):
            if primary and (flag in primary.eal()) != (flag in process.eal()):
                having, other = (primary, process) if flag in primary.eal() else (process, primary)
                what = f"{having.name} has {flag} and {other.name} has not: memory would be corrupted in silence"
                yield Finding("sec-flags", "error", what, "give it to both, or to none")


def _aslr(facts: Facts, needs: Needs) -> Iterator[Finding]:
    if facts.aslr and _secondaries(needs):
        what = "address space randomisation is on: seldom a secondary cannot map what the primary has"
        fix = "if one says so: --base-virtaddr 0x100000000 on the primary, or sysctl -w kernel.randomize_va_space=0"
        yield Finding("sec-map", "info", what, fix)


def _no_folder(needs: Needs) -> str | NotLooked:
    if not needs.is_root:
        return NotLooked("/run/dpdk can be read by root alone")
    return f"no runtime folder of --file-prefix {needs.file_prefix or 'none'}"


def _lock_seen(facts: Facts, needs: Needs) -> str | NotLooked:
    held = [f"{r.path}/config: locked by this lab's {needs.name_of(r.holder)}" for r in _ours(facts, needs) if r.holder]
    free = [f"{r.path}/config: nobody has locked it" for r in _ours(facts, needs) if not r.holder]
    return "; ".join([*held, *free]) or _no_folder(needs)


def _stale_seen(facts: Facts, needs: Needs) -> str | NotLooked:
    return "; ".join(_used(r, needs) for r in _ours(facts, needs)) or _no_folder(needs)


def _used(runtime: Runtime, needs: Needs) -> str:
    if runtime.holder is not None:
        return f"{runtime.path}: its primary runs, {needs.name_of(runtime.holder)}"
    return f"{runtime.path}: its primary has ended, this lab's {needs.named(runtime.mappers)} still use it"


def _pairs(needs: Needs) -> tuple[Process, list[Process]] | str:
    """The primary and its secondaries; or what is missing."""
    primary, secondaries = _primary(needs), _secondaries(needs)
    if primary is None:
        return "no primary is planned"
    return (primary, secondaries) if secondaries else "no secondary is planned"


def _first_seen(_: Facts, needs: Needs) -> str:
    pairs = _pairs(needs)
    if isinstance(pairs, str):
        return pairs
    return f"what waits for {pairs[0].name}: {listed((p.name for p in pairs[1]), 'none')}"


def _prefix_seen(_: Facts, needs: Needs) -> str:
    pairs = _pairs(needs)
    if isinstance(pairs, str):
        return pairs
    names = listed((p.name for p in (pairs[0], *pairs[1])), "none")
    return f"--file-prefix {_value(pairs[0], '--file-prefix') or 'not given'}: {names}"


def _build_seen(_: Facts, needs: Needs) -> str | NotLooked:
    if not needs.builds:
        return NotLooked("no program shows which DPDK it is linked to")
    return listed((f"{program} is linked to {build}" for program, build in sorted(needs.builds.items())), "none")


def _aslr_seen(facts: Facts, needs: Needs) -> str:
    secondaries = listed((p.name for p in _secondaries(needs)), "none")
    return f"kernel.randomize_va_space is {facts.aslr}; secondaries: {secondaries}"


def _flags_seen(_: Facts, needs: Needs) -> str:
    pairs = _pairs(needs)
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
