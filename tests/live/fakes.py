"""A controller with REST, and processes of tests/fakes."""

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.live.controller.test_controller import WAIT, Controller, until

IDS = {"nfv": "nfvs", "vf": "vfs", "mirror": "mirrors", "pcap": "pcaps"}


class Lab:
    """A controller with REST on TCP, and its fakes."""

    def __init__(self, folder: Path, *extra: str) -> None:
        self.controller = Controller(folder, "--serve", "--api-port", "0", *extra)
        address = re.search(r"^api: http://[0-9.]+:(\d+)/v1$", self.controller.text(), re.MULTILINE)
        assert address, self.controller.text()
        self.rest_port = int(address[1])
        self.running: list[subprocess.Popen[str]] = []

    def start(self, program: str, *words: object) -> subprocess.Popen[str]:
        """Start a fake, and do not wait for its connection."""
        port = self.controller.pri_port if program.endswith("primary") else self.controller.sec_port
        argv = [sys.executable, "-m", f"tests.fakes.{program}", "-s", f"127.0.0.1:{port}", *map(str, words)]
        fake = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.running.append(fake)
        return fake

    def add(self, program: str, client_id: int, *words: object) -> subprocess.Popen[str]:
        """Start a fake, and wait until it is connected."""
        fake = self.start(program, "-n", client_id, *words)
        kind = program.removeprefix("classic_")
        expected = {"type": "primary"} if kind == "primary" else {"type": kind, "client-id": client_id}
        until(lambda: expected in self.rest("GET", "/processes")[1], f"{program} {client_id}")
        return fake

    def rest(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Return the status and the body: the value of JSON, otherwise text.

        A request waits for those before it at the same process, each for up to --timeout seconds.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.rest_port, timeout=2 * WAIT)
        raw = json.dumps(body) if body is not None else None
        connection.request(method, f"/v1{path}", raw, {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        is_json = response.headers.get_content_type() == "application/json" and text
        return response.status, json.loads(text) if is_json else text

    def good(self, method: str, path: str, body: object = None) -> Any:
        status, answer = self.rest(method, path, body)
        assert status in (200, 204), f"{method} {path} {body}: {status} {answer}"
        return answer

    def end(self) -> None:
        self.controller.end()
        for fake in self.running:
            fake.kill()
            fake.communicate()


@contextmanager
def lab(folder: Path, *extra: str) -> Iterator[Lab]:
    running = Lab(folder, *extra)
    try:
        yield running
    finally:
        running.end()


@contextmanager
def panel(folder: Path, *extra: str) -> Iterator[Lab]:
    """A lab with a primary and nfv 1."""
    with lab(folder, *extra) as running:
        running.add("primary", 0)
        running.add("nfv", 1)
        yield running
