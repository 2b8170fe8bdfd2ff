"""Chains with ``match`` that share both ends: planned, wired, proved, and restored, with packets of each class."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import labs
from tests.live.dataplane_lab import TapEnd, send_all, wait_for
from tests.live.labs import Lab

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

MAC = "02:00:00:00:00:21"
CHAINS = f"""chains:
  video: {{path: [tap:0, vm_v11, tap:1], match: {{vlan: 100}}}}
  web: {{path: [tap:0, vm_r6, tap:1], match: {{dst_mac: "{MAC}"}}}}
  rest: {{path: [tap:0, tap:1], match: default}}
"""


@pytest.fixture(scope="module")
def lab(base_image: Path, programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    flags = ("-ns", "2", "-nr", "1", "-nv", "1")
    with labs.chain_lab(folder, "matchlab1", base_image, CHAINS, *flags) as (made, printed):
        for name in ("video", "web", "rest"):
            assert f"chain {name}: up" in printed, printed
        yield made


def proofs(lab: Lab, *names: str, status: int = 0, options: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    """Prove chains, and return the results by name."""
    file = lab.folder / "proofs.json"
    done = lab.sppr("chain", "prove", *(names or ("--all",)), "--yes", "--json", str(file), *options, timeout=200)
    assert done.returncode == status, done.stdout + done.stderr
    return {row["chain"]: row for row in json.loads(file.read_text())}


def rows(lab: Lab) -> list[dict[str, Any]]:
    """Return the rows of ``sppr chain --json``."""
    found: list[dict[str, Any]] = json.loads(lab.sppr("chain", "--json").stdout)
    return found


def test_each_class_passes_its_own_chain_only(lab: Lab) -> None:
    found = proofs(lab)
    assert {name: row["verdict"] for name, row in found.items()} == {"video": "pass", "web": "pass", "rest": "pass"}


def test_necessity_of_each_patch(lab: Lab) -> None:
    (row,) = proofs(lab, "web", options=("--level", "3", "--frames", "500")).values()
    assert row["shown"][-1] == "necessity" and {one["arrived_without"] for one in row["repairs"]} == {0}


def test_chains_of_one_end_while_another_carries_traffic(lab: Lab) -> None:
    """A proof of one class leaves the frames of the others alone."""
    source, sink = TapEnd(f"{lab.tap}a"), TapEnd(f"{lab.tap}b")
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.extend(send_all(source, sink, 3000, window=4)))
    thread.start()
    found = proofs(lab, "video", options=("--frames", "2000"))
    thread.join()
    source.close()
    sink.close()
    assert found["video"]["verdict"] == "pass" and got == list(range(3000)), "class rest"


def test_wrong_class_is_a_failure(lab: Lab) -> None:
    """A patch by hand that takes frames of a chain for another chain is named, and corrected."""
    status = lab.control.status("nfv:2")
    video = next(patch for patch in status["patches"] if patch.get("match") == "vlan=100" and patch["src"] == "tap:0")
    lab.control.patch("nfv:2", "tap:0 vlan=101", video["dst"])
    (row,) = proofs(lab, "video", status=7).values()
    assert row["reasons"] == ["nfv:2: tap:0 vlan=101 -> vhost:11 belongs to no chain"]
    assert lab.sppr("chain", "apply").returncode == 0
    assert lab.control.status("nfv:2")["patches"] == status["patches"]


def test_matches_are_restored_after_a_kill(lab: Lab) -> None:
    before = lab.control.status("nfv:2")["patches"]
    assert {patch.get("match", "") for patch in before} >= {"", "vlan=100", f"dst_mac={MAC}", f"src_mac={MAC}"}
    os.kill(lab.status()["sec2"]["pid"], signal.SIGKILL)
    assert lab.sppr("restart", "sec2").returncode == 0
    wait_for(
        "the chains", lambda: {row["state"] for row in json.loads(lab.sppr("chain", "--json").stdout)} == {"up"}, 60
    )
    after = lab.control.status("nfv:2")["patches"]
    assert sorted(map(str, before)) == sorted(map(str, after))
    assert proofs(lab, options=("--frames", "500"))["web"]["verdict"] == "pass"


def test_saved_chains_have_their_matches(lab: Lab) -> None:
    text = lab.sppr("save").stdout
    assert "match: { vlan: 100 }" in text and f'match: {{ dst_mac: "{MAC}" }}' in text and "match: default" in text
    assert "patches:" not in text


def test_frames_of_a_chain_are_not_counted_for_another(lab: Lab) -> None:
    """Chains that share their ends are counted at ports of their own; where a chain has none, nothing is shown."""
    proofs(lab, "web", options=("--frames", "300"))
    found = {row["name"]: row for row in rows(lab)}
    assert found["rest"]["forward"] is None and found["web"]["forward"] is not None
    legs = {name: json.loads(lab.sppr("chain", "show", name, "--json").stdout) for name in ("web", "rest")}
    assert all(leg["frames"] is not None for leg in legs["web"]), legs["web"]
    assert legs["rest"][0]["frames"] is None or len(legs["rest"]) > 2
