"""The wiring that the controller records of a process, from commands and statuses."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sppr.controller.restore import Restorer
from sppr.controller.wiring import ObservedWiring, Wiring, dump, observe, parse


def wiring_after(*commands: str) -> Wiring:
    wiring = Wiring()
    for command in commands:
        wiring.apply_command(command)
    return wiring


def patch(src: str, dst: str) -> dict[str, str]:
    return {"src": src, "dst": dst}


def test_commands_change_the_recorded_wiring() -> None:
    wiring = wiring_after(
        "add ring:0", "add vhost:1", "patch ring:0 vhost:1", "patch vhost:1 ring:0", "forward", "status"
    )
    assert wiring.commands(ObservedWiring()) == [
        "add ring:0", "add vhost:1", "patch ring:0 vhost:1", "patch vhost:1 ring:0", "forward",
    ]  # fmt: skip
    for command in ("patch ring:0 ring:0", "del vhost:1", "stop"):
        wiring.apply_command(command)
    assert wiring.commands(ObservedWiring()) == ["add ring:0", "patch ring:0 ring:0"]
    for command in ("patch reset", "del ring:0"):
        wiring.apply_command(command)
    assert not wiring


def test_patches_with_a_match_are_recorded_beside_each_other() -> None:
    mac = "dst_mac=02:00:00:00:00:21"
    wiring = wiring_after("patch phy:0 ring:0", "patch phy:0 ring:1 vlan=5", f"patch phy:0 ring:2 vlan=5 {mac}")
    every = ["patch phy:0 ring:0", "patch phy:0 ring:1 vlan=5", f"patch phy:0 ring:2 vlan=5 {mac}"]
    assert wiring.commands(ObservedWiring()) == every
    assert parse(json.loads(json.dumps(dump(wiring)))) == wiring
    rows = [{**patch("phy:0", "ring:0")}, {**patch("phy:0", "ring:1"), "match": "vlan=5"}]
    seen = observe({"ports": ["phy:0"], "patches": rows})
    assert seen is not None and wiring.commands(seen) == every[2:]
    wiring.apply_command("patch reset phy:0 vlan=5")
    assert wiring.commands(ObservedWiring()) == [every[0], every[2]]
    wiring.apply_command("patch reset phy:0 default")
    assert wiring.commands(ObservedWiring()) == [every[2]]
    wiring.apply_command("del ring:2")
    assert not wiring
    wiring = wiring_after(*every)
    wiring.apply_command("patch reset phy:0")
    assert not wiring


def test_impairments_are_recorded_with_their_patch() -> None:
    wiring = wiring_after("patch phy:0 ring:0", "patch phy:0 ring:1 vlan=5", "impair phy:0 default delay=1ms loss=1%")
    wiring.apply_command("impair phy:0 vlan=5 loss=2%")
    impair = ["impair phy:0 default delay=1ms loss=1%", "impair phy:0 vlan=5 loss=2%"]
    assert wiring.commands(ObservedWiring())[2:] == impair
    assert parse(json.loads(json.dumps(dump(wiring)))) == wiring
    rows = [
        {**patch("phy:0", "ring:0"), "impair": "delay=1000us loss=1%"},
        {**patch("phy:0", "ring:1"), "match": "vlan=5"},
    ]
    seen = observe({"ports": ["phy:0"], "patches": rows})
    assert seen is not None and wiring.commands(seen) == impair[1:]
    wiring.apply_command("patch phy:0 ring:0")
    assert len(wiring.impairments) == 2, "the same patch keeps its impairment"
    wiring.apply_command("patch phy:0 ring:3")
    assert wiring.impairments == {"phy:0 vlan=5": "loss=2%"}
    wiring.apply_command("impair phy:0 vlan=5 off")
    assert wiring.impairments == {}
    wiring.apply_command("impair phy:0 vlan=5 loss=2%")
    wiring.apply_command("patch reset")
    assert not wiring.impairments and not wiring


@pytest.mark.parametrize(
    "impairments", [{"phy:0": "delay=1"}, {"phy:1": "delay=1ms"}, ["phy:0"], {"phy:0": "delay=1ms; exit"}]
)
def test_invalid_impairments_are_never_sent(impairments: object) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse({"patches": {"phy:0": "ring:0"}, "impairments": impairments})
    assert observe({"patches": [{**patch("phy:0", "ring:0"), "impair": "exit"}]}) is None


def test_refused_match_stays_recorded() -> None:
    wiring = wiring_after("patch phy:0 ring:1 vlan=5")
    wiring.refused = ["patch phy:0 ring:1 vlan=5"]
    wiring.apply_status(ObservedWiring(("phy:0",)))
    assert wiring.patches == {"phy:0 vlan=5": "ring:1"}
    wiring.apply_command("patch reset phy:0 vlan=5")
    assert wiring.refused == []


def test_restore_skips_what_the_process_has() -> None:
    wiring = wiring_after("add ring:0", "patch phy:0 ring:0", "patch ring:0 phy:0", "forward")
    there = ObservedWiring(("phy:0", "ring:0"), {"phy:0": "ring:0", "ring:0": "ring:0"}, running=True)
    assert wiring.commands(there) == ["patch ring:0 phy:0"]


def test_restore_of_a_pipe_has_its_rings() -> None:
    assert wiring_after("add pipe:0 ring:1 ring:2").commands(ObservedWiring()) == ["add pipe:0 ring:1 ring:2"]
    assert wiring_after("add pipe:0 ring:1 ring:2").commands(ObservedWiring(("pipe:0",))) == []


def test_status_corrects_the_recorded_wiring() -> None:
    """Upstream SPP stops forwarding at a del (docs/spp-protocol.md, Delete). Changes by others are recorded, too."""
    wiring = wiring_after("add ring:0", "add ring:1", "patch ring:0 phy:0", "forward")
    wiring.apply_status(ObservedWiring(("phy:0", "ring:1"), {"ring:1": "phy:0"}))
    assert wiring == Wiring(ports={"ring:1": []}, patches={"ring:1": "phy:0"})


def test_only_added_ports_are_recorded() -> None:
    wiring = Wiring()
    status = ObservedWiring(
        ("phy:0", "phy:0nq1", "tap:0", "ring:3", "vhost:1", "link:0", "link:0nq102", "pipe:0"),
        {"phy:0": "ring:3"},
        running=True,
    )
    wiring.apply_status(status)
    assert wiring.ports == {}
    wiring.apply_status(status, adopt=True)
    assert wiring.ports == {"ring:3": [], "vhost:1": [], "link:0nq102": []}
    assert wiring.running and wiring.patches == {"phy:0": "ring:3"}


def test_channels_of_a_link_are_restored() -> None:
    forwarder: dict[str, Any] = {"status": "idling", "ports": ["tap:0", "link:0"], "patches": []}
    status = {"phy_ports": [], "forwarder": forwarder}
    wiring = wiring_after("add link:0nq102", "patch tap:0 link:0nq102", "patch link:0nq102 tap:0")
    fresh = observe(status)
    assert fresh is not None
    commands = ["add link:0nq102", "patch tap:0 link:0nq102", "patch link:0nq102 tap:0"]
    assert parse(dump(wiring)).commands(fresh) == commands
    forwarder["ports"] = ["tap:0", "link:0", "link:0 nq 102"]
    seen = observe(status)
    assert seen is not None and seen.ports == ("tap:0", "link:0", "link:0nq102")
    assert wiring.commands(seen) == commands[1:]


def test_refused_restore_stays_recorded_until_it_is_deleted() -> None:
    wiring = wiring_after("add vhost:1", "add ring:0", "patch ring:0 vhost:1")
    wiring.refused = ["add vhost:1", "patch ring:0 vhost:1"]
    wiring.apply_status(ObservedWiring(("ring:0",)))
    assert wiring.commands(ObservedWiring()) == ["add vhost:1", "add ring:0", "patch ring:0 vhost:1"]
    wiring.apply_command("patch reset")
    assert wiring.refused == ["add vhost:1"]
    wiring.apply_command("del vhost:1")
    wiring.apply_status(ObservedWiring(("ring:0",)))
    assert wiring.commands(ObservedWiring()) == ["add ring:0"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (
            {"status": "running", "ports": ["phy:0 nq 3", "ring:0"], "patches": [patch("phy:0 nq 3", "ring:0")]},
            ObservedWiring(("phy:0nq3", "ring:0"), {"phy:0nq3": "ring:0"}, running=True),
        ),
        (
            {"phy_ports": [], "forwarder": {"status": "idling", "ports": ["tap:0"]}, "pipes": [{"id": 2}]},
            ObservedWiring(("tap:0", "pipe:2")),
        ),
        ({"phy_ports": [], "pipes": []}, ObservedWiring()),
        ({"status": "running", "ports": ["ring:0"], "patches": [], "truncated": True}, None),
        ({"ports": ["nonsense"]}, None),
        ({"ports": 7}, None),
        ({"patches": [{"src": "ring:0"}]}, None),
    ],
)  # fmt: skip
def test_wiring_is_read_from_a_status(status: dict[str, Any], expected: ObservedWiring | None) -> None:
    assert observe(status) == expected


def test_saved_wiring_is_loaded_unchanged() -> None:
    wiring = wiring_after("add pipe:0 ring:1 ring:2", "patch ring:0 ring:1", "forward")
    wiring.refused, wiring.restore_incomplete = ["forward"], True
    assert parse(dump(wiring)) == wiring


@pytest.mark.parametrize(
    "data",
    [{"ports": {"x": []}}, {"ports": ["ring:0"]}, {"patches": {"ring:0": "exit"}}, {"ports": {"pipe:0": ["exit"]}},
     {"unknown": 1}, [], None, 7, {"refused": "add"}, {"ports": {"ring:0": None}}],
)  # fmt: skip
def test_invalid_ports_are_never_sent(data: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(data)


GOOD = {"ports": {"ring:0": []}, "patches": {"ring:0": "ring:0"}, "running": True}


def loaded(path: Path) -> tuple[list[str], dict[str, Wiring]]:
    printed: list[str] = []
    return printed, Restorer(printed.append, path)._wirings


@pytest.mark.parametrize(
    "bad",
    [
        {"ports": {"exit": []}}, {"ports": []}, {"ports": {"ring:0": "ab"}}, {"running": "no"}, {"owing": 1},
        {"refused": [1]}, {"other": 1}, [], 3, None,
    ],
)  # fmt: skip
def test_invalid_process_is_skipped_and_the_file_is_kept(tmp_path: Path, bad: object) -> None:
    path = tmp_path / "wiring.json"
    path.write_text(text := json.dumps({"version": 1, "processes": {"sec:1": bad, "sec:2": GOOD, "x\n": GOOD}}))
    printed, found = loaded(path)
    assert found == {"sec:2": parse(GOOD)}
    assert (
        len(printed) == 1
        and "sec:1: " in printed[0]
        and printed[0].endswith("the file was renamed to wiring.json.broken")
    )
    assert (tmp_path / "wiring.json.broken").read_text() == text and not path.exists()


@pytest.mark.parametrize("text", ["[" * 200000, '{"version": 1, "processes": []}', "[]", "\0", '{"version": 2}'])
def test_invalid_file_is_kept_and_reported(tmp_path: Path, text: str) -> None:
    path = tmp_path / "wiring.json"
    path.write_text(text)
    printed, found = loaded(path)
    assert not found and "saved ports and patches cannot be restored" in printed[0]
    assert (tmp_path / "wiring.json.broken").read_text() == text


def test_path_that_is_not_a_regular_file_is_reported(tmp_path: Path) -> None:
    assert loaded(tmp_path / "none.json") == ([], {})
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        printed, found = loaded(path)
        assert not found and "not a regular file" in printed[0]
