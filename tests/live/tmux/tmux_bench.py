"""A private tmux server, and parts that run in it."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sppr.deadline import Deadline
from sppr.tmux import pane
from sppr.tmux.commands import Pane, PaneSpec, WindowSpec
from sppr.tmux.pane import PaneFiles
from sppr.tmux.server import Tmux
from tests.live.dataplane_lab import wait_for


class Bench:
    """A private tmux server in its own folder, with hostile files in the home directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tmux = Tmux("bench", {})
        self.count = 0

    @property
    def socket(self) -> Path:
        return Path(os.environ["TMUX_TMPDIR"]) / f"tmux-{os.getuid()}" / "bench"

    def cmd(self, *words: str) -> str:
        return subprocess.run(["tmux", "-L", "bench", *words], capture_output=True, text=True, check=False).stdout

    def part(self, *argv: str, env: Mapping[str, str] | None = None, folder: Path | None = None) -> PaneFiles:
        """Return a part that will run ``argv``: its script and its gate."""
        self.count += 1
        files = PaneFiles(folder or self.folder, f"part{self.count}")
        pane.write(files, argv, files.folder, (), env or {})
        return files

    def spec(self, files: PaneFiles) -> PaneSpec:
        return PaneSpec(files.name, files.folder, ("/bin/sh", str(files.script)), files.log)

    def window(self, name: str, *panes: PaneSpec | PaneFiles) -> WindowSpec:
        return WindowSpec(name, tuple(p if isinstance(p, PaneSpec) else self.spec(p) for p in panes))

    def make(self, session: str, *windows: WindowSpec, size: tuple[int, int] = (160, 48)) -> dict[str, Pane]:
        return self.tmux.create_session(session, windows, size, "bench")

    def build(self, session: str, *parts: PaneFiles) -> dict[str, Pane]:
        """Make a window for each part, and open all gates."""
        made = self.make(session, *(self.window(files.name, files) for files in parts))
        self.open(*parts)
        return made

    def has(self, session: str) -> bool:
        return self.tmux.find_session(session) is not None

    def panes(self, session: str) -> dict[str, int]:
        """``%id`` -> pid."""
        found = self.tmux.find_session(session)
        return dict(found.panes) if found else {}

    def open(self, *parts: PaneFiles) -> None:
        for files in parts:
            pane.open_gate(files, Deadline(30))


def exited(files: PaneFiles, status: int = 0) -> bool:
    return bool(
        wait_for(f"{files.name}'s exit", lambda: files.exit.exists() and files.exit.read_text(), 60) == f"{status}\n"
    )
