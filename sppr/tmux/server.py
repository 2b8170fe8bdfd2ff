"""tmux sessions, windows and panes. The only room that imports libtmux, which breaks its interface often.

Windows are built by one chained call (14 windows: 53 ms against 332 ms one by one), targeted by id or by ``=name``,
never by an index (base-index) or a bare name (tmux matches prefixes: ``spp`` finds ``sppx``). Options are set on our
own windows only; the user's tmux server and ~/.tmux.conf stay theirs.
"""

import fcntl
import hashlib
import os
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

from sppr.tmux.commands import (
    IDS,
    Pane,
    PaneSpec,
    WindowSpec,
    after,
    chainable,
    ids,
    literal,
    named,
    part_of,
    steps,
    variables,
)


@dataclass(frozen=True)
class Session:
    """A session that is there: the mark of its ``owner`` (empty: not made by sppr) and the panes of ours, by name."""

    owner: str
    parts: Mapping[str, Pane]
    panes: Mapping[str, int]


@dataclass
class Tmux:
    """One tmux server: the user's own, or the one of ``tmux -L socket_name``."""

    socket_name: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._server = libtmux.Server(socket_name=self.socket_name, tmux_bin=find_program("tmux"))

    @classmethod
    def servers(cls) -> "Iterator[Tmux]":
        """Each server of this user that runs, where ``tmux -L`` finds it."""
        folder = _socket_folder()
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.is_socket() and _accepts(path):
                yield cls(None if path.name == "default" else path.name)

    def _cmd(self, *args: str, check: bool = True) -> list[str]:
        done = self._server.cmd(*args)
        if check and (done.returncode or done.stderr):
            raise LaunchError(f"tmux {args[0]}: {'; '.join(done.stderr) or f'status {done.returncode}'}")
        return done.stdout if not done.returncode else []

    @staticmethod
    def mark(folder: Path) -> str:
        """What a session made for this run directory carries: ASCII, whatever the folder's name and the locale."""
        return hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]

    def look(self, session: str) -> Session | None:
        """The session of this name with all its panes; None where there is none.

        A pane is known by its own option, wherever it was moved in the session: after a restart of the server its
        ``%id`` may be another's.
        """
        wanted = "#{@sppr_run}|#{@sppr_part}|#{window_id}|#{pane_id}|#{pane_pid}|#{pane_start_command}"
        lines = [line.split("|", 5) for line in
                 self._cmd("list-panes", "-s", "-t", f"={session}:", "-F", wanted, check=False)]  # fmt: skip
        if not lines:
            return None
        found = {part_of(name, start): Pane(window, pane, int(pid)) for _, name, window, pane, pid, start in lines}
        found.pop("", None)
        return Session(lines[0][0], found, {pane: int(pid) for _, _, _, pane, pid, _ in lines})

    def build(self, session: str, windows: Sequence[WindowSpec], size: tuple[int, int], owner: str) -> dict[str, Pane]:
        """Make a detached session with these windows and return its panes by name. The last window has the focus.

        ``size``: columns and lines, until a terminal attaches. A tmux server that is just going away
        (kill-server a moment ago) makes the first call fail: it is tried once more. HostError where an option or a hook
        of the user ends the session.
        """
        chains = list(steps(session, windows, size, self.env, owner))
        try:
            printed = self._first(chains[0])
            self._check_exit(session, printed[0])
            for step in chains[1:]:
                printed += self._cmd(*step)
            self._check_hooks(session, windows)
        except LaunchError:
            self._check_hooks(session, windows)
            raise
        names = [pane.name for window in windows for pane in window.panes]
        return {name: Pane(*ids(line)) for name, line in zip(names, printed, strict=True)}

    def _first(self, chain: Sequence[str]) -> list[str]:
        try:
            return self._cmd(*chain)
        except LaunchError as e:
            if "server exited" not in e.what and "lost server" not in e.what:
                raise
            list(Deadline(1.0).ticks(0.5))
            return self._cmd(*chain)

    def _check_exit(self, session: str, first: str) -> None:
        """HostError where the server ends without an attached client: that is an option of the server, not ours to
        change. The session is removed."""
        if first.split()[-1] != "1":
            return
        self.kill_session(session)
        what = "tmux has exit-unattached on: its server, and the lab in it, ends when no terminal is attached"
        line = shlex.join(["tmux", *self._socket(), "set", "-s", "exit-unattached", "off"])
        raise HostError(what, hint=f"take it out of ~/.tmux.conf; in a server that runs: {line}")

    def _check_hooks(self, session: str, windows: Sequence[WindowSpec]) -> None:
        """HostError where tmux has ended the session, or a hook or alias of the user ended panes of it."""
        there = self.look(session)
        parts = {pane.name for window in windows for pane in window.panes if pane.log}
        if there is not None and parts <= set(there.parts):
            return
        shown = ["start-server", ";", "show-hooks", "-g", ";", "show-options", "-s", "command-alias"]
        # A server that is just ending answers nothing.
        told = Deadline(1.0).poll(lambda: self._cmd(*shown, check=False), 0.1) or []
        hooks = [line for line in told if "kill-" in line]
        if there is not None and not hooks:
            return
        self.kill_session(session)
        what = f"tmux ended the session {session}, or panes of it, as soon as it was made"
        named = f": {'; '.join(hooks)}" if hooks else ""
        raise HostError(
            what, hint=f"take hooks and aliases that end sessions, windows or panes out of ~/.tmux.conf{named}"
        )

    def _socket(self) -> list[str]:
        return ["-L", self.socket_name] if self.socket_name else []

    def add_window(self, session: str, name: str, pane: PaneSpec, behind: str | None) -> Pane:
        """A new window behind the window ``behind``, or before all others; the focus stays."""
        where = ["-a", "-t", behind] if behind else ["-b", "-t", f"={session}:^"]
        made = self._one(["new-window", "-d", *where, "-n", name], pane)
        for step in named(made.window):
            self._cmd(*step)
        return made

    def add_pane(self, pane: PaneSpec, beside: str, before: bool = False) -> Pane:
        """A new pane in the window of the pane ``beside``, behind or before it."""
        made = self._one(["split-window", "-d", *(["-b"] if before else []), "-t", beside], pane)
        self._cmd("select-layout", "-t", made.window, "tiled")
        return made

    def respawn(self, pane: str, spec: PaneSpec) -> Pane:
        """Start ``spec`` in a pane that is there, whatever ran in it; its scrollback stays."""
        chain = ["respawn-pane", "-k", "-t", pane, "-c", literal(str(spec.cwd)), *variables(self.env), *spec.argv]
        for step in after(pane, spec):
            chain += [";", *step]
        self._cmd(*chainable(chain))
        line = self._cmd("display-message", "-p", "-t", pane, IDS)[0]
        return Pane(*ids(line))

    def _one(self, verb: list[str], spec: PaneSpec) -> Pane:
        """A pane made by ``verb``; its process waits at its gate, so that its log begins with its first byte."""
        chain = [*verb, "-c", literal(str(spec.cwd)), *variables(self.env), "-P", "-F", IDS, *spec.argv]
        made = Pane(*ids(self._cmd(*chainable(chain))[0]))
        for step in after(made.pane, spec):
            self._cmd(*step)
        return made

    @classmethod
    def here(cls) -> "Tmux":
        """The server whose pane this terminal is."""
        name = Path(os.environ.get("TMUX", "").split(",")[0]).name
        return cls(None if name in ("", "default") else name)

    def open_window(self, name: str, cwd: Path, argv: Sequence[str]) -> None:
        """A window behind the one that is shown, in the session of this terminal, that runs ``argv``; it stays, with
        its error, where that fails."""
        stay = '"$@" || { echo "ended with status $?; Enter closes this window"; read -r _; }'
        words = ["/bin/sh", "-c", stay, "sh", *argv]
        self._cmd(*chainable(["new-window", "-d", "-n", name, "-c", str(cwd), *words]))

    def select(self, pane: str) -> None:
        """Have the session show this pane (``%id``). Nothing where it has gone."""
        self._cmd("select-window", "-t", pane, check=False)
        self._cmd("select-pane", "-t", pane, check=False)

    def kill_session(self, session: str) -> None:
        """End the session if it is there. Children that ignore SIGHUP outlive this: end them first."""
        self._cmd("kill-session", "-t", f"={session}", check=False)
        self.sweep()

    def sweep(self) -> None:
        """A server that ended, also one with its last pane, leaves its socket file: that of a named server goes. Held
        under tmux's own lock, so that no new server loses its."""
        if self.socket_name is None or self._cmd("list-sessions", check=False):
            return
        path = _socket_folder() / self.socket_name
        lock = path.with_name(f"{path.name}.lock")
        if not (path.is_socket() or lock.exists()) or not Deadline(1.0).poll(lambda: not _accepts(path)):
            return
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
        verb = "switch-client" if self._inside() else "attach"
        return ["tmux", *self._socket(), verb, "-t", f"={session}"]

    def _inside(self) -> bool:
        inside = os.environ.get("TMUX", "").split(",")[0]
        return bool(inside) and Path(inside).name == (self.socket_name or "default")

    def inside_another(self) -> bool:
        """Whether this terminal is in a tmux of another server, where attaching would nest."""
        return bool(os.environ.get("TMUX")) and not self._inside()


def attach_terminal(tmux: Tmux, session: str) -> None:
    """Become the tmux client that shows ``session``. HostError inside another tmux server."""
    argv = tmux.attach_argv(session)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise HostError("this is no terminal, so it cannot show a session", hint=shlex.join(argv))
    if tmux.inside_another():
        raise HostError("this terminal is inside another tmux server", hint=f"env -u TMUX {shlex.join(argv)}")
    os.execv(find_program("tmux"), argv)  # noqa: S606 - argv only


def attach_line(tmux: Tmux, session: str) -> str:
    """The line that shows ``session``, to be typed."""
    return shlex.join(tmux.attach_argv(session))


def terminal_size() -> tuple[int, int]:
    """Columns and lines of the terminal; a size that holds tiled panes where there is none (tmux would take 80x24)."""
    size = shutil.get_terminal_size((160, 48))
    return max(size.columns, 80), max(size.lines, 24)


def _socket_folder() -> Path:
    return Path(os.environ.get("TMUX_TMPDIR") or "/tmp") / f"tmux-{os.getuid()}"  # noqa: S108 - tmux's own default


def _accepts(path: Path) -> bool:
    """Whether a tmux server listens there."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0
