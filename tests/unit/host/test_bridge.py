"""Taps on a bridge of the user: names, addresses, and what a bridge must be. With root: a tap on a real bridge."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sppr.errors import HostError
from sppr.host.network import bridge
from sppr.host.network.bridge import Bridge, Tap

NAMES = ("br0", "eth0", "lo")


def test_names_of_taps_fit_and_differ_between_sessions() -> None:
    runs, vms = (Path("/run/sppr/a"), Path("/run/sppr/b")), ("r1", "v1", "n127")
    taps = [bridge.tap_of("br0", "id", run, vm) for run in runs for vm in vms]
    assert len({tap.name for tap in taps}) == len({tap.mac for tap in taps}) == 6
    assert all(len(tap.name) <= 15 and tap.name.startswith("sppr-") for tap in taps)
    assert taps[2].name.startswith("sppr-n127-") and taps[0] == bridge.tap_of("br0", "id", runs[0], "r1")
    other = bridge.tap_of("br0", "another machine", runs[0], "r1")
    assert other.mac != taps[0].mac and other.name == taps[0].name
    assert all(tap.mac.startswith("02:") for tap in taps), "locally administered"


def test_link_local_address_follows_from_the_mac() -> None:
    assert bridge.link_local("52:54:00:12:34:56") == "fe80::5054:ff:fe12:3456"
    assert Tap("br0", "t", "02:00:00:00:00:01").address == "fe80::ff:fe00:1%br0"


@pytest.mark.parametrize(
    ("known", "root", "what", "fix"),
    [
        ([], True, "br0 is a network interface, but not a bridge",
         "name a bridge, or make one: ip link add NAME type bridge; ip link set NAME up"),
        ([Bridge("br0", up=False)], True, "bridge br0 is down", "ip link set br0 up"),
        ([Bridge("br0", ipv6=False)], True,
         "IPv6 is off on bridge br0, and the host reaches VMs there at their IPv6 link-local addresses",
         "sysctl net.ipv6.conf.br0.disable_ipv6=0"),
        ([Bridge("br0")], False, "only root can add VMs to bridge br0", "run the lab as root, or leave vm.bridge out"),
    ],
)  # fmt: skip
def test_bridge_that_vms_cannot_use(known: list[Bridge], root: bool, what: str, fix: str) -> None:
    assert bridge.problem("br0", known, NAMES, root) == (what, fix)


def test_bridge_that_is_missing_and_one_that_works() -> None:
    fix = "ip link add br1 type bridge; ip link set br1 up"
    assert bridge.problem("br1", [Bridge("br0")], NAMES, True) == ("there is no bridge br1", fix)
    assert bridge.problem("br0", [Bridge("br0")], NAMES, True) is None


def test_bridges_of_a_machine(tmp_path: Path) -> None:
    for name, flags, ipv6 in (("a", "0x1003", "0"), ("b", "0x1002", "0"), ("c", "0x1003", "1"), ("d", "", None)):
        net = tmp_path / "sys/class/net" / name
        (net / "bridge").mkdir(parents=True)
        (net / "flags").write_text(f"{flags}\n")
        if ipv6 is not None:
            (tmp_path / "proc/sys/net/ipv6/conf" / name).mkdir(parents=True)
            (tmp_path / "proc/sys/net/ipv6/conf" / name / "disable_ipv6").write_text(f"{ipv6}\n")
    (tmp_path / "sys/class/net/eth0").mkdir()
    assert bridge.bridges(tmp_path) == (
        Bridge("a"), Bridge("b", up=False), Bridge("c", ipv6=False), Bridge("d", up=False, ipv6=False),
    )  # fmt: skip


@pytest.fixture
def real() -> Iterator[str]:
    if os.geteuid() != 0:
        pytest.skip("making a bridge needs root")
    name = f"sbu{secrets.token_hex(4)}"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    yield name
    subprocess.run(["ip", "link", "delete", name], check=True)


def test_tap_is_on_the_bridge_until_it_is_closed(real: str) -> None:
    tap = bridge.tap_of(real, "id", Path("/run") / real, "v11")
    fd = bridge.open_tap(tap)
    try:
        folder = Path("/sys/class/net") / tap.name
        assert bridge.bridge_of(tap.name) == real and int((folder / "flags").read_text(), 16) & 1
        assert (folder / "address").read_text().strip() == f"fe{tap.mac[2:]}", "higher than that of any NIC"
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)
    assert bridge._exists(real) and bridge.bridge_of(tap.name) == ""


def test_name_of_a_tap_that_is_in_use(real: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "_GONE_SECONDS", 0.1)
    tap = bridge.tap_of(real, "id", Path("/run") / real, "v11")
    subprocess.run(["ip", "tuntap", "add", tap.name, "mode", "tap"], check=True)
    try:
        with pytest.raises(HostError, match=f"{tap.name}: this network interface exists already") as e:
            bridge.open_tap(tap)
        assert e.value.hint == f"stop the process that has it open, or: ip link delete {tap.name}"
    finally:
        subprocess.run(["ip", "link", "delete", tap.name], check=True)
    with pytest.raises(HostError, match=r"vm\.bridge: there is no bridge sppr-none"):
        bridge.open_tap(Tap("sppr-none", tap.name, tap.mac))
