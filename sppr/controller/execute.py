"""Lines of the prompt, carried out. A failure is printed as ``error: ...``; SPP prints nothing (spp-facts 6.1)."""

import asyncio
from collections.abc import Awaitable, Callable

from sppr.errors import ControlError
from sppr.spp.names import PRIMARY, Target

from . import commands, faults, show
from .commands import Command
from .panel import Panel


class Shell:
    """Runs one line after the other. ``ended`` is set by ``bye``; ``failed`` once any line failed."""

    def __init__(self, panel: Panel, address: str, out: Callable[[str], None]) -> None:
        self.panel = panel
        self.ended = False
        self.failed = False
        self.typed: list[str] = []
        self._address = address
        self._out = out
        self._own: dict[str, Callable[[tuple[str, ...]], Awaitable[None]]] = {
            "status": self._status,
            "bye": self._bye,
            "help": self._help,
            "history": self._history,
        }

    async def run(self, line: str) -> bool:
        """Carry out one line as typed; False if it failed."""
        if line.strip():
            self.typed.append(line.strip())
        try:
            await self._do(commands.parse(line))
        except ControlError as error:
            self._error(error)
            return False
        return True

    async def _do(self, command: Command) -> None:
        if command.verb == "nothing":
            return
        if command.target is None:
            await self._own[command.verb](command.args)
        elif command.verb == "status":
            await self._process_status(command.target)
        else:
            self._out(await self._change(command.target, command.verb, command.args))

    async def _change(self, target: Target, verb: str, args: tuple[str, ...]) -> str:
        """One change of a process; the sentence that tells its success."""
        panel = self.panel
        if verb == "add":
            await panel.add(target, args[0], args[1:])
            return f"Add {args[0]}."
        if verb == "del":
            await panel.delete(target, args[0])
            return f"Delete {args[0]}."
        if verb == "patch":
            await panel.patch(target, *args)
            return f"Patch ports ({args[0]} -> {args[1]})."
        if verb == "reset":
            await panel.reset(target)
            return "Clear all of patches."
        if verb == "clear":
            await panel.clear(target)
            return "Clear port statistics."
        if verb == "exit":
            return await self._exit(target)
        await panel.forward(target, start=verb == "forward")
        return "Start forwarding." if verb == "forward" else "Stop forwarding."

    async def _exit(self, target: Target) -> str:
        peer = self.panel.peer(target)
        await self.panel.exit(target)
        return "Exit primary" if target == PRIMARY else f"Exit {peer.kind} {peer.client_id}"

    async def _status(self, _args: tuple[str, ...]) -> None:
        await self.panel.processes()
        found = [(str(peer), show.state_of(peer.status)) for peer in self.panel.peers() if peer.kind != "primary"]
        for line in show.panel_status(self._address, self.panel.server.primary is not None, found):
            self._out(line)

    async def _process_status(self, target: Target) -> None:
        status = await self.panel.status(target)
        for line in show.primary_status(status) if target == PRIMARY else show.nfv_status(status):
            self._out(line)

    async def _bye(self, args: tuple[str, ...]) -> None:
        if not args:
            self.ended = True
            return
        targets = [Target("sec", peer.client_id) for peer in self.panel.peers() if peer.kind != "primary"]
        results = await asyncio.gather(*(self._exit(target) for target in targets), return_exceptions=True)
        if args == ("all",) and self.panel.server.primary is not None:
            results += await asyncio.gather(self._exit(PRIMARY), return_exceptions=True)
        for result in results:
            if isinstance(result, ControlError):
                self._error(result)
            elif isinstance(result, BaseException):
                raise result
            else:
                self._out(result)

    async def _help(self, args: tuple[str, ...]) -> None:
        for line in [commands.HELP[args[0]]] if args else commands.HELP.values():
            self._out(line)
        if not args or args[0] in ("pri", "nfv", "sec"):
            self._out(commands.UID_HELP)

    async def _history(self, _args: tuple[str, ...]) -> None:
        for number, line in enumerate(self.typed, 1):
            self._out(f"{number:4}  {line}")

    def _error(self, error: ControlError) -> None:
        self.failed = True
        self._out(faults.line(error))
