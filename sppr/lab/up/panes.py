"""Open a pane for each part to start, in a new or an existing tmux session. Its script waits at its start gate."""

import contextlib
import os
from collections.abc import Collection, Iterable
from pathlib import Path

import psutil

from sppr.deadline import Deadline
from sppr.host.process import processes
from sppr.host.root import privilege
from sppr.host.run_directory import cache_dir, sessions_dir
from sppr.lab.plan.plan import Plan, Window
from sppr.lab.state.observe import Observed
from sppr.tmux import pane
from sppr.tmux.commands import Pane, PaneSpec, WindowSpec
from sppr.tmux.pane import user_shell
from sppr.tmux.server import Tmux, window_size

#: Variables of which a running tmux server may have old values.
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
    """The panes of a session.

    ``known``: panes that the session has had. A work window that the user has closed is not opened again.
    """

    def __init__(self, plan: Plan, tmux: Tmux, known: Collection[str] = ()) -> None:
        self.plan, self.tmux, self.known = plan, tmux, known
        inherited = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        self.tmux.env = {
            **inherited,
            "HOME": privilege.home(),
            "SPPR_RUN_DIR": str(sessions_dir()),
            "SPPR_CACHE_DIR": str(cache_dir()),
        }

    def missing_shells(self, observed: Observed) -> list[str]:
        """Return the work windows to open."""
        parts = {part.name for part in self.plan.parts}
        shells = [name for window in self.plan.windows for name in window.panes if name not in parts]
        return [n for n in shells if n not in observed.panes and (not observed.session or n not in self.known)]

    def open(self, start: Collection[str], observed: Observed) -> dict[str, Pane]:
        """Open the panes of the parts ``start`` and the missing work windows. Return all panes of the session by name.

        An existing pane of a part is reused.
        """
        names = {*start, *self.missing_shells(observed)}
        if observed.session:
            self._add_to_session(names, dict(observed.panes))
        else:
            windows = [Window(w.name, tuple(n for n in w.panes if n in names)) for w in self.plan.windows]
            specs = [WindowSpec(w.name, tuple(map(self._spec, w.panes))) for w in windows if w.panes]
            if specs:
                self.tmux.create_session(
                    self.plan.session, specs, window_size(), self.tmux.owner_id(Path(self.plan.run))
                )
        session = self.tmux.find_session(self.plan.session)
        return dict(session.parts) if session else {}

    def _add_to_session(self, names: Collection[str], panes: dict[str, Pane]) -> None:
        """Respawn the existing panes of these names. Add the missing panes in the order of the plan."""
        previous: list[Pane] = []
        for window in self.plan.windows:
            for index, name in enumerate(window.panes):
                if name in names:
                    panes[name] = self._open_pane(window, index, panes, previous)
            previous = [panes[name] for name in window.panes if name in panes] or previous

    def _open_pane(self, window: Window, index: int, panes: dict[str, Pane], previous: list[Pane]) -> Pane:
        name = window.panes[index]
        if name in panes:
            # A verb that was typed in this pane must complete.
            own = panes[name].pane == os.environ.get("TMUX_PANE")
            # tmux closes a pane without a process, so start the new program before the remaining old ones are stopped.
            old = pane_processes([panes[name].pid])
            with processes.terminal_closes() if own else contextlib.nullcontext():
                respawned = self.tmux.respawn(panes[name].pane, self._spec(name))
            stop_processes(old)
            return respawned
        before = [panes[n] for n in window.panes[:index] if n in panes]
        after = [panes[n] for n in window.panes[index + 1 :] if n in panes]
        return self.tmux.add_pane(
            self.plan.session, window.name, self._spec(name), before=before, after=after, behind=previous
        )

    def _spec(self, name: str) -> PaneSpec:
        folder = Path(self.plan.folder)
        part = next((p for p in self.plan.parts if p.name == name), None)
        if part is None:
            return PaneSpec(name, folder, (user_shell(), "-i"))
        files = part.files(Path(self.plan.run))
        pane.write(files, part.command, folder, part.depends_on, self.tmux.env, part.restart)
        return PaneSpec(name, folder, ("/bin/sh", str(files.script)), files.log)


def pane_processes(leaders: Iterable[int]) -> list[psutil.Process]:
    """Return the processes of panes, including those whose parent in the pane has exited.

    ``leaders``: the pids of the first processes of the panes. This process and its ancestors are left out.
    """
    excluded = processes.self_and_ancestors()
    found = {p.pid: p for leader in leaders for p in (*processes.session_members(leader), *processes.tree([leader]))}
    return [p for p in found.values() if p.pid not in excluded]


def stop_processes(members: list[psutil.Process]) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """Stop these processes of panes. Return those that had to be killed, and those that still run."""
    # Interactive shells ignore SIGTERM. A closed terminal sends SIGHUP.
    for process in members:
        processes.send_sighup(process)
    return processes.end(processes.wait_exited(members, Deadline(1.0)), Deadline(3.0))
