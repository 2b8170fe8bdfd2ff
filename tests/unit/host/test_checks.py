"""Checks are pure: facts and needs in, findings out. Each text stands here as the user reads it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sppr.host.checks import REGISTRY, Disk, Finding, NotLooked, Process, Requirements, check
from sppr.host.facts import Facts, HugeFile, Hugepages, Interface, Mount, Nic, Node, Runtime
from sppr.lab import doctor
from tests.conftest import Golden

NIC = Nic("0000:00:04.0", "vfio-pci", 0, 7)
GOOD = Facts(
    cpus=(0, 1, 2, 3),
    hugepages=(Hugepages(2048, 512, 512),),
    hugetlbfs=("/dev/hugepages",),
    nics=(NIC.address,),
    ports=(NIC,),
    virtualisation=True,
    kvm_exists=True,
    kvm_device=True,
    kvm_boots=True,
    iommu=True,
    memory_free_mib=4096,
    mounts=(Mount("/", "ext4"), Mount("/dev/hugepages", "hugetlbfs", ("rw", "pagesize=2M"))),
)
PRIMARY = Process(
    "pri",
    "primary",
    ("spp_primary", "--lcores", "0@0,1@1", "--file-prefix", "lab", "--vdev", "net_tap0", "--", "-p", "0x03", "-n", "9"),
)
SECONDARY = Process(
    "sec1", "secondary", ("spp_nfv", "--lcores", "2@2,3@3", "--file-prefix", "lab", "--", "-n", "1"), ("pri",)
)
MEMORY = (
    "-m",
    "256M",
    "-object",
    "memory-backend-memfd,id=mem,size=256M,share=on",
    "-machine",
    "pc,memory-backend=mem",
)
CHARDEV = ("-chardev", "socket,id=chr0,path=/tmp/sock11,reconnect=1")
VM = Process("vm_v11", "vm_vhost", ("qemu", *MEMORY, *CHARDEV), ("sec1",), ("/tmp/sock11",))
NEEDS = Requirements(
    programs={"tmux": "/usr/bin/tmux"},
    packages={"tmux": "tmux"},
    tcp_ports={5555: "controller.pri_port"},
    lcores=(0, 1, 2, 3),
    sockets=("/tmp/sock11",),
    hugepage_mib=512,
    file_prefix="lab",
    find_listener=lambda port: f"pid {port} (nc)",
    name_of=lambda pid: f"pid {pid} (spp)",
    processes=(PRIMARY, SECONDARY, VM),
    disks=(Disk("/lab/img/v11", "qcow2", "/lab/ov-base", "qcow2"),),
    tmux_version="tmux 3.3a",
    user="ann",
)


def other(process: Process, *words: str) -> Process:
    """The process with other arguments."""
    return replace(process, argv=(process.argv[0], *words))


def real(number: int) -> Process:
    """A secondary of SPP's own with one worker lcore."""
    lcores = f"{2 * number}@0,{2 * number + 1}@1"
    argv = ("spp_pcap", "--lcores", lcores, "--file-prefix", "lab", "--", "--client-id", str(number))
    return Process(f"sec{number}", "secondary", argv, ("pri",), real=True)


def with_vm(*words: str, **more: Any) -> Requirements:
    return replace(NEEDS, processes=(PRIMARY, SECONDARY, replace(VM, argv=("qemu", *words), **more)))


def with_controller(*words: str) -> Requirements:
    argv = (
        "python3",
        "-m",
        "sppr.controller",
        "--pri-port",
        "5555",
        "--sec-port",
        "6666",
        "--api-port",
        "7777",
        *words,
    )
    return replace(NEEDS, processes=(Process("ctrler", "controller", argv),))


def test_a_machine_that_has_all_is_passed() -> None:
    assert check(GOOD, NEEDS) == []


def test_each_option_of_qemu_for_a_new_connection_is_fine() -> None:
    newer = with_vm(*MEMORY, "-chardev", "socket,id=chr0,path=/tmp/sock11,reconnect-ms=1000")
    assert check(GOOD, newer) == check(GOOD, with_vm(*MEMORY, *CHARDEV)) == []


DRY = replace(GOOD, hugepages=(Hugepages(2048, 100, 10),))
NUMA = replace(GOOD, nodes=(Node(0, (0, 1), (Hugepages(2048, 512, 512),)), Node(1, (2, 3), (Hugepages(2048, 0, 0),))))
ECHO = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
LEAK = HugeFile("/dev/hugepages/labmap_0", "lab", 2)
LEFT = Runtime("lab", "/run/dpdk/lab")
BARE = replace(GOOD, nics=(), ports=())
# A primary without the NIC's port: --no-pci, one tap, one bit.
BARE_NEEDS = replace(NEEDS, processes=())
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - not bound here
NOT_CHECKED = "not checked: no NIC is bound to a DPDK driver"

VETH = Interface("vtap0", "veth")
TAPS = {"vtap0": "net_tap0"}

CASES: list[tuple[Facts, Requirements, str, str, str, str]] = [
    (GOOD, replace(NEEDS, programs={"tmux": None}), "program", "error",
     "tmux: not installed", "make up   (or: apt-get install tmux)"),
    (DRY, NEEDS, "hp-none", "error",
     "hugepages: the primary needs 512 MiB, 20 MiB are free (of 200 MiB reserved)",
     f"sppr setup, or sppr doctor --fix   (echo 346 > {ECHO})"),
    (replace(DRY, nodes=(Node(0, (0, 1, 2, 3), (Hugepages(2048, 10, 10),)), Node(1, (), ()))), NEEDS,
     "hp-none", "error",
     "hugepages: the primary needs 512 MiB, 20 MiB are free (of 200 MiB reserved); "
     "node 0: 20 MiB free, node 1: 0 MiB free",
     f"sppr setup, or sppr doctor --fix   (echo 346 > {ECHO})"),
    (replace(GOOD, hugepages=(Hugepages(1048576, 0, 0), *GOOD.hugepages)), NEEDS, "hp-1g-note", "info",
     "hugepages: of 2 MiB only; DPDK says that there are none of 1 GiB", "nothing: it is harmless"),
    (replace(GOOD, memory_free_mib=100), NEEDS, "hp-sum", "error",
     "memory: the VMs need 256 MiB (vm_v11 256), 100 MiB are available; the primary's 512 MiB come from hugepages",
     "fewer VMs (-nr, -nv), or vm.memory lower in conf.yml"),
    (replace(GOOD, hugetlbfs=()), NEEDS, "hp-mount", "error",
     "hugepages: /dev/hugepages is not a hugetlbfs mount",
     "sppr setup, or sppr doctor --fix   (mount -t hugetlbfs -o pagesize=2M nodev /dev/hugepages)"),
    (replace(GOOD, mounts=(Mount("/dev/hugepages", "hugetlbfs", ("pagesize=1024M",)),)), NEEDS, "hp-mount", "error",
     "hugepages: /dev/hugepages is mounted with pagesize=1024M, and no page of that size is reserved",
     "umount /dev/hugepages; mount -t hugetlbfs -o pagesize=2M nodev /dev/hugepages"),
    (GOOD, replace(NEEDS, hugepage_file=True), "hp-notfs", "error",
     "/dev/hugepages: is a file, not a folder with hugetlbfs: a QEMU made it that was told mem-path",
     "look at it, and remove it: rm /dev/hugepages; then: sppr doctor --fix"),
    (GOOD, with_vm(*MEMORY, *CHARDEV, "-object", "memory-backend-file,id=x,size=1G,mem-path=/huge,share=on"),
     "hp-notfs", "error",
     "vm_v11: mem-path /huge lies on ext4, not on hugetlbfs: QEMU would fill a regular file there",
     "mount -t hugetlbfs -o pagesize=2M nodev /huge, or leave mem-path out of vm.args"),
    (replace(GOOD, huge_files=(LEAK,)), NEEDS, "hp-leak", "warning",
     "hugepages: 1 files of --file-prefix lab hold 2 MiB, and no process maps them", "sppr doctor --fix"),
    (replace(GOOD, huge_files=(replace(LEAK, prefix="rte", path="/dev/hugepages/rtemap_0"),)), NEEDS, "hp-leak", "info",
     "hugepages: 1 files of --file-prefix rte hold 2 MiB, and no process maps them",
     "not ours: if nobody misses them: rm /dev/hugepages/rtemap_0"),
    (replace(GOOD, runtimes=(replace(LEFT, holder=77, mappers=(77,)),)), NEEDS, "dpdk-lock", "error",
     "/run/dpdk/lab/config: pid 77 (spp) is a primary with --file-prefix lab already",
     "end it: kill 77; or another prefix: spp: {file_prefix: NAME} in conf.yml"),
    (replace(GOOD, runtimes=(LEFT,)), NEEDS, "dpdk-stale", "warning",
     "/run/dpdk/lab: left by a primary that has ended", "sppr doctor --fix"),
    (replace(GOOD, runtimes=(replace(LEFT, mappers=(78, 79)),)), NEEDS, "dpdk-stale", "error",
     "/run/dpdk/lab: its primary is gone, but pid 78 (spp), pid 79 (spp) still run over what it left",
     "end them: kill 78 79"),
    (replace(GOOD, runtimes=(replace(LEFT, writable=False),)), NEEDS, "dpdk-stale", "error",
     "/run/dpdk/lab: left by a primary of another user, and not yours to clear", "sudo rm -r /run/dpdk/lab"),
    (GOOD, replace(NEEDS, processes=(PRIMARY, replace(SECONDARY, depends_on=()))), "sec-first", "error",
     "sec1 would start without waiting for pri", "start the primary first"),
    (GOOD, replace(NEEDS, processes=(PRIMARY, other(SECONDARY, "--lcores", "2@2", "--file-prefix", "rte", "--"))),
     "sec-prefix", "error", "sec1 has --file-prefix rte, the primary lab", "give both the same"),
    (GOOD, replace(NEEDS, builds={"spp_nfv": "librte_eal.so.23", "spp_primary": "librte_eal.so.24"}),
     "sec-ver", "error",
     "built on different DPDKs: spp_nfv on librte_eal.so.23, spp_primary on librte_eal.so.24",
     "build both from one tree, on one DPDK"),
    (replace(GOOD, aslr=2), NEEDS, "sec-map", "info",
     "address space randomisation is on: seldom a secondary cannot map what the primary has",
     "if one says so: --base-virtaddr 0x100000000 on the primary, or sysctl -w kernel.randomize_va_space=0"),
    (GOOD, replace(NEEDS, processes=(PRIMARY, other(SECONDARY, "--legacy-mem", *SECONDARY.argv[1:]))),
     "sec-flags", "error", "sec1 has --legacy-mem and pri has not: memory would be corrupted in silence",
     "give it to both, or to none"),
    (replace(GOOD, cpus=(0, 1)), NEEDS, "cores-exist", "warning",
     "4 lcores on 2 cores (0,1): lcores are mapped onto the cores there are (--lcores L@C), so they share them",
     "use masks within 0x03 where speed matters"),
    (GOOD, replace(NEEDS, processes=(PRIMARY, other(SECONDARY, "--lcores", "1@1", "--file-prefix", "lab", "--"))),
     "cores-overlap", "error", "pri and sec1 share lcore 1: that corrupts the memory pool's caches",
     "give each a coremask of its own in conf.yml"),
    (GOOD, replace(NEEDS, processes=(PRIMARY, other(SECONDARY, "-l", "130-131", "--file-prefix", "lab", "--"))),
     "cores-128", "error", "sec1 has lcore 130, and DPDK is built for 128 (RTE_MAX_LCORE)",
     "use lower lcores, mapped onto that core: --lcores 0@130"),
    (GOOD, replace(NEEDS, processes=(PRIMARY, other(SECONDARY, "-c", "0xC", "--file-prefix", "lab", "--"))),
     "cores-c", "warning", "sec1 is given -c, which DPDK gives up", "use -l 2,3"),
    (NUMA, NEEDS, "numa", "warning", "NUMA: lcores of this lab are on node 1, which has no free hugepages",
     "echo 512 > /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages, or coremasks of another node"),
    (replace(NUMA, ports=(replace(NIC, node=1),)), replace(NEEDS, lcores=(0, 1)), "numa", "warning",
     "NUMA: NIC 0000:00:04.0 is on node 1, which has no free hugepages", "reserve pages on node 1"),
    (GOOD, replace(NEEDS, processes=(other(PRIMARY, "--lcores", "0@0", "--vdev", "net_tap0", "--", "-p", "0x0F"),)),
     "ports", "error", "portmask 0x0F names 4 ports, but devices are 2", "-p 0x03, or primary.portmask"),
    (replace(GOOD, interfaces=(VETH,)), replace(NEEDS, taps=TAPS), "tap-name", "error",
     "vtap0: exists already, and net_tap0 of the primary must create it: it is a veth",
     "ip link del vtap0, or another iface= for net_tap0: primary.vdevs in conf.yml"),
    (replace(GOOD, interfaces=(Interface("vtap0", "tap", True, (5,)),)), replace(NEEDS, taps=TAPS), "tap-name", "error",
     "vtap0: exists already, and net_tap0 of the primary must create it: it is a tap of pid 5 (spp)",
     "kill 5, or another iface= for net_tap0: primary.vdevs in conf.yml"),
    (replace(GOOD, interfaces=(Interface("vtap0", "tap"),)), replace(NEEDS, taps=TAPS), "tap-name", "error",
     "vtap0: exists already, and net_tap0 of the primary must create it: it is a tap without multi_queue",
     "ip link del vtap0, or another iface= for net_tap0: primary.vdevs in conf.yml"),
    (replace(GOOD, iommu=False), NEEDS, "iommu-off", "warning",
     "0000:00:04.0 on vfio-pci without an IOMMU: DMA is unchecked (noiommu mode)",
     "boot with intel_iommu=on iommu=pt (or amd_iommu=on)"),
    (replace(GOOD, ports=(replace(NIC, kernel_bound=("0000:00:04.1",)),)), NEEDS, "iommu-group", "error",
     "0000:00:04.0: 0000:00:04.1 of its IOMMU group 7 still have kernel drivers",
     "dpdk-devbind.py -b vfio-pci 0000:00:04.1, or -u 0000:00:04.1"),
    (replace(GOOD, ports=(replace(NIC, group_open=False),)), NEEDS, "vfio-perm", "error",
     "/dev/vfio/7 of 0000:00:04.0 cannot be opened by this user", "a udev rule for your group, or run as root"),
    (replace(GOOD, memlock=8 << 20), NEEDS, "vfio-perm", "warning",
     "only 8 MiB may be locked, and vfio locks what a NIC may reach", "ulimit -l unlimited"),
    (GOOD, replace(NEEDS, stale=("/tmp/sock11",)), "vhost-stale", "warning",
     "/tmp/sock11: a socket that nobody listens on", "sppr doctor --fix   (a bring-up of this lab removes it, too)"),
    (replace(GOOD, unix_listening=frozenset({"/tmp/sock11"})), NEEDS, "vhost-taken", "error",
     "/tmp/sock11: another process listens on this vhost-user socket",
     "end it, or set vhosts: or spp.sock_dir: in conf.yml"),
    (GOOD, with_vm(*MEMORY, *CHARDEV, depends_on=()), "vhost-missing", "error",
     "vm_v11: would start without waiting for who serves /tmp/sock11", "start the secondary that serves it first"),
    (GOOD, replace(NEEDS, sock_dir_open=False), "vhost-perm", "error",
     "/tmp: this user may not make sockets there", "chown ann /tmp, or spp.sock_dir: in conf.yml"),
    (replace(GOOD, selinux=True), NEEDS, "vhost-perm", "warning",
     "SELinux enforces: it may keep QEMU from vhost-user sockets",
     "if a VM says Permission denied: setenforce 0 for the run"),
    (GOOD, with_vm(*MEMORY, *CHARDEV, "-object", "memory-backend-ram,id=more,size=64M", "-numa", "node,memdev=more"),
     "vhost-share", "error", "vm_v11: guest memory (more) without share=on: its vhost-user link would carry nothing",
     "share=on in vm.args, or leave memory out of them"),
    (GOOD, with_vm("-m", "256M", *CHARDEV), "vhost-share", "error",
     "vm_v11: guest memory (none) without share=on: its vhost-user link would carry nothing",
     "share=on in vm.args, or leave memory out of them"),
    (GOOD, with_vm(*MEMORY, "-chardev", "socket,id=c,path=/tmp/sock11"), "vhost-reconnect", "warning",
     "vm_v11: /tmp/sock11 without reconnect=1: after a restart of its secondary it stays dead",
     "reconnect=1 in its -chardev"),
    (replace(GOOD, kvm_exists=False, kvm_device=False), replace(NEEDS, accel="kvm"), "kvm-none", "error",
     "vm.accel is kvm, but there is no /dev/kvm",
     "enable VT-x or AMD-V in the firmware; modprobe kvm_intel (or kvm_amd); or set vm.accel: auto in conf.yml"),
    (replace(GOOD, virtualisation=False), replace(NEEDS, accel="kvm"), "kvm-none", "error",
     "vm.accel is kvm, but /dev/kvm opens, but the CPU has neither vmx nor svm, and guests hang",
     "a host with VT-x or AMD-V; or set vm.accel: auto in conf.yml"),
    (replace(GOOD, kvm_boots=False), NEEDS, "kvm-none", "info",
     "/dev/kvm opens, but a tiny guest did not come up in it: guests run on TCG, about 10 times slower",
     "dmesg | grep kvm; nested: enable it outside"),
    (replace(GOOD, kvm_device=False), NEEDS, "kvm-perm", "info",
     "/dev/kvm cannot be opened by this user: guests run on TCG, about 10 times slower",
     "usermod -aG kvm ann, and log in again"),
    (GOOD, replace(NEEDS, holders={"/lab/img/v11": 99}), "img-lock", "error",
     "/lab/img/v11: pid 99 (spp) has this disk open", "end it: kill 99"),
    (GOOD, replace(NEEDS, disks=(Disk("/lab/img/v11", "qcow2", "/lab/ov-base"),)), "img-fmt", "error",
     "/lab/img/v11: names what it stands on, but not its format",
     "qemu-img rebase -u -F qcow2 -b /lab/ov-base /lab/img/v11"),
    (GOOD, replace(NEEDS, disks=(Disk("/lab/img/v11", "qcow2", "/lab/ov-base", "qcow2", False),)), "img-base", "error",
     "/lab/img/v11: stands on /lab/ov-base, which is not there",
     "put it back; or if it moved: qemu-img rebase -u -F qcow2 -b PATH /lab/img/v11"),
    (GOOD, replace(NEEDS, torn=("/lab/.ov-base.5.tmp",)), "img-partial", "warning",
     "/lab/.ov-base.5.tmp: half-made by a run that was killed; no image of the lab has it",
     "sppr doctor --fix   (making that image again removes it, too)"),
    (replace(GOOD, bridge_acl=("virbr0",)), with_vm(*MEMORY, *CHARDEV, "-netdev", "bridge,id=b,br=virbr0"),
     "net-bridge", "error", "vm_v11: there is no bridge virbr0",
     "ip link add virbr0 type bridge; ip link set virbr0 up"),
    (replace(GOOD, bridges=("virbr0",)), with_vm(*MEMORY, *CHARDEV, "-netdev", "bridge,id=b,br=virbr0"),
     "net-bridge", "error", "vm_v11: /etc/qemu/bridge.conf does not allow virbr0",
     "echo allow virbr0 >> /etc/qemu/bridge.conf"),
    (replace(GOOD, tcp_listening=frozenset({5555})), NEEDS, "net-port", "error",
     "port 5555 (controller.pri_port) is taken by pid 5555 (nc)",
     "end that process, or choose another port in conf.yml"),
    (GOOD, replace(NEEDS, tmux_version="tmux 3.2"), "tmux-ver", "error",
     "tmux 3.2 is too old", "apt-get install tmux   (3.2a or newer)"),
    (GOOD, replace(NEEDS, environment={"LC_ALL": "C", "TMUX": "/tmp/x"}), "tmux-env", "info",
     "LC_ALL=C: the separator of tmux's answers is set to ASCII; inside tmux: the session is switched to, not attached",
     "nothing: it is handled"),
    (GOOD, replace(NEEDS, disk_folder="/lab", disk_mib=(272, 100)), "disk", "error",
     "/lab: 100 MiB free, and the images to be made may take 272 MiB",
     "df -h /lab; remove what is not needed there"),
    (GOOD, with_controller("--allow-user", "ben"), "reach", "info",
     "127.0.0.1 ports 5555, 6666, REST at 127.0.0.1:7777: root, ann, ben of this machine, and no other machine; "
     "each guest its own control connection", "nothing: docs/security.md says what each can do"),
    (GOOD, with_controller("--host", ANY_ADDRESS, "--allow", "10.0.0.0/8"), "reach", "warning",
     "0.0.0.0 ports 5555, 6666, REST at 127.0.0.1:7777: root, ann of this machine, and machines in 10.0.0.0/8; "
     "each guest its own control connection",
     "every machine in these networks can command processes of root: keep them few"),
    (GOOD, replace(NEEDS, processes=(Process("ctrler", "controller", ("python3", "spp-ctl.py")),)), "reach", "warning",
     "ctrler: SPP's own controller serves every user of this machine, every guest under any id, and every machine that"
     " reaches its address (it does not know controller.allow)",
     "it commands processes of root: let no stranger log in here, or set spp: {controller: ours}"),
    (replace(GOOD, cpus=(0, 1)), replace(NEEDS, lcores=(), processes=(PRIMARY, real(1), real(2))),
     "cores-exist", "warning",
     "2 polling lcores share 2 cores: SPP's own programs never sleep, so their main threads get little time, and parts "
     "become ready late or not at all", "fewer secondaries (-ns), or a machine with more cores"),
    (GOOD, replace(NEEDS, vm_user_problem="there is no user sppr-vm"), "vm-user", "warning",
     "VMs of this lab run as root: there is no user sppr-vm", "sppr setup   (adds user sppr-vm)"),
    (GOOD, replace(NEEDS, vm_user_problem="user sppr-vm cannot enter /root (no x for others)"), "vm-user", "warning",
     "VMs of this lab run as root: user sppr-vm cannot enter /root (no x for others)",
     "chmod o+x that folder, or move it: SPPR_RUN_DIR, spp.sock_dir in conf.yml"),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "required", "identity", "severity", "what", "fix"), CASES)
def test_what_is_wrong_is_told_with_its_fix(
    facts: Facts, required: Requirements, identity: str, severity: str, what: str, fix: str
) -> None:
    [finding] = check(facts, required)
    assert (finding.id, finding.severity, finding.what, finding.fix) == (identity, severity, what, fix)


def test_no_warning_for_our_own_programs_or_with_a_core_to_spare() -> None:
    two = (replace(SECONDARY, real=False), replace(real(4), real=False))
    assert check(replace(GOOD, cpus=(0, 1)), replace(NEEDS, lcores=(), processes=(PRIMARY, *two))) == []
    assert check(GOOD, replace(NEEDS, lcores=(), processes=(PRIMARY, *map(real, (1, 2, 3))))) == []


def seen(facts: Facts, required: Requirements) -> dict[str, str | NotLooked]:
    assert not any(isinstance(one.fine, str) for one in REGISTRY)
    return {one.id: one.fine(facts, required) for one in REGISTRY if callable(one.fine)}


@pytest.mark.parametrize(
    ("name", "facts", "required"),
    [
        ("good", GOOD, NEEDS),
        ("nothing", Facts(cpus=()), Requirements()),
        ("no-lab", GOOD, Requirements(tmux_version="tmux 3.3a")),
        ("no-machine", Facts(cpus=()), NEEDS),
    ],
)
def test_a_row_states_what_was_seen_and_no_more(
    golden: Golden, name: str, facts: Facts, required: Requirements
) -> None:
    rows = doctor.Diagnosis([], facts, required, "lab").rows
    text = "".join(f"{row['severity']:5} {row['id']:16} {row['found']}\n" for row in rows)
    golden.check(Path(__file__).parent / f"data/seen-{name}.txt", text)


def test_each_check_that_looks_has_a_row_and_the_others_have_none() -> None:
    assert {one.id for one in REGISTRY if one.look} <= set(seen(GOOD, NEEDS))
    assert {one.id for one in REGISTRY} - set(seen(GOOD, NEEDS)) == {"sec-orphan", "vm-ip", "tap-qdisc", "port-missing"}


@pytest.mark.parametrize(
    ("facts", "accel", "expected"),
    [
        (GOOD, "auto", "a tiny guest came up in KVM since this machine was booted"),
        (GOOD, "tcg", NotLooked("no VM is to start in KVM; the CPU has vmx or svm, and there is a /dev/kvm")),
        (replace(GOOD, virtualisation=False, kvm_boots=None), "tcg",
         NotLooked("no VM is to start in KVM; the CPU has neither vmx nor svm, and there is a /dev/kvm")),
        (replace(GOOD, kvm_boots=None), "auto", NotLooked("no guest was tried in KVM")),
        (replace(GOOD, kvm_boots=None, kvm_device=False), "auto", NotLooked("/dev/kvm cannot be opened by this user")),
    ],
)  # fmt: skip
def test_kvm_is_ok_only_where_a_guest_came_up(facts: Facts, accel: str, expected: str | NotLooked) -> None:
    assert seen(facts, replace(NEEDS, accel=accel))["kvm-none"] == expected


def test_what_a_user_cannot_see_is_not_reported_as_absent() -> None:
    found = seen(GOOD, replace(NEEDS, is_root=False, sudo=True))
    closed = NotLooked("/run/dpdk can be read by root alone")
    assert found["dpdk-lock"] == found["dpdk-stale"] == closed
    assert found["img-lock"].endswith("(processes of other users were not looked at)")  # type: ignore[union-attr]
    assert found["hp-leak"] == "DPDK files of this user in /dev/hugepages: 0"


def test_the_processes_of_a_running_lab_are_named() -> None:
    runtime = replace(LEFT, holder=77, mappers=(77, 78))
    busy = replace(GOOD, runtimes=(runtime,), tcp_listening=frozenset({5555}))
    lab = replace(NEEDS, living={"pri": 77, "sec1": 78}, listening_own=frozenset({5555}))
    found = seen(busy, lab)
    assert found["dpdk-lock"] == "/run/dpdk/lab/config: locked by this lab's pid 77 (spp)"
    assert found["dpdk-stale"] == "/run/dpdk/lab: its primary runs, pid 77 (spp)"
    assert found["net-port"] == "nobody listens on TCP ports none; this lab listens on 5555"
    orphan = seen(replace(busy, runtimes=(replace(runtime, holder=None, mappers=(78,)),)), lab)
    assert orphan["dpdk-stale"] == "/run/dpdk/lab: its primary has ended, this lab's pid 78 (spp) still use it"


def test_doctor_shows_a_check_that_looked_at_nothing_as_such() -> None:
    rows = {row["id"]: row for row in doctor.Diagnosis([], GOOD, replace(NEEDS, accel="tcg"), "lab").rows}
    assert rows["kvm-none"]["severity"] == "info" and rows["kvm-none"]["found"].startswith("not looked at: no VM")
    assert rows["tmux-ver"]["severity"] == "ok" and rows["tmux-ver"]["found"].startswith("tmux 3.3a")
    alone = [row["id"] for row in doctor.Diagnosis([], GOOD, NEEDS).rows]
    assert "net-port" not in alone and "program" in alone


def ids(findings: Sequence[Finding]) -> list[str]:
    return [finding.id for finding in findings]


def test_without_a_nic_its_rows_say_that_they_were_not_checked() -> None:
    found = check(BARE, BARE_NEEDS)
    assert ids(found) == ["nic-bind", "iommu-off", "iommu-group", "iova", "vfio-perm"]
    assert {f.severity for f in found} == {"info"} and all(f.what.startswith(NOT_CHECKED) for f in found[1:])


def test_who_is_not_root_hears_of_sudo_and_the_sudoers_line() -> None:
    line = "ann ALL=(root) NOPASSWD: /x/spp_primary"
    user = replace(NEEDS, is_root=False, sudo=False, sudoers=line)
    asked = check(GOOD, user)
    assert [(f.id, f.severity) for f in asked if f.id in ("sudo", "root")] == [("sudo", "info")]
    told = next(f for f in asked if f.id == "sudo")
    assert told.what == "sudo wants the password of ann: it is asked once, in the terminal where wakeup runs"
    assert told.fix == f"to be asked no more, as root: visudo -f /etc/sudoers.d/sppr\n    {line}"
    nobody = check(GOOD, replace(user, terminal=False))[0]
    assert nobody.severity == "error"
    assert nobody.what == (
        "sudo wants the password of ann to run spp_primary and spp_nfv as root, and there is no terminal to ask"
    )
    assert nobody.fix == f"run it in a terminal, or as root: visudo -f /etc/sudoers.d/sppr\n    {line}"
    absent = check(GOOD, replace(NEEDS, is_root=False, sudo=None))[0]
    assert absent.severity == "error"
    assert absent.what == "DPDK needs root for hugepages and ports; this is ann, and there is no sudo"
    assert "sudo" not in ids(check(GOOD, replace(user, sudo=True)))
    iova = next(f for f in asked if f.id == "iova")
    assert iova.what == "not root: physical addresses cannot be seen (/proc/self/pagemap)"


def test_the_worst_comes_first() -> None:
    found = check(replace(GOOD, cpus=(0, 1), hugetlbfs=(), aslr=2), NEEDS)
    assert [(f.id, f.severity) for f in found] == [
        ("hp-mount", "error"),
        ("cores-exist", "warning"),
        ("sec-map", "info"),
    ]


def test_what_a_lab_that_runs_has_is_not_held_against_it() -> None:
    pages = HugeFile("/dev/hugepages/labmap_0", "lab", 512, (77,))
    busy = replace(
        GOOD,
        hugepages=(Hugepages(2048, 256, 0),),
        huge_files=(pages,),
        runtimes=(replace(LEFT, holder=77, mappers=(77, 78)),),
        tcp_listening=frozenset({5555}),
        memory_free_mib=1,
    )
    living = {"pri": 77, "sec1": 78, "vm_v11": 79}
    lab = replace(NEEDS, living=living, listening_own=frozenset({5555}), holders={"/lab/img/v11": 79})
    assert check(busy, lab) == []
    others = replace(lab, living={}, listening_own=frozenset())
    assert {"hp-none", "hp-sum", "dpdk-lock", "net-port", "img-lock"} <= set(ids(check(busy, others)))


def test_a_runtime_folder_under_a_living_secondary_stays() -> None:
    """Its primary was killed; this lab's own secondary still runs over the folder."""
    facts = replace(GOOD, runtimes=(replace(LEFT, mappers=(78,)),))
    assert not any(f.fix_steps for f in check(facts, replace(NEEDS, living={"sec1": 78})))


def test_pages_that_a_dead_primary_of_this_lab_left_are_there_for_the_next_one() -> None:
    left = replace(GOOD, hugepages=(Hugepages(2048, 256, 0),), huge_files=(replace(LEAK, mib=512),))
    assert ids(check(left, NEEDS)) == ["hp-leak"]


@pytest.mark.parametrize(
    ("facts", "required", "commands"),
    [
        (DRY, NEEDS, [f"echo 346 | tee {ECHO}"]),
        (replace(GOOD, hugetlbfs=()), NEEDS,
         ["mkdir -p /dev/hugepages", "mount -t hugetlbfs -o pagesize=2M nodev /dev/hugepages"]),
        (replace(GOOD, huge_files=(LEAK,)), NEEDS, ["rm -f -- /dev/hugepages/labmap_0"]),
        (replace(GOOD, runtimes=(LEFT,)), NEEDS, ["rm -rf -- /run/dpdk/lab"]),
        (GOOD, replace(NEEDS, stale=("/tmp/sock11",)), ["rm -f -- /tmp/sock11"]),
        (GOOD, replace(NEEDS, torn=("/lab/.ov-base.5.tmp",)), ["rm -f -- /lab/.ov-base.5.tmp"]),
    ],
)  # fmt: skip
def test_what_can_be_taken_back_has_its_commands(facts: Facts, required: Requirements, commands: list[str]) -> None:
    [finding] = check(facts, required)
    assert list(map(str, finding.fix_steps)) == commands


def test_nothing_of_another_prefix_or_process_is_ever_mended() -> None:
    facts = replace(
        GOOD,
        huge_files=(replace(LEAK, prefix="rte"), replace(LEAK, mappers=(5,))),
        runtimes=(Runtime("rte", "/run/dpdk/rte"), replace(LEFT, holder=5, mappers=(5,))),
        unix_listening=frozenset({"/tmp/sock11"}),
    )
    found = check(facts, replace(NEEDS, stale=("/tmp/sock11",)))
    assert ids(found) == ["dpdk-lock", "vhost-taken", "hp-leak"] and not any(f.fix_steps for f in found)


def test_every_check_that_looks_is_seen_to_find_something() -> None:
    told = {identity for _, _, identity, *_ in CASES} | {"sudo", "nic-bind", "iova"}
    assert {one.id for one in REGISTRY if one.look} == told


def test_ids_are_given_once() -> None:
    assert len({one.id for one in REGISTRY}) == len(REGISTRY)


@pytest.mark.parametrize(
    "interface",
    [
        Interface("vtap0", "tap", True),
        Interface("vtap0", "tap", True, (77,)),
        Interface("vtap1", "veth"),
    ],
    ids=["nobody has it open", "this lab has it open", "another name"],
)
def test_a_tap_that_the_primary_can_have_is_no_trouble(interface: Interface) -> None:
    required = replace(NEEDS, taps=TAPS, recorded=frozenset({77}))
    assert check(replace(GOOD, interfaces=(interface,)), required) == []
