"""Failures of bring-up and teardown: error messages, and unharmed files."""

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.live import labs
from tests.live.dataplane_lab import HUGE, wait_for
from tests.live.labs import Lab

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]
SMALL = ("-ns", "1", "-nr", "0", "-nv", "0")


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with labs.private(tmp_path_factory.mktemp("lab"), "testlab2", None) as made:
        yield made


def fake_tree(lab: Lab, primary: str) -> None:
    """A tree named in conf.yml whose spp_primary misbehaves: a ten-line program, not a mock."""
    target = lab.folder / "spp" / "src" / "primary" / "t"
    nfv = lab.folder / "spp" / "src" / "nfv" / "t"
    for folder, name, text in ((target, "spp_primary", primary), (nfv, "spp_nfv", "exec sleep 60")):
        folder.mkdir(parents=True)
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    lab.conf.write_text(
        lab.conf.read_text().replace("spp: {", f"spp: {{dir: {lab.folder / 'spp'}, controller: ours, target: t, ")
    )


def test_exit_of_the_primary_ends_the_wait_with_status_and_log(lab: Lab) -> None:
    fake_tree(lab, "sleep 0.1; echo 'EAL: No free 2048 kB hugepages reported on node 0' >&2; exit 7")
    began = time.monotonic()
    done = lab.wakeup(*SMALL)
    assert done.returncode == 4 and time.monotonic() - began < 20
    assert "error: pri: exited with status 7 before it was ready (" in done.stderr
    assert "last: EAL: No free 2048 kB hugepages" in done.stderr and f"log:  {lab.state}/pri.log" in done.stderr
    assert "hint: sppr setup" in done.stderr and "sppr down --session testlab2` stops them" in done.stderr
    assert lab.status()["pri"]["exit"] == 7 and lab.status()["ctrler"]["state"] == "ready", "running parts are kept"
    assert lab.status()["sec1"]["state"] == "stopped", "dependent parts are not started"
    assert lab.down().returncode == 0 and lab.leftovers() == []


def test_primary_that_never_connects_is_reported_at_the_deadline(lab: Lab) -> None:
    """This test reduces the limit from 40 s to 3 s."""
    fake_tree(lab, "echo 'I am well'; exec sleep 60")
    program = "import sppr.lab.up.bringup as b; b.TIMEOUTS['primary'] = 3.0; from sppr.cli.up import main; main()"
    words = [sys.executable, "-c", program, "--conf", str(lab.conf), "--socket-name", lab.session, *SMALL]
    done = subprocess.run(words, env=lab.env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 5, done.stdout + done.stderr
    # On a loaded machine the last progress is later.
    printed = r"error: pri: not ready after \d\.\d s, waited for it to be connected .*\(no progress for 3 s\)"
    assert re.search(printed, done.stderr), done.stderr
    assert "last: I am well" in done.stderr and f"log:  {lab.state}/pri.log" in done.stderr
    assert lab.status()["pri"]["state"] == "starting", "it runs, and may yet connect"
    assert lab.down().returncode == 0 and lab.leftovers() == []


def test_fatal_text_of_a_hanging_primary_ends_the_wait(lab: Lab) -> None:
    fake_tree(lab, "echo 'EAL: Cannot create lock on config. Is another primary process running?'; exec sleep 60")
    began = time.monotonic()
    done = lab.wakeup(*SMALL)
    assert done.returncode == 4 and time.monotonic() - began < 20
    assert "pri: printed 'Cannot create lock on config." in done.stderr and "cannot become ready" in done.stderr
    assert lab.down().returncode == 0 and lab.leftovers() == []


def test_killed_wakeup_is_reported_and_wakeup_and_down_recover(lab: Lab) -> None:
    good = lab.conf.read_text()
    fake_tree(lab, "exec sleep 60")
    words = [ROOT / "bin/wakeup.py", "--conf", lab.conf, "--socket-name", lab.session, *SMALL]
    launcher = subprocess.Popen(words, env=lab.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for("the primary", lambda: lab.state.exists() and (lab.state / "pri.pid").exists())
    locked = lab.wakeup(*SMALL)
    assert locked.returncode == 1 and f"wakeup.py (pid {launcher.pid}" in locked.stderr, locked.stderr
    launcher.kill()
    launcher.wait()
    done = lab.sppr("status", "--session", "testlab2")
    assert "wakeup was interrupted: sppr up continues, sppr down --session testlab2 stops the lab" in done.stderr
    os.kill(lab.status()["pri"]["pid"], signal.SIGKILL)
    lab.conf.write_text(good)
    done = lab.wakeup(*SMALL)
    assert done.returncode == 0 and {row["state"] for row in lab.status().values()} == {"ready"}, done.stderr
    assert lab.down().returncode == 0 and lab.leftovers() == []


def test_down_works_after_ctrl_c(lab: Lab) -> None:
    fake_tree(lab, "exec sleep 60")
    words = [ROOT / "bin/wakeup.py", "--conf", lab.conf, "--socket-name", lab.session, *SMALL]
    launcher = subprocess.Popen(words, env=lab.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for("the primary", lambda: (lab.state / "pri.pid").exists())
    launcher.send_signal(signal.SIGINT)
    _, printed = launcher.communicate(timeout=20)
    assert launcher.returncode == 130 and "Traceback" not in printed
    assert "hint: sppr up continues, sppr down --session testlab2 stops the lab" in printed
    assert lab.down().returncode == 0 and lab.leftovers() == []


def test_all_missing_prerequisites_are_reported_before_any_window(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", lab.pri)):
        foreign = lab.folder / "socks" / "sock11"
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(foreign))
            other.listen()
            done = lab.wakeup()
            assert foreign.is_socket(), "a socket of another program is not removed"
    assert done.returncode == 3, done.stderr
    assert f"port {lab.pri} (controller.pri_port) is in use by pid {os.getpid()} (" in done.stderr
    assert f"{foreign}: another process listens on this vhost-user socket" in done.stderr
    assert f"{lab.folder / 'runscripts'}: no base image\n    fix: make up builds one" in done.stderr
    assert lab.tmux("list-sessions") == "" and lab.leftovers() == [str(foreign)]


def test_tap_name_in_use_is_refused_before_any_window(lab: Lab) -> None:
    veth, tap = f"{lab.tap}a", f"{lab.tap}b"
    subprocess.run(["ip", "link", "add", veth, "type", "veth", "peer", "name", f"{lab.tap}p"], check=True)
    tuntap = ["ip", "tuntap", "add", tap, "mode", "tap", "multi_queue"]
    subprocess.run(tuntap, check=True)
    holder = "import fcntl, sys, time; f = open('/dev/net/tun', 'r+b', buffering=0); "
    holder += "fcntl.ioctl(f, 0x400454ca, sys.argv[1].encode().ljust(16, b'\\0') + b'\\2\\x11'.ljust(24, b'\\0')); "
    process = subprocess.Popen(
        [sys.executable, "-c", holder + "print(flush=True); time.sleep(60)", tap], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout and process.stdout.readline()
        done = lab.wakeup(*SMALL)
        assert done.returncode == 3, done.stdout + done.stderr
        assert f"{veth}: already exists, but net_tap0 of the primary must create it: it is a veth\n" in done.stderr
        assert f"fix: ip link del {veth}, or set another iface= for net_tap0: primary.vdevs in conf.yml" in done.stderr
        assert (
            f"{tap}: already exists, but net_tap1 of the primary must create it: it is a tap of pid {process.pid} ("
            in (done.stderr)
        )
        assert not lab.state.exists() or not (lab.state / "pri.pid").exists()
        subprocess.run(["ip", "link", "del", veth], check=True)
        process.kill()
        process.wait()
        done = lab.wakeup(*SMALL)  # the tap still exists, without a holder
        assert done.returncode == 0, done.stdout + done.stderr
        assert [port["port"] for port in lab.control.primary_status()["phy_ports"]] == ["tap:0", "tap:1"]
        done = lab.sppr("restart", "pri", "--session", lab.session)
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        process.kill()
        process.wait()
        lab.down()
        subprocess.run(["ip", "link", "del", veth], check=False, capture_output=True)
        subprocess.run([word.replace("add", "del") for word in tuntap], check=False, capture_output=True)


def test_disappearing_tap_is_awaited(lab: Lab) -> None:
    """The kernel removes a dead primary's tap a moment after its last process. A file in flight between two sockets
    keeps a tap without a visible holder."""
    ends = socket.socketpair()
    name = f"{lab.tap}a".encode().ljust(16, b"\0")
    with Path("/dev/net/tun").open("r+b", buffering=0) as tun:
        fcntl.ioctl(tun, 0x400454CA, name + b"\2\x10".ljust(24, b"\0"))
        socket.send_fds(ends[0], [b"tap"], [tun.fileno()])

    def close() -> None:
        for end in ends:
            end.close()

    try:
        done = lab.wakeup(*SMALL)
        assert done.returncode == 3, done.stdout + done.stderr
        assert f"{lab.tap}a: already exists, but net_tap0 of the primary must create it: it is a tap" in done.stderr
        threading.Timer(2.0, close).start()  # after the first check of preflight
        done = lab.wakeup(*SMALL)
        assert done.returncode == 0, done.stdout + done.stderr
        assert [port["port"] for port in lab.control.primary_status()["phy_ports"]] == ["tap:0", "tap:1"]
    finally:
        close()


def test_slow_busy_primary_is_awaited_but_a_hanging_one_is_not(lab: Lab) -> None:
    def words(hard_limit: float) -> list[str]:
        program = f"import sppr.lab.up.bringup as b; b.TIMEOUTS['primary'], b.HARD_LIMIT = 4.0, {hard_limit}; "
        program += "from sppr.cli.up import main; main()"
        return [sys.executable, "-c", program, "--conf", str(lab.conf), "--socket-name", lab.session, *SMALL]

    good = lab.conf.read_text()
    for script, hard_limit, message in (
        ("while :; do :; done", 1.5, "(still busy after 6 s)"),
        ("while echo again; do sleep 0.2; done", 1.5, "(still busy after 6 s)"),
        ("sleep 60 & wait", 10, "(no progress for 4 s)"),  # its shell may start late
    ):
        shutil.rmtree(lab.folder / "spp", ignore_errors=True)
        lab.conf.write_text(good)
        fake_tree(lab, script)
        done = subprocess.run(words(hard_limit), env=lab.env, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 5 and message in done.stderr, done.stdout + done.stderr
        assert lab.down().returncode == 0
    lab.conf.write_text(good)
    real = ROOT / "sppr/dataplane/build/spp_primary"
    shutil.rmtree(lab.folder / "spp")
    fake_tree(lab, f'for n in 1 2 3 4 5 6 7 8; do echo $n; sleep 0.7; done; exec {real} "$@"')
    nfv = lab.folder / "spp/src/nfv/t/spp_nfv"
    nfv.write_text(f'#!/bin/sh\nexec {ROOT}/sppr/dataplane/build/spp_nfv "$@"\n')
    done = subprocess.run(words(5), env=lab.env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert lab.down().returncode == 0 and lab.leftovers() == []


def test_stale_socket_is_replaced_but_a_file_is_not(lab: Lab, base_image: Path) -> None:
    (lab.folder / "runscripts" / base_image.name).symlink_to(base_image)
    stale = lab.folder / "socks" / "sock11"
    stale.write_text("a file of the user")
    done = lab.wakeup("-ns", "1", "-nr", "0")
    assert done.returncode == 3 and f"{stale}: is not a socket" in done.stderr and stale.read_text()
    stale.unlink()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(stale))
    done = lab.wakeup("-ns", "1", "-nr", "0")
    assert done.returncode == 0, done.stderr
    assert lab.down().returncode == 0 and lab.leftovers() == []


def test_invalid_image_is_named(lab: Lab) -> None:
    (lab.folder / "runscripts" / "x.qcow2").write_text("hello")
    done = lab.wakeup("-nv", "0")
    assert done.returncode == 3 and "x.qcow2: is raw, not qcow2" in done.stderr
    assert sorted(p.name for p in (lab.folder / "runscripts").iterdir()) == ["x.qcow2"], "nothing was made"


def test_tmux_session_of_another_program_is_kept(lab: Lab) -> None:
    lab.tmux("new-session", "-d", "-s", "testlab2")
    done = lab.wakeup(*SMALL)
    assert done.returncode == 1 and "tmux has a session testlab2 that sppr did not create" in done.stderr
    assert lab.tmux("list-windows", "-t", "=testlab2", "-F", "x") == "x\n"


def test_missing_program_is_named_with_a_fix(lab: Lab, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for name in ("env", "python3", "sh"):
        (few / name).symlink_to(shutil.which(name) or "/bin/sh")
    done = subprocess.run(
        [sys.executable, "-m", "sppr", "up", "--conf", lab.conf, *SMALL],
        env=lab.env | {"PATH": str(few)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3 and "tmux: not installed" in done.stderr and "make up" in done.stderr


def test_machine_without_setup_gets_the_hint_make_up(tmp_path: Path) -> None:
    """A clone without .venv, with a Python that has none of our dependencies."""
    clone = tmp_path / "clone"
    for name in ("bin", "sppr"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("build", "__pycache__"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    done = subprocess.run(
        [tmp_path / "bare/bin/python", clone / "bin/wakeup.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3 and "click" in done.stderr and f"hint: make -C {clone} up" in done.stderr
    assert "Traceback" not in done.stderr


def test_down_cleans_up_after_a_primary_started_by_hand(lab: Lab) -> None:
    command = [str(ROOT / "runscripts/primary.py"), "--conf", str(lab.conf)]
    primary = subprocess.Popen(command, env=lab.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    capture = lab.folder / "socks/spp-capture.0.sock"
    wait_for("its memory and its socket", lambda: list(HUGE.glob("testlab2map_*")) and capture.exists())
    done = lab.down()
    assert done.returncode == 1 and f"kill {primary.pid}" in done.stderr, done.stdout + done.stderr
    assert list(HUGE.glob("testlab2map_*")), "files of a running process are kept"
    primary.kill()
    primary.wait()
    # Without a session, down does not know the folder of its sockets; the next primary takes its own again.
    assert lab.down().returncode == 0 and lab.leftovers() == [str(capture)]


def test_invalid_conf_yml_is_reported_with_its_location(lab: Lab) -> None:
    lab.conf.write_text("controler: {}\n")
    done = lab.wakeup()
    assert done.returncode == 2 and f"{lab.conf}:1:1: controler: not a known key" in done.stderr
    assert "did you mean controller?" in done.stderr and not lab.state.exists()


def test_down_with_an_invalid_state_leaves_nothing(lab: Lab) -> None:
    lab.conf.write_text(lab.conf.read_text().replace("spp: {", "spp: {file_prefix: testlost, "))
    assert lab.wakeup(*SMALL).returncode == 0
    (lab.state / "state.json").write_text("{")
    assert "sppr down --session testlab2 stops what is left of it" in lab.wakeup(*SMALL).stderr
    done = lab.down()
    assert done.returncode == 0 and "ending what its pid records name" in done.stdout, done.stdout + done.stderr
    assert lab.leftovers() == [] and not [*HUGE.glob("testlostmap_*"), *Path("/run/dpdk").glob("testlost")]


def test_down_without_the_run_directory_leaves_nothing(lab: Lab) -> None:
    """As after a logout, which removes /run/user/UID. The tmux session has a mark, and its processes are stopped."""
    assert lab.wakeup(*SMALL).returncode == 0
    shutil.rmtree(lab.env["SPPR_RUN_DIR"])
    done = lab.down()
    assert done.returncode == 0 and "its run directory was lost" in done.stdout, done.stdout + done.stderr
    assert lab.leftovers() == []
    done = lab.down()
    assert done.returncode == 0 and "not running" in done.stdout


def test_down_removes_nothing_through_a_link(lab: Lab) -> None:
    victim = lab.folder / "victim"
    victim.mkdir()
    for name in ("state.json", "precious"):
        (victim / name).write_text("{}")
    lab.state.symlink_to(victim)
    try:
        done = lab.down()
        assert done.returncode == 3 and f"{lab.state}: is not a folder of this user" in done.stderr
        assert sorted(path.name for path in victim.iterdir()) == ["precious", "state.json"]
    finally:
        lab.state.unlink()


def test_folders_with_special_names_and_a_relative_run_directory(lab: Lab) -> None:
    odd = lab.folder / 'my lab\'s "dir" #{x} %Y;'
    odd.mkdir()
    lab.conf.rename(odd / "conf.yml")
    lab.env["SPPR_RUN_DIR"] = "run dir"
    command = [sys.executable, "-m", "sppr", "up", "--conf", str(odd / "conf.yml"), "--socket-name", "testlab2", *SMALL]
    done = subprocess.run(command, env=lab.env, cwd=lab.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    done = lab.sppr("down")
    assert done.returncode == 1 and f"session testlab2 belongs to the lab of {odd}/conf.yml" in done.stderr, done
    done = lab.down()
    assert done.returncode == 0 and "session testlab2 is down" in done.stdout, done.stderr
    lab.env["SPPR_RUN_DIR"] = str(lab.folder / "run dir")
    assert lab.leftovers() == []


def test_too_long_run_directory_is_reported_before_the_start(lab: Lab) -> None:
    lab.env["SPPR_RUN_DIR"] = str(lab.folder / ("x" * 100))
    done = lab.wakeup(*SMALL)
    assert done.returncode == 3 and "are too long for a socket (107 at most)" in done.stderr


def test_broken_instance_is_reported_before_the_start_and_kept(lab: Lab, base_image: Path) -> None:
    (lab.folder / "runscripts" / base_image.name).symlink_to(base_image)
    instance = lab.folder / "runscripts" / "img" / f"r6-{base_image.name}"
    instance.parent.mkdir()
    instance.write_text("half")
    done = lab.wakeup("-nv", "0")
    assert done.returncode == 3 and f"{instance}: is not a qcow2 image but raw" in done.stderr
    assert f"fix: create a new one: sppr image reset {instance.name}" in done.stderr and instance.read_text() == "half"
