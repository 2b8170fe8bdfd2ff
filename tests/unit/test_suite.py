"""`make test SUITE=` ends with all its processes and mounts, and tests the work tree. A folder with mounts is kept."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import suite
from tests.conftest import ROOT

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")


def wait_for(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.01)


def remove(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "bin/remove-folder", folder], capture_output=True, text=True, check=False)


def processes_with(argument: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if argument.encode() in words:
            found.append(path.parent.name)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a space in its name, which mountinfo writes as \\040."""
    folder = tmp_path / "the root"
    (folder / "mnt").mkdir(parents=True)
    (folder / "file").touch()
    return folder


@pytest.fixture
def mounted(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in a mount namespace of its own, in which something is mounted in the folder."""
    script = 'mount -t tmpfs tmpfs "$0/mnt" && echo mounted && read line'
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(folder)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "mounted\n"
        yield process
        process.kill()


@needs_root
def test_folder_with_a_mount_in_a_namespace_is_kept(folder: Path, mounted: subprocess.Popen[str]) -> None:
    assert str(folder / "mnt") not in Path("/proc/mounts").read_text()  # only the other namespace has it
    done = remove(folder)
    assert done.returncode == 1 and "mnt" in done.stderr and (folder / "file").exists()
    assert remove(folder.parent).returncode == 1 and (folder / "file").exists()
    (folder.parent / "the root of another").mkdir()
    assert remove(folder.parent / "the root of another").returncode == 0
    mounted.kill()
    mounted.wait()
    assert remove(folder).returncode == 0 and not folder.exists()


def test_missing_folder_is_not_an_error(tmp_path: Path) -> None:
    assert remove(tmp_path / "none").returncode == 0


@needs_root
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_killed_run_leaves_no_process_and_no_mount(folder: Path, number: int) -> None:
    lasting = str(1_000_000 + os.getpid())
    script = f'mount -t tmpfs tmpfs "$0/mnt" && touch "$0/mnt/file"; setsid sleep {lasting} & exec sleep {lasting}'
    code = (
        "import signal, sys; sys.path.insert(0, sys.argv[1]); from tests import suite;"
        "lock = open(sys.argv[2], 'w'); suite.fcntl.flock(lock, suite.fcntl.LOCK_EX);"
        "sys.exit(suite.isolated(sys.argv[3:], lock.fileno()))"
    )
    lock = folder.parent / "lock"
    argv = [sys.executable, "-c", code, str(ROOT), str(lock), "sh", "-c", script, str(folder)]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as process:
        wait_for(lambda: len(processes_with(lasting)) == 2)
        assert not (folder / "mnt/file").exists()
        assert remove(folder).returncode == 1
        process.send_signal(number)
        assert process.wait(20) == (-9 if number == signal.SIGKILL else 128 + number)
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # free when the last process has ended
        assert processes_with(lasting) == []
    assert remove(folder).returncode == 0


@needs_root
def test_exit_status_is_that_of_the_tests(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        assert suite.isolated(["sh", "-c", "test $$ = 1 && exit 7"], lock.fileno()) == 7


@needs_root
def test_second_run_of_a_suite_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite, "ROOTS", tmp_path)
    with (tmp_path / "trixie.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert suite.main("trixie") == 3
    assert "another `make test SUITE=trixie` runs" in capsys.readouterr().err


def test_copy_matches_the_work_tree(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "sub").mkdir(parents=True)
    for name, text in {"tracked": "1", "sub/gone": "2", ".gitignore": "built*", "built.o": "of the host"}.items():
        (source / name).write_text(text)
    git = ["git", "-C", str(source), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "first"], check=True)
    suite.copy_tree(target, source)
    (target / "built.o").write_text("of the root")
    before = (target / "tracked").stat().st_mtime_ns
    assert before == (source / "tracked").stat().st_mtime_ns

    (source / "tracked").write_text("changed")
    (source / "new").write_text("not added yet")
    (source / "sub/gone").unlink()
    suite.copy_tree(target, source)
    texts = {str(path.relative_to(target)): path.read_text() for path in target.rglob("*") if path.is_file()}
    del texts[".copied"]
    assert texts == {"tracked": "changed", "new": "not added yet", ".gitignore": "built*", "built.o": "of the root"}


def test_apt_settings_of_a_snapshot_are_copied() -> None:
    dump = 'APT "";\nAcquire "";\nAcquire::Check-Valid-Until "false";\nAcquire::http::Proxy "http://user:secret@x";\n'
    assert suite.apt_settings(dump) == ['Acquire::Check-Valid-Until "false";']
