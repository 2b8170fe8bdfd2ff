"""The data plane against a hostile local user: launch options, who the controller is, privileges, planted files."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.dataplane import Controller, Lab, wait_for
from tests.live.test_dataplane_features import launch_words

pytestmark = pytest.mark.live


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


# --- launch ---


def test_launch_refuses_every_option_that_is_not_listed(lab: Lab) -> None:
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


def test_launch_adds_what_is_missing_and_cleans_the_environment(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
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


# --- who the controller is ---

#: Accept one connection, send a command, print what comes back. Listens on each address given.
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
def stranger(port: int, *addresses: str) -> Iterator[subprocess.Popen[str]]:
    """A controller of another user."""
    argv = ["/usr/bin/python3", "-c", STRANGER, str(port), *addresses]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, user="nobody") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::"])
def test_a_listener_of_another_user_is_not_obeyed(lab: Lab, address: str) -> None:
    _, primary = lab.start_primary()
    lab.secondary_port.close()
    port = lab.secondary_port.port
    refusal = f"spp_nfv: the controller at 127.0.0.1:{port} belongs to uid 65534, which is neither root nor the user"
    with stranger(port, address) as process:
        assert process.stdout is not None
        nfv = lab.run("nfv1", lab.nfv_argv(1))
        nfv.wait_said(refusal)
        assert [process.stdout.readline() for _ in range(2)] == ["got 0\n", "got 0\n"]
    assert "connected to" not in nfv.text()
    lab.secondary_port = Controller(port)
    connection = lab.secondary_port.accept()
    assert connection.ask("_get_client_id")["client_id"] == 1
    # each connection is checked anew
    connection.close()
    lab.secondary_port.close()
    with stranger(port, address):
        wait_for("a second refusal", lambda: nfv.text().count(refusal) == 2)
    lab.secondary_port = Controller(port)
    assert lab.secondary_port.accept().ask("_get_client_id")["client_id"] == 1
    assert nfv.text().count(refusal) == 2
    assert primary.status()


def test_a_connection_that_nobody_accepted_is_not_trusted(lab: Lab) -> None:
    """Root listens, another user accepts: who accepts counts."""
    process = lab.run("primary", lab.primary_argv())
    process.wait_said("Finished Process Init.")
    time.sleep(0.5)
    assert "connected to" not in process.text()
    listener = lab.primary_port.listener
    code = "import socket, sys, time; held = socket.socket(fileno=int(sys.argv[1])).accept(); time.sleep(60)"
    argv = ["/usr/bin/python3", "-c", code, str(listener.fileno())]
    thief = subprocess.Popen(argv, pass_fds=[listener.fileno()], user="nobody")
    try:
        process.wait_said("belongs to uid 65534")
    finally:
        thief.kill()
        thief.wait()
    assert lab.primary_port.accept().status()
