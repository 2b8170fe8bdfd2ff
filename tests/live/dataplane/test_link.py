"""Links: chains share a net_af_packet of the primary, each with a VLAN id per direction."""

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.dataplane_lab import ETHERTYPE, Connection, Lab, Process, idle_percent, wait_for

pytestmark = pytest.mark.live

SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
VLAN_VALID = 0x10
ONE, TWO = "link:0nq102", "link:0nq104"


def frame(number: int, size: int, *vlans: int) -> bytes:
    """Return a numbered frame of ``size`` bytes; the first VLAN is the outer one. Ids from 100 are of links."""
    tags = b"".join((b"\x91\0" if vlan >= 100 else b"\x81\0") + vlan.to_bytes(2) for vlan in vlans)
    head = b"\x02\0\0\0\0\x01" + b"\x02\0\0\0\0\x02" + tags + ETHERTYPE.to_bytes(2) + number.to_bytes(4)
    return head.ljust(size, b"\x5a")


class End:
    """A packet socket that sends frames, and receives frames of this test with all their tags."""

    def __init__(self, name: str) -> None:
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.sock.bind((name, 3))  # ETH_P_ALL: a tagged frame is found, too

    def send(self, data: bytes) -> None:
        self.sock.send(data)

    def receive(self, seconds: float = 2.0) -> bytes | None:
        """Return the next frame, or None."""
        self.sock.settimeout(seconds)
        while True:
            try:
                data, extra, _, _ = self.sock.recvmsg(4096, 64)
            except TimeoutError:
                return None
            for level, kind, value in extra:
                status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", value[:20])
                if (level, kind) == (SOL_PACKET, PACKET_AUXDATA) and status & VLAN_VALID:
                    data = data[:12] + b"\x81\0" + tci.to_bytes(2) + data[12:]
            if data.startswith(b"\x02\0\0\0\0\x01"):
                return data

    def close(self) -> None:
        self.sock.close()


class Ends:
    """The primary of a test with tap:0, tap:1 and link:0, the ends of its taps, and the far end of the link."""

    def __init__(self, lab: Lab, process: Process, primary: Connection, far: str) -> None:
        self.process, self.primary = process, primary
        self.taps = [End(name) for name in lab.taps]
        self.far = End(far)

    def counters(self, port: str) -> dict[str, Any]:
        rows = self.primary.status()["forwarder"]["counters"]
        return next(dict(row) for row in rows if row["port"].replace(" ", "") == port)

    def counted(self, port: str, key: str, value: int) -> None:
        wait_for(f"{key} of {port} is {value}", lambda: self.counters(port)[key] == value, 5.0)


@contextlib.contextmanager
def links(lab: Lab, lcores: str, *, nic: bool = False) -> Iterator[Ends]:
    """Start a primary with a link. ``nic``: net_failsafe over net_af_packet is phy:0, as a NIC would be."""
    near, far = (f"l{os.getpid() % 100000}{side}" for side in "ab")
    subprocess.run(
        ["ip", "link", "add", near, "mtu", "1508", "type", "veth", "peer", "name", far, "mtu", "1508"], check=True
    )
    try:
        for name in (near, far):  # without frames of the kernel, which count as rx_drop
            subprocess.run(["sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1"], check=True)
            subprocess.run(["ip", "link", "set", name, "up"], check=True)
        device = f"net_failsafe0,dev(net_af_packet0,iface={near})" if nic else f"net_af_packet0,iface={near}"
        vdevs = (*(f"net_tap{i},iface={tap}" for i, tap in enumerate(lab.taps)), device)
        cable = ("--link", "0=phy:0") if nic else ()
        process, primary = lab.start_primary("-p", "0x7", *cable, vdevs=vdevs, lcores=lcores)
        ends = Ends(lab, process, primary, far)
        for end in (*ends.taps, ends.far):
            lab.stack.callback(end.close)
        yield ends
    finally:
        subprocess.run(["ip", "link", "del", near], check=False)


def connect(found: Ends) -> None:
    """Wire two chains over the link: tap:0 with ids 102 and 103, tap:1 with ids 104 and 105."""
    found.primary.ok(f"add {ONE}", f"add {TWO}")
    for tap, channel in (("tap:0", ONE), ("tap:1", TWO)):
        found.primary.ok(f"patch {tap} {channel}", f"patch {channel} {tap}")
    found.primary.ok("forward")


@pytest.fixture(params=["0@0,1@1", "0@0,1@1,2@0"], ids=["one worker", "two workers"])
def ends(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Ends]:
    with links(lab, request.param) as found:
        connect(found)
        yield found


def test_a_tag_is_added_and_removed(ends: Ends) -> None:
    exchange(ends, 64, 1514)


@contextlib.contextmanager
def busy_interface() -> Iterator[None]:
    """Another interface, which receives frames all the time."""
    name, peer = (f"o{os.getpid() % 100000}{side}" for side in "ab")
    subprocess.run(["ip", "link", "add", name, "up", "type", "veth", "peer", "name", peer], check=True)
    subprocess.run(["ip", "link", "set", peer, "up"], check=True)
    flood = "import socket, sys; s = socket.socket(17, 3, 0); s.bind((sys.argv[1], 0))\nwhile True: s.send(bytes(64))"
    sender = subprocess.Popen([sys.executable, "-c", flood, name])  # 17: AF_PACKET
    try:
        wait_for("frames", lambda: int(Path(f"/sys/class/net/{peer}/statistics/rx_packets").read_text()) > 1000)
        yield
    finally:
        sender.kill()
        sender.wait()
        subprocess.run(["ip", "link", "del", name], check=True)


def test_frames_of_other_interfaces_do_not_enter(lab: Lab) -> None:
    with busy_interface(), links(lab, "0@0,1@1") as ends:
        connect(ends)
        ends.far.send(frame(1, 68, 103))
        assert ends.taps[0].receive() == frame(1, 64)
        ends.counted("link:0", "rx", 1)
        assert ends.counters("link:0")["rx_drop"] == 0


def exchange(ends: Ends, *sizes: int) -> None:
    """Send frames of two sizes both ways, with and without a tag of their own, and check how they arrive."""
    for size in sizes:
        for tags in ((), (7,)):
            ends.taps[0].send(frame(1, size, *tags))
            assert ends.far.receive() == frame(1, size + 4, 102, *tags)
            ends.far.send(frame(2, size + 4, 103, *tags))
            assert ends.taps[0].receive() == frame(2, size, *tags)
    ends.counted(ONE, "rx", 4)
    assert ends.counters(ONE)["tx"] >= 4  # the kernel sends frames from a tap, too
    ends.counted("link:0", "rx", 4)
    assert ends.counters(ONE)["rx_bytes"] == ends.counters(ONE)["rx"] // 4 * 2 * sum(sizes)
    assert ends.counters("link:0")["rx_drop"] == 0


def test_channels_do_not_get_frames_of_each_other(ends: Ends) -> None:
    for number in range(200):
        ends.far.send(frame(number, 68, 103 + 2 * (number % 2)))
    for parity, tap in enumerate(ends.taps):
        for n in range(parity, 200, 2):
            assert tap.receive() == frame(n, 64)
    for number, tap in enumerate(ends.taps):
        tap.send(frame(number, 64))
        assert ends.far.receive() == frame(number, 68, 102 + 2 * number)
    assert [end.receive(0.1) for end in (*ends.taps, ends.far)] == [None] * 3


def test_frames_of_no_channel_are_dropped_and_counted(ends: Ends) -> None:
    for data in (frame(1, 68, 102), frame(2, 68, 999), frame(3, 68, 4000), frame(4, 64)):
        ends.far.send(data)
    ends.counted("link:0", "rx_drop", 4)
    assert [tap.receive(0.1) for tap in ends.taps] == [None, None]


def test_a_frame_that_is_too_long_is_counted(ends: Ends) -> None:
    """The driver would report it as sent."""
    name = str(ends.taps[0].sock.getsockname()[0])
    subprocess.run(["ip", "link", "set", name, "mtu", "1600"], check=True)
    ends.taps[0].send(frame(1, 1519))
    ends.counted(ONE, "tx_drop", 1)
    assert ends.far.receive(0.1) is None


def test_a_channel_is_deleted_and_added_while_frames_run(ends: Ends) -> None:
    stop = threading.Event()
    sent: list[int] = []

    def send() -> None:
        number = 0
        while not stop.is_set():
            ends.far.send(frame(number, 68, 103))
            ends.far.send(frame(number, 68, 105))
            ends.taps[0].send(frame(number, 64))
            sent.append(number)
            number += 1
            time.sleep(0.0002)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for _ in range(30):
            ends.primary.ok(f"del {ONE}", f"add {ONE}", f"patch tap:0 {ONE}", f"patch {ONE} tap:0")
            assert ends.taps[0].receive() is not None
    finally:
        stop.set()
        sender.join()
    assert ends.counters(TWO)["rx_drop"] == 0
    numbers = [int.from_bytes(data[14:18]) for data in iter(lambda: ends.taps[1].receive(0.2), None)]
    assert numbers == sent, "the other chain lost frames"


def test_refused_commands(ends: Ends, lab: Lab) -> None:
    for bad in ("link:0nq0", "link:0nq1", "link:0nq1000"):
        assert "a VLAN id V from 2 to 999" in ends.primary.ask(f"add {bad}")["message"]
    ends.primary.failed("add link:0")
    assert "no --vdev net_af_packet1" in ends.primary.ask("add link:1nq102")["message"]
    for patch in ("link:0 tap:0", "tap:0 link:0"):
        assert "add a channel of it" in ends.primary.ask(f"patch {patch}")["message"]
    assert "cannot be deleted" in ends.primary.ask("del link:0")["message"]
    _, nfv = lab.start_nfv(1)
    assert "link ports belong to the primary" in nfv.ask("add link:0nq102")["message"]
    assert "link:0" not in nfv.status()["ports"]


def test_an_idle_link_sleeps_and_wakes_at_once(ends: Ends) -> None:
    assert min(idle_percent([ends.process], 2.0)[0] for _ in range(3)) < 1.0
    took = []
    for number in range(20):
        time.sleep(0.05)
        start = time.perf_counter()
        ends.far.send(frame(number, 68, 103 + 2 * (number % 2)))
        assert ends.taps[number % 2].receive() == frame(number, 64)
        took.append(time.perf_counter() - start)
    assert sorted(took)[14] < 0.04, took


def test_a_nic_is_a_link(lab: Lab) -> None:
    with links(lab, "0@0,1@1", nic=True) as ends:
        connect(ends)
        exchange(ends, 64, 1500)  # the MTU of net_failsafe over net_af_packet is 1500
        test_channels_do_not_get_frames_of_each_other(ends)
        assert ends.counters(ONE)["link"] == "up"
        assert "phy:0" not in ends.primary.status()["forwarder"]["ports"]
        assert "the MTU of net_failsafe0 cannot be 1508" in ends.process.text()
        _, nfv = lab.start_nfv(1)
        assert not {"phy:0", "link:0"} & set(nfv.status()["ports"])


def test_a_nic_without_carrier(lab: Lab) -> None:
    """A net_memif without a peer is down, as a NIC without a cable. Only a number makes its name that of memif:N."""
    options = f"role=server,socket={lab.tmp}/memif.sock,socket-abstract=no"
    vdevs = (f"net_tap0,iface={lab.taps[0]}", f"net_memif_nic0,{options}")
    _, primary = lab.start_primary("--link", "0=phy:0", vdevs=vdevs)
    primary.ok(f"add {ONE}", f"patch tap:0 {ONE}", f"patch {ONE} tap:0", "forward")
    rows = {row["port"].replace(" ", ""): row for row in primary.status()["forwarder"]["counters"]}
    assert rows[ONE]["link"] == "down"


def test_a_link_names_a_nic_that_is_missing(lab: Lab) -> None:
    process = lab.run("primary", lab.primary_argv("--link", "0=phy:1"))
    wait_for("the end", lambda: process.popen.poll() is not None)
    assert process.popen.returncode != 0
    assert "--link 0=phy:1: -p selects no phy:1" in process.text()
