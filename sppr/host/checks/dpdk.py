"""Checks of DPDK processes: another primary, files of an earlier one, and whether secondaries match the primary."""

from collections.abc import Iterator

from sppr.host.checks.check import Check, Finding, NotChecked, Process, Requirements, listed, remove_folder
from sppr.host.facts import Facts, Runtime


def _own_runtimes(facts: Facts, required: Requirements) -> list[Runtime]:
    return [r for r in facts.runtimes if required.file_prefix and r.prefix == required.file_prefix]


def _lock(facts: Facts, required: Requirements) -> Iterator[Finding]:
    for runtime in _own_runtimes(facts, required):
        if runtime.holder is not None and runtime.holder not in required.own:
            who = required.describe_process(runtime.holder)
            what = f"{runtime.path}/config: {who} is already a primary with --file-prefix {runtime.prefix}"
            fix = f"stop it: kill {runtime.holder}; or use another prefix: spp: {{file_prefix: NAME}} in conf.yml"
            yield Finding("dpdk-lock", "error", what, fix)


def _stale(facts: Facts, required: Requirements) -> Iterator[Finding]:
    for runtime in _own_runtimes(facts, required):
        if runtime.holder is not None:
            continue
        strangers = tuple(pid for pid in runtime.mappers if pid not in required.own)
        if strangers:
            what = (
                f"{runtime.path}: its primary has exited, but {required.named(strangers)} still use the files it left"
            )
            yield Finding("dpdk-stale", "error", what, f"stop them: kill {' '.join(map(str, strangers))}")
        elif not runtime.writable:
            what = f"{runtime.path}: left by a primary of another user; you may not remove it"
            yield Finding("dpdk-stale", "error", what, f"sudo rm -r {runtime.path}")
        elif not runtime.mappers:
            what = f"{runtime.path}: left by a primary that has exited"
            folder = facts.root.rstrip("/") + runtime.path
            yield Finding("dpdk-stale", "warning", what, "sppr doctor --fix", (remove_folder(folder),))


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
        own, primarys = _value(process, option), _value(primary, option) if primary else ""
        if own != primarys:
            what = f"{process.name} has {option} {own or '(none)'}, the primary has {primarys or '(none)'}"
            yield Finding(identity, "error", what, "use the same for both")


def _value(process: Process, option: str) -> str:
    return (process.values(option) or [""])[-1]


def _build(_: Facts, required: Requirements) -> Iterator[Finding]:
    if len(set(required.builds.values())) > 1:
        listing = ", ".join(f"{program} on {build}" for program, build in sorted(required.builds.items()))
        yield Finding(
            "sec-ver", "error", f"built on different DPDK releases: {listing}", "build both from one tree, on one DPDK"
        )


def _flags(_: Facts, required: Requirements) -> Iterator[Finding]:
    primary = _primary(required)
    for process in _secondaries(required) if primary else []:
        for flag in ("--legacy-mem", "--single-file-segments"):
            if primary and (flag in primary.eal()) != (flag in process.eal()):
                owner, other = (primary, process) if flag in primary.eal() else (process, primary)
                what = f"{owner.name} has {flag} but {other.name} does not: memory would be corrupted without an error"
                yield Finding("sec-flags", "error", what, "use it for both, or for neither")


def _aslr(facts: Facts, required: Requirements) -> Iterator[Finding]:
    if facts.aslr and _secondaries(required):
        what = "address space randomisation is on: in rare cases a secondary cannot map the primary's memory"
        fix = (
            "if one reports that: --base-virtaddr 0x100000000 on the primary, or sysctl -w kernel.randomize_va_space=0"
        )
        yield Finding("sec-map", "info", what, fix)


def _no_folder(required: Requirements) -> str | NotChecked:
    if not required.is_root:
        return NotChecked("only root can read /run/dpdk")
    return f"no runtime folder of --file-prefix {required.file_prefix or 'none'}"


def _lock_ok(facts: Facts, required: Requirements) -> str | NotChecked:
    held = [
        f"{r.path}/config: locked by this lab's {required.describe_process(r.holder)}"
        for r in _own_runtimes(facts, required)
        if r.holder
    ]
    free = [f"{r.path}/config: not locked" for r in _own_runtimes(facts, required) if not r.holder]
    return "; ".join([*held, *free]) or _no_folder(required)


def _stale_ok(facts: Facts, required: Requirements) -> str | NotChecked:
    return "; ".join(_used(r, required) for r in _own_runtimes(facts, required)) or _no_folder(required)


def _used(runtime: Runtime, required: Requirements) -> str:
    if runtime.holder is not None:
        return f"{runtime.path}: its primary is {required.describe_process(runtime.holder)}"
    return f"{runtime.path}: its primary has exited, but this lab's {required.named(runtime.mappers)} still use it"


def _pairs(required: Requirements) -> tuple[Process, list[Process]] | str:
    """Return the primary and its secondaries, or a text that says what is missing."""
    primary, secondaries = _primary(required), _secondaries(required)
    if primary is None:
        return "no primary is planned"
    return (primary, secondaries) if secondaries else "no secondary is planned"


def _first_ok(_: Facts, required: Requirements) -> str:
    pairs = _pairs(required)
    if isinstance(pairs, str):
        return pairs
    return f"parts that wait for {pairs[0].name}: {listed((p.name for p in pairs[1]), 'none')}"


def _prefix_ok(_: Facts, required: Requirements) -> str:
    pairs = _pairs(required)
    if isinstance(pairs, str):
        return pairs
    names = listed((p.name for p in (pairs[0], *pairs[1])), "none")
    return f"--file-prefix {_value(pairs[0], '--file-prefix') or 'not given'}: {names}"


def _build_ok(_: Facts, required: Requirements) -> str | NotChecked:
    if not required.builds:
        return NotChecked("no program shows which DPDK it is linked to")
    return listed((f"{program} is linked to {build}" for program, build in sorted(required.builds.items())), "none")


def _aslr_ok(facts: Facts, required: Requirements) -> str:
    secondaries = listed((p.name for p in _secondaries(required)), "none")
    return f"kernel.randomize_va_space is {facts.aslr}; secondaries: {secondaries}"


def _flags_ok(_: Facts, required: Requirements) -> str:
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
        "sppr doctor   (names it): stop it, or set spp.file_prefix in conf.yml; sppr status shows whether it is "
        "this lab",
        _lock_ok,
        (r"Cannot create lock on .*",),
        inspect=_lock,
    ),
    Check(
        "dpdk-stale",
        "files of an earlier primary prevent the start",
        "sppr doctor --fix   (removes the folder of this lab's prefix); else check owner and mode of "
        "$RUNTIME_DIRECTORY",
        _stale_ok,
        (
            r"Unable to open runtime directory",
            r"Error while clearing runtime dir",
            r"Cannot clear runtime directory",
        ),
        inspect=_stale,
    ),
    Check(
        "sec-orphan",
        "secondaries of a primary that has exited are still running",
        "sppr down, then wakeup again",
        None,
        (r"Cannot init memzone", r"Cannot allocate memzone list"),
    ),
    Check(
        "sec-first",
        "a secondary was started before its primary",
        "start the primary, wait until it is connected, then start this one again (arrow-up, Enter)",
        _first_ok,
        (r"Cannot open '.*' for rte_mem_config", r"Cannot get port info structure"),
        inspect=_first,
    ),
    Check(
        "sec-prefix",
        "primary and secondary have different --file-prefix",
        "compare --file-prefix of both: sppr plan prints them",
        _prefix_ok,
        (r"Cannot open '.*' for rte_mem_config", r"Cannot get port info structure"),
        inspect=_prefix,
    ),
    Check(
        "sec-ver",
        "primary and secondary are built on different DPDK releases",
        "build both again from one tree: make dataplane, or make in spp.dir",
        _build_ok,
        (r"Primary and secondary process DPDK version mismatch",),
        inspect=_build,
    ),
    Check(
        "sec-map",
        "a secondary could not map the primary's memory at the primary's addresses",
        "sppr start NAME   (starts it again); if that does not help: --base-virtaddr 0x100000000 on the primary, then "
        "for this run sysctl -w kernel.randomize_va_space=0 (less secure)",
        _aslr_ok,
        (
            r"Cannot mmap memory for rte_config at \[.*\], got \[.*\]",
            r"Could not map memory from primary process",
            r"It is recommended to disable ASLR in the kernel",
            r"Base virtual address hint \(.* != .*\) not respected",
            r"EAL: Could not mmap",
        ),
        inspect=_aslr,
    ),
    Check(
        "sec-flags",
        "memory options of primary and secondary differ",
        "use --legacy-mem and --single-file-segments for both, or for neither",
        _flags_ok,
        inspect=_flags,
    ),
)
