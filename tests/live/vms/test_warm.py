"""VMs resume from a saved state: what they do not share, and what happens when a state cannot be saved or loaded."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.live import labs
from tests.live.dataplane_lab import has_ended, wait_for
from tests.live.labs import Lab
from tests.live.vms.test_sppsh import sppsh

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]

#: What a guest could share with another one that resumed from the same state: commands that print a line each.
IDENTITY = {
    "host name": "hostname",
    "machine-id": "cat /etc/machine-id",
    "ssh host key": "cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub",
    "MAC address": "cat /sys/class/net/eth0/address",
    "SPP id": "cat /sys/firmware/qemu_fw_cfg/by_name/opt/sppr/id/raw; echo",
    "random bytes": "head -c 16 /dev/urandom | od -An -tx8",
    "boot id": "cat /proc/sys/kernel/random/boot_id",
    "random numbers of bash": "bash -c 'echo $RANDOM$RANDOM$RANDOM'",
    "addresses of a program": "grep -m1 stack /proc/self/maps",
}


@pytest.fixture
def lab(base_image: Path, programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab whose states are its own."""
    folder = tmp_path_factory.mktemp("warm")
    with labs.private(folder, "testwarm1", base_image) as made:
        made.env["SPPR_CACHE_DIR"] = str(folder / "cache")
        yield made


def states(lab: Lab) -> list[Path]:
    """Return the folders of states, and of those that are being saved."""
    return sorted((lab.folder / "cache").glob("state-*"))


def resumed(lab: Lab, name: str) -> bool:
    """Return whether a VM has resumed. Its recorded command line is that of a boot."""
    return "-incoming" in psutil.Process(lab.status()[name]["pid"]).cmdline()


def up(lab: Lab, *flags: str) -> str:
    done = lab.wakeup(*flags)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def log(lab: Lab, name: str) -> str:
    return (lab.state / f"{name}.log").read_text(errors="replace")


def with_vm(lab: Lab, settings: str) -> None:
    """Set further keys of vm: in conf.yml."""
    text = lab.conf.read_text()
    lab.conf.write_text(text.replace("vm: {", f"vm: {{{settings}, "))


def test_resumed_guests_share_nothing(lab: Lab) -> None:
    with_vm(lab, "start: warm")
    text = lab.conf.read_text().replace("{id: 7}", "{id: 7}, {id: 8}, {id: 9}")
    lab.conf.write_text(text.replace("{id: 12}", "{id: 12}, {id: 13}, {id: 14}"))
    printed = up(lab, "-ns", "1", "-nr", "4", "-nv", "4")
    assert printed.count("saving the state") == len(states(lab)) == 1
    names = [f"vm_{vm}" for vm in ("r6", "r7", "r8", "r9", "v11", "v12", "v13", "v14")]
    assert all(resumed(lab, name) for name in names)
    done = sppsh(lab, "-r", "all", "; ".join(IDENTITY.values()))
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        name, value = line.split(": ", 1)
        found.setdefault(name, []).append(value)
    assert len(found) == 8
    for what, values in zip(IDENTITY, zip(*found.values(), strict=True), strict=False):
        assert len(set(values)) == 8, (what, values)
    times = [float(line.split(": ")[1]) for line in sppsh(lab, "-r", "all", "date +%s.%N").stdout.splitlines()]
    assert len(times) == 8 and max(abs(t - time.time()) for t in times) < 10, "the clock is not that of the save"
    for name in names:
        assert (lab.state / f"{name}.console").read_text().count("not found") == 0


def test_second_lab_and_restarted_vm_resume_without_a_save(lab: Lab) -> None:
    assert "saving the state" in up(lab, "-ns", "1", "-nr", "1", "-nv", "0")
    before = lab.status()["vm_r6"]["pid"]
    sppsh(lab, "-r", "6", "echo kept > /root/kept; sync")
    done = lab.sppr("restart", "vm_r6", "--session", lab.session)
    assert done.returncode == 0 and "saving" not in done.stdout, done.stdout + done.stderr
    assert lab.status()["vm_r6"]["pid"] != before and resumed(lab, "vm_r6")
    assert sppsh(lab, "-r", "6", "cat /root/kept").stdout == "kept\n", "an instance with data resumes, too"
    assert lab.down().returncode == 0 and lab.leftovers() == []
    assert "saving the state" not in up(lab, "-ns", "1", "-nr", "1", "-nv", "0") and resumed(lab, "vm_r6")


def test_state_that_qemu_refuses_is_removed_and_the_vm_boots(lab: Lab) -> None:
    up(lab, "-ns", "1", "-nr", "1", "-nv", "0")
    (state,) = states(lab)
    stat = (state / "devices").stat()
    with (state / "devices").open("r+b") as file:
        file.seek(1000)
        file.write(os.urandom(5000))
    os.utime(state / "devices", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    done = lab.sppr("restart", "vm_r6", "--session", lab.session)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "could not resume from its saved state" in log(lab, "vm_r6")
    assert "boots, because it could not resume from its saved state" in log(lab, "vm_r6")
    assert not resumed(lab, "vm_r6") and not state.exists() and not (lab.state / "vm_r6.resuming").exists()
    assert sppsh(lab, "-r", "6", "hostname").stdout == "vm-r6\n"


def test_killed_save_leaves_the_template_and_no_process(lab: Lab) -> None:
    assert lab.sppr("image", "build-template", "ring").returncode == 0
    process = subprocess.Popen(
        lab.wakeup_argv("-ns", "1", "-nr", "1", "-nv", "0"), env=lab.env, cwd="/", stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for("a state that is being saved", lambda: any((s / "memory.full").exists() for s in states(lab)), 60)
    guests = wait_for("its guest", lambda: [p for p in lab.processes() if p.name().startswith("qemu-system")])
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for("the end of the guest", lambda: all(has_ended(guest.pid) for guest in guests))
    assert [s.suffix for s in states(lab)] == [".tmp"]
    assert "saving the state" in up(lab, "-ns", "1", "-nr", "1", "-nv", "0")
    assert [s.suffix for s in states(lab)] == [""] and resumed(lab, "vm_r6")


def test_full_disk_means_boot(lab: Lab) -> None:
    cache = lab.folder / "cache"
    cache.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20M", "tmpfs", cache], check=True)
    try:
        printed = up(lab, "-ns", "1", "-nr", "1", "-nv", "0")
        assert "no state could be saved, so vm_r6 will boot" in printed and "No space left on device" in printed
        assert not resumed(lab, "vm_r6") and states(lab) == []
        assert lab.down().returncode == 0
        with_vm(lab, "start: warm")
        done = lab.wakeup("-ns", "1", "-nr", "1", "-nv", "0")
        assert done.returncode == 3 and "start: warm, but no state could be saved" in done.stderr
    finally:
        subprocess.run(["umount", "-l", cache], check=True)


def test_what_the_state_depends_on(lab: Lab) -> None:
    """Other memory has a state of its own. Other arguments of QEMU, or a kernel of its own, mean boot."""
    up(lab, "-ns", "1", "-nr", "1", "-nv", "0")
    with_vm(lab, "memory: 192")
    done = lab.sppr("restart", "vm_r6", "--session", lab.session)
    assert "saving the state from which VMs of 192 MiB resume" in done.stdout and resumed(lab, "vm_r6")
    assert len(states(lab)) == 2
    lab.conf.write_text(lab.conf.read_text().replace("memory: 192", "args: [-no-hpet]"))
    done = lab.sppr("restart", "vm_r6", "--session", lab.session)
    assert done.returncode == 0 and not resumed(lab, "vm_r6"), done.stdout + done.stderr
    assert "boots, because vm.args is set" in log(lab, "vm_r6")
    lab.conf.write_text(lab.conf.read_text().replace("args: [-no-hpet], ", ""))
    assert lab.sppr("stop", "vm_r6", "--session", lab.session).returncode == 0
    disk = next((lab.folder / "runscripts/img").glob("r6-*.qcow2"))
    subprocess.run(["qemu-io", "-c", "write -P 1 20M 64k", str(disk)], check=True, capture_output=True)
    assert lab.sppr("start", "vm_r6", "--session", lab.session).returncode == 0
    assert "boots, because it has a kernel of its own" in log(lab, "vm_r6") and not resumed(lab, "vm_r6")


def test_start_warm_that_cannot_be_is_an_error_of_conf(lab: Lab) -> None:
    with_vm(lab, "start: warm, args: [-no-hpet]")
    done = lab.wakeup("-ns", "1", "-nr", "1", "-nv", "0")
    assert done.returncode == 2 and "vm_r6: start: warm, but vm.args is set" in done.stderr, done.stderr
