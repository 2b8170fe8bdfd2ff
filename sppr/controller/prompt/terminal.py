"""The prompt of a terminal: ``spp > `` with history and completion; connects and disconnects are told above it."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.patch_stdout import patch_stdout

from sppr.controller.prompt.completion import Known, candidates, gather
from sppr.controller.prompt.shell import Shell
from sppr.errors import EXIT_INTERRUPTED, ControlError


class Prompt:
    """Reads lines at a terminal and runs them, until ``bye``, Ctrl-D, or Ctrl-C on an empty line."""

    def __init__(self) -> None:
        self._stdout = sys.stdout
        self._words = _Words()
        output = Vt100_Output.from_pty(sys.stdout)
        output.enable_cpr = False  # an answer of the terminal that comes after our end is typed into the user's shell
        self._session: PromptSession[str] = PromptSession(
            "spp > ",
            history=_history(),
            completer=self._words,
            complete_while_typing=False,
            key_bindings=_keys(),
            output=output,
            reserve_space_for_menu=4,
        )
        self._interrupted = asyncio.Event()
        self._busy = False
        self._changed = asyncio.Event()
        self._commands: set[asyncio.Task[bool]] = set()

    def echo(self, text: str) -> None:
        """Print above the prompt, or directly while there is none."""
        with contextlib.suppress(OSError, ValueError):  # the terminal went away: SIGHUP ends us
            print(text, file=sys.stdout if self._session.app.is_running else self._stdout, flush=True)

    def log(self, text: str) -> None:
        self.echo(text)
        self._changed.set()

    async def run(self, shell: Shell) -> int:
        """Exit status: 130 for Ctrl-C, else 0."""
        refresh = asyncio.create_task(self._refresh(shell))
        self._changed.set()
        try:
            with patch_stdout():
                while not shell.ended:
                    text = shell.settings.values["prompt"]
                    await self._carry_out(shell, await self._session.prompt_async(text, handle_sigint=False))
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED
        except (EOFError, OSError):  # OSError: the terminal is gone
            return 0
        finally:
            refresh.cancel()
        return 0

    def interrupt(self) -> bool:
        """Ctrl-C while a command runs: back to the prompt. False if none runs."""
        self._interrupted.set()
        return self._busy

    async def _carry_out(self, shell: Shell, line: str) -> None:
        """Run a line; interrupted, stop waiting but let its exchanges end: a broken one would cost us the process."""
        self._interrupted.clear()
        self._busy = True
        command = asyncio.create_task(shell.run(line))
        self._commands.add(command)
        command.add_done_callback(self._commands.discard)
        interrupted = asyncio.ensure_future(self._interrupted.wait())
        await asyncio.wait({command, interrupted}, return_when=asyncio.FIRST_COMPLETED)
        interrupted.cancel()
        self._busy = False
        if not command.done():
            self.echo("error: interrupted: no longer waiting for an answer (it is shown when it comes)")
        else:
            command.result()
        if line.strip():
            self._changed.set()

    async def _refresh(self, shell: Shell) -> None:
        """After each command and each connect ask for every status, so that completion knows the ports."""
        while await self._changed.wait():
            self._changed.clear()
            with contextlib.suppress(ControlError):  # another host's controller that is gone: its command says so
                self._words.known = await gather(shell.host, shell.settings)


class _Words(Completer):
    """Completion from what the connected processes told last."""

    def __init__(self) -> None:
        self.known = Known()

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        before = document.text_before_cursor
        word = before.replace(";", " ").rpartition(" ")[2]
        for found in candidates(before, self.known):
            yield Completion(found, start_position=-len(word))


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("c-c")
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt())

    return keys


class _FileHistory(FileHistory):
    """A full disk costs the history, not the prompt."""

    def store_string(self, string: str) -> None:
        with contextlib.suppress(OSError):
            super().store_string(string)


def _history() -> History:
    """``$XDG_STATE_HOME/sppr/history`` or ``~/.local/state/sppr/history``; in memory where that cannot be written."""
    state = os.environ.get("XDG_STATE_HOME", "")
    try:
        base = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
        path = base / "sppr" / "history"
        path.parent.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with path.open("ab"):
            return _FileHistory(path)
    except (OSError, RuntimeError):  # RuntimeError: no home
        return InMemoryHistory()
