"""SIGKILL of the launcher after each step of bring-up and of teardown, and of each part while the lab is up: the next
``wakeup`` has everything ready, and ``down`` leaves nothing. The steps are those that a run tells of by itself
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
    """Where its programs put temporary files is a folder of its own."""
    (lab.folder / "tmp").mkdir()
    lab.env["TMPDIR"] = str(lab.folder / "tmp")
    try:
        yield lab
    finally:
        lab.end()


class Strikes:
    """``sppr`` of a lab, ended by SIGKILL at the first point that none of its runs came to before."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self._kept = lab, lab.folder / f"{name}.points"

    @property
    def points(self) -> list[str]:
        """All that were come to, in that order."""
        return self._kept.read_text().splitlines()

    def run(self, *words: str) -> str | None:
        """The point where it was ended; None where it came to its own end."""
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


def test_a_launcher_killed_after_any_step_of_bring_up(lab: Lab) -> None:
    free = free_pages()
    strikes = Strikes(lab, "up")
    while (step := strikes.up(*SMALL)) is not None:
        assert_all_ready(lab, SMALL, f"killed after: {step}")
        assert_down_leaves_nothing(lab, f"killed after: {step}")
    parts = [part["name"] for part in plan(lab)["parts"]]
    implied = {f"{name} {what}" for name in parts for what in ("started", "ready")}
    assert {"state", "leftovers", "artifacts", "panes", "up", *implied} == set(strikes.points) and len(parts) == 4
    assert_down_leaves_nothing(lab, "not killed")
    assert free is None or free_pages() == free


def free_pages() -> int | None:
    """Hugepages nobody uses, where nobody else is at work on this machine: in CI with JOBS=0. Else this lab's own map
    files say it (``leftovers``)."""
    alone = os.environ.get("CI") and not os.environ.get("PYTEST_XDIST_WORKER")
    counts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(counts["HugePages_Free"]) if alone else None


@pytest.mark.parametrize("note", ["state.json", "traces.json"])
def test_a_launcher_killed_before_it_had_written_a_state(lab: Lab, note: str) -> None:
    point = f"os.rename {lab.state}/.{note}.PID.tmp"
    words = ["effects", point, str(lab.folder / "effects"), "up", "--conf", str(lab.conf), "--socket-name", lab.session]
    done = subprocess.run(
        [sys.executable, "-m", "tests.live.lab.kill_at_step", *words, *SMALL], env=lab.env, check=False
    )
    assert done.returncode == -signal.SIGKILL and lab.state.is_dir()
    assert_down_leaves_nothing(lab, "killed before its state was written")


def test_a_down_killed_after_any_step_of_it(lab: Lab) -> None:
    """Every other time what follows is ``up`` of what is left, every other time ``down`` once more."""
    flags = ("-ns", "1", "-nr", "0", "-nv", "0")
    strikes = Strikes(lab, "down")
    assert_all_ready(lab, flags, "at first")
    parts = [part["name"] for part in plan(lab)["parts"]]
    while (step := strikes.down()) is not None:
        if len(strikes.points) % 2:
            assert_down_leaves_nothing(lab, f"killed after: {step}")
        assert_all_ready(lab, flags, f"killed after: {step}")
    ended = [point for point in strikes.points if " stopped (" in point]
    assert {point.split()[0] for point in ended} == set(parts)
    assert [point for point in strikes.points if point not in ended] == [
        "state",
        "panes",
        "leftovers",
        "session",
        "removed",
    ]
    assert_down_leaves_nothing(lab, "not killed")


def test_a_launcher_killed_again_and_again_on_its_way_to_a_vm(vm_lab: Lab) -> None:
    """Each goes on from where the one before was killed: a template made, an instance, a socket served, a guest."""
    words = vm_lab.wakeup_argv(*WITH_VM)
    launcher = subprocess.Popen(words, env=vm_lab.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    boot = "runscripts/.ov-*.tmp/console.log"
    wait_for("the template's boot", lambda: any(p.stat().st_size for p in vm_lab.folder.glob(boot)), 60)
    users = {p.uids().real for p in vm_lab.processes() if p.name().startswith("qemu-system")}
    assert users == {pwd.getpwnam("sppr-vm").pw_uid}, "the QEMU that boots the template is not root's"
    launcher.kill()
    launcher.wait()
    assert_down_leaves_nothing(vm_lab, "killed while a template was made")
    strikes = Strikes(vm_lab, "vm")
    while strikes.up(*WITH_VM) is not None:
        pass
    assert {row["state"] for row in vm_lab.status().values()} == {"ready"}
    store = "debian-12-sppr.qcow2"
    wanted = [f"template ov-{store}: booting it", f"template ov-{store} created", f"instance v11-{store} created"]
    wanted += ["vm_v11 has its sockets", "vm_v11 started"]
    missing = [text for text in wanted if not any(point.startswith(text) for point in strikes.points)]
    assert missing == [], strikes.points


def test_each_part_killed_while_up(vm_lab: Lab) -> None:
    """The lab of the test before, to its end."""
    assert_all_ready(vm_lab, WITH_VM, "at first")
    for name in vm_lab.status():
        before = {n: row["pid"] for n, row in vm_lab.status().items()}
        os.kill(before[name], signal.SIGKILL)
        dead = wait_exit(vm_lab, name, 137)
        assert dead["when"] and dead["pid"] is None
        assert_all_ready(vm_lab, WITH_VM, f"{name} killed")
        anew = {n for n, row in vm_lab.status().items() if row["pid"] != before[n]}
        assert anew == ({"pri", "sec1"} if name == "pri" else {name})
    os.kill(int(vm_lab.tmux("display-message", "-p", "#{pid}")), signal.SIGKILL)
    for name in vm_lab.status():
        wait_state(vm_lab, name, "failed")
    assert_down_leaves_nothing(vm_lab, "its tmux server killed")
