"""The picture of topo, its other formats, the rates, and the files."""

import json
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sppr.controller.errors import BadValue
from sppr.controller.prompt.controllers import ProcessStatus
from sppr.controller.topology import draw, export, graph, picture, rates
from sppr.controller.topology.rates import Flow
from tests.unit.controller.networks import EIGHT, NETWORKS, SIXTEEN, SMALL, STAR, details, host

SVG = "{http://www.w3.org/2000/svg}"
FLOWS = {
    ("nfv:1", "tap:0", "ivshmem:6"): Flow(12_100.0, 0.0, 42),
    ("nfv:1", "ivshmem:6", "tap:0"): Flow(1_240_000.0, 3_400.0, 9_000),
    ("nfv:6", "ring:0", "ring:1"): Flow(0.0, 0.0, 0),
}


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - of our own making


def files(folder: Path) -> list[str]:
    """Return the names of files, hidden ones included, except the home of the test."""
    return [path.name for path in folder.iterdir() if path.name != "home"]


def titles(text: str) -> list[str]:
    """Return the lines of the titles of all groups. Each patch, port, link and lane has one."""
    found = [group.find(f"{SVG}title") for group in parsed(text).iter(f"{SVG}g")]
    return [line for title in found if title is not None for line in str(title.text).split("\n")]


def texts(text: str) -> list[str]:
    return [str(element.text) for element in parsed(text).iter(f"{SVG}text")]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_port_and_patch_is_drawn_once(name: str) -> None:
    network = graph.build(NETWORKS[name], None, details())
    found = Counter(titles(picture.svg(network)))
    patches = [edge for edge in network.edges if edge.process]
    for edge in patches:
        begin = f"{edge.label}: {edge.src} → {edge.dst}"
        assert sum(count for line, count in found.items() if line.partition(", ")[0] == begin) == 1
    patched = {(edge.process, port) for edge in patches for port in (edge.src, edge.dst)}
    for process, port in patched:
        assert found[f"{process} {port}"] == 1
    drawn = {line.partition(" ")[2] for line in found}
    assert set(network.nodes) <= drawn
    assert max(found.values()) == 1


def test_hostile_names_are_escaped() -> None:
    broken = ProcessStatus("nfv", 1, {**STAR[-1].status, "status": "<b>&\x00"})
    names = graph.Details(names={"nfv:1": "<sec>&\x01"}, order=("</svg>",))
    network = graph.build([broken, ProcessStatus("nfv", 2, {"status": "a&b"})], None, names)
    text = picture.svg(network, "<title>&\x02", "]]>")
    assert {"<x>&\"':1", "<sec>&?", "<title>&?", "</svg>", "nfv:2"} <= set(texts(text))
    assert "a-name-that…" in texts(text)
    page = draw.html(network, text, "<script>", "&")
    assert "<script" not in page and "&lt;script&gt;" in page and page.count("</svg>") == 1


def test_texts_of_a_picture() -> None:
    text = picture.svg(graph.build(SMALL, None, details(FLOWS)), "Session spp", "over 0.5 s")
    found = texts(text)
    assert {"Session spp", "over 0.5 s", "web", "sec1", "nfv:1, forwarding", "vm_r6", "ring:0"} <= set(found)
    assert {"12.1 kpps →", "← 1.2 Mpps", "42 dropped", "drops 3.4 kpps", "drops frames now"} <= set(found)
    assert "0 pps →" in found and "patch of no chain" not in found and "not forwarding" not in found
    assert text.count('stroke="#d32020"') == 2  # the patch that drops frames, and its entry in the legend


def test_chains_have_colours_and_other_patches_are_grey() -> None:
    text = picture.svg(graph.build(EIGHT, None, details()))
    wires = {
        line: path.get("stroke")
        for group in parsed(text).iter(f"{SVG}g")
        for path in group.findall(f"{SVG}path")
        if (title := group.find(f"{SVG}title")) is not None
        for line in str(title.text).split("\n")
    }
    assert wires["nfv:1: tap:0 → ivshmem:6, chain web"] == wires["chain web"] == "#0b69b7"
    assert wires["nfv:1: ring:0 → ivshmem:7"] == "#7b8794"
    link = next(line for line in wires if " = " in line and "ivshmem:6" in line)
    assert wires[link] == "#0b69b7"
    assert len({picture._colour(number) for number in range(40)}) == 40


def test_a_process_that_does_not_forward_is_dashed() -> None:
    text = picture.svg(graph.build(SIXTEEN))
    dashed = [path for path in parsed(text).iter(f"{SVG}path") if path.get("stroke-dasharray")]
    assert len(dashed) == 3  # two lines of nfv:5, and the legend
    assert "idle" in texts(text) and "not forwarding" in texts(text) and "not patched" in texts(text)


def test_an_empty_network_has_a_picture() -> None:
    assert "no process is connected" in texts(picture.svg(graph.build([])))


def counted(number: int, tx: int, dropped: int = 0, port: str = "ring:0") -> ProcessStatus:
    row = {"rx": tx + 7, "rx_drop": dropped, "tx": tx, "tx_drop": 2 * dropped}
    found = host(number, [("phy:0 nq 1", port)])
    found.status["counters"] = [{"port": "phy:0 nq 1", **row}, {"port": port, **row}]
    return found


def test_rates_of_two_readings() -> None:
    key = ("nfv:1", "phy:0nq1", "ring:0")
    assert rates.flows([counted(1, 100, 1)], [counted(1, 150, 11)], 0.5) == {key: Flow(100.0, 60.0, 33)}
    restarted = rates.flows([counted(1, 100, 5)], [counted(1, 50, 1)], 0.5)
    assert restarted == {key: Flow(None, None, 3)}
    assert rates.flows([], [counted(1, 50)], 0.5) == {key: Flow(None, None, 0)}
    assert rates.flows([counted(1, 1)], [counted(1, 1)], 0) == {key: Flow(None, None, 0)}
    assert rates.flows(SMALL, SMALL, 1) == {}


def test_the_rate_of_a_shared_destination_is_counted_at_the_source() -> None:
    def reading(received: int) -> ProcessStatus:
        rows = [{"port": port, "rx": rx, "rx_drop": 0, "tx": 9 * rx, "tx_drop": 0} for port, rx in
                (("phy:0", received), ("phy:1", 2 * received), ("ring:0", 0))]  # fmt: skip
        found = host(0, [("phy:0", "ring:0"), ("phy:1", "ring:0")])
        found.status["forwarder"]["counters"] = rows
        return found

    found = rates.flows([reading(0)], [reading(50)], 0.5)
    assert [flow.rate for flow in found.values()] == [100.0, 200.0]


@pytest.mark.parametrize("counters", [3, [1], [{}], [{"port": "ring:0"}, {"port": "phy:0", "rx": "1"}], None])
def test_invalid_counters_give_no_rates(counters: Any) -> None:
    process = host(1, [("phy:0", "ring:0")])
    process.status["counters"] = counters
    assert rates.flows([process], [process], 1) == {}


def test_text_json_and_dot_have_rates() -> None:
    network = graph.build(SMALL, None, details(FLOWS))
    [line] = [line for line in draw.text(network).splitlines() if line.strip().startswith("tap:0")]
    assert " ".join(line.split()) == "tap:0 = nfv:1 => ivshmem:6 12.1 kpps chain web 42 dropped"
    links = {(link["src"], link["dst"]): link for link in json.loads(draw.as_json(network))["links"]}
    assert links["ivshmem:6", "tap:0"] == {
        "src": "ivshmem:6", "dst": "tap:0", "by": "nfv:1", "running": True, "chain": "web", "rate": 1_240_000.0,
        "dropping": 3_400.0, "dropped": 9_000,
    }  # fmt: skip
    assert links["tap:1", "ivshmem:106"].keys() == {"src", "dst", "by", "running", "chain"}
    assert 'label="nfv:1 12.1 kpps"' in draw.dot(network) and '"nfv:1 12.1 kpps"' in draw.mermaid(network)


def test_html_is_one_page_without_scripts() -> None:
    network = graph.build(SMALL, None, details(FLOWS))
    page = export.render(network, "html", "Session spp", "over 0.5 s")
    assert "<svg" in page and "<script" not in page and "src=" not in page and "href" not in page
    row = "<td>sec1</td><td>nfv:1</td><td>tap:0</td><td>ivshmem:6</td><td>web</td><td>forwarding</td>"
    assert f"<tr>{row}<td>12.1 kpps</td><td>42 dropped</td></tr>" in page
    assert page.count("<tr>") == 7


@pytest.mark.parametrize(("kind", "begins"), [
    ("svg", "<svg"), ("html", "<!DOCTYPE html>"), ("dot", "digraph"), ("mermaid", "flowchart"), ("json", "{"),
    ("txt", ""),
])  # fmt: skip
def test_each_format_is_written(tmp_path: Path, kind: str, begins: str) -> None:
    network = graph.build(SMALL)
    export.write(network, kind, tmp_path / "net")
    text = (tmp_path / "net").read_text()
    assert text.startswith(begins) and "ivshmem:6" in text and text.endswith("\n")
    assert files(tmp_path) == ["net"]


def test_png_is_made_of_the_svg(tmp_path: Path) -> None:
    export.write(graph.build(SMALL), "png", tmp_path / "net.png")
    assert (tmp_path / "net.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert files(tmp_path) == ["net.png"]


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, kind: str) -> None:
    with pytest.raises(BadValue, match="none/net: No such file or directory") as error:
        export.write(graph.build(SMALL), kind, tmp_path / "none/net")
    assert error.value.hint == "use a file that can be written"
    (tmp_path / "net").mkdir()
    with pytest.raises(BadValue, match="net: Is a directory"):
        export.write(graph.build(SMALL), kind, tmp_path / "net")
    assert files(tmp_path) == ["net"]


@pytest.mark.parametrize(("kind", "package"), [("png", "librsvg2-bin"), ("jpg", "graphviz")])
def test_a_missing_program_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, package: str
) -> None:
    monkeypatch.setattr(export, "which", lambda program: None)  # noqa: ARG005
    with pytest.raises(BadValue, match=f"{kind} needs the program") as error:
        export.write(graph.build(SMALL), kind, tmp_path / "net")
    assert error.value.hint == f"apt install {package}, or use FILE.svg, which does not need it"


def test_unknown_formats_are_refused() -> None:
    assert export.drawing_type("MMD") == "mermaid" and export.drawing_type("htm") == "html"
    with pytest.raises(BadValue, match="topo cannot draw 'gif'"):
        export.drawing_type("gif")
