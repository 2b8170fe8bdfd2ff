"""Service chains of conf.yml: bring-up, status, correction, and recovery after a kill, with real packets."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import labs
from tests.live.dataplane_lab import TapEnd, crosses, send_all, wait_for
from tests.live.labs import Lab, run_again, wait_state

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

WEB = "chains:\n  web: {path: [tap:0, vm_r6, vm_v11, tap:1]}\n"
#: A fault must be reported within this time, in seconds.
SOON = 2.0


@pytest.fixture(scope="module")
def lab(base_image: Path, programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A chain through a ring VM and a vhost VM. Each VM has its own secondary."""
    folder, flags = tmp_path_factory.mktemp("lab"), ("-ns", "2", "-nr", "1", "-nv", "1")
    with labs.chain_lab(folder, "chainlab1", base_image, WEB, *flags) as (made, printed):
        assert "chain web: up  tap:0 → vm_r6 → vm_v11 → tap:1" in printed
        yield made


def rows(lab: Lab) -> dict[str, dict[str, Any]]:
    """Return the rows of ``sppr chain --json`` by name."""
    return {row["name"]: row for row in json.loads(lab.sppr("chain", "--json").stdout)}


def soon(lab: Lab, state: str, why: str, since: float) -> None:
    """Check that the chain enters this state within 2 s of ``since``, with a reason that contains ``why``."""
    while True:
        row = rows(lab)["web"]
        if row["state"] == state and any(why in reason for reason in row["why"]):
            return
        assert time.monotonic() - since < SOON, row


def up_again(lab: Lab) -> None:
    wait_for("the chain", lambda: rows(lab)["web"]["state"] == "up", 60)
    packets_cross(lab)


def packets_cross(lab: Lab) -> None:
    first, second = TapEnd(f"{lab.tap}a"), TapEnd(f"{lab.tap}b")
    crosses(first, second)
    crosses(second, first)
    first.close()
    second.close()


def test_chain_is_up_and_carries_packets_both_ways(lab: Lab) -> None:
    packets_cross(lab)
    done = lab.sppr("chain")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[1].split()[:2] == ["web", "up"]
    assert "chain web: up" in lab.sppr("status").stdout


def test_show_has_counters_of_every_hop(lab: Lab) -> None:
    def frames() -> list[int]:
        found = json.loads(lab.sppr("chain", "show", "web", "--json").stdout)
        return [leg["frames"] for leg in found if leg["direction"] == "forward"]

    before = frames()
    source, sink = TapEnd(f"{lab.tap}a"), TapEnd(f"{lab.tap}b")
    assert send_all(source, sink, 100) == list(range(100))
    source.close()
    sink.close()
    assert all(now - then >= 100 for now, then in zip(frames(), before, strict=True)), (before, frames())
    text = lab.sppr("chain", "show", "web").stdout
    assert "ring:0 in vm_r6" in text and "phy:0 in vm_v11" in text


def test_applying_again_sends_nothing(lab: Lab) -> None:
    assert lab.sppr("chain", "apply").stdout == "chain web: up\n"
    done = lab.wakeup("-ns", "2", "-nr", "1", "-nv", "1")
    assert "nothing was changed" in done.stdout, done.stdout


def test_manual_patch_on_the_chain_is_named_and_corrected(lab: Lab) -> None:
    for port in ("nullpmd:1", "nullpmd:2"):
        lab.control.add_port("nfv:1", port)
    lab.control.patch("nfv:1", "nullpmd:1", "nullpmd:2")
    assert rows(lab)["web"]["state"] == "up", "that is no business of the chain"
    lab.control.patch("nfv:1", "tap:0", "nullpmd:2")
    lab.control.patch("nfv:2", "ring:0", "tap:1")
    row = rows(lab)["web"]
    assert row["state"] == "degraded"
    assert set(row["why"]) == {
        "nfv:1: tap:0 goes to nullpmd:2, not to ivshmem:6", "nfv:2: ring:0 goes to tap:1, not to vhost:11"
    }  # fmt: skip
    status = lab.sppr("status")
    assert status.returncode == 1 and "chain web: degraded: nfv:1: tap:0 goes to nullpmd:2" in status.stdout
    done = lab.sppr("chain", "apply", "web")
    assert set(done.stdout.splitlines()) == {
        "nfv:1; patch reset tap:0", "nfv:1; patch tap:0 ivshmem:6", "nfv:2; patch ring:0 vhost:11", "chain web: up"
    }  # fmt: skip
    assert {"src": "nullpmd:1", "dst": "nullpmd:2"} in lab.control.nfv_status(1)["patches"]
    packets_cross(lab)
    lab.control.disconnect("nfv:1", "nullpmd:1")


def test_process_that_does_not_forward_is_named(lab: Lab) -> None:
    lab.control.stop("nfv:11")
    soon(lab, "degraded", "nfv:11 is not forwarding", time.monotonic())
    assert lab.sppr("chain", "apply").stdout == "nfv:11; forward\nchain web: up\n"


@pytest.mark.parametrize(
    ("name", "why"),
    [("sec2", "sec2 does not run"), ("vm_r6", "vm_r6 does not run"), ("vm_v11", "vm_v11 does not run")],
)
def test_killed_part_is_named_within_two_seconds_and_restored_by_wakeup(lab: Lab, name: str, why: str) -> None:
    os.kill(lab.status()[name]["pid"], signal.SIGKILL)
    soon(lab, "down", why, time.monotonic())
    assert f"chain web: down: {why}" in lab.sppr("status").stdout
    done = lab.wakeup("-ns", "2", "-nr", "1", "-nv", "1")
    assert done.returncode == 0 and "chain web: up" in done.stdout, done.stdout + done.stderr
    up_again(lab)


def test_secondary_restarted_by_hand_is_wired_by_the_controller(lab: Lab) -> None:
    row = lab.status()["sec1"]
    os.kill(row["pid"], signal.SIGKILL)
    soon(lab, "down", "sec1 does not run", time.monotonic())
    wait_state(lab, "sec1", "failed")
    run_again(lab, row["pane"], "-i 1")
    up_again(lab)


def test_hanging_secondary_is_named_within_two_seconds(lab: Lab) -> None:
    pid = lab.status()["sec2"]["pid"]
    taken = []
    for _ in range(3):
        os.kill(pid, signal.SIGSTOP)
        try:
            since = time.monotonic()
            done = lab.sppr("chain")
            taken.append(time.monotonic() - since)
            assert "down" in done.stdout and "sec2 does not answer" in done.stdout
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_for("the secondary", lambda: lab.sppr("chain", "apply").returncode == 0)
        up_again(lab)
    # Each includes the start of Python, which takes longer in a moment of load.
    assert min(taken) < SOON + 0.5, taken


def test_dead_controller_is_named_and_packets_still_flow(lab: Lab) -> None:
    row = lab.status()["ctrler"]
    os.kill(row["pid"], signal.SIGKILL)
    soon(lab, "down", "ctrler does not run", time.monotonic())
    packets_cross(lab)
    done = lab.sppr("chain", "apply")
    assert done.returncode == 1 and "chain web: down: ctrler does not run" in done.stdout, done.stdout + done.stderr
    run_again(lab, row["pane"], "controller.py")
    up_again(lab)


def test_restart_of_the_primary_restores_the_chain(lab: Lab) -> None:
    os.kill(lab.status()["pri"]["pid"], signal.SIGKILL)
    soon(lab, "down", "pri does not run", time.monotonic())
    done = lab.wakeup("-ns", "2", "-nr", "1", "-nv", "1")
    assert done.returncode == 0 and "chain web: up" in done.stdout, done.stdout + done.stderr
    up_again(lab)


def test_unknown_chain_name_is_an_error(lab: Lab) -> None:
    done = lab.sppr("chain", "show", "wep")
    assert done.returncode == 1 and "wep: no chain of session chainlab1" in done.stderr
    assert "its chains: web" in done.stderr


def test_removed_chain_is_taken_down_unless_kept(lab: Lab) -> None:
    text = lab.conf.read_text()
    try:
        lab.conf.write_text(text.replace(WEB, ""))
        done = lab.wakeup("-ns", "2", "-nr", "1", "-nv", "1", "--keep-chains", "web")
        assert done.returncode == 0 and rows(lab)["web"]["state"] == "up", done.stdout + done.stderr
        done = lab.wakeup("-ns", "2", "-nr", "1", "-nv", "1")
        assert done.returncode == 0 and "web" not in rows(lab), done.stdout + done.stderr
        for target in ("nfv:1", "nfv:2", "nfv:6", "nfv:11"):
            assert lab.control.status(target)["patches"] == [], target
        assert not [port for port in lab.control.ports("nfv:1") if port.startswith("ring:")]
        lab.conf.write_text(text)
        assert "chain web: up" in lab.sppr("chain", "apply").stdout
    finally:
        lab.conf.write_text(text)
    up_again(lab)


def test_chain_of_an_unrequested_vm_is_skipped_and_completed_later(
    base_image: Path, programs: None, tmp_path: Path
) -> None:
    (tmp_path / "lab").mkdir()
    made = labs.make(tmp_path / "lab", "chainlab2", base_image)
    chains = "chains:\n  web: {path: [tap:0, vm_v11]}\n  short: {path: [nullpmd:0, nullpmd:1]}\n"
    made.write(chains + "patches:\n  - sec1: nullpmd:2 -> nullpmd:3\n  - sec1: nullpmd:4\n")
    try:
        done = made.wakeup("-ns", "1", "-nr", "0", "-nv", "0")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "chain web: left out: vm_v11 is not in this lab" in done.stdout
        assert "chain short: up" in done.stdout
        assert {name: row["state"] for name, row in rows(made).items()} == {"short": "up", "web": "not in this lab"}
        assert made.sppr("chain").returncode == 0
        assert {"src": "nullpmd:2", "dst": "nullpmd:3"} in made.control.nfv_status(1)["patches"]
        assert "nullpmd:4" in made.control.ports("nfv:1")
        saved = made.sppr("save").stdout
        assert "  - sec1: nullpmd:2 -> nullpmd:3" in saved and "  - sec1: nullpmd:4" in saved and "short:" in saved
        done = made.sppr("chain", "show", "web")
        assert done.returncode == 1 and "chain web is not in this lab: vm_v11" in done.stderr
        done = made.wakeup("-ns", "1", "-nr", "0", "-nv", "1")
        assert done.returncode == 0 and "chain web: up" in done.stdout, done.stdout + done.stderr
        assert made.down().returncode == 0 and made.leftovers() == []
    finally:
        made.end()
