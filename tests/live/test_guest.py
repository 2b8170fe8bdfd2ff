"""Packets into guests: the region between two host processes, a ring VM and a vhost VM with spp_vm inside."""

import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sppr.images.store import Store
from sppr.lab.provision import Provisioner
from tests.live.dataplane import (
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
from tests.live.guests import Guest, region_file

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

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
    """A template over the base image, as bring-up makes it."""
    folder = tmp_path_factory.mktemp("images")
    (folder / base_image.name).symlink_to(base_image)
    store = Store(folder, base_image.name, "qcow2")
    made = store.ensure_template("ring", print, Provisioner())
    assert store.carries("ring") and made.stat().st_mode & 0o222 == 0
    return made


def crosses(source: TapEnd, sink: TapEnd, seconds: float = 20.0) -> None:
    """Traffic gets from one tap end to the other, now or soon."""
    wait_for("a frame across", lambda: passes(source, sink, next(marks)), seconds)
    sink.drain()


def whole(source: TapEnd, sink: TapEnd, count: int, window: int = 16) -> float:
    """``count`` numbered frames get across, none lost, none out of order; frames a second."""
    began = time.monotonic()
    got = send_all(source, sink, count, window)
    assert got == list(range(count))
    return count / (time.monotonic() - began)


def through_region(lab: Lab) -> tuple[Process, Connection]:
    """tap:0 -> ivshmem:7 -> whoever is there -> ivshmem:7 -> tap:1, forwarding."""
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


def test_the_primarys_forwarder_takes_a_region_too(lab: Lab) -> None:
    _, primary = lab.start_primary()
    primary.ok("add ivshmem:7", "patch tap:0 ivshmem:7", "patch ivshmem:7 tap:1", "forward")
    peer(lab, "echo")
    source, sink = lab.tap_ends()
    crosses(source, sink)
    whole(source, sink, 300)


def test_one_process_has_a_region_and_files_of_others_are_refused(lab: Lab) -> None:
    lab.start_primary()
    _, one = lab.start_nfv(1)
    process, two = lab.start_nfv(2)
    one.ok("add ivshmem:7")
    one.failed("add ivshmem:7")
    two.failed("add ivshmem:7")
    process.wait_said("another process has this region")
    one.ok("del ivshmem:7")
    two.ok("add ivshmem:7")
    (lab.sockets / "ivshmem8").symlink_to(lab.sockets / "ivshmem7")
    (lab.sockets / "ivshmem9").write_bytes(b"short")
    (lab.sockets / "ivshmem9").chmod(0o600)
    region_file(lab.sockets / "ivshmem10")
    os.chown(lab.sockets / "ivshmem10", 65534, 65534)
    for number, why in ((8, "symbolic link"), (9, "too short"), (10, "another user")):
        one.failed(f"add ivshmem:{number}")
        lab.processes[1].wait_said(why)
    assert (lab.sockets / "ivshmem9").read_bytes() == b"short"


def test_a_killed_nfv_comes_back_and_traffic_resumes(lab: Lab) -> None:
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


def test_a_restarted_peer_gets_nothing_stale(lab: Lab) -> None:
    lab.start_primary()
    through_region(lab)
    first = peer(lab, "echo")
    source, sink = lab.tap_ends()
    crosses(source, sink)
    first.terminate(signal.SIGKILL)
    for number in range(700):  # more than the ring holds
        source.send(number)
    peer(lab, "echo")
    crosses(source, sink)
    whole(source, sink, 500)


def test_a_scribbling_guest_loses_its_own_packets_only(lab: Lab) -> None:
    """Another patch of the same nfv, on the same worker, loses nothing meanwhile."""
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
    sender = threading.Thread(target=lambda: [source.send(n) for n in itertools.takewhile(lambda _: not stop.wait(0.0005), itertools.count())])
    sender.start()
    try:
        while mad.popen.poll() is None:
            whole(clean, clean_sink, 500)
    finally:
        stop.set()
        sender.join()
    assert mad.wait_end() == 0 and process.popen.poll() is None
    lab.processes[-2].kill()  # the honest peer, next to which another wrote
    peer(lab, "echo")
    crosses(source, sink)
    whole(source, sink, 500)
    nfv.ok("del ivshmem:7")
    process.wait_said("indexes were impossible")
