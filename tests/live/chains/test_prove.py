"""Proofs of chains with packets: verdicts, the location of a loss, and restored ends."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from sppr.host.network.packet_socket import Sniffer, run_in_netns
from sppr.lab.chains import reconcile
from sppr.lab.chains.proof.prove import prove
from sppr.lab.chains.proof.result import Options
from sppr.lab.chains.wiring import ChainWiring, Wiring
from sppr.lab.state import state as states
from tests.conftest import ROOT
from tests.live import labs
from tests.live.dataplane_lab import wait_for
from tests.live.labs import Lab, run_again, wait_state

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]

ENDS = "ends: {tap:0: {netns: client, address: 10.20.0.1/24}, tap:1: {netns: server, address: 10.20.0.2/24}}"
WEB = f"chains:\n  web:\n    path: [tap:0, vm_r6, vm_v11, tap:1]\n    {ENDS}\n"
ALL = ("-ns", "2", "-nr", "1", "-nv", "1")


@pytest.fixture(scope="module")
def lab(base_image: Path, programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A proved chain through a ring VM and a vhost VM. Each VM has its own secondary."""
    folder = tmp_path_factory.mktemp("lab")
    with labs.chain_lab(folder, "prooflab1", base_image, WEB, *ALL, "--prove") as (made, printed):
        made.printed = printed  # type: ignore[attr-defined]
        yield made


@pytest.fixture(autouse=True)
def check_chain_afterwards(lab: Lab) -> Iterator[None]:
    """Check after each test that the chain is up, with its own ends."""
    yield
    wait_for("the chain", lambda: lab.sppr("chain", "apply").returncode == 0, 60)
    assert ends_are_restored(lab)


def proved(lab: Lab, *words: str, status: int = 0) -> str:
    """Return the output of ``sppr chain prove web``."""
    done = lab.sppr("chain", "prove", "web", "--yes", *words)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def ends_are_restored(lab: Lab) -> bool:
    """Return whether no probe is left and a ping crosses the chain."""
    ports = [port for n in (1, 2) for port in lab.control.ports(f"nfv:{n}")]
    left = [port for port in ports if port.startswith("probe:")]
    assert not left and not (lab.state / "prove.json").exists(), left

    def crosses() -> bool:  # a guest that gets no CPU for a while loses a ping
        words = ("chain", "shell", "web", "client", "--", "ping", "-c", "2", "-i", "0.3", "-W", "5", "10.20.0.2")
        return " 0% packet loss" in lab.sppr(*words).stdout

    return bool(wait_for("a ping across", crosses, 60))


def start(lab: Lab, *words: str) -> subprocess.Popen[str]:
    """Start a proof in the background, and return when its probes exist."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sppr", "chain", "prove", "web", "--yes", "--frames", "60000", *words],
        env=lab.env, cwd=lab.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    wait_for("the probes", lambda: "probe:31" in lab.control.ports("nfv:2"))
    time.sleep(0.5)
    return process


def test_wakeup_proves_the_chain(lab: Lab) -> None:
    printed = lab.printed  # type: ignore[attr-defined]
    for direction in ("forward", "reverse"):
        assert f"web  {direction}  10,000 of 10,000 frames of 64 B  0 lost  0 reordered  p50 " in printed, printed
    assert "TCP from prooflab1-client to prooflab1-server and back: 65,536 bytes" in printed
    assert "pass: consistency, reach, trace" in printed


def test_proof_restores_the_ends_and_writes_reports(lab: Lab, tmp_path: Path) -> None:
    proved(lab, "--json", str(tmp_path / "p.json"), "--junit", str(tmp_path / "p.xml"), "--frames", "2000")
    assert ends_are_restored(lab)
    (proof,) = json.loads((tmp_path / "p.json").read_text())
    assert proof["verdict"] == "pass" and proof["seconds"] < 30
    assert all(run["received"] == run["sent"] == 2000 for run in proof["runs"])
    assert all(point["grew"] >= 2000 for point in proof["trace"]) and len(proof["trace"]) == 24
    suite = ElementTree.parse(tmp_path / "p.xml").getroot()  # noqa: S314 - ours
    assert [case.get("name") for case in suite] == ["consistency", "reach", "trace"] and suite.get("failures") == "0"


def test_every_hop_is_necessary_and_its_repair_is_timed(lab: Lab, tmp_path: Path) -> None:
    text = proved(lab, "--level", "3", "--frames", "1000", "--json", str(tmp_path / "p.json"))
    assert "pass: consistency, reach, trace, necessity" in text
    (proof,) = json.loads((tmp_path / "p.json").read_text())
    assert len(proof["repairs"]) == 12
    assert all(one["arrived_without"] == 0 and one["arrived_after"] == 200 for one in proof["repairs"])


@pytest.mark.parametrize("words", [("--size", "1518"), ("--window", "128")])
def test_proof_with_other_frames_and_bursts(lab: Lab, words: tuple[str, ...]) -> None:
    """Frames beyond the first 32 of a burst were lost at vhost ports, because the library accepts 32."""
    assert "0 lost" in proved(lab, "--frames", "2000", *words)


@pytest.mark.parametrize(
    ("rule", "where"),
    [
        (
            "tc qdisc add dev eth2 clsact && "
            "tc filter add dev eth2 egress matchall action gact ok random determ drop 3",
            "between phy:0 and phy:1 in vm_v11",
        ),
        ("tc qdisc add dev eth2 root netem loss 30%", "between phy:1 in vm_v11 and vhost:111 of sec2"),
    ],
)
def test_loss_is_located_at_a_guest_that_drops_frames(lab: Lab, rule: str, where: str) -> None:
    def guest(command: str) -> None:
        done = subprocess.run(
            [str(ROOT / "bin/sppsh"), "--session", lab.session, "-r", "11", command],
            env=lab.env, cwd=lab.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    guest(rule)
    try:
        text = proved(lab, "--frames", "600", status=7)
        assert f"frames lost {where}" in text and "fail: trace" in text, text
        assert "reverse: " not in text, "the other way is not at fault"
    finally:
        guest("tc qdisc del dev eth2 root 2>/dev/null; tc qdisc del dev eth2 clsact 2>/dev/null; true")


def test_loss_is_located_at_a_full_ring(lab: Lab) -> None:
    text = proved(lab, "--rate", "5000000", "--window", "100000", "--frames", "100000", status=7)
    assert "frames lost between probe:30 and ivshmem:6 in sec1 (ivshmem:6 was full: " in text, text


def test_stopped_secondary_is_named(lab: Lab) -> None:
    lab.control.stop("nfv:2")
    text = proved(lab, status=7)
    assert "nfv:2 is not forwarding" in text and "fail: consistency" in text


def test_loss_is_located_at_a_secondary_stopped_during_the_proof(lab: Lab) -> None:
    process = start(lab)
    assert "probes replace its ends" in lab.sppr("status").stdout
    done = lab.sppr("save")
    assert done.returncode == 1 and "a proof of web is running, with probes at the ends" in done.stderr, done.stdout
    lab.control.stop("nfv:2")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 7, out + err
    assert "between sec1 and sec2, in ring:0" in out or "ring:0 was full" in out, out


def test_wrong_manual_patch_is_named(lab: Lab) -> None:
    lab.control.patch("nfv:2", "ring:0", "tap:1")
    text = proved(lab, status=7)
    assert "nfv:2: ring:0 goes to tap:1, not to vhost:11" in text and "fail: consistency" in text


def test_proof_of_a_chain_that_is_down_is_inconclusive(lab: Lab) -> None:
    pid = lab.status()["sec2"]["pid"]
    process = start(lab)
    os.kill(pid, signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 8 and "sec2 exited during the proof" in out, out + err
    wait_state(lab, "sec2", "failed")
    text = proved(lab, status=8)
    assert "the chain is down: sec2 does not run" in text and "inconclusive: consistency" in text
    assert lab.wakeup(*ALL, "--prove").returncode == 0 and not (lab.state / "prove.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_restores_the_ends(lab: Lab, number: signal.Signals) -> None:
    process = start(lab)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "interrupted; the ends were restored" in err, out + err
    assert ends_are_restored(lab)


def test_next_command_after_sigkill_restores_the_ends(lab: Lab) -> None:
    process = start(lab)
    process.kill()
    process.wait()
    assert (lab.state / "prove.json").exists() and "probe:31" in lab.control.ports("nfv:2")
    done = lab.sppr("status")
    assert "chain web: a proof was interrupted; its ends were restored" in done.stderr, done.stdout + done.stderr
    assert done.returncode == 0 and "chain web: up" in done.stdout
    assert ends_are_restored(lab)


def test_controller_that_dies_during_the_proof_is_reported(lab: Lab) -> None:
    row = lab.status()["ctrler"]
    process = start(lab)
    os.kill(row["pid"], signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 8 and "ctrler exited during the proof" in out, out + err
    assert "could not be restored yet" in out
    wait_state(lab, "ctrler", "failed")
    run_again(lab, row["pane"], "controller.py")
    wait_for("the controller", lambda: lab.sppr("chain").returncode == 0, 30)
    assert ends_are_restored(lab)


def test_full_disk_changes_nothing(lab: Lab) -> None:
    done = subprocess.run(
        ["prlimit", "--fsize=0", sys.executable, "-m", "sppr", "chain", "prove", "web", "--yes"],
        env=lab.env, cwd=lab.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode not in (0, 70), done.stdout + done.stderr
    assert ends_are_restored(lab)


def test_traffic_at_an_end_is_interrupted_only_on_request(lab: Lab) -> None:
    ping = subprocess.Popen(
        [sys.executable, "-m", "sppr", "chain", "shell", "web", "client", "--", "ping", "-i", "0.01", "10.20.0.2"],
        env=lab.env, cwd=lab.folder, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        time.sleep(1)
        done = lab.sppr("chain", "prove", "web")
        assert done.returncode == 1 and "carries traffic at tap:0 (" in done.stderr, done.stdout + done.stderr
        assert "--yes" in done.stderr
    finally:
        ping.terminate()
        ping.wait()


def test_proof_needs_a_chain_name(lab: Lab) -> None:
    done = lab.sppr("chain", "prove")
    assert done.returncode == 1 and "name the chains to prove, or --all" in done.stderr
    done = lab.sppr("chain", "prove", "wep")
    assert done.returncode == 1 and "wep: no chain of session prooflab1" in done.stderr


def test_restart_of_the_primary_moves_taps_to_their_namespaces(lab: Lab) -> None:
    assert lab.sppr("restart", "pri").returncode == 0
    assert ends_are_restored(lab)
    assert not Path(f"/sys/class/net/{lab.tap}a").exists()


def test_bench_finds_a_rate_and_restores_the_ends(lab: Lab, tmp_path: Path) -> None:
    files = {kind: tmp_path / f"b.{kind}" for kind in ("json", "svg", "junit")}
    words = [word for kind, path in files.items() for word in (f"--{kind}", str(path))]
    done = lab.sppr("chain", "bench", "web", "--yes", "--goal", "quick", "--sizes", "64", *words)
    assert done.returncode == 0 and "web  PVVP  64 B  forward  quick  " in done.stdout, done.stdout + done.stderr
    assert ends_are_restored(lab)
    forward, reverse = json.loads(files["json"].read_text())
    for result in (forward, reverse):
        assert result["rates"][0]["frames"] > 100 and not result["rates"][0]["limited"]
        assert result["latency"][0]["p50"] > 10_000, "ns"
    assert files["svg"].read_text().startswith("<svg") and "testcase" in files["junit"].read_text()


def test_running_chain_is_saved_and_drawn(lab: Lab, tmp_path: Path) -> None:
    saved = lab.sppr("save").stdout
    assert yaml.safe_load(saved)["chains"] == yaml.safe_load(WEB)["chains"]
    before = [lab.control.nfv_status(n)["patches"] for n in (1, 2, 6, 11)]
    assert lab.sppr("save", "--recipe", str(tmp_path / "r.rcp")).returncode == 0
    for n in (1, 2, 6, 11):
        lab.control.reset_patches(f"nfv:{n}")
    lines = (tmp_path / "r.rcp").read_text().splitlines()
    prompt = [sys.executable, "-m", "sppr.controller", "-b", str(lab.state / "api.sock")]
    patches = "\n".join(line for line in lines if "; patch " in line)
    subprocess.run(prompt, input=patches, text=True, check=True, capture_output=True, cwd=ROOT)
    after = [lab.control.nfv_status(n)["patches"] for n in (1, 2, 6, 11)]
    assert [sorted(map(str, one)) for one in after] == [sorted(map(str, one)) for one in before]
    assert lab.sppr("chain").returncode == 0
    assert lab.sppr("chain", "draw", "--svg", str(tmp_path / "c.svg")).returncode == 0
    assert "vm_r6" in (tmp_path / "c.svg").read_text()


def swaps(wiring: Wiring) -> Iterator[ChainWiring]:
    """Return the chain with the destinations of two patches swapped."""
    (chain,) = wiring.chains
    legs, forward = list(chain.legs), len(chain.forward)
    for one, other in itertools.combinations(range(len(legs)), 2):
        if legs[one].process != legs[other].process:
            continue
        mutant = list(legs)
        mutant[one] = replace(legs[one], dst=legs[other].dst)
        mutant[other] = replace(legs[other], dst=legs[one].dst)
        yield replace(chain, forward=tuple(mutant[:forward]), reverse=tuple(mutant[forward:]))


def test_swapped_patches_in_the_wiring_fail_the_proof(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The patches match the wrong wiring, so only packets show the fault."""
    monkeypatch.setenv("SPPR_RUN_DIR", lab.env["SPPR_RUN_DIR"])
    state = states.load(lab.session)
    good = state.plan
    mutants = list(swaps(good.wiring))
    assert len(mutants) == 14
    try:
        for chain in mutants:
            state.plan = good.with_wiring(replace(good.wiring, chains=(chain,)))
            reconcile.apply(state.plan)
            proof = prove(state, chain, Options(level=2, frames=100))
            assert proof.verdict == "fail", (chain.legs, proof)
            good = state.plan.with_wiring(good.wiring)
    finally:
        reconcile.apply(good)


# --- several chains ---


def test_each_of_four_chains_is_proved_during_traffic_on_the_others(
    base_image: Path, programs: None, tmp_path: Path
) -> None:
    (tmp_path / "lab").mkdir()
    made = labs.make(tmp_path / "lab", "prooflab2", base_image)
    tap = made.tap
    vms = ("vm_r6", "vm_r7", "vm_v11", "vm_v12")
    chains = "".join(
        f"  c{n}:\n    path: [tap:{2 * n}, {vm}, tap:{2 * n + 1}]\n"
        f"    ends: {{tap:{2 * n}: {{netns: a{n}, address: 10.20.{n}.1/24}},"
        f" tap:{2 * n + 1}: {{netns: b{n}, address: 10.20.{n}.2/24}}}}\n"
        for n, vm in enumerate(vms)
    )
    made.write("chains:\n" + chains)
    vdevs = ", ".join(f'"net_tap{n},iface={tap}{"abcdefgh"[n]}"' for n in range(8))
    text = made.conf.read_text().replace("portmask: 0x03", "portmask: 0xff")
    made.conf.write_text(text.replace(f'["net_tap0,iface={tap}a", "net_tap1,iface={tap}b"]', f"[{vdevs}]"))
    pings: list[subprocess.Popen[bytes]] = []
    try:
        done = made.wakeup("-ns", "2", "-nr", "2", "-nv", "2")
        assert done.returncode == 0, done.stdout + done.stderr
        for n in range(4):
            pings.append(
                subprocess.Popen(
                    [sys.executable, "-m", "sppr", "chain", "shell", f"c{n}", f"a{n}", "--", "ping", "-i", "0.02",
                     f"10.20.{n}.2"],
                    env=made.env, cwd=made.folder, stdout=subprocess.DEVNULL,
                )
            )  # fmt: skip
        time.sleep(2)
        report = tmp_path / "p.json"
        done = made.sppr(
            "chain", "prove", "--all", "--yes", "--frames", "1000", "--rate", "2000", "--json", str(report)
        )
        assert done.returncode == 0, done.stdout + done.stderr
        proofs: list[dict[str, Any]] = json.loads(report.read_text())
        assert [(one["chain"], one["verdict"]) for one in proofs] == [(f"c{n}", "pass") for n in range(4)]
        assert all(ping.poll() is None for ping in pings)
        rows = json.loads(made.sppr("chain", "--json").stdout)
        assert all(row["state"] == "up" and row["forward"] > 5 for row in rows), rows
    finally:
        for ping in pings:
            ping.terminate()
            ping.wait()
        made.down()
        spaces = list(Path("/run/netns").glob("prooflab2-*"))
        made.end()
    assert not spaces and made.leftovers() == []


def test_namespace_of_another_program_is_refused_and_unchanged(programs: None, tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    made = labs.make(tmp_path / "lab", "prooflab3", None)
    made.write(f"chains:\n  web:\n    path: [tap:0, tap:1]\n    {ENDS}\n")
    subprocess.run(["ip", "netns", "add", "prooflab3-server"], check=True)
    try:
        done = made.wakeup("-ns", "1", "-nr", "0", "-nv", "0")
        assert done.returncode == 3 and "network namespace prooflab3-server: exists already" in done.stderr
        assert "tap:1 of chain web" in done.stderr and "ip netns delete prooflab3-server" in done.stderr
        assert Path("/run/netns/prooflab3-server").exists() and not Path("/run/netns/prooflab3-client").exists()
    finally:
        subprocess.run(["ip", "netns", "delete", "prooflab3-server"], check=True)
    try:
        done = made.wakeup("-ns", "1", "-nr", "0", "-nv", "0", "--prove")
        assert done.returncode == 0, done.stdout + done.stderr
        # Probes would replace this whole chain, so its frames go from tap to tap.
        assert (
            "one patch from end to end, and probes would replace all of it: the frames went from tap:0" in done.stdout
        )
        assert "TCP from prooflab3-client" in done.stdout and "pass: consistency, reach, trace" in done.stdout
        done = made.sppr("chain", "prove", "web", "--level", "3", "--frames", "500")
        assert done.returncode == 8 and "inconclusive: necessity" in done.stdout, done.stdout + done.stderr
        assert made.down().returncode == 0 and made.leftovers() == []
        assert not list(Path("/run/netns").glob("prooflab3-*"))
    finally:
        made.end()


def test_taps_of_a_running_primary_follow_conf_yml(programs: None, tmp_path: Path) -> None:
    """Changed addresses and namespaces, an address removed by hand, and removed ends."""
    (tmp_path / "lab").mkdir()
    made = labs.make(tmp_path / "lab", "prooflab4", None)
    made.write(f"chains:\n  web:\n    path: [tap:0, tap:1]\n    {ENDS}\n")
    text = made.conf.read_text()

    def addresses(end: str, tap: str) -> list[str]:
        words = ["ip", "-n", f"prooflab4-{end}", "-o", "-4", "address", "show", "dev", f"{made.tap}{tap}"]
        return [line.split()[3] for line in subprocess.check_output(words, text=True).splitlines()]

    def applied(conf: str) -> str:
        made.conf.write_text(conf)
        done = made.sppr("chain", "apply")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def proved(*words: str) -> str:
        done = made.sppr("chain", "prove", "web", "--frames", "500", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    try:
        done = made.wakeup("-ns", "1", "-nr", "0", "-nv", "0")
        assert done.returncode == 0 and addresses("server", "b") == ["10.20.0.2/24"], done.stderr
        text = text.replace("10.20.0.2/24", "10.20.0.3/24")
        assert f"tap:1 ({made.tap}b) has address 10.20.0.3/24\n" in applied(text)
        assert addresses("server", "b") == ["10.20.0.3/24"] and applied(text) == "chain web: up\n"
        assert made.sppr("restart", "pri").returncode == 0 and addresses("server", "b") == ["10.20.0.3/24"]

        subprocess.run(["ip", "-n", "prooflab4-server", "address", "flush", "dev", f"{made.tap}b"], check=True)
        assert "tap:1 does not have address 10.20.0.3/24 in namespace prooflab4-server" in made.sppr("chain").stdout
        done = made.wakeup("-ns", "1", "-nr", "0", "-nv", "0")
        assert "chain web: up" in done.stdout and addresses("server", "b") == ["10.20.0.3/24"], done.stdout

        swapped = (
            text.replace("netns: client", "netns: x").replace("server", "client").replace("netns: x", "netns: server")
        )
        applied(swapped)
        assert addresses("client", "b") == ["10.20.0.3/24"] and addresses("server", "a") == ["10.20.0.1/24"]
        assert "TCP from prooflab4-server to prooflab4-client" in proved()

        one = text.replace("tap:1: {netns: server, address: 10.20.0.3/24}", "").replace("24}, }", "24}}")
        applied(one.replace("netns: client", "netns: server"))
        assert Path(f"/sys/class/net/{made.tap}b").exists() and not Path("/run/netns/prooflab4-client").exists()
        assert addresses("server", "a") == ["10.20.0.1/24"]
        assert "TCP was not tried" in proved()
        applied("".join(line for line in text.splitlines(keepends=True) if "ends:" not in line))
        assert "pass: consistency, reach, trace" in proved()
        assert not list(Path("/run/netns").glob("prooflab4-*"))

        applied(text)
        for words in ("delete", "add"):
            subprocess.run(["ip", "netns", words, "prooflab4-client"], check=True)
        stays = subprocess.Popen(["ip", "netns", "exec", "prooflab4-server", "sleep", "300"])
        wait_for("sleep", lambda: Path(f"/proc/{stays.pid}/comm").read_text() == "sleep\n")
        done = made.down()
        stays.kill()
        assert (
            done.returncode == 0
            and f"sleep (pid {stays.pid}) in namespace prooflab4-server: not a part of this lab" in done.stdout
        )
        left = [path.name for path in Path("/run/netns").glob("prooflab4-*")]
        assert left == ["prooflab4-client"], "that one was made by hand"
    finally:
        subprocess.run(["ip", "netns", "delete", "prooflab4-client"], check=False)
        made.end()


def test_sniffer_counts_only_frames_to_its_address(programs: None) -> None:
    """This includes another namespace, and the process stays in its own."""
    name = f"sniff{os.getpid()}"
    here = Path("/proc/thread-self/ns/net").readlink()
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for words in (
            f"link add {name[-9:]}a type veth peer name {name[-9:]}b netns {name}",
            f"link set {name[-9:]}a up", f"-n {name} link set {name[-9:]}b up",
        ):  # fmt: skip
            subprocess.run(["ip", *words.split()], check=True)
        sniffer = Sniffer(f"{name[-9:]}b", "02:11:22:33:44:55", name)
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock.bind((f"{name[-9:]}a", 0))
        for mac in ("021122334455", "021122334456", "031122334455", "021122334455"):
            sock.send(bytes.fromhex(mac) + bytes(54))
        counts = [0]  # each call returns the frames since the one before

        def all_counted() -> bool:
            counts.append(sniffer.count())
            return sum(counts) == 2

        wait_for("two frames", all_counted)
        assert sniffer.count() == 0
        subprocess.run(["ip", "-n", name, "link", "set", f"{name[-9:]}b", "down"], check=True)
        assert sniffer.count() == 0, "the kernel says once that the interface is down"
        sniffer.close()
        sock.close()
        assert Path("/proc/thread-self/ns/net").readlink() == here
        with pytest.raises(FileNotFoundError):
            run_in_netns("nosuchnamespace", lambda: None)
    finally:
        subprocess.run(["ip", "link", "delete", f"{name[-9:]}a"], check=False)
        subprocess.run(["ip", "netns", "delete", name], check=True)
