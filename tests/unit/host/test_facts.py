"""Facts are read below a root, so tests can supply /proc and /sys."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sppr.host import dpdk_runtime, facts
from sppr.host.facts import Interface
from sppr.host.process import open_files


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def machine(root: Path) -> None:
    write(
        root,
        {
            "proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu svm\n\nprocessor\t: 1\nflags\t\t: fpu svm\n",
            "proc/mounts": "none /dev/hugepages hugetlbfs rw 0 0\nproc /proc proc rw 0 0\n",
            "proc/net/unix": (
                "Num       RefCount Protocol Flags    Type St Inode Path\n"
                "0000000000000000: 00000002 00000000 00010000 0001 01 1 /tmp/sock1\n"
                "0000000000000000: 00000003 00000000 00000000 0001 03 2 /tmp/sock2\n"
                "0000000000000000: 00000002 00000000 00010000 0001 01 3\n"
            ),
            "proc/net/tcp": "  sl  local rem st\n   0: 0100007F:15B3 0:0 0A x\n   1: 0100007F:1A0A 0:0 01 x\n",
            "proc/sys/kernel/random/boot_id": "abc\n",
            "etc/machine-id": "m1\n",
            "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "10\n",
            "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages": "4\n",
            "sys/bus/pci/devices/0000:00:04.0/class": "0x020000\n",
            "sys/bus/pci/devices/0000:00:05.0/class": "0x010000\n",
            "dev/kvm": "",
            "proc/meminfo": "MemTotal: 9 kB\nMemAvailable:   2097152 kB\n",
            "proc/sys/kernel/randomize_va_space": "2\n",
            "sys/devices/system/node/node1/cpulist": "1,4-6\n",
            "sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages": "5\n",
            "sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages": "3\n",
            "sys/class/net/virbr0/bridge/bridge_id": "",
            "sys/class/net/eth0/address": "",
            "etc/qemu/bridge.conf": "# ours\nallow virbr0\ndeny all\n",
            "dev/hugepages/labmap_0": "x",
            "dev/hugepages/labmap_1": "x",
            "dev/hugepages/rte_2map_7": "x",
            "dev/hugepages/mine": "x",
            "proc/77/maps": "7f00-7f01 rw-s 00000000 00:2b 5 /dev/hugepages/labmap_1\n"
            "7f01-7f02 rw-s 00000000 00:18 6    /run/dpdk/lab/fbarray_memzone (deleted)\n7f03-7f04 rw-p 0 0:0 0 \n",
            "run/dpdk/lab/config": "",
            "run/dpdk/old/config": "",
        },
    )
    for device in ("0000:00:04.0", "0000:00:05.0"):
        (root / "sys/bus/pci/drivers/vfio-pci" / device).mkdir(parents=True)


def test_facts_of_a_machine(tmp_path: Path) -> None:
    machine(tmp_path)
    found = facts.read(tmp_path)
    assert found.cpus == (0, 1) and found.boot_id == "abc" and found.machine_id == "m1"
    assert found.hugepages == (facts.Hugepages(2048, 10, 4),) and found.hugepages[0].free_mib == 8
    assert found.hugetlbfs == ("/dev/hugepages",)
    assert found.nics == ("0000:00:04.0",), "a disk controller on vfio-pci is no port"
    assert found.unix_listening == {"/tmp/sock1"}, "a connected socket does not listen"
    assert found.tcp_listening == {0x15B3}
    assert found.kvm_usable() and found.kvm_exists
    assert found.memory_free_mib == 2048 and found.aslr == 2
    [node] = found.nodes
    assert (node.number, node.cpus, node.free_mib) == (1, (1, 4, 5, 6), 6)
    assert [one.name for one in found.bridges] == ["virbr0"] and found.bridge_acl == ("virbr0",)
    assert not found.iommu


def test_hugepage_files_have_prefix_and_mapping_pids(tmp_path: Path) -> None:
    machine(tmp_path)
    message = [(f.path, f.prefix, f.mappers) for f in facts.read(tmp_path).huge_files]
    assert message == [
        ("/dev/hugepages/labmap_0", "lab", ()),
        ("/dev/hugepages/labmap_1", "lab", (77,)),
        ("/dev/hugepages/rte_2map_7", "rte_2", ()),
    ]


def test_runtime_folders_have_mapping_pids(tmp_path: Path) -> None:
    machine(tmp_path)
    message = [(r.prefix, r.path, r.holder, r.mappers) for r in facts.read(tmp_path).runtimes]
    assert message == [("lab", "/run/dpdk/lab", None, (77,)), ("old", "/run/dpdk/old", None, ())]


def test_interfaces_have_kind_and_holders(tmp_path: Path) -> None:
    net = tmp_path / "sys/class/net"
    (net / "br0/bridge").mkdir(parents=True)
    write(
        net,
        {
            "eth0/device/vendor": "",
            "vtap0/tun_flags": "0x1902\n",
            "vtap1/tun_flags": "0x1802\n",
            "tun0/tun_flags": "0x1001\n",
            "v0/ifindex": "5\n",
            "v0/iflink": "4\n",
            "lo/ifindex": "1\n",
            "lo/iflink": "1\n",
            "x0/uevent": "DEVTYPE=vxlan\nINTERFACE=x0\n",
            "bonding_masters": "",
        },
    )
    for pid, parent in ((7, 1), (8, 7), (9, 1)):  # 8 is a child that inherited the tap
        write(tmp_path, {f"proc/{pid}/fdinfo/3": "pos:\t0\niff:\tvtap0\n", f"proc/{pid}/stat": f"{pid} (a) S {parent}"})
        (tmp_path / f"proc/{pid}/fd").mkdir()
        (tmp_path / f"proc/{pid}/fd/3").symlink_to("/dev/net/tun")
    found = {one.name: one for one in facts.interfaces(tmp_path)}
    assert {name: one.kind for name, one in found.items()} == {
        "br0": "bridge", "eth0": "NIC", "lo": "interface", "tun0": "tun", "v0": "veth", "vtap0": "tap", "vtap1": "tap",
        "x0": "vxlan",
    }  # fmt: skip
    assert (found["vtap0"].multi_queue, sorted(found["vtap0"].holders)) == (True, [7, 9])
    assert (found["vtap1"].multi_queue, found["vtap1"].holders) == (False, ())
    assert [name for name, one in found.items() if one.persistent] == ["vtap0", "vtap1"]
    assert facts.interfaces(tmp_path, holders=False)[-2].holders == ()


@pytest.mark.parametrize(
    ("interface", "going"),
    [
        (Interface("vtap0", "tap"), True),
        (Interface("vtap0", "interface"), True),
        (Interface("vtap0", "tap", holders=(5,)), False),
        (Interface("vtap0", "tap", persistent=True), False),
        (Interface("vtap0", "veth"), False),
    ],
    ids=["no holder", "not in sysfs any more", "a process has it", "made to stay", "no tap"],
)
def test_tap_without_a_holder_is_disappearing(interface: Interface, going: bool) -> None:
    assert interface.is_being_removed == going


def test_lock_has_the_pid_of_its_holder(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.touch()
    code = "import fcntl,sys; f=open(sys.argv[1],'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print('ok',flush=True); input()"
    words = [sys.executable, "-c", code, config]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "ok\n"
        assert dpdk_runtime.lock_holder(config) == other.pid
        assert open_files.find_opener([str(config)]) == {str(config): other.pid}
        assert open_files.describe_process(other.pid).startswith(f"pid {other.pid} (python")
        other.communicate("")
    assert dpdk_runtime.lock_holder(config) is None and dpdk_runtime.lock_holder(tmp_path / "none") is None
    assert open_files.find_opener([str(config)]) == {}


@pytest.mark.timeout(20)
def test_lock_file_planted_by_another_user_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/dev/zero")
    assert dpdk_runtime.lock_holder(tmp_path / "fifo") is None and dpdk_runtime.lock_holder(tmp_path / "link") is None


@pytest.mark.parametrize(("uid", "seen"), [(0, ["/run/dpdk/lab"]), (1000, ["/run/dpdk/lab", "/tmp/dpdk/lab"])])
def test_root_ignores_runtime_folders_where_others_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int, seen: list[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    for place in ("run", "tmp"):
        (tmp_path / place / "dpdk/lab").mkdir(parents=True)
    assert [found.path for found in dpdk_runtime.runtimes(tmp_path, dict)] == seen


@pytest.mark.parametrize(("driver", "kernel_bound"), [("e1000", ("0000:00:04.1",)), ("vfio-pci", ()), ("pci-stub", ())])
def test_iommu_group_lists_siblings_with_a_kernel_driver(tmp_path: Path, driver: str, kernel_bound: object) -> None:
    machine(tmp_path)
    devices = tmp_path / "sys/bus/pci/devices"
    group = tmp_path / "sys/kernel/iommu_groups/7"
    (group / "devices").mkdir(parents=True)
    write(devices, {"0000:00:04.1/class": "0x020000\n", "0000:00:04.0/numa_node": "1\n"})
    for name, its in (("0000:00:04.0", "vfio-pci"), ("0000:00:04.1", driver)):
        bound = tmp_path / "sys/bus/pci/drivers" / its
        bound.mkdir(parents=True, exist_ok=True)
        (devices / name / "driver").symlink_to(bound)
        (devices / name / "iommu_group").symlink_to(group)
        (group / "devices" / name).mkdir()
    found = facts.read(tmp_path)
    [nic] = [port for port in found.ports if port.address == "0000:00:04.0"]
    assert found.iommu and (nic.driver, nic.node, nic.group, nic.kernel_bound) == ("vfio-pci", 1, 7, kernel_bound)
    assert not nic.group_open, "there is no /dev/vfio/7"


def test_file_system_of_a_path_is_that_of_its_last_mount() -> None:
    points = (("/", "ext4"), ("/dev", "tmpfs"), ("/dev/huge", "tmpfs"), ("/dev/huge", "hugetlbfs"))
    mounts = tuple(facts.Mount(*words) for words in points)
    machine = facts.Facts(cpus=(), mounts=mounts)
    message = {path: machine.file_system(path) for path in ("/dev/huge", "/dev/huge/x", "/dev/hugepages", "/srv")}
    assert message == {"/dev/huge": "hugetlbfs", "/dev/huge/x": "hugetlbfs", "/dev/hugepages": "tmpfs", "/srv": "ext4"}


def test_kvm_is_unusable_without_vmx_or_svm(tmp_path: Path) -> None:
    machine(tmp_path)
    (tmp_path / "proc/cpuinfo").write_text("processor : 0\nflags : fpu sse2\n")
    assert facts.read(tmp_path).kvm_device and not facts.read(tmp_path).kvm_usable()


def test_empty_machine_is_not_an_error(tmp_path: Path) -> None:
    assert facts.read(tmp_path) == facts.Facts(cpus=())


def test_hugepage_file_in_two_mounts_is_listed_once(tmp_path: Path) -> None:
    machine(tmp_path)
    (tmp_path / "proc/mounts").write_text("none /dev/hugepages hugetlbfs rw 0 0\nnone /mnt/again hugetlbfs rw 0 0\n")
    (tmp_path / "mnt/again").mkdir(parents=True)
    for page in (tmp_path / "dev/hugepages").glob("labmap_*"):
        (tmp_path / "mnt/again" / page.name).hardlink_to(page)
    found = {file.path: file.mappers for file in facts.read(tmp_path).huge_files if file.prefix == "lab"}
    assert found == {"/dev/hugepages/labmap_0": (), "/dev/hugepages/labmap_1": (77,)}


def test_tun_fd_without_an_interface_has_no_holder(tmp_path: Path) -> None:
    """A process opened /dev/net/tun and has no interface yet: the kernel prints an empty name."""
    write(tmp_path, {"sys/class/net/vtap0/tun_flags": "0x1002\n", "proc/7/fdinfo/3": "pos:\t0\niff:\t\n"})
    (tmp_path / "proc/7/fd").mkdir()
    (tmp_path / "proc/7/fd/3").symlink_to("/dev/net/tun")
    [found] = facts.interfaces(tmp_path, holders=True)
    assert found.holders == ()
