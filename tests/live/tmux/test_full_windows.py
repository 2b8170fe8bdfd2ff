"""A lab with more parts than a window of 80x24 holds: the next window continues a full one."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pexpect
import pytest

from sppr.lab.plan.plan import Plan
from sppr.lab.state.observe import Observed
from sppr.lab.up.panes import Panes
from sppr.tmux.commands import Pane
from sppr.tmux.windows import MIN_COLUMNS, MIN_LINES
from tests.live import labs
from tests.live.dataplane_lab import wait_for
from tests.live.lab.test_faults import fake_tree
from tests.live.labs import Lab
from tests.live.tmux.tmux_bench import Bench
from tests.unit.lab.test_plan import paths
from tests.unit.lab.test_planned_parts import planned

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]


def secondaries(count: int) -> str:
    return ", ".join(f"{{id: {n}, coremask: {3 << 2 * n:#x}}}" for n in range(1, count + 1))


def names(kind: str, first: int, last: int) -> list[str]:
    return [f"{kind}{n}" for n in range(first, last + 1)]


class Screen:
    """The panes of a lab with 16 secondaries, 8 ring VMs and 8 vhost VMs, opened in a terminal of 80x24.

    No part starts: its script waits at its start gate.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        plan = self.plan(16)
        Path(plan.run).mkdir()
        Panes(plan, bench.tmux).open([part.name for part in plan.parts], Observed({}, {}, False))

    def plan(self, sec: int) -> Plan:
        vms = [", ".join(f"{{id: {n}}}" for n in range(first, first + 8)) for first in (41, 61)]
        text = f"secondaries: [{secondaries(sec)}]\nvms_ring: [{vms[0]}]\nvms_vhost: [{vms[1]}]\n"
        return planned(text, where=replace(paths(str(self.bench.folder)), run=self.bench.folder / "run"))

    def panes(self) -> dict[str, Pane]:
        found = self.bench.tmux.find_session("spp")
        return dict(found.parts) if found else {}

    def open(self, *parts: str, sec: int = 16) -> None:
        """Open the panes of these parts in the running session."""
        Panes(self.plan(sec), self.bench.tmux, self.panes()).open(parts, Observed({}, self.panes(), True))

    def close(self, *parts: str) -> None:
        for name in parts:
            self.bench.cmd("kill-pane", "-t", self.panes()[name].pane)

    def windows(self) -> dict[str, list[str]]:
        """Return the parts of each window, in the order that a user sees."""
        found: dict[str, list[str]] = {}
        listed = self.bench.cmd("list-panes", "-s", "-t", "=spp:", "-F", "#{window_name} #{@sppr_part}")
        for line in listed.splitlines():
            found.setdefault(line.split()[0], []).append(line.split()[1])
        return found

    def focus(self) -> str:
        return self.bench.cmd("list-windows", "-t", "=spp", "-f", "#{window_active}", "-F", "#{window_name}").strip()

    def smallest(self) -> tuple[int, int]:
        """Return the fewest columns and the fewest lines of a pane."""
        listed = self.bench.cmd("list-panes", "-s", "-t", "=spp:", "-F", "#{pane_width} #{pane_height}").splitlines()
        columns, lines = zip(*(map(int, line.split()) for line in listed), strict=True)
        return min(columns), min(lines)

    def usable(self) -> bool:
        columns, lines = self.smallest()
        return columns >= MIN_COLUMNS and lines >= MIN_LINES

    @contextlib.contextmanager
    def client(self, columns: int, lines: int) -> Iterator[None]:
        """Show every window once in a terminal of this size, the last one last: tmux resizes a window that it shows."""
        attach = ["-L", "bench", "attach", "-t", "=spp"]
        terminal = pexpect.spawn("tmux", attach, dimensions=(lines, columns), timeout=20)
        wait_for("a client", lambda: self.bench.cmd("list-clients"))
        query = ("display-message", "-p", "-t", "=spp:", "#{window_width} #{window_height}")
        for name in self.windows():
            self.bench.cmd("select-window", "-t", f"=spp:={name}")
            wait_for("the terminal's size", lambda: self.bench.cmd(*query).strip() == f"{columns} {lines - 1}")
        yield
        terminal.close(force=True)


@pytest.fixture
def screen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    return Screen(bench)


START = {
    "ctrler": ["ctrler"],
    "pri": ["pri"],
    "sec": names("sec", 1, 9),
    "sec-2": names("sec", 10, 16),
    "vm_r": names("vm_r", 41, 48),
    "vm_v": names("vm_v", 61, 68),
    "w0": ["w0"],
}


def test_all_panes_are_usable_in_a_terminal_of_80x24(screen: Screen) -> None:
    assert screen.windows() == START and list(screen.windows()) == list(START)
    assert screen.focus() == "w0" and screen.usable(), screen.smallest()
    assert screen.panes()["sec16"].window_name == "sec-2"
    with screen.client(80, 24):
        assert screen.usable() and screen.focus() == "w0", screen.smallest()


@pytest.mark.parametrize("attached", [False, True])
def test_parts_added_to_a_running_session_fill_the_last_window_and_then_the_next(
    screen: Screen, attached: bool
) -> None:
    with screen.client(80, 24) if attached else contextlib.nullcontext():
        screen.open("sec17", sec=17)
        assert screen.windows() == {**START, "sec-2": names("sec", 10, 17)}
        screen.open("sec18", "sec19", sec=19)
        assert list(screen.windows()) == ["ctrler", "pri", "sec", "sec-2", "sec-3", "vm_r", "vm_v", "w0"]
        assert screen.windows()["sec-2"] == names("sec", 10, 18) and screen.windows()["sec-3"] == ["sec19"]
        assert screen.focus() == "w0" and screen.usable(), screen.smallest()


def test_closed_panes_are_opened_where_they_were(screen: Screen) -> None:
    screen.close("sec1", "sec5", "sec10", "sec16", "vm_r44")
    screen.open("sec1", "sec5", "sec10", "sec16", "vm_r44")
    assert screen.windows() == START and screen.usable()


def test_closed_windows_are_opened_where_they_were(screen: Screen) -> None:
    screen.open("sec17", "sec18", sec=18)
    before = screen.windows()
    screen.close(*names("sec", 1, 9))
    assert "sec" not in screen.windows()
    screen.open(*names("sec", 1, 9), sec=18)
    assert screen.windows() == before and list(screen.windows()) == list(before), "before sec-2, which is full"
    screen.close(*names("sec", 10, 18))
    screen.open(*names("sec", 10, 18), sec=18)
    assert screen.windows() == before and list(screen.windows()) == list(before)
    screen.close("ctrler", "pri")
    screen.open("ctrler", "pri")
    assert list(screen.windows()) == list(before) and screen.focus() == "w0" and screen.usable()


def test_room_that_the_user_took_is_left_to_them(screen: Screen) -> None:
    """A shell of the user is where sec5 was. Another pane was moved, and a window has another name."""
    screen.bench.cmd("join-pane", "-d", "-s", screen.panes()["sec2"].pane, "-t", screen.panes()["w0"].pane)
    screen.bench.cmd("rename-window", "-t", "=spp:=vm_r", "mine | too")
    screen.close("sec5")
    for _ in range(2):
        screen.bench.cmd("split-window", "-d", "-t", screen.panes()["sec4"].pane, "sleep", "60")
        screen.bench.cmd("select-layout", "-t", "=spp:=sec", "tiled")
    screen.open("sec5", "vm_r44")
    panes = screen.panes()
    assert panes["sec5"].window_name == "sec-3" and panes["sec2"].window_name == "w0"
    assert panes["vm_r44"].window_name == "mine _ too"
    order = screen.bench.cmd("list-windows", "-t", "=spp", "-F", "#{window_name}").splitlines()
    assert order == ["ctrler", "pri", "sec", "sec-2", "sec-3", "mine | too", "vm_v", "w0"] and screen.usable()


def test_existing_panes_are_reused(screen: Screen) -> None:
    before = screen.panes()
    screen.open("sec3", "sec12")
    after = screen.panes()
    assert screen.windows() == START
    assert {n for n in before if before[n].pid != after[n].pid} == {"sec3", "sec12"}
    assert all(before[n].pane == after[n].pane for n in before)


def test_pane_is_added_beside_one_that_the_user_made_small(screen: Screen) -> None:
    screen.bench.cmd("resize-pane", "-t", screen.panes()["sec16"].pane, "-y", "1")
    screen.open("sec17", sec=17)
    assert screen.windows()["sec-2"] == names("sec", 10, 17) and screen.usable()


def test_window_of_a_smaller_terminal_holds_fewer_panes(screen: Screen) -> None:
    """A terminal of 40x12 shows the session now: two of its lines would be left for each pane of ``sec-2``."""
    with screen.client(40, 12):
        screen.open("sec17", "sec18", sec=18)
        assert screen.windows() == {**START, "sec-3": ["sec17"], "sec-4": ["sec18"]}
        assert list(screen.windows())[3:6] == ["sec-2", "sec-3", "sec-4"]


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = labs.make(tmp_path_factory.mktemp("lab"), "winlab4", None)
    made.env |= {"COLUMNS": "80", "LINES": "24"}
    text = made.conf.read_text()
    for listed, new in (
        ("\n  - {id: 1, coremask: 0x0C}\n  - {id: 2, coremask: 0x30}\n", f" [{secondaries(17)}]\n"),
        ("{id: 6}, {id: 7}", "{id: 41}"),
        ("{id: 11}, {id: 12}", "{id: 61}"),
    ):
        assert listed in text
        text = text.replace(listed, new)
    made.conf.write_text(text)
    fake_tree(made, "echo 'EAL: FATAL: no'; exit 7")
    try:
        yield made
    finally:
        made.end()


def test_status_and_logs_find_parts_in_every_window(lab: Lab) -> None:
    """The primary fails, so the secondaries wait in their panes."""
    none = ("-nr", "0", "-nv", "0")
    done = lab.wakeup("-ns", "16", *none)
    assert done.returncode == 4 and "pri: exited with status 7" in done.stderr, done.stderr
    assert lab.wakeup("-ns", "17", *none).returncode == 4
    listed = lab.tmux("list-panes", "-s", "-t", "=winlab4:", "-F", "#{pane_id} #{window_name}").splitlines()
    windows = dict(line.split() for line in listed)
    rows = lab.status()
    assert [row["window"] for row in rows.values()] == ["ctrler", "pri", *["sec"] * 9, *["sec-2"] * 8]
    assert all(windows[row["pane"]] == row["window"] for row in rows.values())
    assert "  sec-2" in lab.sppr("status", "--session", "winlab4").stdout
    assert "sec16 waits for pri" in lab.sppr("logs", "sec16", "--session", "winlab4").stdout
    assert lab.down().returncode == 0 and lab.leftovers() == []
