"""The controller as a program: real sockets, a real terminal, and correct and faulty SPP processes."""

import contextlib
import http.client
import json
import os
import pty
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from sppr.deadline import Deadline
from sppr.errors import ControlError
from sppr.spp.control import ControlClient

pytestmark = pytest.mark.live

WAIT = 10.0  # seconds; reached only on failure
ARGV = [sys.executable, "-m", "sppr.controller", "--pri-port", "0", "--sec-port", "0"]


def until(probe: Callable[[], Any], what: str) -> Any:
    found = Deadline(WAIT).poll(probe, 0.02)
    assert found, f"waited {WAIT} s for {what}"
    return found


def environment(home: Path) -> dict[str, str]:
    names = ("PATH", "PYTHONPATH", "VIRTUAL_ENV")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, "HOME": str(home), "LC_ALL": "C.UTF-8", "TERM": "xterm", "SHELL": "/bin/sh"}


class Controller:
    """``python -m sppr.controller`` with an API socket and a given standard input. ``text()`` returns its output."""

    def __init__(self, tmp_path: Path, *extra: str, stdin: int = subprocess.PIPE) -> None:
        self.socket = tmp_path / "ctl.sock"
        self.log = tmp_path / "out"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [*ARGV, "--api-socket", str(self.socket), *extra],
                stdin=stdin, stdout=out, stderr=out, env=environment(tmp_path),
            )  # fmt: skip
        self.client = ControlClient(self.socket)
        self.listening = until(lambda: re.search(r"primary \S+:(\d+), secondaries \S+:(\d+)\n", self.text()), "ports")
        self.pri_port, self.sec_port = int(self.listening[1]), int(self.listening[2])
        until(self.client.alive, "the API")

    def text(self) -> str:
        return self.log.read_text()

    def logged(self, words: str) -> None:
        until(lambda: words in self.text(), f"{words!r} in {self.text()!r}")

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(WAIT)
        if self.process.stdin:
            self.process.stdin.close()


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    running = Controller(tmp_path, "--serve", "--timeout", "1")
    yield running
    running.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """A controller for tests that leave no process in it."""
    running = Controller(tmp_path_factory.mktemp("shared"), "--serve", "--api-port", "0")
    yield running
    running.end()


class Fake(threading.Thread):
    """An SPP process: it connects, replies to commands, and ends on ``exit`` or when the controller closes."""

    def __init__(self, port: int, client_id: int = 0, *, pad: int = 32768, chunk: int = 0, delay: float = 0) -> None:
        super().__init__(daemon=True)
        self.id, self.pad, self.chunk, self.delay = client_id, pad, chunk, delay
        self.ports: list[str] = ["phy:0"]
        self.patches: list[dict[str, str]] = []
        self.state = "idling"
        self.heard: list[str] = []
        self.mute: set[str] = set()
        self.introduction: bytes | None = None
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.closed = threading.Event()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while command := self.sock.recv(self.pad or 2048).decode():
                self.heard.append(command)
                if command not in self.mute:
                    time.sleep(self.delay)
                    self.send(self.answer(command))
                if command == "exit":
                    break
        self.sock.close()
        self.closed.set()

    def send(self, text: bytes) -> None:
        raw = text.ljust(self.pad, b"\0")
        step = self.chunk or len(raw)
        for start in range(0, len(raw), step):
            self.sock.sendall(raw[start : start + step])
            if self.chunk:
                time.sleep(0.0002)

    def answer(self, command: str) -> bytes:
        words = command.split()
        if command == "_get_client_id":
            if self.introduction is not None:
                return self.introduction
            return reply(results=[{"result": "success"}], client_id=self.id, process_type="nfv")
        if command == "status":
            lcores = {"master-lcore": 1, "lcores": [1, 2]}
            return json.dumps(
                {"client-id": self.id, "status": self.state, **lcores, "ports": self.ports, "patches": self.patches}
            ).encode()
        if command == "patch reset":
            self.patches.clear()
            return b"patch\0reset"  # the echo
        if words[0] in ("add", "del"):
            good = (words[1] in self.ports) == (words[0] == "del")
            if good:
                (self.ports.append if words[0] == "add" else self.ports.remove)(words[1])
            return reply(result="succeeded" if good else "failed", command=words[0], port=words[1])
        if words[0] == "patch":
            good = words[1] in self.ports and words[2] in self.ports
            self.patches += [{"src": words[1], "dst": words[2]}] if good else []
            return reply(
                result="succeeded" if good else "failed", command="patch", ports={"src": words[1], "dst": words[2]}
            )
        self.state = {"forward": "running", "stop": "idling"}.get(command, self.state)
        return reply(result="succeeded", command=command)


def reply(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def nfv(controller: Controller, client_id: int, **how: Any) -> Fake:
    """A connected and registered secondary."""
    fake = Fake(controller.sec_port, client_id, **how)
    fake.start()
    until(lambda: {"type": "nfv", "client-id": client_id} in controller.client.processes(), f"nfv {client_id}")
    return fake


def leave(controller: Controller, fake: Fake) -> None:
    """End the process, and wait until the controller has noticed."""
    fake.sock.shutdown(socket.SHUT_RDWR)
    until(lambda: not controller.client.processes(), "the disconnect")


def refusal(what: Callable[[], object]) -> str:
    with pytest.raises(ControlError) as caught:
        what()
    assert caught.value.hint
    return str(caught.value)


# wire


@pytest.mark.parametrize(("pad", "chunk"), [(32768, 0), (1000, 0), (2048, 100), (0, 0), (0, 11), (32768, 500)])
def test_every_form_of_reply_is_read(shared: Controller, pad: int, chunk: int) -> None:
    """Padded and unpadded, in one segment and in several. The rest of a reply does not affect the next one."""
    fake = nfv(shared, 1, pad=pad, chunk=chunk)
    client = shared.client
    for round_trip in range(2):
        client.add_port("nfv:1", f"ring:{round_trip}")
        client.patch("nfv:1", "phy:0", f"ring:{round_trip}")
        assert client.nfv_status(1)["patches"] == fake.patches != []
        client.reset_patches("nfv:1")
        assert client.nfv_status(1)["patches"] == []
    client.exit("nfv:1", keep=False)
    assert fake.closed.wait(WAIT)


def test_late_reply_is_not_used_for_the_next_command(controller: Controller) -> None:
    """Without a reply in time: 504, and the process is dropped, because its reply could arrive for the next command."""
    fake = nfv(controller, 1)
    fake.mute.add("forward")
    assert "status 504" in refusal(lambda: controller.client.forward("nfv:1"))
    assert fake.closed.wait(WAIT)
    assert "status 404" in refusal(lambda: controller.client.stop("nfv:1"))
    controller.logged("nfv:1 disconnected: no answer to `forward` within 1 s")


def test_commands_are_sent_one_at_a_time(shared: Controller) -> None:
    """A process would read two commands in one segment as one."""
    fake = nfv(shared, 1, delay=0.02)
    heard = len(fake.heard)
    threads = [threading.Thread(target=shared.client.nfv_status, args=(1,)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fake.heard[heard:] == ["status"] * 10
    leave(shared, fake)


def test_exit_of_an_idle_process_is_noticed(controller: Controller) -> None:
    fake = nfv(controller, 1)
    fake.sock.shutdown(socket.SHUT_RDWR)
    began = time.monotonic()
    controller.logged("nfv:1 disconnected: it closed the connection")
    assert time.monotonic() - began < 2.0


# handshakes


def test_silent_and_flooding_clients_do_not_delay_others(controller: Controller) -> None:
    silent = [socket.create_connection(("127.0.0.1", controller.sec_port)) for _ in range(5)]
    flooding = socket.create_connection(("127.0.0.1", controller.sec_port))
    flooding_primary = socket.create_connection(("127.0.0.1", controller.pri_port))
    began = time.monotonic()
    for sock in (flooding, flooding_primary):
        sock.settimeout(WAIT)
        with pytest.raises(OSError, match=r"Broken pipe|reset"):  # closed before its 10 MB are received
            for _ in range(160):
                sock.sendall(b"x" * 65536)
    nfv(controller, 1)
    assert time.monotonic() - began < 2.5, "the silent ones, 1 s each, were waited for"
    controller.logged("refused 127.0.0.1:")
    controller.logged("did not answer `_get_client_id`")
    for sock in (*silent, flooding, flooding_primary):
        sock.close()


@pytest.mark.parametrize(
    ("introduction", "printed"),
    [
        (reply(results=[{"result": "success"}], client_id=0, process_type="nfv"), "id 0 is not in 1 to 127"),
        (reply(results=[{"result": "success"}], client_id=128, process_type="nfv"), "id 128 is not in 1 to 127"),
        (reply(client_id=True, process_type="nfv"), "it sent no id"),
        (reply(client_id=1, process_type="primary"), "it is not an SPP secondary"),
        (reply(results=[{"result": "error"}], client_id=1, process_type="nfv"), "it is not an SPP secondary"),
        (b"0", "id 0 is not in 1 to 127"),
        (b"GET / HTTP/1.1\r\n\x1b[2J", "it is not an SPP process: it answered 'GET / HTTP/1.1"),
    ],
)
def test_invalid_introduction_is_refused(shared: Controller, introduction: bytes, printed: str) -> None:
    fake = Fake(shared.sec_port)
    fake.introduction = introduction
    fake.start()
    assert fake.closed.wait(WAIT)
    shared.logged(printed)
    assert "\x1b" not in shared.text()
    assert shared.client.processes() == []


@pytest.mark.parametrize(
    ("introduction", "pad", "kind"),
    [
        (b"7", 1000, "nfv"),
        (b"7", 0, "nfv"),
        (b'{"results": [ { "result": "success" } ], "client_id": 7}', 0, "vf"),
        (reply(results=[{"result": "success"}], client_id=7, process_type="mirror"), 0, "mirror"),
    ],
)
def test_kind_of_a_process_is_detected(shared: Controller, introduction: bytes, pad: int, kind: str) -> None:
    fake = Fake(shared.sec_port, pad=pad)
    fake.introduction = introduction
    fake.start()
    until(lambda: shared.client.processes() == [{"type": kind, "client-id": 7}], kind)
    if kind != "nfv":
        assert "sec_id 7 not found. (status 404)" in refusal(lambda: shared.client.nfv_status(7))
    leave(shared, fake)


def test_live_process_keeps_its_id(controller: Controller) -> None:
    first = nfv(controller, 1)
    second = Fake(controller.sec_port, 1)
    second.start()
    assert second.closed.wait(WAIT)
    controller.logged("id 1 is already used by nfv:1")
    controller.client.add_port("nfv:1", "ring:5")
    assert "ring:5" in first.ports


def test_dead_process_with_the_same_id_is_replaced(controller: Controller) -> None:
    first = nfv(controller, 1)
    first.mute.add("status")
    second = Fake(controller.sec_port, 1)
    second.start()
    assert first.closed.wait(WAIT)
    until(lambda: controller.client.processes(), "the second")
    controller.client.add_port("nfv:1", "ring:5")
    assert "ring:5" in second.ports


def test_second_primary_is_refused_or_replaces_a_dead_one(controller: Controller) -> None:
    first = Fake(controller.pri_port)
    first.start()
    until(lambda: {"type": "primary"} in controller.client.processes(), "the primary")
    second = Fake(controller.pri_port)
    second.start()
    assert second.closed.wait(WAIT)
    controller.logged("another primary is already connected")
    first.mute.add("status")
    third = Fake(controller.pri_port)
    third.start()
    assert first.closed.wait(WAIT)
    until(lambda: {"type": "primary"} in controller.client.processes(), "the third")
    controller.client.add_port("primary", "ring:7")
    assert "ring:7" in third.ports


# REST


def test_primary_routes(shared: Controller) -> None:
    client = shared.client
    assert "primary not found. (status 404)" in refusal(client.primary_status)
    fake = Fake(shared.pri_port)
    fake.start()
    until(client.processes, "the primary")
    assert client.primary_status()["ports"] == ["phy:0"]
    client.clear()
    client.add_port("primary", "vhost:0")
    client.patch("primary", "phy:0", "vhost:0")
    client.forward("primary")
    assert client.primary_status()["status"] == "running"
    client.stop("primary")
    client.reset_patches("primary")
    client.del_port("primary", "vhost:0")
    client.exit("primary")
    assert fake.closed.wait(WAIT)
    assert client.processes() == []
    asked = [command for command in fake.heard if command != "status"]
    changes = ["add vhost:0", "patch phy:0 vhost:0", "forward", "stop", "patch reset", "del vhost:0"]
    assert asked == ["clear", *changes, "exit"]


def test_nfv_routes_and_errors(shared: Controller) -> None:
    client = shared.client
    fake = nfv(shared, 3)
    client.add_port("nfv:3", "ring:0")
    assert "command error: `add ring:0` failed (status 400)" in refusal(lambda: client.add_port("nfv:3", "ring:0"))
    assert "'ring' is not a port" in refusal(lambda: client.add_port("nfv:3", "ring"))
    assert "cannot be added" in refusal(lambda: client.add_port("nfv:3", "phy:0"))
    assert "sec_id 9 not found. (status 404)" in refusal(lambda: client.forward("nfv:9"))
    assert "names no process" in refusal(lambda: client.forward("xy:9"))
    client.exit("nfv:3")
    assert fake.closed.wait(WAIT)
    assert client.processes() == []


def test_exit_without_a_reply_is_a_success(shared: Controller) -> None:
    """Classic processes close instead (docs/spp-protocol.md, Classic commands)."""
    fake = nfv(shared, 1)
    fake.mute.add("exit")
    shared.client.exit("nfv:1")
    assert fake.closed.wait(WAIT)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "/v1/foo", None, 404, "Not found: '/foo'"),
        ("GET", "/v1/nfvs/x", None, 404, "Not found: '/nfvs/x'"),
        ("POST", "/v1/processes", None, 405, "Method not allowed."),
        ("PUT", "/v1/nfvs/1/ports", "nonsense", 400, "Not in json format."),
        ("PUT", "/v1/nfvs/1/ports", "[" * 50000, 400, "Not in json format."),
        ("PUT", "/v1/nfvs/1/ports", "[]", 400, "Not in json format."),
        ("PUT", "/v1/nfvs/1/ports", "{}", 400, "key(action) required."),
        ("PUT", "/v1/nfvs/1/ports", '{"action": "add"}', 400, "key(port) required."),
        ("PUT", "/v1/nfvs/1/ports", '{"action": "up", "port": "ring:0"}', 400, "invalid value of key(action)"),
        ("PUT", "/v1/nfvs/1/ports", '{"action": "add", "port": 3}', 400, "3 is not a port"),
        ("PUT", "/v1/nfvs/1/forward", '{"action": []}', 400, "invalid value of key(action)"),
        ("PUT", "/v1/nfvs/1/patches", '{"src": "phy:0"}', 400, "key(dst) required."),
        ("PUT", "/v1/nfvs/1/patches", '{"src": "phy:0", "dst": "phy:0 exit"}', 400, "'phy:0 exit' is not a port"),
        ("PUT", "/v1/nfvs/1/ports", "x" * 100000, 413, f"{http.HTTPStatus(413).phrase}."),
        ("PUT", "/v1/primary/ports", '{"action": "add", "port": "pipe:0"}', 400, "pipe:0: a pipe takes two rings,"),
        (
            "PUT",
            "/v1/primary/ports",
            '{"action": "add", "port": "pipe:0", "rx": "ring:0", "tx": "ring:1"}',
            404,
            "primary",
        ),
    ],
)
def test_rest_status_codes(
    shared: Controller, method: str, path: str, body: str | None, status: int, text: str
) -> None:
    """Over TCP, as other programs connect."""
    match = re.search(r"api: http://127.0.0.1:(\d+)/v1", shared.text())
    assert match
    connection = http.client.HTTPConnection("127.0.0.1", int(match[1]), timeout=WAIT)
    connection.request(method, path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.read().decode().startswith(text)
    assert response.status == status
    assert response.headers.get_content_type() == "text/plain"
    connection.close()


def test_64_secondaries_can_connect(controller: Controller) -> None:
    fakes = [Fake(controller.sec_port, i) for i in range(1, 65)]
    for fake in fakes:
        fake.start()
    expected = [{"type": "nfv", "client-id": i} for i in range(1, 65)]
    until(lambda: controller.client.processes() == expected, "64 secondaries")
    assert len(controller.client.processes()) == 64


def test_controller_reports_pid_ports_and_version(shared: Controller) -> None:
    info = shared.client.controller()
    assert info["pid"] == shared.process.pid
    assert (info["host"], info["pri_port"], info["sec_port"]) == ("127.0.0.1", shared.pri_port, shared.sec_port)
    assert info["version"]


# the program


def test_api_socket_is_private_and_removed_at_sigterm(controller: Controller) -> None:
    assert controller.socket.stat().st_mode & 0o777 == 0o600
    controller.process.terminate()
    assert controller.process.wait(WAIT) == 0
    assert not controller.socket.exists()
    assert not controller.client.alive()
    assert "does not answer" in refusal(controller.client.processes)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGHUP, 0), (signal.SIGINT, 130)])
def test_signal_ends_the_controller(controller: Controller, number: signal.Signals, status: int) -> None:
    nfv(controller, 1)
    controller.process.send_signal(number)
    assert controller.process.wait(WAIT) == status
    assert not controller.socket.exists()
    assert "Traceback" not in controller.text()


def run(tmp_path: Path, *argv: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sppr.controller", *argv]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=WAIT, env=environment(tmp_path))


def test_port_in_use_is_an_error_with_its_owner(controller: Controller, tmp_path: Path) -> None:
    ended = run(tmp_path, "--pri-port", str(controller.pri_port), "--sec-port", "0")
    assert ended.returncode == 3
    where = f"127.0.0.1:{controller.pri_port}"
    assert f"error: {where}: already in use by pid {controller.process.pid} (python" in ended.stderr
    assert "\nhint: stop it" in ended.stderr


def test_api_socket_in_use_is_refused_and_stale_one_replaced(controller: Controller, tmp_path: Path) -> None:
    ports = ("--pri-port", "0", "--sec-port", "0", "--api-socket")
    ended = run(tmp_path, *ports, str(controller.socket))
    assert (ended.returncode, controller.client.alive()) == (3, True)
    assert "another controller listens on it" in ended.stderr
    controller.process.kill()
    controller.process.wait()
    assert controller.socket.exists(), "killed: it left its socket"
    assert run(tmp_path, *ports, str(controller.socket)).returncode == 0
    (tmp_path / "file").write_text("precious")
    assert "is not a socket" in run(tmp_path, *ports, str(tmp_path / "file")).stderr
    assert (tmp_path / "file").read_text() == "precious"
    assert "mkdir -p" in run(tmp_path, *ports, str(tmp_path / "none" / "x.sock")).stderr
    assert "cannot listen" in run(tmp_path, *ports, str(tmp_path / ("x" * 120))).stderr


def test_ports_can_be_reused_at_once(controller: Controller, tmp_path: Path) -> None:
    """Connections in TIME_WAIT do not block the ports."""
    nfv(controller, 1)
    controller.end()
    ended = run(tmp_path, "--pri-port", str(controller.pri_port), "--sec-port", str(controller.sec_port))
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "status", "printed"),
    [
        ("status\n", 0, "- status: not running"),
        ("status", 0, "- status: not running"),
        ("", 0, "listening: primary 127.0.0.1:"),
        ("nfv 1; status\nhelp\n", 1, "error: nfv:1 is not connected (type status to list the connected processes)"),
        ("bye\nnonsense\n", 0, "Welcome to the SPP controller."),
        ("# comment\n\nhistory\n", 0, "   2  history"),
    ],
)
def test_lines_from_a_pipe_are_executed(tmp_path: Path, text: str, status: int, printed: str) -> None:
    ended = run(tmp_path, "--pri-port", "0", "--sec-port", "0", text=text)
    assert printed in ended.stdout
    assert (ended.returncode, ended.stderr) == (status, "")


def test_serve_executes_its_input_and_continues_after_it(tmp_path: Path) -> None:
    with Path(os.devnull).open() as nothing:
        forever = Controller(tmp_path, "--serve", stdin=nothing.fileno())
    assert forever.client.alive()
    forever.end()
    assert forever.process.returncode == 0
    obeying = Controller(tmp_path, "--serve")
    assert obeying.process.stdin
    nfv(obeying, 1)
    obeying.process.stdin.write(b"bye sec\nbye\n")
    obeying.process.stdin.flush()
    assert obeying.process.wait(WAIT) == 0
    assert "Exit nfv 1\n" in obeying.text()
    obeying.end()


# the prompt


@pytest.fixture
def prompt(tmp_path: Path) -> Iterator[pexpect.spawn]:
    argv = [*ARGV[1:], "--timeout", "2"]
    env = environment(tmp_path)
    child = pexpect.spawn(ARGV[0], argv, env=env, encoding="utf-8", timeout=WAIT, dimensions=(40, 120))
    child.delaybeforesend = None
    child.expect(r"primary \S+:(\d+), secondaries \S+:(\d+)\r\n")
    child.ports = int(child.match[1]), int(child.match[2])
    child.expect_exact("spp >")
    yield child
    child.close(force=True)


def ended(child: pexpect.spawn) -> int | None:
    child.expect(pexpect.EOF)
    child.wait()
    return child.exitstatus


def test_prompt_executes_commands(prompt: pexpect.spawn, tmp_path: Path) -> None:
    prompt.send("status\r")
    prompt.expect_exact("- status: not running")
    fake = Fake(prompt.ports[1], 1)
    fake.start()
    prompt.expect_exact("nfv:1 connected")
    for typed, printed in (
        ("nfv 1; add ring:0", "Add ring:0."),
        ("nfv 1; patch phy:0 ring:0", "Patch ports (phy:0 -> ring:0)."),
        ("nfv 1; forward", "Start forwarding."),
        ("nfv 1; status", "  - phy:0 -> ring:0"),
        ("status", "    1: nfv:1 running"),
        ("nfv 1; stop", "Stop forwarding."),
        ("nfv 1; patch reset", "Clear all of patches."),
        ("nfv 1; del ring:0", "Delete ring:0."),
        (
            "nfv 1; del ring:0",
            'error: `del ring:0` failed (nfv:1 reported this; see "nfv 1; status" and its tmux window)',
        ),
        ("nfv 1; add ring 0", "error: 'ring' is not a port: write TYPE:NUMBER"),
        ("sec 1; add ring 0", "Add ring:0."),
        ("pri status", "error: primary is not connected (type status to list the connected processes)"),
        ("nfv 1; exit", "Exit nfv 1"),
    ):
        prompt.send(f"{typed}\r")
        prompt.expect_exact(printed)
    prompt.send("bye\r")
    assert ended(prompt) == 0
    history = tmp_path / ".local/state/sppr/history"
    assert "+nfv 1; add ring:0\n" in history.read_text()
    assert history.parent.stat().st_mode & 0o777 == 0o700


def test_prompt_completes_connected_processes(prompt: pexpect.spawn) -> None:
    fake = Fake(prompt.ports[1], 42)
    fake.ports = ["vhost:17"]
    fake.start()
    prompt.expect_exact("nfv:42 connected")
    until(lambda: "status" in fake.heard, "its ports")
    prompt.send("nfv 42; status\r")  # the controller has now read them
    prompt.expect_exact("  - vhost:17")
    prompt.send("nfv \t")
    prompt.expect_exact("42;")
    prompt.send(" del v\t")
    prompt.expect_exact("host:17")
    prompt.send("\r")
    prompt.expect_exact("Delete vhost:17.")


def test_ctrl_c_clears_the_line_then_exits(prompt: pexpect.spawn) -> None:
    prompt.send("bye all of this is nonsense")
    prompt.expect_exact("nonsense")
    prompt.send("\x03")
    prompt.send("status\r")
    prompt.expect_exact("- status: not running")
    prompt.send("\x03")
    assert ended(prompt) == 130


def test_ctrl_c_cancels_a_hanging_command(prompt: pexpect.spawn) -> None:
    fake = Fake(prompt.ports[1], 1)
    fake.mute.add("forward")
    fake.start()
    prompt.expect_exact("nfv:1 connected")
    prompt.send("nfv 1; forward\r")
    until(lambda: "forward" in fake.heard, "the command")
    prompt.send("\x03")
    prompt.expect_exact("error: interrupted")
    prompt.expect_exact("spp >")
    prompt.expect_exact("nfv:1 disconnected: no answer to `forward` within 2 s")
    prompt.send("status\r")
    prompt.expect_exact("- status: not running")


def test_ctrl_d_and_sigterm_end_the_prompt(tmp_path: Path) -> None:
    for finish in (lambda child: child.send("\x04"), lambda child: child.kill(signal.SIGTERM)):
        child = pexpect.spawn(ARGV[0], ARGV[1:], env=environment(tmp_path), encoding="utf-8", timeout=WAIT)
        child.expect_exact("spp >")
        finish(child)
        assert ended(child) == 0
        child.close()


@pytest.mark.parametrize("how", [["setsid", "-c"], ["setsid"]], ids=["with SIGHUP", "end of file only"])
def test_controller_ends_with_its_terminal(tmp_path: Path, how: list[str]) -> None:
    terminal, side = pty.openpty()
    argv = [*how, *ARGV, "--api-socket", str(tmp_path / "ctl.sock")]
    with (tmp_path / "errors").open("wb") as errors:
        process = subprocess.Popen(argv, stdin=side, stdout=side, stderr=errors, env=environment(tmp_path))
    os.close(side)
    until(lambda: b"spp >" in os.read(terminal, 4096), "the prompt")
    os.close(terminal)
    assert process.wait(WAIT) == 0
    assert not (tmp_path / "ctl.sock").exists()
    assert (tmp_path / "errors").read_text() == ""


def test_bye_all_ends_secondaries_before_the_primary(prompt: pexpect.spawn) -> None:
    primary = Fake(prompt.ports[0])
    primary.start()
    prompt.expect_exact("primary connected")
    secondaries = [Fake(prompt.ports[1], i) for i in (1, 2)]
    for fake in secondaries:
        fake.start()
        prompt.expect_exact("connected")
    prompt.send("bye all\r")
    prompt.expect_exact("Exit nfv 1")
    prompt.expect_exact("Exit nfv 2")
    prompt.expect_exact("Exit primary")
    assert all(fake.closed.wait(WAIT) for fake in (primary, *secondaries))
    prompt.send("status\r")
    prompt.expect_exact("- status: not running")


def test_client_imports_few_modules() -> None:
    """The imports are part of the launcher's start-up time."""
    heavy = {"aiohttp", "prompt_toolkit", "asyncio"}
    code = f"import sys, sppr.spp.control; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def ask(port: int, *headers: str) -> bytes:
    with socket.create_connection(("127.0.0.1", port), WAIT) as sock:
        sock.sendall("\r\n".join(["GET /v1/processes HTTP/1.1", "Connection: close", *headers, "", ""]).encode())
        return b"".join(iter(lambda: sock.recv(4096), b"")).partition(b"\r\n")[0]


@pytest.fixture
def with_rest(tmp_path: Path) -> Iterator[tuple[Controller, int]]:
    """Start a controller under ``ulimit -n 256``. Yields it and its REST port."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    sock.close()
    running = Controller(tmp_path, "--serve", "--timeout", "1", "--api-port", str(port))
    resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (256, before[1]))
    yield running, port
    running.end()


def test_incomplete_requests_do_not_block_others(with_rest: tuple[Controller, int]) -> None:
    running, port = with_rest
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", port), WAIT)) for _ in range(300)]
        for sock in slow:
            with contextlib.suppress(OSError):
                sock.sendall(b"GET /v1/processes HTTP/1.1\r\nHost: 127")
        assert running.client.alive()
        assert ask(port, f"Host: 127.0.0.1:{port}").endswith(b"200 OK")
        open_fds = lambda: len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))  # noqa: E731
        assert open_fds() < 200
        until(lambda: open_fds() < 40, "all of them dropped")
    assert running.client.alive() and running.process.poll() is None


def test_rest_accepts_only_addresses_as_host(with_rest: tuple[Controller, int]) -> None:
    _, port = with_rest
    for host in ("127.0.0.1", f"127.0.0.1:{port}", "localhost", f"localhost:{port}", "[::1]:1"):
        assert ask(port, f"Host: {host}").endswith(b"200 OK"), host
    for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "10.0.0.1", "[", "127.0.0.1@x.y"):
        assert ask(port, f"Host: {host}").endswith(b"403 Forbidden"), host
    for origin, status in (
        (f"http://127.0.0.1:{port}", b"200 OK"),
        ("http://evil.example", b"403 Forbidden"),
        ("http://[", b"403 Forbidden"),
    ):
        assert ask(port, f"Host: 127.0.0.1:{port}", f"Origin: {origin}").endswith(status), origin
