"""``sppr topo`` of a running lab: its picture, with the chain and the rates of frames that cross it."""

import subprocess
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import labs
from tests.live.dataplane_lab import TapEnd
from tests.live.labs import Lab

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

#: A chain of one patch, so that no VM is needed.
WEB = "chains:\n  web: {path: [tap:0, tap:1]}\n"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def lab(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    flags = ("-ns", "2", "-nr", "0", "-nv", "0")
    with labs.chain_lab(tmp_path_factory.mktemp("lab"), "topolab1", None, WEB, *flags) as (made, _):
        yield made


def drawn(lab: Lab, *words: str) -> subprocess.CompletedProcess[str]:
    done = lab.sppr("topo", "--session", lab.session, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_picture_of_a_running_lab_has_its_chain_and_rates(lab: Lab) -> None:
    first, end = TapEnd(f"{lab.tap}a"), threading.Event()

    def send() -> None:
        number = 0
        while not end.wait(0.002):
            first.send(number)
            number += 1

    sender = threading.Thread(target=send)
    sender.start()
    try:
        drawn(lab, "-o", "x.svg")
        text = drawn(lab).stdout
    finally:
        end.set()
        sender.join()
        first.close()
    picture = ET.fromstring((lab.folder / "x.svg").read_text())  # noqa: S314 - of our own making
    texts = [str(element.text) for element in picture.iter(f"{SVG}text")]
    assert {"pri", "sec1", "sec2", "web", "tap:0", "tap:1"} <= set(texts), texts
    rates = [int(word) for words in texts if (word := words.replace("→", "").strip().removesuffix(" pps")).isdecimal()]
    assert any(50 < rate < 1000 for rate in rates), texts
    [line] = [line for line in text.splitlines() if "tap:0 = " in line]
    assert "chain web" in line and "=> tap:1" in line and " pps" in line, text


def test_png_and_a_stopped_part(lab: Lab) -> None:
    assert lab.sppr("stop", "sec2", "--session", lab.session).returncode == 0
    drawn(lab, "-o", "x.png", "--interval", "0")
    assert (lab.folder / "x.png").read_bytes().startswith(b"\x89PNG")
    drawn(lab, "-o", "x.html", "--interval", "0")
    page = Path(lab.folder / "x.html").read_text()
    assert "nfv:2, stopped" in page and "rates are unknown" in page
