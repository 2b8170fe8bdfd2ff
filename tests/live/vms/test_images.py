"""Templates are filled by the steps of conf.yml, completely or not at all. Images from elsewhere can become VMs."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import psutil
import pytest

from sppr.config.model import Step
from sppr.deadline import Deadline
from sppr.host.process.processes import wait_exited
from sppr.images import bootdisk, listing
from sppr.images.store import Store
from sppr.lab.up.provision import Provisioner
from tests.conftest import ROOT
from tests.live import labs
from tests.live.dataplane_lab import wait_for
from tests.live.guests import Guest
from tests.live.labs import Lab
from tests.live.vms import cloud
from tests.live.vms.test_sppsh import sppsh

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with labs.private(tmp_path_factory.mktemp("img"), "testimg8", None) as made:
        yield made


def with_base(lab: Lab, base: Path, extra: str = "") -> None:
    (lab.folder / "runscripts" / base.name).symlink_to(base)
    lab.write(extra)


def processes_on(folder: Path) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if any(str(folder) in word for word in p.info["cmdline"] or [])]


def test_disk_full_during_the_boot_of_a_template_is_reported_at_once(lab: Lab, base_image: Path) -> None:
    """By default, QEMU would pause the guest without a message, and the wait would last 30 minutes."""
    images = lab.folder / "runscripts"
    with_base(lab, base_image, "provision:\n  - head -c 300M /dev/urandom > /root/much; sync\n")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80M", "tmpfs", images], check=True)
    try:
        (images / base_image.name).symlink_to(base_image)
        done = lab.sppr("image", "build-template", "ring", timeout=100)
        assert done.returncode == 3 and "No space left on device" in done.stderr, done.stdout + done.stderr
        assert "while a template was filled" in done.stderr and f"df -h {images}" in done.stderr
        assert [path.name for path in images.iterdir()] == [base_image.name]
    finally:
        subprocess.run(["umount", "-l", images], check=True)


def test_template_is_filled_by_the_steps_of_conf_yml(lab: Lab, base_image: Path, tmp_path: Path) -> None:
    """A failed step and a killed provision leave only the old template."""
    steps = "provision:\n  - echo made > /root/made\n  - {file: tool, to: /opt/bin/my tool}\n  - '/opt/bin/my?tool'\n"
    with_base(lab, base_image, steps)
    (lab.folder / "tool").write_text("#!/bin/sh\necho by the tool >> /root/made\n")
    (lab.folder / "tool").chmod(0o755)
    done = lab.sppr("image", "build-template", "ring")
    assert done.returncode == 0, done.stdout + done.stderr
    printed = (
        "root shell after",
        "step 1 of 3: echo made",
        "step 2 of 3: copy tool",
        "step 3 of 3",
        "spp_vm is installed",
    )
    order = [done.stdout.index(text) for text in (*printed, "created over")]
    assert order == sorted(order)
    template = lab.folder / "runscripts" / f"or-{base_image.name}"
    before = template.read_bytes()

    lab.write(steps + "  - echo almost; false\n")
    done = lab.sppr("image", "build-template", "--force", "ring")
    assert done.returncode == 4 and "exited with status 1" in done.stderr and "last: almost" in done.stderr, done.stderr
    assert "step 4 of 4: echo almost; false" in done.stdout
    assert template.read_bytes() == before

    process = subprocess.Popen(
        [sys.executable, "-m", "sppr", "image", "build-template", "--force", "ring"], env=lab.env, cwd=lab.folder,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    guest = wait_for("its guest", lambda: [p for p in processes_on(lab.folder) if p.name().startswith("qemu-system")])
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert wait_exited(guest, Deadline(30)) == [] and template.read_bytes() == before
    left = [finding.id for finding in listing.check(lab.folder / "runscripts", "qcow2")]
    assert left == ["img-partial"]

    lab.write(steps)
    done = lab.sppr("image", "build-template", "--force", "ring")
    assert done.returncode == 0, done.stderr
    assert template.read_bytes() != before and listing.check(lab.folder / "runscripts", "qcow2") == []
    vm = Guest(template, tmp_path, 6)
    try:
        vm.wait_prompt()
        assert vm.run("cat /root/made") == "made\nby the tool"
    finally:
        vm.close()


@pytest.mark.timeout(1800)  # two minutes on an idle machine
def test_cloud_image_becomes_a_ring_vm(lab: Lab) -> None:
    """The cloud-init seed opens an imported image. Its VM connects, has its name, and accepts the lab's ssh key."""
    lab.write()
    done = lab.sppr("image", "import", str(cloud.ensure()), "--name", "cloud.qcow2")
    assert done.returncode == 0, done.stderr
    done = lab.wakeup("-ns", "1", "-nr", "1", "-nv", "0", timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert lab.status()["vm_r6"]["state"] == "ready"
    rows = {row.name: row for row in listing.entries(lab.folder / "runscripts")}
    assert rows["or-cloud.qcow2"].spp_vm and "vm-r6" in {h.name for h in rows["r6-cloud.qcow2"].holders}
    words = ("-r", "6", "hostname; cat /etc/machine-id; ls /etc/ssh")
    # Its sshd may start after its spp_vm.
    done = wait_for("its sshd", lambda: d if (d := sppsh(lab, *words)).returncode == 0 else None, 300)
    name, machine, *files = done.stdout.split()
    assert name == "vm-r6" and len(machine) == 32 and "ssh_host_ed25519_key" in files, done.stderr


def test_vm_started_by_hand_is_pinned_and_reachable(lab: Lab, base_image: Path) -> None:
    """No session is needed. The missing controller is reported, and the image is locked."""
    with_base(lab, base_image)
    lab.conf.write_text(lab.conf.read_text().replace("{id: 6}", "{id: 6, cpus: [1]}"))
    run_vm = [str(ROOT / "runscripts/run-vm.py"), "--conf", str(lab.conf)]
    guest = pexpect.spawn(run_vm[0], [*run_vm[1:], "-t", "ring", "-i", "6", "-nn", "2"], env=lab.env, timeout=120)  # type: ignore[arg-type]
    try:
        guest.expect_exact("no process serves ivshmem:6 yet")
        guest.expect_exact("root@vm-r6:~# ")
        assert psutil.Process(guest.pid).cpu_affinity() == [1] and os.sched_getaffinity(0) != {1}
        rows = json.loads(sppsh(lab, "-l", "--json").stdout)
        assert [(row["id"], row["host"], row["state"]) for row in rows] == [(6, "vm-r6", "running")]
        words = ("-r", "vm-r6", "ls", "/sys/class/net")  # its sshd may start after its prompt
        done = wait_for("its sshd", lambda: d if (d := sppsh(lab, *words)).returncode == 0 else None, 60)
        assert done.stdout.split() == ["eth0", "eth1", "lo"], done.stderr
        done = sppsh(lab, "-c", "6")
        assert done.returncode == 3 and "was started by hand" in done.stderr
        orig = subprocess.run(
            [*run_vm, "-t", "orig", "-f", lab.folder / "runscripts" / base_image.name], env=lab.env,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert orig.returncode == 3 and "are overlays of it; booting it would damage them" in orig.stderr
        done = lab.sppr("image", "reset", "r6")
        assert done.returncode == 3 and f"is in use by vm-r6 (pid {guest.pid})" in done.stderr
        assert sppsh(lab, "--shutdown-all").stdout == "vm-r6 is off\n"
    finally:
        guest.close(force=True)
    assert lab.sppr("image", "reset", "r6").returncode == 0


def test_several_vms_have_one_window_each_in_this_tmux(lab: Lab) -> None:
    """They fail without an image, each in its own window, with a message."""
    lab.write()
    run_vm = [str(ROOT / "runscripts/run-vm.py"), "--conf", str(lab.conf), "-t", "vhost", "-i", "11,12", "-d", "21,22"]
    try:
        lab.tmux("-f", "/dev/null", "new-session", "-d", "-s", "mine", "-x", "200", "-y", "40", "/bin/sh")
        lab.tmux("send-keys", "-t", "=mine:", shlex.join(run_vm), "Enter")

        def windows() -> list[str] | None:
            listed = lab.tmux("list-windows", "-t", "=mine", "-F", "#{window_name} #{window_id}").splitlines()
            return listed[1].split() if len(listed) == 2 else None

        try:
            name, window = wait_for("a window for the second", windows)
        finally:
            print(lab.tmux("capture-pane", "-p", "-t", "=mine:0"))
        assert name == "vm_12"
        wait_for("its error", lambda: "no base image" in lab.tmux("capture-pane", "-p", "-t", window))
        wait_for("the first's error", lambda: "no base image" in lab.tmux("capture-pane", "-p", "-t", "=mine:0"))
        start = lab.tmux("list-panes", "-t", window, "-F", "#{pane_start_command}")
        assert "-i 12 -d 22" in start and "11,12" not in start
    finally:
        lab.tmux("kill-server")


def test_template_has_no_host_key_if_its_sshd_starts_late(base_image: Path, tmp_path: Path) -> None:
    """Its instances would share that key."""
    slow = "until [ -s /run/sshd.pid ]; do sleep .1; done; mv /usr/sbin/sshd /usr/sbin/sshd.real\n"
    slow += "printf '#!/bin/sh\\nsleep 1\\nexec /usr/sbin/sshd.real \"$@\"\\n' > /usr/sbin/sshd\n"
    slow += "chmod 755 /usr/sbin/sshd; rm -r /run/sshd; kill $(cat /run/sshd.pid)\n"
    slow += "printf '#!/bin/sh\\nsleep 8\\nexec /usr/sbin/poweroff\\n' > /usr/local/sbin/poweroff\n"
    slow += "chmod 755 /usr/local/sbin/poweroff; until [ -d /run/sshd ]; do sleep .1; done"
    (tmp_path / base_image.name).symlink_to(base_image)
    store = Store(tmp_path, base_image.name, "qcow2")
    template = store.ensure_template("ring", print, Provisioner(steps=(Step(run=slow),)))
    raw = tmp_path / "disk.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", template, raw], check=True)
    query = ["debugfs", "-R", "ls -p /etc/ssh", f"{raw}?offset={bootdisk.ROOT_START * bootdisk.MIB}"]
    found = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    assert "sshd_config" in found and "ssh_host" not in found
