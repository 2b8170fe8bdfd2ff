"""The root file system of the base image: Debian packages, Debian's kernel, and the files of guest/root."""

import os
import platform
import re
import shutil
from pathlib import Path

from sppr.deadline import Deadline
from sppr.errors import HostError
from sppr.run import Argv, run

#: Debian releases that were tested. The first is the default.
SUITES = ("bookworm", "trixie")
SUITE = SUITES[0]
#: Files for the image. ``GUEST/root`` is copied over its root.
GUEST = Path(__file__).with_name("guest")

PACKAGES = ("busybox-static", "ca-certificates", "iproute2", "iputils-ping", "kmod", "openssh-server")

#: The busybox applets that sppr's scripts use, in a folder that only they search: busybox starts faster than Debian's
#: programs.
APPLETS = ("cat", "grep", "hostname", "insmod", "ip", "mkdir", "modprobe", "mount", "mv", "rm", "rmmod", "sed", "sh",
           "switch_root", "tr", "usleep")  # fmt: skip

#: Programs that busybox provides. A package installed later may replace them.
BUSYBOX = {
    "usr/sbin": ("init", "poweroff", "reboot", "halt"),
    "usr/local/bin": ("free", "less", "nc", "ps", "telnet", "top", "vi", "wget"),
    "usr/lib/sppr/bin": APPLETS,
}

#: Removed from the image: files that each instance must create itself, files that only a build needs, and messages at
#: login.
UNWANTED = ("etc/ssh/ssh_host_*", "etc/apt/sources.list.d/*", "etc/motd", "etc/update-motd.d", "var/lib/apt/lists/*_*",
            "var/cache/debconf/*-old", "var/lib/dpkg/*-old", "var/log/*.log", "var/log/apt/*", "root/.ssh",
            "etc/resolv.conf")  # fmt: skip


def _debian_line(suite: str) -> re.Pattern[str]:
    """Return a pattern for Debian's own lines in sources.list. Other archives may use the same suite names."""
    return re.compile(rf"deb +(\[.*\] +)?\S+ +{suite}(-updates|-security|/updates)? +main\b")


def as_root(*argv: str | os.PathLike[str]) -> Argv:
    """Return ``argv``; for a user other than root, preceded by a user namespace in which that user is root."""
    if os.geteuid() == 0:
        return argv
    return ("unshare", "--map-root-user", "--map-auto", "--", *argv)


def make_root(work: Path, deadline: Deadline, suite: str = SUITE) -> Path:
    """Create the root tree ``work/root``, with the kernel as boot/vmlinuz and the MBR's boot code as boot/mbr.bin."""
    if platform.machine() != "x86_64":
        raise HostError(f"this machine is {platform.machine()}, but only x86_64 images can be built")
    tar = work / "root.tar"
    argv = mmdebstrap_argv(tar, debian_sources(work, suite=suite), suite)
    run(argv, env={**os.environ, "TMPDIR": str(work)}, deadline=deadline)
    root = work / "root"
    root.mkdir()
    # The guest's kernel fills /dev. Without root, device nodes could not be created anyway.
    run(as_root("tar", "-C", root, "--exclude=./dev/*", "--numeric-owner", "-xpf", tar), deadline=deadline)
    tar.unlink()
    customise(root, suite)
    return root


def mmdebstrap_argv(tar: Path, sources: Path | None, suite: str = SUITE) -> list[str]:
    """Return the mmdebstrap command. Without ``sources`` it uses its default, Debian's main archive."""
    argv = [
        "mmdebstrap",
        "--mode=" + ("root" if os.geteuid() == 0 else "unshare"),
        "--variant=minbase",
        "--include=" + ",".join(PACKAGES),
        f"--aptopt={GUEST / 'apt.conf'}",
        f"--dpkgopt={GUEST / 'dpkg.cfg'}",
        f"--customize-hook={GUEST / 'kernel-hook'}",
        suite,
        str(tar),
    ]
    return argv if sources is None else [*argv, str(sources)]


def debian_sources(work: Path, etc: Path = Path("/etc/apt"), suite: str = SUITE) -> Path | None:
    """Return a file with the host's Debian sources for this suite, so that the host's mirror is used, or None.

    Only the two files of Debian itself are read, because other sources of the host do not belong in the image.
    """
    deb822 = etc / "sources.list.d/debian.sources"
    if deb822.is_file() and suite in deb822.read_text():
        return deb822
    one_line = etc / "sources.list"
    if not one_line.is_file():
        return None
    pattern = _debian_line(suite)
    lines = [line for line in one_line.read_text().splitlines() if pattern.match(line)]
    if not lines:
        return None
    copy = work / "sources.list"
    copy.write_text("\n".join(lines) + "\n")
    return copy


def customise(root: Path, suite: str = SUITE) -> None:
    """Adapt mmdebstrap's tree: copy sppr's files over it, and remove what instances must not share."""
    for pattern in UNWANTED:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    copy_over(GUEST / "root", root)
    for folder, names in BUSYBOX.items():
        _make_folder(root / folder)
        for name in names:
            if not (root / folder / name).is_symlink():
                (root / folder / name).symlink_to("/bin/busybox")
    archives = root / "etc/apt/sources.list"
    archives.write_text(archives.read_text().replace(SUITE, suite))
    (root / "etc/machine-id").write_text("")
    ssh = root / "root/.ssh"
    ssh.mkdir(mode=0o700)


def copy_over(files: Path, root: Path) -> None:
    """Copy the tree ``files`` over ``root``. Files with ``#!`` become executable, because a wheel may lose the mode."""
    for source in sorted(files.rglob("*")):
        target = root / source.relative_to(files)
        if source.is_dir():
            _make_folder(target)
            continue
        content = source.read_bytes()
        target.unlink(missing_ok=True)
        target.write_bytes(content)
        target.chmod(0o755 if content.startswith(b"#!") else 0o644)


def _make_folder(path: Path) -> None:
    """Create a folder that every user of the guest may enter, independent of the umask of the build."""
    if not path.is_dir():
        path.mkdir()
        path.chmod(0o755)
