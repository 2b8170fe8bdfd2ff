"""Facts are read below a root, so that a test brings a /proc and a /sys of its own."""

from pathlib import Path

from sppr.host import facts


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
            "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "10\n",
            "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages": "4\n",
            "sys/bus/pci/devices/0000:00:04.0/class": "0x020000\n",
            "sys/bus/pci/devices/0000:00:05.0/class": "0x010000\n",
            "dev/kvm": "",
        },
    )
    for device in ("0000:00:04.0", "0000:00:05.0"):
        (root / "sys/bus/pci/drivers/vfio-pci" / device).mkdir(parents=True)


def test_facts_of_a_machine(tmp_path: Path) -> None:
    machine(tmp_path)
    found = facts.read(tmp_path)
    assert found.cpus == (0, 1) and found.boot_id == "abc"
    assert found.hugepages == (facts.Hugepages(2048, 10, 4),) and found.hugepages[0].free_mib == 8
    assert found.hugetlbfs == ("/dev/hugepages",)
    assert found.nics == ("0000:00:04.0",), "a disk controller on vfio-pci is no port"
    assert found.unix_listening == {"/tmp/sock1"}, "a connected socket does not listen"
    assert found.tcp_listening == {0x15B3}
    assert found.kvm_usable()


def test_kvm_that_opens_is_not_believed_without_vmx_or_svm(tmp_path: Path) -> None:
    machine(tmp_path)
    (tmp_path / "proc/cpuinfo").write_text("processor : 0\nflags : fpu sse2\n")
    assert facts.read(tmp_path).kvm_device and not facts.read(tmp_path).kvm_usable()


def test_an_empty_machine_is_no_error(tmp_path: Path) -> None:
    assert facts.read(tmp_path) == facts.Facts(cpus=())
