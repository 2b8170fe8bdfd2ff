"""Statuses of every SPP release, as docs/spp-protocol.md prints them, and the commands of each release."""

import json
from types import SimpleNamespace

import pytest

from sppr.controller import components
from sppr.controller.errors import BadValue
from sppr.controller.patch_panel import PatchPanel
from sppr.controller.server import dialect
from sppr.controller.server.reply import Reply
from sppr.spp.names import Target

CONVERTED = {
    "client-id": 2,
    "status": "idling",
    "ports": ["phy:0", "phy:1", "ring:5"],
    "patches": [{"src": "phy:0", "dst": "ring:5"}],
}
OLD = """Client ID 2 Idling
2
port id: 0,on,PHY,outport: 2
port id: 1,on,PHY,outport: -99
port id: 2,on,RING(5),outport: -99
"""
MIDDLE = """Client ID 2 Idling
clinet_id:2
port_id:0,on,PHY,outport:2
port_id:1,on,PHY,outport:none
port_id:2,on,RING(5),outport:none
"""
LAST = "status: idling\nports: 'phy:0-ring:5,phy:1-null,ring:5-null'"
NEW = {**CONVERTED, "master-lcore": 1, "lcores": [1, 2]}


@pytest.mark.parametrize("text", [OLD, MIDDLE, LAST], ids=["16.07-17.08", "17.11-18.02", "18.05"])
def test_classic_status_is_converted_to_the_newest_form(text: str) -> None:
    message = dialect.parse_status(Reply(text), 2)
    assert (message.status, message.classic) == (CONVERTED, True)


def test_status_of_other_releases_is_converted() -> None:
    assert dialect.parse_status(Reply(json.dumps(NEW), NEW), 2) == dialect.ParsedStatus(NEW)
    assert dialect.parse_status(Reply("status: running\nports: ''"), 1).status["ports"] == []
    assert dialect.parse_status(Reply("Server Idling"), 0).status == {
        "status": "idling",
        "phy_ports": [],
        "ring_ports": [],
    }
    assert dialect.parse_status(Reply("\x1b[2J?"), 1).status == {"status": "\x1b[2J?"}
    pcap = dialect.parse_status(Reply("Client ID 1 Running\nport_id:0,on,PCAP(3),outport:7\n"), 1).status
    assert pcap == {"client-id": 1, "status": "running", "ports": ["pcap:3"], "patches": []}


@pytest.mark.parametrize(
    ("text", "words", "sent"),
    [
        (OLD, ("add", "ring:3"), "add ring 3"),
        (OLD, ("del", "vhost:3"), "del vhost 3"),
        (OLD, ("patch", "phy:0", "ring:5"), "patch 0 2"),
        (OLD, ("patch", "0", "2"), "patch 0 2"),
        (OLD, ("patch", "reset"), "patch reset"),
        (OLD, ("forward",), "forward"),
        (LAST, ("add", "ring:3"), "add ring 3"),
        (LAST, ("patch", "phy:0", "ring:5"), "patch phy:0 ring:5"),
    ],
)
def test_command_is_written_in_the_dialect(text: str, words: tuple[str, ...], sent: str) -> None:
    assert dialect.command(dialect.parse_status(Reply(text), 2), *words) == sent
    assert dialect.command(dialect.ParsedStatus(NEW), *words) == " ".join(words)


@pytest.mark.parametrize("words", [("add", "memif:0"), ("add", "phy:0"), ("patch", "phy:0", "ring:9")])
def test_command_unknown_to_classic_spp_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(BadValue):
        dialect.command(dialect.parse_status(Reply(OLD), 2), *words)


@pytest.mark.parametrize(
    ("verb", "args", "done"),
    [
        ("add", ["ring:5"], True), ("add", ["ring:6"], False), ("del", ["ring:6"], True), ("del", ["ring:5"], False),
        ("patch", ["phy:0", "ring:5"], True), ("patch", ["phy:1", "ring:5"], False), ("stop", [], True),
        ("forward", [], False),
    ],
)  # fmt: skip
def test_change_is_confirmed_by_the_status(verb: str, args: list[str], done: bool) -> None:
    assert dialect.shows_change(NEW, verb, args) is done
    assert dialect.shows_change({"forwarder": NEW, "lcores": []}, verb, args) is done


def test_port_of_several_queues_is_found_by_its_reported_name() -> None:
    assert dialect.shows_change({"patches": [{"src": "phy:0 nq 3", "dst": "ring:1"}]}, "patch", ["phy:0nq3", "ring:1"])


def test_vf_status_is_converted() -> None:
    info = {"client-id": 3, "phy": ["0", "0 nq 2"], "vhost": [1], "ring": [], "core": [{"core": 2, "type": "unuse"}]}
    form = components.rest_form({"info": info}, "vf")
    assert form["ports"] == ["phy:0", "phy:0 nq 2", "vhost:1"]
    assert (form["components"], form["classifier_table"]) == (info["core"], [])
    assert "classifier_table" not in components.rest_form({"info": info}, "mirror") and "master-lcore" not in form
    assert components.rest_form({"info": info}, "pcap") == info
    ours = info | {"tap": ["0", "1"], "counters": [{"port": "tap:0", "rx": 5}]}
    form = components.rest_form({"info": ours}, "vf")
    assert form["ports"] == ["phy:0", "phy:0 nq 2", "vhost:1", "tap:0", "tap:1"]
    assert form["counters"] == ours["counters"]


CLASSIC_TYPES = "use one of ring, vhost, pcap, nullpmd"


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        (("add", "memif:0"), "memif:0: classic SPP (16.07 to 18.05) has no such port type", CLASSIC_TYPES),
        (("del", "ring:x"), "ring:x: classic SPP (16.07 to 18.05) has no such port type", CLASSIC_TYPES),
        (("add", "ring:1:2"), "ring:1:2: classic SPP (16.07 to 18.05) has no such port type", CLASSIC_TYPES),
        (("patch", "phy:0", "ring:9"), "the process has no port ring:9", "use one of phy:0, phy:1, ring:5"),
    ],
)
def test_errors_of_classic_processes(words: tuple[str, ...], what: str, hint: str) -> None:
    with pytest.raises(BadValue) as caught:
        dialect.command(dialect.parse_status(Reply(OLD), 2), *words)
    assert (caught.value.what, caught.value.hint) == (what, hint)


def test_ports_are_named_by_uid_or_ethdev_number() -> None:
    parsed = dialect.parse_status(Reply(OLD), 2)
    assert dict(parsed.numbers) == {"phy:0": 0, "phy:1": 1, "ring:5": 2}
    assert [dialect.uid_of(parsed, end) for end in ("2", "ring:5", "9")] == ["ring:5", "ring:5", "9"]


@pytest.mark.parametrize("text", ["Server Running", "status: idling\nports: ''", "Client ID 1 Idling\n", "?"])
def test_a_status_as_text_is_classic(text: str) -> None:
    assert dialect.parse_status(Reply(text), 0).classic is True
    assert dialect.parse_status(Reply("Server Running"), 1).status == {"status": "Server Running"}


def test_a_status_shows_forwarding() -> None:
    running = {"status": "running", "ports": None, "patches": None}
    assert dialect.shows_change(running, "forward", []) and not dialect.shows_change(running, "stop", [])
    assert not dialect.shows_change(running, "patch", ["phy:0", "ring:5"])
    assert not dialect.shows_change(running, "add", ["ring:5"]) and dialect.shows_change(running, "del", ["ring:5"])
    with pytest.raises(ValueError):
        dialect.shows_change(running, "patch", ["phy:0"])


@pytest.mark.parametrize(
    ("client_id", "uid", "ports", "expected"),
    [
        (1, "phy:1", ("tap:0", "tap:1"), "tap:1"),
        (1, "phy:2", ("tap:0", "tap:1"), "phy:2"),
        (1, "phy:0nq1", ("tap:0",), "phy:0nq1"),
        (1, "ring:0", ("tap:0",), "ring:0"),
        (1, "phy:0", ("tap:0", "phy:0"), "phy:0"),
        (11, "phy:0", ("tap:0", "tap:1"), "phy:0"),
    ],
)
def test_phy_stands_for_a_port_of_a_primary_without_nics(
    client_id: int, uid: str, ports: tuple[str, ...], expected: str
) -> None:
    """A guest, here the VM 11, has NICs of its own."""
    primary = SimpleNamespace(is_sppr=True, status={"phy_ports": [{"port": port} for port in ports]})
    secondaries = {number: SimpleNamespace(kind="nfv", vm_id=vm) for number, vm in ((1, 0), (11, 11))}
    panel = PatchPanel(SimpleNamespace(primary=primary, secondaries=secondaries))
    assert panel.port_of_nic(Target("nfv", client_id), uid) == expected
    primary.is_sppr = False
    assert panel.port_of_nic(Target("nfv", client_id), uid) == uid
