"""The controller with fakes of every dialect of SPP's protocol (docs/spp-protocol.md)."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.link import VERSIONS
from tests.live.controller.test_controller import WAIT, until
from tests.live.fakes import Lab, lab

pytestmark = pytest.mark.live

CLASSIC = VERSIONS[:7]
JSON = VERSIONS[7:]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A controller for all tests. Each test stops the processes that it started."""
    with lab(tmp_path_factory.mktemp("dialects")) as running:
        yield running


def gone(shared: Lab) -> None:
    until(lambda: shared.rest("GET", "/processes") == (200, []), "the disconnect")


ODD = [(version, how) for version in ("16.07", "18.08.1", "HEAD") for how in (("--split", 700), ("--delay", 0.03))]


@pytest.mark.parametrize(("version", "how"), [*((version, ()) for version in VERSIONS), *ODD], ids=str)
def test_nfv_of_every_release(shared: Lab, version: str, how: tuple[object, ...]) -> None:
    """All releases have the same API: ports are UIDs, a change is a 204, and the status shows it."""
    program = "classic_nfv" if version in CLASSIC else "nfv"
    fake = shared.start(program, "-n", 3, "--version", version, *how)
    until(lambda: {"type": "nfv", "client-id": 3} in shared.rest("GET", "/processes")[1], version)
    shared.good("PUT", "/nfvs/3/ports", {"action": "add", "port": "ring:5"})
    shared.good("PUT", "/nfvs/3/ports", {"action": "add", "port": "vhost:0"})
    shared.good("PUT", "/nfvs/3/patches", {"src": "phy:0", "dst": "ring:5"})
    shared.good("PUT", "/nfvs/3/patches", {"src": "vhost:0", "dst": "phy:1"})
    shared.good("PUT", "/nfvs/3/forward", {"action": "start"})
    status = shared.good("GET", "/nfvs/3")
    assert (status["client-id"], status["status"]) == (3, "running")
    assert status["ports"] == ["phy:0", "phy:1", "ring:5", "vhost:0"]
    assert {"src": "phy:0", "dst": "ring:5"} in status["patches"] and len(status["patches"]) == 2
    shared.good("DELETE", "/nfvs/3/patches")
    shared.good("PUT", "/nfvs/3/ports", {"action": "del", "port": "ring:5"})
    status = shared.good("GET", "/nfvs/3")
    assert (status["ports"], status["patches"]) == (["phy:0", "phy:1", "vhost:0"], [])
    assert status["status"] == "running", "del stops forwarding, the controller resumes it"
    code, printed = shared.rest("PUT", "/nfvs/3/patches", {"src": "phy:0", "dst": "ring:9"})
    assert code == 400, printed
    shared.good("DELETE", "/nfvs/3")
    assert fake.wait(WAIT) == 0
    gone(shared)


@pytest.mark.parametrize("version", ["16.07", "18.02", "18.05", "18.08.2"])
def test_echoed_add_without_effect_is_refused(shared: Lab, version: str) -> None:
    fake = shared.add("classic_nfv" if version in CLASSIC else "nfv", 1, "--version", version, "--lie")
    code, printed = shared.rest("PUT", "/nfvs/1/ports", {"action": "add", "port": "vhost:1"})
    assert code == 400 and "`add vhost:1` did not have the requested effect" in printed
    fake.kill()
    gone(shared)


@pytest.mark.parametrize("version", ["17.11", "HEAD"])
def test_unchanged_component_is_an_error(shared: Lab, version: str) -> None:
    fake = shared.add("vf", 4, "--version", version, "--lie")
    kind = "classifier_mac" if version == "17.11" else "classifier"
    attach = {"action": "attach", "port": "ring:0", "dir": "rx", "vlan": {"operation": "none"}}
    entry = {"action": "add", "type": "mac", "mac_address": "0a:00:00:00:00:21", "port": "ring:1"}
    for asked, what in (
        (("POST", "", {"name": "cls", "core": 2, "type": "classifier"}),
         f"`component start cls 2 {kind}` did not have the requested effect: there is no component cls"),
        (("PUT", "/cls/ports", attach),
         "`port add ring:0 rx cls` did not have the requested effect: ring:0 is no rx port of cls"),
        (("PUT", "/classifier_table", entry), "mac 0a:00:00:00:00:21 ring:1 is not in the classifier table"),
    ):  # fmt: skip
        method, path, body = asked
        code, printed = shared.rest(method, f"/vfs/4{'' if path == '/classifier_table' else '/components'}{path}", body)
        assert code == 400 and what in printed, printed
    fake.kill()
    gone(shared)


def test_capture_that_did_not_start_is_an_error(shared: Lab) -> None:
    fake = shared.add("pcap", 5, "--lie")
    code, printed = shared.rest("PUT", "/pcaps/5/capture", {"action": "start"})
    assert code == 400 and "`start` did not have the requested effect: the process is idle" in printed
    fake.kill()
    gone(shared)


def test_command_unknown_to_classic_spp_is_not_sent(shared: Lab) -> None:
    fake = shared.add("classic_nfv", 1)
    code, printed = shared.rest("PUT", "/nfvs/1/ports", {"action": "add", "port": "memif:0"})
    assert code == 400 and "classic SPP" in printed
    fake.kill()
    assert fake.stdout and "memif" not in fake.stdout.read()
    gone(shared)


@pytest.mark.parametrize("version", VERSIONS)
def test_primary_of_every_release(shared: Lab, version: str) -> None:
    fake = shared.add("classic_primary" if version in CLASSIC else "primary", 0, "--version", version)
    status = shared.good("GET", "/primary/status")
    assert isinstance(status["phy_ports"], list) and isinstance(status["ring_ports"], list)
    shared.good("DELETE", "/primary/status")
    code, printed = shared.rest("PUT", "/primary/forward", {"action": "start"})
    code2, _ = shared.rest("PUT", "/primary/ports", {"action": "add", "port": "vhost:1"})
    code3, _ = shared.rest("PUT", "/primary/patches", {"src": "phy:0", "dst": "vhost:1"})
    new = VERSIONS.index(version) >= VERSIONS.index("19.08")
    assert (code, code3) == ((204, 204) if new else (400, 400)), printed
    assert code2 == (204 if version in JSON[3:] else 400)
    options = {"-l": "1,2", "--proc-type": "secondary"}
    address = f"127.0.0.1:{shared.controller.sec_port}"
    body = {"client_id": 2, "proc_name": "spp_nfv", "eal": options, "app": {"-n": "2", "-s": address}}
    assert shared.rest("PUT", "/primary/launch", body)[0] == (204 if version in JSON[1:] else 400)
    rule = {"direction": "ingress", "pattern": ["eth dst is 0a:00:00:00:00:01"], "actions": ["queue index 1"]}
    code, answer = shared.rest("POST", "/primary/flow_rules/port_id/0", {"rule": rule})
    assert (code, answer["rule_id"]) == (200, "0") if version in JSON[5:] else code == 400, answer
    shared.good("DELETE", "/primary")
    assert fake.wait(WAIT) == 0
    fake_output = fake.stdout.read() if fake.stdout else ""
    if version in JSON[5:]:
        assert (
            "flow create phy:0 ingress pattern eth dst is 0a:00:00:00:00:01 / end actions queue index 1 / end"
            in fake_output
        )
        assert f"launch 2 spp_nfv -l 1,2 --proc-type secondary -- -n 2 -s {address}" in fake_output
    gone(shared)


@pytest.mark.parametrize("version", VERSIONS[4:])
def test_vf_of_every_release(shared: Lab, version: str) -> None:
    """Staged changes, both names of the classifier, and ids as numbers and as text."""
    fake = shared.add("vf", 4, "--version", version)
    for name, core, kind in (("fwd", 2, "forward"), ("cls", 3, "classifier"), ("mrg", 4, "merge")):
        shared.good("POST", "/vfs/4/components", {"name": name, "core": core, "type": kind})
    attach = {"action": "attach", "port": "phy:0", "dir": "rx"}
    shared.good("PUT", "/vfs/4/components/cls/ports", attach)
    tag = {"vlan": {"operation": "add", "id": 100, "pcp": 3}}
    shared.good("PUT", "/vfs/4/components/fwd/ports", attach | {"dir": "tx", "port": "ring:1"} | tag)
    mac = {"action": "add", "type": "mac", "mac_address": "0a:00:00:00:00:21", "port": "ring:1"}
    shared.good("PUT", "/vfs/4/classifier_table", mac)
    vlan = mac | {"type": "vlan", "vlan": 100}
    shared.good("PUT", "/vfs/4/classifier_table", vlan)
    status = shared.good("GET", "/vfs/4")
    assert status["client-id"] == 4 and status["ports"] == ["phy:0", "phy:1", "ring:0"]
    parts = {part.get("name"): part for part in status["components"]}
    assert parts["fwd"]["tx_port"] == [{"port": "ring:1", "vlan": {"operation": "add", "id": 100, "pcp": 3}}]
    assert parts["cls"]["type"].startswith("classifier")
    assert [entry["value"] for entry in status["classifier_table"]] == ["0a:00:00:00:00:21", "100/0a:00:00:00:00:21"]
    code, printed = shared.rest("POST", "/vfs/4/components", {"name": "fwd2", "core": 99, "type": "forward"})
    assert (code, printed.partition("(")[0].strip()) == (
        400,
        f"command error: {'bad value' if printed.find('bad') > 0 else 'Invalid value'}",
    )
    assert shared.rest("PUT", "/vfs/4/components/fwd/ports", attach | {"dir": "tx"})[1] == "command error: error occur"
    assert "fwd2" not in json.dumps(shared.good("GET", "/vfs/4")), "a refused change is not flushed later"
    shared.good("PUT", "/vfs/4/classifier_table", vlan | {"action": "del"})
    shared.good("PUT", "/vfs/4/components/cls/ports", attach | {"action": "detach"})
    shared.good("DELETE", "/vfs/4/components/cls")
    shared.good("DELETE", "/vfs/4")
    assert fake.wait(WAIT) == 0
    gone(shared)


def test_processes_of_several_releases_at_once(shared: Lab) -> None:
    """Our own, old and new processes, each in its own dialect. An id addresses its own kind only."""
    fakes = [
        shared.add("primary", 0), shared.add("classic_nfv", 1, "--version", "16.07"), shared.add("nfv", 2),
        shared.add("vf", 3, "--version", "17.11"), shared.add("mirror", 4), shared.add("pcap", 5),
    ]  # fmt: skip
    kinds = ["primary", "nfv", "nfv", "vf", "mirror", "pcap"]
    assert [p["type"] for p in shared.good("GET", "/processes")] == kinds
    for path in ("/nfvs/1", "/nfvs/2", "/vfs/3", "/mirrors/4", "/pcaps/5"):
        assert shared.rest("GET", path)[0] == 200
    assert shared.rest("GET", "/nfvs/3") == (404, "sec_id 3 not found.")
    usage = {u.get("client-id"): u for u in shared.good("GET", "/cpu_usage")}
    assert usage[4] == {"proc-type": "mirror", "client-id": 4, "master-lcore": 1, "lcores": [1, 2, 3, 4]}
    assert usage[2]["lcores"] == [1, 2] and usage[None]["proc-type"] == "primary"
    shared.good("POST", "/mirrors/4/components", {"name": "m", "core": 2, "type": "mirror"})
    for uid, way in (("phy:0", "rx"), ("phy:1", "tx"), ("ring:0", "tx")):
        body = {"action": "attach", "port": uid, "dir": way}
        shared.good("PUT", "/mirrors/4/components/m/ports", body)
    shared.good("PUT", "/pcaps/5/capture", {"action": "start"})
    shared.good("PUT", "/pcaps/5/capture", {"action": "start"})  # a second start succeeds
    assert shared.good("GET", "/pcaps/5")["status"] == "running"
    shared.good("PUT", "/pcaps/5/capture", {"action": "stop"})
    for path in ("/nfvs/1", "/nfvs/2", "/vfs/3", "/mirrors/4", "/pcaps/5", "/primary"):
        shared.good("DELETE", path)
    assert [fake.wait(WAIT) for fake in fakes] == [0] * 6
    gone(shared)


def test_pcap_of_18_08_2_has_no_master_lcore(shared: Lab) -> None:
    fake = shared.add("pcap", 6, "--version", "18.08.2")
    status = shared.good("GET", "/pcaps/6")
    assert status["status"] == "idle" and "master-lcore" not in status
    shared.good("GET", "/cpu_usage")
    shared.good("DELETE", "/pcaps/6")
    assert fake.wait(WAIT) == 0
    gone(shared)


def test_cpu_layout_is_of_this_machine(shared: Lab) -> None:
    lcores = [n for s in shared.good("GET", "/cpu_layout") for core in s["cores"] for n in core["lcores"]]
    assert sorted(lcores) == sorted(set(lcores)) and 0 in lcores


def test_state_is_kept_after_a_reconnect(shared: Lab) -> None:
    fake = shared.add("nfv", 1, "--leave", 6)
    shared.good("PUT", "/nfvs/1/ports", {"action": "add", "port": "ring:7"})

    def back() -> Any:
        status, answer = shared.rest("GET", "/nfvs/1")
        return status == 200 and answer

    for _ in range(6):
        shared.rest("GET", "/nfvs/1")
    until(lambda: "nfv:1 disconnected" in shared.controller.text(), "its leave")
    assert "ring:7" in until(back, "its return")["ports"]
    fake.kill()
    gone(shared)


def test_first_of_two_processes_with_one_id_stays(shared: Lab) -> None:
    """With spp-ctl, they replace each other every second."""
    first = shared.add("nfv", 9)
    second = shared.start("nfv", "-n", 9)
    shared.controller.logged("id 9 is already used by nfv:9")
    shared.good("PUT", "/nfvs/9/ports", {"action": "add", "port": "ring:1"})
    time.sleep(1.5)  # the second one reconnects
    assert "ring:1" in shared.good("GET", "/nfvs/9")["ports"]
    for fake in (first, second):
        fake.kill()
    gone(shared)


def test_lost_machine_is_noticed(shared: Lab) -> None:
    """TCP_REPAIR closes the socket without FIN or RST, as if its machine had lost power."""
    tcp_repair = 19
    sock = socket.create_connection(("127.0.0.1", shared.controller.sec_port))
    assert sock.recv(100) == b"_get_client_id"
    sock.sendall(b'{"results":[{"result":"success"}],"client_id":77,"process_type":"nfv"}')
    assert sock.recv(100) == b"status"
    sock.sendall(b'{"client-id":77,"status":"idling","ports":[],"patches":[]}')
    shared.controller.logged("nfv:77 connected")
    sock.setsockopt(socket.IPPROTO_TCP, tcp_repair, 1)
    sock.close()
    began = time.monotonic()
    shared.controller.logged("nfv:77 disconnected: connection lost")
    print(f"noticed after {time.monotonic() - began:.1f} s")
