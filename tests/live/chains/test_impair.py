"""Impaired chains: set by conf.yml and by ``sppr impair``, restored, and measured by ``sppr chain prove``."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import labs
from tests.live.dataplane_lab import TapEnd, wait_for
from tests.live.labs import Lab

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

#: One chain through a VM, and one of a single patch, which taps prove and probes measure.
CHAINS = """chains:
  web: {path: [tap:0, vm_v11, tap:1], match: {vlan: 5}, impair: {delay: 20ms, loss: 2%}}
  direct: {path: [tap:0, tap:1], match: default, impair: {delay: 3ms, seed: 7}}
"""
#: The proofs of a busy machine may be inconclusive; this many are tried.
TRIES = 8


@pytest.fixture(scope="module")
def lab(base_image: Path, programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    flags = ("-ns", "2", "-nr", "0", "-nv", "1")
    with labs.chain_lab(tmp_path_factory.mktemp("lab"), "impairlab", base_image, CHAINS, *flags) as (made, printed):
        assert "chain web: up" in printed and "chain direct: up" in printed, printed
        yield made


def impairments(lab: Lab) -> dict[tuple[str, str], str]:
    """Return the impairments that ``sppr impair`` lists, by chain and direction."""
    found = json.loads(lab.sppr("impair", "--json").stdout)
    return {(row["chain"], row["direction"]): row["found"]["words"] for row in found}


def impair(lab: Lab, *words: str, status: int = 0) -> str:
    done = lab.sppr("impair", *words)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def proof(lab: Lab, name: str, *options: str) -> dict[str, Any]:
    """Return a conclusive proof of a chain."""
    file = lab.folder / "proof.json"
    for _ in range(TRIES):
        done = lab.sppr("chain", "prove", name, "--yes", "--json", str(file), *options, timeout=150)
        (row,) = json.loads(file.read_text())
        if row["verdict"] != "inconclusive":
            break
    assert row["verdict"] == "pass", done.stdout + done.stderr
    return dict(row)


def measured(row: dict[str, Any]) -> dict[tuple[str, str], tuple[str, str]]:
    return {(one["direction"], one["key"]): (one["asked"], one["measured"]) for one in row["impairments"]}


def test_conf_yml_impairs_each_direction(lab: Lab) -> None:
    assert impairments(lab) == {
        ("web", "forward"): "delay=20ms loss=2%",
        ("web", "reverse"): "delay=20ms loss=2%",
        ("direct", "forward"): "delay=3ms seed=7",
        ("direct", "reverse"): "delay=3ms seed=7",
    }


def test_chain_through_a_vm_is_proved_and_measured(lab: Lab) -> None:
    found = measured(proof(lab, "web", "--frames", "4000"))
    assert {key for _, key in found} == {"delay", "loss"} and {way for way, _ in found} == {"forward", "reverse"}
    assert impairments(lab)["web", "forward"] == "delay=20ms loss=2%", "restored after the proof"


def test_delay_of_one_patch_is_within_100_microseconds(lab: Lab) -> None:
    for _ in range(TRIES):
        found = measured(proof(lab, "direct", "--frames", "3000"))
        delays = [float(value.split()[0]) for (_, key), (_, value) in found.items() if key == "delay"]
        if all(abs(delay - 3.0) <= 0.1 for delay in delays):
            return
    raise AssertionError(found)


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        ("loss=1%", {"loss"}),
        ("loss=gemodel,1%,10%,60%,0.1%", {"loss (mean)"}),
        ("duplicate=2% corrupt=1%", {"duplicate", "corrupt"}),
        ("delay=50ms jitter=10ms", {"delay", "jitter (p99 - p50)"}),
        ("delay=50ms jitter=10ms distribution=normal", {"delay", "jitter (p99 - p50)"}),
        ("delay=2ms reorder=25% gap=5", {"delay", "reorder"}),
        ("rate=4mbit", {"rate"}),
    ],
)
def test_each_key_is_measured_as_asked(lab: Lab, words: str, keys: set[str]) -> None:
    impair(lab, "direct", *words.split())
    row = proof(lab, "direct", "--frames", "4000", "--level", "1")
    assert {key for _, key in measured(row)} == keys and all(one["ok"] for one in row["impairments"])


def test_chain_is_impaired_while_it_runs_and_apply_sets_conf_yml_again(lab: Lab) -> None:
    assert impair(lab, "direct", "delay=50ms").splitlines() == [
        "sec2: tap:0: delay=50ms", "sec2: tap:1: delay=50ms",
    ]  # fmt: skip
    assert "chain direct: up" in lab.sppr("status").stdout
    source, sink = TapEnd(f"{lab.tap}a"), TapEnd(f"{lab.tap}b")
    source.send(1)
    assert sink.receive(0.04) is None and sink.receive(1.0) == 1
    assert impair(lab, "direct", "off").endswith("no impairment\n")
    source.send(2)
    assert sink.receive(0.04) == 2
    source.close()
    sink.close()
    assert lab.sppr("chain", "apply").returncode == 0
    assert impairments(lab)["direct", "forward"] == "delay=3ms seed=7"


def test_one_patch_is_impaired_and_the_change_by_hand_is_named(lab: Lab) -> None:
    impair(lab, "sec2:tap:1", "vlan=5", "loss=1%")
    found = impairments(lab)
    assert (found["web", "reverse"], found["web", "forward"]) == ("loss=1%", "delay=20ms loss=2%")
    lab.control.impair("nfv:2", "tap:0", "loss=9%")
    done = lab.sppr("chain")
    assert done.returncode == 1 and "has the impairment loss=9%, not delay=3ms seed=7" in done.stdout, done.stdout
    assert "nfv:2; impair tap:0 delay=3ms seed=7" in lab.sppr("chain", "apply").stdout


def test_impairments_are_restored_after_a_kill(lab: Lab) -> None:
    before = impairments(lab)
    os.kill(lab.status()["sec2"]["pid"], signal.SIGKILL)
    assert lab.sppr("restart", "sec2").returncode == 0
    wait_for("the impairments", lambda: impairments(lab) == before, 30)
    assert "impairments, forwarding" in lab.tmux("capture-pane", "-J", "-p", "-t", "ctrler")
    wait_for("the chains", lambda: lab.sppr("chain").returncode == 0, 30)


@pytest.mark.parametrize(
    ("words", "error", "status"),
    [
        (["web"], "web: say how to impair it", 1),
        (["web", "delay=20"], "delay=20: must be a time such as 50ms or 1.5s", 1),
        (["web", "jitter=1ms"], "jitter needs delay, too", 1),
        (["web", "vlan=5", "loss=1%"], "a chain has a match of its own", 1),
        (["nothing", "loss=1%"], "nothing: neither a chain nor a port of a part", 1),
        (["vm_v11:phy:0", "loss=1%"], "vm_v11 has no impairments", 1),
        (["sec2:ring:77", "loss=1%"], "ring:77: no such port in this process", 6),
        (["sec2:tap:0", "vlan=9", "loss=1%"], "tap:0: no patch leads from it with vlan=9", 6),
    ],
)
def test_wrong_words_change_nothing(lab: Lab, words: list[str], error: str, status: int) -> None:
    before = impairments(lab)
    assert error in impair(lab, *words, status=status)
    assert impairments(lab) == before
