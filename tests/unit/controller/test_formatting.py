"""The text of a status at the prompt. A process may send an invalid one."""

import pytest

from sppr.controller.prompt import formatting


def test_nfv_status_is_formatted() -> None:
    status = {
        "client-id": 1,
        "status": "running",
        "master-lcore": 1,
        "lcores": [1, 2],
        "ports": ["tap:0", "ring:0", "phy:0 nq 1"],
        "patches": [{"src": "tap:0", "dst": "ring:0"}],
    }
    assert formatting.nfv_status(status) == [
        "- status: running",
        "- lcores:",
        "  - master: 1",
        "  - workers: [2]",
        "- ports:",
        "  - tap:0 -> ring:0",
        "  - ring:0",
        "  - phy:0 nq 1",
    ]
    assert formatting.ports_of(status) == ["tap:0", "ring:0", "phy:0nq1"]


def test_primary_status_is_formatted() -> None:
    status = {
        "master-lcore": 0,
        "lcores": [0, 1],
        "forwarder": {"status": "idling", "ports": ["phy:0"], "patches": [{"src": "phy:0", "dst": "phy:0"}]},
        "phy_ports": [{"id": 0, "eth": "0a:00:00:00:00:10", "rx": 4, "tx": 12345, "tx_drop": 0}],
        "ring_ports": [],
    }
    assert formatting.primary_status(status)[3:] == [
        "- forwarder:",
        "  - status: idling",
        "  - ports:",
        "    - phy:0 -> phy:0",
        "- physical ports:",
        "    ID  rx     tx  tx_drop           mac_addr",
        "     0   4  12345        0  0a:00:00:00:00:10",
    ]


def test_controller_status_is_formatted() -> None:
    assert formatting.panel_status("127.0.0.1:5555", False, [("nfv:1", "idling"), ("vf:3", "")])[3:] == [
        "  - status: not running",
        "- secondary:",
        "  - processes:",
        "    1: nfv:1 idling",
        "    2: vf:3",
    ]


@pytest.mark.parametrize("junk", [None, 3, "x", [None, 3, {}], {"a": []}, [["x"]], "\x1b[2J\n"])
def test_invalid_field_affects_only_its_line(junk: object) -> None:
    keys = (
        "status",
        "master-lcore",
        "lcores",
        "ports",
        "patches",
        "phy_ports",
        "ring_ports",
        "pipes",
        "forwarder",
        "info",
    )
    status = dict.fromkeys(keys, junk)
    lines = (
        formatting.nfv_status(status)
        + formatting.primary_status(status)
        + [formatting.state_of(status), *formatting.ports_of(status)]
    )
    assert all("\n" not in line and "\x1b" not in line for line in lines)
