"""Concurrent launchers of one lab, and two labs of one user, do not disturb each other."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT
from tests.live import labs
from tests.live.dataplane_lab import HUGE
from tests.live.labs import Lab

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]
SMALL = ("-ns", "1", "-nr", "0", "-nv", "0")


@pytest.fixture
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Lab]]:
    """Two labs. The name of one is a prefix of the other name."""
    made: list[Lab] = []
    try:
        for name in ("testlab9", "testlab9x"):
            made.append(labs.make(tmp_path_factory.mktemp("lab"), name, None))
        made[1].env["SPPR_RUN_DIR"] = made[0].env["SPPR_RUN_DIR"]
        yield made[0], made[1]
    finally:
        for lab in reversed(made):
            lab.end()


def test_one_of_twenty_concurrent_wakeups_wins_and_the_others_name_it(two: tuple[Lab, Lab]) -> None:
    lab = two[0]
    words = [ROOT / "bin/wakeup.py", "--conf", lab.conf, "--socket-name", lab.session, *SMALL]
    launchers = [
        subprocess.Popen(
            words, env=lab.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(20)
    ]
    printed = {launcher.pid: (*launcher.communicate(timeout=120), launcher.returncode) for launcher in launchers}
    winner = [pid for pid, (out, _, status) in printed.items() if status == 0 and "pri: ready" in out]
    assert len(winner) == 1, printed
    message = [err for _, err, status in printed.values() if status == 1]
    # The message names the holder of the lock: the winner, or briefly a later one that changed nothing.
    named = [
        int(found[1]) for err in message if (found := re.search(r"in use by wakeup\.py \(pid (\d+), since .*\)", err))
    ]
    assert len(named) == len(message) and set(named) <= set(printed), message
    assert all(status in (0, 1) for _, _, status in printed.values()), "later ones changed nothing"
    assert {row["state"] for row in lab.status().values()} == {"ready"}
    assert len([p for p in psutil.process_iter(["name", "cmdline"]) if is_primary(p, lab.session)]) == 1
    assert len(lab.tmux("list-sessions").splitlines()) == 1
    assert lab.down().returncode == 0 and lab.leftovers() == []


def is_primary(process: psutil.Process, prefix: str) -> bool:
    words = process.info["cmdline"] or [""]
    return words[0].endswith("spp_primary") and f"--file-prefix {prefix} " in " ".join(words)


def test_sessions_with_other_names_and_ports_are_independent(two: tuple[Lab, Lab]) -> None:
    """Both use one tmux server and one run directory, as they belong to one user."""
    first, second = two
    for lab in two:
        done = lab.wakeup(*SMALL, "--socket-name", first.session)
        assert done.returncode == 0, done.stdout + done.stderr
    assert all({row["state"] for row in lab.status().values()} == {"ready"} for lab in two)
    pids = [{row["pid"] for row in lab.status().values()} for lab in two]
    assert len(pids[0] | pids[1]) == 6
    for lab in two:
        assert lab.control.processes() == [{"type": "primary"}, {"type": "nfv", "client-id": 1}], (
            "only its own processes"
        )
        assert list(HUGE.glob(f"{lab.session}map_*")) and (Path("/var/run/dpdk") / lab.session / "config").exists()
    pages = sorted(HUGE.glob(f"{second.session}map_*"))
    second.control.add_port("nfv:1", "ring:0")
    second.control.patch("nfv:1", "tap:0", "ring:0")
    before = second.status(), second.control.nfv_status(1)
    assert first.down().returncode == 0
    shared = ("tmux", "process", "/tmp/tmux-")  # the server belongs to both labs
    assert [p for p in first.leftovers() if not p.startswith(shared) and second.session not in p] == []
    assert (second.status(), second.control.nfv_status(1)) == before
    assert sorted(HUGE.glob(f"{second.session}map_*")) == pages
    assert first.tmux("list-sessions", "-F", "#{session_name}") == f"{second.session}\n"
    assert second.down().returncode == 0 and second.leftovers() == []


@pytest.fixture
def clones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Lab]]:
    """Two clones of one repository: the same session name, user, run directory and tmux server; the first one is up."""
    made: list[Lab] = []
    try:
        for _ in range(2):
            made.append(labs.make(tmp_path_factory.mktemp("clone"), "testlab9", None))
        run = str(tmp_path_factory.mktemp("run"))
        for lab in made:
            lab.env["SPPR_RUN_DIR"] = run
        done = made[0].wakeup(*SMALL)
        assert done.returncode == 0, done.stdout + done.stderr
        yield made[0], made[1]
    finally:
        for lab in made:
            lab.end()


def test_second_clone_cannot_use_or_stop_the_lab_of_the_first(clones: tuple[Lab, Lab]) -> None:
    first, second = clones
    before = first.status()
    for done in (
        second.wakeup(*SMALL),
        second.wakeup(*SMALL, "-s", "testlab9"),
        *(second.sppr(*words) for words in (("down",), ("stop", "sec1"), ("restart", "sec1"), ("start", "sec1"))),
    ):
        assert done.returncode == 1 and f"session testlab9 belongs to the lab of {first.conf}, not" in done.stderr, done
        assert "--session testlab9;" in done.stderr and f"session: testlab92 in {second.conf}" in done.stderr, done
        assert "nothing was changed" in done.stderr and first.status() == before
    shown = second.sppr("status")
    assert f"session testlab9, the lab of {first.conf} (not the lab of this folder)\n" in shown.stdout, shown
    assert f"session testlab9, the lab of {first.conf}\n" in first.sppr("status").stdout
    found = second.sppr("doctor", "--json").stdout
    assert f"session testlab9 belongs to the lab of {first.conf}" in found, found
    assert "sec1: ready" in second.sppr("restart", "sec1", "-s", "testlab9").stdout, "with an explicit session"
    done = second.sppr("down", "-s", "testlab9")
    assert done.returncode == 0 and first.leftovers() == [], done


def test_lab_with_a_removed_folder_can_be_stopped_by_its_session(clones: tuple[Lab, Lab]) -> None:
    first, second = clones
    shutil.rmtree(first.folder)
    done = second.sppr("down")
    assert done.returncode == 1 and f"the lab of {first.conf}, whose folder is gone, not" in done.stderr, done
    assert "(its folder is gone)" in second.sppr("status").stdout
    done = second.sppr("down", "--session", "testlab9")
    assert done.returncode == 0 and not first.state.exists(), done
    first.folder.mkdir()


def test_other_conf_and_links_in_the_same_folder_are_the_same_lab(clones: tuple[Lab, Lab]) -> None:
    first, second = clones
    assert first.down().returncode == 0
    other = first.folder / "other.yml"
    first.conf.rename(other)
    first.conf.write_text(f"session: {first.session}\n")
    done = first.sppr("up", "--conf", "other.yml", "--socket-name", first.session, *SMALL)
    assert done.returncode == 0, done
    link = second.folder / "conf.yml"
    link.unlink()
    link.symlink_to(other)
    assert "sec1 stopped" in second.sppr("stop", "sec1").stdout, "a link to the conf.yml of the lab"
    done = first.sppr("down")
    assert done.returncode == 0 and f"session {first.session} is down" in done.stdout, done
    renamed = first.sppr("up", "--conf", "other.yml", "--socket-name", first.session, "-s", "testlab9b", *SMALL)
    assert renamed.returncode == 0, renamed
    done = first.sppr("down")
    assert done.returncode == 0 and "session testlab9b is down" in done.stdout, "the only one of this folder"
