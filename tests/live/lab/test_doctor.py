"""sppr doctor on real leftovers, locks, ports and mounts: findings, fixes, and unchanged files of other programs."""

import contextlib
import fcntl
import json
import mmap
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sppr.qemu import kvm
from tests.live import labs
from tests.live.dataplane_lab import HUGE, Process
from tests.live.dataplane_lab import Lab as Dataplane
from tests.live.labs import Lab

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]
SMALL = ("-ns", "1", "-nr", "0", "-nv", "0")
RUNTIMES = Path("/run/dpdk")


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with labs.private(tmp_path_factory.mktemp("doctor"), "testdoc1", None) as made:
        yield made


def doctor(lab: Lab, *words: str) -> subprocess.CompletedProcess[str]:
    return lab.sppr("doctor", "--conf", str(lab.conf), *words)


def found(lab: Lab, *words: str) -> dict[str, dict[str, Any]]:
    """Return the rows with a finding, by id."""
    rows = json.loads(doctor(lab, "--json", *words).stdout)
    assert all(set(row) == {"id", "severity", "found", "fix", "fixable"} for row in rows)
    return {row["id"]: row for row in rows if row["severity"] in ("error", "warning")}


def leak(path: Path) -> None:
    """Create a hugepage file of 2 MiB that no process maps."""
    with path.open("w+b") as file:
        file.truncate(2 << 20)
        with mmap.mmap(file.fileno(), 2 << 20) as memory:
            memory[0] = 1


def keep(stack: contextlib.ExitStack, *paths: Path) -> None:
    """Lock files as EAL does. Otherwise any EAL that starts on this host would remove them, whatever their prefix."""
    for path in paths:
        fcntl.flock(stack.enter_context(path.open("rb")), fcntl.LOCK_SH)


def stale(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))


def set_conf(lab: Lab, old: str, new: str) -> None:
    text = lab.conf.read_text()
    assert old in text
    lab.conf.write_text(text.replace(old, new))


def test_leftovers_are_reported_and_fix_removes_only_ours(own: Lab) -> None:
    ours = [HUGE / f"{own.session}map_0", RUNTIMES / own.session, own.folder / "socks/sock11"]
    theirs = [HUGE / f"{own.session}xmap_0", RUNTIMES / f"{own.session}x", own.folder / "socks/sock99"]
    with contextlib.ExitStack() as stack:
        stack.callback(clear, ours, theirs)
        for page, folder, sock in (ours, theirs):
            leak(page)
            keep(stack, page)
            folder.mkdir(parents=True)
            (folder / "config").touch()
            stale(sock)
        rows = found(own)
        fixable_rows = {name: row["found"] for name, row in rows.items() if row["fixable"]}
        assert fixable_rows == {
            "hp-leak": f"hugepages: 1 files of --file-prefix {own.session} hold 2 MiB, but no process maps them",
            "dpdk-stale": f"{ours[1]}: left by a primary that has exited",
            "vhost-stale": f"{ours[2]}: a socket without a listener",
        }
        done = doctor(own, "--fix")
        for command in (f"rm -f -- {ours[0]}", f"rm -rf -- {ours[1]}", f"rm -f -- {ours[2]}"):
            assert f"  $ {command}\n" in done.stdout, done.stdout + done.stderr
        assert not any(path.exists() for path in ours), "all of it is gone"
        assert all(path.exists() for path in theirs), "files of other labs are kept"
        assert not any(row["fixable"] for row in found(own).values())
        assert "$" not in doctor(own, "--fix", *SMALL).stdout, "the second run has nothing to fix"


def clear(*leftovers: list[Path]) -> None:
    for page, folder, _ in leftovers:
        page.unlink(missing_ok=True)
        (folder / "config").unlink(missing_ok=True)
        if folder.exists():
            folder.rmdir()


def test_running_primary_is_named_and_a_killed_one_cleaned_up(own: Lab, lab: Dataplane) -> None:
    set_conf(own, "spp: {", f"spp: {{file_prefix: {lab.prefix}, ")
    primary, _ = lab.start_primary()
    runtime = RUNTIMES / lab.prefix
    row = found(own, *SMALL)["dpdk-lock"]
    who = f"pid {primary.pid} (spp_primary)"
    assert row["severity"] == "error" and not row["fixable"]
    assert row["found"] == f"{runtime}/config: {who} is already a primary with --file-prefix {lab.prefix}"
    refused = own.wakeup(*SMALL)
    assert refused.returncode == 3 and who in refused.stderr and own.tmux("list-sessions") == ""
    fixed = doctor(own, "--fix", *SMALL)
    assert fixed.returncode == 1 and "$ rm" not in fixed.stdout and runtime.is_dir(), (
        "files of a running primary are kept"
    )

    _, nfv = lab.start_nfv(1)
    nfv.close()
    secondary = lab.processes[-1]
    with contextlib.ExitStack() as stack:
        keep(stack, *HUGE.glob(f"{lab.prefix}map_*"))
        os.kill(secondary.pid, signal.SIGSTOP)  # otherwise it notices, and ends before the check of doctor
        primary.terminate(signal.SIGKILL)
        check_cleaned_up(own, lab, secondary)


def check_cleaned_up(own: Lab, lab: Dataplane, secondary: Process) -> None:
    runtime = RUNTIMES / lab.prefix
    row = found(own, *SMALL)["dpdk-stale"]
    assert f"its primary has exited, but pid {secondary.pid} (spp_nfv) still use" in row["found"]
    secondary.kill()
    rows = found(own, *SMALL)
    assert rows["dpdk-stale"]["found"] == f"{runtime}: left by a primary that has exited"
    assert rows["hp-leak"]["fixable"] and list(HUGE.glob(f"{lab.prefix}map_*"))
    assert doctor(own, "--fix", *SMALL).returncode == 0
    assert not runtime.exists() and not list(HUGE.glob(f"{lab.prefix}map_*"))


def test_owner_of_a_port_is_named(own: Lab) -> None:
    with socket.create_server(("127.0.0.1", own.pri)):
        done = doctor(own, *SMALL)
    assert done.returncode == 1
    assert f"net-port         port {own.pri} (controller.pri_port) is in use by pid {os.getpid()} (" in done.stdout


def test_missing_hugetlbfs_is_mounted_on_a_folder_but_not_on_a_file(own: Lab) -> None:
    place = own.folder / "huge"
    own.conf.write_text(own.conf.read_text() + f"hugepages: {place}\n")
    place.write_text("a guest's memory")
    row = found(own, *SMALL)["hp-notfs"]
    assert row["severity"] == "error" and not row["fixable"]
    assert row["found"].startswith(f"{place}: is a file, not a hugetlbfs mount")
    assert own.wakeup(*SMALL).returncode == 3 and place.read_text() == "a guest's memory"
    place.unlink()
    assert found(own, *SMALL)["hp-mount"]["fixable"]
    try:
        done = doctor(own, "--fix", *SMALL)
        assert f"  $ mount -t hugetlbfs -o pagesize=2M nodev {place}\n" in done.stdout
        assert done.returncode == 0 and place.is_mount()
    finally:
        subprocess.run(["umount", place], check=False)


def test_images_in_use_partial_or_without_base_are_reported(own: Lab) -> None:
    images = own.folder / "runscripts"
    (images / "img").mkdir()
    base, template, instance = images / "b.qcow2", images / "ov-b.qcow2", images / "img/v11-b.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", base, "1M"], check=True)
    for over, name in ((base, template), (template, instance)):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", over, "-F", "qcow2", name], check=True)
    torn = images / ".ov-b.qcow2.4194304.tmp"  # beyond any pid
    torn.touch()
    living = images / f".ov-b.qcow2.{os.getpid()}.tmp"
    living.touch()
    words = ("-ns", "1", "-nr", "0", "-nv", "1")
    with instance.open("rb"):
        rows = found(own, *words)
    assert f"{instance}: pid {os.getpid()} (" in rows["img-lock"]["found"]
    assert rows["img-partial"]["fixable"] and rows["img-partial"]["found"].startswith(f"{torn}: incomplete image")
    assert doctor(own, "--fix", *words).returncode == 0 and not torn.exists() and living.exists()
    template.unlink()
    assert found(own, *words)["img-base"]["found"] == f"{instance}: its backing file {template} is missing"


def test_invalid_or_missing_conf_is_one_of_the_findings(own: Lab) -> None:
    set_conf(own, "coremask: 0x03", "coremsk: 0x03")
    done = doctor(own, "-v")
    assert done.returncode == 1 and "primary.coremsk: not a known key" in done.stdout, done.stdout + done.stderr
    assert "ok       program " in done.stdout and "ok       net-port" not in done.stdout, "a row that was not looked at"
    own.conf.unlink()
    assert found(own)["conf"]["found"] == f"{own.conf}: no such file"
    assert "$" not in doctor(own, "--fix").stdout, "without a lab nothing is known to be ours"


def test_running_lab_has_no_findings_and_its_logs_are_explained(own: Lab) -> None:
    assert own.wakeup(*SMALL).returncode == 0
    rows = found(own, "--socket-name", own.session, *SMALL)
    assert [row for row in rows.values() if row["severity"] == "error" or row["fixable"]] == []
    assert doctor(own, "--fix", *SMALL).returncode == 0
    assert own.status()["pri"]["state"] == own.status()["sec1"]["state"] == "ready", "doctor harms no lab that runs"
    with (own.state / "pri.log").open("a") as log:
        log.write("\x1b[31mEAL: lcore 12 unavailable\x1b[0m\r\n")
    message = doctor(own, "explain", "pri", "--session", own.session)
    assert message.returncode == 1 and "EAL: lcore 12 unavailable\n    cores-exist: a coremask names" in message.stdout
    assert own.down().returncode == 0 and own.leftovers() == []


def test_log_is_explained_line_by_line(own: Lab) -> None:
    log = own.folder / "some.log"
    log.write_text("EAL: fine\nEAL: Cannot create lock on 'x'. Is another primary process running?\n")
    done = doctor(own, "explain", str(log))
    assert done.returncode == 1 and done.stdout.splitlines()[:3] == [
        f"{log}:2: EAL: Cannot create lock on 'x'. Is another primary process running?",
        "    dpdk-lock: another primary runs with this --file-prefix",
        "    fix: sppr doctor   (names it): stop it, or set spp.file_prefix in conf.yml; sppr status shows "
        "whether it is this lab",
    ]
    [row] = json.loads(doctor(own, "explain", str(log), "--json").stdout)
    assert (row["id"], row["line"], row["severity"]) == ("dpdk-lock", 2, "error")
    log.write_text("all is well\n")
    assert doctor(own, "explain", str(log)).returncode == 0
    missing = doctor(own, "explain", str(own.folder / "none"))
    assert missing.returncode == 1 and "no such file, and no part of a lab that runs" in missing.stderr


def test_boot_sector_of_the_kvm_trial_boots() -> None:
    """TCG runs on every machine, and shows that the boot sector is correct."""
    assert kvm.try_boot("tcg", "max", seconds=60)
