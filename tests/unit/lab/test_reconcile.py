"""The changes that follow from the desired plan, the recorded state and the running parts."""

from dataclasses import replace

import pytest

from sppr.config.load import load, parse
from sppr.config.model import Config
from sppr.host.facts import Facts
from sppr.lab.plan.plan import Flags, Plan
from sppr.lab.plan.planner import make
from sppr.lab.state.reconcile import Changes, address_conflicts, difference, reconcile, replan, with_secondaries
from tests.conftest import ROOT
from tests.unit.lab.test_plan import paths

ALL = ("ctrler", "pri", "sec1", "sec2", "vm_r6", "vm_v11")


def plan(config: Config | None = None, **flags: int) -> Plan:
    return make(config or load(ROOT / "conf.yml"), Flags(**flags), Facts(cpus=(0, 1)), paths())  # type: ignore[arg-type]


def do(new_plan: Plan, old: Plan | None, running: tuple[str, ...]) -> Changes:
    """``running``: names of parts that run as in the old plan."""
    return reconcile(new_plan, old, {name: (old or new_plan).part(name).program for name in running}, running)


@pytest.mark.parametrize(
    ("running", "start", "stop"),
    [
        ((), ALL, ()),
        (ALL, (), ()),
        (("ctrler",), ("pri", "sec1", "sec2", "vm_r6", "vm_v11"), ()),
        (("ctrler", "pri", "sec1", "vm_r6", "vm_v11"), ("sec2",), ()),
        (("pri", "sec1", "sec2", "vm_r6", "vm_v11"), ("ctrler",), ()),
        (("ctrler", "pri", "sec1", "sec2", "vm_r6"), ("vm_v11",), ()),
        # Secondaries cannot continue with a new primary; guests can.
        (("ctrler", "sec1", "sec2", "vm_r6", "vm_v11"), ("pri", "sec1", "sec2"), ("sec1", "sec2")),
        (("ctrler", "sec2"), ("pri", "sec1", "sec2", "vm_r6", "vm_v11"), ("sec2",)),
    ],
)
def test_missing_parts_are_started_and_running_parts_kept(
    running: tuple[str, ...], start: tuple[str, ...], stop: tuple[str, ...]
) -> None:
    changes = do(plan(), plan(), running)
    assert (changes.start, changes.stop) == (start, stop)
    assert set(changes.wait) == set(running) - set(stop), "running parts must be ready in the end"
    assert set(changes.fresh) == set(ALL) - set(running)
    assert changes.plan == plan()


def test_first_start_starts_the_whole_plan() -> None:
    changes = reconcile(plan(), None, {}, ())
    assert changes == Changes(plan(), ALL)


def test_added_parts_start_in_the_order_of_the_plan() -> None:
    changes = do(plan(nof_sec=3, nof_vhost=2, nof_working=2), plan(), ALL)
    assert changes.start == ("sec3", "vm_v12") and not changes.stop and not changes.notes
    assert [w.name for w in changes.plan.windows] == ["ctrler", "pri", "sec", "vm_r", "vm_v", "w0", "w1"]
    assert changes.plan.windows[2].panes == ("sec1", "sec2", "sec3") and changes.plan.flags.nof_sec == 3


def test_parts_no_longer_requested_are_reported_and_kept() -> None:
    old = plan(nof_sec=3, nof_vhost=2, nof_working=2)
    running = tuple(part.name for part in old.parts)
    changes = do(plan(nof_sec=1, nof_ring=0, nof_vhost=0), old, running)
    assert not changes.start and not changes.stop and changes.wait == ("ctrler", "pri", "sec1")
    assert [part.name for part in changes.plan.parts] == list(running), "still known, for status and down"
    assert changes.plan.windows == old.windows
    assert changes.plan.flags.nof_sec == 3 and changes.plan.flags.nof_working == 2
    assert "vm_v12: not requested now, and keeps running" in changes.notes and len(changes.notes) == 5
    dead = do(plan(nof_sec=1, nof_ring=0, nof_vhost=0), old, ("ctrler", "pri", "sec1"))
    assert not dead.start and "sec2: not requested now, and stays in the session" in dead.notes


def test_changed_conf_is_reported_per_part_and_changes_nothing() -> None:
    text = (ROOT / "conf.yml").read_text().replace("0x0C", "0x30000").encode()
    changes = do(plan(parse(text, "c")), plan(), ALL)
    assert changes.notes == (
        "sec1: runs with --lcores 2@0,3@1, but conf.yml and the flags specify --lcores 16@0,17@1: sppr restart sec1",
    )
    assert not changes.start and changes.plan.part("sec1") == plan().part("sec1"), "known as it runs"


def test_part_restarted_by_hand_is_recorded_as_it_runs() -> None:
    program = (*plan().part("sec1").program, "--more")
    changes = reconcile(plan(), plan(), {"sec1": program, "ctrler": (), "pri": ()}, ALL)
    assert changes.plan.part("sec1").program == program
    assert changes.notes == ("sec1: runs with --more, which conf.yml and the flags do not specify: sppr restart sec1",)


def test_running_vm_keeps_its_server() -> None:
    old, new_plan = plan(nof_sec=1, nof_vhost=2), plan(nof_sec=2, nof_vhost=2)
    assert old.part("vm_v12").server != new_plan.part("vm_v12").server
    changes = do(new_plan, old, tuple(p.name for p in old.parts))
    assert changes.plan.part("vm_v12").server == old.part("vm_v12").server and not changes.notes


def test_settings_of_the_running_primary_are_kept() -> None:
    old = replace(plan(), file_prefix="before", vdev_sockets=("/tmp/sock9",))
    assert do(plan(), old, ALL).plan.file_prefix == "before"
    assert do(plan(), old, ("ctrler",)).plan.file_prefix == "spp"
    assert "/tmp/sock9" in do(plan(), old, ("ctrler",)).plan.sockets


def test_part_without_a_pane_is_reported_and_kept() -> None:
    there = plan()
    changes = reconcile(
        there, there, {p.name: p.program for p in there.parts}, ("ctrler", "pri", "sec1", "sec2", "vm_r6")
    )
    assert not changes.start and changes.notes == ("vm_v11: runs, but its pane is gone: sppr restart vm_v11",)


def test_secondary_of_a_dead_primary_is_restarted() -> None:
    there = plan()
    changes = reconcile(there, there, {p.name: p.program for p in there.parts}, ALL, ("sec2",))
    assert (changes.start, changes.stop) == (("sec2",), ("sec2",)) and "pri" in changes.wait
    assert changes.notes == ("sec2: uses the memory of a previous primary, and is restarted",)


@pytest.mark.parametrize(
    ("names", "running", "start", "stop", "wait"),
    [
        (("sec1",), ALL, ("sec1",), ("sec1",), ("pri",)),
        (("sec1",), ("ctrler", "pri"), ("sec1",), (), ("pri",)),
        (("pri",), ALL, ("pri", "sec1", "sec2"), ("pri", "sec1", "sec2"), ("ctrler",)),
        (("pri",), ("ctrler", "pri", "sec2"), ("pri", "sec2"), ("pri", "sec2"), ("ctrler",)),
        (("vm_v11",), ALL, ("vm_v11",), ("vm_v11",), ("sec1",)),
        (("ctrler",), ALL, ("ctrler",), ("ctrler",), ()),
    ],
)
def test_restart_includes_dependent_parts(
    names: tuple[str, ...],
    running: tuple[str, ...],
    start: tuple[str, ...],
    stop: tuple[str, ...],
    wait: tuple[str, ...],
) -> None:
    there = plan()
    chosen = with_secondaries(there, names, running)
    changes = replan(there, chosen, running, {})
    assert (changes.start, changes.stop, changes.wait) == (start, stop, wait)


def moved(key: str = "pri_port: 5555", to: str = "pri_port: 5556") -> Plan:
    """Return the plan of a conf.yml with one changed setting."""
    text = (ROOT / "conf.yml").read_text()
    assert key in text
    return plan(parse(text.replace(key, to).encode(), "c"))


@pytest.mark.parametrize(
    ("key", "to", "names", "running", "together"),
    [
        ("pri_port: 5555", "pri_port: 5555", ("ctrler",), ALL, []),
        ("pri_port: 5555", "pri_port: 5556", ("ctrler",), ALL, ["ctrler", "pri"]),
        ("pri_port: 5555", "pri_port: 5556", ("ctrler", "pri", "sec1", "sec2"), ALL, []),
        ("pri_port: 5555", "pri_port: 5556", ("sec1",), ALL, []),
        ("pri_port: 5555", "pri_port: 5556", ("pri", "sec1", "sec2"), ALL, ["ctrler"]),
        ("pri_port: 5555", "pri_port: 5556", ("ctrler", "pri"), (), []),
        ("sec_port: 6666", "sec_port: 6667", ("ctrler",), ALL, ["ctrler", "sec1", "sec2"]),
        ("sec_port: 6666", "sec_port: 6667", ("sec1",), ("ctrler", "pri", "sec2"), ["ctrler", "sec2"]),
        ("sec_port: 6666", "sec_port: 6667", ("vm_r6", "vm_v11"), ALL, []),
        ("host: 127.0.0.1", "host: 127.0.0.2", ("ctrler",), ALL, ["ctrler", "pri", "sec1", "sec2"]),
        ("host: 127.0.0.1", "host: 127.0.0.1\n  rest_port: 7788", ("ctrler",), ALL, []),
    ],
)
def test_controller_cannot_move_away_from_connected_parts(
    key: str, to: str, names: tuple[str, ...], running: tuple[str, ...], together: list[str]
) -> None:
    """A guest stays connected to our controller: QEMU connects to a unix socket."""
    there = plan()
    programs = {name: there.part(name).program for name in running}
    assert address_conflicts(moved(key, to), names, programs, there) == together


def test_restart_of_the_primary_applies_lab_settings() -> None:
    new_plan = moved("primary:", "primary:\n  memory: 640")
    assert replan(plan(), ["sec1"], ALL, {}, new_plan).plan.memory == 512
    assert replan(plan(), ["pri"], ALL, {}, new_plan).plan.memory == 640
    ports = moved()
    assert replan(plan(), ["pri"], ALL, {}, ports).plan.tcp_ports == plan().tcp_ports
    changes = replan(plan(), ["ctrler"], ("ctrler", "pri"), {}, ports)
    assert changes.plan.tcp_ports == ports.tcp_ports and changes.plan.part("pri") == plan().part("pri")
    idle = replan(plan(), ["ctrler"], ("ctrler",), {}, ports)
    assert idle.plan.part("pri") == ports.part("pri"), "a stopped part is recorded as in conf.yml"


def test_restart_applies_the_changed_part() -> None:
    new = replace(plan().part("sec1"), program=("/x",))
    assert replan(plan(), ["sec1"], ALL, {"sec1": new}).plan.part("sec1") == new


@pytest.mark.parametrize(
    ("runs", "planned", "message"),
    [
        (["p", "-l", "1,2"], ["p", "-l", "1,2"], None),
        (["p", "-l", "1,2"], ["p", "-l", "1,3"], "runs with -l 1,2, but conf.yml and the flags specify -l 1,3"),
        (["p", "-a"], ["p", "-a", "-b", "c d"], "runs without -b 'c d', which conf.yml and the flags specify"),
        (["p", "-a"], ["q", "-a"], "runs with p, but conf.yml and the flags specify q"),
        (["p", "--", "-n", "1"], ["p", "--"], "runs with -n 1, which conf.yml and the flags do not specify"),
    ],
)
def test_difference_names_the_options(runs: list[str], planned: list[str], message: str | None) -> None:
    assert difference(runs, planned) == message


def test_changed_restart_policy_is_reported() -> None:
    old = plan()
    new_plan = replace(old, parts=tuple(replace(p, restarts=3) if p.name == "sec1" else p for p in old.parts))
    assert do(new_plan, old, ALL).notes == (
        "sec1: runs with restart: no, but conf.yml specifies restart: on-failure (max 3, delay 1): sppr restart sec1",
    )
    assert do(new_plan, new_plan, ALL).notes == ()
