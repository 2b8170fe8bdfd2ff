"""The running lab saved as conf.yml, and loaded again."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sppr.config.load import parse
from sppr.config.model import Config
from sppr.host.facts import Facts
from sppr.lab.chains.observe import Observed, ProcessStatus
from sppr.lab.chains.reconcile import steps
from sppr.lab.chains.save import recipe, save
from sppr.lab.plan.plan import Flags, Plan
from sppr.lab.plan.planner import make
from tests.unit.lab.test_chain_planner import TWO
from tests.unit.lab.test_chain_reconcile import after
from tests.unit.lab.test_plan import paths

#: Two ports for each VM, so that chains by hand have a way through them.
LAB = TWO.replace("{id: 6,", "{id: 6, rings: [6, 106],").replace("{id: 11,", "{id: 11, vhosts: [11, 111],")


def lab(extra: str) -> tuple[Config, Plan]:
    config = parse((LAB + extra).encode(), "conf.yml")
    return config, make(config, Flags(2, 1, 2), Facts(cpus=(0, 1)), paths())


def fresh(plan: Plan) -> Observed:
    """Return the status of the parts after bring-up."""
    ports: dict[str, set[str]] = {f"nfv:{n}": {"tap:0", "tap:1"} for n in (1, 2)} | {"primary": {"tap:0", "tap:1"}}
    for part in plan.parts:
        if part.is_vm:
            ports[part.server] |= set(part.ports)
            kind = "ring" if part.role == "vm_ring" else "phy"
            ports[f"nfv:{part.id}"] = {f"{kind}:{n}" for n in range(len(part.ports))}
    return Observed({name: ProcessStatus(frozenset(found)) for name, found in ports.items()})


def wired(extra: str) -> tuple[Config, Plan, Observed]:
    config, plan = lab(extra)
    observed = fresh(plan)
    return config, plan, after(observed, steps(plan.wiring, observed))


def saved(extra: str) -> str:
    config, plan, observed = wired(extra)
    return save(config, plan.wiring, plan.parts, observed).text()


WEB = """chains:
  web:
    path: [tap:0, vm_r6, vm_v11, tap:1]
    ends:
      tap:0: { netns: client, address: 10.20.0.1/24 }
"""


def test_chain_of_conf_yml_is_saved_in_its_form() -> None:
    assert saved(WEB) == WEB
    other = "chains:\n  c:\n    path: [tap:0, vm_v11, tap:1]\n    direction: forward\n    via: [sec2, sec2]\n"
    assert saved(other + "    functions: { vm_v11: guest }\n") == other + "    functions: { vm_v11: guest }\n"


def test_manual_patches_of_a_chain_are_saved_as_a_chain() -> None:
    _, plan, observed = wired(WEB)
    config, _ = lab("")
    text = save(config, plan.wiring, plan.parts, observed).text()
    assert text == "chains:\n  chain1:\n    path: [tap:0, vm_r6, vm_v11, tap:1]\n"


def test_other_patches_are_saved_literally() -> None:
    extra = """patches:
  - sec1: tap:0 -> ring:5
  - sec1: nullpmd:3
  - sec2: ring:5 -> vhost:12
  - sec2: idle
  - vm_v11: phy:0 -> phy:0
"""
    assert yaml.safe_load(saved(extra)) == yaml.safe_load(extra)


def test_chain_with_other_rings_than_planned_is_saved_literally() -> None:
    """ring:7 joins the secondaries, and the planner takes ring:0."""
    config, plan = lab("")
    seen = dict(fresh(plan).statuses)
    for name, patches in (("nfv:1", {"tap:0": "ring:7"}), ("nfv:2", {"ring:7": "tap:1"})):
        seen[name] = ProcessStatus(seen[name].ports | {"ring:7"}, patches, running=True)
    text = save(config, plan.wiring, plan.parts, Observed(seen)).text()
    assert yaml.safe_load(text) == {"patches": [{"sec1": "tap:0 -> ring:7"}, {"sec2": "ring:7 -> tap:1"}]}


def test_recipe_adds_ports_then_patches_then_forwards() -> None:
    _, plan, observed = wired(WEB)
    lines = recipe(plan.parts, observed)
    assert lines[:2] == ["nfv 1; add ring:0", "nfv 1; add ring:1"] and lines[-1].endswith("; forward")
    assert "nfv 6; patch ring:0 ring:1" in lines and len([x for x in lines if "patch" in x]) == 12
    assert not [line for line in lines if "add vhost" in line or "add ivshmem" in line or "add tap" in line]


PORTS = [
    "tap:0",
    "tap:1",
    "ring:3",
    "ring:4",
    "nullpmd:1",
    "ivshmem:6",
    "ivshmem:106",
    "vhost:11",
    "vhost:111",
    "vhost:12",
]
ENTRIES = st.sampled_from(["sec1", "sec2"]).flatmap(
    lambda part: st.tuples(st.just(part), st.sampled_from(PORTS), st.sampled_from(PORTS))
)


@pytest.mark.property
@settings(max_examples=150, deadline=None)
@given(st.lists(ENTRIES, max_size=8, unique_by=lambda entry: (entry[0], entry[1])), st.booleans())
def test_loading_a_saved_lab_gives_the_same_lab(entries: list[tuple[str, str, str]], with_chain: bool) -> None:
    """For any manual patches, including patches of the chain's ports."""
    config, plan = lab(WEB if with_chain else "")
    seen = dict(fresh(plan).statuses)
    observed = Observed(seen)
    observed = after(observed, steps(plan.wiring, observed))
    seen = dict(observed.statuses)
    for part, src, dst in entries:
        name = f"nfv:{part[3:]}"
        one = seen[name]
        if {src, dst} - one.ports - {"ring:3", "ring:4", "nullpmd:1"}:
            continue  # a port of a VM that the other secondary serves
        seen[name] = ProcessStatus(one.ports | {src, dst}, {**one.patches, src: dst}, running=one.running)
    observed = Observed(seen)
    text = save(config, plan.wiring, plan.parts, observed).text()
    _, again = lab(text)
    loaded = after(fresh(again), steps(again.wiring, fresh(again)))
    for name, one in observed.statuses.items():
        assert loaded.statuses[name].patches == one.patches, (name, text)
        used = {*one.patches, *one.patches.values()}
        assert used <= loaded.statuses[name].ports and loaded.statuses[name].running == one.running, (name, text)
    reread, _ = lab(text)
    assert save(reread, again.wiring, again.parts, loaded).text() == text
