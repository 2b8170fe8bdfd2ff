"""Labs over several hosts, each in namespaces of its own with an ssh server (tests/live/hosts.py)."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.live.dataplane_lab import wait_for
from tests.live.hosts import FOLDER, Machines, machines

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

CONF = """\
session: far
hosts:
{hosts}
links: [{{between: [east, west]}}]
primary: {{memory: 128}}
secondaries:
  - {{id: 1, coremask: 0x0C, host: east}}
  - {{id: 1, coremask: 0x0C, host: west}}
chains:
  wire: {{path: [east/tap:0, west/tap:0]}}
  other: {{path: [west/tap:1, east/tap:1]}}
"""


class Workstation:
    """The folder with conf.yml of all hosts, and sppr on the workstation."""

    def __init__(self, found: Machines, folder: Path) -> None:
        self.machines, self.folder = found, folder
        self.write(CONF)

    def write(self, text: str, user: str = "root") -> None:
        hosts = "".join(f"  {name}: {self.machines.inventory_words(name, user)}\n" for name in self.machines.all)
        (self.folder / "conf.yml").write_text(text.format(hosts=hosts))

    def argv(self, *words: str) -> list[str]:
        return self.machines.command(sys.executable, "-m", "sppr", *words)

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "ANSIBLE_HOME": str(self.folder / "ansible"),
                "SPPR_RUN_DIR": str(self.folder / "run")}  # fmt: skip

    def sppr(self, *words: str, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run sppr in the folder, and check its exit status."""
        found = subprocess.run(
            self.argv(*words), cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=200
        )
        print(words, found.returncode, found.stdout, found.stderr)
        if status is not None:
            assert found.returncode == status, found.stdout + found.stderr
        return found

    def there(self, host: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run sppr on a host, as its user would."""
        clean = ("env", "-i", f"PATH={os.defpath}", "HOME=/root")
        return self.machines.all[host].run(*clean, sys.executable, "-m", "sppr", *words, check=False)


@pytest.fixture
def east_west(programs: None, tmp_path: Path) -> Iterator[Workstation]:
    """Two machines without a lab."""
    with machines(tmp_path, "east", "west") as found:
        yield Workstation(found, tmp_path)


@pytest.fixture(scope="module")
def pair(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workstation]:
    """Two machines that the tests of one running lab share: bring-ups take most of the time."""
    folder = tmp_path_factory.mktemp("pair")
    with machines(folder, "east", "west") as found:
        yield Workstation(found, folder)


@pytest.fixture
def running(pair: Workstation) -> Workstation:
    """The lab on these two machines, which the tests leave as it is."""
    if pair.sppr("status", status=None).returncode:
        pair.sppr("up", "--detach")
    return pair


def proof(text: str) -> list[str]:
    """Return the lines of a proof that count frames, and its verdicts."""
    return [line for line in text.splitlines() if "frames of" in line or line.startswith(("pass", "fail", "inconcl"))]


def outer(vni: int, vlan: int, number: int) -> bytes:
    """Return the payload of a VXLAN packet: a numbered frame of a chain."""
    frame = b"\x02\0\0\0\0\1\x02\0\0\0\0\2\x91\0" + vlan.to_bytes(2) + b"\x88\xb5" + number.to_bytes(4)
    return b"\x08\0\0\0" + vni.to_bytes(3) + b"\0" + frame.ljust(64, b"\0")


def test_up_on_clean_hosts_then_again_and_proof(pair: Workstation) -> None:
    first = pair.sppr("up", "--detach")
    assert "east  is up\n" in first.stdout and "west  is up\n" in first.stdout
    second = pair.sppr("up", "--detach")
    assert second.stdout.count("is up already: nothing was changed") == 2
    rows = json.loads(pair.sppr("status", "--json").stdout)
    assert {row["name"] for row in rows["west"]["parts"]} == {"ctrler", "pri", "sec1"} and rows["east"]["status"] == 0
    shown = pair.sppr("status").stdout
    assert shown.count("chain wire: up") == shown.count("chain other: up") == 2
    for host, vlan in (("east", 2), ("west", 3)):
        assert f"link:east-west/{vlan}" in (pair.machines.all[host].run("cat", f"{FOLDER}/far/conf.yml").stdout)
    proved = proof(pair.sppr("chain", "prove", "--all", "--yes").stdout)
    for chain in ("wire", "other"):
        for direction in ("forward", "reverse"):
            for size in (64, 1518):
                line = f"{chain}  {direction}  2,000 of 2,000 frames of {size} B  0 lost  0 reordered"
                assert line in [one.strip() for one in proved], proved
    assert [line for line in proved if "pass" in line] == ["pass: consistency, reach, trace"] * 4
    shown = pair.sppr("topo", "-o", "far.svg").stdout
    assert shown == "far.svg: 4 processes, 2 chains\n"
    assert "link:east-west/2</text>" in (pair.folder / "far.svg").read_text()
    listed = json.loads(pair.sppr("chain", "--json").stdout)
    assert [(row["name"], row["state"]) for row in listed] == [("wire", "up"), ("other", "up")]


def test_cut_cable_is_reported_and_heals(running: Workstation) -> None:
    running.machines.link("west", "down")
    start = time.monotonic()
    found = running.sppr("status", status=1).stdout
    assert time.monotonic() - start < 20
    assert "unreachable" in found.partition("host west")[2]
    assert "link east-west: 192.0.2.12 does not answer" in found.partition("host west")[0]
    assert "ready" in found.partition("host west")[0]
    listed = running.sppr("chain", status=0).stdout
    assert "west is unreachable" in listed
    drawn = running.sppr("topo", "--interval", "0")
    assert "west is not in the picture: sppr status shows why" in drawn.stderr and "east/tap:0" in drawn.stdout
    again = running.sppr("up", "--detach", status=1)
    assert "east  is up already: nothing was changed" in again.stdout and "west  is unreachable" in again.stderr
    running.machines.link("west", "up")
    wait_for("the path is back", lambda: running.machines.all["east"].run(
        "ping", "-c1", "-W1", "192.0.2.12", check=False).returncode == 0)  # fmt: skip
    healed = running.sppr("up", "--detach")
    assert healed.stdout.count("nothing was changed") == 2
    assert "pass" in running.sppr("chain", "prove", "wire", "--yes").stdout


def test_sigkill_of_a_proof_then_the_ends_are_restored(running: Workstation) -> None:
    process = subprocess.Popen(
        running.argv("chain", "prove", "wire", "--yes", "--frames", "100000"), cwd=running.folder,
        env=running.env, stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    patches = lambda host: running.there(host, "chain", "show", "wire", "--session", "far")  # noqa: E731
    status = lambda host: running.there(host, "status", "--session", "far").stdout  # noqa: E731
    wait_for("the ends are probes", lambda: "chain wire: down" in status("east"), 30)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    found = running.sppr("chain")
    assert "a proof was interrupted; its ends were restored" in found.stderr
    assert "chain wire: up" in status("east") and "chain wire: up" in status("west"), patches("east").stdout


def test_commands_on_a_host(running: Workstation) -> None:
    assert "chain wire: up" in running.sppr("on", "east", "status").stdout
    assert "spp_nfv" in running.sppr("on", "east", "logs", "sec1").stdout
    assert "→ link:east-west/2" in running.sppr("on", "east", "top", "--once").stdout
    wrong = running.sppr("status", "--host", "north", status=2)
    assert "--host north: conf.yml has no such host" in wrong.stderr
    for words in (("doctor", "--fix"), ("down", "--powerdown", "3"), ("up", "-ns", "1")):
        assert "not for a lab over several hosts" in running.sppr(*words, status=2).stderr


def test_a_link_takes_packets_of_the_other_host_at_its_address_only(running: Workstation) -> None:
    listed = json.loads(running.sppr("inventory").stdout)["all"]["children"]["sppr"]["hosts"]
    link = listed["east"]["sppr_links"][0]
    east, west = (running.machines.all[name] for name in ("east", "west"))
    east.run("ip", "addr", "add", "192.0.2.99/24", "dev", "eth0")

    def dropped() -> int:
        """Return the number of packets that the filter dropped; 0 without it."""
        shown = east.run("nft", "list", "table", "ip", link["netdev"], check=False).stdout
        return sum(int(number) for number in re.findall(r"counter packets (\d+) ", shown))

    def received() -> int:
        """Return the number of frames that the link took. The kernel sends some of its own from a tap."""
        found = json.loads(east.run("ip", "-json", "-s", "link", "show", "dev", link["netdev"]).stdout)
        return int(found[0]["stats64"]["rx"]["packets"])

    def send(command: Sequence[str], address: str) -> tuple[int, bool]:
        """Send ten packets. Return how many were dropped, and whether the link took ten or more."""
        before = dropped(), received()
        code = (
            "import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            "for _ in range(10): s.sendto(bytes.fromhex(sys.argv[2]), (sys.argv[1], 4789))"
        )
        words = [sys.executable, "-c", code, address, outer(link["vni"], 3, 1).hex()]
        subprocess.run([*command, *words], check=True)
        time.sleep(0.2)
        return dropped() - before[0], received() - before[1] >= 10

    other = ["nsenter", "-t", str(west.pid), "--net"]
    stranger = running.machines.command()
    assert send(other, "192.0.2.11") == (0, True)
    assert send(other, "192.0.2.99") == send(stranger, "192.0.2.11") == (10, False)
    east.run("ip", "addr", "del", "192.0.2.99/24", "dev", "eth0")
    east.run("nft", "delete", "table", "ip", link["netdev"])
    assert send(stranger, "192.0.2.11") == (0, True), "the filter was not what dropped them"
    running.sppr("up", "--detach")
    assert send(stranger, "192.0.2.11") == (10, False)


def test_host_without_python(running: Workstation) -> None:
    running.machines.all["west"].run("mount", "--bind", "/dev/null", "/usr/bin/python3")
    refused = running.sppr("up", "--detach", status=1)
    assert "python3 is missing there: apt-get install python3" in refused.stderr
    assert "east  is up already" in refused.stdout
    running.machines.all["west"].run("umount", "/usr/bin/python3")


def test_session_with_a_window_for_each_host_and_the_end(running: Workstation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMUX_TMPDIR", str(running.folder))
    attach = running.sppr("attach").stdout
    assert "attach: tmux attach -t =far-hosts" in attach
    windows = subprocess.run(
        ["tmux", "list-windows", "-t", "=far-hosts", "-F", "#{window_name}"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert windows == ["east", "west"]

    def screen(host: str) -> str:
        words = ["tmux", "capture-pane", "-p", "-t", f"=far-hosts:={host}"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    for host in windows:
        wait_for(f"{host} shows its lab", lambda host=host: "ctrler" in screen(host) and "w0" in screen(host))
    ended = running.sppr("down").stdout
    assert ended.count("is down") == 2
    assert subprocess.run(["tmux", "has-session", "-t", "=far-hosts"], capture_output=True, check=False).returncode
    for machine in running.machines.all.values():
        assert "vxlan" not in machine.run("ip", "-d", "link").stdout
        assert not machine.run("pgrep", "-f", "spp_primary", check=False).stdout
        assert "sppvx" not in machine.run("nft", "list", "tables").stdout


def test_programs_at_the_ends_and_a_chain_on_one_host(east_west: Workstation) -> None:
    """Datagrams of 4000 bytes are IPv4 fragments, which the kernel must not reassemble on the way."""
    ends = "east/tap:0: {{netns: a, address: 10.20.0.1/24}}, west/tap:0: {{netns: b, address: 10.20.0.2/24}}"
    text = CONF.replace("memory: 128", "memory: 128, portmask: 0x7").partition("chains:")[0]
    text += "chains:\n  wire: {{path: [east/tap:0, west/tap:0], ends: {{" + ends + "}}}}\n"
    east_west.write(text + "  local: {{path: [east/tap:1, east/tap:2]}}\n")
    east_west.sppr("up", "--detach")
    for size in ("56", "1472", "4000"):
        words = ["ping", "-q", "-c", "5", "-i", "0.3", "-W", "2", "-s", size, "10.20.0.2"]
        found = east_west.machines.all["east"].run("ip", "netns", "exec", "far-a", *words, check=False).stdout
        assert " 0% packet loss" in found, found
    written = east_west.folder / "proof.json"
    words = ["chain", "prove", "local", "--yes", "--frames", "300", "--rate", "300", "--json", str(written)]
    proved = east_west.sppr(*words).stdout
    assert "300 of 300 frames" in proved and "pass: consistency, reach, trace" in proved
    proofs = json.loads(written.read_text())
    assert [(row["chain"], row["verdict"]) for row in proofs] == [("local", "pass")]
    assert [run["received"] for run in proofs[0]["runs"]] == [300, 300]
    east_west.sppr("down")
    without = east_west.sppr(*words, status=8)
    assert "session far: not running" in without.stdout
    assert json.loads(written.read_text())[0]["reasons"] == ["east: it has no result"]
    east_west.write(text.partition("chains:")[0])
    assert "nothing was proved" in east_west.sppr("chain", "prove", "--all", status=2).stderr


def test_the_tutorial(east_west: Workstation) -> None:
    """docs/hosts.md from its conf.yml on, word by word. Only the options of ssh for these machines are added."""
    tutorial = (ROOT / "docs/hosts.md").read_text().partition("## From two machines")[2].partition("\n## ")[0]
    conf = tutorial.partition("```yaml\n")[2].partition("```")[0]
    ssh = east_west.machines.inventory_words("east").partition("vars: ")[2]
    for name in ("east", "west"):
        east_west.machines.install(name)
    (east_west.folder / "conf.yml").write_text(conf.replace("user: root }", f"user: root, vars: {ssh}"))
    blocks = tutorial.split("```\n")
    steps = re.findall(r"`sppr ([^`]+)`", tutorial.partition("5. **Check.**")[2])
    assert steps == ["plan", "doctor", "up --detach", "chain prove web", "down"]
    for step in steps:
        shown = east_west.sppr(*step.split()).stdout
        if step == "chain prove web":
            assert proof(shown) == proof(blocks[-2])


def test_a_cable_between_two_nics(east_west: Workstation) -> None:
    """An EAL device that no port type knows stands in for a NIC: the primary names it phy:0."""
    east_west.machines.cable("east", "west")
    devices = ["net_tap0,iface=vtap0", "net_tap1,iface=vtap1", "net_af_packet_nic0,iface=eth1"]
    conf = CONF.replace("{{memory: 128}}", f"{{{{memory: 128, portmask: 0x7, vdevs: {json.dumps(devices)}}}}}")
    cable = "{{phy: {{east: phy:0, west: phy:0}}}}"
    east_west.write(conf.replace("{{between: [east, west]}}", cable))
    assert "link:east-west  a cable, east phy:0 - west phy:0" in east_west.sppr("plan").stdout
    east_west.sppr("up", "--detach")
    assert "vxlan" not in east_west.machines.all["east"].run("ip", "-d", "link").stdout
    proved = proof(east_west.sppr("chain", "prove", "--all", "--yes").stdout)
    assert [line for line in proved if "pass" in line] == ["pass: consistency, reach, trace"] * 4
    east_west.machines.all["west"].run("ip", "link", "set", "eth1", "down")
    failed = east_west.sppr("chain", "prove", "wire", "--yes", "--frames", "50", "--size", "64", status=None)
    assert "fail" in "\n".join(proof(failed.stdout))
    east_west.sppr("down")
    east_west.write(conf.replace("{{between: [east, west]}}", cable.replace("west: phy:0", "west: phy:1")))
    refused = east_west.sppr("up", "--detach", "--host", "west", status=1)
    assert "phy:1 of link east-west: 1 NIC is bound to DPDK here" in refused.stderr


def test_ansible_playbook_by_hand_and_its_check_mode(east_west: Workstation) -> None:
    inventory = east_west.sppr("inventory").stdout
    source = east_west.folder / "inventory.json"
    source.write_text(inventory)
    book = ROOT / "sppr/hosts/playbooks/up.yml"
    words = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(source), str(book)]
    env = {**east_west.env, "ANSIBLE_SSH_CONTROL_PATH_DIR": str(east_west.folder / "cp"),
           "ANSIBLE_PIPELINING": "true"}  # fmt: skip

    def play(*more: str) -> str:
        found = subprocess.run(
            east_west.machines.command(*words, *more), cwd=east_west.folder, env=env, capture_output=True, text=True,
            timeout=200,
        )  # fmt: skip
        assert found.returncode == 0, found.stdout + found.stderr
        return found.stdout

    play("--check")
    assert "vxlan" not in east_west.machines.all["east"].run("ip", "-d", "link").stdout
    assert east_west.there("east", "status", "--session", "far").returncode != 0
    play()
    recap = play()
    assert recap.count("changed=0") == 2, recap
    east_west.sppr("down")


def test_host_that_died_is_set_up_again_by_a_user_with_sudo(east_west: Workstation) -> None:
    east_west.write(CONF, user="lab")
    east_west.sppr("up", "--detach")
    folder = east_west.machines.all["east"].run("stat", "-c", "%U %a", f"{FOLDER}/far").stdout
    assert folder == "root 700\n"
    assert "chain wire: up" in east_west.sppr("on", "west", "status").stdout
    east_west.machines.stop("west")
    found = east_west.there("east", "status", "--session", "far").stdout
    assert "link east-west: 192.0.2.12 does not answer" in found and "ready" in found
    east_west.machines.restart("west")
    again = east_west.sppr("up", "--detach").stdout
    assert "east  is up already: nothing was changed" in again and "west  is up\n" in again
    assert "pass" in east_west.sppr("chain", "prove", "wire", "--yes").stdout
    east_west.sppr("down")


def test_sigkill_of_up_then_up(east_west: Workstation) -> None:
    for seconds in (2.5, 5.0):
        process = subprocess.Popen(
            east_west.argv("up", "--detach"), cwd=east_west.folder, env=east_west.env, stdout=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    east_west.sppr("up", "--detach")
    assert "pass" in east_west.sppr("chain", "prove", "wire", "--yes").stdout
    east_west.sppr("down")


def test_network_of_mtu_1500_is_refused(programs: None, tmp_path: Path) -> None:
    with machines(tmp_path, "east", "west", mtu=1500) as found:
        station = Workstation(found, tmp_path)
        rows: list[dict[str, Any]] = json.loads(station.sppr("doctor", "--hosts", "--json", status=1).stdout)
        links = [row for row in rows if row["id"] == "link"]
        assert [row["host"] for row in links] == ["east", "west"]
        assert "packets of 1558 bytes do not reach west (192.0.2.12)" in links[0]["found"]
        assert "ip link set dev IF mtu 1600" in links[0]["fix"]
        refused = station.sppr("up", "--detach", status=1)
        assert "packets of 1558 bytes do not reach" in refused.stderr


def test_another_version_and_another_lab_with_the_vni(east_west: Workstation, tmp_path: Path) -> None:
    program = tmp_path / "old"
    (program / "bin").mkdir(parents=True)
    (program / "bin/wakeup.py").touch()
    (program / ".venv/bin").mkdir(parents=True)
    fake = program / ".venv/bin/sppr"
    fake.write_text("#!/bin/sh\necho sppr, version 0.0.1\n")
    fake.chmod(0o755)
    conf = east_west.folder / "conf.yml"
    good = conf.read_text()
    visible = "/run/host/old"  # the /tmp of a machine is its own
    east_west.machines.all["west"].run("mkdir", "-p", visible)
    for path in ("bin/wakeup.py", ".venv/bin/sppr"):
        east_west.machines.copy(program / path, "west", f"{visible}/{path}")
    lines = [
        line.replace(f"program: {ROOT}", f"program: {visible}") if line.startswith("  west:") else line
        for line in good.splitlines()
    ]
    conf.write_text("\n".join(lines) + "\n")
    refused = east_west.sppr("up", "--detach", status=1)
    assert "it has sppr 0.0.1 in /run/host/old" in refused.stderr and "east  is up" in refused.stdout
    conf.write_text(good)
    vni = json.loads(east_west.sppr("inventory").stdout)["all"]["children"]["sppr"]["hosts"]["west"]["sppr_links"][0][
        "vni"
    ]
    east_west.machines.all["west"].run(
        "ip", "link", "add", "foreign", "type", "vxlan", "id", str(vni), "dstport", "4789", "remote", "192.0.2.99"
    )
    refused = east_west.sppr("up", "--detach", status=1)
    assert f"foreign already has VNI {vni} of link east-west" in refused.stderr
    east_west.sppr("down")


def test_machines_end_with_the_test_process(tmp_path: Path) -> None:
    """A killed test leaves no machine: its first process ends, and with it the network."""
    code = (
        "import sys, time, pathlib; from tests.live.hosts import machines\n"
        f"with machines(pathlib.Path({str(tmp_path)!r}), 'north') as found:\n"
        " print(found.all['north'].pid, flush=True); time.sleep(100)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout
    pid = int(process.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    process.kill()
    process.wait()
    wait_for("the machine ends", lambda: not Path(f"/proc/{pid}").exists(), 10)
