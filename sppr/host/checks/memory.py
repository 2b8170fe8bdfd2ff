"""Checks of memory: hugepages that are reserved, mounted and not leaked, and the memory of VMs, which needs no
hugepages."""

from collections.abc import Iterator

from sppr import units
from sppr.host.checks.check import (
    Check,
    Finding,
    NotChecked,
    Process,
    Requirements,
    Step,
    listed,
    options,
    remove_files,
    write_number,
)
from sppr.host.facts import Facts

PAGES = "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
#: File systems whose files are in memory.
_IN_MEMORY = ("hugetlbfs", "tmpfs", "devtmpfs")


def reserve(facts: Facts, mib: int) -> Step:
    """Return the step that reserves another ``mib`` MiB in hugepages of 2 MiB."""
    total = sum(size.total for size in facts.hugepages if size.size_kb == 2048)
    return write_number(f"{facts.root.rstrip('/')}/{PAGES}", str(total + -(-mib // 2)))


def mount(folder: str) -> tuple[Step, ...]:
    """Return the steps that mount hugetlbfs at a folder."""
    return (
        Step(("mkdir", "-p", folder)),
        Step(("mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "nodev", folder)),
    )


def _free(facts: Facts, required: Requirements) -> int:
    """Return the free hugepage memory in MiB, including pages of this lab: used by its primary, or left for the next
    one."""
    own_files = [f for f in facts.huge_files if f.prefix == required.file_prefix]
    own = sum(f.mib for f in own_files if not f.mappers or set(f.mappers) & required.own)
    return sum(size.free_mib for size in facts.hugepages) + own


def _none(facts: Facts, required: Requirements) -> Iterator[Finding]:
    free = _free(facts, required)
    if required.hugepage_mib and free < required.hugepage_mib:
        total = sum(size.total * size.size_kb // 1024 for size in facts.hugepages)
        what = f"hugepages: the primary needs {required.hugepage_mib} MiB, but {free} MiB are free (of {total} MiB)"
        if len(facts.nodes) > 1:
            what += "; " + ", ".join(f"node {n.number}: {n.free_mib} MiB free" for n in facts.nodes)
        step = reserve(facts, required.hugepage_mib - free)
        pages = (step.stdin or "").strip()
        fix = f"sppr setup, or sppr doctor --fix   (echo {pages} > {step.argv[1]})"
        yield Finding("hp-none", "error", what, fix, (step,))


def _one_gib(facts: Facts, _: Requirements) -> Iterator[Finding]:
    sizes = {size.size_kb: size for size in facts.hugepages}
    if 1048576 in sizes and not sizes[1048576].total and 2048 in sizes and sizes[2048].total:
        what = "hugepages: of 2 MiB only; DPDK reports that none of 1 GiB are reserved"
        yield Finding("hp-1g-note", "info", what, "none needed: it is harmless")


def _sum(facts: Facts, required: Requirements) -> Iterator[Finding]:
    """Compare the memory of the VMs with the available memory.

    VMs use a memfd of normal pages, not hugepages. The finding also names the primary's hugepages, so that the user
    sees both needs.
    """
    # A running VM already has its memory.
    starting = [vm for vm in required.vms if vm.name not in required.running]
    needs = [f"{vm.name} {_vm_mib(vm)}" for vm in starting]
    total = sum(map(_vm_mib, starting))
    if total > facts.memory_free_mib > 0:
        what = (
            f"memory: the VMs need {total} MiB ({', '.join(needs)}), but only {facts.memory_free_mib} MiB are "
            f"available; "
            f"the primary's {required.hugepage_mib} MiB come from hugepages"
        )
        yield Finding("hp-sum", "error", what, "start fewer VMs (-nr, -nv), or lower vm.memory in conf.yml")


def _vm_mib(vm: Process) -> int:
    values = vm.values("-m")
    try:
        return units.parse_mib(values[0]) if values else 0
    except ValueError:
        return 0


def _mounted(facts: Facts, required: Requirements) -> Iterator[Finding]:
    folder = required.hugepage_dir
    if not required.hugepage_mib or required.hugepage_file:
        return
    if folder not in facts.hugetlbfs:
        fix = f"sppr setup, or sppr doctor --fix   (mount -t hugetlbfs -o pagesize=2M nodev {folder})"
        what = f"hugepages: {folder} is not a hugetlbfs mount"
        yield Finding("hp-mount", "error", what, fix, mount(folder))
        return
    sizes = {option for m in facts.mounts if m.point == folder for option in m.options if option.startswith("pagesize")}
    reserved = {f"pagesize={_short(size.size_kb)}" for size in facts.hugepages if size.total}
    if sizes and reserved and not sizes & reserved:
        what = f"hugepages: {folder} is mounted with {', '.join(sorted(sizes))}, but no page of that size is reserved"
        yield Finding("hp-mount", "error", what, f"umount {folder}; mount -t hugetlbfs -o pagesize=2M nodev {folder}")


def _short(size_kb: int) -> str:
    return f"{size_kb >> 20}G" if size_kb >= 1 << 20 else f"{size_kb >> 10}M"


def _not_a_mount(facts: Facts, required: Requirements) -> Iterator[Finding]:
    """Report guest memory that is not on hugetlbfs, because QEMU creates a regular file there, without a message, and
    fills the host's memory or disk."""
    if required.hugepage_file:
        what = f"{required.hugepage_dir}: is a file, not a hugetlbfs mount: a QEMU with mem-path created it"
        fix = f"check what it is, and remove it: rm {required.hugepage_dir}; then: sppr doctor --fix"
        yield Finding("hp-notfs", "error", what, fix)
    for vm in required.vms:
        for path in _memory_paths(vm):
            kind = facts.file_system(path)
            if kind not in _IN_MEMORY:
                what = f"{vm.name}: mem-path {path} is on {kind or 'an unknown file system'}, not on hugetlbfs"
                fix = f"mount -t hugetlbfs -o pagesize=2M nodev {path}, or remove mem-path from vm.args"
                yield Finding("hp-notfs", "error", f"{what}: QEMU would fill a regular file there", fix)


def _memory_paths(vm: Process) -> list[str]:
    """Return the paths of guest RAM. The regions of ring ports (``iv0`` …) are small files of sppr, and do not
    count."""
    objects = [options(value) for value in vm.values("-object")]
    backends = [
        o for o in objects if o.get("", "").startswith("memory-backend") and not o.get("id", "").startswith("iv")
    ]
    return [*(o["mem-path"] for o in backends if "mem-path" in o), *vm.values("-mem-path")]


def _leaks(facts: Facts, required: Requirements) -> Iterator[Finding]:
    by_prefix: dict[str, list[str]] = {}
    for file in facts.huge_files:
        if not file.mappers:
            by_prefix.setdefault(file.prefix, []).append(file.path)
    sizes = {file.path: file.mib for file in facts.huge_files}
    for prefix, paths in sorted(by_prefix.items()):
        mib = sum(sizes[path] for path in paths)
        what = f"hugepages: {len(paths)} files of --file-prefix {prefix} hold {mib} MiB, but no process maps them"
        if prefix == required.file_prefix:
            files = tuple(facts.root.rstrip("/") + path for path in paths)
            yield Finding("hp-leak", "warning", what, "sppr doctor --fix", (remove_files(*files),))
        else:
            yield Finding(
                "hp-leak",
                "info",
                what,
                f"they belong to another lab or program; if no process needs them: rm {' '.join(paths)}",
            )


def _numa(facts: Facts, required: Requirements) -> Iterator[Finding]:
    if len(facts.nodes) < 2 or not required.hugepage_mib:
        return
    bare = [n for n in facts.nodes if set(n.cpus) & set(required.lcores) and not n.free_mib]
    for node in bare:
        what = f"NUMA: lcores of this lab are on node {node.number}, which has no free hugepages"
        pages = f"/sys/devices/system/node/node{node.number}/hugepages/hugepages-2048kB/nr_hugepages"
        yield Finding("numa", "warning", what, f"echo 512 > {pages}, or use coremasks of another node")
    for port in facts.ports:
        if port.node >= 0 and not any(n.number == port.node and n.free_mib for n in facts.nodes):
            what = f"NUMA: NIC {port.address} is on node {port.node}, which has no free hugepages"
            yield Finding("numa", "warning", what, f"reserve pages on node {port.node}")


def _none_ok(facts: Facts, required: Requirements) -> str:
    wanted = f"the primary needs {required.hugepage_mib} MiB" if required.hugepage_mib else "no primary will be started"
    return f"hugepages: {_free(facts, required)} MiB are free or used by this lab; {wanted}"


def _one_gib_ok(facts: Facts, _: Requirements) -> str:
    sizes = [f"{size.total} of {_short(size.size_kb)}" for size in facts.hugepages]
    return f"reserved hugepages: {listed(sizes, 'none, the kernel lists no size')}"


def _sum_ok(facts: Facts, required: Requirements) -> str | NotChecked:
    if not facts.memory_free_mib:
        return NotChecked("/proc/meminfo does not show the available memory")
    starting = [f"{vm.name} {_vm_mib(vm)} MiB" for vm in required.vms if vm.name not in required.running]
    return f"memory: {facts.memory_free_mib} MiB are available; VMs that will be started: {listed(starting, 'none')}"


def _mounted_ok(facts: Facts, required: Requirements) -> str:
    folder = required.hugepage_dir
    if required.hugepage_file or folder not in facts.hugetlbfs:
        kind = "a file" if required.hugepage_file else "not a hugetlbfs mount"
        return f"no primary will be started with it; {folder} is {kind}"
    sizes = [option for m in facts.mounts if m.point == folder for option in m.options if option.startswith("pagesize")]
    return f"{folder} is a hugetlbfs mount, {listed(sizes, 'no pagesize listed')}"


def _not_a_mount_ok(facts: Facts, required: Requirements) -> str:
    paths = [(vm.name, path) for vm in required.vms for path in _memory_paths(vm)]
    placed = [f"{name}: mem-path {path} is on {facts.file_system(path)}" for name, path in paths]
    return f"VMs with memory in a file: {listed(placed, 'none')} (of {len(required.vms)} VMs)"


def _leaks_ok(facts: Facts, required: Requirements) -> str:
    if not facts.hugetlbfs:
        return "no hugetlbfs is mounted"
    whose = "" if required.is_root else " of this user"
    mapped = ", each mapped by a process" if facts.huge_files else ""
    return f"DPDK files{whose} in {listed(facts.hugetlbfs, 'none')}: {len(facts.huge_files)}{mapped}"


def _numa_ok(facts: Facts, required: Requirements) -> str:
    if len(facts.nodes) < 2:
        return f"NUMA nodes: {listed((node.number for node in facts.nodes), 'the kernel lists none')}"
    if not required.hugepage_mib:
        return "no primary will be started"
    used = [node for node in facts.nodes if set(node.cpus) & set(required.lcores)]
    free = (f"node {node.number} with {node.free_mib} MiB of hugepages free" for node in used)
    return f"lcores of this lab are on {listed(free, 'no node that the kernel lists')}"


CHECKS = (
    Check(
        "hp-none",
        "no hugepages are free for this process",
        "sppr setup   (reserves hugepages; or: sppr doctor --fix; at boot: hugepages=512)",
        _none_ok,
        (
            r"No free (?!1048576 kB)\d+ ?kB hugepages reported",
            r"Cannot get hugepage information",
            r"Cannot init memory\b",
        ),
        inspect=_none,
    ),
    Check(
        "hp-1g-note",
        "there are no hugepages of 1 GiB, which is harmless if hugepages of 2 MiB are used",
        "none needed: it is harmless",
        _one_gib_ok,
        (r"No free hugepages reported in hugepages-1048576kB", r"No free 1048576 kB hugepages reported"),
        "info",
        _one_gib,
        host=True,
    ),
    Check(
        "hp-sum",
        "primary and VMs together need more memory than is available",
        "sppr doctor   (shows the needs of each); start fewer VMs (-nr, -nv), lower vm.memory or primary.memory; "
        "sppr setup",
        _sum_ok,
        (
            r"Not enough memory available! Requested: \d+ ?MB, available: \d+ ?MB",
            r"unable to map backing store for guest RAM",
            r"[Cc]annot (set up guest|allocate) memory",
        ),
        inspect=_sum,
    ),
    Check(
        "hp-mount",
        "hugepages are reserved, but no hugetlbfs of their size is mounted",
        "sppr doctor --fix   (or: mount -t hugetlbfs -o pagesize=2M nodev /dev/hugepages)",
        _mounted_ok,
        (r"hugepages of size \d+ reserved, but no mounted hugetlbfs found for that size",),
        inspect=_mounted,
    ),
    Check(
        "hp-notfs",
        "guest memory would be in a regular file",
        "mount hugetlbfs there, or remove mem-path from vm.args",
        _not_a_mount_ok,
        inspect=_not_a_mount,
    ),
    Check(
        "hp-leak",
        "hugepage files without a process occupy hugepages",
        "sppr doctor --fix",
        _leaks_ok,
        inspect=_leaks,
        host=True,
    ),
    Check(
        "numa",
        "memory, cores and NIC are not on one NUMA node",
        "reserve pages on that node: sppr doctor names it; or use coremasks of another node",
        _numa_ok,
        (
            r"Main core has no memory on local socket",
            r"DPDK is running on a NUMA system, but is compiled without NUMA support",
        ),
        "warning",
        _numa,
    ),
)
