"""SPP trees of each era with fake programs: bring-up, teardown, and failures."""

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pexpect
import pytest

from sppr.classic.client import Client
from sppr.cli.terminal.progress import Lines
from sppr.deadline import Deadline
from sppr.errors import ControlError
from sppr.lab.chains import reconcile
from sppr.lab.chains.proof.prove import prove
from sppr.lab.chains.proof.result import Options
from sppr.lab.state import state as states
from sppr.lab.state.reconcile import Changes
from sppr.lab.up.bringup import BringUp
from sppr.parts import readiness
from sppr.parts.part import Part
from sppr.spp.control import ControlClient
from sppr.tmux.server import Tmux
from tests.conftest import ROOT
from tests.fakes import tree
from tests.live import labs
from tests.live.dataplane_lab import BUILD, wait_for
from tests.live.labs import Lab, last_line, run_again, wait_exit, wait_state

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

CONF = """\
session: {session}
controller: {{pri_port: {pri}, sec_port: {sec}, rest_port: {rest}, vf_pri_port: {vf_pri}, vf_sec_port: {vf_sec}}}
primary: {{coremask: 0x1, portmask: 0x3, memory: 64}}
secondaries: [{secondaries}]
spp: {{dir: {tree}, python: {python}, file_prefix: {session}}}
"""


def make(folder: Path, session: str, version: str, secondaries: str = "{id: 1, coremask: 0x6}", major: int = 0) -> Lab:
    """A lab over a fake tree of this release. Its programs need neither hugepages nor a base image.

    ``major``: version of the Python that runs its controllers; 0: the one that the release needs.
    """
    lab = labs.make(folder, session, None)
    ports = labs.free_ports(5)
    lab.pri, lab.sec, lab.rest = ports[:3]
    names = dict(zip(("pri", "sec", "rest", "vf_pri", "vf_sec"), ports, strict=True))
    root = tree.make(folder / "spp", version)
    python = tree.python(root, major) if major else tree.python_of(root, version)
    lab.conf.write_text(CONF.format(session=session, secondaries=secondaries, tree=root, python=python, **names))
    return lab


KINDS = {
    "17.11": ("vf",),
    "18.02": ("vf",),
    "18.08.1": ("vf", "mirror"),
    "HEAD": ("vf", "mirror", "pcap"),
}
#: ``/2``: its controllers run in Python 2, although both would work.
ERAS = ["16.07", "17.08", "17.11", "18.02", "18.05", "18.05/2", "18.08.1", "19.08", "HEAD"]


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Lab]:
    version, _, major = request.param.partition("/")
    kinds = enumerate(KINDS.get(version, ()), 2)
    listed = [f"{{id: {n}, type: {kind}, coremask: {7 << 3 * n:#x}}}" for n, kind in kinds]
    session = f"realspp{version.replace('.', '')}{major}"
    secondaries = ", ".join(["{id: 1, coremask: 0x6}", *listed])
    made = make(tmp_path_factory.mktemp("tree"), session, version, secondaries, int(major or 0))
    try:
        yield made
    finally:
        made.end()


@pytest.mark.parametrize("lab", ERAS, indirect=True)
def test_each_era_starts_reports_its_status_and_stops(lab: Lab) -> None:
    version = (lab.folder / "spp/src/spp.py").read_text().split("'")[-2]
    count = 1 + len(KINDS.get(version, ()))
    done = lab.wakeup("-ns", str(count), "-nr", "0", "-nv", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = lab.status()
    controllers = ["ctrler", "vfctrl"] if version in ("17.11", "18.02") else ["ctrler"]
    controllers += ["cli"] if count and version in ("18.08.1", "19.08", "HEAD") else []
    assert list(rows) == [*controllers, "pri", *(f"sec{n}" for n in range(1, count + 1))]
    assert {row["state"] for row in rows.values()} == {"ready"}, rows
    if version == "18.05":  # by its management port, or with Python 3 at its prompt
        lab.control.add_port("nfv:1", "ring:3")
        lab.control.patch("nfv:1", "phy:0", "ring:3")
        lab.control.forward("nfv:1")
        message = lab.control.nfv_status(1)
        assert (message["status"], message["ports"]) == ("running", ["phy:0", "phy:1", "ring:3"])
        assert message["patches"] == [{"src": "phy:0", "dst": "ring:3"}]
    done = lab.sppr("topo", "-o", "x.svg")
    assert done.returncode == 0, done.stdout + done.stderr
    drawn = (lab.folder / "x.svg").read_text()
    assert all(f">{name}</text>" in drawn for name in rows if name not in ("ctrler", "vfctrl", "cli")), drawn
    assert "rates are unknown" in drawn and "not connected" not in drawn and "no answer" not in drawn, drawn
    again = lab.wakeup("-ns", str(count))
    assert again.returncode == 0 and "nothing was changed" in again.stdout, again.stdout + again.stderr
    done = lab.down()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sec1 stopped (exit)" in done.stdout and "pri stopped (exit)" in done.stdout, done.stdout
    if version == "18.08.1":  # its REST cannot stop a vf (docs/spp-protocol.md, REST)
        assert "sec2 stopped (SIGINT)" in done.stdout and "sec3 stopped (SIGINT)" in done.stdout, done.stdout
    assert lab.leftovers() == []


@pytest.mark.parametrize("lab", ["19.11"], indirect=True)
def test_failure_behind_a_204_is_reported_and_a_stale_socket_replaced(lab: Lab) -> None:
    done = lab.wakeup("-ns", "1", "-nr", "0", "-nv", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    api = f"127.0.0.1:{lab.rest}"
    stale, taken = (lab.folder / "spp/socks" / name for name in ("sock901", "sock902"))
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(stale))
    readiness.serve_vhosts(api, "nfv:1", ["vhost:901"], [str(stale)], Deadline(10))
    taken.write_text("not a socket\n")
    with pytest.raises(ControlError, match="no error when vhost:902 was added, but its status does not list the port"):
        readiness.serve_vhosts(api, "nfv:1", ["vhost:902"], [str(taken)], Deadline(10))
    assert ControlClient(api).ports("nfv:1") == ["phy:0", "phy:1", "vhost:901"]
    # After a restart of the primary, spp-ctl still lists the dead one, and the secondary has the old memory.
    row = lab.status()["pri"]
    old = {"state": "starting", "note": "uses the memory of a previous primary; sppr restart fixes it"}
    os.kill(row["pid"], signal.SIGKILL)
    wait_state(lab, "pri", "failed")
    assert lab.status()["sec1"].items() >= old.items()
    run_again(lab, row["pane"], "primary.py")
    wait_state(lab, "pri", "ready")
    sec1 = lab.status()["sec1"]
    assert sec1.items() >= old.items()
    done = lab.wakeup("-ns", "1", "-nr", "0", "-nv", "0")
    assert done.returncode == 0 and "sec1: uses the memory of a previous primary, and is restarted" in done.stdout, (
        done.stdout + done.stderr
    )
    again = lab.status()["sec1"]
    assert (again["state"], again["note"]) == ("ready", None) and again["pid"] != sec1["pid"]


@pytest.mark.parametrize("lab", ["19.11"], indirect=True)
def test_lost_socket_of_spp_is_restored_with_patches_and_forwarding(lab: Lab) -> None:
    """SPP's ``del`` of a patched port damages patches and stops forwarding."""
    done = lab.wakeup("-ns", "1", "-nr", "0", "-nv", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    api = f"127.0.0.1:{lab.rest}"
    control, path = ControlClient(api), lab.folder / "spp/socks/sock901"
    readiness.serve_vhosts(api, "nfv:1", ["vhost:901"], [str(path)], Deadline(10))
    for src, dst in (("phy:0", "vhost:901"), ("vhost:901", "phy:1"), ("phy:1", "phy:0")):
        control.patch("nfv:1", src, dst)
    control.forward("nfv:1")
    before = control.nfv_status(1)
    path.unlink()
    readiness.serve_vhosts(api, "nfv:1", ["vhost:901"], [str(path)], Deadline(10))
    assert path.is_socket() and control.nfv_status(1) == before and before["status"] == "running"


def bring_up_with_vm(lab: Lab, report: Lines) -> tuple[BringUp, Path]:
    """Return a bring-up that restarts nfv 1, which serves VM 901, and the path of the VM's socket."""
    state, path = states.load(lab.session), lab.folder / "spp/socks/sock901"
    vm = Part("vm_v901", "vm_vhost", 901, "vm_v", (), (), server="nfv:1", ports=("vhost:901",), sockets=(str(path),))
    changes = Changes(replace(state.plan, parts=(*state.plan.parts, vm)), ("sec1",))
    return BringUp(changes, state, None, Tmux(lab.session), report), path


@pytest.mark.parametrize("lab", ["19.11"], indirect=True)
def test_restarted_secondary_of_spp_gets_vm_ports_despite_a_stale_socket(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SPP's nfv leaves its socket when it ends, and its next ``add`` fails over it."""
    done = lab.wakeup("-ns", "1", "-nr", "0", "-nv", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    path = lab.folder / "spp/socks/sock901"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    monkeypatch.setenv("SPPR_RUN_DIR", lab.env["SPPR_RUN_DIR"])
    printed: list[str] = []
    report = Lines()
    report.note = printed.append  # type: ignore[method-assign]
    up, _ = bring_up_with_vm(lab, report)
    up._serve_ports_of_running_vms(up.plan.part("sec1"))
    assert printed == [] and "vhost:901" in ControlClient(f"127.0.0.1:{lab.rest}").ports("nfv:1")


@pytest.mark.parametrize("lab", ["19.11"], indirect=True)
def test_polling_threads_of_spp_get_a_lower_priority_with_few_cores(lab: Lab) -> None:
    many = hex(((1 << len(os.sched_getaffinity(0)) + 1) - 1) << 1)
    lab.conf.write_text(lab.conf.read_text().replace("0x6}", f"{many}}}"))
    done = lab.wakeup("-ns", "1", "-nr", "0", "-nv", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("pri", "sec1"):
        pid = lab.status()[name]["pid"]
        tasks = [task / "stat" for task in Path(f"/proc/{pid}/task").iterdir()]
        fields = [(stat.parent.name, stat.read_text().rpartition(")")[2].split()[16]) for stat in tasks]
        assert sorted(nice for _, nice in fields) == ["0", "10"] and dict(fields)[str(pid)] == "0"


@pytest.mark.parametrize("lab", ["HEAD"], indirect=True)
def test_programs_of_spp_have_fixed_addresses_and_timer_slack_and_secondaries_start_one_after_another(lab: Lab) -> None:
    """DPDK keeps addresses of functions in shared memory, and crashes if a secondary starts beside another."""
    done = lab.wakeup("-ns", "4", "-nr", "0", "-nv", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    names = ["sec1", "sec2", "sec3", "sec4"]
    rows = lab.status()
    for name in ("pri", *names):
        process = Path(f"/proc/{rows[name]['pid']}")
        personality = (process / "personality").read_text()
        assert int(personality, 16) & 0x0040000, personality  # ADDR_NO_RANDOMIZE
        assert (process / "timerslack_ns").read_text() == "4000000\n"
    events = [json.loads(line) for line in (lab.state / "events.jsonl").read_text().splitlines()]
    began = {e["part"]: e["uptime"] for e in events if e["event"] == "part.waiting" and e["part"] in names}
    took = {e["part"]: e["seconds"] for e in events if e["event"] == "part.ready" and e["part"] in names}
    order = sorted(names, key=lambda name: began[name])
    for first, second in itertools.pairwise(order):
        assert began[second] >= began[first] + took[first], (began, took)


@pytest.mark.parametrize("lab", ["19.11"], indirect=True)
def test_restarted_secondary_of_spp_is_ready_when_running_vms_have_connected(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """QEMU tries to connect once a second. Frames that are sent before are lost."""
    done = lab.wakeup("-ns", "1", "-nr", "0", "-nv", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.setenv("SPPR_RUN_DIR", lab.env["SPPR_RUN_DIR"])
    up, path = bring_up_with_vm(lab, Lines())
    states.record_start(lab.state, "vm_v901", ("qemu",))
    with socket.socket(socket.AF_UNIX) as qemu, ThreadPoolExecutor(1) as pool:
        serving = pool.submit(up._serve_ports_of_running_vms, up.plan.part("sec1"))
        wait_for("the socket to listen", path.exists)
        time.sleep(0.5)
        assert not serving.done()
        qemu.connect(str(path))
        serving.result(timeout=2)


def test_management_port_gets_at_most_five_connections_a_second() -> None:
    """Each leaves a socket in TIME_WAIT for a minute. A waiting launcher would send requests without a pause."""
    came: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = server.accept()
                    came.append(time.monotonic())
                    sock.recv(1024)
                    sock.sendall(b'OK\n{"primary": "1", "secondary": []}')
                    sock.close()

        threading.Thread(target=serve, daemon=True).start()
        client = Client(None, server.getsockname(), False)  # type: ignore[arg-type]

        def ask() -> None:
            while time.monotonic() < began + 2.5:
                assert client.connected() == (True, [])

        began = time.monotonic()
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        server.shutdown(socket.SHUT_RDWR)
    most = max(sum(first <= later < first + 0.95 for later in came) for first in came)
    assert most == 5 and len(came) >= 10, came


@pytest.mark.parametrize("lab", ["18.08.1", "18.08.3", "17.08"], indirect=True)
def test_killed_secondary_can_be_started_again(lab: Lab) -> None:
    """Its controller may still list it: spp-ctl of 18.08.1 and 18.08.2 for ever, spp.py until the next command."""
    done = lab.wakeup("-ns", "1", "-nr", "0", "-nv", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    os.kill(lab.status()["sec1"]["pid"], signal.SIGKILL)
    wait_state(lab, "sec1", "failed")
    done = lab.sppr("restart", "sec1", "--session", lab.session)
    assert done.returncode == 0, done.stdout + done.stderr
    address = lab.state / "api.sock" if (lab.state / "api.sock").exists() else f"127.0.0.1:{lab.rest}"
    assert ControlClient(address).ports("nfv:1") == ["phy:0", "phy:1"]


def test_twelve_secondaries_of_17_08_start_at_five_requests_a_second(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    lab = make(
        folder, "realsppmany", "17.08", ", ".join(f"{{id: {n}, coremask: {7 << 3 * n:#x}}}" for n in range(1, 13))
    )
    try:
        began = time.monotonic()
        done = lab.wakeup("-ns", "12", "-nr", "0", "-nv", "0")
        assert done.returncode == 0, done.stdout + done.stderr
        assert {row["state"] for row in lab.status().values()} == {"ready"}
        asked = (lab.state / "ctrler.log").read_text().count("Thread-1\n")
        assert 12 <= asked <= 5 * (time.monotonic() - began + 1)
    finally:
        lab.end()


def test_missing_module_of_spp_ctl_is_reported_by_wakeup_and_doctor(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    lab = make(folder, "realsppmod", "19.11")
    python = tree.python(folder / "spp", 3, missing=("eventlet",))
    expected = f"needs the Python module eventlet, which {python} does not have"
    try:
        for done, code in ((lab.wakeup("-ns", "1", "-nr", "0", "-nv", "0"), 3), (lab.sppr("doctor"), 1)):
            message = done.stdout + done.stderr
            assert done.returncode == code and expected in " ".join(message.split()), message
            assert f"{python} -m pip install eventlet" in " ".join(message.split()), message
        assert "traceback" not in message.lower()
    finally:
        lab.end()


@pytest.mark.parametrize("lab", ["17.08", "HEAD"], indirect=True)
@pytest.mark.parametrize(
    "text",
    [
        "vdev_probe(): failed to initialize net_tap0 device",
        "EAL: failed to initialize eth_vhost0 device",
        "EAL: Driver cannot attach the device (net_null0)",
    ],
)
def test_missing_device_of_a_connected_primary_is_reported(lab: Lab, text: str) -> None:
    """SPP's own primary continues without it."""
    [program] = (lab.folder / "spp/src/primary").rglob("spp_primary")
    program.write_text(program.read_text().replace("\nexec", f"\necho '{text}'\nexec", 1))
    done = lab.wakeup("-ns", "0", "-nr", "0", "-nv", "0")
    assert done.returncode == 4, done.stdout + done.stderr
    assert f"pri: printed '{text}' after" in done.stderr and "cannot become ready" in done.stderr, done.stderr


def other_process(lab: Lab, client_id: int) -> "subprocess.Popen[bytes]":
    words = ["-n", str(client_id), "-s", f"127.0.0.1:{lab.sec}", "--version", "17.08"]
    argv = [sys.executable, "-m", "tests.fakes.classic_nfv", *words]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("lab", ["17.05"], indirect=True)
def test_duplicate_ids_and_a_prompt_in_use_are_reported(lab: Lab) -> None:
    lab.conf.write_text(lab.conf.read_text().replace("0x6}", "0x6}, {id: 2, coremask: 0x18}"))
    done = lab.wakeup("-ns", "1", "-nr", "0", "-nv", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    ctrler = lab.status()["ctrler"]
    log = lab.state / "ctrler.log"
    assert last_line(lab, ctrler["pane"]) == "spp >" and "recv:" not in log.read_text(), (
        "commands of the launcher are not shown"
    )
    control = lab.control
    control.add_port("nfv:1", "ring:3")
    control.patch("nfv:1", "phy:0", "ring:3")
    assert control.nfv_status(1)["patches"] == [{"src": "phy:0", "dst": "ring:3"}]
    with pytest.raises(ControlError, match="memif:0"):
        control.add_port("nfv:1", "memif:0")
    lab.tmux("send-keys", "-t", ctrler["pane"], "sec 1;sta")
    # The prompt before the keys may be that of a command of the launcher, which is not shown.
    wait_for("the keys", lambda: last_line(lab, ctrler["pane"]).endswith("sec 1;sta"), 60)
    with pytest.raises(ControlError, match="a user is typing a line at its prompt"):
        ControlClient(lab.state / "api.sock", timeout=20).processes()
    assert last_line(lab, ctrler["pane"]).endswith("sec 1;sta")
    lab.tmux("send-keys", "-t", ctrler["pane"], "tus", "Enter")
    wait_for("its answer", lambda: "RING(3)" in log.read_text())
    assert len(control.processes()) == 2
    same, other = other_process(lab, 1), other_process(lab, 2)
    try:
        wait_for("both", lambda: "nfv:0" in (lab.status()["ctrler"]["note"] or ""))
        refused = lab.wakeup("-ns", "2", "-nr", "0", "-nv", "0")
        assert refused.returncode == 4 and "a secondary is connected as id 0" in refused.stderr, refused.stderr
        same.kill()
        wait_for("it to be forgotten", lambda: {"type": "nfv", "client-id": 0} not in control.processes())
        refused = lab.wakeup("-ns", "2", "-nr", "0", "-nv", "0")
        assert refused.returncode == 6 and "a nfv:2 that is not part of this lab" in refused.stderr, refused.stderr
    finally:
        for process in (same, other):
            process.kill()
            process.wait()
    lab.tmux("send-keys", "-t", ctrler["pane"], "bye", "Enter")
    wait_exit(lab, "ctrler", 0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_terminal_of_spp_py_exits_with_its_signal(tmp_path: Path, number: signal.Signals) -> None:
    program = tmp_path / "spp.py"
    program.write_text(f"import os\nos.kill(os.getpid(), {int(number)})\n")
    words = ["-m", "sppr.classic", "--api-socket", str(tmp_path / "api.sock"), "--version", "17.05", "--"]
    classic_terminal = pexpect.spawn(sys.executable, [*words, sys.executable, str(program)], cwd=str(ROOT), timeout=30)
    classic_terminal.expect(pexpect.EOF)
    classic_terminal.close()
    assert classic_terminal.signalstatus == number and not (tmp_path / "api.sock").exists()


@pytest.mark.parametrize("lab", ["17.08", "18.05", "19.11", "HEAD"], indirect=True)
def test_chain_is_wired_corrected_and_taken_down_by_the_controller_of_spp(lab: Lab) -> None:
    """At the prompt of spp.py, and over the REST of spp-ctl. A patch is removed by a reset of all, and the others are
    restored."""
    plain = lab.conf.read_text()
    lab.conf.write_text(f"{plain}chains: {{web: {{path: [phy:0, phy:1]}}}}\n")
    done = lab.wakeup("-ns", "1", "-nr", "0", "-nv", "0")
    assert done.returncode == 0 and "chain web: up  phy:0 → phy:1" in done.stdout, done.stdout + done.stderr
    state = json.loads((lab.state / "state.json").read_text())
    control = ControlClient(state["plan"]["rest"] or lab.state / "api.sock")
    both = {("phy:0", "phy:1"), ("phy:1", "phy:0")}

    def patches() -> set[tuple[str, str]]:
        return {(patch["src"], patch["dst"]) for patch in control.nfv_status(1)["patches"]}

    assert patches() == both
    assert "phy:0 = nfv:1 => phy:1  chain web" in lab.sppr("topo").stdout
    assert lab.sppr("chain", "apply").stdout == "chain web: up\n"
    control.add_port("nfv:1", "ring:3")
    control.patch("nfv:1", "ring:3", "phy:1")
    done = lab.sppr("chain")
    assert done.returncode == 1 and "nfv:1: ring:3 -> phy:1 belongs to no chain" in done.stdout, done.stdout
    done = lab.sppr("chain", "apply")
    assert done.stdout == "nfv:1; patch reset ring:3\nchain web: up\n", done.stderr
    assert patches() == both and control.nfv_status(1)["status"] == "running"
    done = lab.sppr("chain", "prove", "web", "--yes")
    assert done.returncode == 8 and "is not a TAP interface" in done.stdout, done.stdout + done.stderr
    assert lab.sppr("chain", "prove", "web", "--level", "0").returncode == 0
    lab.conf.write_text(plain)
    done = lab.wakeup("-ns", "1", "-nr", "0", "-nv", "0")
    assert done.returncode == 0 and patches() == set(), done.stdout + done.stderr


@pytest.fixture
def tap_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A tree of SPP with two chains of taps. SPP has no packages, so our programs take the place of its own."""
    lab = make(tmp_path_factory.mktemp("tree"), "realspptaps", "HEAD")
    for kind in ("primary", "nfv"):
        (program,) = (lab.folder / "spp/src" / kind).rglob(f"spp_{kind}")
        program.write_text(f'#!/bin/sh\nexec {BUILD}/spp_{kind} "$@"\n')
    vdevs = ", ".join(f'"net_tap{n},iface={lab.tap}{name}"' for n, name in enumerate("abcd"))
    text = lab.conf.read_text().replace("file_prefix:", "controller: ours, file_prefix:")
    text = text.replace("portmask: 0x3, memory: 64", f"portmask: 0xf, memory: 64, vdevs: [{vdevs}]")
    lab.conf.write_text(text + "chains: {web: {path: [tap:0, tap:1]}, other: {path: [tap:2, tap:3]}}\n")
    try:
        yield lab
    finally:
        lab.end()


def test_chain_over_a_tree_of_spp_is_proved_from_tap_to_tap(
    tap_lab: Lab, programs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SPP has no probes and no counters, so reach is the highest level, with frames of the host kernel."""
    done = tap_lab.wakeup("-ns", "1", "-nr", "0", "-nv", "0")
    assert done.returncode == 0, done.stdout + done.stderr

    def proved(*words: str) -> str:
        done = tap_lab.sppr("chain", "prove", "web", "--frames", "1000", *words)
        return f"{done.returncode}\n{done.stdout}{done.stderr}"

    text = proved()
    for direction in ("forward", "reverse"):
        assert f"web  {direction}  1,000 of 1,000 frames of 64 B  0 lost  0 reordered  p50 " in text, text
    assert text.startswith("0\n") and "pass: consistency, reach\n" in text, text
    text = proved("--level", "2")
    assert text.startswith("8\n") and "--level 1 is the highest" in text and "inconclusive: trace" in text, text
    text = proved("--size", "9000")
    assert text.startswith("8\n") and "Message too long (the largest --size is" in text, text

    monkeypatch.setenv("SPPR_RUN_DIR", tap_lab.env["SPPR_RUN_DIR"])
    state = states.load(tap_lab.session)
    web, other = state.plan.wiring.chains
    lost = (replace(web.forward[0], dst="tap:3"),), (replace(other.forward[0], dst="tap:1"),)
    swapped = tuple(replace(chain, forward=legs) for chain, legs in zip((web, other), lost, strict=True))
    state.plan = state.plan.with_wiring(replace(state.plan.wiring, chains=swapped))
    reconcile.apply(state.plan)
    proof = prove(state, swapped[0], Options(level=1, frames=100))
    assert proof.verdict == "fail" and "100 frames arrived at tap:3, an end of chain other" in proof.reasons, proof
    assert "forward: 100 of 100 frames lost somewhere: upstream SPP counts no frames" in proof.reasons
    subprocess.run(["ip", "link", "set", f"{tap_lab.tap}a", "down"], check=True)
    proof = prove(state, swapped[0], Options(level=1, frames=100))
    assert proof.verdict == "inconclusive" and "Network is down (ip link set" in proof.reasons[0], proof
