"""tmux sessions, windows and panes. The only room that imports libtmux, which breaks its interface often.

Windows are built by one chained call (14 windows: 53 ms against 332 ms one by one), targeted by id or by ``=name``,
never by an index (base-index) or a bare name (tmux matches prefixes: ``spp`` finds ``sppx``). Options are set on our
own windows only; the user's tmux server and ~/.tmux.conf stay theirs.
"""

import fcntl
import os
import re
import shlex
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sppr.deadline import Deadline
from sppr.errors import HostError, LaunchError
from sppr.run import find_program

# Under LC_ALL=C tmux rewrites libtmux's own separator, and libtmux ends in a ValueError. Read at its import.
os.environ.setdefault("LIBTMUX_TMUX_FORMAT_SEPARATOR", "@|@")

import libtmux

#: A tmux message holds 16 KiB, words and their ends ("command too long" beyond): a chain stays below.
BYTES_A_CALL = 14_000


@dataclass(frozen=True)
class PaneSpec:
    """A pane: its process *is* ``argv`` (empty: the user's shell). ``log``: its output from the first byte."""

    name: str
    cwd: Path
    argv: tuple[str, ...] = ()
    log: Path | None = None


@dataclass(frozen=True)
class WindowSpec:
    """A window; more than one pane are tiled."""

    name: str
    panes: tuple[PaneSpec, ...]


@dataclass(frozen=True)
class Pane:
    """A pane that is there: ``window`` @id, ``pane`` %id, and the pid of its process."""

    window: str
    pane: str
    pid: int = 0


@dataclass
class Tmux:
    """One tmux server: the user's own, or the one of ``tmux -L socket_name``."""

    socket_name: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._server = libtmux.Server(socket_name=self.socket_name, tmux_bin=find_program("tmux"))

    def _cmd(self, *args: str, check: bool = True) -> list[str]:
        done = self._server.cmd(*args)
        if check and (done.returncode or done.stderr):
            raise LaunchError(f"tmux {args[0]}: {'; '.join(done.stderr) or f'status {done.returncode}'}")
        return done.stdout if not done.returncode else []

    def has_session(self, name: str) -> bool:
        return bool(
            self._cmd("list-sessions", "-F", "=#{session_name}", "-f", f"#{{==:#{{session_name}},{name}}}", check=False)
        )

    def build(self, session: str, windows: Sequence[WindowSpec], size: tuple[int, int]) -> dict[str, Pane]:
        """Make a detached session with these windows and return its panes by name. The last window has the focus.

        ``size``: columns and lines, until a terminal attaches. A tmux server that is just going away
        (kill-server a moment ago) makes the first call fail: it is tried once more.
        """
        steps = list(_steps(session, windows, size, self.env))
        try:
            printed = self._cmd(*steps[0])
        except LaunchError as e:
            if "server exited" not in e.what and "lost server" not in e.what:
                raise
            list(Deadline(1.0).ticks(0.5))
            printed = self._cmd(*steps[0])
        for step in steps[1:]:
            printed += self._cmd(*step)
        names = [pane.name for window in windows for pane in window.panes]
        return {name: Pane(*_ids(line)) for name, line in zip(names, printed, strict=True)}

    def panes(self, session: str) -> dict[str, int]:
        """``%id`` -> pid of the pane's process, of all panes of ``session``; empty when there is no such session."""
        listed = self._cmd("list-panes", "-s", "-t", f"={session}:", "-F", "#{pane_id} #{pane_pid}", check=False)
        return {pane: int(pid) for pane, pid in (line.split() for line in listed)}

    def kill_session(self, session: str) -> None:
        """End the session if it is there. Children that ignore SIGHUP outlive this: end them first."""
        self._cmd("kill-session", "-t", f"={session}", check=False)
        if self.socket_name is not None and not self._cmd("list-sessions", check=False):
            self._remove_socket(Path(os.environ.get("TMUX_TMPDIR") or "/tmp"))  # noqa: S108 - tmux's own default

    def _remove_socket(self, folder: Path) -> None:
        """A server that ended leaves its socket file. Held under tmux's own lock, so that no new server loses its."""
        path = folder / f"tmux-{os.getuid()}" / str(self.socket_name)
        if not path.is_socket() or not Deadline(1.0).poll(lambda: not _accepts(path)):
            return
        lock = path.with_name(f"{path.name}.lock")
        try:
            with lock.open("a") as f:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not _accepts(path):
                    path.unlink(missing_ok=True)
                    lock.unlink(missing_ok=True)
        except OSError:
            return

    def attach_argv(self, session: str) -> list[str]:
        """What shows ``session`` in this terminal: switch-client from inside the same server, attach else."""
        socket = ["-L", self.socket_name] if self.socket_name else []
        verb = "switch-client" if self._inside() else "attach"
        return ["tmux", *socket, verb, "-t", f"={session}"]

    def _inside(self) -> bool:
        inside = os.environ.get("TMUX", "").split(",")[0]
        return bool(inside) and Path(inside).name == (self.socket_name or "default")

    def inside_another(self) -> bool:
        """Whether this terminal is in a tmux of another server, where attaching would nest."""
        return bool(os.environ.get("TMUX")) and not self._inside()


def attach(tmux: Tmux, session: str) -> None:
    """Become the tmux client that shows ``session``. HostError inside another tmux server."""
    argv = tmux.attach_argv(session)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise HostError("this is no terminal, so it cannot show a session", hint=shlex.join(argv))
    if tmux.inside_another():
        raise HostError("this terminal is inside another tmux server", hint=f"env -u TMUX {shlex.join(argv)}")
    os.execv(find_program("tmux"), argv)  # noqa: S606 - argv only


def terminal_size() -> tuple[int, int]:
    """Columns and lines of the terminal; a size that holds tiled panes where there is none (tmux would take 80x24)."""
    size = shutil.get_terminal_size((160, 48))
    return max(size.columns, 80), max(size.lines, 24)


def _accepts(path: Path) -> bool:
    """Whether a tmux server listens there."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def _ids(line: str) -> tuple[str, str, int]:
    window, pane, pid = line.split()
    return window, pane, int(pid)


def _steps(
    session: str, windows: Sequence[WindowSpec], size: tuple[int, int], env: Mapping[str, str]
) -> Iterator[list[str]]:
    """tmux argument lists, each a chain of commands of whole panes, of BYTES_A_CALL at most."""
    made = [word for name, value in env.items() for word in ("-e", f"{name}={value}")]
    made += ["-P", "-F", "#{window_id} #{pane_id} #{pane_pid}"]
    here = f"={session}:"
    chain: list[str] = []
    first = True
    for window in windows:
        for p, pane in enumerate(window.panes):
            if first:
                verb = ["new-session", "-d", "-s", session, "-x", str(size[0]), "-y", str(size[1]), "-n", window.name]
            elif p == 0:
                verb = ["new-window", "-t", here, "-n", window.name]
            else:
                verb = ["split-window", "-t", here]
            first = False
            parts = [[*verb, "-c", _literal(str(pane.cwd)), *made, *pane.argv], *_after(here, pane)]
            if p > 0:
                parts.append(["select-layout", "-t", here, "tiled"])
            else:
                parts += [
                    ["set-option", "-w", "-t", here, name, "off"] for name in ("automatic-rename", "allow-rename")
                ]
            words = [word for part in parts for word in (";", *map(_escaped, part))][1:]
            if chain and _size(chain) + _size(words) > BYTES_A_CALL:
                yield chain
                chain = []
            chain += [";"] * bool(chain) + words
    yield chain


def _size(words: Sequence[str]) -> int:
    return sum(len(os.fsencode(word)) + 1 for word in words)


def _literal(text: str) -> str:
    """``text`` where tmux expands formats (``#(command)`` runs one!). A run of # before a [ it leaves as it is."""
    return re.sub(r"#+(\[?)", lambda run: run[0] if run[1] else run[0] * 2, text)


def _after(here: str, pane: PaneSpec) -> Iterator[list[str]]:
    yield ["set-option", "-p", "-t", here, "@sppr_part", pane.name]
    if pane.log is not None:
        # tmux expands formats (#) and strftime (%) in this string before /bin/sh reads it.
        command = _literal(f"exec cat >>{shlex.quote(str(pane.log))}").replace("%", "%%")
        yield ["pipe-pane", "-t", here, command]


def _escaped(word: str) -> str:
    """A word that ends in ``;`` would end the command in a chain."""
    return word[:-1] + "\\;" if word.endswith(";") else word
