"""Restart and clean-up of an existing session."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.live import labs
from tests.live.dataplane_lab import has_ended, wait_for
from tests.live.lab.test_faults import fake_tree
from tests.live.labs import Lab, wait_exit, wait_state

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]
SMALL = ("-ns", "1", "-nr", "0", "-nv", "0")
NAME = "testlab5"


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with labs.private(tmp_path_factory.mktemp("lab"), NAME, None) as made:
        yield made


@pytest.fixture
def small(lab: Lab) -> Lab:
    """A lab that is up: controller, primary, sec1."""
    done = lab.wakeup(*SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    return lab


def verb(lab: Lab, *words: str, status: int = 0) -> str:
    """Run ``sppr VERB NAME…`` on the lab, and return its output."""
    done = lab.sppr(*words, "--session", NAME)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def pids(lab: Lab) -> dict[str, int]:
    return {name: row["pid"] for name, row in lab.status().items()}


def all_ready(lab: Lab) -> bool:
    return {row["state"] for row in lab.status().values()} == {"ready"}


def panes(lab: Lab) -> list[str]:
    """Return ``window:part`` of each pane, in the order that a user sees."""
    return lab.tmux("list-panes", "-s", "-t", f"={NAME}:", "-F", "#{window_name}:#{@sppr_part}").splitlines()


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_for("its end", lambda: has_ended(pid))


def test_up_starts_dead_parts_and_keeps_running_ones(small: Lab) -> None:
    before = pids(small)
    panes_before = panes(small)
    kill(before["sec1"])
    row = wait_exit(small, "sec1", 137)
    assert row["when"].startswith("20") and row["note"] is None
    done = small.wakeup(*SMALL)
    assert done.returncode == 0 and "sec1: ready" in done.stdout and "pri: " not in done.stdout, done.stdout
    after = pids(small)
    assert all_ready(small) and after["sec1"] != before["sec1"]
    assert {n: after[n] for n in ("ctrler", "pri")} == {n: before[n] for n in ("ctrler", "pri")}
    assert panes(small) == panes_before, "in its own pane"
    log = verb(small, "logs", "sec1")
    assert log.count("as id 1") == 2, "the log continues"


def test_up_after_death_of_the_primary_restarts_its_secondaries(small: Lab) -> None:
    before = pids(small)
    os.kill(before["sec1"], signal.SIGSTOP)  # otherwise it may notice and exit before the check of wakeup
    kill(before["pri"])
    done = small.wakeup(*SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sec1: uses the memory of a previous primary, and is restarted" in done.stdout
    after = pids(small)
    assert all_ready(small) and after["ctrler"] == before["ctrler"] and after["sec1"] != before["sec1"]


@pytest.mark.parametrize("words", [("start", "pri"), ("start", "pri", "sec1"), ("restart", "pri")])
def test_each_command_cleans_up_after_a_killed_primary(small: Lab, words: tuple[str, ...]) -> None:
    """A secondary that still maps the old memory keeps EAL from clearing it: "Cannot init memzone"."""
    before = pids(small)
    os.kill(before["sec1"], signal.SIGSTOP)  # otherwise it may notice and exit before the check of the command
    kill(before["pri"])
    printed = verb(small, *words)
    after = pids(small)
    assert all_ready(small) and after["ctrler"] == before["ctrler"] and after["sec1"] != before["sec1"]
    assert has_ended(before["sec1"])
    message = "sec1: uses the memory of the previous primary, and is restarted, too"
    assert (message in printed) == (words[0] == "start") and "sec1 runs already" not in printed


def test_up_with_more_parts_adds_windows_and_panes_in_order(small: Lab, base_image: Path) -> None:
    (small.folder / "runscripts" / base_image.name).symlink_to(base_image)
    before = pids(small)
    done = small.wakeup("-ns", "2", "-nr", "0", "-nv", "1", "-nw", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert panes(small) == ["ctrler:ctrler", "pri:pri", "sec:sec1", "sec:sec2", "vm_v:vm_v11", "w0:w0", "w1:w1"]
    assert all_ready(small) and {name: pids(small)[name] for name in before} == before
    focus = small.tmux("list-windows", "-t", f"={NAME}", "-f", "#{window_active}", "-F", "#{window_name}")
    assert focus == "w0\n", "the focus stays"
    again = small.wakeup(*SMALL)
    assert again.returncode == 0 and "vm_v11: not requested now, and keeps running" in again.stdout
    small.tmux("kill-window", "-t", f"={NAME}:w1")
    assert "nothing was changed" in small.wakeup("-ns", "2", "-nr", "0", "-nv", "1", "-nw", "2").stdout
    assert "w1:w1" not in panes(small), "a work window its user has closed stays closed"
    # A guest continues while the host side of its NIC is restarted and its port added again.
    guest = pids(small)["vm_v11"]
    verb(small, "restart", "pri")
    assert pids(small)["vm_v11"] == guest and all_ready(small)
    wait_for("its port", lambda: "vhost:11" in small.control.nfv_status(1)["ports"])
    verb(small, "stop", "vm_v11")
    assert small.status()["vm_v11"]["state"] == "stopped"
    verb(small, "start", "vm_v11")
    assert all_ready(small) and small.down().returncode == 0 and small.leftovers() == []


def test_changed_conf_is_reported_and_applied_by_restart(small: Lab) -> None:
    before = pids(small)
    small.conf.write_text(small.conf.read_text().replace("coremask: 0x0C", "coremask: 0xC0"))
    done = small.wakeup(*SMALL)
    assert done.returncode == 0 and pids(small) == before and "nothing was changed" in done.stdout
    assert (
        "sec1: runs with --lcores 2@0,3@1, but conf.yml and the flags specify --lcores 6@0,7@1: sppr restart sec1"
        in done.stdout
    )
    assert "pri: runs" not in done.stdout
    verb(small, "restart", "sec1")
    assert "6@0,7@1" in psutil.Process(pids(small)["sec1"]).cmdline() and all_ready(small)
    assert "sec1: runs" not in small.wakeup(*SMALL).stdout


def test_restart_keeps_pane_and_log_and_refuses_an_invalid_conf(small: Lab) -> None:
    row = small.status()["sec1"]
    good = small.conf.read_text()
    small.conf.write_text("controler: {}\n")
    printed = verb(small, "restart", "sec1", status=2)
    assert "controler: not a known key" in printed and "nothing was changed" in printed
    assert small.status()["sec1"] == row
    small.conf.write_text(good)
    assert "sec1 stopped (exit)" in verb(small, "restart", "sec1")
    again = small.status()["sec1"]
    assert again["pane"] == row["pane"] and again["pid"] != row["pid"]
    small.tmux("send-keys", "-t", row["pane"], "C-c")
    wait_state(small, "sec1", "stopped")
    wait_for("a shell", lambda: last_line(small, row["pane"]).endswith(("$", "#")))
    small.tmux("send-keys", "-t", row["pane"], "Up")
    wait_for("the command", lambda: "secondary.py -i 1" in last_line(small, row["pane"]))
    small.conf.unlink()
    printed = verb(small, "start", "sec1")
    assert f"{small.conf} is gone: started as it ran last" in printed and all_ready(small)


def last_line(lab: Lab, pane: str) -> str:
    return (lab.tmux("capture-pane", "-J", "-p", "-t", pane).rstrip().splitlines() or [""])[-1]


def test_restart_of_the_primary_restarts_only_its_secondaries(small: Lab) -> None:
    before = pids(small)
    printed = verb(small, "restart", "pri")
    order = [printed.index(text) for text in ("sec1 stopped", "pri stopped", "pri: ready", "sec1: ready")]
    assert order == sorted(order), printed
    after = pids(small)
    assert all_ready(small) and after["ctrler"] == before["ctrler"] and after["sec1"] != before["sec1"]


@pytest.mark.parametrize(
    ("name", "key", "to", "printed"),
    [
        ("pri", "memory: 128", "memory: 100G", "hugepages: the primary needs 102400 MiB"),
        ("ctrler", "rest_port: {rest}", "rest_port: {taken}", "port {taken} (controller.rest_port"),
    ],
)
def test_restart_checks_prerequisites_before_it_stops_a_part(
    small: Lab, name: str, key: str, to: str, printed: str
) -> None:
    before = pids(small)
    with socket.create_server(("127.0.0.1", 0)) as other:
        words = {"rest": small.rest, "taken": other.getsockname()[1]}
        good = small.conf.read_text()
        small.conf.write_text(good.replace(key.format(**words), to.format(**words)))
        assert small.conf.read_text() != good
        message = verb(small, "restart", name, status=3)
        assert printed.format(**words) in message, message
        assert "nothing was changed" in message and pids(small) == before and all_ready(small), message
        verb(small, "stop", name)
        assert "nothing was changed" in verb(small, "start", name, status=3)
    small.conf.write_text(good)
    verb(small, "start", "ctrler", "pri", "sec1")
    for part in ("pri", "ctrler"):
        verb(small, "restart", part)  # resources of the part itself do not block its restart
    wait_for("all of it", lambda: all_ready(small))


def test_restart_of_a_vm_checks_memory_and_base_image_first(lab: Lab, base_image: Path) -> None:
    link = lab.folder / "runscripts" / base_image.name
    link.symlink_to(base_image)
    good = lab.conf.read_text()
    assert lab.wakeup("-ns", "1", "-nr", "0", "-nv", "1").returncode == 0
    guest = pids(lab)["vm_v11"]
    for text, printed in (
        (good.replace("vm: {", "vm: {memory: 100G, "), "memory: the VMs need 102400 MiB"),
        (good, "no "),
    ):
        lab.conf.write_text(text)
        if text == good:
            link.unlink()
        message = verb(lab, "restart", "vm_v11", status=3)
        assert printed in message and "nothing was changed" in message and pids(lab)["vm_v11"] == guest, message
    link.symlink_to(base_image)
    verb(lab, "restart", "sec1", "vm_v11")
    assert all_ready(lab) and pids(lab)["vm_v11"] != guest


def test_controller_with_changed_ports_needs_a_restart_of_all(small: Lab) -> None:
    before = pids(small)
    ports = labs.free_ports(2)
    text = small.conf.read_text().replace(f"pri_port: {small.pri}", f"pri_port: {ports[0]}")
    small.conf.write_text(text.replace(f"sec_port: {small.sec}", f"sec_port: {ports[1]}"))
    for names, left in (
        (["ctrler"], "pri, sec1 would keep"),
        (["pri"], "ctrler would keep"),
        (["sec1"], "ctrler, pri"),
    ):
        printed = verb(small, "restart", *names, status=1)
        assert f"{left}" in printed and f"hint: sppr restart ctrler pri sec1 --session {NAME}" in printed, printed
        assert "nothing was changed" in printed and pids(small) == before
    verb(small, "restart", "ctrler", "pri", "sec1")
    assert all_ready(small) and not set(pids(small).values()) & set(before.values())
    kill(pids(small)["ctrler"])
    small.conf.write_text(small.conf.read_text().replace(f"sec_port: {ports[1]}", f"sec_port: {small.sec}"))
    done = small.wakeup(*SMALL)
    assert done.returncode == 1 and f"sppr restart ctrler sec1 --session {NAME}" in done.stderr, done


def test_ports_and_patches_are_restored_after_a_restart(small: Lab) -> None:
    """The controller restores them: sppr/controller."""
    control = small.control
    control.add_port("nfv:1", "nullpmd:0")
    control.patch("nfv:1", "tap:0", "nullpmd:0")
    control.forward("nfv:1")
    wired = control.nfv_status(1)
    for name in ("sec1", "pri"):
        verb(small, "restart", name)
        now = control.nfv_status(1)
        assert {k: now[k] for k in ("ports", "patches", "status")} == {
            k: wired[k] for k in ("ports", "patches", "status")
        }


def test_single_parts_can_be_stopped_and_started(small: Lab) -> None:
    printed = verb(small, "stop", "pri")
    assert printed.index("sec1 stopped (exit)") < printed.index("pri stopped (exit)")
    rows = small.status()
    assert [rows[n]["state"] for n in ("ctrler", "pri", "sec1")] == ["ready", "stopped", "stopped"]
    assert "pri does not run" in verb(small, "stop", "pri")
    printed = verb(small, "start", "sec1", status=1)
    assert "pri must run first" in printed and f"hint: sppr start pri sec1 --session {NAME}" in printed
    verb(small, "start", "sec1", "pri")
    assert all_ready(small)
    assert "sec1 runs already" in verb(small, "start", "sec1")
    printed = verb(small, "restart", "nobody", "sec1", status=1)
    assert f"nobody: no part of session {NAME}" in printed and "hint: its parts: ctrler, pri, sec1" in printed


def test_part_names_are_completed(small: Lab) -> None:
    for word in ("restart", "stop", "start", "logs"):
        env = small.env | {"_SPPR_COMPLETE": "bash_complete", "COMP_WORDS": f"sppr {word} s", "COMP_CWORD": "2"}
        done = subprocess.run(
            [sys.executable, "-m", "sppr"], env=env, cwd=small.folder, capture_output=True, text=True, check=False
        )
        assert done.stdout == "plain,sec1\n", (word, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "words",
    [f"restart sec1 --session {NAME}", f"up {' '.join(SMALL)} --detach --socket-name {NAME}"],
    ids=["restart", "up"],
)
def test_verb_in_the_pane_that_it_respawns_completes(small: Lab, words: str) -> None:
    row = small.status()["sec1"]
    verb(small, "stop", "sec1")
    wait_for("a shell", lambda: last_line(small, row["pane"]).endswith(("$", "#")))
    command = f"{sys.executable} -m sppr {words}"
    small.tmux("send-keys", "-t", row["pane"], command)
    wait_for("the command", lambda: last_line(small, row["pane"]).endswith(command))
    log = small.state.with_name("sppr.log")
    before = log.stat().st_size
    small.tmux("send-keys", "-t", row["pane"], "Enter")
    again = wait_state(small, "sec1", "ready")
    assert again["pane"] == row["pane"] and again["pid"] != row["pid"]
    wait_for("the verb to end", lambda: not any("sppr" in process.cmdline() for process in small.processes()))
    assert "Traceback" not in log.read_text()[before:]


def test_part_without_its_controller_stays_ready(small: Lab) -> None:
    kill(pids(small)["ctrler"])
    wait_state(small, "ctrler", "failed")
    row = small.status()["sec1"]
    assert row["state"] == "ready" and "the controller does not answer" in row["note"]
    assert small.wakeup(*SMALL).returncode == 0 and all_ready(small) and small.status()["sec1"]["note"] is None


def test_removed_run_directory_is_reported(small: Lab, tmp_path: Path) -> None:
    before = pids(small)
    shutil.rmtree(small.state)
    message = f"session {NAME}: its run directory {small.state} was removed while it ran; "
    panes_listed = "processes run in its panes (ctrler, pri, sec1, w0)"
    for done in (
        small.wakeup(*SMALL),
        *(small.sppr(*words) for words in (["status"], ["logs", "pri"], ["restart", "pri"], ["attach"])),
    ):
        assert done.returncode == 1 and message in done.stderr and panes_listed in done.stderr, done
        assert f"hint: stop it: sppr down --session {NAME}; then sppr up" in done.stderr
    found = json.loads(small.sppr("doctor", "--json").stdout)
    assert any(message in row["found"] for row in found), found
    clone = replace(small, folder=tmp_path)
    shutil.copy(small.conf, clone.conf)
    done = clone.sppr("down")
    assert done.returncode == 1 and f"belongs to the lab of {small.conf}, not to {clone.conf}" in done.stderr, done
    assert all(psutil.pid_exists(pid) for pid in before.values())
    done = small.sppr("down")
    assert done.returncode == 0 and "its run directory was lost" in done.stdout and small.leftovers() == [], done


def test_wakeup_and_down_work_after_tmux_kill_server(small: Lab) -> None:
    before = pids(small)
    small.tmux("kill-server")
    for pid in before.values():
        wait_for("their end", lambda: has_ended(pid))  # noqa: B023
    wait_for("the end of tmux", lambda: all(row["pane"] is None for row in small.status().values()))
    assert all(row["state"] == "failed" for row in small.status().values())
    assert "as id 1" in verb(small, "logs", "sec1")
    done = small.wakeup(*SMALL)
    assert done.returncode == 0 and all_ready(small), done.stdout + done.stderr
    assert panes(small) == ["ctrler:ctrler", "pri:pri", "sec:sec1", "w0:w0"]
    small.tmux("kill-server")
    assert small.down().returncode == 0 and small.leftovers() == []


def test_part_that_outlives_its_pane_is_reported_and_stopped_by_down(lab: Lab) -> None:
    fake_tree(lab, "trap '' HUP; while :; do sleep 1; done")
    launcher = start(lab)
    wait_for("the primary", lambda: (lab.state / "pri.pid").exists())
    launcher.kill()
    launcher.wait()
    pid = pids(lab)["pri"]
    lab.tmux("kill-server")
    row = wait_for("no pane", lambda: r if (r := lab.status()["pri"])["pane"] is None else None)
    assert row["pid"] == pid and row["state"] == "starting" and "controller" in row["note"]
    assert "pri stopped (SIGINT)" in verb(lab, "down") and lab.leftovers() == []


def start(lab: Lab) -> "subprocess.Popen[bytes]":
    words = [
        sys.executable, "-m", "sppr", "up", "--conf", str(lab.conf), "--socket-name", lab.session, *SMALL,
    ]  # fmt: skip
    return subprocess.Popen(words, env=lab.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_pane_closed_by_a_user_is_recreated_in_place(small: Lab) -> None:
    small.tmux("kill-pane", "-t", small.status()["pri"]["pane"])
    wait_state(small, "pri", "failed")
    assert panes(small) == ["ctrler:ctrler", "sec:sec1", "w0:w0"]
    done = small.wakeup(*SMALL)
    assert done.returncode == 0 and all_ready(small), done.stdout + done.stderr
    assert panes(small) == ["ctrler:ctrler", "pri:pri", "sec:sec1", "w0:w0"]


def test_leftovers_from_before_a_reboot_are_removed(small: Lab) -> None:
    before = pids(small)
    stale(small)
    for word in (["status"], ["restart", "sec1"]):
        printed = verb(small, *word, status=1)
        assert "the machine was restarted since it was up" in printed and "sppr up starts it again" in printed
    for pid in before.values():
        kill(pid)
    small.tmux("kill-server")
    done = small.wakeup(*SMALL)
    assert done.returncode == 0 and "ran before the machine was restarted" in done.stdout and all_ready(small)
    before = pids(small)
    stale(small)
    printed = verb(small, "down")
    assert "its leftovers were removed" in printed and not small.state.exists()
    assert all(psutil.pid_exists(pid) for pid in before.values()), "pids from before a reboot belong to other processes"
    assert small.control.alive() is False
    for pid in before.values():
        kill(pid)
    assert small.down().returncode == 0


def stale(lab: Lab) -> None:
    path = lab.state / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"boot_id": "another"}))


@pytest.mark.parametrize("then", ["down", "up"])
def test_killed_down_can_be_repeated(small: Lab, then: str) -> None:
    # A slow power-off of a guest is an example of a slow part: the stopped controller gives no reply.
    os.kill(pids(small)["ctrler"], signal.SIGSTOP)
    down = subprocess.Popen(
        [sys.executable, "-m", "sppr", "down", "--session", NAME], env=small.env, stdout=subprocess.DEVNULL
    )
    wait_for("it to be at work", lambda: '"stopping"' in (small.state / "state.json").read_text())
    assert small.sppr("status", "--session", NAME).returncode == 1
    down.kill()
    down.wait()
    os.kill(pids(small)["ctrler"], signal.SIGCONT)
    printed = small.sppr("status", "--session", NAME)
    assert "sppr down was interrupted" in printed.stderr and "stopping" not in printed.stdout, printed.stdout
    if then == "up":
        done = small.wakeup(*SMALL)
        assert done.returncode == 0 and all_ready(small), done.stdout + done.stderr
    assert small.down().returncode == 0 and small.leftovers() == []


def test_down_stops_children_of_parts_that_exited(lab: Lab) -> None:
    """The part exits by itself, and its child ignores SIGTERM and SIGHUP."""
    fake_tree(lab, "(trap '' HUP TERM INT; while :; do sleep 1; done) & sleep 2; exit 3")
    assert lab.wakeup(*SMALL).returncode == 4
    lost = [p for p in lab.processes() if p.ppid() == 1 or "spp_primary" in " ".join(p.cmdline())]
    assert lost
    verb(lab, "down")
    assert lab.leftovers() == []


def test_stopped_session_leaves_only_the_log(small: Lab) -> None:
    assert small.down().returncode == 0
    assert sorted(p.name for p in small.state.parent.iterdir()) == ["sppr.log"]


def test_new_tmux_session_with_the_old_name_is_kept(small: Lab) -> None:
    small.tmux("kill-server")
    # The next call fails while the server exits.
    wait_for("his session", lambda: small.tmux("new-session", "-d", "-P", "-s", NAME))
    done = small.wakeup(*SMALL)
    assert done.returncode == 1 and f"tmux has a session {NAME} that sppr did not create" in done.stderr
    assert small.down().returncode == 0 and not small.state.exists()
    assert small.tmux("list-sessions", "-F", "#{session_name}") == f"{NAME}\n"


def test_concurrent_wakeups_do_not_block(lab: Lab) -> None:
    launchers = [start(lab) for _ in range(3)]
    codes = sorted(launcher.wait(60) for launcher in launchers)
    assert codes[0] == 0 and set(codes) <= {0, 1} and all_ready(lab)
