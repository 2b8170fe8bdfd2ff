"""The metrics of hand-made samples, the document that lists them, and the dashboard that queries them."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from sppr.controller.web.metrics import render
from tests.conftest import ROOT

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
BYTES = {"rx_bytes": 640, "tx_bytes": 128}
Samples = dict[tuple[str, ...], float]


def port(rx: int | None = 10, linked: bool = True, **more: int) -> dict[str, Any]:
    """Return a port of a sample. ``rx`` None: its process does not count frames."""
    counters = {"rx": rx, "rx_drop": 1, "tx": 2, "tx_drop": 3} if rx is not None else {}
    none = dict.fromkeys(("rx", "rx_drop", "tx", "tx_drop", "rx_rate", "tx_rate", "drop_rate"))
    return {**none, **counters, "linked": linked, **more}


def process(name: str, state: str = "running", **more: Any) -> dict[str, Any]:
    entry = {"name": name, "state": state, "ports": {}, "patches": []}
    return entry | more


def part(name: str, state: str = "ready", **more: Any) -> dict[str, Any]:
    entry = {"name": name, "role": "secondary", "state": state, "restarts": 2, "cpu_seconds": 1.5, "memory": 4096}
    return entry | more


def chain(name: str, state: str = "up", proof: dict[str, Any] | None = None, dropped: int | None = 7) -> dict[str, Any]:
    return {"name": name, "state": state, "dropped": dropped, "proof": proof}


PROOF = {
    "time": 1700000000.5,
    "verdict": "pass",
    "sent": 1000,
    "lost": 1,
    "p50_ns": 2000,
    "p99_ns": 5_000_000,
    "max_ns": 2_000_000_000,
}
#: A sample in which each family has a value.
FULL = {
    "processes": [process("nfv:1", ports={"tap:0": port(**BYTES)}, patches=[["tap:0", "ring:0"]])],
    "parts": [part("sec1")],
    "chains": [chain("web", proof=PROOF)],
}


def families(live: dict[str, Any], accept: str = "") -> dict[str, Any]:
    """Return the metric families by name."""
    body, _ = render(live, "1.2.3", accept)
    parse = parse_openmetrics if accept else parse_text
    return {family.name: family for family in parse(body.decode())}


def samples(live: dict[str, Any], name: str) -> Samples:
    """Return the values of the series of this name by the values of their labels, which are sorted by name."""
    found = [sample for family in families(live).values() for sample in family.samples if sample.name == name]
    return {tuple(sample.labels.values()): sample.value for sample in found}


def names(live: dict[str, Any]) -> set[str]:
    """Return the names of all series."""
    return {sample.name for family in families(live).values() for sample in family.samples}


def only(**more: Any) -> dict[str, Any]:
    """Return a sample with one process, nfv:1."""
    return {"processes": [process("nfv:1", **more)]}


def test_port_has_a_series_for_each_counter() -> None:
    key = ("tap:0", "nfv:1")
    assert samples(FULL, "sppr_port_received_frames_total") == {key: 10}
    assert samples(FULL, "sppr_port_received_bytes_total") == {key: 640}
    assert samples(FULL, "sppr_port_sent_frames_total") == {key: 2}
    assert samples(FULL, "sppr_port_sent_bytes_total") == {key: 128}
    assert samples(FULL, "sppr_port_receive_dropped_frames_total") == {key: 1}
    assert samples(FULL, "sppr_port_send_dropped_frames_total") == {key: 3}


def test_port_without_byte_counters_has_no_series_of_bytes() -> None:
    live = only(ports={"ring:0": port()})
    assert samples(live, "sppr_port_received_frames_total") == {("ring:0", "nfv:1"): 10}
    assert samples(live, "sppr_port_received_bytes_total") == samples(live, "sppr_port_sent_bytes_total") == {}


def test_port_without_counters_has_only_its_link() -> None:
    live = only(ports={"ring:0": port(None)})
    assert not [name for name in names(live) if name.startswith("sppr_port") and name != "sppr_port_linked"]
    assert samples(live, "sppr_port_linked") == {("ring:0", "nfv:1"): 1}


def test_counter_of_zero_is_a_value() -> None:
    assert samples(only(ports={"ring:0": port(0)}), "sppr_port_received_frames_total") == {("ring:0", "nfv:1"): 0}


def test_unlinked_port() -> None:
    assert samples(only(ports={"vhost:1": port(linked=False)}), "sppr_port_linked") == {("vhost:1", "nfv:1"): 0}


@pytest.mark.parametrize(
    ("state", "connected", "forwarding"), [("running", 1, 1), ("idling", 1, 0), ("silent", 0, 0), ("lost", 0, 0)]
)
def test_state_of_a_process(state: str, connected: int, forwarding: int) -> None:
    live = only(state=state)
    assert samples(live, "sppr_process_connected") == {("nfv:1",): connected}
    assert samples(live, "sppr_process_forwarding") == {("nfv:1",): forwarding}


def test_lost_process_keeps_its_counters_and_has_no_patches_and_links() -> None:
    live = only(state="lost", ports={"tap:0": port()}, patches=[["tap:0", "tap:1"]])
    assert samples(live, "sppr_port_received_frames_total") == {("tap:0", "nfv:1"): 10}
    assert samples(live, "sppr_patch") == samples(live, "sppr_port_linked") == {}


def test_patch_occurs_once() -> None:
    live = only(patches=[["phy:0", "ring:0"], ["phy:0", "ring:1"], ["phy:0", "ring:0"]])
    body = render(live, "1", "")[0].decode()
    assert samples(live, "sppr_patch") == {("ring:0", "nfv:1", "phy:0"): 1, ("ring:1", "nfv:1", "phy:0"): 1}
    assert body.count("sppr_patch{") == 2


def test_parts() -> None:
    live = {"processes": [], "parts": [part("sec1"), part("pri", "failed", cpu_seconds=None, memory=None)]}
    assert samples(live, "sppr_part_up") == {("sec1", "secondary"): 1, ("pri", "secondary"): 0}
    assert samples(live, "sppr_part_restarts_total") == {("sec1",): 2, ("pri",): 2}
    assert samples(live, "sppr_part_cpu_seconds_total") == {("sec1",): 1.5}
    assert samples(live, "sppr_part_memory_bytes") == {("sec1",): 4096}


@pytest.mark.parametrize(("state", "up"), [("up", 1), ("degraded", 0), ("down", 0)])
def test_state_of_a_chain(state: str, up: int) -> None:
    assert samples({"processes": [], "chains": [chain("web", state)]}, "sppr_chain_up") == {("web",): up}


def test_proof_of_a_chain() -> None:
    assert samples(FULL, "sppr_chain_dropped_frames_total") == {("web",): 7}
    assert samples(FULL, "sppr_chain_proof_passed") == {("web",): 1}
    assert samples(FULL, "sppr_chain_proof_timestamp_seconds") == {("web",): 1700000000.5}
    assert samples(FULL, "sppr_chain_proof_sent_frames") == {("web",): 1000}
    assert samples(FULL, "sppr_chain_proof_lost_frames") == {("web",): 1}
    latency = {("web", "50"): 2e-6, ("web", "99"): 0.005, ("web", "100"): 2.0}
    assert samples(FULL, "sppr_chain_proof_latency_seconds") == pytest.approx(latency)


def test_chain_without_a_proof_has_no_series_of_it() -> None:
    live = {"processes": [], "chains": [chain("web", dropped=None)]}
    assert names(live) == {"sppr_build_info", "sppr_chain_up"}


@pytest.mark.parametrize("verdict", ["fail", "inconclusive", None])
def test_proof_that_did_not_pass_and_has_no_figures(verdict: str | None) -> None:
    live = {"processes": [], "chains": [chain("web", proof={"time": 5.0, "verdict": verdict, "lost": None})]}
    assert samples(live, "sppr_chain_proof_passed") == {("web",): 0}
    assert not {"sppr_chain_proof_lost_frames", "sppr_chain_proof_latency_seconds"} & names(live)


def test_controller_without_a_lab_has_no_parts_and_chains() -> None:
    live = {"processes": []}
    assert names(live) == {"sppr_build_info"}
    assert samples(live, "sppr_build_info") == {("1.2.3",): 1}


def test_no_family_depends_on_the_sample() -> None:
    assert families({"processes": []}).keys() == families(FULL).keys()


def test_every_family_has_a_value_in_the_full_sample() -> None:
    assert [name for name, family in families(FULL).items() if not family.samples] == []


def test_accept_header_chooses_the_format() -> None:
    text, text_type = render(FULL, "1.2.3", "text/plain")
    body, body_type = render(FULL, "1.2.3", OPENMETRICS)
    assert text_type.startswith("text/plain") and b"# EOF" not in text
    assert body_type.startswith("application/openmetrics-text") and body.endswith(b"# EOF\n")
    assert [(f.name, f.type) for f in parse_openmetrics(body.decode())][:2] == [
        ("sppr_build", "info"),
        ("sppr_process_connected", "gauge"),
    ]


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_label_is_escaped(accept: str) -> None:
    hostile = 'a"b\\c\nd} 1 # EOF ü'
    live = only(ports={hostile: port()}, patches=[[hostile, "tap:0"]])
    found = families(live, accept)
    assert [sample.labels["source"] for sample in found["sppr_patch"].samples] == [hostile]
    assert [sample.labels["port"] for sample in found["sppr_port_linked"].samples] == [hostile]


# docs/live.md and docs/grafana-dashboard.json


def table_rows() -> list[list[str]]:
    """Return the cells of the rows of the table of metrics in docs/live.md."""
    text = (ROOT / "docs/live.md").read_text().partition("\n## Metrics\n")[2]
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `sppr_")]
    return [[cell.strip() for cell in row] for row in rows]


def series_name(family: Any) -> str:
    """Return the name of the series of a family, with the suffix of its type."""
    return str(family.name) + {"counter": "_total", "info": "_info"}.get(family.type, "")


def test_document_lists_each_family_with_its_type_and_labels() -> None:
    expected = {}
    for family in families(FULL, OPENMETRICS).values():
        labels = ", ".join(f"`{label}`" for label in family.samples[0].labels)
        expected[f"`{series_name(family)}`"] = (family.type, labels)
    rows = table_rows()
    assert {name: (kind, labels) for name, kind, labels, _ in rows} == expected
    assert len(rows) == len(expected) and all(meaning for *_, meaning in rows)


def dashboard() -> Any:
    return json.loads((ROOT / "docs/grafana-dashboard.json").read_text())


def queries() -> Iterator[str]:
    """Yield the queries of the panels and of the variables of the dashboard."""
    board = dashboard()
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


def test_dashboard_queries_only_metrics_and_labels_that_exist() -> None:
    known = {series_name(family): family for family in families(FULL, OPENMETRICS).values()}
    found = [name for query in queries() for name in re.findall(r"\bsppr_\w+", query)]
    assert found and set(found) <= known.keys(), set(found) - known.keys()
    for query in queries():
        for name, matchers in re.findall(r"\b(sppr_\w+)\{([^}]*)\}", query):
            labels = set(re.findall(r"(\w+)\s*=", matchers)) - {"job", "instance"}
            assert labels <= set(known[name].samples[0].labels), query


def test_dashboard_uses_only_variables_that_it_defines() -> None:
    board = dashboard()
    defined = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$(\w+)", " ".join(queries()))) | {
        name for panel in board["panels"] for name in re.findall(r"\$\{?(\w+)", json.dumps(panel.get("datasource", {})))
    }
    assert used - {"__rate_interval"} == defined == {"datasource", "instance", "process", "port", "chain", "part"}


def test_panels_have_unique_ids_and_do_not_overlap() -> None:
    panels = dashboard()["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells and at["x"] + at["w"] <= 24, panel["title"]
        cells |= own


def test_dashboard_takes_the_maximum_over_processes_that_share_a_port() -> None:
    shared = [query for query in queries() if "rate(sppr_port_" in query]
    assert shared and all(query.startswith("max by (port)") for query in shared)
