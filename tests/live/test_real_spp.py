"""A real SPP tree of each era, made of fakes that speak its dialects: wakeup to ready, down, and what goes wrong."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import tree
from tests.live import labs
from tests.live.labs import Lab

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

CONF = """\
session: {session}
controller: {{pri_port: {pri}, sec_port: {sec}, rest_port: {rest}, vf_pri_port: {vf_pri}, vf_sec_port: {vf_sec}}}
primary: {{coremask: 0x1, portmask: 0x3, memory: 64}}
secondaries: [{secondaries}]
spp: {{dir: {tree}, python: {python}, file_prefix: {session}}}
"""


def make(folder: Path, session: str, version: str, secondaries: str = "{id: 1, coremask: 0x6}") -> Lab:
    """A lab over a fake tree of this release. Its programs want neither hugepages nor a base image."""
    lab = labs.make(folder, session, None)
    ports = labs.free_ports(5)
    lab.pri, lab.sec, lab.rest = ports[:3]
    names = dict(zip(("pri", "sec", "rest", "vf_pri", "vf_sec"), ports, strict=True))
    root = tree.make(folder / "spp", version)
    lab.conf.write_text(
        CONF.format(session=session, secondaries=secondaries, tree=root, python=sys.executable, **names)
    )
    return lab


KINDS = {
    "17.11": ("vf",),
    "18.08.1": ("vf", "mirror"),
    "HEAD": ("vf", "mirror", "pcap"),
}
ERAS = ["16.07", "17.08", "17.11", "18.05", "18.08.1", "19.08", "HEAD"]


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Lab]:
    version: str = request.param
    kinds = enumerate(KINDS.get(version, ()), 2)
    listed = [f"{{id: {n}, type: {kind}, coremask: {7 << 3 * n:#x}}}" for n, kind in kinds]
    session = f"realspp{version.replace('.', '')}"
    made = make(tmp_path_factory.mktemp("tree"), session, version, ", ".join(["{id: 1, coremask: 0x6}", *listed]))
    try:
        yield made
    finally:
        made.end()


@pytest.mark.parametrize("lab", ERAS, indirect=True)
def test_each_era_comes_up_is_told_and_goes_down(lab: Lab) -> None:
    version = (lab.folder / "spp/src/spp.py").read_text().split("'")[-2]
    count = 1 + len(KINDS.get(version, ()))
    done = lab.wakeup("-ns", str(count), "-nr", "0", "-nv", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = lab.status()
    controllers = ["ctrler", "vfctrl"] if version == "17.11" else ["ctrler"]
    controllers += ["cli"] if count and version in ("18.08.1", "19.08", "HEAD") else []
    assert list(rows) == [*controllers, "pri", *(f"sec{n}" for n in range(1, count + 1))]
    assert {row["state"] for row in rows.values()} == {"ready"}, rows
    again = lab.wakeup("-ns", str(count))
    assert again.returncode == 0 and "nothing was changed" in again.stdout, again.stdout + again.stderr
    done = lab.down()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sec1 ended (exit)" in done.stdout and "pri ended (exit)" in done.stdout, done.stdout
    if version == "18.08.1":  # its REST cannot end a vf (spp-facts 5)
        assert "sec2 ended (SIGINT)" in done.stdout and "sec3 ended (SIGINT)" in done.stdout, done.stdout
    assert lab.leftovers() == []
