"""Chains with ``match``: planned, compared with the observed state, saved, and the frames that prove them."""

from dataclasses import dataclass, replace

import pytest

from sppr.errors import ConfigError
from sppr.lab.chains import status
from sppr.lab.chains.observe import Counters, Observed, ProcessStatus, chain_state, drift
from sppr.lab.chains.planner import chains as plan_chains
from sppr.lab.chains.proof import classes, prove
from sppr.lab.chains.proof.result import Options, Proof, Run
from sppr.lab.chains.reconcile import steps
from sppr.lab.chains.wiring import ChainWiring, Leg
from tests.unit.lab.test_chain_planner import TWO, planned

MAC = "02:00:00:00:00:21"
CHAINS = f"""chains:
  video: {{path: [tap:0, vm_v11, tap:1], match: {{vlan: 100}}}}
  web: {{path: [tap:0, vm_r6, tap:1], match: {{dst_mac: "{MAC.upper()}", vlan: 7}}}}
  rest: {{path: [tap:0, tap:1], match: default}}
"""
PLAN = planned(TWO + CHAINS)
WIRING = PLAN.wiring


def lines(legs: tuple[Leg, ...]) -> list[str]:
    return [f"{leg.by} {leg.source} {leg.dst}" for leg in legs if leg.hop]


def test_one_secondary_reads_and_fills_a_shared_end() -> None:
    """The secondary of VM 11 has both taps. A ring leads to the other secondary, and a ring back."""
    assert lines(WIRING.chain("video").forward) == ["sec2 tap:0 vlan=100 vhost:11", "sec2 vhost:111 tap:1"]
    assert lines(WIRING.chain("video").reverse) == ["sec2 tap:1 vlan=100 vhost:111", "sec2 vhost:11 tap:0"]
    assert lines(WIRING.chain("web").forward) == [
        f"sec2 tap:0 vlan=7 dst_mac={MAC} ring:0",
        "sec1 ring:0 ivshmem:6",
        "sec1 ivshmem:106 ring:2",
        "sec2 ring:2 tap:1",
    ]
    assert lines(WIRING.chain("web").reverse) == [
        f"sec2 tap:1 vlan=7 src_mac={MAC} ring:3",
        "sec1 ring:3 ivshmem:106",
        "sec1 ivshmem:6 ring:1",
        "sec2 ring:1 tap:0",
    ]
    assert lines(WIRING.chain("rest").forward) == ["sec2 tap:0 tap:1"]
    assert [leg.match for leg in WIRING.chain("rest").legs] == ["default", "default"]


def test_only_the_first_patch_of_a_direction_has_the_match() -> None:
    for chain in WIRING.chains:
        for _, legs in chain.directions:
            assert legs[0].match and not any(leg.match for leg in legs[1:])


def test_vm_at_an_end_is_not_classified() -> None:
    (chain,) = planned(TWO + "chains: {a: {path: [vm_v11, tap:0], match: {vlan: 5}}}").wiring.chains
    assert [leg.match for leg in chain.forward] == [""] and [leg.match for leg in chain.reverse] == ["vlan=5"]


def test_via_decides_which_secondary_reads_a_shared_end() -> None:
    text = CHAINS.replace("match: default", "match: default, via: [sec1]")
    with pytest.raises(ConfigError, match="sec1 cannot reach tap:0: sec2 reads it for another chain") as error:
        planned(TWO + text)
    assert error.value.key == ("chains", "rest", "via", 0)
    one = planned(TWO + "chains: {a: {path: [tap:0, tap:1], match: default, via: [sec2]}}").wiring
    assert {leg.by for leg in one.legs} == {"sec2"}


def test_kept_chain_shares_its_ends_only_with_other_classes() -> None:
    kept = [WIRING.chain("video")]
    config = planned(TWO + "chains: {rest: {path: [tap:0, tap:1], match: default, via: [sec2]}}").wiring
    assert config.chains
    conf = "chains: {%s: {path: [tap:0, vm_v12, tap:1]%s}}"
    for match, refused in (("", True), (", match: {vlan: 100}", True), (", match: {vlan: 5}", False)):
        plan = planned(TWO.replace("{id: 12}", "{id: 12, secondary: 2}") + conf % ("other", match))
        parsed = plan_of(conf % ("other", match))
        if refused:
            with pytest.raises(ConfigError, match="belongs to chain video"):
                plan_chains(parsed, plan.parts, kept)
        else:
            assert len(plan_chains(parsed, plan.parts, kept).chains) == 2


def plan_of(text: str):  # type: ignore[no-untyped-def]
    from sppr.config.load import parse

    return parse((TWO.replace("{id: 12}", "{id: 12, secondary: 2}") + text).encode(), "conf.yml")


def observed() -> Observed:
    """Every patch of the plan exists, and every process forwards."""
    processes: dict[str, ProcessStatus] = {}
    for leg in WIRING.legs:
        one = processes.get(leg.process, ProcessStatus(running=True))
        ports = one.ports | {leg.src, leg.dst}
        processes[leg.process] = replace(one, ports=ports, patches={**one.patches, leg.source: leg.dst})
    return Observed(processes)


def with_patch(source: str, dst: str) -> Observed:
    seen = observed()
    one = seen.statuses["nfv:2"]
    statuses = {**seen.statuses, "nfv:2": replace(one, patches={**one.patches, source: dst})}
    return replace(seen, statuses=statuses)


def test_applied_chains_need_no_step_and_have_no_drift() -> None:
    assert steps(WIRING, observed()) == []
    for chain in WIRING.chains:
        assert chain_state(chain, WIRING, observed()) == ("up", [])


def test_foreign_match_at_a_shared_end_is_removed() -> None:
    seen = with_patch("tap:0 vlan=101", "vhost:11")
    assert drift(WIRING.chain("video"), WIRING, seen) == [("nfv:2", "tap:0 vlan=101", "vhost:11")]
    assert [str(step) for step in steps(WIRING, seen)] == ["nfv:2; patch reset tap:0 vlan=101"]


def test_wrong_destination_of_a_match_is_corrected_alone() -> None:
    seen = with_patch("tap:0 vlan=100", "tap:1")
    assert [str(step) for step in steps(WIRING, seen)] == ["nfv:2; patch tap:0 vhost:11 vlan=100"]
    assert chain_state(WIRING.chain("video"), WIRING, seen)[0] == "degraded"
    assert chain_state(WIRING.chain("rest"), WIRING, seen)[1] == []


def test_chain_is_counted_where_no_other_chain_passes() -> None:
    video, rest = WIRING.chain("video"), WIRING.chain("rest")
    assert video.counted(video.forward[0]) == ("vhost:11", "tx") and video.counted(video.forward[-1]) == (
        "vhost:111",
        "rx",
    )
    assert rest.counted(rest.forward[0]) is None
    counters = {
        "tap:0": Counters(rx=100, rx_drop=9),
        "tap:1": Counters(tx=99, tx_drop=5),
        "vhost:11": Counters(tx=7),
        "vhost:111": Counters(rx=6),
    }
    seen = Observed({"nfv:2": ProcessStatus(counters=counters)})
    rows = [row for row in status.legs(video, seen) if row.direction == "forward" and row.hop]
    assert [(row.frames, row.dropped) for row in rows] == [(7, 0), (6, 0)]
    assert [(row.frames, row.dropped) for row in status.legs(rest, seen)] == [(None, None), (None, None)]


def test_plain_chain_is_counted_at_its_far_end() -> None:
    leg = Leg("nfv:1", "sec1", "tap:0", "tap:1", 1)
    chain = ChainWiring("a", ("tap:0", "tap:1"), (leg,))
    assert chain.counted(leg) == ("tap:1", "tx") and not chain.is_classified


def test_classes_of_the_frames_of_a_proof() -> None:
    found = classes.headers(WIRING.chain("web"))
    assert found["forward"] == {"dst_mac": MAC, "vlan": 7}
    assert found["reverse"]["src_mac"] == MAC and found["reverse"]["vlan"] == 7 and found["reverse"]["dst_mac"] != MAC
    assert set(classes.headers(WIRING.chain("rest"))["forward"]) == {"dst_mac"}
    first = WIRING.chain("video").forward[0]
    assert classes.other_matches(WIRING, first) == [f"vlan=7 dst_mac={MAC}", "default"]


def test_frames_of_no_class_exist_only_without_a_default() -> None:
    assert classes.of_no_chain(["vlan=4094", "default"]) == {}
    found = classes.of_no_chain(["vlan=4094 dst_mac=02:00:00:00:00:01"])
    assert list(found) == ["without a VLAN tag", "of VLAN 4093"] and found["of VLAN 4093"]["vlan"] == 4093


def test_frames_that_a_chain_must_not_take() -> None:
    found = classes.others("vlan=5", [f"dst_mac={MAC}", "vlan=6"])
    assert [(one.name, one.taken, one.is_random) for one in found] == [
        (f"of another class (dst_mac={MAC})", True, False),
        ("of another class (vlan=6)", True, True),
        ("of no class (without a VLAN tag)", False, True),
        ("of no class (of VLAN 4094)", False, True),
    ]
    assert [one.name for one in classes.others("default", ["vlan=6"])] == ["of another class (vlan=6)"]


@dataclass
class Runs:
    """The probes of a proof, of which these frames arrive at the end of the chain and at the other chains."""

    received: int
    sent: int
    stray: int

    def frames_of_class(self, direction: str, *_: object) -> Run:
        return Run(direction, 100, self.sent, self.received, 0, 0, 0, 0, 0, 64, {}, 1.0)

    def strayed(self, _direction: str) -> int:
        return self.stray


@pytest.mark.parametrize(
    ("runs", "taken", "verdict", "reason"),
    [
        (Runs(0, 100, 100), True, "pass", ""),
        (Runs(0, 100, 0), False, "pass", ""),
        (Runs(1, 100, 99), True, "fail", "forward: 1 of 100 frames x arrived"),
        (Runs(0, 100, 99), True, "fail", "forward: another chain of tap:0 took 99 of 100 frames x"),
        (Runs(0, 100, 1), False, "fail", "forward: another chain of tap:0 took 1 of 100 frames x"),
        (Runs(0, 90, 90), True, "inconclusive", "forward: only 90 of 100 frames x were sent"),
    ],
)
def test_wrong_class_that_arrives_anywhere_is_a_failure(runs: Runs, taken: bool, verdict: str, reason: str) -> None:
    result = Proof("video", 2)
    prover = prove._Prover(None, WIRING.chain("video"), runs, {}, Options(), result)  # type: ignore[arg-type]
    prover._send_class(runs, "forward", classes.Other("x", {}, taken=taken, is_random=True))  # type: ignore[arg-type]
    assert result.verdict == verdict and "".join(result.reasons) == reason


def test_tag_makes_a_frame_longer() -> None:
    assert classes.tagged_size({"vlan": 5}, "64") == 68 and classes.tagged_size({}, 64) == 64
    assert classes.tagged_size({"vlan": 5}, "imix") == "imix"
