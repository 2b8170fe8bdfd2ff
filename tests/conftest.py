"""Fixtures and options of all tests: a fixed environment, --update for golden files, and failure of skips in CI."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

# A shell without job control starts `pytest &` with SIGINT ignored, and programs of the tests would ignore it, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite golden files with the current output")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = 1
        reporter.write_line("a skip in CI is a failure", red=True)


@pytest.fixture(autouse=True)
def pinned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Set SHELL, HOME, locale and run directory for the test, without an outer tmux."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("TMUX", "TMUX_PANE", "LC_ALL", "ZDOTDIR", "PROMPT_COMMAND", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SHELL", "/bin/bash")
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("SPPR_RUN_DIR", str(tmp_path / "run"))
    yield


class Golden:
    """Compare text with a file below tests/; --update writes the file."""

    def __init__(self, update: bool) -> None:
        self.update = update

    def check(self, path: Path, text: str) -> None:
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"{path} is missing: run with --update and read it"
        assert text == path.read_text()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(bool(request.config.getoption("--update")))
