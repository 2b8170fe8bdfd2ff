"""The parts' own signs of readiness. Best first: an answer on the control connection, a listening socket, a console."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sppr.deadline import Deadline
from sppr.errors import ControlError, HostError, NotReady
from sppr.host import privilege
from sppr.host.facts import unix_listening
from sppr.images import store
from sppr.qemu import console
from sppr.roles.part import Part
from sppr.spp.control import ControlClient

#: Seconds a vhost port may take until its socket listens.
VHOST_TIMEOUT = 10.0
#: EAL and SPP texts after which no process becomes ready. "No free … hugepages" is said of each size and node, and is
#: fatal of none.
_DPDK_DEATH = re.compile(
    r"Cannot create lock on .*|EAL: FATAL.*|PANIC in .*|Cannot init memory|"
    r"Segmentation fault.*|Illegal instruction.*"
)
_WHAT = {
    "controller": "its ports to listen",
    "primary": "it to be connected to the controller",
    "secondary": "it to be connected to the controller under its id",
}
_CONSOLE = "a login or shell prompt on its console"
_GUEST = "its spp_vm to be connected to the controller"


@dataclass
class Probe:
    """Asks the lab's parts. One question to the controller serves all parts for a moment."""

    api: Path
    _processes: list[dict[str, Any]] | None = field(default=None, repr=False)

    def refresh(self) -> None:
        """Ask anew: who is connected. A controller that does not answer counts as nobody."""
        try:
            self._processes = [dict(p) for p in ControlClient(self.api, timeout=2.0).processes()]
        except ControlError:
            self._processes = None

    @property
    def answered(self) -> bool:
        """Whether the controller answered at the last ``refresh``."""
        return self._processes is not None

    def ready(self, part: Part) -> bool:
        """Whether the part is ready, by its own sign, as of the last ``refresh``."""
        connected = {"type": "nfv", "client-id": part.id} in (self._processes or [])
        if part.is_vm:
            # A guest that carries spp_vm is ready when that is connected; any other when its console is at a prompt.
            return connected if carries_spp_vm(part) else console.has_come_to_prompt(Path(part.console))
        if part.role == "controller":
            return self._processes is not None
        return connected if part.role == "secondary" else {"type": "primary"} in (self._processes or [])


def what(part: Part) -> str:
    """What a wait for this part waits for."""
    return _WHAT[part.role] if not part.is_vm else _GUEST if carries_spp_vm(part) else _CONSOLE


def carries_spp_vm(part: Part) -> bool:
    """Whether the VM's template was given spp_vm when it was made. A template that is booted itself: no."""
    return bool(part.template) and store.carries_spp_vm(Path(part.template))


def fatal(part: Part) -> re.Pattern[str] | None:
    """Text in the part's log that ends a wait at once."""
    return console.DEATH if part.is_vm else None if part.role == "controller" else _DPDK_DEATH


def hint(log: str) -> str | None:
    """The next thing to type, by the symptom in a log."""
    from sppr.host import checks  # 20 ms, and only a failure wants it

    return checks.hint(log)


def serve_vhosts(api: Path, server: str, uids: Sequence[str], sockets: Sequence[str], deadline: Deadline) -> None:
    """Have ``server`` serve these vhost ports, and return once their sockets listen.

    A port that is there already stays as it is. ControlError where it refuses, HostError where somebody else
    listens there, NotReady where a socket does not come.
    """
    there = _ports(ControlClient(api), server) if server else uids
    for uid, socket in zip(uids, sockets, strict=True):
        if uid not in there and socket in unix_listening():
            raise HostError(f"{socket}: another process listens there", hint="sppr status; end it, or set vhosts:")
    serve(api, server, uids)
    for socket in sockets:
        if not deadline.poll(lambda path=socket: path in unix_listening(), 0.02):  # type: ignore[misc]
            raise NotReady(
                f"{socket}: nobody listens there after {deadline.seconds:.0f} s ({server or 'the primary'} should)",
                hint="look at its pane, and at: sppr status",
            )
        # our own programs give it to the user as soon as it listens
        if not Deadline(1.0).poll(lambda path=socket: os.access(path, os.W_OK), 0.02):  # type: ignore[misc]
            privilege.hand_over(Path(socket))


def serve(api: Path, server: str, uids: Sequence[str]) -> None:
    """Have ``server`` serve these ports; those it has stay as they are. ControlError where it refuses."""
    client = ControlClient(api)
    there = _ports(client, server) if server else uids
    for uid in uids:
        if uid not in there:
            client.add_port(server, uid)


def _ports(client: ControlClient, server: str) -> list[str]:
    """Ports of a process that can forward; those of the primary stand in its forwarder's part of the status."""
    if server == "primary":
        return list(client.primary_status().get("forwarder", {}).get("ports", []))
    return list(client.nfv_status(int(server.split(":")[1])).get("ports", []))
