"""The arguments of vf, mirror, pcap, launch and flow: the REST call of each form, and the errors."""

from typing import Any

import pytest

from sppr.controller.errors import BadValue
from sppr.controller.prompt import arguments
from sppr.controller.prompt.commands import Command, capture, forms, parse
from sppr.controller.prompt.request import Request
from sppr.spp.names import PRIMARY, Target

COMPONENT = "component start NAME CORE TYPE, component stop NAME"
PORT = "port add|del UID rx|tx NAME [add_vlantag VID PCP|del_vlantag]"
CLASSIFIER = "classifier_table add|del mac MAC UID, classifier_table add|del vlan VID MAC UID"
LAUNCH = "launch nfv|vf|mirror|pcap [ID] EAL... -- APP..."
FLOW = (
    "flow validate|create phy:N [group G] [priority P] [transfer] ingress|egress pattern ITEM / ... / end "
    "actions ACTION / ... / end, flow destroy phy:N RULE|ALL, flow list phy:N, flow status phy:N RULE"
)
MAC = "52:54:00:AB:cd:09"


def start(name: str, core: int, kind: str) -> Request:
    body = {"name": name, "core": core, "type": kind}
    return Request("POST", "/components", body, f"Start component {name} on core {core}.")


def port(action: str, uid: str, direction: str, message: str, **vlan: Any) -> Request:
    """Return the call that changes a port of component fw1."""
    body = {"action": action, "port": uid, "dir": direction, **({"vlan": vlan} if vlan else {})}
    return Request("PUT", "/components/fw1/ports", body, message)


def classify(action: str, mac: str, uid: str, message: str, **vlan: Any) -> Request:
    """Return the call that changes the classifier table."""
    body = {"action": action, "type": "vlan" if vlan else "mac", **vlan, "mac_address": mac, "port": uid}
    return Request("PUT", "/classifier_table", body, message)


@pytest.mark.parametrize(
    ("typed", "request_"),
    [
        ("vf 1; component start fw1 2 forward", start("fw1", 2, "forward")),
        ("vf 1; component start mg 10 merge", start("mg", 10, "merge")),
        ("vf 1; component start cls 3 classifier", start("cls", 3, "classifier")),
        ("mirror 2; component start mr 3 mirror", start("mr", 3, "mirror")),
        ("sec 2; component start mr 3 mirror", start("mr", 3, "mirror")),
        ("sec 2; component start fw 3 forward", start("fw", 3, "forward")),
        ("vf 1; component stop fw1", Request("DELETE", "/components/fw1", None, "Stop component fw1.")),
        ("vf 1; port add ring:0 rx fw1", port("attach", "ring:0", "rx", "Add ring:0 to fw1.")),
        ("vf 1; port del phy:0 nq 1 tx fw1", port("detach", "phy:0nq1", "tx", "Delete phy:0nq1 from fw1.")),
        (
            "vf 1; port add vhost:1 tx fw1 add_vlantag 100 3",
            port("attach", "vhost:1", "tx", "Add vhost:1 to fw1.", operation="add", id=100, pcp=3),
        ),
        (
            "sec 1; port add vhost:1 tx fw1 del_vlantag",
            port("attach", "vhost:1", "tx", "Add vhost:1 to fw1.", operation="del"),
        ),
        (f"vf 1; classifier_table add mac {MAC} ring:0", classify("add", MAC, "ring:0", f"Add {MAC} of ring:0.")),
        (
            "vf 1; classifier_table del mac default phy:0 nq 1",
            classify("del", "default", "phy:0nq1", "Delete default of phy:0nq1."),
        ),
        (
            f"vf 1; classifier_table del vlan 1 {MAC} ring:0",
            classify("del", MAC, "ring:0", f"Delete {MAC} of ring:0.", vlan=1),
        ),
        (
            f"vf 1; classifier_table add vlan 100 {MAC} ring:0",
            classify("add", MAC, "ring:0", f"Add {MAC} of ring:0.", vlan=100),
        ),
        (
            "pri; launch nfv 1 -l 1,2 -m 512 -- -n 1 -s 127.0.0.1:6666",
            Request(
                "PUT",
                "/launch",
                {
                    "client_id": 1,
                    "proc_name": "spp_nfv",
                    "eal": {"-l": "1,2", "-m": "512", "--proc-type": "secondary"},
                    "app": {"-n": "1", "-s": "127.0.0.1:6666"},
                },
                "Send request to launch nfv:1.",
            ),
        ),
        (
            "pri; launch spp_vf 2 -l 1 --vdev a --vdev b --vdev c --proc-type auto -- -s h:1 --vhost-client",
            Request(
                "PUT",
                "/launch",
                {
                    "client_id": 2,
                    "proc_name": "spp_vf",
                    "eal": {"-l": "1", "--vdev": ["a", "b", "c"], "--proc-type": "auto"},
                    "app": {"-s": "h:1", "--vhost-client": "", "--client-id": "2"},
                },
                "Send request to launch vf:2.",
            ),
        ),
        (
            "pri; launch pcap -c 0x2 -- --client-id 5 -s h:1 -c q a b",
            Request(
                "PUT",
                "/launch",
                {
                    "client_id": 5,
                    "proc_name": "spp_pcap",
                    "eal": {"-c": "0x2", "--proc-type": "secondary"},
                    "app": {"--client-id": "5", "-s": "h:1", "-c": "q a b"},
                },
                "Send request to launch pcap:5.",
            ),
        ),
        (
            "pri; launch mirror 7 -- -s h:1",
            Request(
                "PUT",
                "/launch",
                {
                    "client_id": 7,
                    "proc_name": "spp_mirror",
                    "eal": {"--proc-type": "secondary"},
                    "app": {"-s": "h:1", "--client-id": "7"},
                },
                "Send request to launch mirror:7.",
            ),
        ),
        ("pri; flow list phy:0", Request("GET", "", {"port": 0, "rule": ""})),
        ("pri; flow status phy:12 3", Request("GET", "", {"port": 12, "rule": "3"})),
        ("pri; flow destroy phy:0 ALL", Request("DELETE", "/flow_rules/port_id/0")),
        ("pri; flow destroy phy:100 3", Request("DELETE", "/flow_rules/3/port_id/100")),
        (
            "pri; flow validate phy:1 ingress pattern eth / end actions drop / end",
            Request(
                "POST",
                "/flow_rules/port_id/1/validate",
                {"rule": {"direction": "ingress", "pattern": ["eth"], "actions": ["drop"]}},
            ),
        ),
        (
            "pri; flow create phy:0 group 1 priority 2 transfer egress "
            "pattern eth dst is 10:22:33:44:55:66 / vlan vid is 100 / end actions queue index 1 / of_pop_vlan / end",
            Request(
                "POST",
                "/flow_rules/port_id/0",
                {
                    "rule": {
                        "direction": "egress",
                        "pattern": ["eth dst is 10:22:33:44:55:66", "vlan vid is 100"],
                        "actions": ["queue index 1", "of_pop_vlan"],
                        "group": 1,
                        "priority": 2,
                        "transfer": True,
                    }
                },
            ),
        ),
        (
            "pri; flow create phy:0 priority 2 ingress pattern eth / end actions drop / end",
            Request(
                "POST",
                "/flow_rules/port_id/0",
                {"rule": {"direction": "ingress", "pattern": ["eth"], "actions": ["drop"], "priority": 2}},
            ),
        ),
        (
            "pri; flow create phy:0 transfer ingress pattern eth / end actions drop / end",
            Request(
                "POST",
                "/flow_rules/port_id/0",
                {"rule": {"direction": "ingress", "pattern": ["eth"], "actions": ["drop"], "transfer": True}},
            ),
        ),
        ("pcap 1; start", Request("PUT", "/capture", {"action": "start"}, "Start capture.")),
        ("pcap 1; stop", Request("PUT", "/capture", {"action": "stop"}, "Stop capture.")),
    ],
)  # fmt: skip
def test_form_gives_its_rest_call(typed: str, request_: Request) -> None:
    command = parse(typed)
    assert command.request == request_
    assert command.target == (
        PRIMARY if typed.startswith("pri") else Target(typed.split()[0], int(typed.split()[1][:-1]))
    )
    assert command.verb == typed.partition("; ")[2].split()[0]


VF_TYPES = "is not understood; TYPE is one of forward, merge, classifier"
LAUNCH_NFV = "pri; launch nfv 1 -l 1"


@pytest.mark.parametrize(
    ("typed", "what", "hint"),
    [
        ("vf 1; component", f"vf 1; component: '' {VF_TYPES}", COMPONENT),
        ("vf 1; component start fw1 2 mirror", f"vf 1; component: 'start fw1 2 mirror' {VF_TYPES}", COMPONENT),
        ("vf 1; component start fw1 x forward", f"vf 1; component: 'start fw1 x forward' {VF_TYPES}", COMPONENT),
        ("vf 1; component start fw/1 2 forward", f"vf 1; component: 'start fw/1 2 forward' {VF_TYPES}", COMPONENT),
        ("vf 1; component stop fw/1", f"vf 1; component: 'stop fw/1' {VF_TYPES}", COMPONENT),
        ("vf 1; component stop", f"vf 1; component: 'stop' {VF_TYPES}", COMPONENT),
        (
            "mirror 1; component start fw1 2 forward",
            "mirror 1; component: 'start fw1 2 forward' is not understood; TYPE is one of mirror",
            COMPONENT,
        ),
        ("vf 1; port", "vf 1; port: '' is not understood", PORT),
        ("vf 1; port add ring:0 rx", "vf 1; port: 'add ring:0 rx' is not understood", PORT),
        ("vf 1; port add ring:0 up fw1", "vf 1; port: 'add ring:0 up fw1' is not understood", PORT),
        ("vf 1; port put ring:0 rx fw1", "vf 1; port: 'put ring:0 rx fw1' is not understood", PORT),
        ("vf 1; port add ring:0 rx fw/1", "vf 1; port: 'add ring:0 rx fw/1' is not understood", PORT),
        ("vf 1; port add ring:0 rx fw1 add_vlantag 1", "vf 1; port: 'add_vlantag 1' is not understood", PORT),
        ("vf 1; port add ring:0 rx fw1 add_vlantag 1 x", "vf 1; port: 'add_vlantag 1 x' is not understood", PORT),
        ("vf 1; port add ring:0 rx fw1 add_vlantag x 1", "vf 1; port: 'add_vlantag x 1' is not understood", PORT),
        ("mirror 1; port add ring:0 rx m del_vlantag", "mirror 1; port: 'del_vlantag' is not understood", PORT),
        ("mirror 1; port add ring:0 rx m add_vlantag 1 1", "mirror 1; port: 'add_vlantag 1 1' is not understood", PORT),
        ("vf 1; classifier_table", "vf 1; classifier_table: '' is not understood", CLASSIFIER),
        (
            f"vf 1; classifier_table put mac {MAC} ring:0",
            f"vf 1; classifier_table: 'put mac {MAC} ring:0' is not understood",
            CLASSIFIER,
        ),
        (
            f"vf 1; classifier_table add vlan x {MAC} ring:0",
            f"vf 1; classifier_table: 'add vlan x {MAC} ring:0' is not understood",
            CLASSIFIER,
        ),
        (
            "vf 1; classifier_table add mac 52:54:00:ab:cd ring:0",
            "vf 1; classifier_table: '52:54:00:ab:cd' is neither a MAC address nor default",
            CLASSIFIER,
        ),
        ("pri; launch nfw 1 -- -s h:1", "pri; launch: 'nfw' is not a kind of secondary", LAUNCH),
        (
            f"{LAUNCH_NFV} -s h:1",
            "pri; launch: -- is missing between the EAL options and the options of the program",
            LAUNCH,
        ),
        ("pri; launch nfv 1 2 -- -s h:1", "pri; launch: '2' is not an option", LAUNCH),
        (f"{LAUNCH_NFV} -- -n 1", "pri; launch: the address of the controller is missing: -s IP:PORT", LAUNCH),
        (
            "pri; launch nfv -l 1 -- -s h:1",
            "pri; launch: '' is not the id of a secondary: 1 to 127",
            LAUNCH,
        ),
        (
            "pri; launch vf -l 1 -- -n 3 -s h:1",
            "pri; launch: '' is not the id of a secondary: 1 to 127",
            LAUNCH,
        ),
        ("pri; flow", "pri; flow: the NIC is missing: phy:N", FLOW),
        ("pri; flow list", "pri; flow: the NIC is missing: phy:N", FLOW),
        ("pri; flow list ring:0", "pri; flow: the NIC is missing: phy:N", FLOW),
        ("pri; flow list phy:0 1", "pri; flow: 'list phy:0 1' is not understood", FLOW),
        ("pri; flow status phy:0", "pri; flow: 'status phy:0' is not understood", FLOW),
        ("pri; flow destroy phy:0", "pri; flow: 'destroy phy:0' is not understood", FLOW),
        ("pri; flow destroy phy:0 some", "pri; flow: 'destroy phy:0 some' is not understood", FLOW),
        ("pri; flow create phy:0", "pri; flow: '' is not understood", FLOW),
        (
            "pri; flow create phy:0 color 1 ingress pattern eth / end actions drop / end",
            "pri; flow: 'color 1 ingress pattern eth / end actions drop / end' is not understood",
            FLOW,
        ),
    ],
)
def test_other_forms_are_refused(typed: str, what: str, hint: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse(typed)
    assert (caught.value.what, caught.value.hint) == (what, hint)


@pytest.mark.parametrize(
    "mac",
    ["52:54:00:ab:cd:0g", "52:54:00:ab:cd:090", "5254:00:ab:cd:09", "52-54-00-ab-cd-09", "defaults", "xdefault", ""],
)
def test_classifier_accepts_only_a_mac_address_or_default(mac: str) -> None:
    with pytest.raises(BadValue, match="neither a MAC address nor default"):
        arguments.classifier("vf 1", ["add", "mac", mac, "ring:0"])


@pytest.mark.parametrize(
    "typed", ["vf 1; port add rong:0 rx fw1", f"vf 1; classifier_table add mac {MAC} rong:0", "nfv 1; add rong:0"]
)
def test_port_of_unknown_type_is_refused(typed: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse(typed)
    assert caught.value.what.startswith("'rong:0' is not a port: write TYPE:NUMBER with TYPE one of phy ")


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("pcap 1; status", Command("status", Target("pcap", 1))),
        ("pcap 1; exit", Command("exit", Target("pcap", 1))),
        ("pri; clear", Command("clear", PRIMARY)),
        ("server", Command("server")),
        ("server add 10.0.0.1:7777", Command("server", args=("add", "10.0.0.1:7777"))),
        ("topo term", Command("topo", args=("term",))),
        ("topo a.dot dot", Command("topo", args=("a.dot", "dot"))),
        ("topo_subgraph add left phy:0;phy:1", Command("topo_subgraph", args=("add", "left", "phy:0;phy:1"))),
        ("topo_subgraph", Command("topo_subgraph")),
        ("record a.rcp", Command("record", args=("a.rcp",))),
        ("playback a.rcp", Command("playback", args=("a.rcp",))),
        ("config", Command("config")),
        ("config a 1 2 3 4 5 6 7 8", Command("config", args=("a", "1", "2", "3", "4", "5", "6", "7", "8"))),
        ("redo 3", Command("redo", args=("3",))),
        ("inspect", Command("inspect")),
        ("nfv 1; patch reset ring:0", Command("disconnect", Target("nfv", 1), ("ring:0",))),
        ("sec 1; patch reset", Command("reset", Target("sec", 1))),
    ],
)
def test_commands_of_the_controller_are_parsed(typed: str, command: Command) -> None:
    assert parse(typed) == command


@pytest.mark.parametrize(
    ("typed", "what", "hint"),
    [
        ("pcap", "pcap: the id of a secondary is missing", "pcap 1; status"),
        ("server a b c", "server: too many arguments", "server           controllers of other hosts: "),
        ("topo", "topo: too few arguments", "topo DST [TYPE]  draw the network: "),
        ("topo a b c", "topo: too many arguments", "topo DST [TYPE]  "),
        ("topo_subgraph a b c d", "topo_subgraph: too many arguments", "topo_subgraph    frames "),
        ("record", "record: too few arguments", "record FILE      "),
        ("record a b", "record: too many arguments", "record FILE      "),
        ("playback", "playback: too few arguments", "playback FILE    "),
        ("playback a b", "playback: too many arguments", "playback FILE    "),
        ("config 1 2 3 4 5 6 7 8 9 10", "config: too many arguments", "config [KEY [VALUE]]  "),
        ("redo", "redo: too few arguments", "redo N           "),
        ("redo 1 2", "redo: too many arguments", "redo N           "),
        ("help help help", "help help help: no such command", "one of status, pri, nfv, vf, "),
        ("bye sec all", "bye sec all: invalid argument", "use bye, bye sec or bye all"),
        ("history 3", "history takes no arguments, got '3'", "type history"),
        ("pcap 1; start now or", "pcap 1; start takes no arguments, got 'now or'", "pcap 1; start"),
        ("pcap 1; add ring:0", "pcap 1; add: no such command", "one of status, start, stop, exit"),
        ("mirror 1; flow", "mirror 1; flow: no such command", "one of status, component, port, exit"),
        (
            "vf 3;",
            "vf 3: the subcommand is missing",
            "vf 3; followed by one of status, component, port, classifier_table, exit",
        ),
        ("nfv 1; add pipe:0 ring:0 ring:1", "nfv 1; add takes one port", "nfv 1; add ring:0"),
        ("pri; del pipe:0 ring:0 ring:1", "pri; del takes one port", "pri; del ring:0"),
        (
            "pri; add pipe:0 ring:1",
            "pri; add takes a pipe and two rings",
            "pri; add pipe:0 ring:0 ring:1",
        ),
        (
            "nfv 1; patch reset ring:0 ring:1",
            "nfv 1; patch takes two ports, or reset, or reset and a port",
            "nfv 1; patch phy:0 ring:0",
        ),
    ],
)
def test_wrong_number_of_arguments_is_refused(typed: str, what: str, hint: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse(typed)
    assert caught.value.what == what
    assert caught.value.hint is not None and caught.value.hint.startswith(hint)


def test_forms_printed_by_help_are_parsed() -> None:
    assert forms("vf") == [COMPONENT, PORT, CLASSIFIER]
    assert forms("mirror") == [COMPONENT, PORT]
    assert forms("pri") == [LAUNCH, FLOW]
    assert forms("pcap") == forms("status") == []
    assert capture("stop") == Request("PUT", "/capture", {"action": "stop"}, "Stop capture.")
