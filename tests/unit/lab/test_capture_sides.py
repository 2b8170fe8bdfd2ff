"""The sides of ports that a capture names, and the command line of spp_capture."""

from pathlib import Path

import pytest

from sppr.errors import SpprError
from sppr.lab.capture import program
from sppr.lab.capture.sides import Direction, Side, find
from sppr.lab.chains.observe import Observed, ProcessStatus
from tests.unit.lab.test_chain_planner import TWO, planned

PLAN = planned(TWO + "chains: {web: {path: [tap:0, vm_v11, tap:1], direction: forward}}")
OBSERVED = Observed(
    {
        "primary": ProcessStatus(frozenset({"tap:0", "tap:1"})),
        "nfv:1": ProcessStatus(frozenset({"tap:0", "ring:5"})),
        "nfv:2": ProcessStatus(
            frozenset({"tap:0", "tap:1", "vhost:11", "vhost:111"}),
            {"tap:0 vlan=5": "vhost:11", "tap:0": "tap:1", "vhost:111": "tap:1"},
        ),
        "nfv:11": ProcessStatus(frozenset({"phy:0", "phy:1"}), {"phy:0": "phy:1"}),
    },
    {"nfv:6": "is not connected"},
)


def sides(*targets: str, direction: Direction = "both") -> list[str]:
    return [side.name for side in find(PLAN.wiring, PLAN.parts, OBSERVED, targets, direction)]


def test_chain_has_the_sides_that_its_frames_pass() -> None:
    assert sides("web") == [
        "nfv:2 tap:0 rx", "nfv:2 vhost:11 tx", "nfv:11 phy:0 rx", "nfv:11 phy:1 tx", "nfv:2 vhost:111 rx",
        "nfv:2 tap:1 tx",
    ]  # fmt: skip
    assert sides("web", direction="tx") == ["nfv:2 vhost:11 tx", "nfv:11 phy:1 tx", "nfv:2 tap:1 tx"]


def test_port_has_the_sides_that_patches_use() -> None:
    assert sides("tap:0") == ["nfv:2 tap:0 rx"] and sides("tap:1") == ["nfv:2 tap:1 tx"]
    assert sides("sec2:tap:0", "web", "tap:0")[:2] == ["nfv:2 tap:0 rx", "nfv:2 vhost:11 tx"], "each once"


def test_port_without_a_patch_has_both_sides() -> None:
    assert sides("ring:5") == ["nfv:1 ring:5 rx", "nfv:1 ring:5 tx"]
    assert sides("pri:tap:1") == ["primary tap:1 rx", "primary tap:1 tx"]


def test_port_of_a_guest_is_named_with_its_part() -> None:
    (rx,) = find(PLAN.wiring, PLAN.parts, OBSERVED, ["vm_v11:phy:0"], "rx")
    assert rx == Side("nfv:11", "phy:0", "rx", in_guest=True)


@pytest.mark.parametrize(
    ("target", "direction", "why"),
    [
        ("tap:0", "tx", "tap:0: no patch leads to it"),
        ("wep", "both", "wep: neither a chain nor a port"),
        ("tap:7", "both", "tap:7: no patch uses it, and no part has it"),
        ("phy:0", "both", "phy:0: no patch uses it, and no part has it"),
        ("ctrler:tap:0", "both", "ctrler has no ports"),
        ("vm_r6:ring:0", "both", "nfv:6 is not connected"),
        ("sec1:tap", "both", "sec1:tap: neither a chain nor a port"),
    ],
)
def test_wrong_target_is_refused(target: str, direction: Direction, why: str) -> None:
    with pytest.raises(SpprError) as error:
        sides(target, direction=direction)
    assert why in error.value.what and error.value.hint


def test_command_line_names_socket_port_side_and_interface() -> None:
    found = [Side("nfv:2", "tap:0", "rx"), Side("primary", "tap:1", "tx")]
    sockets = {side.process: program.socket_of("/run/lab", side) for side in found}
    options = program.Options("x.pcapng", "icmp or arp", 5, 128, force=True)
    assert program.argv(Path("/b/spp_capture"), found, sockets, options) == [
        "/b/spp_capture", "-w", "x.pcapng", "--force", "-f", "icmp or arp", "-c", "5", "-s", "128",
        "-i", "/run/lab/spp-capture.2.sock", "tap:0", "rx", "nfv:2 tap:0 rx",
        "-i", "/run/lab/spp-capture.0.sock", "tap:1", "tx", "primary tap:1 tx",
    ]  # fmt: skip
    assert program.argv(Path("/b/s"), found[:1], sockets, program.Options())[:3] == ["/b/s", "-w", "-"]
