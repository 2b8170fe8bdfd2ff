"""What a running lab shows: sppr top, sppr events and sppr analyze."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.live import labs
from tests.live.dataplane_lab import wait_for
from tests.live.labs import Lab, wait_state

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]
NAME = "testviews8"
RESTART = "restart: {policy: on-failure, delay: 0.3}\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab whose sec1 moves frames between two ports."""
    with labs.private(tmp_path_factory.mktemp("lab"), NAME, None) as made:
        made.write(RESTART)
        done = made.wakeup("-ns", "2", "-nr", "0", "-nv", "0")
        assert done.returncode == 0, done.stdout + done.stderr
        for port in ("nullpmd:0", "nullpmd:1"):
            made.control.add_port("nfv:1", port)
        made.control.patch("nfv:1", "nullpmd:0", "nullpmd:1")
        made.control.forward("nfv:1")
        yield made


@pytest.fixture
def screen(lab: Lab) -> Iterator[Lab]:
    """The terminal view in a terminal of 80 x 24. Its exit status is printed at its end."""
    top = f"{sys.executable} -m sppr top --session {NAME}; echo status $?; exec sleep 1000"
    size = ("-x", "80", "-y", "24")
    lab.tmux("new-session", "-d", "-s", "view", *size, "-c", str(lab.folder), f"exec sh -c '{top}'")
    lab.tmux("resize-window", "-t", "=view:", *size)
    wait_for("the view", lambda: "ctrler" in shown(lab) and "Quit" in shown(lab), 30)
    yield lab
    lab.tmux("kill-session", "-t", "=view")


def shown(lab: Lab) -> str:
    return lab.tmux("capture-pane", "-p", "-t", "=view:")


def press(lab: Lab, *keys: str) -> None:
    lab.tmux("send-keys", "-t", "=view:", *keys)


def keep_filter(lab: Lab) -> None:
    """Press Enter in the line of the filter. A key that follows at once would still go to this line."""
    press(lab, "Enter")
    time.sleep(0.5)


def verb(lab: Lab, *words: str, status: int = 0) -> str:
    """Run a verb of sppr on the lab, and return its output."""
    done = lab.sppr(*words, "--session", NAME)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def events(lab: Lab, *names: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in verb(lab, "events", "--json", *names).splitlines()]


def test_once_prints_a_frame(lab: Lab) -> None:
    lines = verb(lab, "top", "--once").splitlines()
    assert lines[0].startswith(f"session {NAME}  4/4 parts ready  0/0 chains up  ")
    assert any(line.split()[:2] == ["sec2", "ready"] for line in lines)
    row = next(line.split() for line in lines if line.split()[:2] == ["sec1", "nullpmd:0"])
    assert row[2].endswith(("k", "M")) and row[-2:] == ["→", "nullpmd:1"]


def test_json_prints_a_sample(lab: Lab) -> None:
    (line,) = verb(lab, "top", "--json", "--once").splitlines()
    sample = json.loads(line)
    assert sample["controller"] is True and sample["phase"] == "up"
    assert {row["name"]: row["state"] for row in sample["parts"]} == dict.fromkeys(
        ("ctrler", "pri", "sec1", "sec2"), "ready"
    )
    port = next(entry for entry in sample["processes"] if entry["name"] == "nfv:1")["ports"]["nullpmd:0"]
    assert port["rx"] > 0 and port["linked"]


def test_json_prints_a_sample_a_second(lab: Lab) -> None:
    command = [sys.executable, "-m", "sppr", "top", "--json", "--session", NAME]
    with subprocess.Popen(command, env=lab.env, cwd=lab.folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        samples = [json.loads(process.stdout.readline()) for _ in range(3)]
        ports = [port_of_nfv(sample) for sample in samples]
        while len({port["rx"] for port in ports}) < 3 and len(ports) < 10:  # a busy nfv misses a sample
            ports.append(port_of_nfv(json.loads(process.stdout.readline())))
        process.terminate()
    counts = [port["rx"] for port in ports]
    assert ports[-1]["rx_rate"] > 1000 and counts == sorted(counts) and len(set(counts)) >= 3, counts
    assert 0.8 < samples[2]["time"] - samples[1]["time"] < 3


def port_of_nfv(sample: dict[str, Any]) -> dict[str, Any]:
    return next(entry["ports"]["nullpmd:0"] for entry in sample["processes"] if entry["id"] == 1)


def test_view_needs_a_terminal(lab: Lab) -> None:
    printed = verb(lab, "top", status=1)
    assert "top needs a terminal" in printed and "sppr top --once" in printed


def test_view_shows_the_lab_and_its_keys_work(screen: Lab) -> None:
    lines = shown(screen).splitlines()
    assert lines[0].startswith(f"session {NAME}  4/4 parts ready") and len(lines) == 24
    text = "\n".join(lines)
    assert "PART" in text and "PROCESS" in text and "RESTARTS" in text and "Quit" in lines[-1], text
    press(screen, "s")
    wait_for("the sort", lambda: "PART↓" in shown(screen))
    press(screen, "r")
    wait_for("the reverse", lambda: "PART↑" in shown(screen))
    rows = [line.split()[0] for line in shown(screen).splitlines() if " ready " in line and "session" not in line]
    assert rows == ["sec2", "sec1", "pri", "ctrler"]
    press(screen, "/")
    wait_for("the filter", lambda: "filter:" in shown(screen))
    press(screen, "-l", "sec2")
    wait_for("the rows", lambda: "ctrler" not in shown(screen) and "sec2" in shown(screen))
    keep_filter(screen)
    press(screen, "l")
    wait_for("the log", lambda: "log of sec2" in shown(screen) and "EAL" in shown(screen))
    press(screen, "Escape")
    wait_for("the tables", lambda: "PROCESS" in shown(screen))
    press(screen, "Escape")
    wait_for("all rows", lambda: "ctrler" in shown(screen))
    press(screen, "q")
    wait_for("its end", lambda: "status 0" in shown(screen))


def test_key_w_shows_the_pane_of_the_part(screen: Lab) -> None:
    """The view runs in the same tmux server, so its client is switched to the window of the part."""
    client = subprocess.Popen(
        ["script", "-qec", f"tmux -L {NAME} attach -t =view", "/dev/null"], env=screen.env, stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for("a client", lambda: "view" in screen.tmux("list-clients", "-F", "#{client_session}"))
        press(screen, "/")
        wait_for("the filter", lambda: "filter:" in shown(screen))
        press(screen, "-l", "sec2")
        wait_for("the rows", lambda: "ctrler" not in shown(screen))
        keep_filter(screen)
        press(screen, "w")
        pane = screen.status()["sec2"]["pane"]
        wait_for(
            "the pane of sec2",
            lambda: screen.tmux("list-clients", "-F", "#{client_session} #{pane_id}").split() == [NAME, pane],
        )
        wait_for("the end of the view", lambda: "status 0" in shown(screen))
    finally:
        client.kill()
        client.wait()


def test_events_of_a_killed_secondary(lab: Lab) -> None:
    before = lab.status()["sec2"]["pid"]
    os.kill(before, signal.SIGKILL)
    wait_for("the restart", lambda: lab.status()["sec2"]["pid"] not in (None, before))
    wait_state(lab, "sec2", "ready")
    kinds = [event["event"] for event in events(lab, "sec2")]
    assert kinds[kinds.index("part.exited") :] == ["part.exited", "part.restarted", "part.started"]
    text = verb(lab, "events", "sec2")
    assert "exited with signal SIGKILL" in text and "restarted by its policy (1 in all)" in text
    process = [event["event"] for event in events(lab, "nfv:2")]
    assert process == ["process.connected", "process.disconnected", "process.connected"]
    assert {event.get("part") for event in events(lab, "sec1", "sec2")} == {"sec1", "sec2"}
    assert "nfv:1       patch nullpmd:0 nullpmd:1" in verb(lab, "events")


def test_exit_after_arrow_up_is_an_event(lab: Lab) -> None:
    """The script of the pane has ended then: its shell writes the event."""
    row = lab.status()["sec2"]
    for count in (1, 2):
        lab.tmux("send-keys", "-t", row["pane"], "C-c")
        wait_for("its end", lambda: lab.status()["sec2"]["exit"] == 0)
        ends = [event for event in events(lab, "sec2") if event["event"] == "part.exited" and event["status"] == 0]
        assert len(ends) == count
        labs.run_again(lab, row["pane"], "-i 2")
        wait_state(lab, "sec2", "ready")


def test_unknown_name_is_refused(lab: Lab) -> None:
    printed = verb(lab, "events", "sec9", status=1)
    assert "sec9: no event of this name" in printed and "sec1" in printed


def test_analyze_prints_and_draws_the_critical_chain(lab: Lab) -> None:
    picture = lab.folder / "x.svg"
    printed = verb(lab, "analyze", "-o", str(picture))
    assert "the bring-up of " in printed and " took " in printed and f"{picture}: written" in printed
    names = [line.partition("└─")[2].split()[0] for line in printed.splitlines() if "└─" in line]
    assert names[0] in ("sec1", "sec2") and names[1:3] == ["pri", "ctrler"]
    assert "sec1" in picture.read_text()
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")  # noqa: S314 - ours
    refused = verb(lab, "analyze", "-o", "x.png", status=1)
    assert "x.png: the picture is an SVG" in refused and "-o x.svg" in refused
    assert not (lab.folder / "x.png").exists()
    assert "/no/x.svg" in verb(lab, "analyze", "-o", "/no/x.svg", status=1)


def test_lab_without_its_controller_is_shown(lab: Lab) -> None:
    lab.tmux("send-keys", "-t", lab.status()["ctrler"]["pane"], "C-c", "C-d")
    row = lab.status()["ctrler"]
    if row["pid"]:
        with contextlib.suppress(ProcessLookupError):  # Ctrl-C has ended it meanwhile
            os.kill(row["pid"], signal.SIGTERM)
    wait_for("its end", lambda: lab.status()["ctrler"]["pid"] is None)
    lines = verb(lab, "top", "--once").splitlines()
    assert "no answer of the controller" in lines[0]
    assert any(line.split()[:2] == ["sec1", "ready"] for line in lines)
    assert json.loads(verb(lab, "top", "--json", "--once"))["controller"] is False
    verb(lab, "start", "ctrler")
    for name in ("pri", "sec1", "sec2"):  # they reconnect within a second
        wait_state(lab, name, "ready")


def test_follow_prints_new_events_and_ends_with_the_lab(lab: Lab) -> None:
    command = [sys.executable, "-m", "sppr", "events", "-f", "--json", "--session", NAME]
    known = len(events(lab))
    with subprocess.Popen(command, env=lab.env, cwd=lab.folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for _ in range(known):
                process.stdout.readline()
            before = time.time()
            lab.control.stop("nfv:1")
            new = json.loads(process.stdout.readline())
            assert new["time"] >= before - 1 and (new["process"], new["change"]) == ("nfv:1", "stop")
            lab.down()
            rest = process.communicate(timeout=20)[0]
            assert process.returncode == 0 and '"part.stopping"' in rest
        finally:
            process.kill()
    assert lab.leftovers() == []
