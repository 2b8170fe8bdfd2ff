"""The search for the rate of a chain, on a chain with a known rate, and its report."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from sppr.cli.chain import bench as chain_bench
from sppr.cli.chain.commands import main
from sppr.lab.chains import bench, chart
from sppr.lab.chains.proof import testbed
from tests.unit.lab.test_chain_planner import TWO, planned

SVG = "{http://www.w3.org/2000/svg}"


class Client:
    """Probes over a chain that carries ``carries`` frames a second; its source makes ``makes`` at most."""

    def __init__(self, carries: float, makes: float) -> None:
        self.carries, self.makes = carries, makes
        self.sent = self.received = self.took = 0.0
        self.calls: list[dict[str, Any]] = []

    def probe(self, _process: str, _number: int, action: str, **words: Any) -> None:
        if action != "start":
            return
        self.calls.append(words)
        self.took = words["time"] / 1000
        most = self.makes * self.took
        self.sent = min(words["count"], most) if words["count"] else most
        self.received = min(self.sent, self.carries * self.took)

    def probe_result(self, _process: str, _number: int) -> dict[str, Any]:
        source = {"sent": int(self.sent), "running": False, "first_ns": 0, "last_ns": int(self.took * 1e9)}
        return {"source": source, "sink": {"received": int(self.received)}}

    def probe_histogram(self, _process: str, _number: int) -> list[tuple[int, int]]:
        return [(1000, 90), (5000, 9), (100_000, 1)]


BED = testbed.Testbed(testbed.EndProbe("nfv:1", "tap:0", 30), testbed.EndProbe("nfv:2", "tap:1", 31), (), ())


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(bench.time, "sleep", lambda _: None)
    monkeypatch.setattr(bench, "QUIET", 0.0)
    yield


def measured(carries: float, makes: float, *goals: str, beds: int = 1) -> bench.Result:
    names = tuple(f"c{n}" for n in range(beds))
    result = bench.Result(names, "PVVP", "forward", "64", 64.0)
    client = Client(carries, makes)
    bench._Bench(client, [BED] * beds, "forward", "64").fill(result, goals)  # type: ignore[arg-type]
    return result


@pytest.mark.parametrize("carries", [100.0, 12_345.0, 3_000_000.0])
def test_rate_of_a_chain_is_found_within_the_width_of_the_goal(carries: float) -> None:
    result = measured(carries, 30e6, "ndr", "pdr")
    ndr, pdr = result.rates
    assert (ndr.goal, pdr.goal) == ("ndr", "pdr") and not ndr.limited and not pdr.limited
    assert ndr.frames == pytest.approx(carries, rel=0.01) and pdr.frames == pytest.approx(carries, rel=0.015)
    assert ndr.lower is not None and ndr.upper is not None and ndr.lower <= carries * 1.01 <= ndr.upper * 1.02


def test_rate_limited_by_the_generator_is_not_reported() -> None:
    (rate,) = measured(30e6, 1e6, "ndr").rates
    assert rate.limited and rate.frames == pytest.approx(1e6, rel=0.02)
    assert chart.frames(rate.frames, limited=rate.limited).startswith("generator limited, >= ")


def test_chain_without_traffic_has_no_rate_and_no_latency() -> None:
    result = measured(0.0, 1e6, "quick")
    assert result.rates[0].frames is None and result.latency == []
    assert "none found" in chain_bench.lines(result)[0]


def test_latency_is_measured_at_fractions_of_the_rate() -> None:
    result = measured(10_000.0, 30e6, "quick")
    assert [one.share for one in result.latency] == [0.0, 0.1, 0.5, 0.9]
    one = result.latency[-1]
    assert one.rate == pytest.approx(9000, rel=0.1) and one.samples == 100
    assert (one.p50, one.p90) == (1000, 1000) and one.p99 == pytest.approx(5000, rel=0.001)
    assert one.max == pytest.approx(100_000, rel=0.001) and one.variation == one.p999 - one.min


def test_wire_rate_includes_preamble_and_gap() -> None:
    assert bench.Rate("ndr", 14_880_952, None, None, limited=False).gbits(64) == pytest.approx(10, rel=1e-6)
    assert round(bench.IMIX_MEAN, 2) == 353.83


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("tap:0, vm_v11, tap:1", "PVP"), ("tap:0, vm_r6, vm_v11, tap:1", "PVVP"), ("vm_r6, vm_v11", "VV"),
        ("vm_r6, vm_v11, vm_v12", "VVV"), ("tap:0, vm_v11", "PV"), ("tap:0, tap:1", "PP"),
    ],
)  # fmt: skip
def test_topology_has_its_usual_name(path: str, name: str) -> None:
    (chain,) = planned(TWO + f"chains: {{c: {{path: [{path}]}}}}").wiring.chains
    assert bench.topology(chain) == name


def test_reports_have_the_figures(tmp_path: Path) -> None:
    results = [measured(10_000.0, 30e6, "quick"), measured(5000.0, 30e6, "quick", beds=2), measured(0.0, 1e6, "quick")]
    paths = [tmp_path / f"b.{kind}" for kind in ("json", "svg", "xml")]
    chain_bench.write(results, *paths, "spp")
    assert json.loads(paths[0].read_text())[0]["rates"][0]["frames"] == pytest.approx(10_000, rel=0.06)
    texts = [text.text or "" for text in ElementTree.parse(paths[1]).iter(f"{SVG}text")]  # noqa: S314 - ours
    assert any(text.startswith("quick  ") and "frames/s" in text for text in texts) and "PVVP  64 B  forward" in texts
    suite = ElementTree.parse(paths[2]).getroot()  # noqa: S314
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    lines = chain_bench.matrix(results[:2])
    assert lines[0].split() == ["chains", "at", "once", "1", "2"] and lines[1].startswith("64 forward quick")
    assert lines[1].count("frames/s") == 2


def test_drawing_has_a_lane_for_each_chain() -> None:
    text = TWO + "chains: {web: {path: [tap:0, vm_r6, vm_v11, tap:1]}, b: {path: [tap:2, vm_v12], direction: forward}}"
    plan = planned(text, nof_vhost=1)
    root = ElementTree.fromstring(chart.lanes(plan.wiring, {"web": "degraded"}))  # noqa: S314
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert [word for word in texts if word in ("web", "b", "degraded", "not in this lab")] == [
        "web", "degraded", "b", "not in this lab"
    ]  # fmt: skip
    assert {"tap:0", "vm_r6", "vm_v11", "tap:1", "sec1 ring:0 sec2"} <= set(texts)


@pytest.mark.parametrize("sizes", ["63", "9001", "x", "64,imx", "0x40", "-64"])
def test_impossible_frame_size_is_refused(sizes: str) -> None:
    done = CliRunner().invoke(main, ["bench", "--sizes", sizes, "--all"])
    assert done.exit_code == 2 and "is neither imix nor a size from 64 to 9000" in done.output
