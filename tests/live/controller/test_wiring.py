"""When a process reconnects, its ports and patches are restored before it is listed as connected."""

import itertools
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import labs
from tests.live.controller.test_controller import WAIT, Controller, Fake, nfv, reply, until
from tests.live.dataplane_lab import TapEnd, crosses, wait_for
from tests.live.labs import Lab, run_again, wait_exit, wait_state

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]


@pytest.fixture
def controllers(tmp_path: Path) -> Iterator["itertools.starmap[Controller]"]:
    """Start controllers, each with the saved wiring of the one before."""
    made: list[Controller] = []

    def start() -> Controller:
        for old in made:
            old.end()
        made.append(Controller(tmp_path, "--serve", "--timeout", "1", "--wiring", str(tmp_path / "wiring.json")))
        return made[-1]

    yield itertools.starmap(start, itertools.repeat(()))
    for controller in made:
        controller.end()


def wire(controller: Controller) -> None:
    for port in ("ring:0", "vhost:1"):
        controller.client.add_port("nfv:1", port)
    controller.client.patch("nfv:1", "ring:0", "vhost:1")
    controller.client.forward("nfv:1")


def die(controller: Controller, fake: Fake) -> None:
    fake.sock.shutdown(socket.SHUT_RDWR)
    until(lambda: not controller.client.processes(), "the disconnect")


def wire_and_disconnect(controller: Controller) -> None:
    """Connect nfv 1, give it ports, a patch and forwarding, and cut its connection."""
    fake = nfv(controller, 1)
    wire(controller)
    die(controller, fake)


GIVEN = ["add ring:0", "add vhost:1", "patch ring:0 vhost:1", "forward"]


def changes(fake: Fake) -> list[str]:
    return [command for command in fake.heard if command not in ("_get_client_id", "status")]


def test_new_process_is_wired_before_it_is_listed(controllers: Iterator[Controller]) -> None:
    controller = next(controllers)
    die(controller, first := nfv(controller, 1))
    assert changes(first) == []
    first = nfv(controller, 1)
    wire(controller)
    die(controller, first)
    again = nfv(controller, 1, delay=0.05)
    assert changes(again) == GIVEN and again.state == "running"
    controller.logged("nfv:1 reconnected: restored 2 ports, 1 patch, forwarding")
    assert nfv(controller, 2).heard[1:2] == ["status"], "another one is not meant"


def test_restart_of_controller_and_process_keeps_the_wiring(controllers: Iterator[Controller], tmp_path: Path) -> None:
    controller = next(controllers)
    fake = nfv(controller, 1)
    wire(controller)
    assert json.loads((tmp_path / "wiring.json").read_text())["processes"]["sec:1"]["running"] is True
    assert [p.name for p in tmp_path.glob("*wiring*")] == ["wiring.json"]
    controller = next(controllers)
    assert fake.closed.wait(WAIT)
    assert changes(nfv(controller, 1)) == GIVEN


def test_wiring_of_a_surviving_process_is_recorded(controllers: Iterator[Controller]) -> None:
    controller = next(controllers)
    nfv(controller, 1)
    wire(controller)
    controller = next(controllers)
    lived = Fake(controller.sec_port, 1)
    lived.ports += ["ring:0", "ring:5"]
    lived.patches.append({"src": "ring:5", "dst": "ring:0"})
    lived.start()
    until(controller.client.processes, "it")
    assert changes(lived) == []
    die(controller, lived)
    again = nfv(controller, 1)
    assert changes(again) == ["add ring:0", "add ring:5", "patch ring:5 ring:0"]


def test_exit_forgets_the_wiring_unless_a_restart_follows(controllers: Iterator[Controller]) -> None:
    controller = next(controllers)
    for keep, given in ((True, GIVEN), (False, [])):
        fake = nfv(controller, 1)
        if keep:
            wire(controller)
        controller.client.exit("nfv:1", keep=keep)
        assert fake.closed.wait(WAIT)
        again = nfv(controller, 1)
        assert changes(again) == given
        die(controller, again)


def test_restore_without_effect_is_reported(controllers: Iterator[Controller]) -> None:
    controller = next(controllers)
    wire_and_disconnect(controller)
    liar = Fake(controller.sec_port, 1)
    answer = liar.answer
    liar.answer = lambda command: reply(result="succeeded") if command == "add vhost:1" else answer(command)  # type: ignore[method-assign]
    liar.start()
    controller.logged("nfv:1 reconnected: restored 1 port, forwarding; not restored: patch ring:0 vhost:1, ")
    controller.logged("add vhost:1 (it answered success, but its status shows no effect)")
    controller.client.nfv_status(1)
    die(controller, liar)
    assert changes(nfv(controller, 1)) == GIVEN, "a change without effect is retried the next time"


def test_refused_restore_is_reported_and_retried_next_time(controllers: Iterator[Controller]) -> None:
    controller = next(controllers)
    wire_and_disconnect(controller)
    picky = Fake(controller.sec_port, 1)
    picky.ports.append("vhost:1")  # so the fake replies that the port exists, but does not list it
    answer = picky.answer
    picky.answer = lambda command: answer(command).replace(b', "vhost:1"', b"")  # type: ignore[method-assign]
    picky.start()
    controller.logged("nfv:1 reconnected: restored 1 port, 1 patch, forwarding; not restored: add vhost:1")
    assert controller.client.nfv_status(1)["ports"] == ["phy:0", "ring:0"]
    die(controller, picky)
    assert changes(nfv(controller, 1)) == GIVEN


def test_interrupted_restore_is_completed_later(controllers: Iterator[Controller]) -> None:
    controller = next(controllers)
    wire_and_disconnect(controller)
    cut = Fake(controller.sec_port, 1)
    cut.mute.add("forward")
    cut.start()
    assert cut.closed.wait(WAIT) and changes(cut) == GIVEN
    assert controller.client.processes() == []
    half = Fake(controller.sec_port, 1)
    half.ports, half.patches = cut.ports, cut.patches
    half.start()
    until(controller.client.processes, "it")
    assert changes(half) == ["forward"]


def test_wiring_of_the_primary_is_restored(controllers: Iterator[Controller]) -> None:
    class Primary(Fake):
        def answer(self, command: str) -> bytes:
            if command != "status":
                return super().answer(command)
            return json.dumps(
                {"forwarder": {"status": self.state, "ports": self.ports, "patches": self.patches}, "phy_ports": []}
            ).encode()

    controller = next(controllers)
    given: list[str]
    for given in ([], ["add ring:3", "patch phy:0 ring:3"]):
        primary = Primary(controller.pri_port)
        primary.start()
        until(controller.client.processes, "it")
        assert changes(primary) == given
        if not given:
            controller.client.add_port("primary", "ring:3")
            controller.client.patch("primary", "phy:0", "ring:3")
        die(controller, primary)


def test_invalid_wiring_file_is_reported_and_replaced(controllers: Iterator[Controller], tmp_path: Path) -> None:
    (tmp_path / "wiring.json").write_text('{"version": 1, "processes": {"sec:1": {"ports": {"exit": []}}}}')
    controller = next(controllers)
    controller.logged("invalid: sec:1: ")
    assert "exit" in (tmp_path / "wiring.json.broken").read_text()
    assert changes(nfv(controller, 1)) == []


# with packets


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, programs: None) -> Iterator[Lab]:
    with labs.running(tmp_path_factory.mktemp("lab"), "wirelab6", None, "-ns", "2", "-nr", "0", "-nv", "0") as made:
        chain(made)
        yield made


@pytest.fixture
def watched(tmp_path_factory: pytest.TempPathFactory, programs: None) -> Iterator[Lab]:
    made = labs.make(tmp_path_factory.mktemp("lab"), "wirelab7", None)
    made.write("restart: {policy: on-failure, delay: 0.5}\n")
    try:
        yield made
    finally:
        made.end()


def chain(lab: Lab) -> None:
    """tap:0 -> nfv 1 -> ring:0 -> nfv 2 -> tap:1"""
    for number, (src, dst) in enumerate((("tap:0", "ring:0"), ("ring:0", "tap:1")), 1):
        lab.control.add_port(f"nfv:{number}", "ring:0")
        lab.control.patch(f"nfv:{number}", src, dst)
        lab.control.forward(f"nfv:{number}")


def packets_cross(lab: Lab) -> None:
    first, second = TapEnd(f"{lab.tap}a"), TapEnd(f"{lab.tap}b")
    crosses(first, second)
    first.close()
    second.close()


def test_killed_secondary_forwards_after_its_restart(lab: Lab) -> None:
    packets_cross(lab)
    row = lab.status()["sec2"]
    os.kill(row["pid"], signal.SIGKILL)
    wait_state(lab, "sec2", "failed")
    run_again(lab, row["pane"], "-i 2")
    wait_state(lab, "sec2", "ready")
    packets_cross(lab)
    assert "nfv:2 reconnected: restored 1 port, 1 patch, forwarding" in (lab.state / "ctrler.log").read_text()


def test_restart_of_controller_and_secondary_keeps_forwarding(lab: Lab) -> None:
    rows = lab.status()
    for name in ("ctrler", "sec1"):
        os.kill(rows[name]["pid"], signal.SIGKILL)
        wait_state(lab, name, "failed")
    for name, command in (("ctrler", "controller.py"), ("sec1", "-i 1")):
        run_again(lab, rows[name]["pane"], command)
        wait_state(lab, name, "ready")
    packets_cross(lab)


def test_restarted_primary_and_secondaries_forward_again(lab: Lab) -> None:
    rows = {name: row for name, row in lab.status().items() if name != "ctrler"}
    for row in reversed(rows.values()):
        lab.tmux("send-keys", "-t", row["pane"], "C-c")
        wait_state(lab, row["name"], "stopped")
    for name, command in (("pri", "primary.py"), ("sec1", "-i 1"), ("sec2", "-i 2")):
        run_again(lab, rows[name]["pane"], command)
        wait_state(lab, name, "ready")
    wait_for("links", lambda: all(Path(f"/sys/class/net/{lab.tap}{end}").exists() for end in "ab"))
    packets_cross(lab)


def back(lab: Lab, name: str, old: int) -> dict[str, Any]:
    """Wait until a part is ready with another pid than ``old``, and return its row."""

    def row() -> dict[str, Any] | None:
        found = lab.status()[name]
        return found if found["state"] == "ready" and found["pid"] != old else None

    found: dict[str, Any] = wait_for(f"{name} again", row, 60)
    return found


def test_restart_policy_restarts_a_killed_part(watched: Lab) -> None:
    lab = watched
    assert lab.wakeup("-ns", "2", "-nr", "0", "-nv", "0").returncode == 0
    chain(lab)
    packets_cross(lab)
    before = lab.status()
    for name, again in (("sec2", {"sec2"}), ("ctrler", {"ctrler"}), ("pri", {"pri", "sec1", "sec2"})):
        old = lab.status()
        os.kill(old[name]["pid"], signal.SIGKILL)
        for part in again:
            assert back(lab, part, old[part]["pid"])["pane"] == before[part]["pane"]
        packets_cross(lab)
    after = lab.status()
    assert all(after[name]["restarts"] >= 1 and before[name]["restarts"] == 0 for name in before)
    shown = lab.sppr("status", "--session", lab.session).stdout
    assert f"restarts {after['sec2']['restarts']}" in shown  # 2, or more if the primary was slow
    lab.tmux("send-keys", "-t", after["sec1"]["pane"], "C-c")
    wait_exit(lab, "sec1", 0)
    assert lab.down().returncode == 0 and lab.leftovers() == []
