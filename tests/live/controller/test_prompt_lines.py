"""The prompt without a terminal, with fakes of every kind: commands and recipes of SPP, topo, other hosts."""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.controller.test_controller import WAIT, environment, until
from tests.live.fakes import Lab, lab

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A controller with a process of each kind. Tests restore what they change."""
    with lab(tmp_path_factory.mktemp("panel")) as running:
        running.add("primary", 0)
        for client_id in (1, 2, 3, 4):
            running.add("nfv", client_id)
        running.add("vf", 5)
        running.add("mirror", 6)
        running.add("pcap", 7)
        running.add("classic_nfv", 8)
        yield running


def prompt(panel: Lab, *lines: str, folder: Path) -> tuple[int, str]:
    """``printf 'LINE\\n...' | python -m sppr.controller -b ...``: return its exit status and output."""
    argv = [sys.executable, "-m", "sppr.controller", "-b", f"127.0.0.1:{panel.rest_port}"]
    done = subprocess.run(
        argv,
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=6 * WAIT,
        env=environment(folder),
        cwd=folder,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


SESSION = [
    ("status", "  - status: running"),
    ("status", "    5: vf:5"),
    ("nfv 1; add ring:0", "Add ring:0."),
    ("nfv 1; patch phy:0 ring:0", "Patch ports (phy:0 -> ring:0)."),
    ("nfv 1; forward", "Start forwarding."),
    ("nfv 1;status", "  - phy:0 -> ring:0"),
    ("sec 1;stop", "Stop forwarding."),
    ("nfv 1; patch reset", "Clear all of patches."),
    ("nfv 1; del ring:0", "Delete ring:0."),
    ("sec 8;add ring 3", "Add ring:3."),
    ("sec 8; patch 0 2", "Patch ports (0 -> 2)."),
    ("sec 8; status", "  - phy:0 -> ring:3"),
    ("sec 8;patch reset", "Clear all of patches."),
    ("sec 8;del ring 3", "Delete ring:3."),
    ("pri; status", "- physical ports:"),
    ("pri; clear", "Clear port statistics."),
    ("pri; add pipe:0 ring:0 ring:1", "Add pipe:0."),
    ("pri; launch nfv 9 -l 1,2 -m 512 -- -n 9 -s 127.0.0.1:SEC_PORT", "Send request to launch nfv:9."),
    ("pri; flow create phy:0 ingress pattern eth dst is 0a:00:00:00:00:01 / end actions queue index 1 / end",
     "Flow rule #0 created"),
    ("pri; flow validate phy:0 group 1 transfer egress pattern eth / vlan vid is 3 / end actions jump group 2 / end",
     "Flow rule validated"),
    ("pri; flow list phy:0", "- flow rules of phy:0:"),
    ("pri; flow destroy phy:0 ALL", "Flow rule destroyed"),
    ("vf 5; component start fw 2 forward", "Start component fw on core 2."),
    ("vf 5; port add ring:1 rx fw add_vlantag 100 3", "Add ring:1 to fw."),
    ("vf 5; port add phy:0 nq 1 tx fw", "Add phy:0nq1 to fw."),
    ("vf 5; classifier_table add vlan 100 0a:00:00:00:00:21 ring:1", "Add 0a:00:00:00:00:21 of ring:1."),
    ("vf 5; status", '  - core:2, "fw" (type: forward)'),
    ("vf 5; status", "    - rx: ring:1 (vlan add 100 3)"),
    ("vf 5; status", "  - vlan 100/0a:00:00:00:00:21 -> ring:1"),
    ("vf 5; classifier_table del vlan 100 0a:00:00:00:00:21 ring:1", "Delete 0a:00:00:00:00:21 of ring:1."),
    ("vf 5; port del ring:1 rx fw", "Delete ring:1 from fw."),
    ("vf 5; component stop fw", "Stop component fw."),
    ("mirror 6; component start m 2 mirror", "Start component m on core 2."),
    ("mirror 6; component stop m", "Stop component m."),
    ("pcap 7; start", "Start capture."),
    ("pcap 7; status", "write /tmp/spp_pcap.20200102030405.phy0.1.1.pcap.lz4"),
    ("sec 7; stop", "Stop capture."),
    ("server", "1: 127.0.0.1:"),
    ("config sec_mem", '- sec_mem: "-m 512"'),
    ("config sec_mem -m 1024", 'Set sec_mem: "-m 1024"'),
    ("config topo_size 80%", 'Set topo_size: "80%"'),
    ("topo_subgraph add guest vhost:1,vhost:2", "Add subgraph 'guest'."),
    ("inspect", '"type": "pcap"'),
    ("redo 1", "  - status: running"),
    ("// a comment", "// a comment"),
]  # fmt: skip


def test_every_command_of_spp(panel: Lab, tmp_path: Path) -> None:
    lines = (typed.replace("SEC_PORT", str(panel.controller.sec_port)) for typed, _ in SESSION)
    status, printed = prompt(panel, *lines, folder=tmp_path)
    rest = printed
    for typed, expected in SESSION:
        assert expected in rest, f"{typed}: {rest[:300]}"
        if typed.startswith(("nfv 1;", "sec 8", "vf 5; comp")):
            rest = rest[rest.index(expected) :]
    assert (status, "error" in printed) == (0, False), printed


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ("nfv 99; status", "error: sec_id 99 not found. (reported by 127.0.0.1:"),
        ("nfv 1; add phy:9", "error: phy:9 cannot be added"),
        ("nfv 1; del ring:9", "error: command error: `del ring:9` failed"),
        ("vf 5; component start a 99 forward", "error: command error: Invalid value (core)"),
        ("vf 5; component start a 2 mirror", "error: vf 5; component: 'start a 2 mirror' is not understood"),
        ("vf 5; port add ring:0 up a", "error: vf 5; port:"),
        ("mirror 6; port add ring:0 rx a del_vlantag", "error: mirror 6; port: 'del_vlantag' is not understood"),
        ("sec 7; forward", "error: pcap:7: a pcap has no subcommand forward"),
        ("pri; launch nfv 1 -l 1", "error: pri; launch: -- is missing"),
        ("pri; flow create phy:0 pattern", "error: pri; flow:"),
        ("server 7", "error: 7: no such server (type server to list the controllers)"),
        ("server del 1", "is the current controller"),
        ("config nonsense", "error: nonsense: no such key"),
        ("topo x.gif", "error: topo cannot draw 'gif'"),
        ("topo http", "error: topo http is not supported"),
        ("topo /none/x.dot", "error: /none/x.dot: No such file or directory"),
        ("playback none", "error: none: No such file or directory"),
        ("record /none/x", "error: /none/x: No such file or directory"),
        ("redo 7", "error: redo 7"),
    ],
)
def test_errors_are_printed_and_set_the_exit_status(panel: Lab, tmp_path: Path, line: str, printed: str) -> None:
    status, text = prompt(panel, line, folder=tmp_path)
    assert status == 1 and printed in text, text


def test_recorded_lines_can_be_played_back(panel: Lab, tmp_path: Path) -> None:
    lines = ["record a.rcps", "nfv 2; add ring:4", "nonsense", "// why", "nfv 2; del ring:4", "bye"]
    prompt(panel, *lines, folder=tmp_path)
    assert (tmp_path / "a.rcps").read_text() == "nfv 2; add ring:4\n// why\nnfv 2; del ring:4\n"
    status, printed = prompt(panel, "playback a.rcps", "status", folder=tmp_path)
    assert status == 0
    assert "# nfv 2; add ring:4\nAdd ring:4.\n// why\n# nfv 2; del ring:4\nDelete ring:4.\n- controller:" in printed
    (tmp_path / "loop").write_text("nonsense\nplayback loop\nstatus\n")
    status, printed = prompt(panel, "playback loop", folder=tmp_path)
    assert status == 1 and "plays itself" in printed and "- controller:" in printed


RECIPE = """\
# two nfv joined by two rings, both ways (dual_with_ring/bi_directional_l2fwd)
nfv 1; add ring:0
nfv 1; add ring:1
nfv 2; add ring:0
nfv 2; add ring:1
nfv 1; patch phy:0 ring:0
nfv 1; patch ring:1 phy:0
nfv 2; patch phy:1 ring:1
nfv 2; patch ring:0 phy:1
nfv 1; forward
nfv 2; forward
# a NIC to a VM and back (single_with_vhost), capture (single_with_pcap), a mirror (spp_mirror/duplicate)
nfv 3; add vhost:1
nfv 3; patch phy:0 vhost:1
nfv 3; add pcap:1
nfv 3; patch vhost:1 pcap:1
nfv 3; forward
mirror 6; component start mr1 2 mirror
mirror 6; port add phy:0 rx mr1
mirror 6; port add phy:1 tx mr1
mirror 6; port add ring:9 tx mr1
vf 5; component start cls 2 classifier
vf 5; port add phy:0 rx cls
vf 5; port add ring:2 tx cls
vf 5; classifier_table add mac 0a:00:00:00:00:21 ring:2
pcap 7; status
pcap 7; start
"""
CLEAN = """\
nfv 1; stop
nfv 1; patch reset
nfv 1; del ring:0
nfv 1; del ring:1
nfv 2; stop
nfv 2; patch reset
nfv 2; del ring:0
nfv 2; del ring:1
nfv 3; stop
nfv 3; patch reset
nfv 3; del vhost:1
nfv 3; del pcap:1
mirror 6; port del phy:0 rx mr1
mirror 6; component stop mr1
vf 5; classifier_table del mac 0a:00:00:00:00:21 ring:2
vf 5; component stop cls
pcap 7; stop
"""


def test_topo_draws_the_result_of_recipes(panel: Lab, tmp_path: Path) -> None:
    (tmp_path / "set.rcps").write_text(RECIPE)
    (tmp_path / "clean.rcps").write_text(CLEAN)
    drawn = [f"topo net.{kind}" for kind in ("dot", "mmd", "svg", "json", "yml")]
    lines = ["playback set.rcps", "topo_subgraph add guest vhost:1", *drawn, "topo term", "topo term dot"]
    status, printed = prompt(panel, *lines, "playback clean.rcps", "topo term", folder=tmp_path)
    assert status == 0, printed
    for src, by, dst in (
        ("phy:0", "nfv:1", "ring:0"), ("phy:0", "vf:5:c", "ring:2"), ("phy:0", "mirror:6", "phy:1"),
        ("phy:0", "pcap:7", "capture:7"),
    ):  # fmt: skip
        assert re.search(rf" {src} = {by} =+> {dst}\n", printed), printed
    assert "guest: vhost:1" in printed
    assert printed.rstrip().endswith("not patched: phy:1 ring:0")
    graph = json.loads((tmp_path / "net.json").read_text())
    assert graph == json.loads((tmp_path / "net.yml").read_text())
    assert {"src": "vhost:1", "dst": "pcap:1", "by": "nfv:3", "running": True} in graph["links"]
    dot = (tmp_path / "net.dot").read_text()
    assert dot.startswith("digraph spp{") and 'phy_0 -> ring_0[label="nfv:1", color="green", style=solid];' in dot
    assert 'subgraph cluster_0{label="guest"; vhost_1}' in dot and dot.count("{") == dot.count("}")
    assert '  phy_0 ==>|"nfv:1"| ring_0\n' in (tmp_path / "net.mmd").read_text()
    svg = ET.fromstring((tmp_path / "net.svg").read_text())  # noqa: S314 - of our own making
    texts = {element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")}
    assert {"phy:0", "vhost:1", "capture:7", "nfv:3"} <= texts


def test_prompt_controls_several_hosts(panel: Lab, tmp_path: Path) -> None:
    """As the recipe multiple_nodes: after add and switch, each command goes to the current host."""
    (tmp_path / "other").mkdir()
    with lab(tmp_path / "other") as other:
        other.add("nfv", 42)
        where = f"127.0.0.1:{other.rest_port}"
        lines = [f"server add {where}", "server 2", "nfv 42; add ring:1", "status", "server", "server switch 1"]
        status, printed = prompt(panel, *lines, "status", f"server del {where}", "server list", folder=tmp_path)
        assert status == 0, printed
        assert f'Registered spp-ctl "{where}".\nSwitch spp-ctl to "{where}".\nAdd ring:1.' in printed
        assert "    1: nfv:42" in printed and f"  2: {where} *" in printed and "    4: nfv:4" in printed
        assert other.good("GET", "/nfvs/42")["ports"][-1] == "ring:1"
    status, printed = prompt(
        panel, f"server add {where}", f"server {where}", "status", "nfv 1; status", folder=tmp_path
    )
    assert status == 1 and printed.count(f"error: {where} does not answer") == 2


def test_prompt_of_a_controller_can_switch_hosts(panel: Lab, tmp_path: Path) -> None:
    """This includes the controller's own prompt, over its unix socket."""
    assert panel.controller.process.stdin
    where = str(panel.controller.socket)
    argv = [sys.executable, "-m", "sppr.controller", "--pri-port", "0", "--sec-port", "0"]
    text = f"server add {where}\nstatus\nserver 2\nstatus\nbye\n"
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=WAIT, env=environment(tmp_path))
    assert done.returncode == 0 and done.stdout.index("- status: not running") < done.stdout.index(
        "  - status: running"
    )


def test_bye_all_ends_processes_of_all_kinds(tmp_path: Path) -> None:
    with lab(tmp_path) as running:
        kinds = [("primary", 0), ("nfv", 1), ("classic_nfv", 2), ("vf", 3), ("mirror", 4), ("pcap", 5)]
        fakes = [running.add(kind, client_id) for kind, client_id in kinds]
        status, printed = prompt(running, "bye all", folder=tmp_path)
        assert status == 0 and printed.rstrip().endswith("Exit primary"), printed
        assert [fake.wait(WAIT) for fake in fakes] == [0] * 6
        until(lambda: running.rest("GET", "/processes") == (200, []), "the disconnect")
