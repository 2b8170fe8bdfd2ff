"""Checks are pure functions from facts and requirements to findings. Each text is here as the user reads it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sppr.host.checks import REGISTRY, Disk, Finding, NotChecked, Process, Requirements, check
from sppr.host.facts import Facts, HugeFile, Hugepages, Interface, Mount, Nic, Node, Runtime
from sppr.host.network.bridge import Bridge
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
    describe_process=lambda pid: f"pid {pid} (spp)",
    processes=(PRIMARY, SECONDARY, VM),
    disks=(Disk("/lab/img/v11", "qcow2", "/lab/ov-base", "qcow2"),),
    tmux_version="tmux 3.3a",
    user="ann",
)


def other(process: Process, *words: str) -> Process:
    """Return the process with other arguments."""
    return replace(process, argv=(process.argv[0], *words))


def upstream(number: int) -> Process:
    """A secondary of SPP's own with one worker lcore."""
    lcores = f"{2 * number}@0,{2 * number + 1}@1"
    argv = ("spp_pcap", "--lcores", lcores, "--file-prefix", "lab", "--", "--client-id", str(number))
    return Process(f"sec{number}", "secondary", argv, ("pri",), upstream=True)


def with_vm(*words: str, **more: Any) -> Requirements:
    return replace(NEEDS, processes=(PRIMARY, SECONDARY, replace(VM, argv=("qemu", *words), **more)))


ON_BRIDGE = replace(with_vm(*MEMORY, *CHARDEV, bridge="br0"), bridge_place="conf.yml:3:9: vm.bridge: ")


def with_controller(*words: str) -> Requirements:
    argv = (
        "python3",
        "-m",
        "sppr.live",
        "/run/sppr/spp",
        "--pri-port",
        "5555",
        "--sec-port",
        "6666",
        "--api-port",
        "7777",
        *words,
    )
    return replace(NEEDS, processes=(Process("ctrler", "controller", argv),))


def test_suitable_machine_has_no_findings() -> None:
    assert check(GOOD, NEEDS) == []


def test_every_reconnect_option_of_qemu_is_accepted() -> None:
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
     "hugepages: the primary needs 512 MiB, but 20 MiB are free (of 200 MiB)",
     f"sppr setup, or sppr doctor --fix   (echo 346 > {ECHO})"),
    (replace(DRY, nodes=(Node(0, (0, 1, 2, 3), (Hugepages(2048, 10, 10),)), Node(1, (), ()))), NEEDS,
     "hp-none", "error",
     "hugepages: the primary needs 512 MiB, but 20 MiB are free (of 200 MiB); "
     "node 0: 20 MiB free, node 1: 0 MiB free",
     f"sppr setup, or sppr doctor --fix   (echo 346 > {ECHO})"),
    (replace(GOOD, hugepages=(Hugepages(1048576, 0, 0), *GOOD.hugepages)), NEEDS, "hp-1g-note", "info",
     "hugepages: of 2 MiB only; DPDK reports that none of 1 GiB are reserved", "none needed: it is harmless"),
    (replace(GOOD, memory_free_mib=100), NEEDS, "hp-sum", "error",
     "memory: the VMs need 256 MiB (vm_v11 256), but only 100 MiB are available; the primary's 512 MiB come from "
     "hugepages",
     "start fewer VMs (-nr, -nv), or lower vm.memory in conf.yml"),
    (replace(GOOD, hugetlbfs=()), NEEDS, "hp-mount", "error",
     "hugepages: /dev/hugepages is not a hugetlbfs mount",
     "sppr setup, or sppr doctor --fix   (mount -t hugetlbfs -o pagesize=2M nodev /dev/hugepages)"),
    (replace(GOOD, mounts=(Mount("/dev/hugepages", "hugetlbfs", ("pagesize=1024M",)),)), NEEDS, "hp-mount", "error",
     "hugepages: /dev/hugepages is mounted with pagesize=1024M, but no page of that size is reserved",
     "umount /dev/hugepages; mount -t hugetlbfs -o pagesize=2M nodev /dev/hugepages"),
    (GOOD, replace(NEEDS, hugepage_file=True), "hp-notfs", "error",
     "/dev/hugepages: is a file, not a hugetlbfs mount: a QEMU with mem-path created it",
     "check what it is, and remove it: rm /dev/hugepages; then: sppr doctor --fix"),
    (GOOD, with_vm(*MEMORY, *CHARDEV, "-object", "memory-backend-file,id=x,size=1G,mem-path=/huge,share=on"),
     "hp-notfs", "error",
     "vm_v11: mem-path /huge is on ext4, not on hugetlbfs: QEMU would fill a regular file there",
     "mount -t hugetlbfs -o pagesize=2M nodev /huge, or remove mem-path from vm.args"),
    (replace(GOOD, huge_files=(LEAK,)), NEEDS, "hp-leak", "warning",
     "hugepages: 1 files of --file-prefix lab hold 2 MiB, but no process maps them", "sppr doctor --fix"),
    (replace(GOOD, huge_files=(replace(LEAK, prefix="rte", path="/dev/hugepages/rtemap_0"),)), NEEDS, "hp-leak", "info",
     "hugepages: 1 files of --file-prefix rte hold 2 MiB, but no process maps them",
     "they belong to another lab or program; if no process needs them: rm /dev/hugepages/rtemap_0"),
    (replace(GOOD, runtimes=(replace(LEFT, holder=77, mappers=(77,)),)), NEEDS, "dpdk-lock", "error",
     "/run/dpdk/lab/config: pid 77 (spp) is already a primary with --file-prefix lab",
     "stop it: kill 77; or use another prefix: spp: {file_prefix: NAME} in conf.yml"),
    (replace(GOOD, runtimes=(LEFT,)), NEEDS, "dpdk-stale", "warning",
     "/run/dpdk/lab: left by a primary that has exited", "sppr doctor --fix"),
    (replace(GOOD, runtimes=(replace(LEFT, mappers=(78, 79)),)), NEEDS, "dpdk-stale", "error",
     "/run/dpdk/lab: its primary has exited, but pid 78 (spp), pid 79 (spp) still use the files it left",
     "stop them: kill 78 79"),
    (replace(GOOD, runtimes=(replace(LEFT, writable=False),)), NEEDS, "dpdk-stale", "error",
     "/run/dpdk/lab: left by a primary of another user; you may not remove it", "sudo rm -r /run/dpdk/lab"),
    (GOOD, replace(NEEDS, processes=(PRIMARY, replace(SECONDARY, depends_on=()))), "sec-first", "error",
     "sec1 would start without waiting for pri", "start the primary first"),
    (GOOD, replace(NEEDS, processes=(PRIMARY, other(SECONDARY, "--lcores", "2@2", "--file-prefix", "rte", "--"))),
     "sec-prefix", "error", "sec1 has --file-prefix rte, the primary has lab", "use the same for both"),
    (GOOD, replace(NEEDS, builds={"spp_nfv": "librte_eal.so.23", "spp_primary": "librte_eal.so.24"}),
     "sec-ver", "error",
     "built on different DPDK releases: spp_nfv on librte_eal.so.23, spp_primary on librte_eal.so.24",
     "build both from one tree, on one DPDK"),
    (replace(GOOD, aslr=2), NEEDS, "sec-map", "info",
     "address space randomisation is on: in rare cases a secondary cannot map the primary's memory",
     "if one reports that: --base-virtaddr 0x100000000 on the primary, or sysctl -w kernel.randomize_va_space=0"),
    (GOOD, replace(NEEDS, processes=(PRIMARY, other(SECONDARY, "--legacy-mem", *SECONDARY.argv[1:]))),
     "sec-flags", "error", "sec1 has --legacy-mem but pri does not: memory would be corrupted without an error",
     "use it for both, or for neither"),
    (replace(GOOD, cpus=(0, 1)), NEEDS, "cores-exist", "warning",
     "4 lcores on 2 cores (0,1): several lcores are mapped to one core (--lcores L@C)",
     "use masks within 0x03 if speed matters"),
    (GOOD, replace(NEEDS, processes=(PRIMARY, other(SECONDARY, "--lcores", "1@1", "--file-prefix", "lab", "--"))),
     "cores-overlap", "error", "pri and sec1 share lcore 1, which corrupts the memory pool's caches",
     "give each a coremask of its own in conf.yml"),
    (GOOD, replace(NEEDS, processes=(PRIMARY, other(SECONDARY, "-l", "130-131", "--file-prefix", "lab", "--"))),
     "cores-128", "error", "sec1 uses lcore 130, but DPDK is built for lcores below 128 (RTE_MAX_LCORE)",
     "use a lower lcore that is mapped to that core: --lcores 0@130"),
    (GOOD, replace(NEEDS, processes=(PRIMARY, other(SECONDARY, "-c", "0xC", "--file-prefix", "lab", "--"))),
     "cores-c", "warning", "sec1 has the option -c, which is deprecated in DPDK", "use -l 2,3"),
    (NUMA, NEEDS, "numa", "warning", "NUMA: lcores of this lab are on node 1, which has no free hugepages",
     "echo 512 > /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages, "
     "or use coremasks of another node"),
    (replace(NUMA, ports=(replace(NIC, node=1),)), replace(NEEDS, lcores=(0, 1)), "numa", "warning",
     "NUMA: NIC 0000:00:04.0 is on node 1, which has no free hugepages", "reserve pages on node 1"),
    (GOOD, replace(NEEDS, processes=(other(PRIMARY, "--lcores", "0@0", "--vdev", "net_tap0", "--", "-p", "0x0F"),)),
     "ports", "error", "portmask 0x0F selects 4 ports, but there are 2 devices", "-p 0x03, or primary.portmask"),
    (replace(GOOD, interfaces=(VETH,)), replace(NEEDS, taps=TAPS), "tap-name", "error",
     "vtap0: already exists, but net_tap0 of the primary must create it: it is a veth",
     "ip link del vtap0, or set another iface= for net_tap0: primary.vdevs in conf.yml"),
    (replace(GOOD, interfaces=(Interface("vtap0", "tap", True, (5,)),)), replace(NEEDS, taps=TAPS), "tap-name", "error",
     "vtap0: already exists, but net_tap0 of the primary must create it: it is a tap of pid 5 (spp)",
     "kill 5, or set another iface= for net_tap0: primary.vdevs in conf.yml"),
    (replace(GOOD, interfaces=(Interface("vtap0", "tap"),)), replace(NEEDS, taps=TAPS), "tap-name", "error",
     "vtap0: already exists, but net_tap0 of the primary must create it: it is a tap without multi_queue",
     "ip link del vtap0, or set another iface= for net_tap0: primary.vdevs in conf.yml"),
    (replace(GOOD, iommu=False), NEEDS, "iommu-off", "warning",
     "0000:00:04.0 on vfio-pci without an IOMMU: DMA is unchecked (noiommu mode)",
     "boot with intel_iommu=on iommu=pt (or amd_iommu=on)"),
    (replace(GOOD, ports=(replace(NIC, kernel_bound=("0000:00:04.1",)),)), NEEDS, "iommu-group", "error",
     "0000:00:04.0: 0000:00:04.1 of its IOMMU group 7 still have kernel drivers",
     "dpdk-devbind.py -b vfio-pci 0000:00:04.1, or -u 0000:00:04.1"),
    (replace(GOOD, ports=(replace(NIC, group_open=False),)), NEEDS, "vfio-perm", "error",
     "/dev/vfio/7 of 0000:00:04.0 cannot be opened by this user", "add a udev rule for your group, or run as root"),
    (replace(GOOD, memlock=8 << 20), NEEDS, "vfio-perm", "warning",
     "only 8 MiB may be locked, but vfio locks all memory that a NIC can access", "ulimit -l unlimited"),
    (GOOD, replace(NEEDS, stale=("/tmp/sock11",)), "vhost-stale", "warning",
     "/tmp/sock11: a socket without a listener", "sppr doctor --fix   (the next wakeup of this lab also removes it)"),
    (replace(GOOD, unix_listening=frozenset({"/tmp/sock11"})), NEEDS, "vhost-taken", "error",
     "/tmp/sock11: another process listens on this vhost-user socket",
     "stop it, or set vhosts or spp.sock_dir in conf.yml"),
    (GOOD, with_vm(*MEMORY, *CHARDEV, depends_on=()), "vhost-missing", "error",
     "vm_v11: would start without waiting for the process that serves /tmp/sock11",
     "start the secondary that serves it first"),
    (GOOD, replace(NEEDS, sock_dir_open=False), "vhost-perm", "error",
     "/tmp: this user may not create sockets there", "chown ann /tmp, or set spp.sock_dir in conf.yml"),
    (replace(GOOD, selinux=True), NEEDS, "vhost-perm", "warning",
     "SELinux is enforcing: it may prevent QEMU from using vhost-user sockets",
     "if a VM reports Permission denied: setenforce 0 while the lab runs"),
    (GOOD, with_vm(*MEMORY, *CHARDEV, "-object", "memory-backend-ram,id=more,size=64M", "-numa", "node,memdev=more"),
     "vhost-share", "error", "vm_v11: guest memory (more) without share=on: its vhost-user link would carry no frames",
     "set share=on in vm.args, or remove memory options from them"),
    (GOOD, with_vm("-m", "256M", *CHARDEV), "vhost-share", "error",
     "vm_v11: guest memory (none) without share=on: its vhost-user link would carry no frames",
     "set share=on in vm.args, or remove memory options from them"),
    (GOOD, with_vm(*MEMORY, "-chardev", "socket,id=c,path=/tmp/sock11"), "vhost-reconnect", "warning",
     "vm_v11: /tmp/sock11 without reconnect=1: the link stays down when its secondary restarts",
     "set reconnect=1 in its -chardev"),
    (replace(GOOD, kvm_exists=False, kvm_device=False), replace(NEEDS, accel="kvm"), "kvm-none", "error",
     "vm.accel is kvm, but there is no /dev/kvm",
     "enable VT-x or AMD-V in the firmware; modprobe kvm_intel (or kvm_amd); or set vm.accel: auto in conf.yml"),
    (replace(GOOD, virtualisation=False), replace(NEEDS, accel="kvm"), "kvm-none", "error",
     "vm.accel is kvm, but /dev/kvm can be opened, but the CPU has neither vmx nor svm, and guests hang",
     "use a host with VT-x or AMD-V; or set vm.accel: auto in conf.yml"),
    (replace(GOOD, kvm_boots=False), NEEDS, "kvm-none", "info",
     "/dev/kvm can be opened, but a test guest did not boot with it: guests run on TCG, about 10 times slower",
     "dmesg | grep kvm; inside a VM: enable nested virtualisation on its host"),
    (replace(GOOD, kvm_device=False), NEEDS, "kvm-perm", "info",
     "/dev/kvm cannot be opened by this user: guests run on TCG, about 10 times slower",
     "usermod -aG kvm ann, then log in again"),
    (GOOD, replace(NEEDS, holders={"/lab/img/v11": 99}), "img-lock", "error",
     "/lab/img/v11: pid 99 (spp) has this disk open", "stop it: kill 99"),
    (GOOD, replace(NEEDS, disks=(Disk("/lab/img/v11", "qcow2", "/lab/ov-base"),)), "img-fmt", "error",
     "/lab/img/v11: does not name the format of its backing file",
     "qemu-img rebase -u -F qcow2 -b /lab/ov-base /lab/img/v11"),
    (GOOD, replace(NEEDS, disks=(Disk("/lab/img/v11", "qcow2", "/lab/ov-base", "qcow2", False),)), "img-base", "error",
     "/lab/img/v11: its backing file /lab/ov-base is missing",
     "put it back; or if it was moved: qemu-img rebase -u -F qcow2 -b PATH /lab/img/v11"),
    (GOOD, replace(NEEDS, partial_images=("/lab/.ov-base.5.tmp",)), "img-partial", "warning",
     "/lab/.ov-base.5.tmp: incomplete image of a killed run; no image of the lab uses it",
     "sppr doctor --fix   (creating that image again also removes it)"),
    (replace(GOOD, bridge_acl=("virbr0",)), with_vm(*MEMORY, *CHARDEV, "-netdev", "bridge,id=b,br=virbr0"),
     "net-bridge", "error", "vm_v11: there is no bridge virbr0",
     "ip link add virbr0 type bridge; ip link set virbr0 up"),
    (replace(GOOD, bridges=(Bridge("virbr0"),)), with_vm(*MEMORY, *CHARDEV, "-netdev", "bridge,id=b,br=virbr0"),
     "net-bridge", "error", "vm_v11: /etc/qemu/bridge.conf does not allow virbr0",
     "echo allow virbr0 >> /etc/qemu/bridge.conf"),
    (replace(GOOD, interfaces=(Interface("br0", "bridge"),), bridges=(Bridge("br0", up=False),)), ON_BRIDGE,
     "vm-bridge", "error", "conf.yml:3:9: vm.bridge: bridge br0 is down", "ip link set br0 up"),
    (GOOD, ON_BRIDGE, "vm-bridge", "error", "conf.yml:3:9: vm.bridge: there is no bridge br0",
     "ip link add br0 type bridge; ip link set br0 up"),
    (replace(GOOD, tcp_listening=frozenset({5555})), NEEDS, "net-port", "error",
     "port 5555 (controller.pri_port) is in use by pid 5555 (nc)",
     "stop that process, or choose another port in conf.yml"),
    (GOOD, replace(NEEDS, tmux_version="tmux 3.2"), "tmux-ver", "error",
     "tmux 3.2 is too old", "apt-get install tmux   (3.2a or newer)"),
    (GOOD, replace(NEEDS, environment={"LC_ALL": "C", "TMUX": "/tmp/x"}), "tmux-env", "info",
     "LC_ALL=C: the separator in tmux output is set to ASCII; inside tmux: the client switches to the session "
     "instead of attaching",
     "none needed: sppr handles it"),
    (GOOD, replace(NEEDS, disk_folder="/lab", disk_mib=(272, 100)), "disk", "error",
     "/lab: 100 MiB are free, but new images may take 272 MiB",
     "df -h /lab; remove files that are not needed"),
    (GOOD, with_controller("--allow-user", "ben"), "reach", "info",
     "127.0.0.1 ports 5555, 6666, REST at 127.0.0.1:7777: accepts root, ann, ben of this machine, and no other "
     "machine; "
     "each guest has its own control connection", "none; docs/security.md lists what each of them can do"),
    (GOOD, with_controller("--host", ANY_ADDRESS, "--allow", "10.0.0.0/8"), "reach", "warning",
     "0.0.0.0 ports 5555, 6666, REST at 127.0.0.1:7777: accepts root, ann of this machine, and machines in 10.0.0.0/8; "
     "each guest has its own control connection",
     "every machine in these networks can control processes of root: permit only those that need it"),
    (GOOD, replace(NEEDS, processes=(Process("ctrler", "controller", ("python3", "spp-ctl.py")),)), "reach", "warning",
     "ctrler: spp-ctl and spp.py serve every user of this machine, every guest with any id, and every machine that"
     " can reach their address (they do not support controller.allow)",
     "it controls processes of root: permit only trusted users here, or set spp: {controller: ours}"),
    (replace(GOOD, cpus=(0, 1)), replace(NEEDS, lcores=(), processes=(PRIMARY, upstream(1), upstream(2))),
     "cores-exist", "warning",
     "2 polling lcores share 2 cores: upstream SPP's programs never sleep, so each forwards only a part of the time, "
     "and other programs of this machine are slow", "fewer secondaries (-ns), or a machine with more cores"),
    (GOOD, replace(NEEDS, vm_user_problem="there is no user sppr-vm"), "vm-user", "warning",
     "VMs of this lab run as root: there is no user sppr-vm", "sppr setup   (adds user sppr-vm)"),
    (GOOD, replace(NEEDS, vm_user_problem="user sppr-vm cannot enter /root (no x for others)"), "vm-user", "warning",
     "VMs of this lab run as root: user sppr-vm cannot enter /root (no x for others)",
     "chmod o+x that folder, or use another: SPPR_RUN_DIR, spp.sock_dir in conf.yml"),
]  # fmt: skip


def test_user_other_than_root_cannot_use_a_bridge() -> None:
    facts = replace(GOOD, bridges=(Bridge("br0"),))
    found = {root: check(facts, replace(ON_BRIDGE, is_root=root)) for root in (True, False)}
    what = "conf.yml:3:9: vm.bridge: only root can add VMs to bridge br0"
    assert [finding.what for finding in found[False] if finding.id == "vm-bridge"] == [what]
    assert not [finding for finding in found[True] if finding.id == "vm-bridge"]


@pytest.mark.parametrize(("facts", "required", "identity", "severity", "what", "fix"), CASES)
def test_problem_is_reported_with_its_fix(
    facts: Facts, required: Requirements, identity: str, severity: str, what: str, fix: str
) -> None:
    [finding] = check(facts, required)
    assert (finding.id, finding.severity, finding.what, finding.fix) == (identity, severity, what, fix)


def test_polling_warning_needs_upstream_programs_and_no_spare_core() -> None:
    two = (replace(SECONDARY, upstream=False), replace(upstream(4), upstream=False))
    assert check(replace(GOOD, cpus=(0, 1)), replace(NEEDS, lcores=(), processes=(PRIMARY, *two))) == []
    assert check(GOOD, replace(NEEDS, lcores=(), processes=(PRIMARY, *map(upstream, (1, 2, 3))))) == []


def seen(facts: Facts, required: Requirements) -> dict[str, str | NotChecked]:
    assert not any(isinstance(one.ok, str) for one in REGISTRY)
    return {one.id: one.ok(facts, required) for one in REGISTRY if callable(one.ok)}


@pytest.mark.parametrize(
    ("name", "facts", "required"),
    [
        ("good", GOOD, NEEDS),
        ("nothing", Facts(cpus=()), Requirements()),
        ("no-lab", GOOD, Requirements(tmux_version="tmux 3.3a")),
        ("no-machine", Facts(cpus=()), NEEDS),
    ],
)
def test_row_states_only_observed_facts(golden: Golden, name: str, facts: Facts, required: Requirements) -> None:
    rows = doctor.Diagnosis([], facts, required, "lab").rows
    text = "".join(f"{row['severity']:5} {row['id']:16} {row['found']}\n" for row in rows)
    golden.check(Path(__file__).parent / f"data/seen-{name}.txt", text)


def test_checks_that_inspect_have_a_row_and_others_have_none() -> None:
    assert {one.id for one in REGISTRY if one.inspect} <= set(seen(GOOD, NEEDS))
    assert {one.id for one in REGISTRY} - set(seen(GOOD, NEEDS)) == {"sec-orphan", "vm-ip", "tap-qdisc", "port-missing"}


@pytest.mark.parametrize(
    ("facts", "accel", "expected"),
    [
        (GOOD, "auto", "a test guest has booted with KVM since the last boot of this machine"),
        (GOOD, "tcg", NotChecked("no VM will be started with KVM; the CPU has vmx or svm, and there is a /dev/kvm")),
        (replace(GOOD, virtualisation=False, kvm_boots=None), "tcg",
         NotChecked("no VM will be started with KVM; the CPU has neither vmx nor svm, and there is a /dev/kvm")),
        (replace(GOOD, kvm_boots=None), "auto", NotChecked("no test guest was booted with KVM")),
        (replace(GOOD, kvm_boots=None, kvm_device=False), "auto", NotChecked("/dev/kvm cannot be opened by this user")),
    ],
)  # fmt: skip
def test_kvm_is_ok_only_after_a_guest_ran(facts: Facts, accel: str, expected: str | NotChecked) -> None:
    assert seen(facts, replace(NEEDS, accel=accel))["kvm-none"] == expected


def test_facts_hidden_from_a_user_are_not_reported_as_absent() -> None:
    found = seen(GOOD, replace(NEEDS, is_root=False, sudo=True))
    closed = NotChecked("only root can read /run/dpdk")
    assert found["dpdk-lock"] == found["dpdk-stale"] == closed
    assert found["img-lock"].endswith("(processes of other users were not examined)")  # type: ignore[union-attr]
    assert found["hp-leak"] == "DPDK files of this user in /dev/hugepages: 0"


def test_processes_of_a_running_lab_are_named() -> None:
    runtime = replace(LEFT, holder=77, mappers=(77, 78))
    busy = replace(GOOD, runtimes=(runtime,), tcp_listening=frozenset({5555}))
    lab = replace(NEEDS, running={"pri": 77, "sec1": 78}, listening_own=frozenset({5555}))
    found = seen(busy, lab)
    assert found["dpdk-lock"] == "/run/dpdk/lab/config: locked by this lab's pid 77 (spp)"
    assert found["dpdk-stale"] == "/run/dpdk/lab: its primary is pid 77 (spp)"
    assert found["net-port"] == "TCP ports without a listener: none; this lab listens on 5555"
    orphan = seen(replace(busy, runtimes=(replace(runtime, holder=None, mappers=(78,)),)), lab)
    assert orphan["dpdk-stale"] == "/run/dpdk/lab: its primary has exited, but this lab's pid 78 (spp) still use it"


def test_doctor_prints_checks_that_were_not_made() -> None:
    rows = {row["id"]: row for row in doctor.Diagnosis([], GOOD, replace(NEEDS, accel="tcg"), "lab").rows}
    assert rows["kvm-none"]["severity"] == "info" and rows["kvm-none"]["found"].startswith("not checked: no VM")
    assert rows["tmux-ver"]["severity"] == "ok" and rows["tmux-ver"]["found"].startswith("tmux 3.3a")
    alone = [row["id"] for row in doctor.Diagnosis([], GOOD, NEEDS).rows]
    assert "net-port" not in alone and "program" in alone


def ids(findings: Sequence[Finding]) -> list[str]:
    return [finding.id for finding in findings]


def test_nic_rows_without_a_nic_are_not_checked() -> None:
    found = check(BARE, BARE_NEEDS)
    assert ids(found) == ["nic-bind", "iommu-off", "iommu-group", "iova", "vfio-perm"]
    assert {f.severity for f in found} == {"info"} and all(f.what.startswith(NOT_CHECKED) for f in found[1:])


def test_user_without_root_gets_the_sudoers_line() -> None:
    line = "ann ALL=(root) NOPASSWD: /x/spp_primary"
    user = replace(NEEDS, is_root=False, sudo=False, sudoers=line)
    asked = check(GOOD, user)
    assert [(f.id, f.severity) for f in asked if f.id in ("sudo", "root")] == [("sudo", "info")]
    message = next(f for f in asked if f.id == "sudo")
    assert message.what == "sudo needs the password of ann: wakeup asks once, in its terminal"
    assert message.fix == f"to avoid the question, as root: visudo -f /etc/sudoers.d/sppr\n    {line}"
    no_terminal = check(GOOD, replace(user, terminal=False))[0]
    assert no_terminal.severity == "error"
    assert no_terminal.what == (
        "sudo needs the password of ann to run spp_primary and spp_nfv as root, but there is no terminal"
    )
    assert no_terminal.fix == f"run it in a terminal, or as root: visudo -f /etc/sudoers.d/sppr\n    {line}"
    absent = check(GOOD, replace(NEEDS, is_root=False, sudo=None))[0]
    assert absent.severity == "error"
    assert absent.what == "DPDK needs root for hugepages and ports, but the user is ann and there is no sudo"
    assert "sudo" not in ids(check(GOOD, replace(user, sudo=True)))
    iova = next(f for f in asked if f.id == "iova")
    assert iova.what == "not root: physical addresses are not visible (/proc/self/pagemap)"


def test_errors_are_listed_before_warnings() -> None:
    found = check(replace(GOOD, cpus=(0, 1), hugetlbfs=(), aslr=2), NEEDS)
    assert [(f.id, f.severity) for f in found] == [
        ("hp-mount", "error"),
        ("cores-exist", "warning"),
        ("sec-map", "info"),
    ]


def test_resources_of_the_running_lab_are_not_findings() -> None:
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
    lab = replace(NEEDS, running=living, listening_own=frozenset({5555}), holders={"/lab/img/v11": 79})
    assert check(busy, lab) == []
    others = replace(lab, running={}, listening_own=frozenset())
    assert {"hp-none", "hp-sum", "dpdk-lock", "net-port", "img-lock"} <= set(ids(check(busy, others)))


def test_runtime_folder_of_a_running_secondary_is_kept() -> None:
    """Its primary was killed; this lab's own secondary still runs over the folder."""
    facts = replace(GOOD, runtimes=(replace(LEFT, mappers=(78,)),))
    assert not any(f.fix_steps for f in check(facts, replace(NEEDS, running={"sec1": 78})))


def test_pages_of_a_dead_primary_of_this_lab_count_as_available() -> None:
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
        (GOOD, replace(NEEDS, partial_images=("/lab/.ov-base.5.tmp",)), ["rm -f -- /lab/.ov-base.5.tmp"]),
    ],
)  # fmt: skip
def test_automatic_fixes_have_commands(facts: Facts, required: Requirements, commands: list[str]) -> None:
    [finding] = check(facts, required)
    assert list(map(str, finding.fix_steps)) == commands


def test_resources_of_other_prefixes_are_never_fixed() -> None:
    facts = replace(
        GOOD,
        huge_files=(replace(LEAK, prefix="rte"), replace(LEAK, mappers=(5,))),
        runtimes=(Runtime("rte", "/run/dpdk/rte"), replace(LEFT, holder=5, mappers=(5,))),
        unix_listening=frozenset({"/tmp/sock11"}),
    )
    found = check(facts, replace(NEEDS, stale=("/tmp/sock11",)))
    assert ids(found) == ["dpdk-lock", "vhost-taken", "hp-leak"] and not any(f.fix_steps for f in found)


def test_checks_that_inspect_have_a_case_with_a_finding() -> None:
    message = {identity for _, _, identity, *_ in CASES} | {"sudo", "nic-bind", "iova"}
    assert {one.id for one in REGISTRY if one.inspect} == message


def test_check_ids_are_unique() -> None:
    assert len({one.id for one in REGISTRY}) == len(REGISTRY)


@pytest.mark.parametrize(
    "interface",
    [
        Interface("vtap0", "tap", True),
        Interface("vtap0", "tap", True, (77,)),
        Interface("vtap1", "veth"),
    ],
    ids=["not open", "this lab has it open", "another name"],
)
def test_usable_tap_is_not_a_finding(interface: Interface) -> None:
    required = replace(NEEDS, taps=TAPS, recorded=frozenset({77}))
    assert check(replace(GOOD, interfaces=(interface,)), required) == []
