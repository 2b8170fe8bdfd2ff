"""Check, send and verify the commands of SPP. Each command is sent in the dialect of its process.

REST and the prompt both use this interface. Its functions raise BadValue (nothing was sent), NotConnected, NoAnswer or
Refused.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import TypedDict

from sppr import impairment
from sppr.controller import verify
from sppr.controller.errors import LIST_PROCESSES, BadValue, NotConnected, Refused
from sppr.controller.launch import Lab
from sppr.controller.prompt.formatting import state_of
from sppr.controller.server import dialect
from sppr.controller.server.process import MAX_COMMAND_SIZE, ConnectedProcess
from sppr.controller.server.reply import Reply
from sppr.controller.server.server import Server
from sppr.spp import match
from sppr.spp.names import Target, check_uid, is_ethdev_number, printable

_NFV_KINDS = ("nfv", "vm")
#: Seconds for ``exit``. vf takes up to 5 s; up to 18.08.1 it closes the connection without an answer
#: (docs/spp-protocol.md, Exit).
EXIT_TIMEOUT = 9.0
#: Maximum number of words in a command of nfv and primary, which do not check for overflow (docs/spp-protocol.md,
#: Transport).
MAX_TOKENS = 48
#: Port types that are never added or deleted, with the reason. Upstream SPP answers success to some of these and breaks
#: the table entry of port 0 (docs/spp-protocol.md, Unchecked arguments).
_NOT_CHANGEABLE = {"phy": "NICs are assigned when the primary starts", "pipe": "only the primary has pipes"}
Process = TypedDict("Process", {"type": str, "client-id": int}, total=False)


class PatchPanel:
    """The connected processes as one patch panel. ``server``: the table of processes. ``lab``: the addresses for
    ``launch``. ``on_change``: called with each process and the command that has changed it.
    """

    def __init__(self, server: Server, lab: Lab | None = None) -> None:
        self.server = server
        self.lab = lab or Lab()
        self.on_change: Callable[[ConnectedProcess, str], None] | None = None

    def process(self, target: Target) -> ConnectedProcess:
        """Return the connected process. ``target`` of the kind ``sec`` matches every kind of secondary.

        Raise NotConnected if no process has this id, or if it is of another kind.
        """
        if target.kind == "primary":
            result = self.server.primary
        else:
            result = self.server.secondaries.get(target.client_id)
            kinds = _NFV_KINDS if target.kind == "nfv" else (target.kind,)
            if result is not None and target.kind != "sec" and result.kind not in kinds:
                raise NotConnected(f"{target} is not connected: id {target.client_id} is {result}", hint=LIST_PROCESSES)
        if result is None:
            raise NotConnected(f"{target} is not connected", hint=LIST_PROCESSES)
        return result

    async def ask(self, target: Target, command: str, timeout: float | None = None) -> Reply:
        """Send one command in SPP's own language, and return the reply. Raise Refused if the process reports a
        failure.
        """
        process = self.process(target)
        if len(command) > MAX_COMMAND_SIZE or len(command.split()) > MAX_TOKENS:
            raise BadValue(f"`{command[:60]}...` is too long for an SPP process", hint="use fewer words")
        reply = await process.request(command, timeout or self.server.timeout)
        if reply.failed:
            reason = printable(reply.reason()) or f"`{command}` failed"
            hint = f'{process} reported this; see "{_status_command(process)}" and its tmux window'
            raise Refused(reason, hint=hint)
        return reply

    async def status(self, target: Target) -> dict[str, object]:
        """Return the status object of a process. The text of classic SPP is converted to one (``dialect``)."""
        process = self.process(target)
        await self.ask(target, "status")
        return process.status

    async def _change(self, target: Target, verb: str, *args: str) -> None:
        """Send a change in the dialect of the process, and compare its status before and after it.

        The changes of one process run one after another, so that each comparison covers one change only.
        """
        process = self.process(target)
        async with process.change_lock:
            before = verify.parse_state(await self.status(target))
            parsed = process.parsed_status or dialect.ParsedStatus({})
            if not parsed.numbers and verb == "patch" and any(map(is_ethdev_number, args)):
                what = "only classic SPP has ports by number: write TYPE:NUMBER"
                raise BadValue(what, hint="patch phy:0 ring:0")
            names = [dialect.uid_of(parsed, arg) for arg in args]
            if not process.is_sppr and not parsed.classic:
                memif = self.server.primary is None or verify.has_memif(self.server.primary.status)
                verify.check_upstream_support(target, verb, names, before, memif=memif)
            reply = await self.ask(target, dialect.command(parsed, verb, *args))
            status = await self.status(target)
            self._check_done(process, verb, names, (before, verify.parse_state(status)), reply)
        self._report_change(process, " ".join((verb, *names)))

    def _report_change(self, process: ConnectedProcess, change: str) -> None:
        if self.on_change is not None:
            self.on_change(process, change)

    def _check_done(
        self,
        process: ConnectedProcess,
        verb: str,
        names: list[str],
        states: tuple[verify.PanelState | None, verify.PanelState | None],
        reply: Reply,
    ) -> None:
        """Raise Refused if the process answered success and its status does not show the change."""
        before, after = states
        change = f"`{' '.join((verb, *names))}`"
        if before is None or after is None:
            if (
                reply.echo
                and not dialect.shows_change(process.status, verb, names)
                and (verb, *names) != ("patch", "reset")
            ):
                raise Refused(f"{change} had no effect", hint=f"{process} gives no reason; see its tmux window")
            return
        if reply.echo and not after.forwards and not dialect.shows_change(process.status, verb, names):
            raise Refused(f"{change} had no effect", hint=f"{process} gives no reason; see its tmux window")
        result = verify.differences(verify.expected(before, verb, names), after, verb)
        if result:
            raise no_effect(process, change, "; ".join(result))

    async def processes(self) -> list[Process]:
        """Return every process that answers ``status`` now, the primary first. The connections of the others are
        closed.
        """
        connected = self.connected()
        alive = await asyncio.gather(*(self.server.is_alive(process) for process in connected))
        return [_process(process) for process, is_alive in zip(connected, alive, strict=True) if is_alive]

    def connected(self) -> list[ConnectedProcess]:
        """Return the connected processes without a request to them: the primary first, then by id."""
        secondaries = [process for _, process in sorted(self.server.secondaries.items())]
        return [self.server.primary, *secondaries] if self.server.primary else secondaries

    async def add(self, target: Target, port: object, rings: Iterable[object] = ()) -> None:
        """Create a port. ``rings``: the rx and the tx ring of a pipe."""
        uid = _changeable(target, port)
        ends = [_uid(ring) for ring in rings]
        if uid.startswith("pipe:") != (len(ends) == 2) or not all(end.startswith("ring:") for end in ends):
            raise BadValue(f"{uid}: a pipe takes two rings, other ports none", hint="pri; add pipe:0 ring:0 ring:1")
        await self._change(target, "add", uid, *ends)

    async def delete(self, target: Target, port: object) -> None:
        """Delete a port. Upstream SPP stops forwarding at ``del`` (docs/spp-protocol.md, Delete), so forwarding is
        started again.
        """
        uid = _changeable(target, port)
        before = state_of(await self.status(target))
        await self._change(target, "del", uid)
        if before == "running" and state_of(await self.status(target)) == "idling":
            await self.forward(target, start=True)

    def port_of_nic(self, target: Target, uid: str) -> str:
        """Return the port that ``phy:N`` stands for: in a lab of our data plane without NICs, port N of the primary.

        So SPP's recipes, which are written for NICs, play on TAP interfaces. A guest has NICs of its own. Any other
        port stands for itself.
        """
        primary, number = self.server.primary, uid.removeprefix("phy:")
        if not uid.startswith("phy:") or not number.isdecimal() or self.process(target).vm_id:
            return uid
        rows = primary.status.get("phy_ports") if primary is not None and primary.is_sppr else None
        ports = [str(row.get("port", "")) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        if int(number) >= len(ports) or any(port.startswith("phy:") for port in ports):
            return uid
        return ports[int(number)]

    async def patch(self, target: Target, src: object, dst: object, words: str = "") -> None:
        """Patch ``src`` to ``dst``, one way. ``words``: a match, so that the patch takes only these frames.

        The port numbers that classic SPP shows are accepted, too.
        """
        uids = [str(uid) if is_ethdev_number(uid) else self.port_of_nic(target, _uid(uid)) for uid in (src, dst)]
        await self._change(target, "patch", *uids, *self._match(target, words).split())

    def _match(self, target: Target, words: str) -> str:
        """Return a match in its canonical form. Raise BadValue if it is not valid, or not for this process."""
        try:
            found = match.canonical(words.split())
        except ValueError as error:
            raise BadValue(str(error)) from None
        process = self.process(target)
        if found and (not process.is_sppr or process.vm_id):
            what = f"{found}: {'a guest' if process.vm_id else 'upstream SPP'} has no patches for some frames of a port"
            raise BadValue(what, hint="a secondary or the primary of our own data plane has them")
        return found

    async def impair(self, target: Target, src: object, words: str, text: str) -> None:
        """Set the impairment of the patch from ``src``. ``words``: its match, or ``default``. ``text``: keys and values
        of tc netem, or ``off``.
        """
        uid = self.port_of_nic(target, _uid(src))
        selected = match.DEFAULT if words == match.DEFAULT else self._match(target, words)
        process = self.process(target)
        if not process.is_sppr or process.vm_id:
            what = f"{'a guest' if process.vm_id else 'upstream SPP'} has no impairments"
            raise BadValue(what, hint="a secondary or the primary of our own data plane has them")
        try:
            impairment.check(text)
        except ValueError as error:
            raise BadValue(str(error), hint="docs/dataplane.md, Impairments") from None
        command = " ".join(("impair", uid, selected or match.DEFAULT, *text.split()))
        async with process.change_lock:
            await self.ask(target, command)
            await self.status(target)
        self._report_change(process, command)

    async def reset(self, target: Target) -> None:
        """Remove every patch, and keep the ports."""
        await self._change(target, "patch", "reset")

    async def disconnect(self, target: Target, src: object, words: str = "") -> None:
        """Remove the patches from ``src``. ``words``: only the patch with this match; ``default``: only the patch
        without a match.

        Upstream SPP has no such command: all patches of the process are reset, and the other patches restored.
        """
        uid = self.port_of_nic(target, _uid(src))
        process = self.process(target)
        selected = words if words == match.DEFAULT else self._match(target, words)
        if process.is_sppr:
            await self._change(target, "patch", "reset", uid, *selected.split())
            return
        before = verify.parse_state(await self.status(target))
        await self.reset(target)
        for other, dst in before.patches.items() if before else ():
            if other != uid:
                await self.patch(target, other, dst)
        if before and before.state == "running" and state_of(await self.status(target)) == "idling":
            await self.forward(target, start=True)

    async def forward(self, target: Target, *, start: bool) -> None:
        """Start or stop forwarding."""
        await self._change(target, "forward" if start else "stop")

    async def probe(self, target: Target, number: int, action: str, options: Mapping[str, object]) -> None:
        """Start or stop the source of a probe, or reset its sink. ``action``: ``start``, ``stop`` or ``expect``."""
        words = [f"{name}={value}" for name, value in options.items() if value is not None]
        await self.ask(target, " ".join(["probe", action, f"probe:{number}", *words]))

    async def probe_result(self, target: Target, number: int, what: str = "result") -> dict[str, object]:
        """Return the counters of a probe, or its latencies if ``what`` is ``histogram``."""
        reply = await self.ask(target, f"probe {what} probe:{number}")
        result = (reply.data or {}).get("probe")
        if not isinstance(result, dict):
            raise Refused(f"{target} has no probes", hint="only sppr's own data plane has them: docs/dataplane.md")
        return result

    async def capture_guest(self, target: Target, *words: str) -> dict[str, object]:
        """Send ``capture`` to the spp_vm of a guest, and return its reply (docs/dataplane.md, Capture)."""
        if not self.process(target).vm_id:
            raise BadValue(f"{target} is no guest", hint="processes of the host have a socket: spp-capture.N.sock")
        return dict((await self.ask(target, " ".join(("capture", *words)))).data or {})

    async def clear(self, target: Target) -> None:
        """Reset the counters of the primary."""
        await self.ask(target, "clear")

    async def exit(self, target: Target, *, keep: bool = False) -> None:
        """Stop a process. ``keep``: restore its ports and patches when it is started again; otherwise discard them.

        Some releases close the connection without an answer, which counts as success (docs/spp-protocol.md, Exit).
        """
        process = self.process(target)
        with contextlib.suppress(NotConnected):
            await self.ask(target, "exit", max(EXIT_TIMEOUT, self.server.timeout))
        process.close("it was stopped by exit")
        self._report_change(process, "exit")
        if not keep:
            self.server.restorer.discard(process)


def _uid(port: object) -> str:
    try:
        return check_uid(port)
    except ValueError as error:
        raise BadValue(str(error)) from None


def _changeable(target: Target, port: object) -> str:
    uid = _uid(port)
    kind = uid.partition(":")[0]
    if kind in _NOT_CHANGEABLE and not (kind == "pipe" and target.kind == "primary"):
        raise BadValue(f"{uid} cannot be added to or deleted from {target}", hint=_NOT_CHANGEABLE[kind])
    return uid


def no_effect(process: ConnectedProcess, change: str, difference: str) -> Refused:
    """Return the error for a change that the process answered with success, but that its status does not show."""
    return Refused(
        f"{change} did not have the requested effect: {difference}",
        hint=f"{process} answered success, but its status shows otherwise; see its tmux window",
    )


def _status_command(process: ConnectedProcess) -> str:
    """Return the line that shows the status of the process at the prompt."""
    if process.kind == "primary":
        return "pri; status"
    return f"{'nfv' if process.kind in _NFV_KINDS else process.kind} {process.client_id}; status"


def _process(process: ConnectedProcess) -> Process:
    if process.kind == "primary":
        return {"type": "primary"}
    return {"type": process.kind, "client-id": process.client_id}
