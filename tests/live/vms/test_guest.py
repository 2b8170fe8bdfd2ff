"""Packets to guests: a shared region between two host processes, and a ring VM and a vhost VM with spp_vm."""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sppr.controller.server.access import HELLO
from sppr.host import shared_region
from sppr.images.store import Store
from sppr.lab.up.provision import Provisioner
from tests.live.dataplane_lab import (
    BUILD,
    Connection,
    Lab,
    Process,
    TapEnd,
    make,
    passes,
    prepare_hugepages,
    send_all,
    wait_for,
)
from tests.live.guests import Guest, GuestController

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

numbers = itertools.count(500)
marks = itertools.count(1_000_000)


@pytest.fixture(scope="session")
def programs() -> None:
    if os.geteuid() != 0:
        pytest.skip("hugepages, taps and raw sockets need root")
    subprocess.run(make("-j2", "all", "tools"), check=True, capture_output=True)
    prepare_hugepages()


@pytest.fixture
def lab(programs: None, tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path, next(numbers))
    try:
        yield lab
    finally:
        print(lab.logs())
        lab.close()


@pytest.fixture(scope="session")
def template(programs: None, base_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template of the base image, as bring-up makes it."""
    folder = tmp_path_factory.mktemp("images")
    (folder / base_image.name).symlink_to(base_image)
    store = Store(folder, base_image.name, "qcow2")
    made = store.ensure_template("ring", print, Provisioner())
    assert store.has_spp_vm("ring") and made.stat().st_mode & 0o222 == 0
    return made


def crosses(source: TapEnd, sink: TapEnd, seconds: float = 20.0) -> None:
    """Wait until traffic passes from one tap end to the other."""
    wait_for("a frame across", lambda: passes(source, sink, next(marks)), seconds)
    sink.drain()


def whole(source: TapEnd, sink: TapEnd, count: int, window: int = 16) -> float:
    """Send ``count`` numbered frames, none lost or reordered. Return frames a second."""
    began = time.monotonic()
    got = send_all(source, sink, count, window)
    assert got == list(range(count))
    return count / (time.monotonic() - began)


def through_region(lab: Lab) -> tuple[Process, Connection]:
    """Forward tap:0 -> ivshmem:7 -> the peer -> ivshmem:7 -> tap:1."""
    process, nfv = lab.start_nfv(1)
    nfv.ok("add ivshmem:7", "patch tap:0 ivshmem:7", "patch ivshmem:7 tap:1", "forward")
    return process, nfv


def peer(lab: Lab, *words: str) -> Process:
    mode, *rest = words
    return lab.run(f"peer-{mode}", [str(BUILD / "region_peer"), mode, str(lab.sockets / "ivshmem7"), *rest])


# --- the region between two host processes ---


def test_ten_thousand_frames_cross_a_region_twice_in_order(lab: Lab) -> None:
    lab.start_primary()
    _, nfv = through_region(lab)
    assert nfv.status()["ports"] == ["tap:0", "tap:1", "ivshmem:7"]
    path = lab.sockets / "ivshmem7"
    assert path.stat().st_size == 4 << 20 and path.stat().st_mode & 0o777 == 0o600
    peer(lab, "echo")
    source, sink = lab.tap_ends()
    crosses(source, sink)
    print(f"{whole(source, sink, 10_000, window=64):.0f} frames/s")
    nfv.ok("del ivshmem:7")
    assert path.exists()
    assert nfv.status()["patches"] == []


def test_forwarder_of_the_primary_can_use_a_region(lab: Lab) -> None:
    _, primary = lab.start_primary()
    primary.ok("add ivshmem:7", "patch tap:0 ivshmem:7", "patch ivshmem:7 tap:1", "forward")
    peer(lab, "echo")
    source, sink = lab.tap_ends()
    crosses(source, sink)
    whole(source, sink, 300)


def test_region_has_one_user_and_files_of_other_users_are_refused(lab: Lab) -> None:
    lab.start_primary()
    _, one = lab.start_nfv(1)
    process, two = lab.start_nfv(2)
    one.ok("add ivshmem:7")
    one.failed("add ivshmem:7")
    two.failed("add ivshmem:7")
    process.wait_printed("another process has this region")
    one.ok("del ivshmem:7")
    two.ok("add ivshmem:7")
    (lab.sockets / "ivshmem8").symlink_to(lab.sockets / "ivshmem7")
    (lab.sockets / "ivshmem9").write_bytes(b"short")
    (lab.sockets / "ivshmem9").chmod(0o600)
    shared_region.create(lab.sockets / "ivshmem10")
    os.chown(lab.sockets / "ivshmem10", 65534, 65534)
    for number, why in ((8, "symbolic link"), (9, "too short"), (10, "Permission denied")):  # root has no dac_override
        one.failed(f"add ivshmem:{number}")
        lab.processes[1].wait_printed(why)
    assert (lab.sockets / "ivshmem9").read_bytes() == b"short"


def test_traffic_resumes_after_a_restart_of_a_killed_nfv(lab: Lab) -> None:
    lab.start_primary()
    process, _ = through_region(lab)
    peer(lab, "echo")
    source, sink = lab.tap_ends()
    crosses(source, sink)
    for turn in range(3):
        process.kill()
        process, _ = through_region(lab)
        crosses(source, sink)
        whole(source, sink, 200 + turn)


def test_restarted_peer_gets_no_stale_frames(lab: Lab) -> None:
    lab.start_primary()
    through_region(lab)
    first = peer(lab, "echo")
    source, sink = lab.tap_ends()
    crosses(source, sink)
    first.terminate(signal.SIGKILL)
    for number in range(700):  # more than the ring holds
        source.send(number)
    sink.drain()
    time.sleep(0.3)  # until the nfv has read them all from the tap
    peer(lab, "echo")
    assert sink.receive(0.5) is None
    crosses(source, sink)
    whole(source, sink, 500)


def test_guest_that_corrupts_its_ring_loses_only_its_frames(lab: Lab) -> None:
    """Another patch of the same nfv, on the same worker, loses nothing."""
    lab.start_primary()
    process, nfv = through_region(lab)
    own = os.getpid() % 5000 + 2000
    nfv.ok("add ring:0", f"add tap:{own}", f"add tap:{own + 1}")
    nfv.ok(f"patch tap:{own} tap:{own + 1}")
    peer(lab, "echo")
    source, sink = lab.tap_ends()
    clean, clean_sink = lab.tap_ends(f"vtap{own}", f"vtap{own + 1}")
    crosses(source, sink)
    mad = peer(lab, "scribble", "4")
    stop = threading.Event()
    sender = threading.Thread(
        target=lambda: [source.send(n) for n in itertools.takewhile(lambda _: not stop.wait(0.0005), itertools.count())]
    )
    sender.start()
    try:
        while mad.popen.poll() is None:
            whole(clean, clean_sink, 500)
    finally:
        stop.set()
        sender.join()
    assert mad.wait_end() == 0 and process.popen.poll() is None
    lab.processes[-2].kill()  # the correct peer, while another process also wrote
    peer(lab, "echo")
    crosses(source, sink)
    whole(source, sink, 500)
    nfv.ok("del ivshmem:7")
    process.wait_printed("indexes were impossible")


# --- guests ---


def guest_connection(controller: GuestController, vm_id: int) -> Connection:
    """Return the connection that spp_vm of the guest makes after its start."""
    connection = controller.accept()
    hello = {"results": [{"result": "success"}], "client_id": vm_id, "process_type": "nfv", "data_plane": "sppr"}
    assert connection.ask("_get_client_id") == hello
    return connection


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[GuestController]:
    found = GuestController(tmp_path)
    with contextlib.closing(found.listener):
        yield found


@pytest.fixture
def start_guest(
    lab: Lab, template: Path, tmp_path: Path, controller: GuestController
) -> Iterator[Callable[..., tuple[Guest, Connection]]]:
    guests: list[Guest] = []

    def start(vm_id: int, **ports: tuple[Path, ...]) -> tuple[Guest, Connection]:
        guests.append(Guest(template, tmp_path, vm_id, **ports))
        began = time.monotonic()
        connection = guest_connection(controller, vm_id)
        print(f"spp_vm connected {time.monotonic() - began:.1f} s after QEMU's start")
        return guests[-1], connection

    try:
        yield start
    finally:
        for guest in guests:
            print((tmp_path / f"{guest.vm.id}.log").read_text(errors="replace")[-3000:])
            guest.close()


MALFORMED = [
    *("add", "add ring", "add ring:0", "add ring:1", "add phy:0", "add vhost:0", "del phy:0", "del ring:1", "del x"),
    *("add ring:0nq1", "patch ring:0nq1 ring:0"),
    *("patch", "patch ring:0", "patch ring:0 phy:0", "patch x y", "_set_client_id 0", "status" + " x" * 60),
]


def test_ring_vm_forwards_end_to_end(
    lab: Lab, controller: GuestController, start_guest: Callable[..., tuple[Guest, Connection]]
) -> None:
    """tap:0 -> ivshmem:7 -> ring:0 in the guest and back -> tap:1; then a reboot, a killed nfv, a hostile neighbour."""
    lab.start_primary()
    path = lab.sockets / "ivshmem7"
    shared_region.create(path)
    process, _ = through_region(lab)
    guest, spp_vm = start_guest(6, regions=(path,))
    idle = {"client-id": 6, "status": "idling", "master-lcore": 0, "lcores": [0], "ports": ["ring:0"], "patches": []}
    zero = dict.fromkeys(("rx", "rx_drop", "tx", "tx_drop", "rx_bytes", "tx_bytes"), 0)
    counters = [{"port": "ring:0", **zero}]
    idle |= {"counters": counters}
    assert spp_vm.status() == idle
    for command in MALFORMED:
        spp_vm.failed(command)
    assert spp_vm.ask_raw("patch reset") == b"patch\0reset\0"
    spp_vm.ok("del ring:0")
    assert spp_vm.status()["ports"] == []
    spp_vm.ok("add ring:0", "patch ring:0 ring:0", "forward")
    source, sink = lab.tap_ends()
    crosses(source, sink)
    print(f"ring VM: {whole(source, sink, 10_000, window=32):.0f} frames/s")

    spp_vm.ok("stop")  # frames that arrive meanwhile are not forwarded later
    source.send(1)
    assert sink.receive(0.5) is None
    spp_vm.ok("forward")
    assert sink.receive(0.5) is None

    process.kill()
    process, _ = through_region(lab)
    crosses(source, sink)
    whole(source, sink, 200)

    mad = peer(lab, "scribble", "1")
    mad.wait_end()
    spp_vm.ok("stop", "forward")
    crosses(source, sink)
    whole(source, sink, 200)
    assert spp_vm.status()["status"] == "running" and process.popen.poll() is None

    guest.wait_prompt()
    spp_vm.close()  # the state is kept over a restart of the controller
    spp_vm = guest_connection(controller, 6)
    assert spp_vm.status()["patches"] == [{"src": "ring:0", "dst": "ring:0"}]
    whole(source, sink, 200)
    assert guest.run("cat /run/spp_vm.log").count("ring:0 is 0000:") == 2
    guest.run("kill $(pidof spp_vm)")  # init restarts it, without patches
    assert spp_vm.sock.recv(len(HELLO)) == HELLO  # on the connection that QEMU kept
    spp_vm.close()
    spp_vm = guest_connection(controller, 6)
    assert spp_vm.status() == idle
    guest.console.sendline("reboot")
    spp_vm.sock.settimeout(60)
    assert spp_vm.sock.recv(len(HELLO)) == HELLO, "until the reboot, the spp_vm that ends would take the commands"
    spp_vm.close()
    spp_vm = guest_connection(controller, 6)
    spp_vm.ok("patch ring:0 ring:0", "forward")
    crosses(source, sink)
    whole(source, sink, 500)


def test_vhost_vm_forwards_end_to_end(lab: Lab, start_guest: Callable[..., tuple[Guest, Connection]]) -> None:
    """tap:0 -> vhost:0 -> phy:0 -> phy:1 in the guest -> vhost:1 -> tap:1."""
    lab.start_primary()
    _, nfv = lab.start_nfv(1)
    nfv.ok("add vhost:0", "add vhost:1", "patch tap:0 vhost:0", "patch vhost:1 tap:1")
    nfv.ok("patch tap:1 vhost:1", "patch vhost:0 tap:0", "forward")
    guest, spp_vm = start_guest(11, sockets=(lab.sockets / "sock0", lab.sockets / "sock1"))
    assert spp_vm.status()["ports"] == ["phy:0", "phy:1"]  # neither the loopback nor the management network
    spp_vm.failed("del phy:0")
    spp_vm.ok("patch phy:0 phy:1", "patch phy:1 phy:0", "forward")
    source, sink = lab.tap_ends()
    crosses(source, sink)
    print(f"vhost VM: {whole(source, sink, 10_000, window=16):.0f} frames/s")
    crosses(sink, source)
    whole(sink, source, 500)
    tagged = b"\x02\0\0\0\0\x01" + b"\x02\0\0\0\0\x02" + bytes.fromhex("8100 0007 88b5") + b"t" * 60
    assert through(lab.taps, tagged) == tagged
    # no offload that gives frames without a checksum, or longer ones
    guest.wait_prompt()
    for features in guest.run("cat /sys/bus/virtio/drivers/virtio_net/virtio*/features").split()[-2:]:
        assert {features[bit] for bit in (0, 1, 7, 8, 10, 11, 12, 14)} == {"0"}, features
    spp_vm.ok("patch phy:0 phy:0")
    sink.drain()
    source.send(1)
    assert sink.receive(1.0) is None
    spp_vm.ok("stop")
    assert spp_vm.status()["status"] == "idling"


def through(taps: tuple[str, str], frame: bytes) -> bytes:
    """Send a frame of any kind to the first tap, and return the frame from the second."""
    with contextlib.ExitStack() as stack:
        ends = [stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))) for _ in taps]
        for end, tap in zip(ends, taps, strict=True):
            end.bind((tap, 3))
            end.settimeout(10)
        ends[1].setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA: the kernel removes the tag here, too
        ends[0].send(frame)
        while True:
            data, aux, *_ = ends[1].recvmsg(2048, 128)
            if not data.endswith(frame[-60:]):
                continue
            tag = aux[0][2][16:20]
            return data[:12] + tag[2:4][::-1] + tag[0:2][::-1] + data[12:]


def test_instances_share_no_identity(start_guest: Callable[..., tuple[Guest, Connection]]) -> None:
    """The first boot of the template leaves nothing that its instances would share."""
    printed = []
    for vm_id in (6, 7):
        guest, _ = start_guest(vm_id)
        guest.wait_prompt()
        guest.run("until [ -d /run/sshd ]; do sleep .2; done")
        printed.append([guest.run("cat /etc/machine-id"), guest.run("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key")])
    assert all(one and two and one != two for one, two in zip(*printed, strict=True)), printed
