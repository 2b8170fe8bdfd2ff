"""Lines of the prompt, carried out. A failure is printed as ``error: ...``; SPP prints nothing (spp-facts 6.1)."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TextIO

from sppr.controller import errors
from sppr.controller.errors import BadValue, NotConnected
from sppr.controller.prompt import commands, formatting, request
from sppr.controller.prompt.commands import Command
from sppr.controller.prompt.hosts import Host, Hosts, Seen
from sppr.controller.prompt.request import Request
from sppr.controller.settings import Settings
from sppr.controller.topology.commands import Topology
from sppr.errors import ControlError, SpprError
from sppr.spp.names import PRIMARY, Target, printable

#: Bytes of a file that ``playback`` reads, and how deep one may play another.
LARGEST_FILE, DEEPEST = 1 << 20, 8


class Shell:
    """Runs one line after the other. ``ended`` is set by ``bye``; ``failed`` once any line failed."""

    def __init__(self, host: Host, out: Callable[[str], None]) -> None:
        self.hosts = Hosts(host)
        self.settings = Settings()
        self.ended = False
        self.failed = False
        self.typed: list[str] = []
        self._topology = Topology()
        self._out = out
        self._record: TextIO | None = None
        self._depth = 0
        self._own: dict[str, Callable[[tuple[str, ...]], Awaitable[None]]] = {
            "status": self._status,
            "bye": self._bye,
            "help": self._help,
            "history": self._history,
            "redo": self._redo,
            "inspect": self._inspect,
            "server": self._lines(self.hosts.command),
            "config": self._lines(self.settings.command),
            "topo_subgraph": self._lines(self._topology.subgraph),
            "topo": self._topo,
            "record": self._start_record,
            "playback": self._playback,
        }

    @property
    def host(self) -> Host:
        return self.hosts.current

    async def run(self, line: str) -> bool:
        """Carry out one line as typed; False if it failed."""
        text = line.strip()
        if text:
            self.typed.append(text)
        try:
            command = commands.parse(line)
            self._keep(text, command.verb)
            if command.verb == "nothing" and text:
                self._out(text)  # a comment
            await self._do(command)
        except SpprError as error:
            self._error(error)
            return False
        return True

    async def _do(self, command: Command) -> None:
        if command.verb == "nothing":
            return
        if command.target is None:
            await self._own[command.verb](command.args)
            return
        target = await self._known(command.target)
        if command.verb == "status":
            await self._process_status(target)
        elif command.verb == "exit":
            self._out(await self._exit(target))
        else:
            await self._send(target, command)

    async def _known(self, target: Target) -> Target:
        """``sec:1`` as the kind that it is. NotConnected if there is none."""
        if target.kind != "sec":
            return target
        for process in await self.host.seen():
            if process.client_id == target.client_id:
                return Target("nfv" if process.kind == "vm" else process.kind, process.client_id)
        raise NotConnected(f"{target} is not connected", hint="look with: status")

    async def _send(self, target: Target, command: Command) -> None:
        asked = command.request
        if asked is None:
            if target.kind == "pcap" and command.verb in ("start", "stop"):
                asked = commands.capture(command.verb)
            elif target.kind in ("primary", "nfv"):
                asked = request.change(command.verb, command.args)
            else:
                raise BadValue(
                    f"{target}: {command.verb} is nothing for a {target.kind}", hint=commands.HELP[target.kind]
                )
        if command.verb == "flow" and asked.method == "GET":
            self._flows(await self.host.call("GET", "/primary/status"), asked)
            return
        answer = await self.host.call(asked.method, request.base(target) + asked.path, asked.body)
        said = answer.get("message", "") if isinstance(answer, dict) else ""
        self._out(asked.said or printable(str(said)) or "done")

    def _flows(self, status: Any, asked: Request) -> None:
        wanted = asked.body or {}
        for line in formatting.flows(status if isinstance(status, dict) else {}, wanted["port"], wanted["rule"]):
            self._out(line)

    async def _exit(self, target: Target) -> str:
        await self.host.call("DELETE", request.base(target))
        return "Exit primary" if target == PRIMARY else f"Exit {target.kind} {target.client_id}"

    async def _status(self, _args: tuple[str, ...]) -> None:
        seen = await self.host.seen()
        found = [(str(process), formatting.state_of(process.status)) for process in seen if process.kind != "primary"]
        primary = any(process.kind == "primary" for process in seen)
        for line in formatting.panel_status(self.host.address, primary, found):
            self._out(line)

    async def _process_status(self, target: Target) -> None:
        path = "/primary/status" if target == PRIMARY else request.base(target)
        status = await self.host.call("GET", path)
        for line in formatting.status(target.kind, status if isinstance(status, dict) else {}):
            self._out(line)

    async def _bye(self, args: tuple[str, ...]) -> None:
        if not args:
            self.ended = True
            return
        seen = await self.host.seen()
        results = await self._all([process for process in seen if process.kind != "primary"])
        if args == ("all",) and any(process.kind == "primary" for process in seen):
            results += await self._all([Seen("primary")])
        for result in results:
            if isinstance(result, ControlError):
                self._error(result)
            elif isinstance(result, BaseException):
                raise result
            else:
                self._out(result)

    async def _all(self, processes: list[Seen]) -> list[str | BaseException]:
        targets = [PRIMARY if p.kind == "primary" else Target(p.kind, p.client_id) for p in processes]
        return await asyncio.gather(*map(self._exit, targets), return_exceptions=True)

    async def _help(self, args: tuple[str, ...]) -> None:
        for line in [commands.HELP[args[0]]] if args else commands.HELP.values():
            self._out(line)
        for line in commands.more(args[0]) if args else []:
            self._out(f"  {line}")
        if not args or args[0] in ("pri", "nfv", "sec", "vf", "mirror"):
            self._out(commands.UID_HELP)

    async def _history(self, _args: tuple[str, ...]) -> None:
        for number, line in enumerate(self.typed, 1):
            self._out(f"{number:4}  {line}")

    async def _redo(self, args: tuple[str, ...]) -> None:
        number = int(args[0]) if args[0].isdecimal() else 0
        if not 0 < number <= len(self.typed) or self.typed[number - 1].split()[0] in ("redo", "playback"):
            raise BadValue(f"redo {args[0]}: nothing that can be done again", hint="history lists the lines")
        await self.run(self.typed[number - 1])

    async def _inspect(self, _args: tuple[str, ...]) -> None:
        seen = [{"type": p.kind, "client-id": p.client_id, "status": p.status} for p in await self.host.seen()]
        self._out(json.dumps({"server": self.host.address, "processes": seen}, indent=2))

    def _lines(self, action: Callable[[tuple[str, ...]], list[str]]) -> Callable[[tuple[str, ...]], Awaitable[None]]:
        async def done(args: tuple[str, ...]) -> None:
            for line in action(args):
                self._out(line)

        return done

    async def _topo(self, args: tuple[str, ...]) -> None:
        self._out((await self._topology.topo(args, self.host, self.settings.values["topo_size"])).rstrip("\n"))

    async def _start_record(self, args: tuple[str, ...]) -> None:
        try:
            self._record = Path(args[0]).expanduser().open("w", encoding="utf-8")
        except OSError as error:
            raise BadValue(f"{args[0]}: {error.strerror or error}", hint="give a file that can be written") from None

    def _keep(self, text: str, verb: str) -> None:
        """A line that is understood goes into the record, which ends at exit, bye, record and playback."""
        if self._record is None or not text:
            return
        if verb in ("bye", "record", "playback"):
            self._record.close()
            self._record = None
            return
        print(text, file=self._record, flush=True)

    async def _playback(self, args: tuple[str, ...]) -> None:
        """Each line is shown, then carried out; one that fails stops nothing."""
        path = Path(args[0]).expanduser()
        try:
            with path.open("rb") as file:
                lines = file.read(LARGEST_FILE + 1)
        except OSError as error:
            raise BadValue(f"{args[0]}: {error.strerror or error}", hint="playback FILE") from None
        if len(lines) > LARGEST_FILE or self._depth >= DEEPEST:
            raise BadValue(f"{args[0]}: too large, or it plays itself", hint="playback a smaller file")
        self._depth += 1
        try:
            for line in lines.decode("utf-8", "replace").splitlines():
                if line.strip() and not line.strip().startswith(("#", "//")):
                    self._out(f"# {printable(line)}")
                await self.run(line)
                if self.ended:
                    break
        finally:
            self._depth -= 1

    def _error(self, error: SpprError) -> None:
        self.failed = True
        self._out(errors.line(error))
