"""Save the wiring of every process, and restore it when the process connects again.

The wiring is restored before the process enters the table of connected processes. So a process in that table is wired,
and no command of a user or of the launcher can come in between.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from sppr.controller.server.process import ConnectedProcess
from sppr.controller.server.reply import Reply
from sppr.controller.wiring import ObservedWiring, Wiring, dump, observe, parse
from sppr.spp.names import printable

_KINDS = ("primary", "nfv", "vm")
_VERSION = 1


class Restorer:
    """The wirings of all processes, also of those that are not connected.

    ``log``: called with lines for the pane. ``path``: the file that keeps the wirings over a restart of the controller;
    None for no file. Classic processes, whose status is text, are not restored.
    """

    def __init__(self, log: Callable[[str], None], path: Path | None = None) -> None:
        self._log = log
        self._path = path
        self._wirings: dict[str, Wiring] = {}
        self._saved: dict[str, str] = {}  # the JSON text of each process in the file
        self._file_is_current = False  # the file contains all of _saved
        self._write_error_logged = False
        if path is not None:
            self._load(path)

    async def synchronize(self, process: ConnectedProcess, timeout: float) -> str:
        """Restore the wiring of a process that has just connected, or record the wiring it has. Return the log line, or
        an empty text.

        Raise NotConnected or NoAnswer if the process disconnects or hangs. The restore is then completed at its next
        connection.
        """
        if process.kind not in _KINDS or process.bare_id:
            return ""
        message = ""
        observed = observe((await process.request("status", timeout)).data or {})
        wiring = self._wirings.get(_key(process))
        if observed is not None and wiring and (observed.empty or wiring.restore_incomplete):
            message = await self._restore(process, wiring, observed, timeout)
        elif observed is not None and not observed.empty:
            self._wirings.setdefault(_key(process), Wiring()).apply_status(observed, adopt=True)
        self._save(_key(process))
        process.on_reply = self._on_reply
        return message

    def discard(self, process: ConnectedProcess) -> None:
        """Discard the wiring of a process that a command has stopped."""
        self._wirings.pop(_key(process), None)
        self._save(_key(process))

    async def _restore(
        self, process: ConnectedProcess, wiring: Wiring, observed: ObservedWiring, timeout: float
    ) -> str:
        wiring.restore_incomplete, wiring.refused = True, []
        self._save(_key(process))
        restored: list[str] = []
        failures: list[str] = []
        for command in wiring.commands(observed):
            reply = await process.request(command, timeout)
            if reply.failed:
                wiring.refused.append(command)
                failures.append(command + (f" ({words})" if (words := printable(reply.reason())) else ""))
            else:
                restored.append(command)
        if restored and (after := observe((await process.request("status", timeout)).data or {})) is not None:
            for command in wiring.commands(after):
                if command in restored:
                    restored.remove(command)
                    wiring.refused.append(command)
                    failures.append(f"{command} (it answered success, but its status shows no effect)")
        wiring.restore_incomplete = False
        if not restored and not failures:
            return ""
        message = f"{process} reconnected: restored {_summary(restored) if restored else 'nothing'}"
        return message + (f"; not restored: {', '.join(failures)}" if failures else "")

    def _on_reply(self, process: ConnectedProcess, command: str, reply: Reply) -> None:
        """Record a reply of a process whose wiring was synchronized."""
        if reply.failed:
            return
        wiring = self._wirings.get(_key(process))
        if command != "status":
            self._wirings.setdefault(_key(process), Wiring()).apply_command(command)
        elif wiring is not None and (observed := observe(reply.data or {})) is not None:
            wiring.apply_status(observed)
        self._save(_key(process))

    def _load(self, path: Path) -> None:
        """Load the valid processes from the file. A file that is not valid as a whole is renamed, not overwritten."""
        errors: list[str] = []
        try:
            if path.exists() and not path.is_file():
                self._log(f"{path}: not a regular file: saved ports and patches cannot be restored")
                return
            data = json.loads(path.read_text())
            if data["version"] != _VERSION:
                raise ValueError(f"version {data['version']}")
            for key, value in data["processes"].items():
                try:
                    self._wirings[_check_key(key)] = parse(value)
                    self._update_saved(key)
                except (ValueError, RecursionError) as error:
                    errors.append(f"{printable(key, 40)}: {printable(str(error), 120)}")
        except FileNotFoundError:
            return
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            errors.append(f"saved ports and patches cannot be restored ({printable(str(error), 120)})")
        if errors:
            self._log(f"{path}: invalid: {'; '.join(errors[:5])}{_keep_broken(path)}")

    def _save(self, key: str) -> None:
        """Write the file, atomically, if the wiring of process ``key`` differs from the file.

        Only this process is compared, because every reply of every process leads here.
        """
        if self._path is None:
            return
        if self._update_saved(key) or not self._file_is_current:
            self._write(self._path)

    def _update_saved(self, key: str) -> bool:
        """Update the JSON text of process ``key``. Return whether it changed."""
        wiring = self._wirings.get(key)
        text = json.dumps(dump(wiring)) if wiring else ""
        if text == self._saved.get(key, ""):
            return False
        self._saved[key] = text
        return True

    def _write(self, path: Path) -> None:
        lines = (f"{json.dumps(key)}: {text}" for key, text in sorted(self._saved.items()) if text)
        text = f'{{"version": {_VERSION}, "processes": {{\n' + ",\n".join(lines) + "\n}}\n"
        self._file_is_current = False
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            try:
                temporary.write_text(text)
                temporary.rename(path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            if not self._write_error_logged:
                self._log(f"{path}: {error.strerror}: a restart of this controller will not restore ports and patches")
            self._write_error_logged = True
        else:
            self._file_is_current, self._write_error_logged = True, False


def _check_key(key: str) -> str:
    if not re.fullmatch(r"primary|sec:\d{1,3}", key):
        raise ValueError("not a process")
    return key


def _keep_broken(path: Path) -> str:
    broken = path.with_name(f"{path.name}.broken")
    try:
        path.rename(broken)
    except OSError as error:
        return f"; the file could not be renamed ({error.strerror})"
    return f"; the file was renamed to {broken.name}"


def _key(process: ConnectedProcess) -> str:
    return "primary" if process.kind == "primary" else f"sec:{process.client_id}"


def _summary(commands: list[str]) -> str:
    """Return ``2 ports, 1 patch, forwarding``."""
    ports, patches = (sum(c.startswith(verb) for c in commands) for verb in ("add ", "patch "))
    impaired = sum(c.startswith("impair ") for c in commands)
    found = [f"{ports} port{'s' * (ports > 1)}"] * (ports > 0)
    found += [f"{patches} patch{'es' * (patches > 1)}"] * (patches > 0)
    found += [f"{impaired} impairment{'s' * (impaired > 1)}"] * (impaired > 0)
    return ", ".join(found + ["forwarding"] * ("forward" in commands))
