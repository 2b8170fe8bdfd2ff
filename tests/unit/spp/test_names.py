from pathlib import Path

import pytest

from sppr.spp.names import (
    Target,
    check_id,
    check_uid,
    parse_target,
    printable,
    tap_interfaces,
    vdev_socket,
    vhost_vdev,
    with_link_name,
)

GOOD_UIDS = ["phy:0", "ring:99", "vhost:127", "pcap:1", "nullpmd:0", "tap:0", "memif:3", "pipe:0", "phy:0nq1"]
GOOD_UIDS += ["phy:10nq15", "link:0", "link:0nq102"]


@pytest.mark.parametrize("uid", GOOD_UIDS)
def test_uid_is_a_port_type_and_number(uid: str) -> None:
    assert check_uid(uid) == uid


BAD_UIDS = ["ring", "ring:", ":0", "ring:x", "ring:-1", "ring:1000", "ring:01", "Ring:0", "eth:0", "ring:0 ", "ring 0"]
BAD_UIDS += ["ring:0\n", "ring:0nq1", "link:0nq1000", "phy:0nq", "phy:0 nq 1", "ring:0;exit", "ring:²", ""]


@pytest.mark.parametrize("uid", [*BAD_UIDS, None, 3, ["ring:0"], {"port": "ring:0"}])
def test_invalid_uid_is_refused(uid: object) -> None:
    with pytest.raises(ValueError, match="is not a port"):
        check_uid(uid)


def test_target_is_parsed() -> None:
    assert parse_target("primary") == Target("primary")
    assert parse_target("nfv:127") == Target("nfv", 127)
    assert str(Target("nfv", 3)) == "nfv:3"


@pytest.mark.parametrize(
    "text", ["", "pri", "nfv", "nfv:", "nfv:0", "nfv:128", "nfv:x", "nfv:1:2", "vf:1", "primary:1"]
)
def test_invalid_target_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not the id|names no process"):
        parse_target(text)


@pytest.mark.parametrize("text", ["0", "128", "-1", "1.0", "", "²", "99999999999999999999"])
def test_invalid_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="1 to 127"):
        check_id(text)


def test_printable_is_one_harmless_line() -> None:
    assert printable("a\x1b[2Jb\nc\ud800") == "a [2Jb c"
    assert printable("x" * 300, 10) == "xxxxxxxxxx..."


def test_vhost_devices_of_old_and_new_dpdk() -> None:
    assert vhost_vdev("/tmp", 3) == "net_vhost3,iface=/tmp/sock3,queues=1"
    assert vhost_vdev("/tmp", 3, old_names=True) == "eth_vhost3,iface=/tmp/sock3,queues=1"


def test_printable_at_its_limit() -> None:
    assert printable("x" * 10, 10) == "x" * 10 and printable("x" * 11, 10) == "x" * 10 + "..."


def test_tap_interfaces_and_sockets_of_devices() -> None:
    program = ("spp_primary", "--vdev", "net_tap0,iface=vtap0", "--vdev=net_tap1,mac=x,iface=b", "--vdev", "net_null0")
    assert tap_interfaces(program) == {"tap:0": "vtap0", "tap:1": "b"}
    assert vdev_socket("net_vhost1,queues=1,iface=/tmp/sock1") == Path("/tmp/sock1")
    assert vdev_socket("eth_vhost1,iface=/tmp/sock1") == Path("/tmp/sock1")
    assert vdev_socket("net_vhost1,iface=/tmp/sock1,client=1") is None and vdev_socket("net_null0") is None


def test_port_of_a_link_has_the_name_of_the_link() -> None:
    links = {"link:0": "far", "a-nq/link:0": "east-west"}
    ports = ("link:0", "link:0nq2", "link:1nq2", "a-nq/link:0nq998", "phy:0nq1", "tap:0")
    assert [with_link_name(port, links) for port in ports] == [
        "link:far", "link:far/2", "link:1nq2", "link:east-west/998", "phy:0nq1", "tap:0",
    ]  # fmt: skip
