"""``/metrics`` with Debian's Prometheus: promtool, the OpenMetrics parser, and a server that scrapes it."""

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.live import fakes, labs
from tests.live.controller.prometheus import complaints, prometheus
from tests.live.controller.test_controller import Fake
from tests.live.dataplane_lab import wait_for
from tests.live.fakes import Lab, lab
from tests.live.labs import Lab as RealLab

pytestmark = pytest.mark.live

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
CHAIN = "chains:\n  web: {path: [tap:0, tap:1]}\n"


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with fakes.panel(tmp_path_factory.mktemp("metrics")) as running:
        yield running


@pytest.fixture(scope="module")
def real(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealLab]:
    """A lab of our data plane with a proved chain of one patch."""
    with labs.private(tmp_path_factory.mktemp("metricslab"), "metricslab", None) as made:
        made.write(CHAIN)
        done = made.wakeup("-ns", "1", "-nr", "0", "-nv", "0", "--prove")
        assert done.returncode == 0, done.stdout + done.stderr
        yield made


def scrape(port: int, accept: str = "", path: str = "/metrics") -> tuple[int, str, str]:
    """Return the status, the content type and the body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Accept": accept} if accept else {})
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, response.headers["Content-Type"], body


def values(port: int) -> dict[tuple[str, ...], float]:
    """Return the value of each series of the OpenMetrics format, by its name and the values of its labels."""
    families = text_string_to_metric_families(scrape(port, OPENMETRICS)[2])
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


def test_promtool_accepts_the_metrics_of_a_controller_without_a_lab(panel: Lab) -> None:
    status, content_type, body = scrape(panel.rest_port)
    assert status == 200 and content_type.startswith("text/plain; version=")
    assert "sppr_process_connected{" in body and complaints(body) == ""


def test_promtool_reports_bad_metrics() -> None:
    assert "quantile" in complaints('# HELP a_seconds A.\n# TYPE a_seconds gauge\na_seconds{quantile="0.5"} 1\n')
    assert "_total" in complaints("# HELP a A.\n# TYPE a counter\na 1\n")


def test_promtool_accepts_the_metrics_of_a_lab(real: RealLab) -> None:
    body = scrape(real.rest)[2]
    assert complaints(body) == ""
    described = {line.split()[2] for line in body.splitlines() if line.startswith("# TYPE ")}
    with_values = {line.partition("{")[0] for line in body.splitlines() if not line.startswith("#")}
    assert described - with_values == set()


def test_metrics_of_a_lab(real: RealLab) -> None:
    found = values(real.rest)
    assert found["sppr_part_up", "sec1", "secondary"] == found["sppr_part_up", "pri", "primary"] == 1
    assert found["sppr_part_memory_bytes", "sec1"] > 1e6
    assert found["sppr_part_restarts_total", "sec1"] == 0
    assert found["sppr_chain_up", "web"] == found["sppr_chain_proof_passed", "web"] == 1
    assert found["sppr_chain_proof_sent_frames", "web"] > 0 and found["sppr_chain_proof_lost_frames", "web"] == 0
    latency = [found["sppr_chain_proof_latency_seconds", "web", percentile] for percentile in ("50", "99", "100")]
    assert 0 < latency[0] <= latency[1] <= latency[2] < 10
    for counter in ("received_frames", "received_bytes", "sent_frames", "sent_bytes"):  # a tap is shared
        name = f"sppr_port_{counter}_total"
        assert found[name, "tap:0", "nfv:1"] == found[name, "tap:0", "primary"] > 0, name


def test_openmetrics_format_is_valid(panel: Lab) -> None:
    status, content_type, body = scrape(panel.rest_port, OPENMETRICS)
    assert status == 200 and content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith("\n# EOF\n") and body.count("# EOF") == 1
    families = {family.name: family for family in text_string_to_metric_families(body)}
    assert families["sppr_build"].type == "info" and families["sppr_port_received_frames"].type == "counter"
    assert {sample.labels["process"] for sample in families["sppr_process_connected"].samples} == {"primary", "nfv:1"}


def test_no_metrics_serves_the_page_only(tmp_path: Path) -> None:
    with lab(tmp_path, "--no-metrics") as running:
        assert scrape(running.rest_port)[0] == 404
        status, content_type, body = scrape(running.rest_port, path="/")
        assert status == 200 and content_type.startswith("text/html") and "<script" in body
        assert running.good("GET", "/live")["processes"] == []


def test_prometheus_scrapes_a_lab(real: RealLab, tmp_path: Path) -> None:
    with prometheus(tmp_path / "prometheus", f"127.0.0.1:{real.rest}") as server:
        wait_for("a scrape", lambda: server.value('up{job="sppr"}') == 1, 30)
        frames = 'sppr_port_received_frames_total{process="nfv:1",port="tap:0"}'
        wait_for("frames", lambda: server.value(frames), 30)
        assert server.value('sppr_chain_up{chain="web"}') == 1
        wait_for("a rate", lambda: server.value(f"rate({frames}[10s])") is not None, 30)


def test_prometheus_answers_the_queries_of_the_dashboard(real: RealLab, tmp_path: Path) -> None:
    """Each panel shows something of a lab with a proved chain."""
    board = json.loads((labs.ROOT / "docs/grafana-dashboard.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    names = [variable["name"] for variable in board["templating"]["list"] if variable["type"] == "query"]
    with prometheus(tmp_path / "prometheus", f"127.0.0.1:{real.rest}") as server:
        for text in expressions:
            expression = text.replace("$__rate_interval", "10s")
            for name in names:
                expression = expression.replace(f"${name}", ".*")
            wait_for(expression, lambda query=expression: server.query(query), 30)


def test_endpoint_in_the_document_reads_the_telemetry_socket(real: RealLab) -> None:
    """DPDK's exporter calls ``info`` and ``metrics``. Its socket has the method ``cmd``."""
    text = (labs.ROOT / "docs/live.md").read_text()
    endpoint: dict[str, Any] = {}
    exec(text.partition("```python\n")[2].partition("```")[0], endpoint)  # noqa: S102

    class Telemetry:
        def __init__(self, sock: socket.socket) -> None:
            self.sock = sock
            sock.connect(f"/var/run/dpdk/{real.session}/dpdk_telemetry.v2")
            self.size = json.loads(sock.recv(1024))["max_output_len"]

        def cmd(self, path: str) -> Any:
            self.sock.send(path.encode())
            return json.loads(self.sock.recv(self.size))[path]

    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        found = endpoint["metrics"](Telemetry(sock))
    assert {name for name, _, _ in found} == set(endpoint["info"]())
    values_of_taps = {(name, labels["port"]): value for name, value, labels in found if "tap" in labels["port"]}
    assert values_of_taps["rx", "tap_0"] > 0 and values_of_taps["tx", "tap_1"] > 0
    assert any(labels["port"].startswith("ring_") for _, _, labels in found)


HOSTILE = (
    "ring:0/../../primary",
    'a"b',
    "a\\b",
    "a\nb",
    'x"}1',
    "\\n",
    "\ud800",
    "ü\r\0",
    "{}#,=",
    "",
    "'",
    "# EOF",
    "\n# EOF\n",
)


class HostileFake(Fake):
    """A process whose status has ports and counters that no real one has."""

    counters: list[Any] = []  # noqa: RUF012

    def answer(self, command: str) -> bytes:
        found = super().answer(command)
        return json.dumps(json.loads(found) | {"counters": self.counters}).encode() if command == "status" else found


def test_hostile_names_and_counters_are_left_out(tmp_path: Path) -> None:
    counts = dict.fromkeys(("rx", "tx", "rx_drop", "tx_drop", "rx_bytes", "tx_bytes"), 5)
    with lab(tmp_path) as running:
        fake = HostileFake(running.controller.sec_port, 1)
        fake.ports = ["good:0", "minus:0", "huge:0", "text:0", *HOSTILE]
        fake.patches = [{"src": name, "dst": name} for name in ("good:0", *HOSTILE, *HOSTILE)]
        bad = {"minus:0": -1, "huge:0": 10**400, "text:0": "1 2"}
        fake.counters = [{"port": name, **counts} for name in ("good:0", *HOSTILE)]
        fake.counters += [{"port": name, **dict.fromkeys(counts, value)} for name, value in bad.items()]
        fake.start()
        wait_for("nfv 1", lambda: {"type": "nfv", "client-id": 1} in running.controller.client.processes())
        status, _, body = scrape(running.rest_port)
        assert status == 200 and complaints(body) == ""
        found = values(running.rest_port)
        frames = "sppr_port_received_frames_total"
        assert found[frames, "good:0", "nfv:1"] == 5 and found["sppr_patch", "good:0", "nfv:1", "good:0"] == 1
        assert len([key for key in found if key[0] == "sppr_patch"]) == 1
        assert {key[1] for key in found if key[0] == "sppr_port_linked"} == {"good:0", *bad}
        assert not [key for key in found if key[0] == frames and key[1] in bad]
        assert scrape(running.rest_port, path="/v1/live")[0] == 200
