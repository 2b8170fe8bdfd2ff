"""Impairments of chains: in the wiring, in the difference to the observed state, and in the bounds of a proof."""

import random
from dataclasses import replace

import pytest

from sppr.errors import SpprError
from sppr.lab.chains import impair
from sppr.lab.chains.observe import Impaired, Observed, ProcessStatus, chain_state, parse_status
from sppr.lab.chains.proof.impairments import BOUND, bounds
from sppr.lab.chains.reconcile import steps
from tests.unit.lab.test_chain_planner import TWO, planned

PLAN = planned(TWO + "chains: {web: {path: [tap:0, vm_v11, tap:1], impair: {loss: gemodel 1% 10%, delay: 20ms}}}")
WEB = PLAN.wiring.chain("web")
WORDS = "delay=20ms loss=gemodel,1%,10%"


def observed(*found: tuple[str, str]) -> Observed:
    """Every patch exists, with these impairments by source."""
    processes: dict[str, ProcessStatus] = {}
    for leg in WEB.legs:
        one = processes.get(leg.process, ProcessStatus(running=True))
        ports = one.ports | {leg.src, leg.dst}
        processes[leg.process] = replace(one, ports=ports, patches={**one.patches, leg.source: leg.dst})
    rows = {source: Impaired(words) for source, words in found}
    processes["nfv:2"] = replace(processes["nfv:2"], impairments=rows)
    return Observed(processes)


def test_first_patch_of_each_direction_is_impaired() -> None:
    assert [(leg.src, leg.impair) for leg in WEB.legs if leg.impair] == [("tap:0", WORDS), ("tap:1", WORDS)]


def test_missing_and_wrong_impairments_are_set_after_the_patches() -> None:
    seen = observed(
        ("tap:0", "delay=20000us loss=gemodel,1%,10%,100%"), ("tap:1", "delay=1ms"), ("vhost:11", "loss=1%")
    )
    assert [str(step) for step in steps(PLAN.wiring, seen)] == [
        f"nfv:2; impair tap:1 {WORDS}", "nfv:2; impair vhost:11 off",
    ]  # fmt: skip
    assert chain_state(WEB, PLAN.wiring, seen) == (
        "degraded",
        [
            f"nfv:2: tap:1 -> vhost:111 has the impairment delay=1ms, not {WORDS}",
            "nfv:2: vhost:11 -> tap:0 has the impairment loss=1%, not none",
        ],
    )


def test_new_patch_is_impaired_although_the_former_one_was() -> None:
    seen = observed(("tap:0", WORDS), ("tap:1", WORDS))
    one = seen.statuses["nfv:2"]
    wrong = replace(one, patches={**one.patches, "tap:0": "tap:1"})
    changed = [str(step) for step in steps(PLAN.wiring, Observed({**seen.statuses, "nfv:2": wrong}))]
    assert changed == ["nfv:2; patch tap:0 vhost:11", f"nfv:2; impair tap:0 {WORDS}"]


def test_wiring_keeps_an_impairment_that_was_set_while_the_lab_runs() -> None:
    found = impair.patches(PLAN.wiring, PLAN.parts, "web")
    assert [(patch.by, patch.source) for patch in found] == [("sec2", "tap:0"), ("sec2", "tap:1")]
    changed = impair.impaired(PLAN.wiring, found[:1], "delay=1ms").chain("web")
    assert [leg.impair for leg in changed.legs if leg.impair] == ["delay=1ms", WORDS]
    assert [leg.impair for leg in impair.impaired(PLAN.wiring, found, "off").legs if leg.impair] == []


def test_single_patch_is_named_by_its_part_and_match() -> None:
    assert impair.patches(PLAN.wiring, PLAN.parts, "sec1:tap:0", "vlan=5") == [
        impair.Patch("nfv:1", "sec1", "tap:0 vlan=5")
    ]
    assert impair.patches(PLAN.wiring, PLAN.parts, "pri:tap:0", "default") == [impair.Patch("primary", "pri", "tap:0")]
    for target in ("sec9:tap:0", "sec1", "sec1:tap", "vm_v11:phy:0", "ctrler:tap:0"):
        with pytest.raises(SpprError):
            impair.patches(PLAN.wiring, PLAN.parts, target)


def test_primary_holds_what_the_chains_may_hold() -> None:
    def held(impairment: str) -> str | None:
        plan = planned(TWO + f"chains: {{web: {{path: [tap:0, tap:1], impair: {impairment}}}}}")
        program = plan.part("pri").program
        return program[program.index("--held-frames") + 1] if "--held-frames" in program else None

    assert held("{delay: 1ms}") == "30000" and held("{delay: 1ms, limit: 50000}") == "110000"
    assert held("{loss: 1%, limit: 100}") is None


def test_status_has_impairments_and_their_counters() -> None:
    row = {"src": "tap:0", "dst": "tap:1", "match": "vlan=5", "impair": "loss=1%"}
    status = parse_status({"patches": [{**row, "impaired": {"offered": 100, "lost": 2, "overflow": 1, "sent": 97}}]})
    found = status.impairments["tap:0 vlan=5"]
    assert (found.words, found.offered, found.dropped) == ("loss=1%", 100, 3)


@pytest.mark.parametrize(("probability", "gap"), [(0.01, 1), (0.5, 1), (0.25, 5), (1.0, 3)])
def test_bounds_hold_for_a_fair_generator(probability: float, gap: int) -> None:
    generator, outside = random.Random(5), 0  # noqa: S311
    for _ in range(200):
        hits, since = 0, gap
        for _ in range(2000):
            hit = since >= gap - 1 and generator.random() < probability
            hits, since = hits + hit, 0 if hit else since + 1
        _, low, high = bounds(2000, probability, BOUND, gap)
        outside += not low <= hits / 2000 <= high
    assert outside <= 2
    share, low, high = bounds(2000, probability, BOUND, gap)
    assert low <= share <= high and (high - low) < 0.1
