"""The parts and chains of a lab as values for JSON, from a run directory made by hand and samples of the processes."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psutil
import pytest

from sppr.host.process import pids
from sppr.host.run_directory import sessions_dir
from sppr.lab.state import journal
from sppr.lab.state.state import State
from sppr.live import lab_view, source
from sppr.live.lab_view import LabView
from sppr.live.source import Source
from sppr.parts import readiness
from sppr.tmux.pane import PaneFiles
from tests.unit.lab.test_chain_planner import planned

PLAN = planned("""
secondaries: [{id: 1, coremask: 0x0C}]
vms_vhost: [{id: 11}]
chains: {web: {path: [tap:0, vm_v11, tap:1]}}
""")
PATCHES = {
    "primary": [],
    "nfv:1": [["tap:0", "vhost:11"], ["vhost:111", "tap:1"], ["tap:1", "vhost:111"], ["vhost:11", "tap:0"]],
    "nfv:11": [["phy:0", "phy:1"], ["phy:1", "phy:0"]],
}


def port(**values: object) -> dict[str, Any]:
    counters = {"rx": 10, "rx_drop": 1, "tx": 20, "tx_drop": 2}
    return {**counters, "linked": True, "rx_rate": 5.0, "tx_rate": 7.0, "drop_rate": 0.5, **values}


def process(name: str, state: str = "running") -> dict[str, Any]:
    kind, _, number = name.partition(":")
    ports = dict.fromkeys(end for patch in PATCHES[name] for end in patch)
    return {
        "name": name, "kind": kind, "id": int(number or 0), "state": state, "reason": "", "guest": name == "nfv:11",
        "ports": {uid: port() for uid in ports}, "patches": PATCHES[name],
    }  # fmt: skip


def live(**states: str) -> dict[str, Any]:
    """Return a sample with the three processes. ``states``: the states of those that are not running."""
    names = {"primary": "pri", "nfv:1": "sec1", "nfv:11": "vm_v11"}
    return {"time": 1.0, "processes": [process(name, states.get(part, "running")) for name, part in names.items()]}


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    """A session whose parts all run, as this process. Its VM has spp_vm, so its console is not read."""
    monkeypatch.setattr(readiness, "carries_spp_vm", lambda _part: True)
    folder = sessions_dir() / PLAN.session
    folder.mkdir(parents=True)
    parts = tuple(replace(part, sockets=()) for part in PLAN.parts)  # no process serves them
    made = State(replace(PLAN, run=str(folder), parts=parts), pids.boot_id(), "up")
    this = pids.current(os.getpid())
    assert this is not None
    for part in made.plan.parts:
        PaneFiles(folder, part.name).record.write_text(f"{this.pid} {this.started} 0\n")
        made.ready_pid[part.name] = this.pid
    made.save()
    yield made


def view(state: State) -> LabView:
    return LabView(state.folder)


def rows(described: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in described["parts"]}


def states(described: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row["state"] for row in described["parts"]}


def test_running_lab(state: State) -> None:
    described = view(state).describe(live())
    assert (described["session"], described["phase"]) == ("spp", "up")
    assert states(described) == {"ctrler": "ready", "pri": "ready", "sec1": "ready", "vm_v11": "ready"}
    assert described["links"] == {}
    row = rows(described)["sec1"]
    assert (row["process"], row["pid"], row["restarts"]) == ("nfv:1", os.getpid(), 0)
    assert row["memory"] > 1_000_000 and row["cpu_seconds"] > 0 and row["cpu"] is None
    json.dumps(described)


def test_process_of_each_part() -> None:
    found = {part.name: part.process for part in PLAN.parts}
    assert found == {"ctrler": "", "pri": "primary", "sec1": "nfv:1", "vm_v11": "nfv:11"}


def test_chain_has_its_legs_and_traffic(state: State) -> None:
    sample = live()
    sample["processes"][1]["ports"]["tap:1"].update(tx_rate=123.0)
    sample["processes"][1]["ports"]["tap:0"].update(tx_rate=456.0, drop_rate=100.0)
    (chain,) = view(state).describe(sample)["chains"]
    assert (chain["name"], chain["state"], list(chain["path"])) == ("web", "up", ["tap:0", "vm_v11", "tap:1"])
    assert (chain["forward"], chain["reverse"]) == (123.0, 456.0)
    assert chain["dropped"] == 6 * 3 and chain["drop_rate"] == 5 * 0.5 + 100
    assert chain["legs"][0] == {
        "direction": "forward", "process": "nfv:1", "src": "tap:0", "dst": "vhost:11", "own": False,
    }  # fmt: skip


def test_unknown_counters_give_no_traffic(state: State) -> None:
    sample = live()
    for entry in sample["processes"]:
        for row in entry["ports"].values():
            row.update(dict.fromkeys(row) | {"linked": True})
    (chain,) = view(state).describe(sample)["chains"]
    assert chain["state"] == "up"
    assert [chain[key] for key in ("forward", "reverse", "dropped", "drop_rate")] == [None] * 4


def test_lab_without_an_answer_of_the_controller(state: State) -> None:
    described = view(state).describe({"processes": None})
    assert states(described)["sec1"] == "ready" and "controller" in str(rows(described)["sec1"]["note"])
    assert described["chains"][0]["state"] == "down" and described["chains"][0]["forward"] is None


def test_lost_process(state: State) -> None:
    described = view(state).describe(live(sec1="lost"))
    assert states(described) == {"ctrler": "ready", "pri": "ready", "sec1": "starting", "vm_v11": "ready"}
    (chain,) = described["chains"]
    assert (chain["state"], chain["why"]) == ("down", ["sec1 is not connected"])


def test_process_that_does_not_answer(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not asked again, for the ports that it serves: that would delay each sample."""
    monkeypatch.setattr(readiness, "_ports_of", lambda *_: pytest.fail("asked again"))
    described = view(state).describe(live(sec1="silent"))
    assert states(described)["sec1"] == "starting" and states(described)["vm_v11"] == "ready"
    assert described["chains"][0]["why"] == ["sec1 does not answer"]
    assert view(state).describe({"processes": None})["parts"]


def test_vm_whose_ports_are_missing_is_not_ready(state: State) -> None:
    sample = live()
    sample["processes"][1]["ports"].pop("vhost:111")
    assert states(view(state).describe(sample))["vm_v11"] == "starting"


def test_part_that_has_exited(state: State) -> None:
    files = PaneFiles(state.folder, "sec1")
    files.record.write_text("4194304 1 0\n")
    files.exit.write_text("139\n")
    files.restarts.write_text("3\n")
    files.log.write_text("EAL: a last line\n")
    row = rows(view(state).describe(live(sec1="lost")))["sec1"]
    assert (row["state"], row["exit"], row["last"], row["restarts"]) == ("failed", 139, "EAL: a last line", 3)
    assert row["pid"] is row["memory"] is row["cpu_seconds"] is row["cpu"] is None


def test_cpu_is_that_since_the_sample_before(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    usage, clock = [3.0], [100.0]
    monkeypatch.setattr(lab_view, "_usage", lambda _pid: (usage[0], 5000))
    monkeypatch.setattr(lab_view.time, "monotonic", lambda: clock[0])
    made = view(state)
    made.describe(live())
    usage[0], clock[0] = 4.5, 102.0
    row = rows(made.describe(live()))["pri"]
    assert (row["cpu"], row["cpu_seconds"], row["memory"]) == (0.75, 4.5, 5000)


def test_usage_includes_children() -> None:
    own = lab_view._usage(os.getpid())
    times, memory = psutil.Process().cpu_times(), psutil.Process().memory_info().rss
    assert own[0] == pytest.approx(times.user + times.system, abs=0.5) and own[1] == pytest.approx(memory, rel=0.2)
    assert lab_view._usage(4194304) == (0.0, 0)


def recorded(state: State) -> list[tuple[str, str, str]]:
    events = [event for event in journal.read(state.folder) if event["event"] == "chain.state"]
    return [(event["chain"], event["state"], event["reason"]) for event in events]


def test_change_of_a_chain_is_recorded_once(state: State) -> None:
    made = view(state)
    for sample in (live(), live(), live(sec1="lost"), live(sec1="lost"), live()):
        made.describe(sample)
    assert recorded(state) == [("web", "down", "sec1 is not connected"), ("web", "up", "")]


@pytest.mark.parametrize("phase", ["starting", "stopping", "failed"])
def test_changes_during_a_bring_up_or_teardown_are_not_recorded(state: State, phase: Any) -> None:
    made = view(state)
    made.describe(live())
    replace(state, phase=phase).save()
    assert made.describe(live(sec1="lost"))["phase"] == phase
    assert recorded(state) == []


def test_chain_whose_ends_are_probes_is_not_recorded(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    made = view(state)
    made.describe(live())
    monkeypatch.setattr("sppr.lab.chains.proof.testbed.in_use", lambda _folder: ["web"])
    (chain,) = made.describe(live(sec1="lost"))["chains"]
    assert chain["state"] == "degraded" and "probes" in chain["why"][0] and recorded(state) == []


def test_last_proof_comes_from_the_journal(state: State) -> None:
    made = view(state)
    assert made.describe(live())["chains"][0]["proof"] is None
    for lost in (3, 0):
        made.record("chain.proved", chain="web", verdict="pass", lost=lost, sent=100)
        assert made.describe(live())["chains"][0]["proof"]["lost"] == lost
    made.record("chain.proved", chain="other", verdict="fail", lost=9)
    assert made.describe(live())["chains"][0]["proof"]["verdict"] == "pass"


@pytest.mark.parametrize("damage", ["missing", "broken", "folder"])
def test_unreadable_state_gives_an_empty_lab(state: State, damage: str) -> None:
    made = view(state)
    assert made.describe(live())["parts"]
    path = state.folder / "state.json"
    path.unlink()
    if damage == "broken":
        path.write_text("{")
    elif damage == "folder":
        path.mkdir()
    for _ in range(2):
        assert made.describe(live()) == {"session": "spp", "phase": "", "parts": [], "chains": [], "links": {}}
    if damage == "missing":
        state.save()
        assert made.describe(live())["parts"]


def test_source_without_a_controller_uses_the_run_directory(state: State) -> None:
    sample = Source(state).sample()
    assert sample["controller"] is False and sample["processes"] == [] and states(sample)["sec1"] == "ready"


@pytest.mark.parametrize("answer", [(200, b"{"), (200, b"[]"), (200, b"\xff"), (500, b""), (404, b"x"), OSError("x")])
def test_source_survives_every_answer(state: State, answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """sppr top must not end because the controller has a fault, is stopped just now, or is one of SPP."""

    def call(*_: object) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(source.http_call, "call", call)
    sample = Source(state).sample()
    assert states(sample) and sample["processes"] == [] and isinstance(sample["controller"], bool)


def test_source_takes_the_sample_of_the_controller(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = {**live(), **view(state).describe(live())}
    monkeypatch.setattr(source.http_call, "call", lambda *_: (200, json.dumps(sample).encode()))
    assert Source(state).sample() == json.loads(json.dumps({**sample, "controller": True}))


def test_controller_without_the_lab_gives_no_parts(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that was started by hand has no run directory, so its samples have no parts."""
    monkeypatch.setattr(source.http_call, "call", lambda *_: (200, json.dumps(live()).encode()))
    sample = Source(state).sample()
    assert states(sample)["sec1"] == "ready" and sample["chains"][0]["state"] == "up"
