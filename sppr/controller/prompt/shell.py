"""Run the lines of the prompt. A failure is printed as ``error: ...``; SPP's own prompt prints nothing
(docs/spp-protocol.md, Prompt).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TextIO

from sppr.controller import errors
from sppr.controller.errors import LIST_PROCESSES, BadValue, NotConnected
from sppr.controller.prompt import commands, formatting, request
from sppr.controller.prompt.commands import Command
from sppr.controller.prompt.controllers import Controller, Controllers, ProcessStatus
from sppr.controller.prompt.request import Request
from sppr.controller.settings import Settings
from sppr.controller.topology.commands import Topology
from sppr.errors import ControlError, SpprError
from sppr.spp.names import PRIMARY, Target, printable

#: Maximum size in bytes of a file for ``playback``, and maximum depth of files that play others.
MAX_FILE_SIZE, MAX_DEPTH = 1 << 20, 8


class Shell:
    """The commands of one prompt, run line by line.

    ``ended``: ``bye`` was entered. ``failed``: at least one line failed. ``history``: the lines so far.
    """

    def __init__(self, controller: Controller, echo: Callable[[str], None]) -> None:
        self.controllers = Controllers(controller)
        self.settings = Settings()
        self.ended = False
        self.failed = False
        self.history: list[str] = []
        self._topology = Topology()
        self._print = echo
        self._record_file: TextIO | None = None
        self._depth = 0
        self._own_commands: dict[str, Callable[[tuple[str, ...]], Awaitable[None]]] = {
            "status": self._status,
            "bye": self._bye,
            "help": self._help,
            "history": self._history,
            "redo": self._redo,
            "inspect": self._inspect,
            "server": self._print_lines(self.controllers.command),
            "config": self._print_lines(self.settings.command),
            "topo_subgraph": self._print_lines(self._topology.subgraph),
            "topo": self._topo,
            "record": self._record,
            "playback": self._playback,
        }

    @property
    def controller(self) -> Controller:
        """The controller that the prompt currently uses."""
        return self.controllers.current

    async def run(self, line: str) -> bool:
        """Run one line. Return whether it succeeded."""
        text = line.strip()
        if text:
            self.history.append(text)
        try:
            command = commands.parse(line)
            self._write_record(text, command.verb)
            if command.verb == "nothing" and text:
                self._print(text)  # a comment
            await self._execute(command)
        except SpprError as error:
            self._print_error(error)
            return False
        return True

    async def _execute(self, command: Command) -> None:
        if command.verb == "nothing":
            return
        if command.target is None:
            await self._own_commands[command.verb](command.args)
            return
        target = await self._resolve_kind(command.target)
        if command.verb == "status":
            await self._process_status(target)
        elif command.verb == "exit":
            self._print(await self._exit(target))
        else:
            await self._send(target, command)

    async def _resolve_kind(self, target: Target) -> Target:
        """Return ``target`` with its actual kind instead of ``sec``. Raise NotConnected if there is no such
        process.
        """
        if target.kind != "sec":
            return target
        for process in await self.controller.process_statuses():
            if process.client_id == target.client_id:
                return Target("nfv" if process.kind == "vm" else process.kind, process.client_id)
        raise NotConnected(f"{target} is not connected", hint=LIST_PROCESSES)

    async def _send(self, target: Target, command: Command) -> None:
        api_request = command.request
        if api_request is None:
            if target.kind == "pcap" and command.verb in ("start", "stop"):
                api_request = commands.capture(command.verb)
            elif target.kind in ("primary", "nfv"):
                api_request = request.change(command.verb, command.args)
            else:
                what = f"{target}: a {target.kind} has no subcommand {command.verb}"
                raise BadValue(what, hint=commands.HELP[target.kind])
        if command.verb == "flow" and api_request.method == "GET":
            self._flows(await self.controller.call("GET", "/primary/status"), api_request)
            return
        answer = await self.controller.call(
            api_request.method, request.base(target) + api_request.path, api_request.body
        )
        message = answer.get("message", "") if isinstance(answer, dict) else ""
        self._print(api_request.message or printable(str(message)) or "done")

    def _flows(self, status: Any, api_request: Request) -> None:
        selection = api_request.body or {}
        for line in formatting.flows(status if isinstance(status, dict) else {}, selection["port"], selection["rule"]):
            self._print(line)

    async def _exit(self, target: Target) -> str:
        await self.controller.call("DELETE", request.base(target))
        return "Exit primary" if target == PRIMARY else f"Exit {target.kind} {target.client_id}"

    async def _status(self, _args: tuple[str, ...]) -> None:
        processes = await self.controller.process_statuses()
        states = [
            (str(process), formatting.state_of(process.status)) for process in processes if process.kind != "primary"
        ]
        primary = any(process.kind == "primary" for process in processes)
        for line in formatting.panel_status(self.controller.address, primary, states):
            self._print(line)

    async def _process_status(self, target: Target) -> None:
        path = "/primary/status" if target == PRIMARY else request.base(target)
        status = await self.controller.call("GET", path)
        for line in formatting.status(target.kind, status if isinstance(status, dict) else {}):
            self._print(line)

    async def _bye(self, args: tuple[str, ...]) -> None:
        if not args:
            self.ended = True
            return
        processes = await self.controller.process_statuses()
        results = await self._exit_all([process for process in processes if process.kind != "primary"])
        if args == ("all",) and any(process.kind == "primary" for process in processes):
            results += await self._exit_all([ProcessStatus("primary")])
        for result in results:
            if isinstance(result, ControlError):
                self._print_error(result)
            elif isinstance(result, BaseException):
                raise result
            else:
                self._print(result)

    async def _exit_all(self, processes: list[ProcessStatus]) -> list[str | BaseException]:
        targets = [PRIMARY if p.kind == "primary" else Target(p.kind, p.client_id) for p in processes]
        return await asyncio.gather(*map(self._exit, targets), return_exceptions=True)

    async def _help(self, args: tuple[str, ...]) -> None:
        for line in [commands.HELP[args[0]]] if args else commands.HELP.values():
            self._print(line)
        for line in commands.forms(args[0]) if args else []:
            self._print(f"  {line}")
        if not args or args[0] in ("pri", "nfv", "sec", "vf", "mirror"):
            self._print(commands.UID_HELP)
            self._print(commands.MATCH_HELP)

    async def _history(self, _args: tuple[str, ...]) -> None:
        for number, line in enumerate(self.history, 1):
            self._print(f"{number:4}  {line}")

    async def _redo(self, args: tuple[str, ...]) -> None:
        number = int(args[0]) if args[0].isdecimal() else 0
        if not 0 < number <= len(self.history) or self.history[number - 1].split()[0] in ("redo", "playback"):
            what = f"redo {args[0]}: this line does not exist or cannot be repeated"
            raise BadValue(what, hint="type history to list the lines")
        await self.run(self.history[number - 1])

    async def _inspect(self, _args: tuple[str, ...]) -> None:
        processes = [
            {"type": p.kind, "client-id": p.client_id, "status": p.status}
            for p in await self.controller.process_statuses()
        ]
        self._print(json.dumps({"server": self.controller.address, "processes": processes}, indent=2))

    def _print_lines(
        self, action: Callable[[tuple[str, ...]], list[str]]
    ) -> Callable[[tuple[str, ...]], Awaitable[None]]:
        async def print_lines(args: tuple[str, ...]) -> None:
            for line in action(args):
                self._print(line)

        return print_lines

    async def _topo(self, args: tuple[str, ...]) -> None:
        self._print((await self._topology.topo(args, self.controller, self.settings.values["topo_size"])).rstrip("\n"))

    async def _record(self, args: tuple[str, ...]) -> None:
        try:
            self._record_file = Path(args[0]).expanduser().open("w", encoding="utf-8")
        except OSError as error:
            raise BadValue(f"{args[0]}: {error.strerror or error}", hint="use a file that can be written") from None

    def _write_record(self, text: str, verb: str) -> None:
        """Write a valid line to the record, which ends at exit, bye, record and playback."""
        if self._record_file is None or not text:
            return
        if verb in ("bye", "record", "playback"):
            self._record_file.close()
            self._record_file = None
            return
        print(text, file=self._record_file, flush=True)

    async def _playback(self, args: tuple[str, ...]) -> None:
        """Show each line, then run it. A line that fails does not stop the playback."""
        path = Path(args[0]).expanduser()
        try:
            with path.open("rb") as file:
                lines = file.read(MAX_FILE_SIZE + 1)
        except OSError as error:
            raise BadValue(f"{args[0]}: {error.strerror or error}", hint="playback FILE") from None
        if len(lines) > MAX_FILE_SIZE or self._depth >= MAX_DEPTH:
            raise BadValue(f"{args[0]}: the file is too large, or plays itself", hint="use a smaller file")
        self._depth += 1
        try:
            for line in lines.decode("utf-8", "replace").splitlines():
                if line.strip() and not line.strip().startswith(("#", "//")):
                    self._print(f"# {printable(line)}")
                await self.run(line)
                if self.ended:
                    break
        finally:
            self._depth -= 1

    def _print_error(self, error: SpprError) -> None:
        self.failed = True
        self._print(errors.line(error))
