"""conf.yml -> the wiring of its service chains."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import combinations
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sppr.config.chains import is_port
from sppr.config.load import parse
from sppr.config.model import Config
from sppr.errors import ConfigError
from sppr.host.facts import Facts
from sppr.lab.chains import wiring
from sppr.lab.chains.planner import chains
from sppr.lab.chains.wiring import ChainWiring, Leg
from sppr.lab.plan.plan import Flags, Plan
from sppr.lab.plan.planner import make
from tests.unit.lab.test_plan import paths
from tests.unit.lab.walk import walk

TWO = """
secondaries: [{id: 1, coremask: 0x0C}, {id: 2, coremask: 0x30}]
vms_ring: [{id: 6, secondary: 1}]
vms_vhost: [{id: 11, secondary: 2}, {id: 12}]
"""


def planned(text: str, **flags: int) -> Plan:
    config = parse(text.encode(), "conf.yml")
    counts = {
        "nof_sec": len(config.secondaries), "nof_ring": len(config.vms_ring), "nof_vhost": len(config.vms_vhost)
    }  # fmt: skip
    return make(config, Flags(**{**counts, **flags}), Facts(cpus=(0, 1)), paths())


def lines(legs: Sequence[Leg]) -> list[str]:
    return [f"{leg.by} {leg.src} {leg.dst}" for leg in legs]


def test_chain_has_the_patches_of_the_document() -> None:
    """A ring VM and a vhost VM, served by two secondaries: the patches that docs/chain.md makes by hand."""
    plan = planned(TWO + "chains: {web: {path: [tap:0, vm_r6, vm_v11, tap:1]}}")
    (chain,) = plan.wiring.chains
    assert lines(chain.forward) == [
        "sec1 tap:0 ivshmem:6",
        "vm_r6 ring:0 ring:1",
        "sec1 ivshmem:106 ring:0",
        "sec2 ring:0 vhost:11",
        "vm_v11 phy:0 phy:1",
        "sec2 vhost:111 tap:1",
    ]
    assert lines(chain.reverse) == [
        "sec2 tap:1 vhost:111",
        "vm_v11 phy:1 phy:0",
        "sec2 vhost:11 ring:1",
        "sec1 ring:1 ivshmem:106",
        "vm_r6 ring:1 ring:0",
        "sec1 ivshmem:6 tap:0",
    ]
    assert [leg.hop for leg in chain.forward] == [1, 0, 2, 2, 0, 3]
    assert [leg.hop for leg in chain.reverse] == [3, 0, 2, 2, 0, 1]
    assert plan.part("vm_r6").ports == ("ivshmem:6", "ivshmem:106")
    assert plan.part("vm_v12").ports == ("vhost:12",), "no chain needs more of it"


def test_one_way_chain_has_no_reverse_path_and_half_the_rings() -> None:
    plan = planned(TWO + "chains: {web: {path: [tap:0, vm_r6, vm_v11, tap:1], direction: forward}}")
    (chain,) = plan.wiring.chains
    assert chain.reverse == () and plan.wiring.rings == ["ring:0"]


def test_vm_at_an_end_terminates_the_chain() -> None:
    (chain,) = planned(TWO + "chains: {c: {path: [vm_r6, vm_v11]}}").wiring.chains
    assert lines(chain.forward) == ["sec1 ivshmem:6 ring:0", "sec2 ring:0 vhost:11"]


def test_guest_with_other_software_gets_no_patches() -> None:
    (chain,) = planned(TWO + "chains: {c: {path: [tap:0, vm_v11, tap:1], functions: {vm_v11: guest}}}").wiring.chains
    assert [(leg.by, leg.own) for leg in chain.forward] == [("sec2", False), ("vm_v11", True), ("sec2", False)]


def test_two_chains_through_one_vm_have_separate_ports() -> None:
    text = TWO + "chains: {a: {path: [tap:0, vm_v11, tap:1]}, b: {path: [nullpmd:0, vm_v11]}}"
    plan = planned(text)
    assert plan.part("vm_v11").ports == ("vhost:11", "vhost:111", "vhost:211")
    assert lines(plan.wiring.chain("b").forward) == ["sec2 nullpmd:0 vhost:211"]


def test_hop_between_ports_uses_the_secondary_with_fewest_patches() -> None:
    text = TWO + "chains: {a: {path: [tap:0, vm_r6, tap:1]}, b: {path: [nullpmd:0, nullpmd:1]}}"
    assert lines(planned(text).wiring.chain("b").forward) == ["sec2 nullpmd:0 nullpmd:1"]


def test_via_selects_the_secondary_of_a_vm() -> None:
    plan = planned(TWO + "chains: {a: {path: [tap:0, vm_v12, tap:1], via: [sec2, sec2]}}")
    assert plan.part("vm_v12").server == "nfv:2"
    assert {leg.by for leg in plan.wiring.chain("a").forward} == {"sec2", "vm_v12"}


def test_via_between_two_vms_can_match_either_secondary() -> None:
    for via in ("[sec1, sec1, sec2]", "[sec1, sec2, sec2]"):
        plan = planned(TWO + f"chains: {{a: {{path: [tap:0, vm_r6, vm_v12, tap:1], via: {via}}}}}")
        assert plan.part("vm_v12").server == "nfv:2"


def test_contradictory_via_is_refused_with_its_location() -> None:
    with pytest.raises(ConfigError) as e:
        planned(TWO + "chains: {a: {path: [tap:0, vm_v12, tap:1], via: [sec1, sec2]}}")
    assert e.value.key == ("chains", "a", "via", 1)
    assert e.value.what == "sec2 cannot reach the ports of vm_v12: sec1 serves them"


def test_primary_forwards_without_secondaries_if_it_has_an_lcore() -> None:
    text = "vms_vhost: [{id: 11}]\nchains: {a: {path: [tap:0, vm_v11, tap:1]}}\n"
    plan = planned(text + "primary: {coremask: 0x03}")
    assert {leg.process for leg in plan.wiring.chain("a").forward if leg.hop} == {"primary"}
    plan = planned(text + "primary: {coremask: 0x01}")
    assert plan.wiring.chains == () and "no lcore that forwards" in plan.wiring.left_out[0].why


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ({"nof_ring": 0}, "vm_r6 is not in this lab"),
        ({"nof_ring": 0, "nof_vhost": 0}, "vm_r6, vm_v11 are not in this lab"),
        ({"nof_vhost": 0}, "vm_v11 is not in this lab"),
    ],
)
def test_chain_with_unrequested_parts_is_left_out(flags: dict[str, int], why: str) -> None:
    plan = planned(TWO + "chains: {web: {path: [tap:0, vm_r6, vm_v11, tap:1]}}", **flags)
    assert plan.wiring.chains == () and [left.why for left in plan.wiring.left_out] == [why]


def test_ports_of_a_vm_are_independent_of_the_chains_in_the_lab() -> None:
    text = TWO + "chains: {a: {path: [tap:0, vm_r6, vm_v11]}, b: {path: [nullpmd:0, vm_v11]}}"
    assert lines(planned(text, nof_ring=0).wiring.chain("b").forward) == lines(planned(text).wiring.chain("b").forward)


def test_chain_of_a_running_vm_with_too_few_ports_is_left_out() -> None:
    text = TWO + "chains: {a: {path: [tap:0, vm_v11, tap:1]}}"
    plan = planned(text)
    parts = [replace(p, ports=p.ports[:1]) if p.name == "vm_v11" else p for p in plan.parts]
    (left,) = chains(parse(text.encode(), "conf.yml"), parts).left_out
    assert left.why == "vm_v11 has 1 of the 2 ports that its chains need: sppr restart vm_v11"


def test_too_few_rings_are_refused_with_the_location() -> None:
    with pytest.raises(ConfigError) as e:
        planned(TWO + "primary: {rings: 1}\nchains: {web: {path: [tap:0, vm_r6, vm_v11, tap:1]}}")
    assert e.value.key == ("chains", "web", "path", 1) and "too few rings: primary.rings is 1" in e.value.what


def test_port_limit_of_a_secondary_is_checked() -> None:
    many = ", ".join(f"c{n}: {{path: [nullpmd:{2 * n}, nullpmd:{2 * n + 1}]}}" for n in range(130))
    with pytest.raises(ConfigError) as e:
        planned("secondaries: [{id: 1, coremask: 0x0C}]\nchains: {" + many + "}")
    assert "sec1 would have 258 ports, but the limit is 256" in e.value.what and e.value.key[:1] == ("chains",)


def test_ring_of_a_capture_is_not_used() -> None:
    text = TWO.replace(
        "{id: 2, coremask: 0x30}", "{id: 2, coremask: 0x30}, {id: 3, coremask: 0x1C0, type: pcap, port: ring:0}"
    )
    config = Config.model_validate(
        yaml.safe_load(text.replace("0x", "")) | {"chains": {"c": {"path": ["vm_r6", "vm_v11"]}}}
    )
    made = chains(config, planned(TWO + "chains: {c: {path: [vm_r6, vm_v11]}}").parts)
    assert made.rings == ["ring:1", "ring:2"]


def test_wiring_is_unchanged_by_json() -> None:
    made = planned(
        TWO + "chains: {web: {path: [tap:0, vm_r6, vm_v11]}, b: {path: [tap:1, vm_v12]}}", nof_vhost=1
    ).wiring
    assert made.chains and made.left_out
    assert msgspec.json.decode(json.dumps(asdict(made)), type=wiring.Wiring) == made


@st.composite
def labs(draw: st.DrawFn) -> dict[str, Any]:
    """A conf.yml with random secondaries, VMs and chains."""
    secondaries = draw(st.integers(0, 4))
    ring, vhost = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    server = st.none() if not secondaries else st.none() | st.integers(1, secondaries)

    def vm(number: int) -> dict[str, int]:
        named = draw(server)
        return {"id": number} | ({"secondary": named} if named else {})

    names = [f"vm_r{10 + n}" for n in range(ring)] + [f"vm_v{20 + n}" for n in range(vhost)]
    free = [f"{kind}:{n}" for kind in ("tap", "nullpmd", "memif") for n in range(4)]
    found: dict[str, Any] = {}
    for n in range(draw(st.integers(1, 5))):
        inner = draw(st.lists(st.sampled_from(names), unique=True, max_size=4)) if names else []
        ends = draw(st.integers(0 if len(inner) > 1 else 2 - len(inner), 2))
        path = [*([free.pop()] if ends else []), *inner, *([free.pop()] if ends == 2 else [])]
        found[f"c{n}"] = {"path": path, "direction": draw(st.sampled_from(["both", "forward"]))}
    return {
        "primary": {"rings": draw(st.integers(1, 98))},
        "secondaries": [{"id": n + 1, "coremask": f"{3 << (2 * n + 2):x}"} for n in range(secondaries)],
        "vms_ring": [vm(10 + n) for n in range(ring)],
        "vms_vhost": [vm(20 + n) for n in range(vhost)],
        "chains": found,
    }


def make_lab(lab: dict[str, Any]) -> Plan | None:
    """The plan; None where its rings do not suffice."""
    try:
        return planned(yaml.safe_dump(lab))
    except ConfigError as e:
        assert "too few rings" in e.what
        return None


def goes_through(plan: Plan, legs: Sequence[Leg], of: Sequence[Leg]) -> bool:
    """Whether a frame that enters where ``of`` begins meets just the patches of ``of``, when ``legs`` are patched."""
    met = list(walk(legs, plan.parts, (of[0].process, of[0].src)))
    return met == [(leg.process, leg.dst) for leg in of]


@pytest.mark.property
@settings(max_examples=150, deadline=None)
@given(labs())
def test_paths_are_connected_and_ports_used_once(lab: dict[str, Any]) -> None:
    plan = make_lab(lab)
    if plan is None:
        return
    every = [leg for chain in plan.wiring.chains for leg in chain.legs]
    for side in ("src", "dst"):
        used = Counter((leg.process, getattr(leg, side)) for leg in every)
        assert not [place for place, count in used.items() if count > 1]
    rings = Counter((leg.src, "src") for leg in every if leg.hop and leg.src.startswith("ring:"))
    rings += Counter((leg.dst, "dst") for leg in every if leg.hop and leg.dst.startswith("ring:"))
    assert all(count == 1 for count in rings.values()), "each side of a ring has one user"
    assert len(plan.wiring.rings) <= lab["primary"]["rings"]
    for chain in plan.wiring.chains:
        for _, legs in chain.directions:
            assert goes_through(plan, every, legs)
        through = [leg.by for leg in chain.forward if not leg.hop]
        assert through == [element for element in chain.path[1:-1] if not is_port(element)]


def swapped(chain: ChainWiring, one: int, other: int) -> list[Leg]:
    """The patches of a chain, two of them with each other's destination."""
    legs = list(chain.legs)
    legs[one], legs[other] = (
        replace(legs[one], process=legs[other].process, src=legs[other].src),
        replace(legs[other], process=legs[one].process, src=legs[one].src),
    )
    return legs


def test_two_swapped_patches_break_the_chain() -> None:
    plan = planned(TWO + "chains: {web: {path: [tap:0, vm_r6, vm_v11, tap:1]}}")
    chain = plan.wiring.chain("web")
    for one, other in combinations(range(len(chain.legs)), 2):
        legs = swapped(chain, one, other)
        if chain.legs[one].dst == chain.legs[other].dst:  # ring:0 of the host and ring:0 of a guest
            continue
        assert not all(goes_through(plan, legs, of) for of in (chain.forward, chain.reverse)), (legs[one], legs[other])


def test_kept_chain_keeps_its_ports() -> None:
    kept = planned(TWO + "chains: {old: {path: [tap:0, vm_v11, tap:1]}}")
    config = parse((TWO + "chains: {new: {path: [tap:3, vm_v12]}}").encode(), "conf.yml")
    made = chains(config, kept.parts, kept.wiring.chains)
    assert [chain.name for chain in made.chains] == ["new", "old"]
    config = parse((TWO + "chains: {new: {path: [nullpmd:0, vm_v11]}}").encode(), "conf.yml")
    with pytest.raises(ConfigError, match="vhost:11 belongs to chain old, which is kept"):
        chains(config, kept.parts, kept.wiring.chains)
    config = parse((TWO + "chains: {new: {path: [tap:0, nullpmd:5], via: [sec1]}}").encode(), "conf.yml")
    with pytest.raises(ConfigError, match="tap:0 belongs to chain old, which is kept"):
        chains(config, kept.parts, kept.wiring.chains)


@pytest.mark.parametrize(
    ("patch", "taken"),
    [
        ("sec1: tap:1 -> nullpmd:0", "tap:1 of sec1"),
        ("sec2: nullpmd:0 -> vhost:11", "vhost:11 of sec2"),
        ("sec1: vhost:11 -> nullpmd:0", ""),
        ("vm_v12: phy:0 -> phy:1", ""),
    ],
)
def test_patch_on_a_chain_port_is_refused_in_every_sharing_process(patch: str, taken: str) -> None:
    text = TWO + f"chains: {{web: {{path: [tap:0, vm_v11, tap:1]}}}}\npatches: [{{{patch}}}]\n"
    if taken:
        with pytest.raises(ConfigError, match=f"{taken} belongs to chain web"):
            planned(text)
    else:
        assert len(planned(text).wiring.patches) == 1
