"""The graph that topo draws, from any status a process may send."""

import re
from typing import Any

import pytest

from sppr.controller.prompt.completion import CompletionData, candidates
from sppr.controller.prompt.controllers import Controllers, ProcessStatus, RemoteController
from sppr.controller.settings import Settings
from sppr.controller.topology import draw, graph, picture

PATCH = {"src": "phy:0 nq 1", "dst": "ring:10"}
PART = {"type": "merge", "rx_port": [{"port": "ring:10"}, {"port": "ring:2"}], "tx_port": [{"port": "phy:1"}]}
PROCESSES = [
    ProcessStatus(
        "primary",
        0,
        {"forwarder": {"status": "idling", "ports": ["phy:0"], "patches": [{"src": "phy:0", "dst": "x:1"}]}},
    ),
    ProcessStatus("nfv", 12, {"status": "running", "ports": ["phy:0 nq 1", "ring:10", "memif:3"], "patches": [PATCH]}),
    ProcessStatus("vf", 2, {"components": [PART, {"core": 3, "type": "unuse"}]}),
    ProcessStatus("pcap", 3, {"status": "idle", "core": [{"role": "receive", "rx_port": [{"port": "phy:0"}]}]}),
]


def test_graph_of_a_primary_and_secondaries() -> None:
    found = graph.build(PROCESSES, {"guest": ["ring:10", "vhost:9"]})
    assert found.nodes == ("capture:3", "memif:3", "phy:0", "phy:0nq1", "phy:1", "ring:2", "ring:10", "x:1")
    edges = {(e.src, e.dst, e.label, e.running) for e in found.edges}
    assert ("phy:0nq1", "ring:10", "nfv:12", True) in edges and ("ring:2", "phy:1", "vf:2:m", True) in edges
    assert ("phy:0", "x:1", "primary", False) in edges and ("phy:0", "capture:3", "pcap:3", False) in edges
    assert found.subgraphs == {"guest": ("ring:10",)}


def test_guest_ports_are_joined_to_host_ports() -> None:
    through = {"src": "ring:0", "dst": "ring:0"}
    guest = {"status": "running", "master-lcore": 0, "lcores": [0], "ports": ["ring:0"], "patches": [through]}
    host = {
        "status": "running",
        "master-lcore": 1,
        "lcores": [1, 2],
        "ports": ["ring:0", "ivshmem:6"],
        "patches": [{"src": "ring:0", "dst": "ivshmem:6"}],
    }
    vhost = {**guest, "ports": ["phy:0"], "patches": []}
    found = graph.build(
        [ProcessStatus("nfv", 1, host), ProcessStatus("nfv", 6, guest), ProcessStatus("nfv", 11, vhost)]
    )
    assert found.nodes == ("ivshmem:6", "phy:0@11", "ring:0", "ring:0@6")
    edges = {(e.src, e.dst, e.label, e.bidirectional) for e in found.edges}
    assert edges == {
        ("ring:0", "ivshmem:6", "nfv:1", False),
        ("ring:0@6", "ring:0@6", "nfv:6", False),
        ("ivshmem:6", "ring:0@6", "vm:6", True),
    }
    assert "ivshmem:6 < vm:6 ==> ring:0@6" in draw.text(found).replace("=  ", "")
    dot = draw.dot(found)
    assert 'subgraph cluster_vm6{label="VM 6"; ring_0_6}' in dot and ", dir=both" in dot
    assert "<==>" in draw.mermaid(found) and "ring:0@6" in picture.svg(found)


def test_graph_has_everything_that_upstream_topo_omits() -> None:
    """Queues, ids of two digits, pcap, memif: each breaks the topo of upstream SPP (docs/spp-protocol.md, Topology)."""
    dot = draw.dot(graph.build(PROCESSES))
    assert 'phy_0nq1[label="phy:0nq1", fillcolor="white"];' in dot and 'fillcolor="palegreen"' in dot
    assert 'phy_0nq1 -> ring_10[label="nfv:12", color="orange", style=solid];' in dot
    assert "style=dashed" in dot and "{rank=same; ring_2; ring_10}" in dot
    assert re.search(r"phy_0 -> capture_3\[", dot)


@pytest.mark.parametrize("drawn", [draw.text, draw.dot, draw.mermaid, picture.svg, draw.as_json])
@pytest.mark.parametrize(
    "status",
    [{}, {"ports": 3}, {"ports": [None, "a\nb", "<x>:1"]}, {"patches": [{}, 1]}, {"components": [{"rx_port": 1}]}],
)
def test_any_status_can_be_drawn(drawn: Any, status: dict[str, Any]) -> None:
    for kind in ("primary", "nfv", "vf", "pcap"):
        assert drawn(graph.build([ProcessStatus(kind, 1, status)]))


def test_graph_without_processes_is_empty() -> None:
    assert draw.text(graph.build([])) == "nothing to draw: no ports"


def test_completion_of_launch_offers_free_lcores() -> None:
    settings = Settings()
    settings.command(("sec_vhost_cli", "yes"))
    line = settings.launch("vf", "3", [5, 6, 7, 8], "127.0.0.1:6666")
    assert line == "-l 2,5,6,7 -m 512 -- --client-id 3 -s 127.0.0.1:6666 --vhost-client"
    assert "-c phy:0" in settings.launch("pcap", "3", [5], "h:1")
    known = CompletionData(launch={"vf": [f"3 {line}"]}, components={5: ["fw"]}, ids={"vf": [5]}, ports={5: ["phy:0"]})
    assert candidates("pri; launch vf ", known) == [f"3 {line}"]
    for before, words in (
        ("vf ", ["5;"]), ("vf 5; port add phy:0 rx ", ["fw"]),
        ("vf 5; component start a 2 ", ["forward", "merge", "classifier"]),
        ("vf 5; port add ", ["phy:0", "phy:", "vhost:", "ring:"]), ("topo x ", ["txt"]), ("server s", ["switch"]),
        ("pri; flow v", ["validate"]), ("config topo", ["topo_size"]),
    ):  # fmt: skip
        assert candidates(before, known)[: len(words)] == words, before


def test_controllers_can_be_added_switched_and_deleted() -> None:
    controllers = Controllers(RemoteController("127.0.0.1"))
    assert controllers.command(("add", "10.0.0.2:7778")) == ['Registered spp-ctl "10.0.0.2:7778".']
    controllers.command(("2",))
    assert controllers.command(()) == ["  1: 127.0.0.1:7777", "  2: 10.0.0.2:7778 *"]
    controllers.command(("switch", "127.0.0.1"))
    controllers.command(("del", "2"))
    assert controllers.command(("list",)) == ["  1: 127.0.0.1:7777 *"]
