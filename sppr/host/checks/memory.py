"""Hugepages: reserved, mounted, not leaked; and the memory of VMs, which is none of them."""

from collections.abc import Iterator

from sppr import units
from sppr.host.checks.check import (
    Check,
    Finding,
    NotLooked,
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
#: File systems whose files are memory all the same.
_IN_MEMORY = ("hugetlbfs", "tmpfs", "devtmpfs")


def reserve(facts: Facts, mib: int) -> Step:
    """Reserve so many more MiB in pages of 2 MiB."""
    total = sum(size.total for size in facts.hugepages if size.size_kb == 2048)
    return write_number(f"{facts.root.rstrip('/')}/{PAGES}", str(total + -(-mib // 2)))


def mount(folder: str) -> tuple[Step, ...]:
    return (
        Step(("mkdir", "-p", folder)),
        Step(("mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "nodev", folder)),
    )


def _free(facts: Facts, required: Requirements) -> int:
    """MiB that are free, or this very lab's already: what its primary has, or left for the next one to take."""
    mine = [f for f in facts.huge_files if f.prefix == required.file_prefix]
    ours = sum(f.mib for f in mine if not f.mappers or set(f.mappers) & required.own)
    return sum(size.free_mib for size in facts.hugepages) + ours


def _none(facts: Facts, required: Requirements) -> Iterator[Finding]:
    free = _free(facts, required)
    if required.hugepage_mib and free < required.hugepage_mib:
        total = sum(size.total * size.size_kb // 1024 for size in facts.hugepages)
        what = (
            f"hugepages: the primary needs {required.hugepage_mib} MiB, {free} MiB are free (of {total} MiB reserved)"
        )
        if len(facts.nodes) > 1:
            what += "; " + ", ".join(f"node {n.number}: {n.free_mib} MiB free" for n in facts.nodes)
        step = reserve(facts, required.hugepage_mib - free)
        pages = (step.stdin or "").strip()
        fix = f"sppr setup, or sppr doctor --fix   (echo {pages} > {step.argv[1]})"
        yield Finding("hp-none", "error", what, fix, (step,))


def _one_gib(facts: Facts, _: Requirements) -> Iterator[Finding]:
    sizes = {size.size_kb: size for size in facts.hugepages}
    if 1048576 in sizes and not sizes[1048576].total and 2048 in sizes and sizes[2048].total:
        what = "hugepages: of 2 MiB only; DPDK says that there are none of 1 GiB"
        yield Finding("hp-1g-note", "info", what, "nothing: it is harmless")


def _sum(facts: Facts, required: Requirements) -> Iterator[Finding]:
    """Ours take no hugepages: VMs' memory is a memfd of plain pages. What the two ask for is told together."""
    # A guest that runs has its memory already.
    starting = [vm for vm in required.vms if vm.name not in required.living]
    who = [f"{vm.name} {_vm_mib(vm)}" for vm in starting]
    total = sum(map(_vm_mib, starting))
    if total > facts.memory_free_mib > 0:
        what = (
            f"memory: the VMs need {total} MiB ({', '.join(who)}), {facts.memory_free_mib} MiB are available; "
            f"the primary's {required.hugepage_mib} MiB come from hugepages"
        )
        yield Finding("hp-sum", "error", what, "fewer VMs (-nr, -nv), or vm.memory lower in conf.yml")


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
        what = f"hugepages: {folder} is mounted with {', '.join(sorted(sizes))}, and no page of that size is reserved"
        yield Finding("hp-mount", "error", what, f"umount {folder}; mount -t hugetlbfs -o pagesize=2M nodev {folder}")


def _short(size_kb: int) -> str:
    return f"{size_kb >> 20}G" if size_kb >= 1 << 20 else f"{size_kb >> 10}M"


def _not_a_mount(facts: Facts, required: Requirements) -> Iterator[Finding]:
    """Without a message QEMU makes a regular file there, and fills the host's memory or disk."""
    if required.hugepage_file:
        what = f"{required.hugepage_dir}: is a file, not a folder with hugetlbfs: a QEMU made it that was told mem-path"
        fix = f"look at it, and remove it: rm {required.hugepage_dir}; then: sppr doctor --fix"
        yield Finding("hp-notfs", "error", what, fix)
    for vm in required.vms:
        for path in _memory_paths(vm):
            kind = facts.file_system(path)
            if kind not in _IN_MEMORY:
                what = f"{vm.name}: mem-path {path} lies on {kind or 'no file system known'}, not on hugetlbfs"
                fix = f"mount -t hugetlbfs -o pagesize=2M nodev {path}, or leave mem-path out of vm.args"
                yield Finding("hp-notfs", "error", f"{what}: QEMU would fill a regular file there", fix)


def _memory_paths(vm: Process) -> list[str]:
    """Where guest RAM is to lie. The regions of ring ports (``iv0`` …) are small files of ours."""
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
        what = f"hugepages: {len(paths)} files of --file-prefix {prefix} hold {mib} MiB, and no process maps them"
        if prefix == required.file_prefix:
            real = tuple(facts.root.rstrip("/") + path for path in paths)
            yield Finding("hp-leak", "warning", what, "sppr doctor --fix", (remove_files(*real),))
        else:
            yield Finding("hp-leak", "info", what, f"not ours: if nobody misses them: rm {' '.join(paths)}")


def _numa(facts: Facts, required: Requirements) -> Iterator[Finding]:
    if len(facts.nodes) < 2 or not required.hugepage_mib:
        return
    bare = [n for n in facts.nodes if set(n.cpus) & set(required.lcores) and not n.free_mib]
    for node in bare:
        what = f"NUMA: lcores of this lab are on node {node.number}, which has no free hugepages"
        pages = f"/sys/devices/system/node/node{node.number}/hugepages/hugepages-2048kB/nr_hugepages"
        yield Finding("numa", "warning", what, f"echo 512 > {pages}, or coremasks of another node")
    for port in facts.ports:
        if port.node >= 0 and not any(n.number == port.node and n.free_mib for n in facts.nodes):
            what = f"NUMA: NIC {port.address} is on node {port.node}, which has no free hugepages"
            yield Finding("numa", "warning", what, f"reserve pages on node {port.node}")


def _none_seen(facts: Facts, required: Requirements) -> str:
    wanted = f"the primary needs {required.hugepage_mib} MiB" if required.hugepage_mib else "no primary is to start"
    return f"hugepages: {_free(facts, required)} MiB are free or this lab's; {wanted}"


def _one_gib_seen(facts: Facts, _: Requirements) -> str:
    sizes = [f"{size.total} of {_short(size.size_kb)}" for size in facts.hugepages]
    return f"hugepages that are reserved: {listed(sizes, 'none, the kernel lists no size')}"


def _sum_seen(facts: Facts, required: Requirements) -> str | NotLooked:
    if not facts.memory_free_mib:
        return NotLooked("/proc/meminfo does not say how much memory is available")
    starting = [f"{vm.name} {_vm_mib(vm)} MiB" for vm in required.vms if vm.name not in required.living]
    return f"memory: {facts.memory_free_mib} MiB are available; VMs that are to start: {listed(starting, 'none')}"


def _mounted_seen(facts: Facts, required: Requirements) -> str:
    folder = required.hugepage_dir
    if required.hugepage_file or folder not in facts.hugetlbfs:
        kind = "a file" if required.hugepage_file else "no hugetlbfs mount"
        return f"no primary is to start there; {folder} is {kind}"
    sizes = [option for m in facts.mounts if m.point == folder for option in m.options if option.startswith("pagesize")]
    return f"{folder} is a hugetlbfs mount, {listed(sizes, 'no pagesize shown')}"


def _not_a_mount_seen(facts: Facts, required: Requirements) -> str:
    paths = [(vm.name, path) for vm in required.vms for path in _memory_paths(vm)]
    lying = [f"{name}: mem-path {path} lies on {facts.file_system(path)}" for name, path in paths]
    return f"VMs with memory in a file: {listed(lying, 'none')} (of {len(required.vms)} VMs)"


def _leaks_seen(facts: Facts, required: Requirements) -> str:
    if not facts.hugetlbfs:
        return "no hugetlbfs is mounted"
    whose = "" if required.is_root else " of this user"
    mapped = ", each mapped by a process" if facts.huge_files else ""
    return f"DPDK files{whose} in {listed(facts.hugetlbfs, 'none')}: {len(facts.huge_files)}{mapped}"


def _numa_seen(facts: Facts, required: Requirements) -> str:
    if len(facts.nodes) < 2:
        return f"NUMA nodes: {listed((node.number for node in facts.nodes), 'the kernel lists none')}"
    if not required.hugepage_mib:
        return "no primary is to start"
    used = [node for node in facts.nodes if set(node.cpus) & set(required.lcores)]
    free = (f"node {node.number} with {node.free_mib} MiB of hugepages free" for node in used)
    return f"lcores of this lab are on {listed(free, 'no node that the kernel lists')}"


CHECKS = (
    Check(
        "hp-none",
        "no hugepages are free for this process",
        "sppr setup   (reserves hugepages; or: sppr doctor --fix; at boot: hugepages=512)",
        _none_seen,
        (
            r"No free (?!1048576 kB)\d+ ?kB hugepages reported",
            r"Cannot get hugepage information",
            r"Cannot init memory\b",
        ),
        look=_none,
    ),
    Check(
        "hp-1g-note",
        "there are no hugepages of 1 GiB, which is harmless where those of 2 MiB are used",
        "nothing: it is harmless",
        _one_gib_seen,
        (r"No free hugepages reported in hugepages-1048576kB", r"No free 1048576 kB hugepages reported"),
        "info",
        _one_gib,
        host=True,
    ),
    Check(
        "hp-sum",
        "all that asks for memory together asks for more than there is",
        "sppr doctor   (who needs what); fewer VMs (-nr, -nv), or vm.memory and primary.memory lower; sppr setup",
        _sum_seen,
        (
            r"Not enough memory available! Requested: \d+ ?MB, available: \d+ ?MB",
            r"unable to map backing store for guest RAM",
            r"[Cc]annot (set up guest|allocate) memory",
        ),
        look=_sum,
    ),
    Check(
        "hp-mount",
        "hugepages are reserved, but no hugetlbfs of their size is mounted",
        "sppr doctor --fix   (or: mount -t hugetlbfs -o pagesize=2M nodev /dev/hugepages)",
        _mounted_seen,
        (r"hugepages of size \d+ reserved, but no mounted hugetlbfs found for that size",),
        look=_mounted,
    ),
    Check(
        "hp-notfs",
        "guest memory would lie in a regular file",
        "mount hugetlbfs there, or leave mem-path out of vm.args",
        _not_a_mount_seen,
        look=_not_a_mount,
    ),
    Check(
        "hp-leak",
        "hugepage files without a process keep pages from being free",
        "sppr doctor --fix",
        _leaks_seen,
        look=_leaks,
        host=True,
    ),
    Check(
        "numa",
        "memory, cores and NIC are not on one NUMA node",
        "reserve pages on that node: sppr doctor names it; or coremasks of another node",
        _numa_seen,
        (
            r"Main core has no memory on local socket",
            r"DPDK is running on a NUMA system, but is compiled without NUMA support",
        ),
        "warning",
        _numa,
    ),
)
