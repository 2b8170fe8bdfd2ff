"""What can be asked of the patch panel: each command of SPP once, checked before it is sent, its failure an exception.

REST and the prompt are two faces of this. Raised: BadValue (nothing was sent), NotConnected, NoAnswer, Refused.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import TypedDict

from sppr.controller import verify
from sppr.controller.errors import BadValue, NotConnected, Refused
from sppr.controller.launch import Lab
from sppr.controller.prompt.formatting import state_of
from sppr.controller.server import dialect
from sppr.controller.server.process import MAX_COMMAND_SIZE, ConnectedProcess
from sppr.controller.server.reply import Reply
from sppr.controller.server.server import Server
from sppr.spp.names import Target, check_uid, is_ethdev_number, printable

_NFV = ("nfv", "vm")
#: Seconds for ``exit``: vf takes up to 5, and up to 18.08.1 says nothing, it closes (spp-facts 3.3, 3.9).
EXIT_TIMEOUT = 9.0
#: Tokens that nfv and primary can hold; overflow is not checked (spp-facts 3.1).
MOST_TOKENS = 48
#: Never added or deleted: real SPP answers success to some of these and breaks the table of port 0 (spp-facts 3.6, 4).
_FIXED = {"phy": "the primary gets its NICs when it starts", "pipe": "pipes are the primary's"}
Process = TypedDict("Process", {"type": str, "client-id": int}, total=False)


class PatchPanel:
    """The connected processes as one panel: ``server`` holds them, ``lab`` is what ``launch`` starts others with."""

    def __init__(self, server: Server, lab: Lab | None = None) -> None:
        self.server = server
        self.lab = lab or Lab()

    def process(self, target: Target) -> ConnectedProcess:
        """The connected process, which is of the kind asked for (``sec``: any). NotConnected else."""
        if target.kind == "primary":
            found = self.server.primary
        else:
            found = self.server.secondaries.get(target.client_id)
            kinds = _NFV if target.kind == "nfv" else (target.kind,)
            if found is not None and target.kind != "sec" and found.kind not in kinds:
                raise NotConnected(
                    f"{target} is not connected: id {target.client_id} is {found}", hint="look with: status"
                )
        if found is None:
            raise NotConnected(f"{target} is not connected", hint="look with: status")
        return found

    async def ask(self, target: Target, command: str, timeout: float | None = None) -> Reply:
        """Send one command of SPP's own language. Refused if the process says that it failed."""
        process = self.process(target)
        if len(command) > MAX_COMMAND_SIZE or len(command.split()) > MOST_TOKENS:
            raise BadValue(f"`{command[:60]}...` is too long for an SPP process", hint="leave something out")
        reply = await process.request(command, timeout or self.server.timeout)
        if reply.failed:
            words = printable(reply.reason()) or f"`{command}` failed"
            raise Refused(words, hint=f"said by {process}: look at its status, its window may tell why")
        return reply

    async def status(self, target: Target) -> dict[str, object]:
        """The status object of a process, classic SPP's text made one (``dialect``)."""
        process = self.process(target)
        await self.ask(target, "status")
        return process.status

    async def _change(self, target: Target, verb: str, *args: str) -> None:
        """Send a change in the dialect of the process, and compare its status before and after.

        Changes of one process run one after another, so that a comparison sees its own change alone.
        """
        process = self.process(target)
        async with process.change_lock:
            before = verify.wired(await self.status(target))
            parsed = process.parsed_status or dialect.ParsedStatus({})
            if not parsed.numbers and verb == "patch" and any(map(is_ethdev_number, args)):
                raise BadValue("ports are numbers to classic SPP only: write TYPE:NUMBER", hint="patch phy:0 ring:0")
            names = [dialect.uid_of(parsed, arg) for arg in args]
            if not process.is_sppr and not parsed.classic:
                memif = self.server.primary is None or verify.has_memif(self.server.primary.status)
                verify.refuse_what_spp_damages(target, verb, names, before, memif=memif)
            reply = await self.ask(target, dialect.command(parsed, verb, *args))
            status = await self.status(target)
            self._check_done(process, verb, names, (before, verify.wired(status)), reply)

    def _check_done(
        self,
        process: ConnectedProcess,
        verb: str,
        names: list[str],
        seen: tuple[verify.Wired | None, verify.Wired | None],
        reply: Reply,
    ) -> None:
        """Refused where the process answered success and its status shows something else."""
        before, after = seen
        change = f"`{' '.join((verb, *names))}`"
        if before is None or after is None:
            if (
                reply.echo
                and not dialect.shows_change(process.status, verb, names)
                and (verb, *names) != ("patch", "reset")
            ):
                raise Refused(f"{change} had no effect", hint=f"{process} does not say why: see its window")
            return
        if reply.echo and not after.forwards and not dialect.shows_change(process.status, verb, names):
            raise Refused(f"{change} had no effect", hint=f"{process} does not say why: see its window")
        found = verify.differences(verify.expected(before, verb, names), after, verb)
        if found:
            raise no_effect(process, change, "; ".join(found))

    async def processes(self) -> list[Process]:
        """Every process that answers ``status`` now, the primary first; those that do not are dropped."""
        connected = self.connected()
        alive = await asyncio.gather(*(self.server.is_alive(process) for process in connected))
        return [_process(process) for process, lives in zip(connected, alive, strict=True) if lives]

    def connected(self) -> list[ConnectedProcess]:
        """The connected processes, asked nothing: the primary first, then by id."""
        secondaries = [process for _, process in sorted(self.server.secondaries.items())]
        return [self.server.primary, *secondaries] if self.server.primary else secondaries

    async def add(self, target: Target, port: object, rings: Iterable[object] = ()) -> None:
        """Create a port. ``rings``: rx and tx ring of a pipe."""
        uid = _changeable(target, port)
        ends = [_uid(ring) for ring in rings]
        if uid.startswith("pipe:") != (len(ends) == 2) or not all(end.startswith("ring:") for end in ends):
            raise BadValue(
                f"{uid}: a pipe, and nothing else, is added with two rings", hint="pri; add pipe:0 ring:0 ring:1"
            )
        await self._change(target, "add", uid, *ends)

    async def delete(self, target: Target, port: object) -> None:
        """Remove a port. Real SPP stops forwarding by that (spp-facts 4.1): it is told to go on."""
        uid = _changeable(target, port)
        before = state_of(await self.status(target))
        await self._change(target, "del", uid)
        if before == "running" and state_of(await self.status(target)) == "idling":
            await self.forward(target, start=True)

    async def patch(self, target: Target, src: object, dst: object) -> None:
        """Send what ``src`` receives to ``dst``: one way. The numbers that classic SPP shows will do for it too."""
        ends = [str(end) if is_ethdev_number(end) else _uid(end) for end in (src, dst)]
        await self._change(target, "patch", *ends)

    async def reset(self, target: Target) -> None:
        """Forget every patch, keep the ports."""
        await self._change(target, "patch", "reset")

    async def disconnect(self, target: Target, src: object) -> None:
        """Take away the patch from ``src``. SPP knows no such command: there all patches of the process are reset, and
        the others are made again."""
        uid = _uid(src)
        if self.process(target).is_sppr:
            await self._change(target, "patch", "reset", uid)
            return
        before = verify.wired(await self.status(target))
        await self.reset(target)
        for other, dst in before.patches.items() if before else ():
            if other != uid:
                await self.patch(target, other, dst)
        if before and before.state == "running" and state_of(await self.status(target)) == "idling":
            await self.forward(target, start=True)

    async def forward(self, target: Target, *, start: bool) -> None:
        await self._change(target, "forward" if start else "stop")

    async def probe(self, target: Target, number: int, action: str, words: Mapping[str, object]) -> None:
        """Start or stop the source of a probe, or reset its sink: ``start``, ``stop`` or ``expect``."""
        given = [f"{name}={value}" for name, value in words.items() if value is not None]
        await self.ask(target, " ".join(["probe", action, f"probe:{number}", *given]))

    async def probe_result(self, target: Target, number: int, what: str = "result") -> dict[str, object]:
        """Return the counters of a probe, or with ``what`` histogram its latencies."""
        reply = await self.ask(target, f"probe {what} probe:{number}")
        found = (reply.data or {}).get("probe")
        if not isinstance(found, dict):
            raise Refused(f"{target} has no probes", hint="probes are ports of our own data plane: docs/dataplane.md")
        return found

    async def clear(self, target: Target) -> None:
        """Zero the primary's counters."""
        await self.ask(target, "clear")

    async def exit(self, target: Target, *, keep: bool = False) -> None:
        """End a process. Some close without an answer: that is success too (spp-facts 11.5).

        Its ports and patches are forgotten, or with ``keep`` given back when it is started again.
        """
        process = self.process(target)
        with contextlib.suppress(NotConnected):
            await self.ask(target, "exit", max(EXIT_TIMEOUT, self.server.timeout))
        process.close("it was told to exit")
        if not keep:
            self.server.restorer.forget(process)


def _uid(port: object) -> str:
    try:
        return check_uid(port)
    except ValueError as error:
        raise BadValue(str(error)) from None


def _changeable(target: Target, port: object) -> str:
    uid = _uid(port)
    kind = uid.partition(":")[0]
    if kind in _FIXED and not (kind == "pipe" and target.kind == "primary"):
        raise BadValue(f"{uid} cannot be added to or deleted from {target}", hint=_FIXED[kind])
    return uid


def no_effect(process: ConnectedProcess, change: str, difference: str) -> Refused:
    """Return the error for a change that the process answered with success, and that its status does not show."""
    return Refused(
        f"{change} had no effect as asked: {difference}",
        hint=f"{process} answered success; its status says otherwise, and its window may say why",
    )


def _process(process: ConnectedProcess) -> Process:
    if process.kind == "primary":
        return {"type": "primary"}
    return {"type": process.kind, "client-id": process.client_id}
