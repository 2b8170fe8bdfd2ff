"""The conf.yml of a lab over several hosts: the conf.yml of each host, VLAN ids, VNIs, and the placement of parts."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sppr.config.chains import link_of
from sppr.config.hosts import rules
from sppr.config.hosts.place import Key, Room, kept_names, place
from sppr.config.hosts.segments import (
    FIRST_VLAN,
    LAST_VLAN,
    Segments,
    assign_vlans,
    placed_by_hand,
)
from sppr.config.hosts.split import FIRST_VNI, HostLab, link_vni, netdev, split, text_of
from sppr.config.load import parse
from sppr.config.model import Config
from sppr.errors import ConfigError

HOSTS = """
hosts: {east: {address: 192.0.2.11}, west: {address: 192.0.2.12}, north: {address: 192.0.2.13}}
links: [{between: [east, west]}, {between: [west, north]}, {between: [north, east]}]
"""
TWO_VMS = """
secondaries: [{id: 1, coremask: 0x0C, host: east}, {id: 1, coremask: 0x0C, host: west}]
vms_vhost: [{id: 11, host: east}, {id: 12, host: west}]
"""
BIG = Room(cores=64, memory=65536)


def config_of(text: str) -> Config:
    return parse(text.encode(), "conf.yml")


def labs_of(text: str) -> dict[str, HostLab]:
    config = config_of(text)
    return split(config, placed_by_hand(config))


def paths_of(labs: dict[str, HostLab]) -> dict[str, dict[str, tuple[str, ...]]]:
    return {host: {name: chain.path for name, chain in lab.config.chains.items()} for host, lab in labs.items()}


def check_text(lab: HostLab) -> Config:
    """Check that the conf.yml of a host is valid, means its configuration, and is stable."""
    text = text_of(lab.config)
    assert "\nlinks: []" not in text and "\nvms_ring: []" not in text and "    ends: {}" not in text
    again = config_of(text)
    assert again == lab.config and text_of(again) == text
    return again


def by_name(config: Config, placed: dict[Key, str]) -> dict[str, str]:
    return {name: placed[key] for name, key in kept_names(config).items()}


def placement(text: str, kept: dict[str, str] | None = None, **rooms: Room) -> dict[str, str]:
    """Place the parts of a conf.yml. ``rooms``: those of hosts that are not large."""
    config = config_of(text)
    return by_name(config, place(config, {host: rooms.get(host, BIG) for host in config.hosts}, kept or {}))


# The conf.yml of each host


EVERYTHING = (
    HOSTS
    + """
session: 'no'
restart: on-failure
controller: {rest_port: 7779, allow_users: [ana], restart: {policy: on-failure, delay: 0.5}}
primary: {coremask: 0b, portmask: '0x0F', memory: 1G, vdevs: ['net_tap0,iface=a', 'net_tap1,iface=b',
  'net_tap2,iface=c', 'net_tap3,iface=d'], rings: 20}
secondaries:
  - {id: 1, coremask: 0x30, host: east, restart: 'no', vhost_client: yes}
  - {id: 2, coremask: 0x1C0, host: east, type: pcap, port: 'tap:0', out_dir: /tmp/x}
  - {id: 1, coremask: 0x30, host: west}
vm: {memory: 512, args: ['-device', 'x: y'], ready_timeout: 60.5, restart: on-failure, start: boot, accel: tcg}
vms_ring: [{id: 6, host: east, secondary: 1, memory: 128, cores: 2, args: [], rings: [6, 106], cpus: [0, 1]}]
vms_vhost: [{id: 11, host: east, start: warm, vhosts: [11, 111]}, {id: 12, host: west, restart: {policy: 'no'}}]
images: {dir: ./images, format: raw}
provision: ['apt install "x": é', {file: ./a b, to: /root}]
spp: {file_prefix: p1, sock_dir: /tmp/socks}
hugepages: /mnt/huge
chains:
  web:
    path: [east/tap:0, vm_r6, vm_v11, vm_v12, west/tap:1]
    functions: {vm_r6: guest, west/vm_v12: guest}
    match: {vlan: 100, dst_mac: '02:00:00:00:00:0A'}
    impair: {delay: 20ms, jitter: 2ms, loss: 0.5%, seed: 1}
    ends: {east/tap:0: {netns: client, address: 10.20.0.1/24}, west/tap:1: {netns: server}}
  rest: {path: [east/tap:0, west/tap:1], match: default, direction: forward}
  local: {path: [east/tap:2, east/tap:3], via: [sec1], impair: {rate: 10mbit}}
"""
)


def test_conf_of_each_host_is_valid_and_has_its_settings() -> None:
    labs = labs_of(EVERYTHING)
    east, west, north = (check_text(labs[host]) for host in ("east", "west", "north"))
    assert east.session == "no" and east.restart.policy == "on-failure" and east.vm.args == ("-device", "x: y")
    assert east.vms_ring[0].args == (), "an empty list overrides that of vm:"
    assert east.chains["web"].functions == {"vm_r6": "guest"} and west.chains["web"].functions == {"vm_v12": "guest"}
    assert list(east.chains["web"].ends) == ["tap:0"] and list(west.chains["web"].ends) == ["tap:1"]
    assert east.chains["local"].via == ("sec1",) and list(west.chains) == ["web", "rest"] and not north.chains
    assert not any(one.host for lab in (east, west) for one in (*lab.secondaries, *lab.vms_ring, *lab.vms_vhost))
    assert not east.hosts and [link.name for link in east.links] == ["east-west", "north-east"]


def test_match_is_where_frames_enter_and_impairment_where_they_enter_first() -> None:
    labs = labs_of(EVERYTHING)
    web = {host: labs[host].config.chains["web"] for host in ("east", "west")}
    assert [web[host].match_words() for host in ("east", "west")] == ["vlan=100 dst_mac=02:00:00:00:00:0a"] * 2
    assert web["east"].impair == web["west"].impair is not None, "each direction enters on another host"
    rest = {host: labs[host].config.chains["rest"] for host in ("east", "west")}
    assert rest["east"].match_words() == "default" and rest["west"].match_words(), "web shares tap:1 of west"


def test_host_in_the_middle_has_neither_match_nor_impairment() -> None:
    text = HOSTS + "vms_vhost: [{id: 11, host: west}]\nchains: {web: {path: [east/tap:0, vm_v11, north/tap:0], "
    labs = labs_of(text + "match: {vlan: 9}, impair: {delay: 1ms}}}")
    assert [lab.config.chains["web"].impair is None for lab in labs.values()] == [False, True, False]
    assert [lab.config.chains["web"].match is None for lab in labs.values()] == [False, True, False]


PORTS = st.builds("{}/tap:{}".format, st.sampled_from(["east", "west", "north"]), st.integers(0, 2))
VMS = ("vm_r6", "vm_r7", "vm_v11", "vm_v12", "vm_v13")


@st.composite
def labs_of_chains(draw: st.DrawFn) -> str:
    """Return a conf.yml with VMs at random hosts, and chains over them."""
    where = draw(st.lists(st.sampled_from(["east", "west", "north"]), min_size=5, max_size=5))
    numbers = draw(st.lists(st.integers(0, 9), min_size=8, max_size=8, unique=True))
    lines = [HOSTS, "vms_ring:", *(f"  - {{id: {i}, host: {h}}}" for i, h in zip((6, 7), where, strict=False))]
    lines += ["vms_vhost:", *(f"  - {{id: {i}, host: {h}}}" for i, h in zip((11, 12, 13), where[2:], strict=True))]
    lines.append("chains:")
    for number in range(draw(st.integers(1, 4))):
        vms = draw(st.lists(st.sampled_from(VMS), max_size=5, unique=True))
        ends = [
            f"{draw(st.sampled_from(['east', 'west', 'north']))}/nullpmd:{numbers.pop()}" for _ in range(2)
        ]  # fmt: skip
        extra = draw(st.sampled_from(["", ", match: default", ", match: {vlan: 7}", ", impair: {loss: 1%}"]))
        direction = draw(st.sampled_from(["both", "forward"]))
        path = ", ".join([ends[0], *vms, ends[1]])
        lines.append(f"  c{number}: {{path: [{path}], direction: {direction}{extra}}}")
    return "\n".join(lines)


@settings(deadline=None, max_examples=60)
@given(labs_of_chains())
def test_segments_of_chains_meet_in_pairs_of_vlan_ids(text: str) -> None:
    """Each chain is complete over all hosts, and both ends of a crossing have the two ids of one pair."""
    config, labs = config_of(text), labs_of(text)
    for lab in labs.values():
        check_text(lab)
    for name, chain in config.chains.items():
        segments = [
            (segment.start, lab.config.chains[local].path)
            for lab in labs.values() for local, (origin, segment) in lab.chains.items() if origin == name
        ]  # fmt: skip
        found = [path for _, path in sorted(segments)]
        elements = [element for path in found for element in path if not link_of(element)[0]]
        assert elements == [element.rpartition("/")[2] for element in chain.path]
        for before, behind in pairwise(found):
            (link, first), (other, second) = link_of(before[-1]), link_of(behind[0])
            assert link == other and first is not None and second == first ^ 1 == first + 1
    used = [element for lab in labs.values() for chain in lab.config.chains.values() for element in chain.path]
    links = [element for element in used if link_of(element)[0]]
    assert len(links) == len(set(links)), "an id belongs to one end of one chain"


def test_chain_that_visits_a_host_twice_is_two_chains_there() -> None:
    web = "chains: {web: {path: [east/tap:0, vm_v12, east/tap:1]}, web-2: {path: [east/tap:2, east/tap:3]}}"
    labs = labs_of(HOSTS + TWO_VMS + web)
    assert paths_of(labs) == {
        "east": {
            "web": ("tap:0", "link:east-west/2"),
            "web-3": ("link:east-west/5", "tap:1"),
            "web-2": ("tap:2", "tap:3"),
        },
        "west": {"web": ("link:east-west/3", "vm_v12", "link:east-west/4")},
        "north": {},
    }
    assert labs["east"].original(("chains", "web-3", "path", 1)) == ("chains", "web", "path", 2)
    assert labs["east"].original(("chains", "web-3", "path", 0)) == ("chains", "web", "path", 2)
    assert labs["west"].original(("chains", "web", "path", 1)) == ("chains", "web", "path", 1)
    assert labs["west"].original(("vms_vhost", 0, "id")) == ("vms_vhost", 1, "id")


def test_place_in_the_path_of_a_host_is_found_in_the_whole_path() -> None:
    text = HOSTS + "vms_vhost: [{id: 11, host: west}, {id: 12, host: west}]\nvms_ring: [{id: 6, host: east}]\n"
    lab = labs_of(text + "chains: {web: {path: [east/tap:0, vm_r6, vm_v11, vm_v12, north/tap:0]}}")["west"]
    assert lab.config.chains["web"].path == ("link:east-west/3", "vm_v11", "vm_v12", "link:west-north/2")
    assert [lab.original(("chains", "web", "path", n))[3] for n in range(4)] == [2, 2, 3, 3]


def test_function_of_one_host_is_not_that_of_a_vm_of_this_name_on_another() -> None:
    text = HOSTS + "vms_vhost: [{id: 11, host: east}, {id: 11, host: west}]\nchains: {web: {path: [east/tap:0, "
    labs = labs_of(text + "east/vm_v11, west/vm_v11, west/tap:0], functions: {east/vm_v11: guest}}}")
    functions = {host: labs[host].config.chains["web"].functions for host in ("east", "west")}
    assert functions == {"east": {"vm_v11": "guest"}, "west": {}}


def test_name_of_a_chain_that_comes_again_is_short_enough() -> None:
    name = "w" * 32
    labs = labs_of(HOSTS + TWO_VMS + f"chains: {{{name}: {{path: [east/tap:0, vm_v12, east/tap:1]}}}}")
    assert list(labs["east"].config.chains) == [name, "w" * 30 + "-2"] and check_text(labs["east"])


def test_same_ids_and_coremasks_are_valid_on_two_hosts() -> None:
    assert [len(lab.config.secondaries) for lab in labs_of(HOSTS + TWO_VMS).values()] == [1, 1, 0]


def test_settings_of_all_hosts_are_checked_once() -> None:
    with pytest.raises(ConfigError) as e:
        config_of(HOSTS + "primary: {coremask: 0x0}")
    assert e.value.what.count("the mask is empty") == 1 and "east:" not in e.value.what


def test_secondary_without_a_host_is_valid_until_it_is_placed() -> None:
    text = HOSTS + "secondaries: [{id: 1, coremask: 0x0C}]\nvms_vhost: [{id: 11, secondary: 1, host: west}]"
    assert placement(text) == {"sec1": "west"}


# VLAN ids and VNIs


def vlans_of(text: str, kept: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    config = config_of(text)
    return assign_vlans(Segments(config, placed_by_hand(config)), kept)


def chains(*names: str) -> str:
    lines = [f"  {name}: {{path: [east/tap:{n}, west/tap:{n}]}}" for n, name in enumerate(names)]
    return HOSTS + "chains:\n" + "\n".join(lines)


def test_kept_vlans_stay_when_a_chain_is_added_before_the_others() -> None:
    first = vlans_of(chains("b", "c"), {})
    assert first == {"east-west": {"b/0": 2, "c/0": 4}}
    assert vlans_of(chains("a", "b", "c"), first) == {"east-west": {"b/0": 2, "c/0": 4, "a/0": 6}}
    assert vlans_of(chains("a", "c"), first) == {"east-west": {"c/0": 4, "a/0": 2}}, "a free id is used again"


def test_link_with_too_many_chains_is_reported_at_the_link() -> None:
    pairs = (LAST_VLAN - FIRST_VLAN) // 2 + 1
    text = (
        HOSTS + "chains:\n" + "".join(f"  c{n}: {{path: [east/pcap:{n}, west/pcap:{n}]}}\n" for n in range(pairs + 1))
    )
    with pytest.raises(ConfigError, match=r"conf\.yml:3:9: links\[0\]: link east-west: 500 chains cross it") as e:
        config_of(text)
    assert "place the parts of a chain on one host" in e.value.what


def vni(between: str, link: str = "", addresses: tuple[str, str] = ("192.0.2.11", "192.0.2.12"), top: str = "") -> int:
    hosts = f"hosts: {{east: {{address: {addresses[0]}}}, west: {{address: {addresses[1]}}}}}\n"
    config = config_of(f"{top}\n{hosts}links: [{{between: [{between}]{link}}}]")
    assert netdev(config, config.links[0]) == f"sppvx{link_vni(config, config.links[0]):06x}"
    return link_vni(config, config.links[0])


def test_vni_is_stable_and_does_not_depend_on_the_order_of_the_hosts() -> None:
    assert vni("east, west") == vni("west, east") == 10361907
    assert FIRST_VNI <= vni("east, west") < 1 << 24
    others = {vni("east, west", top="session: b"), vni("east, west", addresses=("192.0.2.11", "192.0.2.13"))}
    assert len(others | {vni("east, west")}) == 3 and vni("east, west", ", vni: 77") == 77


# Placement


def test_neighbours_in_a_chain_are_placed_together() -> None:
    text = HOSTS + "vms_vhost: [{id: 11}, {id: 12}, {id: 13}]\nchains: {web: {path: [north/tap:0, vm_v11, vm_v12]}}"
    placed = placement(text, north=Room(4, 4096))
    assert placed["vm_v11"] == placed["vm_v12"] == "north" != placed["vm_v13"]


def test_vm_is_placed_on_the_host_that_a_path_names() -> None:
    text = HOSTS + "vms_vhost: [{id: 11}, {id: 11}]\nchains: {web: {path: [east/tap:0, west/vm_v11, north/vm_v11]}}"
    assert placement(text) == {"vm_v11": "west", "vm_v11#2": "north"}


def test_neighbours_that_do_not_fit_are_placed_on_a_linked_host() -> None:
    text = HOSTS.replace(", {between: [west, north]}, {between: [north, east]}", "") + (
        "vms_vhost: [{id: 11}, {id: 12}]\nchains: {web: {path: [east/tap:0, vm_v11, vm_v12]}}"
    )
    assert placement(text, east=Room(8, 300), west=Room(8, 300)) == {"vm_v11": "east", "vm_v12": "west"}


def test_memory_of_a_host_is_a_limit() -> None:
    text = HOSTS + "vms_vhost: [{id: 11, memory: 600}, {id: 12, memory: 600}, {id: 13, memory: 600}]"
    placed = placement(text, east=Room(64, 1000), west=Room(4, 1000), north=Room(2, 1000))
    assert sorted(placed.values()) == ["east", "north", "west"]


def test_id_is_used_once_on_a_host() -> None:
    text = HOSTS + "secondaries: [{id: 1, coremask: 0x0C, host: east}]\nvms_vhost: [{id: 1}, {id: 1}]"
    placed = placement(text, east=Room(1024, 1 << 20))
    assert sorted(placed.values()) == ["north", "west"], "east has the most cores, and a part with this id"


def test_coremask_is_used_once_on_a_host() -> None:
    text = HOSTS + (
        "secondaries: [{id: 1, coremask: 0x0C, host: east}, {id: 2, coremask: 0x0C}, {id: 3, coremask: 0x18}]\n"
        "vms_vhost: [{id: 8, host: east}, {id: 9, host: east}]"
    )
    placed = placement(text)
    assert {placed["sec2"], placed["sec3"]} == {"west", "north"}


def test_part_that_fits_nowhere_is_reported_with_the_reason_of_each_host() -> None:
    text = HOSTS + "secondaries: [{id: 9, coremask: 0x0C, host: north}]\nvms_vhost: [{id: 9, memory: 2G, cores: 4}]"
    with pytest.raises(ConfigError) as e:
        placement(text, east=Room(2, 9000), west=Room(8, 1000))
    assert e.value.key == ("vms_vhost", 0, "id")
    assert e.value.what == (
        "vm_v9 fits on no host: it needs 4 cores, and east has 2; it needs 2048 MiB, and west has 1000 MiB left; "
        "north already has a part with the id 9"
    )


def test_secondary_that_fits_nowhere_is_reported() -> None:
    text = HOSTS + "primary: {coremask: 0x07}\nsecondaries: [{id: 1, coremask: 0x0C}]"
    with pytest.raises(ConfigError, match="sec1 fits on no host: on east its cores belong to other processes of SPP"):
        placement(text)


def test_vm_is_placed_with_its_secondary() -> None:
    text = HOSTS + "secondaries: [{id: 3, coremask: 0x0C, host: north}]\nvms_vhost: [{id: 11, secondary: 3}, {id: 12}]"
    placed = placement(text, north=Room(4, 512))
    assert placed["vm_v11"] == "north" != placed["vm_v12"]


def test_vms_of_a_secondary_without_a_host_are_placed_together_and_it_with_them() -> None:
    text = HOSTS + (
        "secondaries: [{id: 3, coremask: 0x0C}]\n"
        "vms_ring: [{id: 6, host: north}, {id: 7, host: north}, {id: 8, host: north}]\n"
        "vms_vhost: [{id: 10}, {id: 11, secondary: 3}, {id: 12, secondary: 3}]"
    )
    placed = placement(text)
    assert placed["vm_v11"] == placed["vm_v12"] == placed["sec3"] != placed["vm_v10"]


def test_kept_placement_stays_when_a_vm_is_added_before_the_others() -> None:
    vms = "vms_vhost: [{extra}{{id: 11}}, {{id: 12}}, {{id: 13}}]\nsecondaries: [{{id: 1, coremask: 0x0C}}]"
    first = placement(HOSTS + vms.format(extra=""))
    again = placement(HOSTS + vms.format(extra="{id: 10, memory: 4G}, {id: 9, host: east}, "), first)
    assert again.items() >= first.items() and "vm_v10" in again
    assert placement(HOSTS + vms.format(extra="")) == first


def test_kept_placement_ends_where_it_is_not_possible() -> None:
    text = HOSTS + "vms_vhost: [{id: 11}, {id: 12}]\nsecondaries: [{id: 12, coremask: 0x0C, host: west}]"
    placed = placement(text, {"vm_v11": "south", "vm_v12": "west"})
    assert placed["vm_v11"] in ("east", "west", "north") and placed["vm_v12"] != "west"


def test_part_that_may_run_is_limited_by_conf_yml_and_not_by_free_memory() -> None:
    text = HOSTS + "vms_vhost: [{id: 11, memory: 4G, host: east}, {id: 12, memory: 4G}, {id: 13}]"
    placed = placement(text, {"vm_v12": "west"}, east=Room(8, 512), west=Room(8, 512))
    assert placed == {"vm_v12": "west", "vm_v13": "north"}
    limited = text.replace("192.0.2.12", "192.0.2.12, memory: 2G")
    assert placement(limited, {"vm_v12": "west"}, west=Room(8, 2048))["vm_v12"] != "west"
    with pytest.raises(ConfigError, match="vm_v11: it needs 4096 MiB, and east has 2048 MiB left") as e:
        placement(text.replace("192.0.2.11", "192.0.2.11, memory: 2G"))
    assert e.value.key == ("vms_vhost", 0, "host")


def test_vm_that_the_only_host_has_no_room_for_is_reported_at_its_entry() -> None:
    text = "hosts: {east: {address: 192.0.2.11, memory: 1G}}\nvms_vhost: [{id: 11, memory: 2G}]"
    with pytest.raises(ConfigError, match="vm_v11: it needs 2048 MiB, and east has 1024 MiB left") as e:
        placement(text)
    assert e.value.key == ("vms_vhost", 0, "id") and "add a host" in str(e.value.hint)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([96, 300, 700]), min_size=1, max_size=12), st.permutations(["east", "west", "north"]))
def test_placement_never_exceeds_a_host(sizes: list[int], order: list[str]) -> None:
    text = HOSTS + "vms_vhost:\n" + "".join(f"  - {{id: {10 + n}, memory: {m}}}\n" for n, m in enumerate(sizes))
    config = config_of(text)
    rooms = dict(zip(order, (Room(2, 700), Room(4, 1400), Room(8, 2800)), strict=True))
    try:
        placed = place(config, rooms, {})
    except ConfigError as e:
        assert "fits on no host" in e.what
        return
    assert len(placed) == len(sizes) and not rules.check_each(config, split(config, placed))
    for host, room in rooms.items():
        assert sum(config.vms_vhost[i].memory or 0 for (_, i), at in placed.items() if at == host) <= room.memory


def test_the_user_of_ssh_may_connect_to_a_controller_of_root() -> None:
    text = """
hosts:
  east: {address: 192.0.2.11, user: anna, become: true}
  west: {address: 192.0.2.12, user: anna}
controller: {allow_users: [otto]}
"""
    labs = split(parse(text.encode(), "conf.yml"), {})
    assert labs["east"].config.controller.allow_users == ("otto", "anna")
    assert labs["west"].config.controller.allow_users == ("otto",)
    assert parse(text_of(labs["east"].config).encode(), "east").controller.allow_users == ("otto", "anna")
