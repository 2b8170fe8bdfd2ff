"""Details of planned parts: restart policies, options of the primary, VMs, and what the chain planner refuses."""

from dataclasses import replace
from pathlib import Path

import pytest

from sppr.config.load import parse
from sppr.config.model import Config
from sppr.errors import ConfigError
from sppr.host.facts import Facts
from sppr.host.network import bridge
from sppr.lab.chains.planner import chains
from sppr.lab.chains.wiring import LeftOut, TapEnd
from sppr.lab.paths import LabPaths
from sppr.lab.plan import vms
from sppr.lab.plan.plan import Flags, Image, Plan, wiring_file
from sppr.lab.plan.planner import make
from tests.unit.lab.test_plan import MACHINE, paths, single_vm

LAB = """
secondaries: [{id: 1, coremask: 0x0C}, {id: 2, coremask: 0x30}]
vms_ring: [{id: 6, secondary: 1}]
vms_vhost: [{id: 11, secondary: 2}, {id: 12}]
"""


def config_of(text: str) -> Config:
    return parse(text.encode(), "conf.yml")


def planned(text: str = LAB, facts: Facts = MACHINE, where: LabPaths | None = None, **flags: object) -> Plan:
    """Return the plan with all parts of conf.yml, unless ``flags`` say otherwise."""
    config = config_of(text)
    counts = {
        "nof_sec": len(config.secondaries), "nof_ring": len(config.vms_ring), "nof_vhost": len(config.vms_vhost)
    }  # fmt: skip
    return make(config, Flags(**{**counts, **flags}), facts, where or paths())  # type: ignore[arg-type]


def error_of(text: str = LAB, **flags: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        planned(text, **flags)
    return caught.value


def test_restart_policies_of_parts() -> None:
    text = """
restart: {policy: on-failure, max: 1}
controller: {restart: {policy: on-failure, max: 2, delay: 0.5}}
primary: {restart: {policy: on-failure, max: 3}}
secondaries: [{id: 1, coremask: 0x0C}, {id: 2, coremask: 0x30, restart: {policy: on-failure, max: 4}}]
vms_ring: [{id: 6}]
vms_vhost: [{id: 11, restart: "no"}]
vm: {restart: {policy: on-failure, max: 5}}
"""
    parts = planned(text).parts
    assert {part.name: part.restarts for part in parts} == {
        "ctrler": 2, "pri": 3, "sec1": 1, "sec2": 4, "vm_r6": 5, "vm_v11": 0,
    }  # fmt: skip
    assert [part.restart_delay for part in parts if part.name in ("ctrler", "pri")] == [0.5, 1.0]
    assert {part.restarts for part in planned(LAB).parts} == {0}


def test_options_of_the_primary() -> None:
    part = planned(portmask=0xF, vdevs=("net_null0", "net_null1"), vdev_tap=(5,), vdev_vhost=(3,)).part("pri")
    text = " ".join(part.command)
    assert "-p 0x0F -vd net_null0 -vd net_null1 -vdt 5 -vdv 3" in text and not part.upstream
    assert " ".join(planned(vdev_vhost=(3, 4)).part("pri").command).endswith("-vdv 3,4")
    assert "net_vhost3,iface=/tmp/sock3" in " ".join(planned(vdev_vhost=(3,)).part("pri").program)
    many = tuple(f"net_null{n}" for n in range(32))
    assert planned(vdevs=many).part("pri").program.count("--vdev") == 32
    error = error_of(vdevs=(*many, "net_null32"))
    assert error.what == "33 devices (NICs bound to DPDK and vdevs) are too many for a DPDK process"
    assert error.hint == "use 32 at most"
    error = error_of(portmask=0)
    assert (error.what, error.hint) == ("-p 0: the mask is empty", "name at least one port, such as -p 0x01")


def test_taps_of_the_portmask() -> None:
    def taps(text: str = LAB, **flags: object) -> list[str]:
        return [word for word in planned(text, **flags).part("pri").program if word.startswith("net_tap")]

    assert len(taps()) == 2 and len(taps(portmask=0x7)) == 3
    assert len(taps("primary: {portmask: 0x1}" + LAB)) == 1


def test_the_folder_and_the_owner_of_vhost_sockets() -> None:
    def options(**where: object) -> list[str]:
        words = planned(where=replace(paths(), **where)).part("sec1").program  # type: ignore[arg-type]
        found = [n for n, word in enumerate(words) if word in ("--sock-dir", "--sock-uid")]
        return [word for n in found for word in words[n : n + 2]]

    assert options() == options(named_sock_dir="/tmp") == []
    assert options(named_sock_dir="/var/x") == ["--sock-dir", "/var/x"]
    assert options(vm_uid=77) == ["--sock-uid", "77"]
    assert options(named_sock_dir="/var/x", vm_uid=77) == ["--sock-dir", "/var/x", "--sock-uid", "77"]


def test_names_and_addresses_of_the_lab() -> None:
    lab = planned()
    assert lab.tcp_ports == (5555, 6666, 7777) and lab.file_prefix == "spp"
    assert planned("controller: {rest_port: 0}" + LAB).tcp_ports == (5555, 6666)
    assert planned("spp: {file_prefix: mine}" + LAB).file_prefix == "mine"
    assert wiring_file(Path("/r")) == Path("/r/wiring.json")
    assert lab.images == (Image("ring", 6), Image("vhost", 11), Image("vhost", 12))
    assert planned(template=True, nof_ring=1, nof_vhost=1).images == (Image("ring", 0), Image("vhost", 0))
    controller = " ".join(lab.part("ctrler").program)
    for words in ("/wiring.json", "/guests.sock", "/api.sock", "--api-port 7777"):
        assert words in controller, words


def test_two_vms_with_one_port() -> None:
    error = error_of("vms_vhost: [{id: 11}, {id: 111}]", vhost_num=2)
    assert error.what == "vhost:111 would serve both VM 11 and VM 111"
    assert error.hint == "set other numbers for one of them in conf.yml: vhosts: [N, …]"


def test_a_vm_whose_secondary_does_not_start() -> None:
    error = error_of(nof_sec=1)
    assert error.what == "VM 11 needs secondary 2, which is not among the 1 that start"
    assert error.hint == "start more secondaries with -ns, or set another: secondary: 1"
    assert error_of(nof_sec=0).hint == "start more secondaries with -ns, or set another: secondary: 1"
    other = LAB.replace("id: 1, coremask", "id: 3, coremask").replace("secondary: 1", "secondary: 3")
    assert (error_of(other, nof_sec=1).hint or "").endswith("secondary: 3")


def test_ssh_ports_and_open_networks() -> None:
    assert [part.ssh_port for part in planned("vm: {ssh_port: 0}" + LAB).parts if part.is_vm] == [0, 0, 0]
    assert [part.ssh_port for part in planned("vm: {ssh_port: 30000}" + LAB).parts if part.is_vm] == [
        30006, 30011, 30012,
    ]  # fmt: skip
    text = " ".join(planned("vm: {network: open}" + LAB).part("vm_r6").program)
    nic = "stream,id=outside,server=off,addr.type=fd,addr.str=9"
    assert nic in text and nic not in " ".join(planned().part("vm_r6").program)


def test_vms_on_a_bridge() -> None:
    text = "vm: {bridge: br0}" + LAB
    facts = replace(MACHINE, machine_id="m")
    lab = planned(text, facts)
    for part in (part for part in lab.parts if part.is_vm):
        tap = bridge.tap_of("br0", "m", Path(lab.run), part.name.removeprefix("vm_"))
        assert (part.bridge, part.tap, part.ssh_address, part.ssh_port) == ("br0", tap.name, tap.address, 0)
        words = " ".join(part.program)
        assert "-netdev tap,id=bridge,fd=8 " in words and f"netdev=bridge,mac={tap.mac}," in words
        assert f"name=opt/sppr/bridge,string={tap.mac}" in words and "hostfwd" not in words
        reserved = next(word for word in part.program if word.startswith("name=opt/sppr/reserved,"))
        assert reserved.endswith(f",,{tap.mac}"), "spp_vm must not take it as a port"
        assert "guestfwd=tcp:10.0.2.100:6666-chardev:control" in words and part.start == "auto"
    assert lab.ssh["vm-v11"] == (lab.part("vm_v11").ssh_address, 22)
    assert planned().ssh["vm-v11"] == ("127.0.0.1", 22011)
    assert "bridge" not in " ".join(planned().part("vm_r6").program) and planned().part("vm_r6").bridge == ""


def test_templates_and_vms_without_management_nic_are_not_on_the_bridge() -> None:
    config = config_of("vm: {bridge: br0}" + LAB)
    (template, _) = planned("vm: {bridge: br0}" + LAB, template=True).parts[-2:]
    assert template.is_vm and template.bridge == "" and template.ssh_port == 22201
    part = single_vm(config, MACHINE, paths(), "vhost", 11, None, vms.VmOptions(nics=0))
    assert part.bridge == "" and "tap" not in " ".join(part.program)


def test_options_of_a_vm_by_hand() -> None:
    config = config_of("vm: {args: [-s]}\nvms_vhost: [{id: 11}, {id: 12, args: [-S]}]")
    options = vms.VmOptions(graphic=True, makes_sockets=True)
    part = single_vm(config, MACHINE, paths(), "vhost", 11, None, options)
    text = " ".join(part.program)
    assert part.makes_sockets and "server=on" in text and text.endswith(" -s") and "-display none" not in text
    assert single_vm(config, MACHINE, paths(), "vhost", 12, None).program[-1] == "-S"
    assert part.console == str(paths().run / "vm_v11.console") and part.kind == ""
    bare = single_vm(config, MACHINE, paths(), "orig", 0, None, vms.VmOptions(image=(Path("/x.img"), "raw")))
    assert bare.ports == () and bare.template == "" and "format=raw" in " ".join(bare.program)
    none = replace(paths(), store=None)
    assert single_vm(config, MACHINE, none, "vhost", 11, None).disk == "(no base image)"


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ("sec2: 'vhost:11 -> ring:5'", "vhost:11 of sec2 belongs to chain web"),
        ("sec1: 'ring:9 -> tap:0'", "tap:0 of sec1 belongs to chain web"),
    ],
)
def test_a_patch_over_a_port_of_a_chain(patch: str, message: str) -> None:
    text = LAB + f"chains: {{web: {{path: [tap:0, vm_r6, vm_v11, tap:1]}}}}\npatches: [{{{patch}}}]\n"
    with pytest.raises(ConfigError) as caught:
        planned(text)
    assert (caught.value.what, caught.value.hint) == (message, "remove this patch, or the chain")
    assert caught.value.key == ("patches", 0, patch[:4])


def test_patches_ports_and_idle_processes() -> None:
    entries = [
        "{sec1: 'ring:1 -> ring:2'}", "{vm_v11: 'phy:0 -> ring:0'}", "{sec2: 'ring:4'}",
        "{sec2: idle}", "{pri: 'ring:7 -> ring:8'}",
    ]  # fmt: skip
    text = LAB + f"patches: [{', '.join(entries)}]\n"
    wiring = planned(text).wiring
    assert [(leg.process, leg.by, leg.src, leg.dst, leg.hop) for leg in wiring.patches] == [
        ("nfv:1", "sec1", "ring:1", "ring:2", 1),
        ("nfv:11", "vm_v11", "phy:0", "ring:0", 0),
        ("primary", "pri", "ring:7", "ring:8", 1),
    ]
    assert wiring.ports == (("nfv:2", "ring:4"),) and wiring.idle == ("nfv:2",)
    fewer = planned(text, nof_vhost=0).wiring
    assert [leg.by for leg in fewer.patches] == ["sec1", "pri"], "the part of one entry is not in this lab"


def test_rings_of_patches_are_not_used_by_chains() -> None:
    text = LAB + "chains: {c: {path: [vm_r6, vm_v11]}}\npatches: [{sec1: 'ring:0 -> ring:2'}]\n"
    assert planned(text).wiring.chains[0].forward[0].dst == "ring:1"
    assert planned(text).wiring.chains[0].reverse[0].src == "vhost:11"


def test_a_chain_of_conf_yml_over_a_kept_chain() -> None:
    before = planned(LAB + "chains: {old: {path: [tap:0, vm_v11, tap:1]}}")
    text = LAB + "chains: {new: {path: [tap:0, vm_r6, tap:1]}}"
    with pytest.raises(ConfigError) as caught:
        chains(config_of(text), planned(text).parts, before.wiring.chains)
    found = caught.value
    assert found.what == "chain new: tap:0 belongs to chain old, which is kept"
    assert found.hint == "remove --keep-chains" and found.key == ("chains", "new", "path")


def test_a_hop_that_its_secondary_cannot_reach() -> None:
    text = LAB + "chains: {c: {path: [tap:0, vm_v12, vm_v11, tap:1], via: [sec1, sec1, sec1]}}"
    with pytest.raises(ConfigError) as caught:
        planned(text)
    assert "cannot reach the ports of vm_v11: sec2 serves them" in caught.value.what


def test_reasons_for_chains_that_are_left_out() -> None:
    chain = "chains: {c: {path: [tap:0, vm_v11, tap:1]}}"
    path = ("tap:0", "vm_v11", "tap:1")
    alone = planned("primary: {coremask: 0x1}\n" + LAB.replace(", secondary: 2", "") + chain, nof_sec=0, nof_ring=0)
    assert alone.wiring.left_out == (
        LeftOut("c", path, "this lab has no secondary, and its primary has no lcore that forwards"),
    )
    vdev = planned(LAB.replace(", secondary: 2", "") + chain, vdev_vhost=(11,), vdev_tap=(0, 1))
    assert vdev.wiring.left_out == (
        LeftOut("c", path, "the ports of vm_v11 are vdevs of the primary (-vdv), which no secondary can use"),
    )
    two = LAB + "chains: {c: {path: [tap:0, vm_r6, vm_v11, tap:1]}}"
    assert planned(two, nof_ring=0, nof_vhost=0).wiring.left_out[0].why == "vm_r6, vm_v11 are not in this lab"
    assert planned(two, nof_ring=0).wiring.left_out[0].why == "vm_r6 is not in this lab"


def test_ends_and_parts_of_chains() -> None:
    text = LAB + (
        "chains: {a: {path: [tap:0, vm_v11, tap:1], ends: {tap:0: {netns: one, address: 10.0.0.1/24}}}, "
        "b: {path: [tap:2, vm_r6, tap:3], ends: {tap:3: {netns: two}}}}"
    )
    wiring = planned(text, vdev_tap=(0, 1, 2, 3)).wiring
    assert wiring.ends == (
        TapEnd("a", "tap:0", "vtap0", "one", "10.0.0.1/24"),
        TapEnd("b", "tap:3", "vtap3", "two", ""),
    )
    assert [chain.parts for chain in wiring.chains] == [
        ("ctrler", "pri", "sec2", "vm_v11"), ("ctrler", "pri", "sec1", "vm_r6"),
    ]  # fmt: skip
