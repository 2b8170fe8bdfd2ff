"""Create a bootable disk image, without a loop device and without a mount.

The image is one raw file: a DOS partition table, a FAT partition with SYSLINUX, and an ext4 partition with the root
file system. Every tool works at an offset in that file. The BIOS reaches the kernel in half a second, much faster than
with GRUB.
"""

import lzma
from pathlib import Path

from sppr.deadline import Deadline
from sppr.images.boot_region import BOOT_MIB, BOOT_START, MIB, ROOT_START
from sppr.images.rootfs import APPLETS, GUEST, as_root
from sppr.run import run

#: The program with which a guest resumes from a saved state. The data plane builds it.
RESUME = Path(__file__).parents[1] / "dataplane/build/spp_resume"
RESUME_SOURCE = RESUME.parents[1] / "guest/spp_resume.c"

#: The modules that the initrd loads last: a guest whose state is saved must have read no disk and no random numbers.
LATE_MODULES = ("drivers/block/virtio_blk", "drivers/char/hw_random/virtio-rng")
#: The other modules of the initrd, in the order in which they must be loaded: virtio, network, fw_cfg, power button.
MODULES = (
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
    "drivers/firmware/qemu_fw_cfg",
    "drivers/input/evdev",
    "drivers/acpi/button",
)


def make_disk(root: Path, work: Path, size_mib: int, deadline: Deadline) -> Path:
    """Create the qcow2 image ``work/disk.qcow2`` from the tree ``root``. Its boot files move to the boot partition."""
    disk, image = work / "disk.raw", work / "disk.qcow2"
    boot_files = [root / "boot/vmlinuz", make_initrd(root, work, deadline), GUEST / "boot/syslinux.cfg"]
    partition(disk, (root / "boot/mbr.bin").read_bytes(), size_mib, deadline)
    fill_boot(disk, boot_files, deadline)
    (root / "boot/mbr.bin").unlink()
    fill_root(disk, root, size_mib - ROOT_START, deadline)
    run(["qemu-img", "convert", "-O", "qcow2", disk, image], deadline=deadline)
    return image


def make_initrd(root: Path, work: Path, deadline: Deadline) -> Path:
    """Create an initrd with busybox and a few modules. Debian's initrd would take six seconds longer to boot."""
    tree, initrd = work / "initrd.d", work / "initrd"
    for folder in ("bin", "dev", "proc", "root", "sys", "m", "late"):
        (tree / folder).mkdir(parents=True)
    (tree / "bin/busybox").write_bytes((root / "usr/bin/busybox").read_bytes())
    (tree / "init").write_bytes((GUEST / "initrd/init").read_bytes())
    (tree / "bin/spp_resume").write_bytes(RESUME.read_bytes())
    for program in (tree / "bin/busybox", tree / "bin/spp_resume", tree / "init"):
        program.chmod(0o755)
    for name in APPLETS:
        (tree / "bin" / name).symlink_to("busybox")
    (kernel,) = (root / "lib/modules").iterdir()
    listed = kernel / "modules.builtin"
    builtin = listed.read_text().split() if listed.exists() else []
    targets = {m: f"m/{n}-{Path(m).name}.ko" for n, m in enumerate(MODULES, 10)}
    targets |= {m: f"late/{Path(m).name}.ko" for m in LATE_MODULES}
    for module, target in targets.items():
        if f"kernel/{module}.ko" not in builtin:
            (tree / target).write_bytes(_module(kernel / "kernel" / f"{module}.ko"))
    names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
    argv = ["cpio", "--create", "--format=newc", "--owner=0:0", "--quiet", f"--file={initrd}"]
    run(argv, cwd=tree, stdin="\n".join(names), deadline=deadline)
    return initrd


def _module(path: Path) -> bytes:
    """Return a kernel module, uncompressed.

    Since Debian 13 modules are compressed; the insmod of the initrd need not support that.
    """
    packed = path.with_name(f"{path.name}.xz")
    return lzma.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes()


def partition(disk: Path, mbr: bytes, size_mib: int, deadline: Deadline) -> None:
    """Create the sparse file ``disk`` with its two partitions, and write ``mbr``, the code that boots the active
    one."""
    with disk.open("wb") as f:
        f.truncate(size_mib * MIB)
    table = f"label: dos\nstart={BOOT_START}MiB, size={BOOT_MIB}MiB, type=e, bootable\nstart={ROOT_START}MiB, type=83\n"
    run(["sfdisk", "--quiet", disk], stdin=table, deadline=deadline)
    with disk.open("r+b") as f:
        f.write(mbr[:440])


def fill_boot(disk: Path, files: list[Path], deadline: Deadline) -> None:
    """Format the FAT partition, install SYSLINUX in it, and copy ``files`` to it."""
    drive = f"{disk}@@{BOOT_START}M"
    sectors, hidden = BOOT_MIB * MIB // 512, BOOT_START * MIB // 512
    geometry = ["-h", "64", "-s", "32", "-H", str(hidden)]
    run(["mformat", "-i", drive, "-T", str(sectors), *geometry, "-c", "8", "-v", "SPPRBOOT", "::"], deadline=deadline)
    run(["syslinux", "--install", "--offset", str(BOOT_START * MIB), disk], deadline=deadline)
    run(["mcopy", "-i", drive, *files, "::"], deadline=deadline)


def fill_root(disk: Path, root: Path, size_mib: int, deadline: Deadline) -> None:
    """Create the ext4 file system with the tree ``root``. The file is all zeros, so mke2fs need not zero it."""
    features = f"offset={ROOT_START * MIB},assume_storage_prezeroed=1,lazy_itable_init=0"
    kind = ("-q", "-F", "-t", "ext4", "-L", "sppr-root", "-E", features)
    run(as_root("mke2fs", *kind, "-d", root, disk, f"{size_mib}M"), deadline=deadline)
