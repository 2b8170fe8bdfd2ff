"""Find, create and change tmux sessions, windows and panes.

Only this package imports libtmux, because libtmux often breaks its interface. One command sequence creates all windows:
14 windows take 53 ms, one by one 332 ms. Targets are ids or ``=name``, never an index (it depends on base-index) or a
bare name (tmux matches prefixes: ``spp`` finds ``sppx``). Options are set on sppr's windows only, so the user's tmux
server and ~/.tmux.conf stay unchanged.
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

# Under LC_ALL=C tmux rewrites libtmux's default separator, and libtmux raises ValueError. libtmux reads this variable
# when it is imported.
os.environ.setdefault("LIBTMUX_TMUX_FORMAT_SEPARATOR", "@|@")

import libtmux

from sppr.tmux import windows
from sppr.tmux.commands import (
    IDS_FORMAT,
    Pane,
    PaneSpec,
    WindowSpec,
    create_commands,
    disable_rename,
    env_options,
    escape_formats,
    escape_separators,
    pane_setup,
    parse_ids,
    part_name,
)


@dataclass(frozen=True)
class Session:
    """An existing session.

    ``owner``: the id set by ``owner_id``; empty if sppr did not create the session.
    ``parts``: panes of parts and work windows, by name.
    ``panes``: pid of the first process of every pane, by pane id.
    """

    owner: str
    parts: Mapping[str, Pane]
    panes: Mapping[str, int]


@dataclass
class Tmux:
    """One tmux server: the user's default one, or that of ``tmux -L socket_name``."""

    socket_name: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._server = libtmux.Server(socket_name=self.socket_name, tmux_bin=find_program("tmux"))

    @classmethod
    def servers(cls) -> "Iterator[Tmux]":
        """Yield the running tmux servers of this user."""
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
    def owner_id(folder: Path) -> str:
        """Return the id that marks sessions of this run directory: ASCII, whatever the path and the locale."""
        return hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]

    def find_session(self, session: str) -> Session | None:
        """Return the session with this name and all its panes, or None.

        Panes are identified by their option @sppr_part, so a pane is found after it was moved. Ids are not stable:
        after a restart of the server another pane can have the same ``%id``.
        """
        # The user may give a window a name with the separator.
        names = ("@sppr_run", "@sppr_part", "window_id", "pane_id", "pane_pid", "s/[|]/_/:window_name")
        fields = "|".join(f"#{{{name}}}" for name in (*names, "pane_start_command"))
        lines = [line.split("|", len(names)) for line in
                 self._cmd("list-panes", "-s", "-t", f"={session}:", "-F", fields, check=False)]  # fmt: skip
        if not lines:
            return None
        parts = {
            part_name(name, start): Pane(window, pane, int(pid), window_name)
            for _, name, window, pane, pid, window_name, start in lines
        }
        parts.pop("", None)
        return Session(lines[0][0], parts, {pane: int(pid) for _, _, _, pane, pid, *_ in lines})

    def create_session(
        self, session: str, specs: Sequence[WindowSpec], size: tuple[int, int], owner: str
    ) -> dict[str, Pane]:
        """Create a detached session with these windows, and return its panes by name. The last window has the focus.

        A window that holds too many panes for ``size`` continues in further windows (see ``windows.py``). ``size``:
        columns and lines of the windows until a terminal attaches. ``owner``: the id set by ``owner_id``. The first
        call fails if an old tmux server is just exiting (after kill-server); it is then repeated once. Raise HostError
        if an option or a hook of the user ends the session.
        """
        specs = windows.split_full(specs, size)
        sequences = list(create_commands(session, specs, size, self.env, owner))
        try:
            printed = self._run_first(sequences[0])
            self._check_exit(session, printed[0])
            for sequence in sequences[1:]:
                printed += self._cmd(*sequence)
            self._check_hooks(session, specs)
        except LaunchError:
            self._check_hooks(session, specs)
            raise
        names = [pane.name for window in specs for pane in window.panes]
        return {name: Pane(*parse_ids(line)) for name, line in zip(names, printed, strict=True)}

    def _run_first(self, sequence: Sequence[str]) -> list[str]:
        try:
            return self._cmd(*sequence)
        except LaunchError as e:
            if "server exited" not in e.what and "lost server" not in e.what:
                raise
            list(Deadline(1.0).ticks(0.5))
            return self._cmd(*sequence)

    def _check_exit(self, session: str, first_line: str) -> None:
        """Raise HostError, and remove the session, if the server exits when no client is attached.

        This is a global option of the user's server, so sppr does not change it.
        """
        if first_line.split()[-1] != "1":
            return
        self.kill_session(session)
        what = "tmux option exit-unattached is on: the tmux server and its lab would end when no terminal is attached"
        line = shlex.join(["tmux", *self._socket_options(), "set", "-s", "exit-unattached", "off"])
        raise HostError(what, hint=f"remove it from ~/.tmux.conf; for the running server: {line}")

    def _check_hooks(self, session: str, specs: Sequence[WindowSpec]) -> None:
        """Raise HostError if tmux ended the session, or a hook or alias of the user ended some of its panes."""
        existing = self.find_session(session)
        parts = {pane.name for window in specs for pane in window.panes if pane.log}
        if existing is not None and parts <= set(existing.parts):
            return
        query = ["start-server", ";", "show-hooks", "-g", ";", "show-options", "-s", "command-alias"]
        # A server that is exiting prints nothing.
        printed = Deadline(1.0).poll(lambda: self._cmd(*query, check=False), 0.1) or []
        hooks = [line for line in printed if "kill-" in line]
        if existing is not None and not hooks:
            return
        self.kill_session(session)
        what = f"tmux ended the session {session} or some of its panes right after creation"
        listed = f": {'; '.join(hooks)}" if hooks else ""
        raise HostError(
            what, hint=f"remove hooks and aliases that end sessions, windows or panes from ~/.tmux.conf{listed}"
        )

    def _socket_options(self) -> list[str]:
        return ["-L", self.socket_name] if self.socket_name else []

    def add_pane(
        self, session: str, window: str, pane: PaneSpec, *, before: Sequence[Pane], after: Sequence[Pane],
        behind: Sequence[Pane],
    ) -> Pane:  # fmt: skip
        """Create a pane in a window called ``window``, or in the next one if that is full. The focus does not change.

        ``before``, ``after``: the existing panes of the same window, or of those that continue it, in their order. The
        pane goes next to its neighbour before or after it. If the windows of both are full, it gets a new window.
        ``behind``: panes of the window that precedes the first of them. If there are none, the first is before all.
        """
        existing = windows.open_windows(self._cmd("list-windows", "-t", f"={session}", "-F", windows.SIZES_FORMAT))
        for neighbour in (*before[-1:], *after[:1]):
            if neighbour.window in existing and existing[neighbour.window].has_room():
                return self._split(neighbour, ["-b"] if neighbour in after else [], pane)
        own = {existing[p.window].name: p.window for p in (*before, *after) if p.window in existing}
        number = windows.next_number(window, own)
        if number > 1:
            previous = own[windows.numbered(window, number - 1)]
        else:
            previous = next((w for w in reversed(existing) if w in {p.window for p in behind}), "")
        where = ["-a", "-t", previous] if previous else ["-b", "-t", f"={session}:^"]
        made = self._create_pane(["new-window", "-d", *where, "-n", windows.numbered(window, number)], pane)
        for command in disable_rename(made.window):
            self._cmd(*command)
        return made

    def _split(self, neighbour: Pane, side: Sequence[str], pane: PaneSpec) -> Pane:
        """Create a pane next to ``neighbour``. ``side``: ``-b`` for before it.

        tmux cannot split a pane that the user has made small, so the window is tiled first.
        """
        tile = ["select-layout", "-t", neighbour.window, "tiled"]
        made = self._create_pane([*tile, ";", "split-window", "-d", *side, "-t", neighbour.pane], pane)
        self._cmd(*tile)
        return made

    def respawn(self, pane: str, spec: PaneSpec) -> Pane:
        """Replace the process of an existing pane with ``spec``. The scrollback stays."""
        sequence = ["respawn-pane", "-k", "-t", pane, *self._start_words(spec), *spec.argv]
        for command in pane_setup(pane, spec):
            sequence += [";", *command]
        self._cmd(*escape_separators(sequence))
        line = self._cmd("display-message", "-p", "-t", pane, IDS_FORMAT)[0]
        return Pane(*parse_ids(line))

    def _create_pane(self, command: list[str], spec: PaneSpec) -> Pane:
        """Create a pane with ``command``.

        The log is attached by a second call. It still has the first byte, because the script of the pane waits at its
        start gate.
        """
        words = [*command, *self._start_words(spec), "-P", "-F", IDS_FORMAT, *spec.argv]
        made = Pane(*parse_ids(self._cmd(*escape_separators(words))[0]))
        for setup in pane_setup(made.pane, spec):
            self._cmd(*setup)
        return made

    def _start_words(self, spec: PaneSpec) -> list[str]:
        return ["-c", escape_formats(str(spec.cwd)), *env_options(self.env)]

    @classmethod
    def of_this_terminal(cls) -> "Tmux":
        """Return the server that this terminal is a pane of."""
        name = Path(os.environ.get("TMUX", "").split(",")[0]).name
        return cls(None if name in ("", "default") else name)

    def open_window(self, name: str, cwd: Path, argv: Sequence[str]) -> None:
        """Open a window that runs ``argv``, after the current one in the session of this terminal.

        If ``argv`` fails, the window stays open and shows the error.
        """
        script = '"$@" || { echo "exited with status $?; press Enter to close this window"; read -r _; }'
        words = ["/bin/sh", "-c", script, "sh", *argv]
        self._cmd(*escape_separators(["new-window", "-d", "-n", name, "-c", str(cwd), *words]))

    def show_pane(self, pane: str) -> None:
        """Make the session show this pane (``%id``). Do nothing if the pane no longer exists."""
        self._cmd("select-window", "-t", pane, check=False)
        self._cmd("select-pane", "-t", pane, check=False)

    def kill_session(self, session: str) -> None:
        """Kill the session if it exists. Processes that ignore SIGHUP survive, so stop them first."""
        self._cmd("kill-session", "-t", f"={session}", check=False)
        self.remove_dead_socket()

    def remove_dead_socket(self) -> None:
        """Remove the socket file of a named server that has exited; tmux leaves the file behind.

        tmux's own lock is held meanwhile, so the socket of a server that is just starting is never removed.
        """
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
        """Return the command that shows ``session`` in this terminal: switch-client inside the same server, else
        attach."""
        command = "switch-client" if self._is_inside() else "attach"
        return ["tmux", *self._socket_options(), command, "-t", f"={session}"]

    def _is_inside(self) -> bool:
        path = os.environ.get("TMUX", "").split(",")[0]
        return bool(path) and Path(path).name == (self.socket_name or "default")

    def inside_another(self) -> bool:
        """Return whether this terminal is inside another tmux server, where attaching would nest."""
        return bool(os.environ.get("TMUX")) and not self._is_inside()


def attach_terminal(tmux: Tmux, session: str) -> None:
    """Replace this process by a tmux client that shows ``session``. Raise HostError without a terminal or inside
    another server."""
    argv = tmux.attach_argv(session)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise HostError("this is no terminal, so it cannot show a tmux session", hint=shlex.join(argv))
    if tmux.inside_another():
        raise HostError("this terminal is inside another tmux server", hint=f"env -u TMUX {shlex.join(argv)}")
    os.execv(find_program("tmux"), argv)  # noqa: S606 - argv only


def attach_line(tmux: Tmux, session: str) -> str:
    """Return the shell command that shows ``session``."""
    return shlex.join(tmux.attach_argv(session))


def window_size() -> tuple[int, int]:
    """Return columns and lines of a window that this terminal shows: tmux's status line is left out.

    Without a terminal, return a size that has room for tiled panes; tmux would use 80x24. The minimum is that of a
    terminal of 80x24.
    """
    size = shutil.get_terminal_size((160, 48))
    return max(size.columns, 80), max(size.lines, 24) - 1


def _socket_folder() -> Path:
    return Path(os.environ.get("TMUX_TMPDIR") or "/tmp") / f"tmux-{os.getuid()}"  # noqa: S108 - tmux's default


def _accepts(path: Path) -> bool:
    """Return whether a tmux server accepts connections at this socket."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0
