"""The location of lost frames, and the report of a proof."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from sppr.cli.chain import prove as cli
from sppr.lab.chains.observe import Counters, Observed, ProcessStatus
from sppr.lab.chains.proof.result import Proof, Run
from sppr.lab.chains.proof.trace import checkpoints, locate, shortfall, uncounted
from sppr.units import rate_text
from tests.unit.lab.test_chain_planner import TWO, planned

WEB = planned(TWO + "chains: {web: {path: [tap:0, vm_r6, vm_v11, tap:1]}}").wiring.chain("web")
#: The counters along the forward path, as (process, port, direction).
WAY = [(leg.process, port, way) for leg in WEB.forward for port, way in ((leg.src, "rx"), (leg.dst, "tx"))]


def observed(*counts: int, dropped: dict[tuple[str, str], int] | None = None) -> Observed:
    """Return the status of the processes with these counters along the path."""
    values: dict[str, dict[str, dict[str, int]]] = {}
    for (process, port, way), count in zip(WAY, counts, strict=True):
        values.setdefault(process, {}).setdefault(port, {})[way] = count
    for (process, port), count in (dropped or {}).items():
        values[process][port]["tx_drop"] = count
    return Observed(
        {p: ProcessStatus(counters={port: Counters(**c) for port, c in ports.items()}) for p, ports in values.items()}
    )


START = observed(*range(12))


def after(*grew: int, dropped: dict[tuple[str, str], int] | None = None) -> Observed:
    return observed(*(n + more for n, more in enumerate(grew)), dropped=dropped)


@pytest.mark.parametrize(
    ("grew", "dropped", "where"),
    [
        ([90] + [60] * 11, {("nfv:1", "ivshmem:6"): 30},
         "between tap:0 and ivshmem:6 in sec1 (ivshmem:6 was full: 30 dropped)"),
        ([90] * 2 + [60] * 10, {}, "between ivshmem:6 of sec1 and ring:0 in vm_r6 (they were handed to the guest, "
         "and vm_r6 took fewer); look at vm_r6"),
        ([90] * 3 + [60] * 9, {}, "between ring:0 and ring:1 in vm_r6 (the guest took them and sent fewer)"),
        ([90] * 4 + [60] * 8, {}, "between ring:1 in vm_r6 and ivshmem:106 of sec1 (the guest sent them, "
         "and sec1 took fewer); look at vm_r6"),
        ([90] * 5 + [60] * 7, {("nfv:1", "ring:0"): 30},
         "between ivshmem:106 and ring:0 in sec1 (ring:0 was full: 30 dropped)"),
        ([90] * 6 + [0] * 6, {}, "between sec1 and sec2, in ring:0 (sec2 takes nothing: does it forward?)"),
        ([90] * 6 + [60] * 6, {}, "between sec1 and sec2, in ring:0 (30 never came out)"),
        ([90] * 11 + [60], {("nfv:2", "tap:1"): 30},
         "between vhost:111 and tap:1 in sec2 (tap:1 was full: 30 dropped)"),
        ([90] * 3 + [60] * 8 + [58], {}, "between ring:0 and ring:1 in vm_r6 (the guest took them and sent fewer), "
         "and 2 elsewhere"),
        ([90] * 12, {}, "behind tap:1 of sec2"),
        ([60] * 12, {}, "in front of tap:0 of sec1 (it took 60 of 90)"),
        ([60] * 11 + [58], {}, "in front of tap:0 of sec1 (it took 60 of 90), and 2 elsewhere"),
    ],
)  # fmt: skip
def test_loss_is_located_between_two_counters(grew: list[int], dropped: dict[tuple[str, str], int], where: str) -> None:
    points = checkpoints("forward", WEB.forward, START, after(*grew, dropped=dropped))
    assert locate(points, 90) == where


def test_first_counter_below_the_sent_count_is_named() -> None:
    points = checkpoints("forward", WEB.forward, START, after(*[92] * 5, *[90] * 7))
    assert shortfall(points, 90) is None
    assert shortfall(points, 91) == "ring:0 of sec1 counted 90 of 91"


def test_process_without_counters_is_skipped() -> None:
    seen = {name: one for name, one in START.statuses.items() if name != "nfv:6"}
    points = checkpoints("forward", WEB.forward, Observed(seen), after(*[5] * 12))
    assert [point.by for point in points if point.in_guest] == ["vm_v11", "vm_v11"]
    assert uncounted(WEB.forward, points) == ["vm_r6"]
    assert uncounted(WEB.forward, checkpoints("forward", WEB.forward, START, after(*[5] * 12))) == []


def run(**values: Any) -> Run:
    given: dict[str, Any] = {
        "direction": "forward", "wanted": 100, "sent": 100, "received": 100, "reordered": 0, "duplicate": 0,
        "corrupt": 0, "misdelivered": 0, "foreign": 3, "size": 64, "seconds": 0.1,
        "latency_ns": {"p50": 41_000, "p99": 1_500_000, "max": 301},
    }  # fmt: skip
    return Run(**given | values)


@pytest.mark.parametrize(
    "values",
    [
        {"received": 99}, {"sent": 99, "received": 99}, {"reordered": 1}, {"duplicate": 1}, {"corrupt": 1},
        {"misdelivered": 1}, {"received": 101},
    ],
)  # fmt: skip
def test_run_passes_only_without_loss_duplicates_reordering_or_damage(values: dict[str, int]) -> None:
    assert run().is_complete, "frames of others do not matter"
    assert not run(**values).is_complete


def test_proof_is_printed_with_its_checks() -> None:
    proof = Proof("web", 2, shown=["consistency", "reach", "trace"], runs=[run()])
    assert cli.lines(proof) == [
        "\x1b[1mweb\x1b[0m  forward  100 of 100 frames of 64 B  0 lost  0 reordered"
        "  p50 41.0 µs  p99 1.5 ms  max 301 ns",
        "\x1b[32mpass\x1b[0m: consistency, reach, trace",
    ]
    failed = Proof("web", 2, shown=["consistency"], runs=[run(received=60)])
    failed.fail("forward: 40 of 100 frames lost in the ring", "reach")
    assert "60 of 100 frames of 64 B  40 lost" in cli.lines(failed)[0]
    assert cli.lines(failed)[1:] == [
        "\x1b[1mweb\x1b[0m  forward: 40 of 100 frames lost in the ring", "\x1b[31mfail\x1b[0m: trace"
    ]  # fmt: skip


def test_inconclusive_check_does_not_hide_a_failure() -> None:
    proof = Proof("web", 2)
    proof.fail("a loss", "trace")
    proof.doubt("other traffic", "reach")
    assert proof.verdict == "fail" and proof.reasons == ["a loss", "other traffic"]
    proof.close()
    assert proof.at == "reach" and proof.shown == ["consistency"], "the lowest level that did not pass"


def test_failure_after_the_frames_is_reported() -> None:
    """A TCP check, or the restored ends, can fail after all frames arrived."""
    for at, shown in (("trace", ["consistency", "reach"]), ("consistency", [])):
        proof = Proof("web", 2)
        proof.fail("late", at)
        proof.close()
        assert proof.shown == shown and cli.lines(proof)[-1].endswith(f"fail\x1b[0m: {at}")
    proof = Proof("web", 2)
    proof.close()
    assert proof.shown == ["consistency", "reach", "trace"]


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [([], 0), (["pass", "pass"], 0), (["pass", "fail", "inconclusive"], 7), (["inconclusive", "pass"], 8)],
)
def test_exit_status_is_of_the_worst_verdict(verdicts: list[Any], status: int) -> None:
    assert cli.exit_status([Proof("x", 2, verdict) for verdict in verdicts]) == status


def test_reports_for_ci_have_every_chain(tmp_path: Path) -> None:
    good = Proof("web", 2, shown=["consistency", "reach", "trace"], runs=[run()], seconds=1.5)
    bad = Proof("b<&>", 2, runs=[run(received=1)])
    bad.fail("lost <somewhere>", "reach")
    down = Proof("c", 1)
    down.doubt("the chain is down", "consistency")
    for proof in (bad, down):
        proof.close()
    cli.write_json(tmp_path / "p.json", [good, bad])
    found = json.loads((tmp_path / "p.json").read_text())
    assert found[0]["runs"][0]["latency_ns"]["p50"] == 41_000 and found[1]["verdict"] == "fail"
    cli.write_junit(tmp_path / "p.xml", [good, bad, down], "spp")
    suite = ElementTree.parse(tmp_path / "p.xml").getroot()  # noqa: S314 - ours
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("6", "1", "1")
    cases = [(case.get("classname"), case.get("name"), [child.tag for child in case]) for case in suite]
    assert cases[2:] == [
        ("chain.web", "trace", []), ("chain.b<&>", "consistency", []), ("chain.b<&>", "reach", ["failure"]),
        ("chain.c", "consistency", ["error"]),
    ]  # fmt: skip


@pytest.mark.parametrize(("frames", "text"), [(None, "–"), (0, "0 pps"), (12_140, "12.1 kpps"), (3.25e6, "3.2 Mpps")])  # noqa: RUF001
def test_rate_has_a_readable_unit(frames: float | None, text: str) -> None:
    assert rate_text(frames) == text
