"""Faulty VMs and images: the message, the time limit, and unchanged files."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from sppr.deadline import Deadline
from sppr.images.store import Store
from sppr.parts import readiness
from tests.conftest import ROOT
from tests.live import labs
from tests.live.dataplane_lab import wait_for
from tests.live.labs import Lab

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]
RING = ("-ns", "0", "-nv", "0")
VHOST = ("-ns", "1", "-nr", "0", "-nv", "1")
BASE = "base.qcow2"


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with labs.private(tmp_path_factory.mktemp("lab"), "testlab7", None) as made:
        yield made


def qemu_img(*words: str | Path) -> None:
    subprocess.run(["qemu-img", *words], check=True, capture_output=True)


def empty_images(lab: Lab, *ids: int, kind: Literal["ring", "vhost"] = "ring") -> Store:
    """Make an empty base image, with its template and instances."""
    folder = lab.folder / "runscripts"
    qemu_img("create", "-q", "-f", "qcow2", folder / BASE, "8M")
    store = Store(folder, BASE, "qcow2")
    for number in ids:
        store.ensure_instance(kind, number, print)
    return store


def contents(folder: Path) -> dict[str, str]:
    """Return the contents of every file below a folder, including hidden ones, and the targets of links."""
    return {
        str(p.relative_to(folder)): str(p.readlink()) if p.is_symlink() else hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if not p.is_dir()
    }


def fake_qemu(lab: Lab) -> None:
    programs = lab.folder / "programs"
    programs.mkdir()
    fake = programs / "qemu-system-x86_64"
    fake.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/live/vms/fake_qemu.py "$@"\n')
    fake.chmod(0o755)
    lab.env["PATH"] = f"{programs}:{lab.env['PATH']}"


def test_qemu_that_ignores_powerdown_or_all_requests_is_stopped(lab: Lab) -> None:
    empty_images(lab, 6, 7)
    fake_qemu(lab)
    done = lab.wakeup(*RING, "-nr", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    ended = lab.sppr("down", "--session", lab.session, "--powerdown", "1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "vm_r6 stopped (quit)" in ended.stdout and "vm_r7 stopped (SIGKILL)" in ended.stdout
    assert lab.leftovers() == []


@pytest.fixture
def served(lab: Lab) -> Iterator[Path]:
    """The socket of a vhost VM in a lab that is up, patched to a tap."""
    empty_images(lab, 11, kind="vhost")
    fake_qemu(lab)
    done = lab.wakeup(*VHOST)
    assert done.returncode == 0, done.stdout + done.stderr
    lab.control.patch("nfv:1", "tap:0", "vhost:11")
    lab.control.patch("nfv:1", "vhost:11", "tap:0")
    lab.control.forward("nfv:1")
    yield lab.folder / "socks" / "sock11"
    assert lab.sppr("down", "--session", lab.session, "--powerdown", "1").returncode == 0
    wait_for("nothing to be left", lambda: lab.leftovers() == [])


def wired(lab: Lab) -> list[dict[str, str]]:
    status = lab.control.nfv_status(1)
    assert status["status"] == "running" and "vhost:11" in status["ports"]
    return sorted(status["patches"], key=lambda patch: patch["src"])


def test_removed_socket_is_reported_and_recreated_by_wakeup(lab: Lab, served: Path) -> None:
    before, pid = wired(lab), lab.status()["vm_v11"]["pid"]
    served.unlink()
    row = lab.status()["vm_v11"]
    assert (row["state"], row["pid"]) == ("starting", pid)
    assert row["note"] == f"{served} of nfv:1 is gone; sppr up restores the port"
    done = lab.wakeup(*VHOST)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"vm_v11: {served} of nfv:1 is gone: restoring the port" in done.stdout + done.stderr
    assert served.is_socket() and wired(lab) == before
    row = lab.status()["vm_v11"]
    assert (row["state"], row["pid"], row["note"]) == ("ready", pid, None)
    assert "nothing was changed" in lab.wakeup(*VHOST).stdout


def test_lost_port_of_a_vm_is_reported_and_added_by_wakeup(lab: Lab, served: Path) -> None:
    lab.control.del_port("nfv:1", "vhost:11")
    row = lab.status()["vm_v11"]
    assert (row["state"], row["note"]) == ("starting", "nfv:1 has no vhost:11; sppr up restores the port")
    done = lab.wakeup(*VHOST)
    assert done.returncode == 0 and served.is_socket(), done.stdout + done.stderr
    assert lab.status()["vm_v11"]["state"] == "ready" and "vhost:11" in lab.control.ports("nfv:1")
    for _ in range(3):
        time.sleep(1.1)  # until the vhost thread polls the new socket: the kernel lists it for a moment after the del
        lab.control.del_port("nfv:1", "vhost:11")
        readiness.serve_vhosts(f"127.0.0.1:{lab.rest}", "nfv:1", ["vhost:11"], [str(served)], Deadline(10))


def test_restart_of_a_vm_recreates_its_socket_first(lab: Lab, served: Path) -> None:
    before, pid = wired(lab), lab.status()["vm_v11"]["pid"]
    served.unlink()
    served.write_text("a file of the user")
    done = lab.sppr("restart", "vm_v11", "--session", lab.session)
    assert done.returncode == 3 and f"{served}: is not a socket" in done.stderr, done.stdout + done.stderr
    assert lab.status()["vm_v11"]["pid"] == pid and wired(lab) == before and served.read_text()
    served.unlink()
    done = lab.sppr("restart", "vm_v11", "--session", lab.session)
    assert done.returncode == 0, done.stdout + done.stderr
    assert served.is_socket() and wired(lab) == before and lab.status()["vm_v11"]["pid"] != pid


def test_vm_continues_if_its_socket_cannot_be_created(lab: Lab, served: Path) -> None:
    pid = lab.status()["vm_v11"]["pid"]
    served.unlink()
    os.kill(lab.status()["sec1"]["pid"], signal.SIGSTOP)
    try:
        done = lab.sppr("restart", "vm_v11", "--session", lab.session)
        assert done.returncode == 6, done.stdout + done.stderr
    finally:
        os.kill(lab.status()["sec1"]["pid"], signal.SIGCONT)
    assert lab.status()["vm_v11"]["pid"] == pid


@pytest.mark.parametrize(
    ("size", "message"),
    [("512k", "or-base.qcow2: could not be created"), ("4M", "3 MiB free; booting a template to install spp_vm")],
)
def test_disk_full_during_creation_of_a_template_leaves_nothing(lab: Lab, size: str, message: str) -> None:
    """Full for qemu-img, or for the boot that fills the template, where QEMU would pause without a message."""
    images = lab.folder / "runscripts"
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", images], check=True)
    try:
        empty_images(lab)
        (images / "of-the-user").write_bytes(b"x" * 200_000)
        before = contents(images)
        early = lab.wakeup(*RING, "-nr", "1")
        assert early.returncode == 3 and "MiB are free, but new images may take" in early.stderr, early.stderr
        done = lab.sppr("image", "build-template", "ring")
        assert done.returncode == 3, done.stdout + done.stderr
        assert (
            message in done.stderr
            and "No space left on device" in done.stderr
            and f"hint: df -h {images}" in done.stderr
        )
        assert {name: sha for name, sha in contents(images).items() if name in before} == before
        assert set(contents(images)) - set(before) <= {"lab_key", "lab_key.pub", "ssh_config"}
        assert lab.down().returncode == 0 and lab.leftovers() == []
    finally:
        lab.end()
        subprocess.run(["umount", "-l", images], check=True)


def test_changed_base_of_a_template_is_refused_and_files_are_kept(lab: Lab) -> None:
    store = empty_images(lab, 6)
    qemu_img("create", "-q", "-f", "qcow2", store.base_path, "16M")
    before = contents(store.folder)
    done = lab.wakeup(*RING, "-nr", "1")
    assert done.returncode == 3 and f"{store.base_path}: changed after or-base.qcow2 was created over it" in done.stderr
    assert "put the old base back, or remove its overlays: sppr image rm or-base.qcow2 r6-base.qcow2" in done.stderr
    assert contents(store.folder) == before and not lab.state.exists()


def test_instance_in_use_by_another_qemu_is_reported_and_unchanged(lab: Lab) -> None:
    store = empty_images(lab, 6)
    words = [
        "-S",
        "-nodefaults",
        "-display",
        "none",
        "-accel",
        "tcg",
        "-m",
        "16",
        "-qmp",
        f"unix:{lab.folder}/q,server=on,wait=off",
    ]
    other = subprocess.Popen(["qemu-system-x86_64", *words, "-drive", f"file={store.instance('ring', 6)},format=qcow2"])
    try:
        wait_for("the other QEMU", lambda: (lab.folder / "q").is_socket())
        before = contents(store.folder)
        done = lab.wakeup(*RING, "-nr", "1")
        assert done.returncode == 3, done.stdout + done.stderr
        message = f"{store.instance('ring', 6)}: pid {other.pid} (qemu-system-x86_64) has this disk open"
        assert message in done.stderr and f"fix: stop it: kill {other.pid}" in done.stderr
        assert "or-base.qcow2: pid" not in done.stderr, "a template is read by any number of guests"
        kept = contents(store.folder)
        assert {name: kept[name] for name in before} == before and other.poll() is None
        assert lab.down().returncode == 0 and lab.leftovers() == [
            f"process {other.pid} qemu-system-x86_64",
            f"{lab.folder}/q",
        ]
    finally:
        other.kill()
        other.wait()
