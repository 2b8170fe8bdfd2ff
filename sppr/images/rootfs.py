"""The root file system of the base image: Debian's packages, its kernel, and our few files over them."""

import os
import platform
import re
import shutil
from pathlib import Path

from sppr.deadline import Deadline
from sppr.errors import HostError
from sppr.run import Argv, run

#: Releases that were tried; the first is what is built unless another is asked for.
SUITES = ("bookworm", "trixie")
SUITE = SUITES[0]
#: The files that go into the image; ``GUEST/root`` is laid over its root.
GUEST = Path(__file__).with_name("guest")

PACKAGES = ("busybox-static", "ca-certificates", "iproute2", "iputils-ping", "kmod", "openssh-server")

#: What our own scripts use of busybox, in a folder that only they search: it starts quicker than Debian's programs.
APPLETS = ("cat", "grep", "hostname", "insmod", "ip", "mkdir", "modprobe", "mount", "mv", "rm", "sed", "sh",
           "switch_root", "tr", "usleep")  # fmt: skip

#: Programs that busybox stands in for. A package installed later may replace them.
BUSYBOX = {
    "usr/sbin": ("init", "poweroff", "reboot", "halt"),
    "usr/local/bin": ("free", "less", "nc", "ps", "telnet", "top", "vi", "wget"),
    "usr/lib/sppr/bin": APPLETS,
}

#: Removed from the image: what each instance must make for itself, what only a build needs, and the chatter at login.
UNWANTED = ("etc/ssh/ssh_host_*", "etc/apt/sources.list.d/*", "etc/motd", "etc/update-motd.d", "var/lib/apt/lists/*_*",
            "var/cache/debconf/*-old", "var/lib/dpkg/*-old", "var/log/*.log", "var/log/apt/*", "root/.ssh",
            "etc/resolv.conf")  # fmt: skip


def _debian_line(suite: str) -> re.Pattern[str]:
    """A line of Debian's own in sources.list, in distinction from the archives of others that use its suite names."""
    return re.compile(rf"deb +(\[.*\] +)?\S+ +{suite}(-updates|-security|/updates)? +main\b")


def as_root(*argv: str | os.PathLike[str]) -> Argv:
    """``argv``, and for a user that is not root: the same in a user namespace in which they are."""
    if os.geteuid() == 0:
        return argv
    return ("unshare", "--map-root-user", "--map-auto", "--", *argv)


def make_root(work: Path, deadline: Deadline, suite: str = SUITE) -> Path:
    """Make the root tree ``work/root``, with the kernel as boot/vmlinuz and the code of an MBR as boot/mbr.bin."""
    if platform.machine() != "x86_64":
        raise HostError(f"this machine is {platform.machine()}: only x86_64 images can be built here")
    tar = work / "root.tar"
    argv = mmdebstrap_argv(tar, debian_sources(work, suite=suite), suite)
    run(argv, env={**os.environ, "TMPDIR": str(work)}, deadline=deadline)
    root = work / "root"
    root.mkdir()
    # The guest's kernel fills /dev; without root, device nodes could not be made anyway.
    run(as_root("tar", "-C", root, "--exclude=./dev/*", "--numeric-owner", "-xpf", tar), deadline=deadline)
    tar.unlink()
    customise(root, suite)
    return root


def mmdebstrap_argv(tar: Path, sources: Path | None, suite: str = SUITE) -> list[str]:
    """The mmdebstrap command; without ``sources`` it takes its own default, Debian's main archive."""
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
    """The host's own apt sources of our suite, so that its mirror is used; None where it has none.

    Only the two files of Debian itself are looked at: other sources of the host have no business in the image.
    """
    deb822 = etc / "sources.list.d/debian.sources"
    if deb822.is_file() and suite in deb822.read_text():
        return deb822
    one_line = etc / "sources.list"
    if not one_line.is_file():
        return None
    ours = _debian_line(suite)
    lines = [line for line in one_line.read_text().splitlines() if ours.match(line)]
    if not lines:
        return None
    copy = work / "sources.list"
    copy.write_text("\n".join(lines) + "\n")
    return copy


def customise(root: Path, suite: str = SUITE) -> None:
    """Turn mmdebstrap's tree into ours: our files over it, and nothing in it that instances must not share."""
    for pattern in UNWANTED:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    lay_over(GUEST / "root", root)
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


def lay_over(files: Path, root: Path) -> None:
    """Copy the tree ``files`` over ``root``. What starts with ``#!`` can be executed: a wheel may lose the mode."""
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
    """A folder that everybody in the guest may enter, whatever umask the build runs with."""
    if not path.is_dir():
        path.mkdir()
        path.chmod(0o755)
