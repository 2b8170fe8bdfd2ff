"""``sppr topo``: its errors, and what the plan of a lab adds to the statuses of the processes."""

from pathlib import Path

import pytest

from sppr.cli.chain import topo
from sppr.config.load import load
from sppr.controller.prompt.controllers import ProcessStatus
from sppr.controller.topology import graph, picture
from sppr.errors import ControlError
from sppr.host.facts import Facts
from sppr.lab.paths import gather_paths
from sppr.lab.plan import planner
from sppr.lab.plan.plan import Flags, Plan
from sppr.spp.control import ProcessNotConnected
from tests.conftest import ROOT
from tests.unit.test_cli import sppr

OWN = """
chains:
  web: {path: [tap:0, vm_r6, tap:1], functions: {vm_r6: guest}}
"""


def plan_of(folder: Path, text: str, flags: Flags) -> Plan:
    conf = folder / "conf.yml"
    conf.write_text(text)
    config = load(conf)
    return planner.make(config, flags, Facts(cpus=(0, 1)), gather_paths(config, conf, None))


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of(tmp_path, (ROOT / "conf.yml").read_text(), Flags())


@pytest.mark.parametrize(
    ("output", "kind", "drawing"),
    [
        (None, None, "txt"),
        ("a.svg", None, "svg"),
        ("a.MMD", None, "mermaid"),
        ("a", "svg", "svg"),
        ("a.txt", "dot", "dot"),
    ],
)
def test_format_of_a_file(output: str | None, kind: str | None, drawing: str) -> None:
    assert topo.drawing_of(Path(output) if output else None, kind) == drawing


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["-o", "a.gif"], "a.gif: topo cannot draw 'gif'\nhint: use one of txt, dot, mermaid, svg, html"),
        (["-o", "net"], "net: its name has no suffix\nhint: add one, such as .svg, or use --format svg"),
        (["--format", "png"], "png cannot be printed\nhint: sppr topo -o FILE.png"),
    ],
)
def test_errors_name_the_fix(tmp_path: Path, words: list[str], printed: str) -> None:
    done = sppr("topo", *words, cwd=tmp_path)
    assert done.returncode == 2 and printed in done.stderr, done.stderr
    assert not list(tmp_path.glob("*a.gif*")) + list(tmp_path.glob("*net*"))


def test_no_session_is_reported(tmp_path: Path) -> None:
    done = sppr("topo", "--session", "nosuchtopo", "-o", "x.svg", cwd=tmp_path)
    assert done.returncode not in (0, 70) and "nosuchtopo" in done.stderr and not (tmp_path / "x.svg").exists()


def test_parts_and_chains_of_the_plan_are_named(plan: Plan) -> None:
    details = topo.details(plan, {})
    assert details.order == ("web",)
    assert details.names.items() >= {("primary", "pri"), ("nfv:1", "sec1"), ("nfv:6", "vm_r6"), ("vm:11", "vm_v11")}
    chain = plan.wiring.chains[0]
    assert all(details.chains[leg.patch] == ("web", False) for leg in chain.forward)
    assert all(details.chains[leg.patch] == ("web", True) for leg in chain.reverse)


def test_links_to_other_hosts_are_named(tmp_path: Path) -> None:
    text = """\
links: [{name: east-west, netdev: sppvx000001, peer: 192.0.2.12}]
chains: {web: {path: [tap:0, link:east-west/2]}}
"""
    plan = plan_of(tmp_path, text, Flags(nof_sec=0, nof_ring=0, nof_vhost=0))
    ports = ["tap:0", "link:0", "link:0nq2"]
    patches = [{"src": "tap:0", "dst": "link:0 nq 2"}, {"src": "link:0 nq 2", "dst": "tap:0"}]
    status = {"forwarder": {"status": "running", "ports": ports, "patches": patches}}
    network = graph.build([ProcessStatus("primary", 0, status)], None, topo.details(plan, {}))
    assert network.nodes == ("link:east-west/2", "tap:0")
    assert {(edge.src, edge.dst, edge.chain) for edge in network.edges} == {
        ("tap:0", "link:east-west/2", "web"), ("link:east-west/2", "tap:0", "web"),
    }  # fmt: skip
    assert ">link:east-west/2</text>" in picture.svg(network)


def primary_of(host: str, vlan: int) -> ProcessStatus:
    """Return the primary of a host: a chain from its tap:0 over link:0."""
    channel = f"link:0 nq {vlan}"
    patches = [{"src": "tap:0", "dst": channel}, {"src": channel, "dst": "tap:0"}]
    forwarder = {"status": "running", "ports": ["tap:0", "link:0", channel], "patches": patches}
    return ProcessStatus("primary", 0, {"forwarder": forwarder}, host)


def test_a_picture_of_two_hosts_has_one_crossing() -> None:
    guests = [
        ProcessStatus("nfv", 1, {"status": "running", "ports": ["vhost:11"], "patches": []}, host)
        for host in ("east", "west")
    ] + [ProcessStatus("vm", 11, {"status": "running", "ports": ["phy:0"], "patches": []}, "west")]
    links = {"east/link:0": "east-west", "west/link:0": "east-west"}
    found = [primary_of("east", 2), primary_of("west", 3), *guests]
    network = graph.build(found, None, graph.Details(links=links))
    ports = {"east/tap:0", "west/tap:0", "link:east-west/2", "east/vhost:11", "west/vhost:11", "west/phy:0@11"}
    assert set(network.nodes) == ports
    assert [(e.src, e.dst, e.label) for e in network.edges if e.bidirectional] == [
        ("west/vhost:11", "west/phy:0@11", "west/vm:11")
    ]
    assert {(edge.process, edge.src) for edge in network.edges if edge.dst == "link:east-west/2"} == {
        ("east/primary", "east/tap:0"), ("west/primary", "west/tap:0"),
    }  # fmt: skip
    drawing = picture.svg(network)
    assert drawing.count(">link:east-west/2</text>") == 2 and drawing.count('class="link"') == 1
    assert drawing.count(">tap:0</text>") == 2


def test_a_process_that_has_just_left_is_not_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    def status(_self: object, target: str) -> dict[str, str]:
        if target == "nfv:1":
            raise ProcessNotConnected("GET /v1/nfvs/1: no such process (status 404)")
        if target == "nfv:2":
            raise ControlError("nfv:2 does not answer (status 504)")
        return {"status": "running"}

    there = [{"type": "primary"}, {"type": "nfv", "client-id": 1}, {"type": "nfv", "client-id": 2}, {"type": "?"}]
    monkeypatch.setattr(topo.ControlClient, "processes", lambda _self: there)
    monkeypatch.setattr(topo.ControlClient, "status", status)
    found = {str(process): process.status["status"] for process in topo._read([Path("/run/api.sock")])}
    assert found == {"primary": "running", "nfv:2": "no answer"}


def test_parts_that_are_not_connected_have_a_lane(plan: Plan) -> None:
    found = [ProcessStatus("primary"), ProcessStatus("nfv", 1), ProcessStatus("nfv", 6)]
    rows = {str(row): row.status["status"] for row in topo.missing(plan, found, ["sec2"])}
    assert rows == {"nfv:2": "stopped", "vm:11": "not connected"}


def test_a_vm_with_software_of_its_own_has_its_patches(tmp_path: Path) -> None:
    text = (ROOT / "conf.yml").read_text().partition("# A service chain")[0] + OWN
    plan = plan_of(tmp_path, text, Flags(nof_sec=1, nof_ring=1, nof_vhost=0))
    found = [ProcessStatus("primary"), ProcessStatus("nfv", 1)]
    [vm] = topo.missing(plan, found, [])
    network = graph.build([vm], None, topo.details(plan, {}))
    assert {(edge.src, edge.dst, edge.chain, edge.reverse) for edge in network.edges} == {
        ("ring:0@6", "ring:1@6", "web", False), ("ring:1@6", "ring:0@6", "web", True),
    }  # fmt: skip
    [stopped] = topo.missing(plan, found, ["vm_r6"])
    assert stopped.status == {"status": "stopped"}
