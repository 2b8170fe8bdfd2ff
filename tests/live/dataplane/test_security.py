"""The data plane and a hostile local user: launch options, identity of the controller, privileges, planted files."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live.dataplane.test_features import launch_words
from tests.live.dataplane_lab import Controller, Lab, listening, wait_for

pytestmark = pytest.mark.live


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


# --- launch ---


def test_launch_refuses_unlisted_options(lab: Lab) -> None:
    process, primary = lab.start_primary("--log-dir", str(lab.tmp))
    library = lab.tmp / "e.so"
    library.write_bytes(b"")
    good = launch_words(lab, 3)
    eal = {
        f"-d {library}": "-d",
        f"-d{library}": "-d",
        f"--driver-path {library}": "--driver-path",
        f"--driver-p={library}": "--driver-p",
        "--vdev net_pcap0,tx_pcap=/tmp/x": "--vdev",
        "--vdev=net_vhost0,iface=/tmp/x": "--vdev",
        "--vdev net_memif0": "--vdev",
        "--vdev net_af_packet0,iface=lo": "--vdev",
        "--vdev net_tap9,iface=/tmp/x": "--vdev",
        "--vde net_null9": "--vde",
        "--huge-dir /tmp": "--huge-dir",
        "--huge-d=/tmp": "--huge-d",
        "--file-prefix other": "--file-prefix",
        "--file-prefix=other": "--file-prefix",
        "--proc-type primary": "--proc-type",
        "--no-pci=1": "--no-pci",
        "-l": "-l",
    }
    for bad, name in eal.items():
        reply = primary.ask(f"launch 3 spp_nfv {bad} {' '.join(good)}")
        assert reply["result"] == "failed", bad
        assert f"option {name}" in reply["message"], (bad, reply)
    port = lab.secondary_port.port
    app = {
        "--sock-dir /tmp": "--sock-dir",
        "--sock-dir=/tmp": "--sock-dir",
        "--log-dir /tmp": "--log-dir",
        "--out-dir /tmp": "--out-dir",
        f"-s 10.0.0.1:{port}": "-s",
        f"-s 127.0.0.2:{port}": "-s",
        f"-c ring:{1}": "-c",
    }
    for bad, name in app.items():
        reply = primary.ask(f"launch 3 spp_nfv {' '.join(good)} {bad}")
        assert reply["result"] == "failed", bad
        assert f"option {name}" in reply["message"], (bad, reply)
        assert reply["message"] in process.text()
    for program in ("sh", "../spp_nfv", "spp_primary", "spp_vm", "spp_nfv2"):
        assert "not one of" in primary.ask(f"launch 3 {program} {' '.join(good)}")["message"]
    assert children(process.pid) == []
    assert not (lab.tmp / "spp_nfv-3.log").exists()


def test_launch_adds_missing_options_and_cleans_the_environment(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_BIND_NOW", "1")
    monkeypatch.setenv("SPPR_SECRET", "x")
    monkeypatch.setenv("LANG", "C")
    process, primary = lab.start_primary("--log-dir", str(lab.tmp))
    words = launch_words(lab, 3)
    at = words.index("--file-prefix")
    primary.ok("launch 3 spp_nfv " + " ".join(words[:at] + words[at + 2 :]))
    nfv = lab.secondary_port.accept()
    assert nfv.ask("_get_client_id")["client_id"] == 3
    (pid,) = children(process.pid)
    argv = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    assert argv[argv.index("--sock-dir") + 1] == str(lab.sockets)
    environment = Path(f"/proc/{pid}/environ").read_text()
    names = {entry.partition("=")[0] for entry in environment.split("\0") if entry}
    known = {"PATH", "HOME", "TERM", "LANG", "SUDO_UID", "SUDO_GID", "SUDO_USER", "XDG_RUNTIME_DIR"}
    assert {"PATH", "LANG"} <= names <= known
    nfv.ok("add vhost:0")
    assert (lab.sockets / "sock0").is_socket()
    nfv.ok("exit")
    wait_for("the child to end", lambda: not Path(f"/proc/{pid}").exists())


# --- the identity of the controller ---

#: Accept one connection on the given addresses, send a command, print the reply.
STRANGER = """
import select, socket, sys
listeners = []
for address in sys.argv[2:]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    both = family == socket.AF_INET6
    listeners.append(socket.create_server((address, int(sys.argv[1])), family=family, dualstack_ipv6=both))
print("listening", flush=True)
while True:
    for ready in select.select(listeners, [], [])[0]:
        connection = ready.accept()[0]
        try:
            connection.sendall(b"status")
            print("got", len(connection.recv(65536)), flush=True)
        except OSError:
            print("got 0", flush=True)
"""


@contextlib.contextmanager
def controller_of_another_user(port: int, *addresses: str) -> Iterator[subprocess.Popen[str]]:
    """A controller of another user."""
    argv = ["/usr/bin/python3", "-c", STRANGER, str(port), *addresses]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, user="nobody") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::"])  # noqa: S104
def test_commands_of_another_user_are_ignored(lab: Lab, address: str) -> None:
    _, primary = lab.start_primary()
    lab.secondary_port.close()
    port = lab.secondary_port.port
    refusal = f"spp_nfv: the controller at 127.0.0.1:{port} belongs to uid 65534, which is neither root nor the user"
    with controller_of_another_user(port, address) as process:
        assert process.stdout is not None
        nfv = lab.run("nfv1", lab.nfv_argv(1))
        nfv.wait_printed(refusal)
        assert [process.stdout.readline() for _ in range(2)] == ["got 0\n", "got 0\n"]
    assert "connected to" not in nfv.text()
    lab.secondary_port = Controller(port)
    connection = lab.secondary_port.accept()
    assert connection.ask("_get_client_id")["client_id"] == 1
    # each connection is checked
    connection.close()
    lab.secondary_port.close()
    with controller_of_another_user(port, address):
        wait_for("a second refusal", lambda: nfv.text().count(refusal) == 2)
    lab.secondary_port = Controller(port)
    assert lab.secondary_port.accept().ask("_get_client_id")["client_id"] == 1
    assert nfv.text().count(refusal) == 2
    assert primary.status()


def test_connection_that_root_did_not_accept_is_not_trusted(lab: Lab) -> None:
    """Root listens, and another user accepts: the accepting process counts."""
    process = lab.run("primary", lab.primary_argv())
    process.wait_printed("Finished Process Init.")
    time.sleep(0.5)
    assert "connected to" not in process.text()
    listener = lab.primary_port.listener
    code = "import socket, sys, time; held = socket.socket(fileno=int(sys.argv[1])).accept(); time.sleep(60)"
    argv = ["/usr/bin/python3", "-c", code, str(listener.fileno())]
    thief = subprocess.Popen(argv, pass_fds=[listener.fileno()], user="nobody")
    try:
        process.wait_printed("belongs to uid 65534")
    finally:
        thief.kill()
        thief.wait()
    assert lab.primary_port.accept().status()


# --- privileges ---

#: linux/capability.h
CAPABILITIES = {"chown": 0, "dac_override": 1, "setgid": 6, "setuid": 7, "net_admin": 12, "net_raw": 13}
SUDO_NEEDS = ("dac_override", "chown", "setuid", "setgid")


def thread_fields(pid: int, *names: str) -> set[tuple[str, ...]]:
    """Return the values of these fields of /proc/PID/status, over all threads."""
    found = set()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        lines = (line.partition(":") for line in (thread / "status").read_text().splitlines())
        fields = {name: value.strip() for name, _, value in lines}
        found.add(tuple(fields[name] for name in names))
    return found


def assert_kept(pid: int, *kept: str) -> None:
    """Check that every thread has exactly these capabilities."""
    mask = f"{sum(1 << CAPABILITIES[name] for name in kept):016x}"
    none = f"{0:016x}"
    fields = thread_fields(pid, "NoNewPrivs", "CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")
    assert fields == {("1", mask, mask, mask, none, none)}


def test_every_thread_has_the_kept_capabilities_only(lab: Lab) -> None:
    primary_process, primary = lab.start_primary("--log-dir", str(lab.tmp))
    nfv_process, nfv = lab.start_nfv(1)
    primary.ok("launch 2 spp_nfv " + " ".join(launch_words(lab, 2)))
    launched = lab.secondary_port.accept()
    assert launched.ask("_get_client_id")["client_id"] == 2
    (child,) = children(primary_process.pid)
    for pid in (primary_process.pid, nfv_process.pid, child):
        assert len(list(Path(f"/proc/{pid}/task").iterdir())) > 2
        assert_kept(pid, "net_admin")
    for process in (primary_process, nfv_process):
        assert process.text().count("capabilities kept: net_admin\n") == 1
    number = os.getpid() % 9000
    for connection in (nfv, launched):
        connection.ok(f"add tap:{number}", "add vhost:1", "add memif:1", "add ivshmem:1", f"add pcap:{number}")
        connection.ok(f"del tap:{number}", "del vhost:1", "del memif:1", "del ivshmem:1", f"del pcap:{number}")
    assert (lab.sockets / f"spp-tx{number}.pcap").is_file() and not Path(f"/tmp/spp-tx{number}.pcap").exists()
    os.kill(child, signal.SIGTERM)
    wait_for("the child to end", lambda: not Path(f"/proc/{child}").exists())


def test_capabilities_for_files_of_the_user_are_kept_under_sudo(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "65534")
    monkeypatch.setenv("SUDO_GID", "65534")
    lab.sockets.chmod(0o700)
    os.chown(lab.sockets, 65534, 65534)
    primary_process, primary = lab.start_primary("--log-dir", str(lab.sockets))
    primary.ok("launch 2 spp_nfv " + " ".join(launch_words(lab, 2)))
    nfv = lab.secondary_port.accept()
    assert nfv.ask("_get_client_id")["client_id"] == 2
    (child,) = children(primary_process.pid)
    for pid in (primary_process.pid, child):
        assert_kept(pid, "net_admin", *SUDO_NEEDS)
    assert "capabilities kept: net_admin, dac_override, chown, setuid, setgid\n" in primary_process.text()
    number = os.getpid() % 9000
    nfv.ok(f"add tap:{number}", "add vhost:1", "add memif:1", "add ivshmem:1", f"add pcap:{number}")
    written = lab.sockets / f"spp-tx{number}.pcap"
    names = ("sock1", "ivshmem1", "spp-memif.2.sock")
    made = [path.stat() for path in (*(lab.sockets / name for name in names), written)]
    assert {(status.st_uid, status.st_gid) for status in made} == {(65534, 65534)}
    nfv.ok("exit")
    written.unlink()
    wait_for("the child to end", lambda: not Path(f"/proc/{child}").exists())


def test_raw_socket_capability_is_kept_for_vdevs_that_need_it(lab: Lab) -> None:
    process, primary = lab.start_primary(vdevs=("net_af_packet0,iface=lo", "net_pcap1,iface=lo"))
    assert_kept(process.pid, "net_admin", "net_raw")
    assert len(primary.status()["phy_ports"]) == 2


# --- files in a directory where every user can write ---


@pytest.fixture
def planted(lab: Lab) -> tuple[int, Path, Path]:
    """A number, and the paths of ``pcap:NUMBER``, which another user may have created first."""
    return 7, lab.sockets / "spp-rx7.pcap", lab.sockets / "spp-tx7.pcap"


def give_to_another_user(path: Path) -> None:
    path.touch()
    os.chown(path, 65534, 65534)


def test_pcap_refuses_files_of_another_user(lab: Lab, planted: tuple[int, Path, Path]) -> None:
    number, rx, tx = planted
    lab.start_primary()
    _, nfv = lab.start_nfv(1)
    victim = lab.tmp / "victim"
    victim.write_text("precious")
    plants: tuple[tuple[str, Callable[[Path], None]], ...] = (
        ("is a symbolic link", lambda path: path.symlink_to(victim)),
        ("is a symbolic link", lambda path: path.symlink_to(lab.tmp / "new")),
        ("has a second name", lambda path: os.link(victim, path)),
        ("belongs to another user", give_to_another_user),
        ("", os.mkfifo),
    )
    for path in (rx, tx):
        for reason, plant in plants:
            plant(path)
            reply = nfv.ask(f"add pcap:{number}")
            assert reply["result"] == "failed", (path, reason)
            assert reason in reply["message"] or "Permission denied" in reply["message"]
            path.unlink()
            tx.unlink(missing_ok=True)
    assert victim.read_text() == "precious"
    assert not (lab.tmp / "new").exists()
    nfv.ok(f"add pcap:{number}")
    assert tx.is_file()


def test_socket_of_another_user_is_kept(lab: Lab) -> None:
    lab.start_primary()
    _, server = lab.start_nfv(1)
    _, client = lab.start_nfv(2, "--vhost-client")
    path = lab.sockets / "sock7"
    with listening(path):
        os.chown(path, 65534, 65534)
        assert "belongs to another user" in client.ask("add vhost:7")["message"]
    assert "belongs to user 65534" in server.ask("add vhost:7")["message"]
    assert path.is_socket()
    path.unlink()
    target = lab.tmp / "target"
    path.symlink_to(target)
    for connection in (server, client):
        assert "not a socket" in connection.ask("add vhost:7")["message"]
    assert path.is_symlink()
    path.unlink()
    for name in ("ivshmem7", "spp-memif.1.sock"):
        (lab.sockets / name).symlink_to(target)
    server.failed("add ivshmem:7")
    server.failed("add memif:7")
    assert not target.exists()
    region = lab.tmp / "region"
    region.touch(0o600)
    os.truncate(region, 4 << 20)
    (lab.sockets / "ivshmem7").unlink()
    os.link(region, lab.sockets / "ivshmem7")
    assert "second name" in server.ask("add ivshmem:7")["message"]
