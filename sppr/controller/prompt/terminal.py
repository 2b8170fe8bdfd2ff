"""The prompt on a terminal: ``spp > `` with history and completion. Log lines are printed above it."""

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

from sppr.controller.prompt.completion import CompletionData, candidates, collect
from sppr.controller.prompt.shell import Shell
from sppr.errors import EXIT_INTERRUPTED, ControlError


class Prompt:
    """A prompt that runs each line of a terminal, until ``bye``, Ctrl-D, or Ctrl-C on an empty line."""

    def __init__(self) -> None:
        self._stdout = sys.stdout
        self._completer = _Completer()
        output = Vt100_Output.from_pty(sys.stdout)
        output.enable_cpr = False  # an answer of the terminal after the end would appear as input of the user's shell
        self._session: PromptSession[str] = PromptSession(
            "spp > ",
            history=_history(),
            completer=self._completer,
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
        """Print above the prompt, or directly while a command runs."""
        with contextlib.suppress(OSError, ValueError):  # the terminal is closed: SIGHUP ends the program
            print(text, file=sys.stdout if self._session.app.is_running else self._stdout, flush=True)

    def log(self, text: str) -> None:
        """Print above the prompt, and update the data for completion."""
        self.echo(text)
        self._changed.set()

    async def run(self, shell: Shell) -> int:
        """Run the prompt, and return the exit status: 130 for Ctrl-C, else 0."""
        refresh = asyncio.create_task(self._refresh(shell))
        self._changed.set()
        try:
            with patch_stdout():
                while not shell.ended:
                    text = shell.settings.values["prompt"]
                    await self._run_line(shell, await self._session.prompt_async(text, handle_sigint=False))
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED
        except (EOFError, OSError):  # OSError: the terminal is closed
            return 0
        finally:
            refresh.cancel()
        return 0

    def interrupt(self) -> bool:
        """Return to the prompt while a command runs. Return False if none runs."""
        self._interrupted.set()
        return self._busy

    async def _run_line(self, shell: Shell, line: str) -> None:
        """Run a line until it ends or Ctrl-C is pressed.

        After Ctrl-C the command keeps running: cancelling it would close the connection to the process.
        """
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
            self.echo("error: interrupted: the command is still running, its result is printed when it arrives")
        else:
            command.result()
        if line.strip():
            self._changed.set()

    async def _refresh(self, shell: Shell) -> None:
        """Read every status after each command and each new connection, so that completion has the current ports."""
        while await self._changed.wait():
            self._changed.clear()
            with contextlib.suppress(ControlError):  # a remote controller does not answer: its commands report that
                self._completer.data = await collect(shell.controller, shell.settings)


class _Completer(Completer):
    """Completion from the last status of the connected processes."""

    def __init__(self) -> None:
        self.data = CompletionData()

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """Yield the words that may follow at the cursor."""
        before = document.text_before_cursor
        word = before.replace(";", " ").rpartition(" ")[2]
        for found in candidates(before, self.data):
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
    """A history file. A full disk loses the history, but does not end the prompt."""

    def store_string(self, string: str) -> None:
        """Append a line to the file, and ignore a failure."""
        with contextlib.suppress(OSError):
            super().store_string(string)


def _history() -> History:
    """Return the history of ``$XDG_STATE_HOME/sppr/history`` or ``~/.local/state/sppr/history``; in memory if that
    cannot be written.
    """
    state = os.environ.get("XDG_STATE_HOME", "")
    try:
        base = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
        path = base / "sppr" / "history"
        path.parent.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with path.open("ab"):
            return _FileHistory(path)
    except (OSError, RuntimeError):  # RuntimeError: the user has no home directory
        return InMemoryHistory()
