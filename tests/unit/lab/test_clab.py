"""The topology of containerlab for the chains of conf.yml."""

import re
from typing import Any

import pytest
import yaml

from sppr.config.load import load, parse
from sppr.errors import ConfigError
from sppr.lab.chains.clab import node_name, topology
from tests.conftest import ROOT, Golden

DATA = ROOT / "tests/golden/data"
MANY = b"""
session: My_lab
secondaries: [{id: 1, coremask: 0xC}]
vms_ring: [{id: 6}]
vms_vhost: [{id: 11}, {id: 12}]
chains:
  web:
    path: [tap:0, vm_r6, vm_v11, tap:1]
    functions: {vm_v11: guest}
    ends: {tap:0: {netns: vm_r6, address: 10.20.0.1/24}, tap:1: {netns: "5"}}
  one-way: {path: [phy:2, vm_r6, memif:0], direction: forward}
  inside: {path: [vm_v12, vm_v11]}
  wire: {path: [nullpmd:0, pcap:1], ends: {}}
"""


def check(text: str) -> dict[str, Any]:
    """Return a topology that follows containerlab's rules: kinds, names, endpoints; each interface in one link."""
    top = yaml.safe_load(text)
    assert set(top) == {"name", "topology"} and set(top["topology"]) == {"nodes", "links"}
    nodes = top["topology"]["nodes"]
    for name in (top["name"], *nodes):
        assert isinstance(name, str) and re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name), name
    for node in nodes.values():
        assert {"kind", "image"} <= set(node) <= {"kind", "image", "exec"} and node["kind"] == "linux"
        assert "exec" not in node or (node["exec"] and all(isinstance(line, str) for line in node["exec"]))
    ends = [end for link in top["topology"]["links"] for end in link["endpoints"]]
    assert all(set(link) == {"endpoints"} and len(link["endpoints"]) == 2 for link in top["topology"]["links"])
    assert len(ends) == len(set(ends)), "an interface is in two links"
    for node, interface in (end.split(":") for end in ends):
        assert node in nodes and re.fullmatch(r"eth[1-9][0-9]*", interface) and len(interface) <= 15
    for name, node in nodes.items():
        used = set(re.findall(r"\beth[0-9]+", "\n".join(node.get("exec", []))))
        assert {f"{name}:{interface}" for interface in used} <= set(ends), "a command names an interface without a link"
    return dict(top)


def test_shipped_chain(golden: Golden) -> None:
    text = topology(load(ROOT / "conf.yml"))
    golden.check(DATA / "clab-shipped.yml", text)
    nodes = check(text)["topology"]["nodes"]
    assert list(nodes) == ["client", "vm-r6", "vm-v11", "server"]
    assert nodes["server"]["exec"] == ["ip addr add 10.20.0.2/24 dev eth1"]


def test_many_chains(golden: Golden) -> None:
    text = topology(parse(MANY, "c"))
    golden.check(DATA / "clab-many.yml", text)
    top = check(text)
    nodes, links = top["topology"]["nodes"], [link["endpoints"] for link in top["topology"]["links"]]
    assert top["name"] == "my-lab" and set(nodes) == {
        "vm-r6", "vm-r6-2", "vm-v11", "vm-v12", "5", "phy-2", "memif-0", "nullpmd-0", "pcap-1"
    }  # fmt: skip
    assert ["vm-v12:eth1", "vm-v11:eth3"] in links and ["nullpmd-0:eth1", "pcap-1:eth1"] in links
    assert "exec" not in nodes["vm-v11"] and "exec" not in nodes["5"], "software of the guest forwards; no address"
    bridges = [line for line in nodes["vm-r6"]["exec"] if "master" in line]
    assert bridges == [f"ip link set eth{n} master br{(n - 1) // 2}" for n in (1, 2, 3, 4)]
    assert "# chain one-way: forward only; links carry both directions" in text


def test_wrong_topology_is_found() -> None:
    text = topology(load(ROOT / "conf.yml"))
    for old, new in (
        ("kind: linux", "kind: vm"), ("vm-r6:eth2", "vm-r6:eth1"), ("server:eth1", "sever:eth1"), ("vm-v11", "vm_v11"),
        ("dev eth1", "dev eth2"),
    ):  # fmt: skip
        assert old in text
        with pytest.raises(AssertionError):
            check(text.replace(old, new))


def test_conf_without_chains_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^lab/conf\.yml: has no chains:, so there is nothing to export") as caught:
        topology(parse(b"session: a", "c"), "lab/conf.yml")
    assert caught.value.hint and "sppr init" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "name"), [("vm_r6", "vm-r6"), ("tap:0", "tap-0"), ("_A__b-", "a-b"), ("___", "node"), ("5", "5")]
)
def test_node_name(text: str, name: str) -> None:
    assert node_name(text) == name


@pytest.mark.parametrize("name", ["no", "true", "1e3", "0x10", "5"])
def test_name_stays_a_text(name: str) -> None:
    chain = f"chains: {{a: {{path: [tap:0, tap:1], ends: {{tap:0: {{netns: {name}}}}}}}}}"
    assert name in check(topology(parse(f"session: {name}\n{chain}".encode(), "c")))["topology"]["nodes"]
