"""Debian's Prometheus and its promtool, unpacked below build/ and not installed: the package starts a server."""

import json
import os
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

FOLDER = ROOT / "build" / "prometheus"

CONF = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: sppr
    static_configs: [{{targets: ["{target}"]}}]
"""


def program(name: str) -> Path:
    """Return the program ``prometheus`` or ``promtool``. apt-get downloads them once: 20 MB, 10 s."""
    found = FOLDER / "usr/bin" / name
    if not found.exists():
        _fetch()
    return found


def complaints(metrics: str) -> str:
    """Return what ``promtool check metrics`` prints about metrics in the text format: "" for nothing."""
    done = subprocess.run(
        [program("promtool"), "check", "metrics"], input=metrics, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (not done.stdout + done.stderr), done
    return done.stdout + done.stderr


class Prometheus:
    """A server that scrapes ``target`` (HOST:PORT) each second."""

    def __init__(self, folder: Path, target: str) -> None:
        folder.mkdir()
        (folder / "prometheus.yml").write_text(CONF.format(target=target))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._address = f"127.0.0.1:{free.getsockname()[1]}"
        self._log = folder / "log"
        argv = [
            str(program("prometheus")),
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={self._address}",
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that an expression selects now. Empty, too: the server is not ready."""
        assert self._process.poll() is None, self._log.read_text()
        url = f"http://{self._address}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                found: list[dict[str, Any]] = json.load(response)["data"]["result"]
        except OSError:
            return []
        return found

    def value(self, expression: str) -> float | None:
        """Return the value of the only series that an expression selects, or None."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if len(found) == 1 else None

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(20)


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """Run a server, with its files in a new ``folder``."""
    running = Prometheus(folder, target)
    try:
        yield running
    finally:
        running.end()


def _fetch() -> None:
    """Run apt-get with the sources of the machine, and with lists and a cache of its own."""
    apt = FOLDER / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    own = [f"Dir::State::lists={apt}/lists", f"Dir::Cache={apt}/cache", "APT::Sandbox::User=root"]
    options = [word for option in own for word in ("-o", option)]
    _run("apt-get", *options, "-qq", "update")
    _run("apt-get", *options, "-qq", "download", "prometheus", cwd=apt)
    _run("dpkg-deb", "-x", str(next(apt.glob("prometheus_*.deb"))), str(FOLDER))


def _run(*argv: str, cwd: Path | None = None) -> None:
    done = subprocess.run(
        argv, cwd=cwd, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
