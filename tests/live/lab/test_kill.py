"""Kill the launcher after each step of bring-up and teardown, and kill each part of a running lab: the next
``wakeup`` makes every part ready, and ``down`` leaves nothing. The steps are those that a run reports
(tests/live/lab/kill_at_step.py), and must be as many as its plan implies."""

import json
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import labs
from tests.live.dataplane_lab import wait_for
from tests.live.labs import Lab, wait_exit, wait_state

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]
SMALL = ("-ns", "2", "-nr", "0", "-nv", "0")
WITH_VM = ("-ns", "1", "-nr", "0", "-nv", "1")


@pytest.fixture
def lab(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    yield from _ended(labs.make(tmp_path_factory.mktemp("lab"), "killlab", None))


@pytest.fixture(scope="module")
def vm_lab(programs: None, tmp_path_factory: pytest.TempPathFactory, base_image: Path) -> Iterator[Lab]:
    yield from _ended(labs.make(tmp_path_factory.mktemp("lab"), "killvm", base_image))


def _ended(lab: Lab) -> Iterator[Lab]:
    """Give a lab a folder of its own for temporary files, and stop it after the test."""
    (lab.folder / "tmp").mkdir()
    lab.env["TMPDIR"] = str(lab.folder / "tmp")
    try:
        yield lab
    finally:
        lab.end()


class Kills:
    """Runs of ``sppr``, each killed at the first point that no earlier run reached."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self._kept = lab, lab.folder / f"{name}.points"

    @property
    def points(self) -> list[str]:
        """All reached points, in this order."""
        return self._kept.read_text().splitlines()

    def run(self, *words: str) -> str | None:
        """Return the point where the run was killed, or None if it completed."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.live.lab.kill_at_step", "steps", "new", str(self._kept), *words],
            env=self.lab.env, cwd=self.lab.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=180, check=False,
        )  # fmt: skip
        assert done.returncode in (0, -signal.SIGKILL), f"{self.points[-1]}: {done.stdout}{done.stderr}"
        return self.points[-1] if done.returncode else None

    def up(self, *flags: str) -> str | None:
        return self.run("up", "--conf", str(self.lab.conf), "--socket-name", self.lab.session, *flags)

    def down(self) -> str | None:
        return self.run("down", "--session", self.lab.session)


def assert_all_ready(lab: Lab, flags: tuple[str, ...], when: str) -> None:
    done = lab.wakeup(*flags)
    assert done.returncode == 0, f"{when}: {done.stdout}{done.stderr}"
    assert {row["state"] for row in lab.status().values()} == {"ready"}, when


def assert_down_leaves_nothing(lab: Lab, when: str) -> None:
    done = lab.down()
    assert done.returncode == 0, f"{when}: {done.stdout}{done.stderr}"
    assert [*lab.leftovers(), *(lab.folder / "tmp").iterdir()] == [], when


def plan(lab: Lab) -> dict[str, Any]:
    return dict(json.loads((lab.state / "state.json").read_text())["plan"])


def test_wakeup_recovers_after_a_kill_at_any_step_of_bring_up(lab: Lab) -> None:
    free = free_pages()
    kills = Kills(lab, "up")
    while (step := kills.up(*SMALL)) is not None:
        assert_all_ready(lab, SMALL, f"killed after: {step}")
        assert_down_leaves_nothing(lab, f"killed after: {step}")
    parts = [part["name"] for part in plan(lab)["parts"]]
    implied = {f"{name} {what}" for name in parts for what in ("started", "ready")}
    assert {"state", "leftovers", "artifacts", "panes", "up", *implied} == set(kills.points) and len(parts) == 4
    assert_down_leaves_nothing(lab, "not killed")
    assert free is None or free_pages() == free


def free_pages() -> int | None:
    """Return the number of free hugepages, in CI with JOBS=0: elsewhere other programs change it, and the map files
    of this lab are checked (``leftovers``)."""
    alone = os.environ.get("CI") and not os.environ.get("PYTEST_XDIST_WORKER")
    counts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(counts["HugePages_Free"]) if alone else None


@pytest.mark.parametrize("note", ["state.json", "footprint.json"])
def test_down_recovers_after_a_kill_before_the_state_is_written(lab: Lab, note: str) -> None:
    point = f"os.rename {lab.state}/.{note}.PID.tmp"
    words = ["effects", point, str(lab.folder / "effects"), "up", "--conf", str(lab.conf), "--socket-name", lab.session]
    done = subprocess.run(
        [sys.executable, "-m", "tests.live.lab.kill_at_step", *words, *SMALL], env=lab.env, check=False
    )
    assert done.returncode == -signal.SIGKILL and lab.state.is_dir()
    assert_down_leaves_nothing(lab, "killed before its state was written")


def test_up_or_down_recovers_after_a_kill_at_any_step_of_down(lab: Lab) -> None:
    """After a kill, ``up`` and ``down`` follow alternately."""
    flags = ("-ns", "1", "-nr", "0", "-nv", "0")
    kills = Kills(lab, "down")
    assert_all_ready(lab, flags, "at first")
    parts = [part["name"] for part in plan(lab)["parts"]]
    while (step := kills.down()) is not None:
        if len(kills.points) % 2:
            assert_down_leaves_nothing(lab, f"killed after: {step}")
        assert_all_ready(lab, flags, f"killed after: {step}")
    ended = [point for point in kills.points if " stopped (" in point]
    assert {point.split()[0] for point in ended} == set(parts)
    assert [point for point in kills.points if point not in ended] == [
        "state",
        "panes",
        "leftovers",
        "session",
        "removed",
    ]
    assert_down_leaves_nothing(lab, "not killed")


def test_bring_up_of_a_vm_continues_after_repeated_kills(vm_lab: Lab) -> None:
    """Each run continues after the last step of the one before: template, instance, socket, guest."""
    words = vm_lab.wakeup_argv(*WITH_VM)
    launcher = subprocess.Popen(words, env=vm_lab.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    boot = "runscripts/.ov-*.tmp/console.log"
    wait_for("the template's boot", lambda: any(p.stat().st_size for p in vm_lab.folder.glob(boot)), 60)
    users = {p.uids().real for p in vm_lab.processes() if p.name().startswith("qemu-system")}
    assert users == {pwd.getpwnam("sppr-vm").pw_uid}, "the QEMU that boots the template is not root's"
    launcher.kill()
    launcher.wait()
    assert_down_leaves_nothing(vm_lab, "killed while a template was made")
    kills = Kills(vm_lab, "vm")
    while kills.up(*WITH_VM) is not None:
        pass
    assert {row["state"] for row in vm_lab.status().values()} == {"ready"}
    store = "debian-12-sppr.qcow2"
    expected = [f"template ov-{store}: booting it", f"template ov-{store} created", f"instance v11-{store} created"]
    expected += ["vm_v11 has its sockets", "vm_v11 started"]
    missing = [text for text in expected if not any(point.startswith(text) for point in kills.points)]
    assert missing == [], kills.points


def test_wakeup_restarts_each_killed_part(vm_lab: Lab) -> None:
    """Uses the lab of the test before, and stops it."""
    assert_all_ready(vm_lab, WITH_VM, "at first")
    for name in vm_lab.status():
        before = {n: row["pid"] for n, row in vm_lab.status().items()}
        os.kill(before[name], signal.SIGKILL)
        dead = wait_exit(vm_lab, name, 137)
        assert dead["when"] and dead["pid"] is None
        assert_all_ready(vm_lab, WITH_VM, f"{name} killed")
        restarted = {n for n, row in vm_lab.status().items() if row["pid"] != before[n]}
        assert restarted == ({"pri", "sec1"} if name == "pri" else {name})
    os.kill(int(vm_lab.tmux("display-message", "-p", "#{pid}")), signal.SIGKILL)
    for name in vm_lab.status():
        wait_state(vm_lab, name, "failed")
    assert_down_leaves_nothing(vm_lab, "its tmux server killed")
