"""spp_vf, spp_mirror and spp_pcap of our data plane: components, VLAN tags, the classifier table, files, messages."""

import json
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.dataplane_lab import Connection, Lab, Process, wait_for

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]
A, B, OTHER = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:99"


class Results:
    """The connection to a vf, mirror or pcap. Its replies are JSON of any length, without padding."""

    def __init__(self, connection: Connection) -> None:
        self.sock = connection.sock

    def ask(self, command: str) -> dict[str, Any]:
        self.sock.sendall(command.encode())
        reply = b""
        while True:
            chunk = self.sock.recv(65536)
            assert chunk, f"{command}: closed after {reply!r}"
            reply += chunk
            try:
                return dict(json.loads(reply))
            except ValueError:
                continue

    def ok(self, *commands: str) -> None:
        for command in commands:
            reply = self.ask(command)
            assert "results" not in reply or reply["results"] == [{"result": "success"}], (command, reply)
            assert reply.get("result", "succeeded") == "succeeded", (command, reply)

    def error(self, command: str) -> str:
        (result,) = self.ask(command)["results"]
        assert result["result"] == "error", command
        return str(result["error_details"]["message"])

    def info(self) -> dict[str, Any]:
        return dict(self.ask("status")["info"])

    def probe(self, port: str, side: str) -> dict[str, Any]:
        """Return the counters of the ``source`` or ``sink`` of a probe."""
        return dict(self.ask(f"probe result {port}")["probe"][side])

    def counters(self, port: str) -> dict[str, int]:
        return next(row for row in self.info()["counters"] if row["port"] == port)


def start(lab: Lab, kind: str, number: int, *extra: str, workers: int = 2) -> tuple[Process, Results]:
    argv = lab.nfv_argv(number, *extra, workers=workers)
    argv[0] = argv[0].replace("spp_nfv", f"spp_{kind}")
    argv[argv.index("--") + 1] = "--client-id"
    process = lab.run(f"{kind}{number}", argv)
    results = Results(lab.secondary_port.accept())
    reply = results.ask("_get_client_id")
    assert (reply["client_id"], reply["process_type"]) == (number, kind)
    return process, results


@pytest.fixture
def vf(lab: Lab) -> Iterator[Results]:
    lab.start_primary()
    yield start(lab, "vf", 1)[1]


def lcores(vf: Results) -> list[int]:
    return [row["core"] for row in vf.info()["core"]]


def send(vf: Results, count: int, *words: str, probe: str = "probe:0", key: int = 7) -> None:
    """Send frames from a probe, and wait until all are on their way."""
    vf.ok(f"probe start {probe} flow=1 key={key} count={count} {' '.join(words)}")
    wait_for("all frames to be sent", lambda: vf.probe(probe, "source")["sent"] == count)


def classifier(vf: Results, *outputs: str) -> None:
    vf.ok(f"component start cls {lcores(vf)[0]} classifier", "port add probe:0 rx cls")
    vf.ok(*(f"port add {port} tx cls" for port in outputs))


def test_status_of_an_unused_vf(vf: Results) -> None:
    info = vf.info()
    first, second = lcores(vf)
    assert info["client-id"] == 1 and info["master-lcore"] == first - 1
    assert info["core"] == [{"core": first, "type": "unuse"}, {"core": second, "type": "unuse"}]
    assert (info["phy"], info["vhost"], info["ring"], info["tap"]) == ([], [], [], ["0", "1"])
    assert info["classifier_table"] == []


def test_status_of_components(vf: Results) -> None:
    first, second = lcores(vf)
    vf.ok(f"component start cls {first} classifier", f"component start mgr {second} merge")
    vf.ok("port add tap:0 rx cls", "port add ring:0 tx cls", "port add ring:1 tx cls add_vlantag 100 5")
    vf.ok("port add ring:0 rx mgr", "port add ring:1 rx mgr del_vlantag", "port add tap:1 tx mgr")
    vf.ok(f"classifier_table add mac {A} ring:0", "classifier_table add vlan 100 default ring:1")
    none = {"operation": "none", "id": 0, "pcp": 0}
    assert vf.info()["core"] == [
        {
            "core": first, "name": "cls", "type": "classifier", "rx_port": [{"port": "tap:0", "vlan": none}],
            "tx_port": [{"port": "ring:0", "vlan": none},
                        {"port": "ring:1", "vlan": {"operation": "add", "id": 100, "pcp": 5}}],
        },
        {
            "core": second, "name": "mgr", "type": "merge", "tx_port": [{"port": "tap:1", "vlan": none}],
            "rx_port": [{"port": "ring:0", "vlan": none},
                        {"port": "ring:1", "vlan": {"operation": "del", "id": 0, "pcp": 0}}],
        },
    ]  # fmt: skip
    assert vf.info()["classifier_table"] == [
        {"type": "mac", "value": A, "port": "ring:0"},
        {"type": "vlan", "value": "100/default", "port": "ring:1"},
    ]
    assert vf.info()["ring"] == ["0", "1"]
    vf.ok("component stop cls", "component stop mgr", "component stop mgr")
    assert vf.info()["core"] == [{"core": first, "type": "unuse"}, {"core": second, "type": "unuse"}]


def test_classifier_by_mac(vf: Results) -> None:
    classifier(vf, "nullpmd:0", "nullpmd:1", "nullpmd:2")
    vf.ok(f"probe start probe:0 flow=1 key=7 dst_mac={A}")
    assert vf.probe("probe:0", "source")["sent"] == 0, "without an entry the component is not complete"
    vf.ok("probe stop probe:0")
    vf.ok(f"classifier_table add mac {A} nullpmd:0", f"classifier_table add mac {B} nullpmd:1")
    send(vf, 1000, f"dst_mac={A}")
    send(vf, 500, f"dst_mac={B}")
    send(vf, 250, f"dst_mac={OTHER}")
    send(vf, 125, f"dst_mac={A}", "vlan=100")
    wait_for("all frames", lambda: vf.counters("nullpmd:1")["tx"] == 500)
    assert [vf.counters(f"nullpmd:{n}")["tx"] for n in range(3)] == [1000, 500, 0]
    assert vf.counters("probe:0")["rx_drop"] == 250 + 125
    vf.ok("classifier_table add mac default nullpmd:2")
    send(vf, 250, f"dst_mac={OTHER}")
    send(vf, 125, f"dst_mac={A}", "vlan=100")
    wait_for("the default", lambda: vf.counters("nullpmd:2")["tx"] == 375)
    vf.ok(f"classifier_table del mac {A} nullpmd:0")
    send(vf, 10, f"dst_mac={A}")
    wait_for("the default", lambda: vf.counters("nullpmd:2")["tx"] == 385)


def test_classifier_by_vlan_and_mac(vf: Results) -> None:
    classifier(vf, "nullpmd:0", "nullpmd:1", "nullpmd:2")
    vf.ok(f"classifier_table add vlan 100 {A} nullpmd:0", "classifier_table add vlan 100 default nullpmd:1")
    vf.ok("classifier_table add mac default nullpmd:2")
    for count, words in ((1, (f"dst_mac={A}", "vlan=100")), (2, (f"dst_mac={B}", "vlan=100")),
                         (4, (f"dst_mac={A}", "vlan=101")), (8, (f"dst_mac={A}",))):  # fmt: skip
        send(vf, count, *words)
    wait_for("all frames", lambda: sum(vf.counters(f"nullpmd:{n}")["tx"] for n in range(3)) == 15)
    assert [vf.counters(f"nullpmd:{n}")["tx"] for n in range(3)] == [1, 2, 12]


def test_group_frames_go_to_all_ports_of_their_vlan(vf: Results) -> None:
    classifier(vf, "nullpmd:0", "nullpmd:1", "nullpmd:2")
    vf.ok(f"classifier_table add mac {A} nullpmd:0", f"classifier_table add mac {B} nullpmd:1")
    vf.ok(f"classifier_table add vlan 9 {A} nullpmd:2")
    send(vf, 100, "dst_mac=ff:ff:ff:ff:ff:ff")
    send(vf, 10, "dst_mac=ff:ff:ff:ff:ff:ff", "vlan=9")
    send(vf, 1, "dst_mac=ff:ff:ff:ff:ff:ff", "vlan=10")
    wait_for("all frames", lambda: vf.counters("nullpmd:2")["tx"] == 10)
    assert [vf.counters(f"nullpmd:{n}")["tx"] for n in range(3)] == [100, 100, 10]
    assert vf.counters("probe:0")["rx_drop"] == 1


def test_tags_are_added_replaced_and_removed(vf: Results) -> None:
    """The probe at the end checks each frame: a removed tag gives back the frame that was sent."""
    first, second = lcores(vf)
    vf.ok(f"component start out {first} forward", f"component start back {second} forward")
    vf.ok("port add probe:0 rx out", "port add ring:0 tx out add_vlantag 100 5")
    vf.ok("port add ring:0 rx back del_vlantag", "port add probe:1 tx back")
    vf.ok("probe expect probe:1 flow=1 key=7")
    send(vf, 1000)
    wait_for("all frames", lambda: vf.probe("probe:1", "sink")["received"] == 1000)
    # The frames in ring:0 have the tag: a classifier takes them by it.
    vf.ok("component stop back", f"component start cls {second} classifier", "port add ring:0 rx cls")
    vf.ok("port add nullpmd:0 tx cls", "port add nullpmd:1 tx cls", "classifier_table add mac default nullpmd:1")
    vf.ok("classifier_table add vlan 100 default nullpmd:0")
    send(vf, 1000)
    send(vf, 1000, "vlan=7")  # replaced
    wait_for("all frames", lambda: vf.counters("nullpmd:0")["tx"] == 2000)
    assert vf.counters("nullpmd:1")["tx"] == 0


def test_merge_of_several_sources(vf: Results) -> None:
    first, _ = lcores(vf)
    vf.ok(f"component start mgr {first} merge", "port add probe:0 rx mgr", "port add probe:1 rx mgr")
    vf.ok("port add nullpmd:0 tx mgr")
    send(vf, 1000)
    send(vf, 500, probe="probe:1")
    wait_for("all frames", lambda: vf.counters("nullpmd:0")["tx"] == 1500)


def test_changes_under_traffic_lose_no_frame(vf: Results) -> None:
    """Entries and outputs come and go while frames of another class pass."""
    _, second = lcores(vf)
    classifier(vf, "ring:0", "nullpmd:1", "nullpmd:2")
    vf.ok("classifier_table add mac default nullpmd:2", f"classifier_table add mac {A} ring:0")
    vf.ok(f"component start fwd {second} forward", "port add ring:0 rx fwd", "port add probe:1 tx fwd")
    vf.ok("probe expect probe:1 flow=1 key=9")
    vf.ok(f"probe start probe:0 flow=1 key=9 count=200000 rate=200000 window=256 peer=1 dst_mac={A}")
    changes = 0
    while vf.probe("probe:0", "source")["running"]:
        vf.ok(f"classifier_table add mac {B} nullpmd:1", f"classifier_table del mac {B} nullpmd:1")
        vf.ok("port del nullpmd:1 tx cls", "port add nullpmd:1 tx cls")
        changes += 4
    result = wait_for("the end", lambda: (r := vf.probe("probe:1", "sink"))["received"] >= 200000 and r)
    assert (result["received"], result["reordered"], result["duplicate"]) == (200000, 0, 0) and changes > 40


MESSAGES = [
    ("bogus", "Invalid value (command)"),
    ("status now", "Wrong message format"),
    ("component start", "Wrong message format"),
    ("component begin a 3 forward", "Invalid value (action)"),
    ("component start a 3", "Wrong message format"),
    ("component start a 128 forward", "Invalid value (core)"),
    ("component start a x forward", "Invalid value (core)"),
    ("component start a 3 mirror", "Invalid value (component type)"),
    ("component start a 99 forward", "error occur"),
    ("component start used 3 forward", "Invalid value (component name)"),
    ("component start 0123456789012345678901234567890x 3 forward", "Invalid value (component name)"),
    ("port add ring:0 rx", "Wrong message format"),
    ("port change ring:0 rx used", "Invalid value (action)"),
    ("port add ring:x rx used", "Invalid value (port)"),
    ("port add ring:0 both used", "Invalid value (port rxtx)"),
    ("port add ring:0 rx bogus", "Invalid value (component name)"),
    ("port add ring:5 rx used swap", "Invalid value (port vlan operation)"),
    ("port add ring:5 tx used add_vlantag 4096 0", "Invalid value (port vid)"),
    ("port add ring:5 tx used add_vlantag 100 8", "Invalid value (port pcp)"),
    ("port add ring:99 tx used", "error occur"),
    ("port add ring:5 rx used", "error occur"),
    ("port add nullpmd:0 rx other", "Invalid value (port rxtx)"),
    ("classifier_table add mac", "Wrong message format"),
    ("classifier_table set mac 2:0:0:0:0:1 ring:1", "Invalid value (action)"),
    ("classifier_table add ip 2:0:0:0:0:1 ring:1", "Invalid value (type)"),
    ("classifier_table add mac 2:0:0:0:0 ring:1", "Invalid value (mac address)"),
    ("classifier_table add vlan 4096 default ring:1", "Invalid value (vlan id)"),
    ("classifier_table add mac default ring:8", "Invalid value (port)"),
    ("classifier_table add mac 2:0:0:0:0:2 nullpmd:1", "Invalid value (port)"),
    ("classifier_table del mac 2:0:0:0:0:2 nullpmd:1", "Invalid value (port)"),
]


def test_messages_are_those_of_spp(vf: Results) -> None:
    first, second = lcores(vf)
    vf.ok(f"component start used {first} forward", "port add nullpmd:0 rx used", "port add nullpmd:1 tx used")
    vf.ok(f"component start other {second} merge", f"classifier_table add mac {A} nullpmd:1")
    before = vf.info()
    assert [(command, vf.error(command)) for command, _ in MESSAGES] == MESSAGES
    assert vf.info()["core"] == before["core"] and vf.info()["classifier_table"] == before["classifier_table"]
    (result,) = vf.ask("component start a 99 forward")["results"]
    assert result["error_details"]["reason"] == "lcore 99 is not a worker of this process"


def test_mirror_sends_each_frame_to_both_ports(lab: Lab) -> None:
    lab.start_primary()
    process, mirror = start(lab, "mirror", 1)
    first, _ = (row["core"] for row in mirror.info()["core"])
    assert "classifier_table" not in mirror.info()
    assert mirror.error(f"component start fwd {first} forward") == "Invalid value (component type)"
    assert mirror.error("classifier_table add mac default ring:0") == "Invalid value (command)"
    mirror.ok(f"component start mir {first} mirror", "port add probe:0 rx mir", "port add probe:1 tx mir")
    mirror.ok("probe start probe:0 flow=1 key=7")
    assert mirror.probe("probe:0", "source")["sent"] == 0, "it starts with its second output"
    mirror.ok("probe stop probe:0", "port add probe:2 tx mir")
    mirror.ok("probe expect probe:1 flow=1 key=7", "probe expect probe:2 flow=1 key=7")
    mirror.ok("probe start probe:0 flow=1 key=7 count=1000")
    assert mirror.error("port add probe:3 tx mir") == "error occur"
    assert mirror.error("port add ring:0 tx mir add_vlantag 1 0") == "Invalid value (port vlan operation)"
    for probe in ("probe:1", "probe:2"):
        wait_for(probe, lambda p=probe: mirror.probe(p, "sink")["received"] == 1000)  # type: ignore[misc]
    mirror.ok("component stop mir", "exit")
    assert process.wait_end() == 0


def test_mirrored_frames_are_changed_separately(lab: Lab) -> None:
    """A tag that one reader adds is not in the copy of the other: both have the same mbuf."""
    lab.start_primary()
    _, mirror = start(lab, "mirror", 1)
    _, vf = start(lab, "vf", 2)
    first, _ = (row["core"] for row in mirror.info()["core"])
    mirror.ok(f"component start mir {first} mirror", "port add probe:0 rx mir")
    mirror.ok("port add ring:0 tx mir", "port add ring:1 tx mir")
    one, two = lcores(vf)
    vf.ok(f"component start tag {one} forward", "port add ring:0 rx tag add_vlantag 100 0", "port add nullpmd:0 tx tag")
    vf.ok(f"component start same {two} forward", "port add ring:1 rx same", "port add probe:1 tx same")
    vf.ok("probe expect probe:1 flow=1 key=7")
    # A ring has room for the frames of 341 ms, so that none is lost on a busy machine.
    mirror.ok("probe start probe:0 flow=1 key=7 count=3000 rate=3000")
    wait_for("all frames", lambda: vf.probe("probe:1", "sink")["received"] == 3000)
    assert vf.probe("probe:1", "sink")["corrupt"] == 0
    wait_for("the tagged frames", lambda: vf.counters("nullpmd:0")["tx"] == 3000)


def read_capture(path: Path) -> list[bytes]:
    data = subprocess.run(["lz4", "-dc", str(path)], check=True, capture_output=True).stdout
    assert struct.unpack("<IHHiIII", data[:24]) == (0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    frames, at = [], 24
    while at < len(data):
        _, _, captured, length = struct.unpack("<IIII", data[at : at + 16])
        assert captured == length
        frames.append(data[at + 16 : at + 16 + captured])
        at += 16 + captured
    return frames


def test_pcap_writes_files(lab: Lab, tmp_path: Path) -> None:
    _, primary = lab.start_primary()
    folder = tmp_path / "captures"
    folder.mkdir()
    words = ("-c", "ring:3", "--out-dir", str(folder), "--fsize", "20000")
    process, pcap = start(lab, "pcap", 1, *words, workers=3)
    info = pcap.info()
    receive, *writers = [row["core"] for row in info["core"]]
    assert info["status"] == "idle" and info["core"] == [
        {"core": receive, "role": "receive", "rx_port": [{"port": "ring:3"}]},
        *({"core": core, "role": "write", "filename": ""} for core in writers),
    ]
    primary.ok("add probe:0", "add ring:3", "patch probe:0 ring:3", "forward")
    pcap.ok("start", "start")
    names = [row["filename"] for row in pcap.info()["core"][1:]]
    assert pcap.info()["status"] == "running" and all(Path(f"{name}.tmp").exists() for name in names)
    assert [Path(name).name.split(".")[2:] for name in names] == [["ring3", str(n), "1", "pcap", "lz4"] for n in (1, 2)]
    primary.ok("probe start probe:0 flow=1 key=7 count=2000 rate=8000 size=128")
    wait_for("all frames", lambda: pcap.info()["written"] == 2000)
    pcap.ok("stop", "stop")
    assert pcap.info()["status"] == "idle" and pcap.info()["dropped"] == 0
    files = sorted(folder.iterdir())
    assert all(path.name.endswith(".pcap.lz4") for path in files) and len(files) >= 12
    frames = [frame for path in files for frame in read_capture(path)]
    assert len(frames) == 2000 and {len(frame) for frame in frames} == {124}  # without the FCS
    numbers = sorted(int.from_bytes(frame[42:46]) for frame in frames)
    assert numbers == list(range(2000))
    for path in files:
        subprocess.run(["tcpdump", "-r", "-"], input=subprocess.run(["lz4", "-dc", str(path)], check=True,
                       capture_output=True).stdout, check=True, capture_output=True)  # fmt: skip
    pcap.ok("start")
    primary.ok("probe start probe:0 flow=1 key=8 count=10")
    wait_for("ten more", lambda: pcap.info()["written"] == 2010)
    assert process.terminate() == 0 and not list(folder.glob("*.tmp"))


def test_pcap_reports_what_it_cannot_do(lab: Lab, tmp_path: Path) -> None:
    lab.start_primary()
    argv = lab.nfv_argv(1, "-c", "phy:7", "--out-dir", str(tmp_path), workers=2)
    argv[0], argv[argv.index("--") + 1] = argv[0].replace("spp_nfv", "spp_pcap"), "--client-id"
    process = lab.run("pcap1", argv)
    assert process.wait_end() == 1 and "-c phy:7: the primary has no such port" in process.text()
    argv[argv.index("phy:7")] = "ring:0"
    missing = [word.replace(str(tmp_path), str(tmp_path / "no")) for word in argv]
    process = lab.run("pcap2", missing)
    assert process.wait_end() == 1 and f"--out-dir {tmp_path / 'no'}: no such folder" in process.text()
    one = lab.run("pcap3", [word.replace(argv[2], ",".join(argv[2].split(",")[:2])) for word in argv])
    assert one.wait_end() == 1 and "needs three lcores or more: control, receive, write" in one.text()


def test_full_disk_ends_the_capture_and_keeps_the_process(lab: Lab, tmp_path: Path) -> None:
    _, primary = lab.start_primary()
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)], check=True)
    try:
        process, pcap = start(lab, "pcap", 1, "-c", "ring:3", "--out-dir", str(disk), workers=2)
        primary.ok("add probe:0", "add ring:3", "patch probe:0 ring:3", "forward")
        pcap.ok("start")
        primary.ok("probe start probe:0 flow=1 key=7 rate=100000 size=1500")
        wait_for("the disk to be full", lambda: pcap.info()["status"] == "idle")
        assert "No space left on device" in process.text()
        primary.ok("probe stop probe:0")
        info = wait_for("all frames", lambda: (i := pcap.info())["received"] == i["written"] + i["dropped"] and i)
        assert info["written"] and info["dropped"]
        assert pcap.error("start") == "error occur"
        for path in disk.iterdir():
            path.unlink()
        pcap.ok("start", "stop", "exit")
        assert process.wait_end() == 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)
