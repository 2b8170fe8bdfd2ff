"""The data plane against a hostile local user: launch options, who the controller is, privileges, planted files."""

from pathlib import Path

import pytest

from tests.live.dataplane import Lab, wait_for
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
