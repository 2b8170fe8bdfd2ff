"""Fuzzing of REST by its OpenAPI document (schemathesis), and invalid bytes on each of the three ports."""

import json
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sppr.controller.errors import BadValue
from sppr.controller.server.reply import MAX_REPLY_SIZE, ReplyParser
from tests.live.controller.test_controller import WAIT, until
from tests.live.fakes import Lab, lab

pytestmark = pytest.mark.live

KINDS = {"nfvs": 1, "vfs": 2, "mirrors": 3, "pcaps": 4}


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab(tmp_path_factory.mktemp("fuzz"), "--timeout", "1") as running:
        yield with_all_kinds(running)


@pytest.fixture
def patient_panel(tmp_path: Path) -> Iterator[Lab]:
    """A controller with long timeouts, so that it drops no slow process on a busy machine."""
    with lab(tmp_path, "--timeout", "8") as running:
        yield with_all_kinds(running)


def with_all_kinds(running: Lab) -> Lab:
    """Add a process of each kind. Each one starts again after an `exit` command."""
    running.add("primary", 0, "--again")
    for kind, number in KINDS.items():
        running.add(kind[:-1], number, "--again")
    running.add("classic_nfv", 5, "--again")
    return running


def test_rest_conforms_to_its_openapi_document(panel: Lab, tmp_path: Path) -> None:
    """Every call, with valid and invalid bodies: only documented codes and types, no 500, invalid bodies refused.

    Not checked: acceptance of all valid data. A process that refuses also gives a 400.
    """
    status, document = panel.rest("GET", "/openapi.json")
    assert status == 200 and len(document["paths"]) > 25
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] == "id":  # otherwise it has no effect
                    parameter["schema"] = {"type": "integer", "enum": [KINDS[path.split("/")[2]], 99]}
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    argv = [
        sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", f"http://127.0.0.1:{panel.rest_port}",
        "--max-examples", "25", "--exclude-checks", "positive_data_acceptance", "--no-color",
        "--generation-deterministic",
    ]  # fmt: skip
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert "Traceback" not in panel.controller.text()
    six = [{"type": "primary"}, *({"type": t, "client-id": i} for t, i in (("nfv", 1), ("vf", 2), ("mirror", 3)))]
    until(lambda: panel.rest("GET", "/processes")[1][:4] == six, "all of them again")


PIECES = (
    b"_get_client_id", b"{", b"}", b"[", b'"', b"\0", b"\0" * 900, b"1", b'"process_type":"nfv"}', b"{" * 3000,
    b'{"results":[{"result":"success"}],"client_id":', b"GET /v1/processes HTTP/1.1\r\n", b"Host: x\r\n", b"\r\n\r\n",
    b"PUT /v1/nfvs/1/ports HTTP/1.1\r\n", b"Content-Length: 99999999999\r\n", b"Transfer-Encoding: chunked\r\n\r\n",
    b"\xff" * 5000, b"x" * 70000, b"status: idling\nports: '", b"Client ID 1 Idling\nport id: 0,on,PHY,outport: 2\n",
)  # fmt: skip


def send_random_bytes(port: int, seed: int) -> None:
    """Run one client after another: each sends bytes, may read some, and closes or stays for a while."""
    dice = random.Random(seed)  # noqa: S311
    for _ in range(25):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=0.2) as sock:
                for _ in range(dice.randint(0, 12)):
                    piece = dice.choice(PIECES) if dice.random() < 0.8 else dice.randbytes(dice.randint(1, 3000))
                    sock.sendall(piece)
                    if dice.random() < 0.2:
                        sock.recv(1000)
                if dice.random() < 0.3:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # RST
        except OSError:
            continue


def test_random_bytes_do_not_affect_others(patient_panel: Lab) -> None:
    """While 12 clients send random bytes to 5555, 6666 and 7777, each process is served and memory is stable."""
    process = psutil.Process(patient_panel.controller.process.pid)
    ports = (patient_panel.controller.pri_port, patient_panel.controller.sec_port, patient_panel.rest_port)
    before = process.memory_info().rss
    for round_trip in range(2):
        senders = [
            threading.Thread(target=send_random_bytes, args=(ports[n % 3], n + 100 * round_trip)) for n in range(12)
        ]
        for thread in senders:
            thread.start()
        while any(thread.is_alive() for thread in senders):
            for path in ("/nfvs/1", "/vfs/2", "/nfvs/5", "/primary/status"):
                status, answer = patient_panel.rest("GET", path)
                assert status == 200, answer
        for thread in senders:
            thread.join()
    assert process.memory_info().rss - before < 40 << 20
    printed = patient_panel.controller.text()
    assert "Traceback" not in printed and printed.count("\nrefused") < 100
    until(lambda: len(process.net_connections()) < 20, "its end of every connection closed")


def test_clients_beyond_the_limit_are_refused(panel: Lab) -> None:
    """Silent clients beyond the limit are refused. Connected ones are served."""
    clients = []
    for _ in range(600):
        try:
            clients.append(socket.create_connection(("127.0.0.1", panel.controller.sec_port), timeout=WAIT))
        except OSError:
            break
    assert panel.rest("GET", "/nfvs/1")[0] == 200
    assert len(psutil.Process(panel.controller.process.pid).net_connections()) < 400
    for client in clients:
        client.close()
    panel.add("nfv", 50).kill()


@settings(max_examples=500, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=200), st.sampled_from(PIECES)), max_size=20), st.booleans())
def test_random_replies_are_split_within_bounds(pieces: list[bytes], settle: bool) -> None:
    """Any bytes are a reply, an incomplete one, or too long. The buffer is bounded."""
    parser = ReplyParser("patch phy:0 ring:0")
    for piece in pieces:
        try:
            reply = parser.feed(piece)
        except ValueError:
            return
        reply = reply or (parser.finish() if settle else None)
        assert reply is None or (
            len(reply.text) <= MAX_REPLY_SIZE and isinstance(reply.failed, bool) and reply.reason() is not None
        )


WORDS = """pri nfv vf mirror pcap sec ; 1 2 status add del patch reset ring:0 phy:0 nq port component start stop launch
    flow -- -l create ingress pattern eth / end actions topo term record server redo config classifier_table mac
    vlan \x1b é"""


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.lists(st.sampled_from(WORDS.split()), max_size=12).map(" ".join), st.text(max_size=60)))
def test_random_lines_are_parsed_or_refused(line: str) -> None:
    from sppr.controller.prompt.commands import parse
    from sppr.controller.prompt.completion import CompletionData, candidates

    candidates(line, CompletionData({"nfv": [1]}, {1: ["phy:0"]}, ["phy:0"], {1: ["fw"]}, {"nfv": ["1 -l 1"]}))
    try:
        parse(line)
    except BadValue as error:
        assert error.what
