"""Commands of the prompt: how they are parsed, and the messages for invalid ones."""

import pytest

from sppr.controller.errors import BadValue, line
from sppr.controller.prompt.commands import Command, parse
from sppr.controller.prompt.completion import CompletionData, candidates
from sppr.spp.names import PRIMARY, Target

NFV1, SEC2 = Target("nfv", 1), Target("sec", 2)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", Command("nothing")),
        ("   ", Command("nothing")),
        ("# add ring:0", Command("nothing")),
        ("  // as well", Command("nothing")),
        ("status", Command("status")),
        (" status ;", Command("status")),
        ("pri; status", Command("status", PRIMARY)),
        ("pri;status", Command("status", PRIMARY)),
        ("pri  ;  status  ", Command("status", PRIMARY)),
        ("pri status", Command("status", PRIMARY)),
        ("pri clear", Command("clear", PRIMARY)),
        ("pri; add link:0nq102", Command("add", PRIMARY, ("link:0nq102",))),
        ("pri; del link:0 nq 102", Command("del", PRIMARY, ("link:0nq102",))),
        ("pri; patch tap:0 link:0nq102", Command("patch", PRIMARY, ("tap:0", "link:0nq102"))),
        ("pri; add vhost:1", Command("add", PRIMARY, ("vhost:1",))),
        ("pri; add pipe:0 ring:0 ring:1", Command("add", PRIMARY, ("pipe:0", "ring:0", "ring:1"))),
        ("pri; del pipe:0", Command("del", PRIMARY, ("pipe:0",))),
        ("pri; patch phy:0 phy:1", Command("patch", PRIMARY, ("phy:0", "phy:1"))),
        ("pri; patch reset", Command("reset", PRIMARY)),
        ("nfv 1; patch reset phy:0 nq 1", Command("disconnect", Target("nfv", 1), ("phy:0nq1",))),
        ("pri; forward", Command("forward", PRIMARY)),
        ("pri; stop", Command("stop", PRIMARY)),
        ("pri; exit", Command("exit", PRIMARY)),
        ("nfv 1; add ring:0", Command("add", NFV1, ("ring:0",))),
        ("nfv 1;add ring:0", Command("add", NFV1, ("ring:0",))),
        ("nfv 1 ; del ring:0", Command("del", NFV1, ("ring:0",))),
        ("nfv 1; patch phy:0 nq 1 ring:0", Command("patch", NFV1, ("phy:0nq1", "ring:0"))),
        ("nfv 1; patch phy:0nq1 phy:0 nq 2", Command("patch", NFV1, ("phy:0nq1", "phy:0nq2"))),
        ("sec 2; add ring 3", Command("add", SEC2, ("ring:3",))),
        ("sec 2;del vhost 3", Command("del", SEC2, ("vhost:3",))),
        ("sec 2; add ring:3", Command("add", SEC2, ("ring:3",))),
        ("nfv 1; patch tap:0 ring:0 vlan=5", Command("patch", NFV1, ("tap:0", "ring:0", "vlan=5"))),
        (
            "nfv 1; patch tap:0 ring:0 dst_mac=02:00:00:00:00:AB vlan=5",
            Command("patch", NFV1, ("tap:0", "ring:0", "vlan=5 dst_mac=02:00:00:00:00:ab")),
        ),
        ("nfv 1; impair tap:0 delay=1ms loss=1%", Command("impair", NFV1, ("tap:0", "", "delay=1ms loss=1%"))),
        ("pri; impair tap:0 vlan=5 off", Command("impair", PRIMARY, ("tap:0", "vlan=5", "off"))),
        ("nfv 1; impair tap:0 default off", Command("impair", NFV1, ("tap:0", "", "off"))),
        ("nfv 1; patch reset tap:0 vlan=5", Command("disconnect", NFV1, ("tap:0", "vlan=5"))),
        ("nfv 1; patch reset tap:0 default", Command("disconnect", NFV1, ("tap:0", "default"))),
        ("sec 2; patch 0 2", Command("patch", SEC2, ("0", "2"))),
        ("sec 2;exit", Command("exit", SEC2)),
        ("bye", Command("bye")),
        ("exit", Command("bye")),
        ("bye sec", Command("bye", args=("sec",))),
        ("bye all", Command("bye", args=("all",))),
        ("help", Command("help")),
        ("?", Command("help")),
        ("help nfv", Command("help", args=("nfv",))),
        ("history", Command("history")),
    ],
)
def test_line_is_parsed_to_a_command(typed: str, meant: Command) -> None:
    assert parse(typed) == meant


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("foo", "error: foo: no such command (type help)"),
        ("Status", "error: Status: no such command (type help)"),
        (";", "error: ;: no such command (type help)"),
        ("pri", "error: pri: the subcommand is missing (pri; followed by one of clear, status,"),
        ("pri; launch", "error: pri; launch: '' is not a kind of secondary (launch nfv|vf|mirror|pcap [ID]"),
        ("nfv", "error: nfv: the id of a secondary is missing (nfv 1; status)"),
        ("nfv; status", "error: nfv: the id of a secondary is missing (nfv 1; status)"),
        ("nfv 0; status", "error: '0' is not the id of a secondary: 1 to 127"),
        ("nfv x; status", "error: 'x' is not the id of a secondary: 1 to 127"),
        ("nfv 1; clear", "error: nfv 1; clear: no such command (one of status,"),
        ("nfv 1; add", "error: nfv 1; add takes one port (nfv 1; add ring:0)"),
        ("nfv 1; add ring 3", "error: 'ring' is not a port: write TYPE:NUMBER"),
        ("nfv 1; add ring:0 ring:1", "error: nfv 1; add takes one port"),
        ("pri; add pipe:0", "error: pri; add takes a pipe and two rings (pri; add pipe:0 ring:0 ring:1)"),
        (
            "nfv 1; patch phy:0",
            "error: nfv 1; patch takes two ports, or reset, or reset and a port (nfv 1; patch phy:0 ring:0)",
        ),
        ("nfv 1; impair tap:0", "error: nfv 1; impair takes a port, and keys or off (nfv 1; impair tap:0 delay=20ms)"),
        ("nfv 1; impair tap:0 off loss=1%", "error: nfv 1; impair takes a port"),
        ("nfv 1; impair tap:0 delay=1", "error: delay=1: must be a time such as 50ms or 1.5s"),
        ("nfv 1; impair tap:0 loss=1% nonsense", "error: 'nonsense' is not part of a match"),
        ("nfv 1; patch tap:0 ring:0 vlan=5000", "error: 'vlan=5000': a VLAN id is 1 to 4094"),
        ("nfv 1; patch 0 2", "error: '0' is not a port"),
        ("sec 2; patch 0 2000", "error: '2000' is not a port"),
        ("nfv 1; patch phy:0 nq", "error: 'nq' is not a port"),
        ("nfv 1; forward now", "error: nfv 1; forward takes no arguments, got 'now' (nfv 1; forward)"),
        ("status all", "error: status takes no arguments, got 'all' (type status)"),
        ("bye bye", "error: bye bye: invalid argument (use bye, bye sec or bye all)"),
        ("help foo", "error: help foo: no such command (one of status,"),
    ],
)
def test_invalid_line_has_a_message_and_the_usage(typed: str, printed: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse(typed)
    assert line(caught.value).startswith(printed)
    assert "\n" not in line(caught.value)


DATA = CompletionData({"nfv": [1, 2], "sec": [1, 2, 3]}, {1: ["phy:0", "ring:0"], 2: ["vhost:2"]}, ["phy:0"])


@pytest.mark.parametrize(
    ("before", "found"),
    [
        ("st", ["status"]),
        ("nfv ", ["1;", "2;"]),
        ("sec ", ["1;", "2;", "3;"]),
        ("nfv 1; fo", ["forward"]),
        ("nfv 1;pa", ["patch"]),
        ("nfv 1; patch ", ["phy:0", "ring:0", "reset"]),
        ("nfv 1; patch phy:0 r", ["ring:0"]),
        ("nfv 1; patch phy:0 ring:0 ", []),
        ("nfv 1; del ", ["ring:0"]),
        ("nfv 1; add v", ["vhost:"]),
        ("nfv 9; patch ", ["reset"]),
        ("nfv x; patch ", ["reset"]),
        ("pri; patch p", ["phy:0"]),
        ("pri cl", ["clear"]),
        ("bye ", ["sec", "all"]),
        ("help hi", ["history"]),
        ("foo ", []),
    ],
)
def test_completion_offers_the_next_words(before: str, found: list[str]) -> None:
    assert candidates(before, DATA) == found


def test_completion_of_an_empty_line_is_every_command() -> None:
    assert "status" in candidates("", DATA)
    assert "status" in candidates("nfv 1;", DATA)
