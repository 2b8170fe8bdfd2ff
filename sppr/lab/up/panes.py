"""Gives each part that is to start a pane whose script waits at its gate: in a new session, or in the one there is."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

import psutil

from sppr.deadline import Deadline
from sppr.host.process import processes
from sppr.host.root import privilege
from sppr.host.run_directory import sessions_dir
from sppr.lab.plan.plan import Plan, Window
from sppr.lab.state.observe import Observed
from sppr.tmux import pane
from sppr.tmux.commands import Pane, PaneSpec, WindowSpec
from sppr.tmux.pane import user_shell
from sppr.tmux.server import Tmux, terminal_size

#: Variables a running tmux server may have old values of.
ENVIRONMENT = (
    "PATH",
    "HOME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "XDG_RUNTIME_DIR",
    "RTE_SDK",
    "RTE_TARGET",
    "PYTHONPATH",
)


class Panes:
    """``known``: panes the session had once. A work window that its user has closed is not made again."""

    def __init__(self, plan: Plan, tmux: Tmux, known: Collection[str] = ()) -> None:
        self.plan, self.tmux, self.known = plan, tmux, known
        kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        self.tmux.env = {**kept, "HOME": privilege.home(), "SPPR_RUN_DIR": str(sessions_dir())}

    def missing_shells(self, seen: Observed) -> list[str]:
        """Work windows that are to be made."""
        parts = {part.name for part in self.plan.parts}
        shells = [name for window in self.plan.windows for name in window.panes if name not in parts]
        return [name for name in shells if name not in seen.panes and (not seen.session or name not in self.known)]

    def open(self, start: Collection[str], seen: Observed) -> dict[str, Pane]:
        """All panes of the session afterwards, by name."""
        wanted = {*start, *self.missing_shells(seen)}
        if seen.session:
            self._join(wanted, dict(seen.panes))
        else:
            windows = [Window(w.name, tuple(n for n in w.panes if n in wanted)) for w in self.plan.windows]
            specs = [WindowSpec(w.name, tuple(map(self._spec, w.panes))) for w in windows if w.panes]
            if specs:
                self.tmux.create_session(
                    self.plan.session, specs, terminal_size(), self.tmux.owner_id(Path(self.plan.run))
                )
        there = self.tmux.find_session(self.plan.session)
        return dict(there.parts) if there else {}

    def _join(self, wanted: Collection[str], panes: dict[str, Pane]) -> None:
        """Respawn the panes that are there; put the others where they belong in the order of the plan."""
        before: str | None = None
        for window in self.plan.windows:
            for place, name in enumerate(window.panes):
                if name in wanted:
                    panes[name] = self._put(window, place, panes, before)
            mine = [panes[name] for name in window.panes if name in panes]
            before = mine[-1].window if mine else before

    def _put(self, window: Window, place: int, panes: dict[str, Pane], before: str | None) -> Pane:
        name = window.panes[place]
        if name in panes:
            # The pane must not be empty for a moment, or it closes: first the new, then what is left of the old.
            old = tree([panes[name].pid])
            made = self.tmux.respawn(panes[name].pane, self._spec(name))
            end(old)
            return made
        spec = self._spec(name)
        ahead = [panes[n] for n in window.panes[:place] if n in panes]
        behind = [panes[n] for n in window.panes[place + 1 :] if n in panes]
        if ahead:
            return self.tmux.add_pane(spec, ahead[-1].pane)
        if behind:
            return self.tmux.add_pane(spec, behind[0].pane, before=True)
        return self.tmux.add_window(self.plan.session, window.name, spec, before)

    def _spec(self, name: str) -> PaneSpec:
        folder = Path(self.plan.folder)
        part = next((p for p in self.plan.parts if p.name == name), None)
        if part is None:
            return PaneSpec(name, folder, (user_shell(), "-i"))
        files = part.files(Path(self.plan.run))
        pane.write(files, part.command, folder, part.depends_on, self.tmux.env, part.restart)
        return PaneSpec(name, folder, ("/bin/sh", str(files.script)), files.log)


def tree(leaders: Iterable[int]) -> list[psutil.Process]:
    """What runs in panes, given by the pids of their first processes, and what lost its parent there; but not this
    process and its ancestors."""
    spared = processes.ourselves()
    found = {p.pid: p for leader in leaders for p in (*processes.session_members(leader), *processes.tree([leader]))}
    return [p for p in found.values() if p.pid not in spared]


def end(members: list[psutil.Process]) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """End what runs in panes. Returns those that had to be killed, and those that are still there."""
    # Interactive shells ignore SIGTERM; SIGHUP is what a closed terminal sends.
    for process in members:
        processes.hang_up(process)
    return processes.end(processes.wait_ended(members, Deadline(1.0)), Deadline(3.0))
