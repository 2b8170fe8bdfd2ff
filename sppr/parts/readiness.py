"""The parts' own signs of readiness. Best first: an answer on the control connection, a listening socket, a console."""

import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sppr.deadline import Deadline
from sppr.errors import ControlError, HostError, LaunchError, NotReady
from sppr.images import template_note
from sppr.parts.part import Part
from sppr.qemu import console
from sppr.spp.control import Address, ControlClient
from sppr.wait import tail

#: Seconds a vhost port may take until its socket listens.
VHOST_TIMEOUT = 10.0
#: SPP's CLI, when it takes commands.
_CLI = "spp > "
#: EAL and SPP texts after which no process becomes ready. "No free … hugepages" is said of each size and node, and is
#: fatal of none.
_DPDK_DEATH = re.compile(
    r"Cannot create lock on .*|EAL: FATAL.*|PANIC in .*|Cannot init memory|"
    r"Segmentation fault.*|Illegal instruction.*"
)
#: Texts after which EAL continues without a device that it was given. Our own spp_primary then ends and says which.
_DEVICE_MISSING = (
    r"(?:vdev_probe\(\): |EAL: )?failed to initialize (?:net|eth)_.*|EAL: Driver cannot attach the device.*|"
    r"(?:EAL: )?Cannot probe .*"
)
_REAL_PRIMARY_DEATH = re.compile(f"{_DPDK_DEATH.pattern}|{_DEVICE_MISSING}")
_WHAT = {
    "controller": "its ports to listen",
    "primary": "it to be connected to the controller",
    "secondary": "it to be connected to the controller under its id",
}
_CONSOLE = "a login or shell prompt on its console"
_GUEST = "its spp_vm to be connected to the controller"


@dataclass
class Probe:
    """Asks the lab's parts. One question to the controller serves all parts for a moment. ``timeout``: seconds for a
    controller with a unix socket."""

    api: Address
    others: Collection[str] = ()
    timeout: float = 2.0
    _known: dict[str, list[dict[str, Any]] | None] = field(default_factory=dict, repr=False)
    _seen: set[str] = field(default_factory=set, repr=False)
    _ports: dict[str, list[str] | None] = field(default_factory=dict, repr=False)

    def refresh(self) -> None:
        """Ask anew: who is connected. A controller that does not answer counts as nobody."""
        self._ports.clear()
        self._known = {str(address): _processes(address, self.timeout) for address in (self.api, *self.others)}

    @property
    def answered(self) -> bool:
        """Whether the controller answered at the last ``refresh``."""
        return self._known.get(str(self.api)) is not None

    def ready(self, part: Part) -> bool:
        """Whether the part is ready, by its own sign, as of the last ``refresh``."""
        found = self._known.get(part.control or str(self.api))
        if part.role == "controller":
            # What the CLI printed in the runs before stands above the line that started this one.
            cli = part.kind == "cli"
            return _CLI in tail(Path(part.console)).rpartition(" --cli")[2] if cli else found is not None
        connected = {"type": part.kind or "nfv", "client-id": part.id} in (found or [])
        if part.is_vm:
            # A guest that carries spp_vm is ready when that is connected; any other when its console is at a prompt.
            if part.kind == "ivshmem":  # its console is the pane's, with lines of runs before
                return bool(console.PROMPT.search(tail(Path(part.console)).rpartition("run-vm.py")[2]))
            return connected if carries_spp_vm(part) else console.has_reached_prompt(Path(part.console))
        if part.role == "secondary":
            return connected and (not part.real or "/" in (part.control or str(self.api)) or self._answered(part))
        return {"type": "primary"} in (found or [])

    def lost_ports(self, part: Part) -> dict[str, str]:
        """Ports of a VM that its server does not serve any more -> what is wrong. Empty where the server cannot be
        asked. Each server is asked once after a ``refresh``."""
        if not part.ports or not part.server:
            return {}
        if part.server not in self._ports:
            self._ports[part.server] = _ports_of(self.api, part.server, self.timeout)
        there = self._ports[part.server]
        return lost_ports(part, there) if there is not None else {}

    def _answered(self, part: Part) -> bool:
        """Whether a secondary that spp-ctl lists has answered it once: 18.08.1 and 18.08.2 go on listing a dead one
        until another takes its id."""
        if part.name not in self._seen and _answers(self.api, _target(part)):
            self._seen.add(part.name)
        return part.name in self._seen

    def check_free(self, part: Part) -> None:
        """Before a secondary of SPP's own starts: ControlError where its id is another process's already. spp-ctl lets
        the two throw each other out each second, spp.py renames the second one to id 0 (spp-facts 3.2, 3.4)."""
        if not part.real or part.role != "secondary":
            return
        self.check_renamed(part)
        # Asked itself: the list of a controller may have it for a while after its end.
        if self.ready(part) and _answers(part.control or self.api, _target(part)):
            what = f"{part.name}: the controller has a {part.kind}:{part.id} already, which is none of this lab"
            raise ControlError(what, hint="end that process, or give this one another id in conf.yml")

    def check_renamed(self, part: Part) -> None:
        """LaunchError where a secondary is connected as id 0: that is what spp.py makes of an id given twice."""
        found = self._known.get(part.control or str(self.api)) or []
        if part.real and part.role == "secondary" and any(p.get("client-id") == 0 for p in found):
            what = f"a secondary is connected as id 0, while {part.name} waits: its id was another process's already"
            raise LaunchError(what, hint="sec 0;exit   at the prompt in ctrler, then end the process that has the id")

    def strangers(self, parts: Iterable[Part]) -> list[str]:
        """Who is connected and none of these parts, as ``nfv:0``. spp.py calls a second process of one id nfv:0."""
        known = {part.id for part in parts}
        found = [p for processes in self._known.values() for p in processes or () if p.get("type") != "primary"]
        return [f"{p.get('type')}:{p.get('client-id')}" for p in found if p.get("client-id") not in known]


def of(plan_api: Address, parts: Iterable[Part]) -> Probe:
    """The probe of a lab: its first controller and, where a part is known to another, that."""
    parts = list(parts)
    classic = any(part.role == "controller" and part.real for part in parts)  # slow: it gets few questions a second
    return Probe(plan_api, dict.fromkeys(part.control for part in parts if part.control), 5.0 if classic else 2.0)


def _processes(address: Address, timeout: float) -> list[dict[str, Any]] | None:
    """Who is connected there. spp-ctl goes on listing a primary that has died: that is asked itself."""
    client = ControlClient(address, timeout=timeout if "/" in str(address) else 4.0)
    try:
        found = [dict(p) for p in client.processes()]
    except ControlError:
        return None
    if "/" not in str(address) and {"type": "primary"} in found:
        try:
            client.primary_status()
        except ControlError:
            found.remove({"type": "primary"})
    return found


def _target(part: Part) -> str:
    return f"{part.kind or 'nfv'}:{part.id}"


def _answers(address: Address, target: str) -> bool:
    """Whether this process answers its controller. spp-ctl of 18.08.1 tells an empty status of a dead one."""
    try:
        return bool(ControlClient(address).status(target))
    except ControlError:
        return False


def _ports_of(address: Address, server: str, timeout: float) -> list[str] | None:
    try:
        return ControlClient(address, timeout=timeout).ports(server)
    except ControlError:
        return None


def lost_ports(part: Part, there: Collection[str]) -> dict[str, str]:
    """Ports of a VM that are not ``there`` on its server, or whose socket is gone -> what is wrong."""
    lost = {uid: f"{part.server} has no {uid}" for uid in part.ports if uid not in there}
    for uid, socket in zip(part.ports, part.sockets, strict=False):
        if uid in there and not part.makes_sockets and not Path(socket).is_socket():
            lost[uid] = f"{socket} of {part.server} is gone"
    return lost


def what(part: Part) -> str:
    """What a wait for this part waits for."""
    if part.kind == "cli":
        return "its prompt"
    return _WHAT[part.role] if not part.is_vm else _GUEST if carries_spp_vm(part) else _CONSOLE


def carries_spp_vm(part: Part) -> bool:
    """Whether the VM's template was given spp_vm when it was made. A template that is booted itself: no."""
    told = any("opt/sppr/controller" in word for word in part.program)  # a controller that would take it
    return told and bool(part.template) and template_note.has_spp_vm(Path(part.template))


def fatal(part: Part) -> re.Pattern[str] | None:
    """Text in the part's log that ends a wait at once."""
    if part.is_vm:
        return console.FATAL
    if part.role == "controller":
        return None
    return _REAL_PRIMARY_DEATH if part.real and part.role == "primary" else _DPDK_DEATH


def hint(log: str) -> str | None:
    """The next thing to type, by the symptom in a log."""
    from sppr.host import checks  # 20 ms, and only a failure wants it

    return checks.hint(log)


def serve_vhosts(api: Address, server: str, uids: Sequence[str], sockets: Sequence[str], deadline: Deadline) -> None:
    """Have ``server`` serve these vhost ports, and return once their sockets listen.

    A socket file of before, at which nobody listens, is removed: SPP's add fails on it. A port that is there already
    stays as it is; one whose socket file is gone is added anew, since QEMU cannot connect to it. ControlError where
    the server refuses, HostError where somebody else listens there or another file is in the way, NotReady where a
    socket does not come.
    """
    from sppr.host.facts import unix_listening
    from sppr.host.process.sockets import check_owner
    from sppr.host.root import privilege  # `sppr status` starts faster without all three

    there = ControlClient(api).ports(server) if server else uids
    for uid, socket in zip(uids, sockets, strict=True):
        if server and uid in there and not Path(socket).is_socket():
            if os.path.lexists(socket):
                raise HostError(f"{socket}: is not a socket, and {uid} must be there", hint=f"move {socket} away")
            _add_anew(ControlClient(api), server, uid)
            continue
        if uid not in there and socket in unix_listening():
            raise HostError(f"{socket}: another process listens there", hint="sppr status; end it, or set vhosts:")
        if uid not in there and Path(socket).is_socket():
            privilege.remove(Path(socket))
    serve(api, server, uids)
    for socket in sockets:
        # The kernel lists a socket by its path for as long as its process listens, also when the file was removed.
        if not deadline.poll(lambda path=socket: path in unix_listening(), 0.02):  # type: ignore[misc]
            raise NotReady(
                f"{socket}: nobody listens there after {deadline.seconds:.0f} s ({server or 'the primary'} should)",
                hint="look at its pane, and at: sppr status",
            )
        check_owner(Path(socket))
        # our own programs give it to the user as soon as it listens
        if not Deadline(1.0).poll(lambda path=socket: os.access(path, os.W_OK), 0.02):  # type: ignore[misc]
            privilege.give_to_user(Path(socket))


def _add_anew(client: ControlClient, server: str, uid: str) -> None:
    """Delete a port and add it again, with its patches.

    SPP's own ``del`` of a patched port damages the patches, and stops forwarding (spp-facts 3.2, 3.6). So there all
    patches are reset before it, and set again with the forwarding after it.
    """
    real = client.primary_status().get("data_plane") != "sppr"
    status = client.status(server)
    status = status.get("forwarder", {}) if server == "primary" else status
    patches = [patch for patch in status.get("patches", []) if real or uid in (patch["src"], patch["dst"])]
    if real and patches:
        client.reset_patches(server)
    client.del_port(server, uid)
    client.add_port_verified(server, uid)
    for patch in patches:
        client.patch(server, *(patch[end].replace(" ", "") for end in ("src", "dst")))
    if real and status.get("status") == "running":
        client.forward(server)


def serve(api: Address, server: str, uids: Sequence[str]) -> None:
    """Have ``server`` serve these ports; those it has stay as they are. ControlError where it refuses.

    The bring-up and run-vm.py in the VM's pane both ask, at about the same time: a port that the other one has just
    added is no error.
    """
    client = ControlClient(api)
    there = client.ports(server) if server else uids
    for uid in uids:
        if uid in there:
            continue
        try:
            client.add_port_verified(server, uid)
        except ControlError:
            if uid not in client.ports(server):
                raise
