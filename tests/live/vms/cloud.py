"""An image from another recipe: a standard Debian with systemd, cloud-init, a locked root and a login prompt on the
console. Built once, below build/."""

import fcntl
import os
from pathlib import Path

from sppr.deadline import Deadline
from sppr.images import bootdisk
from sppr.images.qemu_img import atomic_image
from sppr.images.rootfs import SUITE, debian_sources
from sppr.run import run
from tests.conftest import ROOT

PACKAGES = (
    "systemd-sysv,udev,dbus,cloud-init,openssh-server,ifupdown,isc-dhcp-client,linux-image-cloud-amd64,kmod,login,"
    "syslinux-common"
)
SYSLINUX = """\
SERIAL 0 115200
DEFAULT linux
PROMPT 0
TIMEOUT 0
LABEL linux
  LINUX vmlinuz
  INITRD initrd.img
  APPEND root=/dev/vda2 console=ttyS0 mitigations=off no_timer_check tsc=reliable cryptomgr.notests
"""
#: Services that are slow under emulation, and not needed to test a cloud image.
SLOW = ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_reap.service", "e2scrub_all.timer", "fstrim.timer",
        "dpkg-db-backup.timer")  # fmt: skip
IMAGE = ROOT / "build" / "cloud-debian.qcow2"


def ensure() -> Path:
    """Return the image. Build it if it is missing; one build at a time."""
    IMAGE.parent.mkdir(exist_ok=True)
    with (IMAGE.parent / ".cloud.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not IMAGE.exists():
            with atomic_image(IMAGE, 0o444) as temporary:
                _build(temporary)
    return IMAGE


def _build(target: Path) -> None:
    work = target.with_suffix(".d")
    deadline = Deadline(600)
    run(["rm", "-rf", work])
    root = work / "root"
    root.mkdir(parents=True)
    sources = debian_sources(work)
    hooks = ['echo localhost > "$1/etc/hostname"', 'echo "/dev/vda2 / ext4 defaults 0 1" > "$1/etc/fstab"']
    hooks += ['chroot "$1" passwd -q -l root']
    hooks += [f'chroot "$1" systemctl -q mask {" ".join(SLOW)}']
    argv = [
        "mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "--dpkgopt=force-unsafe-io",
        '--aptopt=APT::Install-Recommends "false"',
        "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
        *(f"--customize-hook={hook}" for hook in hooks), SUITE, str(work / "root.tar"),
        *([str(sources)] if sources else []),
    ]  # fmt: skip
    run(argv, env={**os.environ, "TMPDIR": str(work)}, deadline=deadline)
    run(["tar", "-C", root, "--exclude=./dev/*", "--numeric-owner", "-xpf", work / "root.tar"], deadline=deadline)
    boot = work / "boot"
    boot.mkdir()
    (boot / "syslinux.cfg").write_text(SYSLINUX)
    for name in ("vmlinuz", "initrd.img"):
        (file,) = (root / "boot").glob(f"{name}-*")
        file.rename(boot / name)
    disk = work / "disk.raw"
    bootdisk.partition(disk, (root / "usr/lib/syslinux/mbr/mbr.bin").read_bytes(), 2048, deadline)
    bootdisk.fill_boot(disk, sorted(boot.iterdir()), deadline)
    bootdisk.fill_root(disk, root, 2048 - bootdisk.ROOT_START, deadline)
    run(["qemu-img", "convert", "-O", "qcow2", disk, target], deadline=deadline)
    run(["rm", "-rf", work])


if __name__ == "__main__":
    print(ensure())
