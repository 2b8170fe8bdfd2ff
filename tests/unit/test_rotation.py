"""Rotated logs: the writer in a real shell, and concurrent readers."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sppr import rotation, wait
from sppr.deadline import Deadline

SIZE = 1000


class Writer:
    def __init__(self, log: Path) -> None:
        self.log = log
        self.sent = b""
        self._process = subprocess.Popen(["/bin/sh", "-c", rotation.writer_command(log, SIZE)], stdin=subprocess.PIPE)

    def write(self, data: bytes) -> None:
        """Write ``text``, and return when the log contains it."""
        assert self._process.stdin
        self._process.stdin.write(data)
        self._process.stdin.flush()
        self.sent += data
        assert Deadline(20).poll(lambda: rotation.tail(self.log, len(data)) == data, 0.005), data

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        assert self._process.wait(20) == 0


@pytest.fixture
def open_writer(tmp_path: Path) -> Iterator[Callable[[], Writer]]:
    made: list[Writer] = []

    def start() -> Writer:
        made.append(Writer(tmp_path / "it's.log"))
        return made[-1]

    yield start
    for writer in made:
        writer.end()


def lines(first: int, last: int) -> bytes:
    return b"".join(b"%099d\n" % n for n in range(first, last))


def test_written_text_is_readable_at_once(open_writer: Callable[[], Writer]) -> None:
    writer = open_writer()
    writer.write(b"a prompt without an end $ ")
    assert writer.log.read_bytes() == writer.sent


def test_log_is_bounded_and_marks_removed_bytes(open_writer: Callable[[], Writer], tmp_path: Path) -> None:
    writer = open_writer()
    for n in range(29):
        assert not rotation.is_truncated(writer.log)
        writer.write(lines(n, n + 1))
    assert b"".join(rotation.read(writer.log)) == writer.sent, "from the first byte as long as it fits"
    for n in range(29, 60):
        writer.write(lines(n, n + 1))
    Deadline(20).poll(lambda: rotation.is_truncated(writer.log), 0.01)
    assert rotation.is_truncated(writer.log)
    assert sum(p.stat().st_size for p in tmp_path.glob("*.log*")) <= rotation.PIECES * SIZE
    kept = b"".join(rotation.read(writer.log))
    assert writer.sent.endswith(kept) and len(kept) >= 2 * SIZE


def test_follower_reads_everything_over_rotations(open_writer: Callable[[], Writer]) -> None:
    writer = open_writer()
    writer.write(lines(0, 15))
    got: list[bytes] = []
    state = {"more": True}

    def ticks() -> Iterator[None]:
        yield
        assert b"".join(got) == writer.sent
        for n in range(15, 50, 7):
            writer.write(lines(n, n + 7))
            yield
            assert b"".join(got) == writer.sent
        writer.end()
        again = open_writer()
        again.write(b"run again\n")
        writer.sent += b"run again\n"
        yield
        state["more"] = False
        again.write(b"the last word\n")
        writer.sent += b"the last word\n"
        yield
        raise AssertionError("it goes on after the end")

    for chunk in rotation.read(writer.log, lambda: state["more"], ticks()):
        got.append(chunk)
    assert b"".join(got) == writer.sent


def test_text_across_a_rotation_is_found(tmp_path: Path) -> None:
    log = tmp_path / "log"
    (tmp_path / "log.1").write_text("x" * 50 + "EAL: FATAL: Cannot init\n")
    log.write_text(" memory\n")
    assert wait.tail(log, 40).endswith("EAL: FATAL: Cannot init\n memory\n")
    assert wait.last_lines(log, 2)[1] == " memory"
    assert rotation.tail(log, 3) == b"ry\n" and rotation.tail(tmp_path / "none", 3) == b""


def test_reading_closes_every_file(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("x")
    before = len(list(Path("/proc/self/fd").iterdir()))
    ticks = iter(range(50))
    assert list(rotation.read(tmp_path / "log", lambda: next(ticks) < 40, range(100))) == [b"x"]
    rotation.tail(tmp_path / "log", 10)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_vm_console_is_truncated_with_its_pane_log(open_writer: Callable[[], Writer]) -> None:
    """QEMU appends to the console log, after the part that is kept."""
    writer = open_writer()
    console = writer.log.with_suffix(".console")
    with console.open("ab", buffering=0) as qemu:
        qemu.write(b"x" * 100_000 + b"vm login: ")
        writer.write(b"y" * (SIZE + 1))
        assert Deadline(20).poll(lambda: console.stat().st_size == 4096, 0.005)
        qemu.write(b"root")
    assert console.read_bytes().endswith(b"xvm login: root") and console.stat().st_size == 4100
    assert not console.with_name(f"{console.name}.tail").exists()
