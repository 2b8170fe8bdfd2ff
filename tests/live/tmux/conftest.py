"""Fixtures: a private tmux server with a hostile ~/.tmux.conf, of Debian's tmux and of that of its backports."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.live.tmux import tmux_versions
from tests.live.tmux.tmux_bench import Bench

TMUX_CONF = """\
set -g base-index 1
set -g pane-base-index 1
set -g automatic-rename on
set -g allow-rename on
set -g renumber-windows on
set -g default-command 'cat'
set -g remain-on-exit off
set -g update-environment 'NOTHING'
"""


@pytest.fixture(scope="module", params=["machine's", "backport's"])
def version(request: pytest.FixtureRequest) -> Path:
    """Return the folder of the tmux to use."""
    return Path(shutil.which("tmux") or "").parent if request.param == "machine's" else tmux_versions.backport()


@pytest.fixture
def bench(version: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    # Short, because it contains a tmux socket.
    with tempfile.TemporaryDirectory(prefix="sppr-t") as name:
        folder = Path(name)
        home = Path(os.environ["HOME"])
        (home / ".tmux.conf").write_text(TMUX_CONF)
        monkeypatch.setenv("PATH", f"{version}:{os.environ['PATH']}")
        monkeypatch.setenv("TMUX_TMPDIR", name)
        monkeypatch.setenv("TERM", "xterm")
        bench = Bench(folder)
        try:
            yield bench
        finally:
            pids = [int(pid) for pid in bench.cmd("list-panes", "-a", "-F", "#{pane_pid}").split()]
            trees = [p for pid in pids for p in _tree(pid)]
            bench.cmd("kill-server")
            for process in trees:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()


def _tree(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return []
