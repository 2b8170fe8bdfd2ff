"""A lab over several hosts: what is kept between two runs, what the hosts have room for, and the inventory."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from sppr.config.load import load
from sppr.errors import ConfigError
from sppr.hosts import lab as hosts_lab
from sppr.hosts.inventory import inventory, ssh_words
from sppr.hosts.lab import HostsLab, Room, gather, kept_path, placement_text, read_kept, rooms_from
from tests import large_hosts

HOSTS = """\
session: big
hosts:
  east: {address: 192.0.2.11, user: ana, port: 2201, become: yes, vars: {ansible_ssh_private_key_file: /k}}
  west: {address: west.example, link_address: 192.0.2.12, cores: 8, memory: 8G, folder: /srv/}
links: [{between: [east, west], vni: 77, port: 4790}]
"""
ROOMS = {"east": Room(8, 8192), "west": Room(8, 8192)}


def write(folder: Path, text: str) -> Path:
    conf = folder / "conf.yml"
    conf.write_text(text)
    return conf


def lab_of(conf: Path, rooms: Mapping[str, Room] | None = None) -> HostsLab:
    """Place the parts of a lab. Without ``rooms``, facts of the hosts must not be read."""

    def facts() -> Mapping[str, Room]:
        assert rooms is not None, "the facts are not needed"
        return rooms

    return gather(conf, load(conf), facts)


def test_placement_and_vlans_are_kept_and_facts_are_read_once(tmp_path: Path) -> None:
    vms = "vms_vhost: [{}{{id: 11}}, {{id: 12}}]\n"
    chains = "chains: {{{}web: {{path: [east/tap:0, vm_v11, vm_v12, west/tap:1]}}}}\n"
    first = lab_of(write(tmp_path, HOSTS + vms.format("") + chains.format("")), ROOMS)
    assert not kept_path(first.conf, "big").exists(), "sppr plan keeps nothing"
    first.keep()
    again = lab_of(first.conf)
    assert (again.placed, again.vlans) == (first.placed, first.vlans) and first.vlans == {"east-west": {"web/0": 2}}
    more = write(tmp_path, HOSTS + vms.format("{id: 9}, ") + chains.format("a: {path: [east/tap:2, west/tap:2]}, "))
    changed = lab_of(more, ROOMS)
    assert [changed.placed["vms_vhost", n] for n in (1, 2)] == [first.placed["vms_vhost", n] for n in (0, 1)]
    assert changed.vlans == {"east-west": {"web/0": 2, "a/0": 4}}
    assert changed.labs["east"].config.chains["web"].path[-1].startswith(("vm_v", "link:east-west/2"))


def test_kept_file_is_readable_json_of_this_session(tmp_path: Path) -> None:
    lab = lab_of(write(tmp_path, HOSTS + "vms_vhost: [{id: 11, host: east}, {id: 12}]\n"), ROOMS)
    lab.keep()
    path = tmp_path / ".sppr-placement-big.json"
    assert json.loads(path.read_text()) == {"parts": {"vm_v12": lab.placed["vms_vhost", 1]}, "vlans": {}}
    assert read_kept(lab.conf, "other") == hosts_lab.Kept()


@pytest.mark.parametrize("text", ["{", "[]", '{"parts": {"vm_v11": 1}}', '{"vlans": {"a": {"b": "2"}}}'])
def test_kept_file_that_cannot_be_read_is_reported(tmp_path: Path, text: str) -> None:
    conf = write(tmp_path, HOSTS)
    kept_path(conf, "big").write_text(text)
    with pytest.raises(ConfigError, match="the placement of this lab cannot be read") as e:
        lab_of(conf)
    assert str(e.value.hint) == "restore it, or remove it: parts may then move to other hosts"


def test_facts_are_not_read_if_each_part_has_a_host_or_each_host_its_room(tmp_path: Path) -> None:
    lab_of(write(tmp_path, HOSTS + "vms_vhost: [{id: 11, host: east}]\n"))
    lab_of(write(tmp_path, HOSTS.replace("become: yes", "cores: 4, memory: 4G") + "vms_vhost: [{id: 11}]\n"))
    with pytest.raises(AssertionError, match="the facts are not needed"):
        lab_of(write(tmp_path, HOSTS + "vms_vhost: [{id: 11}]\n"))


def test_room_is_that_of_conf_yml_then_that_of_the_facts(tmp_path: Path) -> None:
    facts = {"ansible_processor_nproc": 4, "ansible_memory_mb": {"nocache": {"free": 3000}}}
    vms = [
        "204800 qemu-system-x86_64 -drive file=/root/sppr-labs/big/runscripts/img/ov.qcow2",
        "99999 qemu-system-x86_64",
        "99999 sh -c /big/",
    ]
    east = {"Read cores and memory": {"ansible_facts": facts}, "Read the memory of its VMs": {"stdout_lines": vms}}
    rooms = rooms_from({"east": east, "west": {}}, "big")
    assert rooms == {"east": Room(4, 3200), "west": hosts_lab.UNLIMITED}
    config = load(write(tmp_path, HOSTS))
    assert hosts_lab.rooms_of(config, rooms) == {"east": Room(4, 3200), "west": Room(8, 8192)}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ("vms_vhost: [{id: 11, memory: 9G}]", "6:18: vms_vhost[0].id: vm_v11 fits on no host: it needs 9216 MiB"),
        ("vms_vhost: [{id: 11, memory: 9G, host: west}]", "6:40: vms_vhost[0].host: vm_v11: it needs 9216 MiB"),
        (
            "vms_vhost: [{id: 11, secondary: 4}]",
            "6:33: vms_vhost[0].secondary: east: no nfv secondary has the id 4",
        ),
        (
            "vms_ring: [{id: 11}]\nchains:\n  a: {path: [west/tap:0, west/vm_r11]}\n"
            "  b: {path: [east/tap:0, east/vm_r11]}",
            "vm_r11 is not on east: it is on west",
        ),
    ],
)
def test_placement_that_is_not_possible_is_reported_with_its_place(tmp_path: Path, parts: str, message: str) -> None:
    conf = write(tmp_path, HOSTS + parts + "\n")
    with pytest.raises(ConfigError) as e:
        lab_of(conf, ROOMS)
    assert message in e.value.what and e.value.what.startswith(f"{conf}:")


def test_links_have_both_addresses_from_the_view_of_each_host(tmp_path: Path) -> None:
    lab = lab_of(write(tmp_path, HOSTS))
    (east,), (west,) = lab.links_of("east"), lab.links_of("west")
    assert east == {
        "name": "east-west", "netdev": "sppvx00004d", "vni": 77, "local": "192.0.2.11", "remote": "192.0.2.12",
        "peer": "west", "port": 4790, "mtu": 1508, "packet": 1558,
    }  # fmt: skip
    assert west == east | {"local": east["remote"], "remote": east["local"], "peer": "east"}


def test_inventory_has_the_connection_and_the_lab_of_each_host(tmp_path: Path) -> None:
    lab = lab_of(write(tmp_path, HOSTS + "vms_vhost: [{id: 11, host: east}]\n"))
    group = inventory(lab)["all"]["children"]["sppr"]
    east, west = group["hosts"]["east"], group["hosts"]["west"]
    assert {key: value for key, value in east.items() if key.startswith("ansible_")} == {
        "ansible_host": "192.0.2.11", "ansible_user": "ana", "ansible_port": 2201, "ansible_become": True,
        "ansible_ssh_private_key_file": "/k",
    }  # fmt: skip
    assert east["sppr_counts"] == {"ns": 0, "nr": 0, "nv": 1} and east["sppr_folder"] == "~/sppr-labs/big"
    assert west["ansible_host"] == "west.example" and west["sppr_folder"] == "/srv/big"
    assert load(write(tmp_path, east["sppr_conf"])).vms_vhost[0].id == 11
    assert ssh_words(lab, "east")[3:] == ["-i", "/k", "-p", "2201", "-l", "ana", "192.0.2.11"]
    bare = HostsLab(lab.conf, lab.config, {}, {})
    assert "sppr_conf" not in inventory(bare)["all"]["children"]["sppr"]["hosts"]["east"]


def test_placement_is_printed(tmp_path: Path) -> None:
    text = HOSTS + "vms_vhost: [{id: 11, host: east}]\nchains: {web: {path: [vm_v11, west/tap:0]}}\n"
    assert placement_text(lab_of(write(tmp_path, text))) == [
        "east  192.0.2.11: pri vm_v11",
        "west  west.example: pri",
        "link:east-west  192.0.2.11 - 192.0.2.12, VNI 77, UDP port 4790, sppvx00004d",
        "chain web  east/vm_v11 → west/tap:0",
    ]


def test_large_lab_is_placed(tmp_path: Path) -> None:
    """The conf.yml of ``make bench`` is within the limits of the loader, and each host gets parts that fit."""
    lab = lab_of(write(tmp_path, large_hosts.conf()))
    assert len(lab.labs) == large_hosts.HOSTS and len(lab.config.chains) == large_hosts.CHAINS
    vms = [len(one.config.vms_ring) + len(one.config.vms_vhost) for one in lab.labs.values()]
    assert sum(vms) == large_hosts.VMS and max(vms) <= 64 - 6
    crossings = sum(len(vlans) for vlans in lab.vlans.values())
    assert crossings == 300
    assert len(placement_text(lab)) == large_hosts.HOSTS + len(lab.config.links) + large_hosts.CHAINS
