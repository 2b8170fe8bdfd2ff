"""VMs by name or id, the host names of guests, and the options of ssh."""

import os
import socket
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from sppr.deadline import Deadline
from sppr.errors import ConfigError
from sppr.host.process import pids
from sppr.lab import guests
from sppr.lab.guests import Guest, NoGuest


def guest(vm: str, folder: Path = Path("/i"), host: str = "", port: int = 22000, running: bool = True) -> Guest:
    disk = folder / "img" / f"{vm}-base.qcow2"
    state = "ready" if running else "failed"
    return Guest(
        int(vm[1:]), vm, host or f"vm-{vm}", state, port, disk, Path("/q"), pids.Proc(1, 1) if running else None
    )


GUESTS = [guest("r1"), guest("v11"), guest("v12", running=False), guest("r2", host="web")]


@pytest.mark.parametrize(
    ("word", "vm"),
    [("1", "r1"), ("11", "v11"), ("vm-v11", "v11"), ("vm_v11", "v11"), ("v11", "v11"), ("web", "r2"), ("vm-r2", "r2")],
)
def test_name_or_id_finds_one_guest(word: str, vm: str) -> None:
    assert [found.vm for found in guests.select(GUESTS, word)] == [vm]


@pytest.mark.parametrize("word", ["", "0", "01", "111", "vm", "vm-v", "vm-v1", "VM-V11", "we", "vm-v11 "])
def test_prefix_of_a_name_finds_no_guest(word: str) -> None:
    with pytest.raises(NoGuest, match="no such guest") as e:
        guests.select(GUESTS, word)
    assert e.value.hint == "guests: 1 (vm-r1), 11 (vm-v11), 12 (vm-v12), 2 (web)"


def test_all_finds_the_running_guests() -> None:
    assert [found.vm for found in guests.select(GUESTS, "all")] == ["r1", "v11", "r2"]
    with pytest.raises(NoGuest, match="no guest runs"):
        guests.select([guest("v12", running=False)], "all")
    with pytest.raises(NoGuest, match=r"vm-v12: does not run \(failed\)"):
        guests.require_running(GUESTS[2])


@pytest.mark.skipif(os.geteuid() != 0, reason="starts a process of another user, which needs root")
def test_process_of_another_user_is_not_a_guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process has the name of a VM started by hand. It must not receive commands or a name file."""
    monkeypatch.setenv("SPPR_RUN_DIR", str(tmp_path))
    words = ["sleep", "60", "-name", "guest=vm-v11", f"path={tmp_path}/lab/vm_v11.qmp", "hostfwd=tcp:127.0.0.1:22-:22"]
    code = "import sys, time; print(flush=True); time.sleep(60)"
    for uid, seen in ((65534, []), (0, ["v11"])):
        argv = ["/usr/bin/python3", "-c", code, *words]
        with subprocess.Popen(argv, user=uid, cwd="/", stdout=subprocess.PIPE) as process:
            assert process.stdout and process.stdout.readline()
            assert [found.vm for found in guests.guests("lab")] == seen
            process.kill()


def test_templates_of_both_kinds_have_id_0() -> None:
    with pytest.raises(NoGuest, match="0: ambiguous, it is the id of vm-r0, vm-v0"):
        guests.select([guest("r0"), guest("v0")], "0")


@pytest.mark.parametrize(
    "name", ["a b", "-a", "a-", "A", "ä", "x" * 64, "", "a;reboot", "12", "all", "vm-v11", "web", "r1"]
)
def test_invalid_or_duplicate_host_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        guests.check_new_name(GUESTS, GUESTS[0] if name != "r1" else GUESTS[1], name)


def test_new_name_is_written_beside_the_disk(tmp_path: Path) -> None:
    one = guest("v11", tmp_path)
    one.disk.parent.mkdir()
    guests.check_new_name(GUESTS, one, "db-1")
    assert guests.given_name(one.disk) is None
    guests.record_name(one, "db-1")
    assert guests.given_name(one.disk) == "db-1"
    for broken in ("", "[]", "{}", '{"hostname": 1}', '{"hostname": "a b"}'):
        (one.disk.parent / ".v11-base.qcow2.name").write_text(broken)
        assert guests.given_name(one.disk) is None


def test_ssh_uses_the_key_of_the_lab_and_stores_no_host_keys() -> None:
    words = guest("v11", port=22011).ssh("root", "-n")
    assert words[:3] == ["ssh", "-i", "/i/lab_key"] and words[-5:] == ["-n", "-l", "root", "--", "127.0.0.1"]
    assert "UserKnownHostsFile=/dev/null" in words and words[words.index("-p") + 1] == "22011"
    with pytest.raises(NoGuest, match="has no ssh port"):
        guest("v11", port=0).ssh("root")


def test_guest_on_a_bridge_has_ssh_at_its_link_local_address() -> None:
    one = replace(guest("v11", port=22), link_local="fe80::ff:fe00:1%br0")
    words = one.ssh("root")
    assert one.address == "fe80::ff:fe00:1%br0" and words[-2:] == ["--", one.address]
    assert words[words.index("-p") + 1] == "22"


@pytest.mark.skipif(os.geteuid() != 0, reason="a process of root, or of sppr-vm, counts only")
def test_guest_on_a_bridge_that_was_started_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPPR_RUN_DIR", str(tmp_path))
    monkeypatch.setattr(
        guests.bridge, "bridge_of", lambda tap: "br7" if tap == guests.bridge.tap_name(tmp_path / "lab", "v11") else ""
    )
    words = ["-name", "guest=vm-v11", f"path={tmp_path}/lab/vm_v11.qmp"]
    words += ["name=opt/sppr/bridge,string=02:00:00:00:00:01"]
    code = "import time; print(flush=True); time.sleep(60)"
    with subprocess.Popen(["/usr/bin/python3", "-c", code, *words], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        (found,) = guests.guests("lab")
        process.kill()
    assert (found.address, found.port) == ("fe80::ff:fe00:1%br7", 22)


def test_user_name_that_is_an_ssh_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    from sppr.cli import sppsh

    for user in ("-oProxyCommand=touch x", ""):
        with pytest.raises(SystemExit) as e:
            sppsh.main(["-a", user, "11"])
        assert e.value.code == 2 and "is no name of a user" in capsys.readouterr().err


def serve(answers: list[bytes]) -> int:
    """A port as QEMU forwards it: each connection is accepted, receives one of ``answers``, and is closed."""
    server = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        for answer in answers:
            client, _ = server.accept()
            with client:
                client.sendall(answer)
        server.close()

    threading.Thread(target=run, daemon=True).start()
    port: int = server.getsockname()[1]
    return port


def test_wait_for_sshd_ends_at_its_banner() -> None:
    port = serve([b"", b"", b"SSH-2.0-OpenSSH_9.2\r\n"])
    guests.wait_sshd(guest("v11", port=port), Deadline(10))
    with pytest.raises(NoGuest, match="its sshd did not answer within 0 s"):
        guests.wait_sshd(guest("v11", port=serve([b"", b""])), Deadline(0.1))
