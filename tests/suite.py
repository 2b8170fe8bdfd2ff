"""``make test SUITE=trixie``: test the work tree in another Debian release, in a root made by mmdebstrap.

The root is kept in build/roots/SUITE, with .venv, build results and base image of its own. A run copies the work tree
into it (tracked files and new ones, with their changes), installs what ``make test`` installs, and runs the unit tests
of the data plane, its live tests, and ``make up``. With ``ARGS="tests"`` it runs pytest with these arguments instead.

Everything runs in a mount and a PID namespace of its own. No other namespace sees the mounts, and the kernel unmounts
them when the last process of the namespace ends, also after SIGKILL: there is no clean-up that could be missed, and
deleting the root cannot reach what is mounted in it. The tests run in a network namespace, too, so that a lab that runs
on this machine and the one in the root do not share TAP names and TCP ports. The steps before them need the network,
and so do some tests that ARGS may name.
"""

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOTS = ROOT / "build" / "roots"
DEBIAN = ("bookworm", "trixie", "forky")
#: The work tree in the root. Not below /root, which the user of the VMs may not enter.
TREE = "srv/spp-runner"
#: What a developer's machine may need to reach pip's index and the package mirror. It stays in the environment.
PASSED = ("CI", "TERM", "PIP_INDEX_URL", "PIP_CERT", "PIP_DEFAULT_TIMEOUT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE",
          "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")  # fmt: skip
CERTIFICATES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
#: apt settings of this machine that the root needs as well, for example where the mirror is a snapshot.
APT_SETTINGS = ("Acquire::Check-Valid-Until", "Acquire::Check-Date")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "net/tun", "kvm", "vhost-net")
LINKS = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}


def main(suite: str, *args: str) -> int:
    """Run ``inside`` in its namespaces. A signal to this process ends all of it. ``args``: arguments of pytest."""
    if os.geteuid() != 0:
        print(f"error: `make test SUITE={suite}` mounts and changes root: run it as root", file=sys.stderr)
        return 3
    ROOTS.mkdir(parents=True, exist_ok=True)
    with (ROOTS / f"{suite}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"error: another `make test SUITE={suite}` runs", file=sys.stderr)
            return 3
        return isolated([sys.executable, __file__, "--inside", suite, *args], lock.fileno())


def isolated(argv: list[str], lock: int) -> int:
    """Run ``argv`` as PID 1 of its own PID namespace, with mounts of its own, and return its exit status.

    ``argv`` inherits ``lock``, so it is free when the last process of the namespace has ended.
    """
    # If this process is killed, setpriv's signal ends unshare, --kill-child ends PID 1, and the kernel ends the rest.
    namespaces = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    child = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", *namespaces, "--", *argv],
        stdin=subprocess.DEVNULL,
        pass_fds=[lock],
        env={**os.environ, "SUITE_LOCK": str(lock)},
        start_new_session=True,  # Ctrl-C reaches this process only
    )
    try:
        return child.wait()
    except KeyboardInterrupt:
        return 130
    finally:
        child.kill()
        child.wait()


def inside(suite: str, *args: str) -> int:
    """PID 1 of the namespace: run ``test`` in a child, and reap every orphan."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = test(suite, *args)
        except subprocess.CalledProcessError as e:
            print(f"error: {suite}: exited with status {e.returncode}: {' '.join(map(str, e.cmd))}", file=sys.stderr)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def test(suite: str, *args: str) -> int:
    folder = ROOTS / suite
    if not folder.exists():
        with step(f"{suite}: making {folder.relative_to(ROOT)}"):
            make_root(suite)
    root = Root(folder)
    root.mount()
    with step(f"{suite}: copying the work tree"):
        copy_tree(folder / TREE)
    root.run("sh", "-c", VERSIONS)
    with step(f"{suite}: setting up"):
        root.run("make", "-s", "packages-test", "setup", ".venv/.test")
    if args:
        with step(f"{suite}: pytest {' '.join(args)}"):
            root.run(
                ".venv/bin/python", "-m", "pytest", "-n", "3", "--dist", "loadfile", "--no-loadscope-reorder", *args
            )
        return 0
    root.disconnect()
    with step(f"{suite}: unit tests of the data plane"):
        # pipefail: else the status is that of grep
        root.run("bash", "-o", "pipefail", "-c", "make -s -C sppr/dataplane check 2>&1 | grep -v ^spp: ")
    with step(f"{suite}: live tests of the data plane"):
        root.run("sh", "-c", ".venv/bin/python -m pytest -q -n 3 --dist loadfile tests/live/dataplane")
    with step(f"{suite}: make up"):
        root.run("make", "up")
        root.run(".venv/bin/sppr", "status")
        root.run("make", "down")
    return 0


VERSIONS = """
. /etc/os-release
echo "$PRETTY_NAME: DPDK $(pkg-config --modversion libdpdk), $(tmux -V), $(python3 -V)"
qemu-system-x86_64 --version | head -1
"""


@contextmanager
def step(name: str) -> Iterator[None]:
    print(f"== {name}", flush=True)
    start = time.monotonic()
    yield
    print(f"== {name}: {time.monotonic() - start:.0f} s", flush=True)


def make_root(suite: str) -> None:
    """Make the root with all packages under a temporary name: a root with the final name is complete."""
    folder = ROOTS / f"{suite}.new"
    subprocess.run([ROOT / "bin/remove-folder", folder], check=True)
    argv = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--include=make", "--dpkgopt=force-unsafe-io"]
    argv += [f"--aptopt={line}" for line in apt_settings(command_output("apt-config", "dump"))]
    subprocess.run([*argv, suite, folder, *mirror(suite)], check=True)
    copy_tree(folder / TREE)
    root = Root(folder)
    root.mount()
    root.run("make", "-s", "packages-test")
    root.unmount()
    folder.rename(ROOTS / suite)


def apt_settings(dump: str) -> list[str]:
    return [line for line in dump.splitlines() if line.startswith(tuple(f"{name} " for name in APT_SETTINGS))]


def mirror(suite: str) -> list[str]:
    """The Debian mirror of this machine. Without one, mmdebstrap takes its default."""
    if suite not in DEBIAN:
        return []
    sites = command_output("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages").split()
    return [site for site in sites if site.rstrip("/").endswith("/debian")][:1]


def command_output(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def copy_tree(target: Path, source: Path = ROOT) -> None:
    """Make ``target`` what git lists in ``source``: tracked files and new ones. Files that git ignores stay there.

    Times are kept, so that make builds only what changed.
    """
    listed = command_output("git", "-C", str(source), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = {name for name in listed.split("\0") if name and (source / name).is_file()}
    record = target / ".copied"
    for gone in set(record.read_text().split("\0") if record.exists() else ()) - names:
        (target / gone).unlink(missing_ok=True)
    for name in sorted(names):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if not same(source / name, target / name):
            shutil.copy2(source / name, target / name, follow_symlinks=False)
    record.write_text("\0".join(sorted(names)))


def same(source: Path, target: Path) -> bool:
    if source.is_symlink() or target.is_symlink() or not target.exists():
        return False
    a, b = source.stat(), target.stat()
    return (a.st_size, a.st_mtime_ns, a.st_mode) == (b.st_size, b.st_mtime_ns, b.st_mode)


class Root:
    """A root, used from inside the namespaces only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._namespaces: list[str] = []
        self._holders: list[subprocess.Popen[bytes]] = []
        self._env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
                     "LANG": "C.UTF-8", "SHELL": "/bin/bash"}  # fmt: skip
        self._env |= {name: os.environ[name] for name in PASSED if name in os.environ}

    def run(self, *argv: str) -> None:
        """Run ``argv`` in the work tree of the root. CalledProcessError if it fails."""
        subprocess.run(self._argv(argv), env=self._env, stdin=subprocess.DEVNULL, check=True)

    def _argv(self, argv: tuple[str, ...]) -> list[str]:
        return ["nsenter", *self._namespaces, "--", "sh", "-c", f'cd /{TREE} && exec "$@"', "sh", *argv]

    def mount(self) -> None:
        """Mount what a running system has, and bind the files through which this machine reaches the network."""
        subprocess.run(["mount", "--bind", self.path, self.path], check=True)
        self._mount("proc", "proc")
        self._mount("sysfs", "sys")
        self._mount("tmpfs", "run", "mode=755")
        self._mount("tmpfs", "tmp", "mode=1777")
        self._mount("tmpfs", "dev", "mode=755")
        for name in DEVICES:
            self._device(name)
        for name, target in LINKS.items():
            (self.path / "dev" / name).symlink_to(target)
        self._mount("devpts", "dev/pts", "newinstance,ptmxmode=0666,mode=620,gid=5")
        self._mount("tmpfs", "dev/shm", "mode=1777")
        self._mount("hugetlbfs", "dev/hugepages", "pagesize=2M")
        for file in ("/etc/resolv.conf", "/etc/hosts"):
            self._bind(Path(file))
        # Package ca-certificates replaces the file in its usual place.
        for name in set(CERTIFICATES) & set(self._env):
            shutil.copy(os.environ[name], self.path / "run" / name)
            self._env[name] = f"/run/{name}"
        # chroot is not enough: `ip netns` needs / to be a mount, and passt makes a user namespace, which the kernel
        # refuses in a chroot. PID 1 keeps the old root, so that bin/remove-folder sees the mounts with full paths.
        script = 'cd "$0" && pivot_root . mnt && umount --lazy /mnt && echo && exec sleep infinity'
        self._hold("mnt", ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(self.path)])

    def unmount(self) -> None:
        for holder in self._holders:
            holder.kill()
            holder.wait()
        subprocess.run(["umount", "--recursive", self.path], check=True)

    def disconnect(self) -> None:
        """Run everything from now on in a network namespace of its own, with a loopback."""
        self._hold("net", ["unshare", "--net", "sh", "-c", "echo && exec sleep infinity"])
        self.run("ip", "link", "set", "lo", "up")
        # A sysfs shows the devices of the network namespace that it was mounted in.
        self.run("mount", "-t", "sysfs", "sysfs", "/sys")

    def _hold(self, kind: str, argv: list[str]) -> None:
        """Start ``argv``, which prints a line when its namespace is ready. ``run`` uses that namespace from now on."""
        holder = subprocess.Popen(argv, stdout=subprocess.PIPE)
        if holder.stdout is None or not holder.stdout.readline():
            raise subprocess.CalledProcessError(holder.wait(), argv)
        self._holders.append(holder)
        name = "mount" if kind == "mnt" else kind
        self._namespaces.append(f"--{name}=/proc/{holder.pid}/ns/{kind}")

    def _mount(self, kind: str, where: str, options: str = "") -> None:
        target = self.path / where
        target.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", kind, *(["-o", options] if options else []), kind, target], check=True)

    def _device(self, name: str) -> None:
        device = Path("/dev") / name
        if not device.exists():
            return
        node = self.path / "dev" / name
        node.parent.mkdir(exist_ok=True)
        os.mknod(node, stat.S_IFCHR, device.stat().st_rdev)
        node.chmod(0o666)

    def _bind(self, file: Path) -> None:
        if not file.is_file():
            return
        target = self.path / file.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file():
            target.unlink(missing_ok=True)
            target.touch()
        subprocess.run(["mount", "--bind", file.resolve(), target], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", target], check=True)


if __name__ == "__main__":
    sys.exit(inside(*sys.argv[2:]) if sys.argv[1] == "--inside" else main(*sys.argv[1:]))
