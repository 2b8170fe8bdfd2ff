"""The base image boots to a root shell, is a Debian, and has no shared identity. A failed build leaves nothing."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pexpect
import pytest
from pexpect.popen_spawn import PopenSpawn

from sppr.deadline import Deadline
from sppr.errors import HostError, LaunchError
from sppr.images import bootdisk
from sppr.images.build import BASE_NAME, SHELL_READY, build_base

pytestmark = pytest.mark.live

MAC = "52:54:00:5a:00:01"
MGMT = "52:54:00:5a:00:02"


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
    return port


class Guest:
    """A QEMU on a temporary overlay of the base image, with pexpect on its serial console."""

    def __init__(self, image: Path, folder: Path, name: str | None = "vm-v11", key: Path | None = None) -> None:
        self.port = free_port()
        self.qmp = folder / "qmp"
        self.seconds = 0.0
        cards = []
        if name is not None:
            cards += ["-fw_cfg", f"name=opt/sppr/hostname,string={name}"]
            cards += ["-fw_cfg", f"name=opt/sppr/net,string={MAC.upper()} 192.168.122.5/24"]
            cards += ["-fw_cfg", f"name=opt/sppr/mgmt,string={MGMT}"]
        if key is not None:
            cards += ["-fw_cfg", f"name=opt/sppr/authorized_keys,file={key}"]
        argv = [
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"),
            *("-machine", "pc", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "256", "-no-reboot"),
            *("-drive", f"file={image},format=qcow2,if=none,id=disk,snapshot=on"),
            *("-device", "virtio-blk-pci,drive=disk,bootindex=0"),
            *("-netdev", f"user,id=mgmt,hostfwd=tcp:127.0.0.1:{self.port}-:22"),
            *("-device", f"virtio-net-pci,netdev=mgmt,mac={MGMT},vectors=0,romfile="),
            *("-netdev", "user,id=lan,restrict=on"),
            *("-device", f"virtio-net-pci,netdev=lan,mac={MAC},vectors=0,romfile="),
            *("-qmp", f"unix:{self.qmp},server=on,wait=off"),
        ]
        start = Deadline(60)
        self.console = PopenSpawn(argv + cards, timeout=200, encoding="utf-8", codec_errors="replace")
        self.console.expect(SHELL_READY)
        self.seconds = start.elapsed()
        self.boot_text = str(self.console.before)

    def run(self, command: str) -> str:
        """Run ``command`` on the console, and return its output."""
        self.console.sendline(command)
        self.console.expect(SHELL_READY)
        return "\n".join(str(self.console.before).replace("\r", "").split("\n")[1:]).strip()

    def ssh(self, *options: str, command: str = "hostname") -> subprocess.CompletedProcess[str]:
        known = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
        argv = ["ssh", *known, *options, "-o", "ConnectTimeout=20", "-p", str(self.port), "root@127.0.0.1", command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    def execute(self, command: str) -> None:
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(str(self.qmp))
            lines = wire.makefile("rw")
            lines.readline()
            for word in ("qmp_capabilities", command):
                lines.write(json.dumps({"execute": word}) + "\n")
                lines.flush()
                lines.readline()

    def close(self) -> None:
        with suppress(ProcessLookupError):
            self.console.kill(signal.SIGKILL)
        self.console.wait()  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture(scope="module")
def guest(base_image: Path, key: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    with closing(Guest(base_image, tmp_path_factory.mktemp("vm"), key=key.with_suffix(".pub"))) as vm:
        yield vm


def test_image_boots_to_a_quiet_root_shell(guest: Guest) -> None:
    print(f"prompt after {guest.seconds:.1f} s")
    noise = [line for line in guest.boot_text.replace("\r", "").split("\n") if line.strip()]
    assert len(noise) <= 1, noise  # SYSLINUX says its name
    assert "\x1b" not in guest.boot_text


def test_image_is_debian_with_apt_and_a_kernel(guest: Guest) -> None:
    assert guest.run("hostname") == "vm-v11"
    assert guest.run("apt-get --version").startswith("apt 2.")
    assert guest.run("cat /etc/debian_version").startswith("12.")
    assert guest.run("uname -r").endswith("-cloud-amd64")
    assert guest.run("modprobe uio_pci_generic; echo $?") == "0"
    assert guest.run("getent hosts vm-v11").split() == ["127.0.1.1", "vm-v11"]
    assert "deb.debian.org" in guest.run("grep -h ^deb /etc/apt/sources.list")


def test_addresses_are_set_on_the_interface_with_the_mac(guest: Guest) -> None:
    shown = guest.run("ip -br -4 a | cat").splitlines()
    assert {line.split()[2] for line in shown} == {"127.0.0.1/8", "10.0.2.15/24", "192.168.122.5/24"}
    link = next(line.split()[0] for line in shown if "192.168.122.5" in line)
    assert guest.run(f"cat /sys/class/net/{link}/address") == MAC
    # The image has no name server of its build machine, and this network has none.
    assert guest.run("cat /etc/resolv.conf 2>/dev/null") == ""


def test_ssh_accepts_the_key_and_no_password(guest: Guest, key: Path) -> None:
    wait = Deadline(60)
    assert wait.poll(lambda: guest.ssh("-i", str(key)).stdout.strip() == "vm-v11", 0.2)
    print(f"ssh {wait.elapsed():.1f} s after it was asked for")
    refused = guest.ssh("-o", "PubkeyAuthentication=no", "-o", "BatchMode=no", "-o", "NumberOfPasswordPrompts=0")
    assert refused.returncode == 255
    assert "Permission denied (publickey)" in refused.stderr
    assert guest.run("cut -d: -f2 /etc/shadow | sort -u | tr -d '\\n'") in ("!*", "*!", "*")


def test_image_without_parameters_has_no_shared_identity(guest: Guest, base_image: Path, tmp_path: Path) -> None:
    wait_key = "until [ -s /etc/ssh/ssh_host_ed25519_key ]; do sleep .2; done"
    with closing(Guest(base_image, tmp_path, name=None)) as other:
        assert other.run("hostname") == "sppr"
        for command in ("cat /etc/machine-id", "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key"):
            one, two = ((vm.run(wait_key), vm.run(command))[1] for vm in (guest, other))
            assert one and two and one != two
        assert re.fullmatch("[0-9a-f]{32}", other.run("cat /etc/machine-id"))


def test_guest_powers_off_on_request(guest: Guest) -> None:
    wait = Deadline(15)
    guest.execute("system_powerdown")
    guest.console.expect(pexpect.EOF, timeout=wait.remaining())
    print(f"off after {wait.elapsed():.1f} s")
    assert guest.console.wait() == 0  # type: ignore[no-untyped-call]


# The build completes or leaves nothing. A fake mmdebstrap replaces the real one, so these tests take a second.


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a folder first on PATH, with an ``mmdebstrap`` that makes a minimal tree for the later steps."""
    folder = tmp_path / "bin"
    folder.mkdir()
    with tarfile.open(folder / "root.tar", "w") as tar:
        modules = [f"lib/modules/6.1/kernel/{module}.ko" for module in (*bootdisk.MODULES, *bootdisk.LATE_MODULES)]
        folders = [f"{name}/x" for name in ("usr/sbin", "usr/lib", "usr/local/bin", "etc/ssh/sshd_config.d", "root")]
        for name in ["usr/bin/busybox", "boot/vmlinuz", "boot/mbr.bin", "etc/apt/x", *folders, *modules]:
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    program(folder / "mmdebstrap", f'for a; do case $a in *.tar) cp {folder}/root.tar "$a";; esac; done')
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def leftovers(out: Path) -> list[str]:
    return [path.name for path in out.parent.iterdir() if "sppr" in path.name]


@pytest.mark.parametrize("broken", ["mmdebstrap", "mke2fs", "syslinux", "qemu-img"])
def test_failed_step_leaves_nothing(fake: Path, tmp_path: Path, broken: str) -> None:
    program(fake / broken, "echo no luck >&2; exit 1")
    with pytest.raises(LaunchError, match=f"{broken} exited with status 1"):
        build_base(tmp_path / BASE_NAME)
    assert leftovers(tmp_path / BASE_NAME) == []


def test_ctrl_c_leaves_nothing(fake: Path, tmp_path: Path) -> None:
    program(fake / "mke2fs", "kill -INT $PPID; sleep 5")
    with pytest.raises(KeyboardInterrupt):
        build_base(tmp_path / BASE_NAME)
    assert leftovers(tmp_path / BASE_NAME) == []


def test_next_build_removes_leftovers_of_a_killed_build(fake: Path, tmp_path: Path) -> None:
    out = tmp_path / BASE_NAME
    program(fake / "mke2fs", "kill -KILL $PPID")
    script = f"from pathlib import Path; from sppr.images.build import build_base; build_base(Path({str(out)!r}))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    assert leftovers(out) == [f".{BASE_NAME}.building"]
    (fake / "mke2fs").unlink()
    steps: list[str] = []
    assert build_base(out, report=steps.append) == out
    assert leftovers(out) == [BASE_NAME]
    assert len(steps) == 3


def test_existing_image_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / BASE_NAME
    out.write_text("precious")
    with pytest.raises(HostError, match="already exists"):
        build_base(out)
    assert out.read_text() == "precious"


def test_two_folders_wait_for_one_build(fake: Path, tmp_path: Path) -> None:
    """Both get the image of the build that started first. A failed build leaves neither an image nor a cache entry."""
    cache, log = tmp_path / "cache", tmp_path / "builds"
    made = (fake / "mmdebstrap").read_text().split("\n")[1]
    program(fake / "mmdebstrap", f"echo build >> {log}; sleep 2; {made}")
    script = (
        "import sys; from pathlib import Path; from sppr.images import base_cache;"
        "base_cache.ensure_base(Path(sys.argv[1]), report=print)"
    )

    def start(out: Path) -> subprocess.Popen[str]:
        env = {**os.environ, "SPPR_CACHE_DIR": str(cache)}
        return subprocess.Popen([sys.executable, "-c", script, out], stdout=subprocess.PIPE, text=True, env=env)

    outs = [tmp_path / name / BASE_NAME for name in ("one", "two")]
    builds = [start(out) for out in outs]
    printed = "".join(build.communicate(timeout=300)[0] for build in builds)
    assert [build.returncode for build in builds] == [0, 0], printed
    assert log.read_text() == "build\n"
    assert "another process is building this image; waiting for it" in printed
    first, second = (out.read_bytes() for out in outs)
    assert first == second
    (cached,) = cache.iterdir()
    assert cached.read_bytes() == first and cached.stat().st_mode & 0o777 == 0o444
    cached.unlink()
    program(fake / "mmdebstrap", "exit 1")
    failed = start(tmp_path / "three" / BASE_NAME)
    failed.communicate(timeout=60)
    assert failed.returncode != 0 and not list(cache.iterdir()) and not list((tmp_path / "three").glob("*"))


def test_concurrent_builds_of_one_image_are_serialised(fake: Path, tmp_path: Path) -> None:
    out = tmp_path / BASE_NAME
    program(fake / "mmdebstrap", f"echo here > {tmp_path}/started; exec sleep 30")
    script = f"from pathlib import Path; from sppr.images.build import build_base; build_base(Path({str(out)!r}))"
    with ExitStack() as stack:
        first = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
        stack.callback(first.wait)
        stack.callback(os.killpg, first.pid, signal.SIGKILL)
        assert Deadline(20).poll((tmp_path / "started").exists)
        with pytest.raises(HostError, match="another build"):
            build_base(out)
