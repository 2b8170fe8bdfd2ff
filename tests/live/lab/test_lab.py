"""The main use case: one command starts a lab with real packets, and down leaves nothing."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.live import labs
from tests.live.dataplane_lab import TapEnd, wait_for
from tests.live.labs import Lab, run_again, wait_state

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def lab(base_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab that is up, with all kinds of parts; LC_ALL=C, base-index 1 and a hostile .bashrc around it."""
    made = labs.make(tmp_path_factory.mktemp("lab"), "testlab1", base_image)
    try:
        done = made.wakeup("-ns", "2", "-nr", "1", "-nv", "1")
        assert done.returncode == 0, done.stdout + done.stderr
        made.printed = done.stdout  # type: ignore[attr-defined]
        yield made
    finally:
        made.end()


def all_ready(lab: Lab) -> dict[str, dict[str, Any]]:
    """Wait until every part is ready. A guest that gets no CPU for seconds loses its connection, and starts again."""

    def rows() -> dict[str, dict[str, Any]] | None:
        found = lab.status()
        return found if all(row["state"] == "ready" for row in found.values()) else None

    found: dict[str, dict[str, Any]] = wait_for("all parts", rows)
    return found


def test_status_has_window_and_pane_of_every_ready_part(lab: Lab) -> None:
    rows = all_ready(lab)
    assert list(rows) == ["ctrler", "pri", "sec1", "sec2", "vm_r6", "vm_v11"]
    for row in rows.values():
        assert row["state"] == "ready" and row["pid"] and row["pane"].startswith("%") and row["window"]
    panes = dict(
        line.split()
        for line in lab.tmux("list-panes", "-s", "-t", "=testlab1:", "-F", "#{pane_id} #{window_name}").splitlines()
    )
    assert all(panes[row["pane"]] == row["window"] for row in rows.values())


def test_windows_are_in_order_and_the_last_is_active(lab: Lab) -> None:
    lines = lab.tmux(
        "list-windows", "-t", "=testlab1", "-F", "#{window_name} #{window_active} #{window_panes}"
    ).splitlines()
    assert lines == ["ctrler 0 1", "pri 0 1", "sec 0 2", "vm_r 0 1", "vm_v 0 1", "w0 1 1"]


def test_wakeup_without_a_terminal_prints_progress_and_how_to_attach(lab: Lab) -> None:
    printed: str = lab.printed  # type: ignore[attr-defined]
    assert "session testlab1 is up; attach: tmux -L testlab1 attach -t =testlab1" in printed
    order = [printed.index(f"{name}: ready") for name in ("ctrler", "pri", "sec1", "vm_v11")]
    assert order == sorted(order)
    assert printed.index("pri: waiting") > printed.index("ctrler: ready") and printed.index(
        "sec1: waiting"
    ) > printed.index("pri: ready")
    assert printed.index("vm_v11: waiting") > printed.index("sec1: ready")


def test_second_wakeup_changes_nothing_and_reports_it(lab: Lab) -> None:
    before = all_ready(lab)
    done = lab.wakeup()
    assert done.returncode == 0, done.stderr
    assert "testlab1 is running already, with all its 6 parts: nothing was changed" in done.stdout
    assert "sppr down --session testlab1" in done.stdout and lab.status() == before
    fewer = lab.wakeup("-nr", "0")
    assert fewer.returncode == 0 and "vm_r6: not requested now, and keeps running" in fewer.stdout, fewer.stdout
    assert lab.status() == before


def test_packet_passes_two_secondaries_and_a_ring(lab: Lab) -> None:
    control = lab.control
    control.add_port("nfv:1", "ring:0")
    control.add_port("nfv:2", "ring:0")
    control.patch("nfv:1", "tap:0", "ring:0")
    control.patch("nfv:2", "ring:0", "tap:1")
    control.forward("nfv:1")
    control.forward("nfv:2")
    sender, receiver = TapEnd(f"{lab.tap}a"), TapEnd(f"{lab.tap}b")
    for side in "ab":
        subprocess.run(["ip", "link", "set", f"{lab.tap}{side}", "up"], check=True)
    for number in range(100):
        sender.send(number)
        wait_for(f"frame {number}", lambda: receiver.receive(0.5) == number, 10)  # noqa: B023
    control.reset_patches("nfv:2")
    control.reset_patches("nfv:1")
    sender.send(4711)
    assert receiver.receive(0.5) is None, "no patch, no packet"


def test_vhost_vm_answers_a_ping_after_a_kill_of_its_secondary(lab: Lab) -> None:
    control = lab.control
    tap = f"{lab.tap}a"
    control.patch("nfv:1", "tap:0", "vhost:11")
    control.patch("nfv:1", "vhost:11", "tap:0")
    control.forward("nfv:1")
    subprocess.run(["ip", "addr", "replace", "192.168.100.1/24", "dev", tap], check=True)
    subprocess.run(["ip", "link", "set", tap, "up"], check=True)
    assert wait_for("an answer", lambda: pings(tap, 3), 30)
    row, console = lab.status()["sec1"], lab.state / "vm_v11.console"
    printed = console.read_bytes()
    os.kill(row["pid"], signal.SIGKILL)
    wait_state(lab, "sec1", "failed")
    assert not pings(tap, 1)
    run_again(lab, row["pane"], "-i 1")
    wait_state(lab, "sec1", "ready")
    wait_for("the VM to be behind its port again", lambda: pings(tap, 3), 60)
    assert printed and console.read_bytes() == printed, "it did not boot again"
    control.stop("nfv:1")
    assert not pings(tap, 1)


def test_guest_reconnects_to_a_socket_recreated_by_wakeup(lab: Lab) -> None:
    """Uses the patches of the test before."""
    tap, console, pid = f"{lab.tap}a", lab.state / "vm_v11.console", lab.status()["vm_v11"]["pid"]
    lab.control.forward("nfv:1")
    assert wait_for("an answer", lambda: pings(tap, 3), 30)
    printed = console.read_bytes()
    (lab.folder / "socks/sock11").unlink()
    assert pings(tap, 1), "connections continue"
    done = lab.wakeup()
    assert done.returncode == 0 and "sock11 of nfv:1 is gone: restoring the port" in done.stdout, done.stderr
    wait_for("the VM to be behind its new port", lambda: pings(tap, 3), 60)
    row = lab.status()["vm_v11"]
    assert (row["state"], row["pid"]) == ("ready", pid) and console.read_bytes() == printed, "it did not boot again"
    lab.control.stop("nfv:1")


def pings(tap: str, count: int) -> bool:
    """Return whether the VM answers each ping."""
    ping = ["ping", "-I", tap, "-c", str(count), "-W", "2", "-q", "192.168.100.11"]
    done = subprocess.run(ping, capture_output=True, text=True, check=False)
    return done.returncode == 0 and " 0% packet loss" in done.stdout


def test_ctrl_c_arrow_up_and_enter_restart_a_part(lab: Lab) -> None:
    row = lab.status()["sec2"]
    lab.tmux("send-keys", "-t", row["pane"], "C-c")
    wait_for("its exit status", lambda: lab.status()["sec2"]["exit"] == 0)
    dead = wait_state(lab, "sec2", "stopped")
    assert dead["last"].startswith("spp_nfv:"), "the part's own last line, not the shell's"
    run_again(lab, row["pane"], "-i 2")
    again = wait_state(lab, "sec2", "ready")
    assert again["pid"] != row["pid"] and again["pane"] == row["pane"]


def test_running_part_cannot_be_started_twice(lab: Lab) -> None:
    before = lab.status()
    for words in (
        ["controller.py"],
        ["primary.py"],
        ["secondary.py", "-i", "1"],
        ["run-vm.py", "-t", "vhost", "-i", "11"],
    ):
        command = [str(ROOT / "runscripts" / words[0]), "--conf", str(lab.conf), *words[1:]]
        done = subprocess.run(command, env=lab.env, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "runs already, as pid" in done.stderr, done.stderr
    assert lab.status() == before


def test_failed_restart_in_a_pane_has_its_own_exit_status(lab: Lab) -> None:
    row = lab.status()["sec2"]
    lab.tmux("send-keys", "-t", row["pane"], "C-c")
    wait_state(lab, "sec2", "stopped")
    good = lab.conf.read_text()
    lab.conf.write_text("controler: {}\n")
    run_again(lab, row["pane"], "-i 2")
    wait_for("exit 2", lambda: lab.status()["sec2"]["exit"] == 2)
    lab.conf.write_text(good)
    run_again(lab, row["pane"], "-i 2")
    wait_state(lab, "sec2", "ready")


def test_ssh_is_not_interactive_and_spp_vm_patches_are_restored(lab: Lab) -> None:
    command = ["ssh", "-F", str(lab.folder / "runscripts/ssh_config"), "-o", "BatchMode=yes", "vm-v11", "hostname"]
    wait_for(
        "ssh", lambda: subprocess.run(command, capture_output=True, text=True, check=False).stdout == "vm-v11\n", 60
    )
    lab.control.patch("nfv:11", "phy:0", "phy:0")
    subprocess.run([*command[:-1], "busybox killall -KILL spp_vm"], check=True, capture_output=True)
    wait_for("spp_vm", lambda: "nfv:11 reconnected: restored 1 patch" in (lab.state / "ctrler.log").read_text(), 60)
    assert lab.control.nfv_status(11)["patches"] == [{"src": "phy:0", "dst": "phy:0"}]


def test_status_reports_a_killed_part(lab: Lab) -> None:
    row = lab.status()["sec2"]
    subprocess.run(["kill", "-KILL", str(row["pid"])], check=True)
    dead = wait_state(lab, "sec2", "failed")
    assert dead["pid"] is None and lab.sppr("status", "--session", "testlab1").returncode == 1


def test_log_has_the_first_byte(lab: Lab) -> None:
    log = lab.sppr("logs", "pri", "--session", "testlab1").stdout
    assert log.startswith("[pri waits for ctrler]") and "runscripts/primary.py" in log.splitlines()[1]
    assert "Finished Process Init." in log
    assert "no part of session" in lab.sppr("logs", "nobody", "--session", "testlab1").stderr


def test_down_leaves_nothing_without_conf_yml(lab: Lab) -> None:
    """The last test of this file: it stops the lab."""
    lab.conf.rename(lab.folder / "gone.yml")
    done = lab.down()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "vm_v11 stopped (powerdown)" in done.stdout and done.stdout.rstrip().endswith("session testlab1 is down")
    assert lab.leftovers() == []
    again = lab.down()
    assert again.returncode == 0 and "not running" in again.stdout


def test_lab_has_every_type_of_secondary(tmp_path_factory: pytest.TempPathFactory) -> None:
    """vf, mirror and pcap of our data plane are parts like any other: ready, restarted, stopped."""
    with labs.private(tmp_path_factory.mktemp("lab"), "testkinds9", None) as lab:
        types = "- {id: 3, coremask: 0xC0, type: vf}\n  - {id: 4, coremask: 0x300, type: mirror}\n"
        captures = lab.folder / "captures"
        captures.mkdir()
        types += f"  - {{id: 5, coremask: 0x1C00, type: pcap, port: ring:3, out_dir: {captures}}}"
        lab.conf.write_text(lab.conf.read_text().replace("- {id: 2, coremask: 0x30}", types))
        done = lab.wakeup("-ns", "4", "-nr", "0", "-nv", "0")
        assert done.returncode == 0, done.stdout + done.stderr
        rows = all_ready(lab)
        assert list(rows) == ["ctrler", "pri", "sec1", "sec3", "sec4", "sec5"]
        lab.control._call("POST", "/vfs/3/components", {"name": "fwd", "core": 7, "type": "forward"})
        for action, port in (("rx", "phy:0"), ("tx", "tap:1")):
            body = {"action": "attach", "port": port, "dir": action}
            lab.control._call("PUT", "/vfs/3/components/fwd/ports", body)
        lab.control._call("PUT", "/pcaps/5/capture", {"action": "start"})
        source, sink = TapEnd(f"{lab.tap}a"), TapEnd(f"{lab.tap}b")
        source.send(7)
        assert sink.receive(5.0) == 7
        done = lab.sppr("restart", "sec3", "--session", lab.session)
        assert done.returncode == 0, done.stdout + done.stderr
        assert all_ready(lab)["sec3"]["pid"] != rows["sec3"]["pid"]
        assert lab.down().returncode == 0 and lab.leftovers() == []
        (file,) = captures.iterdir()
        assert file.match("spp_pcap.*.ring3.1.1.pcap.lz4")
