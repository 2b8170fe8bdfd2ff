"""The client of the REST API: the request of each call, and the error for each response that is not as expected."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sppr.errors import ControlError
from sppr.spp import http_call
from sppr.spp.control import ControlClient, ProcessNotConnected


class Controller:
    """Answers ``http_call.call`` from ``responses``, a list of (status, body), and records the requests."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.responses: list[tuple[int, Any]] = []
        self.calls: list[tuple[str, float]] = []

    def call(self, address: str, timeout: float, method: str, path: str, body: str = "") -> tuple[int, bytes]:
        self.calls.append((address, timeout))
        self.requests.append(f"{method} {path} {body}".strip())
        status, found = self.responses.pop(0) if self.responses else (204, b"")
        if isinstance(found, Exception):
            raise found
        return status, found if isinstance(found, bytes) else json.dumps(found).encode()


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch) -> Controller:
    found = Controller()
    monkeypatch.setattr(http_call, "call", found.call)
    return found


CLIENT = ControlClient("/run/ctl.sock")


@pytest.mark.parametrize(
    ("call", "request_"),
    [
        (lambda c: c.clear(), "DELETE /v1/primary/status"),
        (lambda c: c.add_port("nfv:1", "ring:0"), 'PUT /v1/nfvs/1/ports {"action": "add", "port": "ring:0"}'),
        (lambda c: c.add_port("primary", "ring:0"), 'PUT /v1/primary/ports {"action": "add", "port": "ring:0"}'),
        (lambda c: c.del_port("vf:2", "ring:0"), 'PUT /v1/vfs/2/ports {"action": "del", "port": "ring:0"}'),
        (lambda c: c.patch("nfv:1", "phy:0", "ring:0"), 'PUT /v1/nfvs/1/patches {"src": "phy:0", "dst": "ring:0"}'),
        (lambda c: c.disconnect("nfv:1", "phy:0"), "DELETE /v1/nfvs/1/patches/phy:0?match=default"),
        (lambda c: c.disconnect("nfv:1", "phy:0 vlan=5"), "DELETE /v1/nfvs/1/patches/phy:0?match=vlan%3D5"),
        (
            lambda c: c.patch("nfv:1", "phy:0 vlan=5", "ring:0"),
            'PUT /v1/nfvs/1/patches {"src": "phy:0", "dst": "ring:0", "match": "vlan=5"}',
        ),
        (lambda c: c.reset_patches("mirror:4"), "DELETE /v1/mirrors/4/patches"),
        (lambda c: c.forward("nfv:127"), 'PUT /v1/nfvs/127/forward {"action": "start"}'),
        (lambda c: c.stop("nfv:1"), 'PUT /v1/nfvs/1/forward {"action": "stop"}'),
        (lambda c: c.exit("pcap:5"), "DELETE /v1/pcaps/5?keep=1"),
        (lambda c: c.exit("primary", keep=False), "DELETE /v1/primary"),
        (
            lambda c: c.probe("nfv:1", 3, "start", rate=5, size="imix"),
            'PUT /v1/nfvs/1/probes/3 {"action": "start", "rate": 5, "size": "imix"}',
        ),
    ],
)
def test_calls_without_a_result(controller: Controller, call: Callable[[ControlClient], None], request_: str) -> None:
    call(CLIENT)
    assert controller.requests == [request_] and controller.calls == [("/run/ctl.sock", 5.0)]


@pytest.mark.parametrize(
    ("call", "request_", "response", "result"),
    [
        (lambda c: c.controller(), "GET /v1/controller", {"pid": 1}, {"pid": 1}),
        (lambda c: c.processes(), "GET /v1/processes", [{"type": "primary"}], [{"type": "primary"}]),
        (lambda c: c.primary_status(), "GET /v1/primary/status", {"a": 1}, {"a": 1}),
        (lambda c: c.nfv_status(3), "GET /v1/nfvs/3", {"a": 1}, {"a": 1}),
        (lambda c: c.status("primary"), "GET /v1/primary/status", {"a": 1}, {"a": 1}),
        (lambda c: c.status("pcap:9"), "GET /v1/pcaps/9", {"a": 1}, {"a": 1}),
        (lambda c: c.ports("nfv:1"), "GET /v1/nfvs/1", {"ports": ["ring:0"]}, ["ring:0"]),
        (lambda c: c.ports("nfv:1"), "GET /v1/nfvs/1", {}, []),
        (lambda c: c.ports("primary"), "GET /v1/primary/status", {"forwarder": {"ports": ["ring:0"]}}, ["ring:0"]),
        (lambda c: c.ports("primary"), "GET /v1/primary/status", {"ports": ["ring:0"]}, []),
        (lambda c: c.probe_result("nfv:1", 3), "GET /v1/nfvs/1/probes/3", {"port": "probe:3"}, {"port": "probe:3"}),
        (
            lambda c: c.probe_histogram("nfv:1", 3),
            "GET /v1/nfvs/1/probes/3/histogram",
            {"histogram": [["100", "2"], [200, 3]]},
            [(100, 2), (200, 3)],
        ),
        (lambda c: c.alive(), "GET /v1/controller", {}, True),
        (lambda c: c.alive(), "GET /v1/controller", OSError("refused"), False),
    ],
)
def test_calls_with_a_result(
    controller: Controller, call: Callable[[ControlClient], object], request_: str, response: object, result: object
) -> None:
    controller.responses = [(200, response)]
    assert call(CLIENT) == result
    assert controller.requests == [request_]


def test_calls_use_the_given_address_and_limit(controller: Controller) -> None:
    ControlClient(Path("/x/ctl.sock"), timeout=0.5).clear()
    ControlClient("10.0.0.1:7777").clear()
    assert controller.calls == [("/x/ctl.sock", 0.5), ("10.0.0.1:7777", 5.0)]


START = "sppr status; start it: arrow-up in its window, or runscripts/controller.py"
IS_IT = "is it a controller of sppr or SPP?"


@pytest.mark.parametrize(
    ("response", "what", "hint"),
    [
        (
            (200, OSError("Connection refused")),
            "the controller does not answer: Connection refused (/run/ctl.sock: GET /v1/controller)",
            START,
        ),
        (
            (200, TimeoutError()),
            "the controller does not answer: TimeoutError (/run/ctl.sock: GET /v1/controller)",
            START,
        ),
        (
            (200, ValueError("cut off")),
            "the controller does not answer: cut off (/run/ctl.sock: GET /v1/controller)",
            START,
        ),
        (
            (400, b" no such port\n"),
            "GET /v1/controller: no such port (status 400)",
            "the process or the controller refused the command; see the status of the process",
        ),
        (
            (404, b"nfv 1\xff"),
            "GET /v1/controller: nfv 1� (status 404)",
            "the process is not connected; see sppr status and its tmux window",
        ),
        (
            (504, b"late"),
            "GET /v1/controller: late (status 504)",
            "the process does not respond; see its tmux window",
        ),
        ((300, b"x"), "GET /v1/controller: x (status 300)", "see the tmux window of the controller"),
        ((200, b"{"), "GET /v1/controller: the response is not JSON: ", IS_IT),
        ((200, [1]), "GET /v1/controller on /run/ctl.sock: not an object: [1]", IS_IT),
        ((204, b""), "GET /v1/controller on /run/ctl.sock: not an object: None", IS_IT),
    ],
)
def test_unexpected_responses(controller: Controller, response: tuple[int, object], what: str, hint: str) -> None:
    controller.responses = [response]
    with pytest.raises(ControlError) as caught:
        CLIENT.controller()
    assert isinstance(caught.value, ProcessNotConnected) is (response[0] == 404)
    assert caught.value.what.startswith(what) and caught.value.hint == hint
    if "not JSON" not in what:
        assert caught.value.what == what


def test_unknown_call_is_not_a_lost_connection(controller: Controller) -> None:
    controller.responses = [(404, b"Not found: /v1/nfvs/1/probes/0")]
    with pytest.raises(ControlError) as caught:
        CLIENT.probe_result("nfv:1", 0)
    assert not isinstance(caught.value, ProcessNotConnected)


def test_processes_is_a_list(controller: Controller) -> None:
    controller.responses = [(200, {"type": "primary"})]
    with pytest.raises(ControlError) as caught:
        CLIENT.processes()
    assert caught.value.what == "GET /v1/processes on /run/ctl.sock: not a list: {'type': 'primary'}"
    assert caught.value.hint == IS_IT


def test_an_error_names_the_body_of_the_request(controller: Controller) -> None:
    controller.responses = [(400, b"command error: no such port")]
    with pytest.raises(ControlError) as caught:
        CLIENT.add_port("nfv:1", "ring:0")
    assert caught.value.what == (
        'PUT /v1/nfvs/1/ports {"action": "add", "port": "ring:0"}: command error: no such port (status 400)'
    )


@pytest.mark.parametrize("target", ["nfv:0", "nfv", "vf:x", "host:1", ""])
def test_invalid_target_is_not_called(controller: Controller, target: str) -> None:
    with pytest.raises(ControlError) as caught:
        CLIENT.forward(target)
    assert caught.value.hint == "targets are primary, nfv:1, nfv:2, ..."
    assert "is not the id" in caught.value.what or "names no process" in caught.value.what
    assert controller.requests == []


def test_a_port_that_the_status_does_not_list_was_not_added(controller: Controller) -> None:
    controller.responses = [(204, b""), (200, {"ports": ["vhost:1"]})]
    CLIENT.add_port_verified("nfv:1", "vhost:1")
    controller.responses = [(204, b""), (200, {"ports": ["ring:0"]})]
    with pytest.raises(ControlError) as caught:
        CLIENT.add_port_verified("nfv:1", "vhost:1")
    assert caught.value.what == "nfv:1: no error when vhost:1 was added, but its status does not list the port"
    assert caught.value.hint == (
        "see its tmux window; one possible reason is a leftover file at the path of the socket"
    )
    assert controller.requests == ['PUT /v1/nfvs/1/ports {"action": "add", "port": "vhost:1"}', "GET /v1/nfvs/1"] * 2


PATCHES = [{"src": "phy:0", "dst": "ring:0"}, {"src": "phy:0 nq 1", "dst": "ring:1"}, {"src": "ring:2", "dst": "phy:0"}]


@pytest.mark.parametrize("error", [b"Not found: /v1/nfvs/1/patches/phy:0", b"SPP has no such call"])
@pytest.mark.parametrize(
    ("target", "path", "running"),
    [("nfv:1", "/v1/nfvs/1", True), ("nfv:1", "/v1/nfvs/1", False), ("primary", "", True)],
)
def test_without_a_call_for_one_patch_all_are_reset_and_restored(
    controller: Controller, error: bytes, target: str, path: str, running: bool
) -> None:
    status: dict[str, object] = {"status": "running" if running else "idling", "patches": PATCHES}
    if target == "primary":
        path, status = "/v1/primary", {"forwarder": status}
    controller.responses = [(404, error), (200, status)]
    CLIENT.disconnect(target, "phy:0")
    assert controller.requests == [
        f"DELETE {path}/patches/phy:0?match=default",
        f"GET {path}" + ("/status" if target == "primary" else ""),
        f"DELETE {path}/patches",
        f'PUT {path}/patches {{"src": "phy:0nq1", "dst": "ring:1"}}',
        f'PUT {path}/patches {{"src": "ring:2", "dst": "phy:0"}}',
        *([f'PUT {path}/forward {{"action": "start"}}'] if running else []),
    ]


def test_another_error_for_one_patch_is_reported(controller: Controller) -> None:
    controller.responses = [(400, b"no patch from phy:0")]
    with pytest.raises(ControlError, match="no patch from phy:0"):
        CLIENT.disconnect("nfv:1", "phy:0")
    assert len(controller.requests) == 1
