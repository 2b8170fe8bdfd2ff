"""sppsh on real guests: one lab with two VMs of each kind, all commands, and unique identities."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.conftest import ROOT
from tests.live import labs
from tests.live.dataplane_lab import wait_for
from tests.live.labs import Lab

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]
VMS = {"vm-r6": 6, "vm-r7": 7, "vm-v11": 11, "vm-v12": 12}


@pytest.fixture(scope="module")
def lab(base_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with labs.running(
        tmp_path_factory.mktemp("sppsh"), "testsppsh7", base_image, "-ns", "1", "-nr", "2", "-nv", "2", timeout=280
    ) as made:
        yield made


def sppsh(lab: Lab, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "bin/sppsh", "--session", lab.session, *words], env=lab.env, cwd="/", stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def listed(lab: Lab) -> dict[int, dict[str, object]]:
    return {row["id"]: row for row in json.loads(sppsh(lab, "-l", "--json").stdout)}


def test_guests_are_listed_with_address_and_state(lab: Lab) -> None:
    rows = listed(lab)
    assert {row["host"]: vm_id for vm_id, row in rows.items()} == VMS
    assert all(row["state"] == "ready" and row["pid"] for row in rows.values())
    lines = sppsh(lab, "-l").stdout.splitlines()
    assert [line.split() for line in lines] == [[str(i), r["host"], r["address"], "ready"] for i, r in rows.items()]


def test_guest_of_another_folder_needs_its_session_name(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "conf.yml").write_text(lab.conf.read_text())
    for words in (["--shutdown", "11"], ["-r", "11", "true"], ["11"]):
        done = subprocess.run(
            [ROOT / "bin/sppsh", *words], env=lab.env, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 1 and f"belongs to the lab of {lab.conf}" in done.stderr, done.stderr
    assert sppsh(lab, "-r", "11", "hostname").stdout == "vm-v11\n"


def test_no_two_guests_share_an_identity(lab: Lab) -> None:
    what = (
        "hostname",
        "cat /etc/machine-id",
        "cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub",
        "cat /sys/class/net/eth0/address",
        "cat /sys/firmware/qemu_fw_cfg/by_name/opt/sppr/id/raw; echo",
        "head -c 16 /dev/urandom | od -An -tx8",
    )
    done = sppsh(lab, "-r", "all", "; ".join(what))
    assert done.returncode == 0, done.stdout + done.stderr
    printed: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        name, value = line.split(": ", 1)
        printed.setdefault(name, []).append(value)
    assert set(printed) == set(VMS) and all(values[0] == name for name, values in printed.items())
    for command, *values in zip(what, *printed.values(), strict=True):
        assert len(set(values)) == 4 and all(values), (command, values)


def test_arguments_output_and_status_are_as_with_ssh(lab: Lab) -> None:
    done = sppsh(lab, "-r", "vm-r6", "ls", "-d", "/etc/../etc")
    assert (done.returncode, done.stdout) == (0, "/etc/../etc\n"), done.stderr
    done = sppsh(lab, "-r", "6", "echo to err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "to err\n")
    done = sppsh(lab, "-r", "all", 'test "$(hostname)" != vm-r7 || exit 3')
    assert done.returncode == 3 and done.stderr == "vm-r7: exit status 3\n"


def test_names_are_matched_exactly(lab: Lab) -> None:
    for word in ("1", "vm-v1", "vm-v111", "vm", "11 ", "01"):
        done = sppsh(lab, "-r", word, "true")
        assert done.returncode == 1 and f"{word}: no such guest" in done.stderr, word
        assert "6 (vm-r6), 7 (vm-r7), 11 (vm-v11), 12 (vm-v12)" in done.stderr


def test_invalid_arguments_are_usage_errors(lab: Lab) -> None:
    for words in ((), ("-l", "-c", "11"), ("-r", "11"), ("11", "12"), ("--shutdown", "11", "x"), ("all",)):
        done = sppsh(lab, *words)
        assert done.returncode == 2 and "Error: " in done.stderr and "Traceback" not in done.stderr, words


def test_login_gives_a_shell_on_a_terminal(lab: Lab) -> None:
    guest = pexpect.spawn(str(ROOT / "bin/sppsh"), ["--session", lab.session, "7"], env=lab.env, timeout=60)  # type: ignore[arg-type]
    guest.expect(rb"root@vm-r7:~# ")
    guest.sendline("tty; id -un; exit 5")
    guest.expect(rb"/dev/pts/0\r+\nroot")
    guest.expect(pexpect.EOF)
    guest.close()
    assert guest.exitstatus == 5


def test_unknown_account_is_refused_by_the_guest(lab: Lab) -> None:
    done = sppsh(lab, "-a", "nobody", "-r", "6", "id")
    assert done.returncode == 255 and "nobody@127.0.0.1: Permission denied" in done.stderr


def test_console_is_the_pane_of_the_vm(lab: Lab) -> None:
    window = wait_for("a window", lambda: lab.status()["vm_r6"]["window_id"])
    client = pexpect.spawn(str(ROOT / "bin/sppsh"), ["--session", lab.session, "-c", "6"], env=lab.env, timeout=60)  # type: ignore[arg-type]
    client.setwinsize(40, 120)
    client.expect(rb"root@vm-r6:~# ")
    pane = lab.status()["vm_r6"]["pane"]
    shown = lab.tmux("display-message", "-p", "-t", f"={lab.session}:", "#{window_id} #{pane_id}").split()
    assert shown == [window, pane]
    client.send("echo con''sole\n")
    client.expect(b"console")
    client.close(force=True)
    plain = sppsh(lab, "-c", "6")
    assert plain.returncode == 3 and "this is no terminal" in plain.stderr


def test_host_name_changes_in_the_guest_and_in_the_list(lab: Lab) -> None:
    for name, message in (("vm-r7", "is the name of vm-r7"), ("a b", "cannot be a host name"), ("12", "is reserved")):
        done = sppsh(lab, "--rename", "6", name)
        assert done.returncode == 2 and message in done.stderr, done.stderr
    done = sppsh(lab, "--rename", "vm-r6", "web")
    assert done.returncode == 0 and "vm-r6 is web now" in done.stdout, done.stderr
    assert listed(lab)[6]["host"] == "web"
    done = sppsh(lab, "-r", "web", "hostname; cat /etc/hostname; grep web /etc/hosts")
    assert done.stdout == "web\nweb\n127.0.1.1 web\n", done.stderr
    # The boot scripts keep it.
    assert sppsh(lab, "-r", "vm-r6", "/usr/lib/sppr/identity; hostname").stdout == "web\n"


def test_one_guest_is_shut_down_and_then_all(lab: Lab) -> None:
    """The last test of this file: afterwards no guest runs."""
    done = sppsh(lab, "--shutdown", "vm-v11")
    assert (done.returncode, done.stdout) == (0, "vm-v11 is off\n"), done.stderr
    assert listed(lab)[11]["state"] == "stopped"
    done = sppsh(lab, "-r", "11", "true")
    assert done.returncode == 1 and "vm-v11: does not run (stopped)" in done.stderr
    done = sppsh(lab, "--shutdown-all")
    assert done.returncode == 0 and sorted(done.stdout.splitlines()) == ["vm-r7 is off", "vm-v12 is off", "web is off"]
    assert not any(row["pid"] for row in listed(lab).values())
    done = sppsh(lab, "--shutdown-all")
    assert done.returncode == 1 and "no guest runs" in done.stderr


def test_without_a_session_no_guest_is_found(tmp_path: Path) -> None:
    env = {**os.environ, "SPPR_RUN_DIR": str(tmp_path)}
    done = subprocess.run([ROOT / "bin/sppsh", "-l"], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "no guests\n")
