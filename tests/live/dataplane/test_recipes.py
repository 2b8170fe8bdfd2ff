"""SPP's recipes for vf, mirror and pcap, played at the prompt on our processes. Their NICs are taps here: in a lab
without NICs, phy:N is port N of the primary.

The recipes are those of SPP's recipes/usecases (docs/spp-protocol.md, Components): their names, lcores, ports and
addresses.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import fakes
from tests.live.controller.test_prompt_lines import prompt
from tests.live.dataplane.test_components import read_capture
from tests.live.dataplane_lab import ETHERTYPE, Lab, TapEnd, wait_for

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]
MACS = ("52:54:00:12:34:56", "52:54:00:12:34:58", "52:54:00:12:34:57", "52:54:00:12:34:59")
OTHER = "52:54:00:12:34:99"


class Nic(TapEnd):
    """The kernel's end of a tap that stands for a NIC."""

    def send_to(self, mac: str, number: int) -> None:
        frame = bytes.fromhex(mac.replace(":", "")) + b"\x02\0\0\0\0\x02" + ETHERTYPE.to_bytes(2)
        self.sock.send((frame + number.to_bytes(4)).ljust(64, b"\0"))

    def numbers(self, count: int) -> list[int]:
        """Return the numbers of the next frames, ``count`` at most."""
        found = []
        while len(found) < count and (number := self.receive(3.0)) is not None:
            found.append(number)
        return found


class Bench:
    """A controller, and our processes with NICs."""

    def __init__(self, lab: Lab, panel: fakes.Lab, nics: list[Nic], folder: Path) -> None:
        self.lab, self.panel, self.nics, self.folder = lab, panel, nics, folder

    def start(self, program: str, number: int, lcores: str, *words: str) -> None:
        """Start a secondary with these lcores, and wait until it is connected."""
        argv = self.lab.nfv_argv(number)
        argv[0] = argv[0].replace("spp_nfv", program)
        argv[argv.index("--lcores") + 1] = ",".join(f"{n}@{n % 2}" for n in map(int, lcores.split(",")))
        argv[argv.index("--") + 1] = "--client-id"
        argv[argv.index("-s") + 1] = f"127.0.0.1:{self.panel.controller.sec_port}"
        self.lab.run(f"{program}{number}", [*argv, *words])
        expected = {"type": program.removeprefix("spp_"), "client-id": number}
        wait_for(program, lambda: expected in self.panel.rest("GET", "/processes")[1])

    def dropped(self, *numbers: int) -> list[int]:
        """Return the frames that vf 1 dropped at these vhost ports: no VM is connected."""
        rows = {row["port"]: row["tx_drop"] for row in self.panel.good("GET", "/vfs/1")["counters"]}
        return [rows[f"vhost:{n}"] for n in numbers]

    def play(self, *lines: str) -> str:
        """Play a recipe. Each line must succeed."""
        recipe = self.folder / "recipe.rcp"
        recipe.write_text("# a recipe of SPP\n" + "\n".join(lines) + "\n")
        status, printed = prompt(self.panel, f"playback {recipe}", folder=self.folder)
        assert status == 0 and not re.search(r"error|Invalid|Wrong|cannot", printed), printed
        return printed


@contextlib.contextmanager
def bench(lab: Lab, folder: Path, nics: int) -> Iterator[Bench]:
    names = [f"{lab.taps[0]}{i}" for i in range(nics)]
    vdevs = tuple(f"net_tap{i},iface={name}" for i, name in enumerate(names))
    (folder / "controller").mkdir()
    with fakes.lab(folder / "controller") as panel, contextlib.ExitStack() as stack:
        argv = lab.primary_argv(lcores="20@0", vdevs=vdevs)
        argv[argv.index("-p") + 1] = hex((1 << nics) - 1)
        argv[argv.index("-s") + 1] = f"127.0.0.1:{panel.controller.pri_port}"
        lab.run("primary", argv)
        wait_for("the primary", lambda: {"type": "primary"} in panel.rest("GET", "/processes")[1])
        for name in names:  # no frames of the kernel between those of the test
            Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
        yield Bench(lab, panel, [stack.enter_context(contextlib.closing(Nic(name))) for name in names], folder)


def ports(vf: str, action: str, **components: str) -> list[str]:
    """Return the lines that add or delete ports: ``cls="phy:0 rx, ring:0 tx"``."""
    return [f"{vf}; port {action} {port} {name}" for name, given in components.items() for port in given.split(", ")]


def start_components(vf: str, first_lcore: int, **types: str) -> list[str]:
    return [f"{vf}; component start {name} {first_lcore + i} {kind}" for i, (name, kind) in enumerate(types.items())]


def unused(bench: Bench, path: str) -> bool:
    status = bench.panel.good("GET", path)
    return {part["type"] for part in status["components"]} == {"unuse"} and not status.get("classifier_table")


def test_classify_icmp(lab: Lab, tmp_path: Path) -> None:
    path = {
        "cls": "phy:0 rx, ring:0 tx, ring:1 tx", "fwd1": "ring:0 rx, ring:2 tx", "fwd2": "ring:1 rx, ring:3 tx",
        "mgr": "ring:2 rx, ring:3 rx, phy:1 tx",
    }  # fmt: skip
    with bench(lab, tmp_path, 2) as b:
        b.start("spp_vf", 1, "2,3,4,5,6")
        b.play(*start_components("vf 1", 3, cls="classifier", fwd1="forward", fwd2="forward", mgr="merge"))
        b.play(*ports("vf 1", "add", **path))
        b.play(*(f"vf 1; classifier_table add mac {MACS[n]} ring:{n}" for n in (0, 1)))
        source, sink = b.nics
        for number in range(300):
            source.send_to((*MACS[:2], OTHER)[number % 3], number)
        assert sorted(sink.numbers(200)) == [n for n in range(300) if n % 3 < 2] and sink.receive(0.2) is None
        b.play(*(f"vf 1; classifier_table del mac {MACS[n]} ring:{n}" for n in (0, 1)))
        source.send_to(MACS[0], 1)
        assert sink.receive(0.3) is None
        b.play(*ports("vf 1", "del", **path))
        b.play(*(f"vf 1; component stop {name}" for name in path))
        assert unused(b, "/vfs/1")
        b.play("vf 1; exit")


def test_ssh_login(lab: Lab, tmp_path: Path) -> None:
    """Two paths with twelve components: setup and shutdown, with the lines in which the recipe itself is not exact."""
    one = {
        "cls1": "phy:0 rx, ring:0 tx, ring:1 tx", "fwd1": "ring:0 rx, vhost:0 tx", "fwd2": "ring:1 rx, vhost:2 tx",
        "fwd3": "vhost:0 rx, ring:2 tx", "fwd4": "vhost:2 rx, ring:3 tx", "mgr1": "ring:2 rx, ring:3 rx, phy:0 tx",
    }  # fmt: skip
    two = {
        "cls2": "phy:1 rx, ring:4 tx, ring:5 tx", "fwd5": "ring:4 rx, vhost:1 tx", "fwd6": "ring:5 rx, vhost:3 tx",
        "fwd7": "vhost:1 rx, ring:6 tx", "fwd8": "vhost:3 rx, ring:7 tx", "mgr2": "ring:6 rx, ring:7 rx, phy:1 tx",
    }  # fmt: skip
    types = ("classifier", *["forward"] * 4, "merge")
    with bench(lab, tmp_path, 2) as b:
        b.start("spp_vf", 1, ",".join(map(str, (0, *range(2, 14)))))
        for first, path, macs, rings in ((2, one, MACS[:2], (0, 1)), (8, two, MACS[2:], (4, 5))):
            b.play(*start_components("vf 1", first, **dict(zip(path, types, strict=True))))
            b.play(*ports("vf 1", "add", **path))
            b.play(*(f"vf 1; classifier_table add mac {mac} ring:{n}" for mac, n in zip(macs, rings, strict=True)))
        status = b.panel.good("GET", "/vfs/1")
        assert [part["name"] for part in status["components"]] == [*one, *two]
        assert {e["value"]: e["port"] for e in status["classifier_table"]} == dict(
            zip(MACS, ("ring:0", "ring:1", "ring:4", "ring:5"), strict=True)
        )
        assert [p for p in status["ports"] if p.startswith("vhost")] == ["vhost:0", "vhost:2", "vhost:1", "vhost:3"]
        before = b.dropped(0, 1, 2, 3)
        for number, (nic, mac) in enumerate(((0, 0), (0, 1), (1, 2), (1, 3))):
            b.nics[nic].send_to(MACS[mac], number)  # to a VM that is not there
        wait_for("a frame at each port", lambda: b.dropped(0, 1, 2, 3) == [n + 1 for n in before])
        for path, macs, rings in ((one, MACS[:2], (0, 1)), (two, MACS[2:], (4, 5))):
            b.play(*(f"vf 1; classifier_table del mac {mac} ring:{n}" for mac, n in zip(macs, rings, strict=True)))
            b.play(*ports("vf 1", "del", **path))
            b.play(f"vf 1; port del vhost:3 tx {list(path)[1]}")  # not attached: SPP's recipe has such a line
            b.play(*(f"vf 1; component stop {name}" for name in path))
        assert unused(b, "/vfs/1")
        sockets = list(lab.sockets.glob("sock*"))
        assert len(sockets) == 4
        b.play("vf 1; exit")
        wait_for("its sockets to be removed", lambda: not list(lab.sockets.glob("sock*")))


def test_mirror_duplicate(lab: Lab, tmp_path: Path) -> None:
    path = {"mir": "phy:0 rx, phy:1 tx, phy:2 tx"}
    with bench(lab, tmp_path, 3) as b:
        b.start("spp_mirror", 1, "0,2")
        b.play("mirror 1; component start mir 2 mirror", *ports("mirror 1", "add", **path))
        for number in range(200):
            b.nics[0].send(number)
        assert b.nics[1].numbers(200) == list(range(200)) == b.nics[2].numbers(200)
        b.play(*ports("mirror 1", "del", **path), "mirror 1; component stop mir")
        assert unused(b, "/mirrors/1")
        b.play("mirror 1; exit")


def test_mirror_monitoring(lab: Lab, tmp_path: Path) -> None:
    """Frames to the first VM reach it and the monitor, those to the second VM only itself.

    No VM is connected: the drops of its port are its frames.
    """
    path = {
        "cls": "phy:0 rx, ring:0 tx, ring:1 tx", "mgr": "ring:2 rx, ring:3 rx, phy:0 tx",
        "fwd1": "ring:5 rx, vhost:0 tx",
        "fwd2": "ring:1 rx, vhost:2 tx", "fwd3": "vhost:1 rx, ring:2 tx", "fwd4": "vhost:3 rx, ring:3 tx",
        "fwd5": "ring:4 rx, vhost:4 tx",
    }  # fmt: skip
    types = dict(zip(path, ("classifier", "merge", *["forward"] * 5), strict=True))
    with bench(lab, tmp_path, 1) as b:
        b.start("spp_vf", 1, "0,2,3,4,5,6,7,8")
        b.start("spp_mirror", 2, "1,9")
        b.play(*start_components("vf 1", 2, **types), *ports("vf 1", "add", **path))
        b.play(*(f"vf 1; classifier_table add mac {MACS[n]} ring:{n}" for n in (0, 1)))
        b.play("mirror 2; component start mir 9 mirror")
        b.play(*ports("mirror 2", "add", mir="ring:0 rx, ring:4 tx, ring:5 tx"))
        first, second, monitor = b.dropped(0, 2, 4)
        for number in range(100):
            b.nics[0].send_to(MACS[0], number)
        for number in range(50):
            b.nics[0].send_to(MACS[1], number)
        expected = [first + 100, second + 50, monitor + 100]
        wait_for("all frames at the VMs", lambda: b.dropped(0, 2, 4) == expected)
        b.play(*ports("mirror 2", "del", mir="ring:0 rx, ring:4 tx, ring:5 tx"), "mirror 2; component stop mir")
        b.nics[0].send_to(MACS[0], 0)
        b.nics[0].send_to(MACS[1], 0)
        wait_for(
            "the frame that is not mirrored", lambda: b.dropped(0, 2, 4) == [expected[0], expected[1] + 1, expected[2]]
        )
        b.play("mirror 2; exit", "vf 1; exit")


def test_pcap_capture(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with bench(lab, tmp_path, 1) as b:
        b.start("spp_pcap", 1, "0,3,4", "-c", "phy:0", "--out-dir", str(tmp_path / "out"))
        b.play("pcap 1; status", "pcap 1; start")
        for number in range(100):
            b.nics[0].send(number)
        wait_for("all frames", lambda: b.panel.good("GET", "/pcaps/1")["written"] >= 100)
        b.play("pcap 1; stop", "pcap 1; exit")
    (file,) = (tmp_path / "out").iterdir()
    assert re.fullmatch(r"spp_pcap\.\d{14}\.tap0\.1\.1\.pcap\.lz4", file.name)
    frames = [frame for frame in read_capture(file) if frame[12:14] == ETHERTYPE.to_bytes(2)]
    assert [int.from_bytes(frame[14:18]) for frame in frames] == list(range(100))
