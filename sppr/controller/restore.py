"""The wiring of every process, kept while it is gone and given back when it is there again.

Given back before anybody else sees the process as connected: who finds it among the processes finds it wired, and no
command of a user or of the launcher can come between.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from sppr.controller.server.process import ConnectedProcess
from sppr.controller.server.reply import Reply
from sppr.controller.wiring import Seen, Wiring, dump, parse, seen
from sppr.spp.names import printable

_KINDS = ("primary", "nfv", "vm")
_VERSION = 1


class Restorer:
    """``path``: where it is kept over a restart of the controller; None: nowhere. ``log`` gets lines for the pane.

    Classic processes, whose status is text, are not remembered.
    """

    def __init__(self, log: Callable[[str], None], path: Path | None = None) -> None:
        self._log = log
        self._path = path
        self._wirings: dict[str, Wiring] = {}
        self._texts: dict[str, str] = {}  # the JSON of each process as the file has it
        self._current = False  # the file has all of _texts
        self._complained = False
        if path is not None:
            self._load(path)

    async def welcome(self, process: ConnectedProcess, timeout: float) -> str:
        """Meet a process that has just connected: wire it as it was, or learn how it is. The line that tells of it.

        NotConnected or NoAnswer where it goes away or hangs; it is wired to the end the next time then.
        """
        if process.kind not in _KINDS or process.bare_id:
            return ""
        said = ""
        found = seen((await process.request("status", timeout)).data or {})
        wiring = self._wirings.get(_key(process))
        if found is not None and wiring and (found.empty or wiring.owing):
            said = await self._restore(process, wiring, found, timeout)
        elif found is not None and not found.empty:
            self._wirings.setdefault(_key(process), Wiring()).saw(found, adopt=True)
        self._save(_key(process))
        process.on_reply = self._heard
        return said

    def forget(self, process: ConnectedProcess) -> None:
        """It was ended by command."""
        self._wirings.pop(_key(process), None)
        self._save(_key(process))

    async def _restore(self, process: ConnectedProcess, wiring: Wiring, found: Seen, timeout: float) -> str:
        wiring.owing, wiring.refused = True, []
        self._save(_key(process))
        done: list[str] = []
        refusals: list[str] = []
        for command in wiring.commands(found):
            reply = await process.request(command, timeout)
            if reply.failed:
                wiring.refused.append(command)
                refusals.append(command + (f" ({words})" if (words := printable(reply.reason())) else ""))
            else:
                done.append(command)
        if done and (now := seen((await process.request("status", timeout)).data or {})) is not None:
            for command in wiring.commands(now):
                if command in done:
                    done.remove(command)
                    wiring.refused.append(command)
                    refusals.append(f"{command} (it answered success, and its status shows no effect)")
        wiring.owing = False
        if not done and not refusals:
            return ""
        told = f"{_count(done)} given again" if done else "nothing given again"
        return f"{process} is back: {told}" + (f"; refused: {', '.join(refusals)}" if refusals else "")

    def _heard(self, process: ConnectedProcess, command: str, reply: Reply) -> None:
        """Each answer of a process that has been met."""
        if reply.failed:
            return
        wiring = self._wirings.get(_key(process))
        if command != "status":
            self._wirings.setdefault(_key(process), Wiring()).told(command)
        elif wiring is not None and (found := seen(reply.data or {})) is not None:
            wiring.saw(found)
        self._save(_key(process))

    def _load(self, path: Path) -> None:
        """What can be understood of each process is taken; the file, if not all of it, is kept under another name."""
        bad: list[str] = []
        try:
            if path.exists() and not path.is_file():
                self._log(f"{path}: is no file, ports and patches of before are not known")
                return
            data = json.loads(path.read_text())
            if data["version"] != _VERSION:
                raise ValueError(f"version {data['version']}")
            for key, value in data["processes"].items():
                try:
                    self._wirings[_checked(key)] = parse(value)
                    self._note(key)
                except (ValueError, RecursionError) as error:
                    bad.append(f"{printable(key, 40)}: {printable(str(error), 120)}")
        except FileNotFoundError:
            return
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            bad.append(f"ports and patches of before are not known ({printable(str(error), 120)})")
        if bad:
            self._log(f"{path}: cannot be understood, {'; '.join(bad[:5])}{_set_aside(path)}")

    def _save(self, key: str) -> None:
        """Write the file, complete or not at all, if the wiring of process ``key`` differs from the one in the file.

        Only this process is compared: every reply of every process leads here.
        """
        if self._path is None:
            return
        if self._note(key) or not self._current:
            self._write(self._path)

    def _note(self, key: str) -> bool:
        """Update the JSON of process ``key``. Return whether it changed."""
        wiring = self._wirings.get(key)
        text = json.dumps(dump(wiring)) if wiring else ""
        if text == self._texts.get(key, ""):
            return False
        self._texts[key] = text
        return True

    def _write(self, path: Path) -> None:
        lines = (f"{json.dumps(key)}: {text}" for key, text in sorted(self._texts.items()) if text)
        text = f'{{"version": {_VERSION}, "processes": {{\n' + ",\n".join(lines) + "\n}}\n"
        self._current = False
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            try:
                temporary.write_text(text)
                temporary.rename(path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            if not self._complained:
                self._log(f"{path}: {error.strerror}: a restart of this controller forgets ports and patches")
            self._complained = True
        else:
            self._current, self._complained = True, False


def _checked(key: str) -> str:
    if not re.fullmatch(r"primary|sec:\d{1,3}", key):
        raise ValueError("is no process")
    return key


def _set_aside(path: Path) -> str:
    broken = path.with_name(f"{path.name}.broken")
    try:
        path.rename(broken)
    except OSError as error:
        return f"; it could not be kept ({error.strerror})"
    return f"; it is kept as {broken.name}"


def _key(process: ConnectedProcess) -> str:
    return "primary" if process.kind == "primary" else f"sec:{process.client_id}"


def _count(commands: list[str]) -> str:
    """``2 ports, 1 patch, forwarding``."""
    ports, patches = (sum(c.startswith(verb) for c in commands) for verb in ("add ", "patch "))
    found = [f"{ports} port{'s' * (ports > 1)}"] * (ports > 0) + [f"{patches} patch{'es' * (patches > 1)}"] * (
        patches > 0
    )
    return ", ".join(found + ["forwarding"] * ("forward" in commands))
