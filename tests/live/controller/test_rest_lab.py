"""REST and the prompt of a lab with sppr's data plane."""

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import labs
from tests.live.labs import Lab

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A primary and two nfv."""
    with labs.running(tmp_path_factory.mktemp("rest"), "restlab", None, "-ns", "2", "-nr", "0", "-nv", "0") as made:
        yield made


def rest(lab: Lab, method: str, path: str, body: object = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", lab.rest, timeout=20)
    connection.request(method, f"/v1{path}", json.dumps(body) if body is not None else None)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, json.loads(text) if text.startswith(("{", "[")) else text


def prompt(lab: Lab, *lines: str) -> tuple[int, str]:
    """Over the unix socket of the lab."""
    argv = [sys.executable, "-m", "sppr.controller", "-b", str(lab.state / "api.sock")]
    done = subprocess.run(argv, input="\n".join(lines), env=lab.env, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_rest_answers_on_tcp(lab: Lab) -> None:
    processes = [{"type": "primary"}, {"type": "nfv", "client-id": 1}, {"type": "nfv", "client-id": 2}]
    assert rest(lab, "GET", "/processes") == (200, processes)
    usage = rest(lab, "GET", "/cpu_usage")[1]
    assert {u.get("client-id"): u["lcores"] for u in usage} == {None: [0, 1], 1: [2, 3], 2: [4, 5]}
    assert rest(lab, "PUT", "/nfvs/1/ports", {"action": "add", "port": "ring:0"}) == (204, "")
    code, printed = rest(lab, "PUT", "/nfvs/1/ports", {"action": "add", "port": "ring:0"})
    assert code == 400 and printed.startswith("command error: ") and "ring:0" in printed
    assert rest(lab, "PUT", "/nfvs/1/ports", {"action": "del", "port": "ring:0"}) == (204, "")
    rule = {"rule": {"direction": "ingress", "pattern": ["eth"], "actions": ["queue index 0"]}}
    assert rest(lab, "POST", "/primary/flow_rules/port_id/0", rule)[0] == 400


def test_recipe_of_two_nfv_and_a_ring(lab: Lab, tmp_path: Path) -> None:
    """The recipe spp_nfv/dual_with_ring/uni_directional_l2fwd, and its drawing by topo."""
    recipe = tmp_path / "ring.rcps"
    lines = ["nfv 1; add ring:0", "nfv 2; add ring:0", "nfv 1; patch tap:0 ring:0", "nfv 2; patch ring:0 tap:1"]
    recipe.write_text("# uni-directional\n" + "\n".join([*lines, "nfv 1; forward", "nfv 2; forward"]) + "\n")
    status, printed = prompt(lab, f"playback {recipe}", "topo term", f"topo {tmp_path / 'net.svg'}", "nfv 1; status")
    assert status == 0, printed
    for line in (r"tap:0 = nfv:1 =+> ring:0\n", r"ring:0 = nfv:2 =+> tap:1\n"):
        assert re.search(line, printed), printed
    assert (tmp_path / "net.svg").read_text().startswith("<svg")
    clean = [f"nfv {n}; {what}" for n in (1, 2) for what in ("stop", "patch reset", "del ring:0")]
    assert prompt(lab, *clean, "nfv 9; stop")[0] == 1, "the last line fails, and the status says so"
    assert rest(lab, "GET", "/nfvs/2")[1]["patches"] == []


def test_port_in_use_is_reported_with_its_key_and_0_disables_rest(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = labs.make(tmp_path_factory.mktemp("other"), "restlac", None)
    try:
        text = other.conf.read_text()
        other.conf.write_text(text.replace(f"rest_port: {other.rest}", f"rest_port: {lab.rest}"))
        done = other.wakeup("-ns", "0", "-nr", "0", "-nv", "0")
        assert done.returncode == 3
        assert f"port {lab.rest} (controller.rest_port, which 0 turns off) is in use by pid" in done.stderr
        other.conf.write_text(text.replace(f"rest_port: {other.rest}", "rest_port: 0"))
        plan = other.sppr("plan", "-ns", "0", "-nr", "0", "-nv", "0")
        assert plan.returncode == 0 and "--api-port" not in plan.stdout
    finally:
        other.end()


#: The use cases of recipes/usecases/spp_nfv of SPP HEAD: per nfv the ports that are added, and the patches. NICs: taps.
USE_CASES: dict[str, dict[int, tuple[list[str], list[str]]]] = {
    "single/l2fwd": {1: ([], ["tap:0 tap:1", "tap:1 tap:0"])},
    "single/loopback": {1: ([], ["tap:0 tap:0", "tap:1 tap:1"])},
    "dual/l2fwd": {1: ([], ["tap:0 tap:1"]), 2: ([], ["tap:1 tap:0"])},
    "dual/loopback": {1: ([], ["tap:0 tap:0"]), 2: ([], ["tap:1 tap:1"])},
    "dual_with_ring/ring_pmd": {1: (["ring:0"], [])},
    "dual_with_ring/uni_directional_l2fwd": {1: (["ring:0"], ["tap:0 ring:0"]), 2: (["ring:0"], ["ring:0 tap:1"])},
    "dual_with_ring/bi_directional_l2fwd": {
        1: (["ring:0", "ring:1"], ["tap:0 ring:0", "ring:1 tap:0"]),
        2: (["ring:0", "ring:1"], ["tap:1 ring:1", "ring:0 tap:1"]),
    },
    "single_with_pcap/incoming": {1: (["pcap:991"], ["tap:0 pcap:991"])},
    "single_with_pcap/outgoing": {2: (["pcap:992"], ["pcap:992 tap:1"])},
    "single_with_vhost": {1: (["vhost:991", "vhost:992"], ["tap:0 vhost:991", "vhost:992 tap:1"])},
}


@pytest.mark.parametrize("name", USE_CASES)
def test_use_case_of_spp_is_set_up_and_removed(lab: Lab, name: str) -> None:
    """By the prompt, over REST, in the order of the recipes: ports, patches, forward; stop, reset, ports."""
    nfvs = USE_CASES[name]
    lines = [f"nfv {n}; add {port}" for n, (ports, _) in nfvs.items() for port in ports]
    lines += [f"nfv {n}; patch {patch}" for n, (_, patches) in nfvs.items() for patch in patches]
    status, printed = prompt(lab, *lines, *(f"nfv {n}; forward" for n in nfvs))
    assert status == 0 and "error" not in printed, printed
    for n, (ports, patches) in nfvs.items():
        found = rest(lab, "GET", f"/nfvs/{n}")[1]
        assert found["status"] == "running" and set(ports) <= set(found["ports"])
        assert [f"{p['src']} {p['dst']}" for p in found["patches"]] == sorted(patches, key=found_order(found["ports"]))
    lines = [f"nfv {n}; {verb}" for verb in ("stop", "patch reset") for n in nfvs]
    lines += [f"nfv {n}; del {port}" for n, (ports, _) in nfvs.items() for port in ports]
    status, printed = prompt(lab, *lines)
    assert status == 0 and "error" not in printed, printed
    for n in nfvs:
        found = rest(lab, "GET", f"/nfvs/{n}")[1]
        assert (found["status"], found["ports"], found["patches"]) == ("idling", ["tap:0", "tap:1"], [])
    for path in Path("/tmp").glob("spp-[rt]x99[12].pcap"):
        path.unlink()


def found_order(ports: list[str]) -> Callable[[str], int]:
    """Return the patches in the order of a status, which is that of their sources."""
    return lambda patch: ports.index(patch.split()[0])
