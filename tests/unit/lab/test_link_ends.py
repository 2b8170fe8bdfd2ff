"""Chains that end at a link to another host: the devices of the primary, and the patches."""

import pytest

from sppr.config.load import parse
from sppr.errors import ConfigError
from sppr.host.facts import Facts
from sppr.lab.plan.plan import Flags, Plan
from sppr.lab.plan.planner import make
from sppr.units import parse_mask
from tests.unit.lab.test_chain_planner import lines, planned
from tests.unit.lab.test_plan import paths

LINKS = "links: [{name: east-west, netdev: sppvx000001}, {name: east-north, netdev: sppvx000002}]\n"
VM = "vms_vhost: [{id: 11}]\n"
ONE = "secondaries: [{id: 1, coremask: 0x0C}]\n" + VM


def program(plan: Plan) -> tuple[list[str], int]:
    """Return the devices and the portmask of the primary."""
    words = plan.part("pri").program
    devices = [words[i + 1] for i, word in enumerate(words) if word == "--vdev"]
    return devices, parse_mask(words[words.index("-p") + 1])


def test_secondary_and_primary_share_a_hop_to_a_link_by_rings() -> None:
    plan = planned(LINKS + ONE + "chains: {web: {path: [tap:0, vm_v11, link:east-north/6]}}")
    (chain,) = plan.wiring.chains
    assert lines(chain.forward) == [
        "sec1 tap:0 vhost:11",
        "vm_v11 phy:0 phy:1",
        "sec1 vhost:111 ring:0",
        "pri ring:0 link:1nq6",
    ]
    assert lines(chain.reverse) == [
        "pri link:1nq6 ring:1",
        "sec1 ring:1 vhost:111",
        "vm_v11 phy:1 phy:0",
        "sec1 vhost:11 tap:0",
    ]
    assert plan.wiring.rings == ["ring:0", "ring:1"] and chain.parts[:2] == ("ctrler", "pri")


def test_chain_that_begins_at_a_link_and_one_between_two_links() -> None:
    text = (
        "chains: {web: {path: [link:east-west/3, tap:0]}, far: {path: [link:east-west/4, vm_v11, link:east-north/2]}}"
    )
    web, far = planned(LINKS + ONE + text).wiring.chains
    assert lines(web.forward) == ["pri link:0nq3 tap:0"] and lines(web.reverse) == ["pri tap:0 link:0nq3"]
    assert lines(far.forward)[:2] == ["pri link:0nq4 ring:0", "sec1 ring:0 vhost:11"]
    assert lines(far.forward)[-1] == "pri ring:2 link:1nq2"


def test_primary_without_a_second_lcore_leaves_out_chains_that_end_at_a_link() -> None:
    plan = planned(LINKS + ONE + "primary: {coremask: 0x01}\nchains: {web: {path: [tap:0, link:east-west/2]}, "
                   "near: {path: [tap:1, vm_v11]}}")  # fmt: skip
    assert [chain.name for chain in plan.wiring.chains] == ["near"]
    (left_out,) = plan.wiring.left_out
    assert left_out.name == "web" and left_out.why == (
        "it ends at a link, and the primary has no lcore that forwards: add one to primary.coremask"
    )


def test_match_and_impairment_apply_where_frames_enter_only() -> None:
    extra = "match: {vlan: 100}, impair: {delay: 1ms}"
    for path, names in (("tap:0, link:east-west/2", "forward"), ("link:east-west/3, tap:0", "reverse")):
        (chain,) = planned(LINKS + ONE + f"chains: {{web: {{path: [{path}], {extra}}}}}").wiring.chains
        for name, legs in chain.directions:
            enters = name == names
            assert (legs[0].match, legs[0].impair) == (("vlan=100", "delay=1ms") if enters else ("", "")), name


def test_chains_share_the_last_end_also_where_no_frames_enter() -> None:
    text = (
        "chains: {a: {path: [link:east-west/3, tap:0], match: {vlan: 9}},"
        " b: {path: [link:east-west/5, tap:0], match: default, direction: forward}}"
    )
    first, second = planned(LINKS + ONE + text).wiring.chains
    assert lines(second.forward) == ["pri link:0nq5 ring:2", "sec1 ring:2 tap:0"], "one process fills the port"
    assert {leg.process for leg in (*first.legs, *second.legs) if "tap:0" in (leg.src, leg.dst)} == {"nfv:1"}


def test_links_are_the_last_devices_and_have_bits_in_the_portmask() -> None:
    devices, portmask = program(planned(LINKS + "primary: {portmask: 0x03}"))
    assert [device.partition(",")[0] for device in devices] == ["net_tap0", "net_tap1", *devices_of_links(devices)]
    assert len(devices_of_links(devices)) == 2 and portmask == 0b1111
    assert "iface=sppvx000001" in devices[2] and "iface=sppvx000002" in devices[3]
    devices, portmask = program(planned(LINKS + "primary: {portmask: 0x01, vdevs: [net_null0]}"))
    assert devices[0] == "net_null0" and len(devices) == 3 and portmask == 0b111
    devices, portmask = program(planned("primary: {portmask: 0x03}"))
    assert len(devices) == 2 and portmask == 0b11


def devices_of_links(devices: list[str]) -> list[str]:
    return [device.partition(",")[0] for device in devices if "sppvx" in device]


def test_bits_of_links_are_behind_those_of_all_nics() -> None:
    config = parse((LINKS + "primary: {portmask: 0x01}").encode(), "conf.yml")
    _, portmask = program(
        make(
            config,
            Flags(nof_sec=0, nof_ring=0, nof_vhost=0),
            Facts(cpus=(0,), nics=("0000:00:01.0", "0000:00:02.0")),
            paths(),
        )
    )
    assert portmask == 0b1101


def test_links_count_as_devices_of_the_primary() -> None:
    with pytest.raises(ConfigError, match=r"33 devices \(NICs bound to DPDK, vdevs and links\) are too many") as e:
        planned("links: [{name: a-b, netdev: x}]\nprimary: {portmask: 0xFFFFFFFF}")
    assert e.value.hint == "use 32 at most"
