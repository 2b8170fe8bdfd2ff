"""Determine whether a part is ready, and make a server serve the ports of a VM.

The signs of readiness, best first: an answer on the control connection, a listening socket, a prompt on a console.
"""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
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

#: Time limit in seconds from adding a vhost port until its socket listens.
VHOST_TIMEOUT = 10.0
#: The prompt of SPP's CLI.
_CLI_PROMPT = "spp > "
#: Pattern of the messages of EAL and SPP after which no process becomes ready. "No free … hugepages" is not among them:
#: EAL prints it for each page size and NUMA node, and it is never fatal by itself.
_FATAL_DPDK = (
    r"Cannot create lock on .*|EAL: FATAL.*|PANIC in .*|Cannot init memory|"
    r"Segmentation fault.*|Illegal instruction.*"
)
#: Messages after which EAL continues without a device of its command line. Our own spp_primary then exits and names the
#: device, so these messages need to be fatal for an upstream primary only.
_DEVICE_MISSING = (
    r"(?:vdev_probe\(\): |EAL: )?failed to initialize (?:net|eth)_.*|EAL: Driver cannot attach the device.*|"
    r"(?:EAL: )?Cannot probe .*"
)
_FATAL_UPSTREAM_PRIMARY = f"{_FATAL_DPDK}|{_DEVICE_MISSING}"
_AWAITED = {
    "controller": "its ports to listen",
    "primary": "it to be connected to the controller",
    "secondary": "it to be connected to the controller under its id",
}
_AWAITED_CONSOLE = "a login or shell prompt on its console"
_AWAITED_GUEST = "its spp_vm to be connected to the controller"


@dataclass
class Probe:
    """The signs of readiness of all parts of a lab.

    One request to each controller answers for all its parts, until the next ``refresh``.

    ``api``: the address of the first controller of the lab. ``others``: addresses of further controllers.
    ``timeout``: time limit in seconds of a request to a controller with a unix socket.
    """

    api: Address
    others: Collection[str] = ()
    timeout: float = 2.0
    _connected: dict[str, list[dict[str, Any]] | None] = field(default_factory=dict, repr=False)
    _responsive: set[str] = field(default_factory=set, repr=False)
    _ports: dict[str, list[str] | None] = field(default_factory=dict, repr=False)

    def refresh(self) -> None:
        """Ask each controller which processes are connected. If it does not answer, none of its parts is ready."""
        self._ports.clear()
        self._connected = {str(address): _processes(address, self.timeout) for address in (self.api, *self.others)}

    def use(self, processes: list[dict[str, Any]] | None, ports: Mapping[str, list[str] | None]) -> None:
        """Use this answer of the first controller instead of a request to it.

        ``processes``: the connected processes; None: it does not answer. ``ports``: the ports of each server; None:
        they are unknown.
        """
        self._ports = dict(ports)
        self._connected = {str(self.api): processes}

    @property
    def answered(self) -> bool:
        """Return whether the first controller answered at the last ``refresh``."""
        return self._connected.get(str(self.api)) is not None

    def ready(self, part: Part) -> bool:
        """Return whether the part was ready at the last ``refresh``."""
        processes = self._connected.get(part.control or str(self.api))
        if part.role == "controller":
            # The console also has the prompts of earlier runs, above the command line that started this run.
            cli = part.kind == "cli"
            return _CLI_PROMPT in tail(Path(part.console)).rpartition(" --cli")[2] if cli else processes is not None
        connected = {"type": part.kind or "nfv", "client-id": part.id} in (processes or [])
        if part.is_vm:
            # A guest with spp_vm is ready when its spp_vm is connected, any other guest at a prompt on its console.
            if part.kind == "ivshmem":  # its console is the pane, which also shows earlier runs
                return bool(re.search(console.PROMPT, tail(Path(part.console)).rpartition("run-vm.py")[2]))
            return connected if carries_spp_vm(part) else console.has_reached_prompt(Path(part.console))
        if part.role == "secondary":
            over_socket = "/" in (part.control or str(self.api))
            return connected and (not part.upstream or over_socket or self._has_answered(part))
        return {"type": "primary"} in (processes or [])

    def lost_ports(self, part: Part) -> dict[str, str]:
        """Return the ports of a VM that its server no longer serves, each with the reason.

        The result is empty if the server does not answer. Each server is asked once per ``refresh``.
        """
        if not part.ports or not part.server:
            return {}
        if part.server not in self._ports:
            self._ports[part.server] = _ports_of(self.api, part.server, self.timeout)
        existing = self._ports[part.server]
        return lost_ports(part, existing) if existing is not None else {}

    def _has_answered(self, part: Part) -> bool:
        """Return whether a secondary that spp-ctl lists has answered a status request at least once.

        spp-ctl of 18.08.1 and 18.08.2 keeps listing a dead secondary until another process takes its id
        (docs/spp-protocol.md, Exit).
        """
        if part.name not in self._responsive and _answers(self.api, _target(part)):
            self._responsive.add(part.name)
        return part.name in self._responsive

    def check_id_free(self, part: Part) -> None:
        """Raise ControlError or LaunchError if the id of an upstream secondary that is about to start is in use.

        Under spp-ctl, two processes with one id disconnect each other every second. spp.py assigns id 0 to the second
        process (docs/spp-protocol.md, Client id).
        """
        if not part.upstream or part.role != "secondary":
            return
        self.check_renamed(part)
        # Ask the process itself, because the list of a controller may have a process for a while after its end.
        if self.ready(part) and _answers(part.control or self.api, _target(part)):
            what = f"{part.name}: a {part.kind}:{part.id} that is not part of this lab is connected to the controller"
            raise ControlError(what, hint="stop that process, or set another id in conf.yml")

    def check_renamed(self, part: Part) -> None:
        """Raise LaunchError if a secondary is connected as id 0, which spp.py assigns if an id is in use."""
        processes = self._connected.get(part.control or str(self.api)) or []
        if part.upstream and part.role == "secondary" and any(p.get("client-id") == 0 for p in processes):
            what = f"{part.name}: a secondary is connected as id 0, because another process already used its id"
            raise LaunchError(what, hint="sec 0;exit   at the prompt in ctrler, then stop the process that uses the id")

    def foreign_processes(self, parts: Iterable[Part]) -> list[str]:
        """Return the connected secondaries that are none of these parts, as ``nfv:0``.

        spp.py renames the second process with one id to nfv:0.
        """
        ids = {part.id for part in parts}
        connected = [p for processes in self._connected.values() for p in processes or () if p.get("type") != "primary"]
        return [f"{p.get('type')}:{p.get('client-id')}" for p in connected if p.get("client-id") not in ids]


def lab_probe(api: Address, parts: Iterable[Part]) -> Probe:
    """Return the probe of a lab, for its first controller and the others that its parts are connected to."""
    parts = list(parts)
    # An upstream controller is slow: it gets few requests a second.
    classic = any(part.role == "controller" and part.upstream for part in parts)
    return Probe(api, dict.fromkeys(part.control for part in parts if part.control), 5.0 if classic else 2.0)


def _processes(address: Address, timeout: float) -> list[dict[str, Any]] | None:
    """Return the processes that are connected to this controller, or None if it does not answer.

    spp-ctl keeps listing a dead primary, so the primary is asked for its status.
    """
    client = ControlClient(address, timeout=timeout if "/" in str(address) else 4.0)
    try:
        processes = [dict(p) for p in client.processes()]
    except ControlError:
        return None
    if "/" not in str(address) and {"type": "primary"} in processes:
        try:
            client.primary_status()
        except ControlError:
            processes.remove({"type": "primary"})
    return processes


def _target(part: Part) -> str:
    return f"{part.kind or 'nfv'}:{part.id}"


def _answers(address: Address, target: str) -> bool:
    """Return whether this process answers its controller.

    spp-ctl of 18.08.1 returns an empty status for a dead process.
    """
    try:
        return bool(ControlClient(address).status(target))
    except ControlError:
        return False


def _ports_of(address: Address, server: str, timeout: float) -> list[str] | None:
    try:
        return ControlClient(address, timeout=timeout).ports(server)
    except ControlError:
        return None


def lost_ports(part: Part, existing: Collection[str]) -> dict[str, str]:
    """Return the ports of a VM that are missing on its server or have lost their socket, each with the reason.

    ``existing``: the ports of the server.
    """
    lost = {uid: f"{part.server} has no {uid}" for uid in part.ports if uid not in existing}
    for uid, socket in zip(part.ports, part.sockets, strict=False):
        if uid in existing and not part.makes_sockets and not Path(socket).is_socket():
            lost[uid] = f"{socket} of {part.server} is gone"
    return lost


def awaited(part: Part) -> str:
    """Return what a wait for this part waits for, as text for the user."""
    if part.kind == "cli":
        return "its prompt"
    return _AWAITED[part.role] if not part.is_vm else _AWAITED_GUEST if carries_spp_vm(part) else _AWAITED_CONSOLE


def carries_spp_vm(part: Part) -> bool:
    """Return whether spp_vm of this VM will connect: its template has spp_vm, and it knows a controller.

    The result is False for a VM that boots the template itself.
    """
    knows_controller = any("opt/sppr/controller" in word for word in part.program)
    return knows_controller and bool(part.template) and template_note.has_spp_vm(Path(part.template))


def fatal(part: Part) -> str | None:
    """Return the pattern of log messages after which the part cannot become ready, or None if there is none."""
    if part.is_vm:
        return console.FATAL
    if part.role == "controller":
        return None
    return _FATAL_UPSTREAM_PRIMARY if part.upstream and part.role == "primary" else _FATAL_DPDK


def hint(log: str) -> str | None:
    """Return the hint for the symptom in a log, or None if no known symptom is in it."""
    from sppr.host import checks  # the import takes 20 ms, and only a failure needs it

    return checks.hint(log)


def serve_vhosts(api: Address, server: str, uids: Sequence[str], sockets: Sequence[str], deadline: Deadline) -> None:
    """Make ``server`` serve these vhost ports, and wait until their sockets listen.

    ``server`` is empty if the primary creates the ports by itself. A stale socket file is removed first, because SPP
    cannot add a port over it. An existing port stays as it is, unless its socket file is gone: then it is recreated,
    since QEMU cannot connect to it.

    Raise ControlError if the server refuses, HostError if another process listens on a socket or another file is in its
    place, and NotReady if a socket does not listen before the deadline.
    """
    from sppr.host.process.sockets import listening_paths
    from sppr.host.root import privilege  # `sppr status` starts faster without these three
    from sppr.host.root.vm_user import check_socket_owner

    existing = ControlClient(api).ports(server) if server else uids
    for uid, socket in zip(uids, sockets, strict=True):
        if server and uid in existing and not Path(socket).is_socket():
            if os.path.lexists(socket):
                raise HostError(f"{socket}: is not a socket, but {uid} needs one there", hint=f"move {socket} away")
            _recreate_port(ControlClient(api), server, uid)
            continue
        if uid not in existing and not _stopped_listening(socket):
            hint = "sppr status; stop that process, or set vhosts: in conf.yml"
            raise HostError(f"{socket}: another process listens on this socket", hint=hint)
        if uid not in existing and Path(socket).is_socket():
            privilege.remove(Path(socket))
    serve(api, server, uids)
    for socket in sockets:
        # The kernel lists a socket by its path as long as its process listens, even if the file was removed.
        if not deadline.poll(lambda path=socket: path in listening_paths(), 0.02):  # type: ignore[misc]
            raise NotReady(
                f"{socket}: {server or 'the primary'} does not listen on this socket after {deadline.seconds:.0f} s",
                hint=f"see the pane of {server or 'the primary'}, and: sppr status",
            )
        check_socket_owner(Path(socket))
        # Our own programs give the socket to the user right after it listens; programs of upstream SPP do not.
        if not Deadline(1.0).poll(lambda path=socket: os.access(path, os.W_OK), 0.02):  # type: ignore[misc]
            privilege.give_to_user(Path(socket))


def _stopped_listening(socket: str) -> bool:
    """Return whether no process listens on a socket, or stops within 2 s.

    The vhost thread of DPDK polls its sockets for up to a second at a time, and the kernel lists the socket of a port
    that was just deleted until then.
    """
    from sppr.host.process.sockets import listening_paths

    return bool(Deadline(2.0).poll(lambda: socket not in listening_paths(), 0.05))


def _recreate_port(client: ControlClient, server: str, uid: str) -> None:
    """Delete a port and add it again, with its patches.

    ``del`` of a patched port in upstream SPP damages other patches, and stops forwarding (docs/spp-protocol.md,
    Delete). Therefore all patches of an upstream process are reset before it; patches and forwarding are restored after
    it.
    """
    upstream = client.primary_status().get("data_plane") != "sppr"
    status = client.status(server)
    status = status.get("forwarder", {}) if server == "primary" else status
    patches = [patch for patch in status.get("patches", []) if upstream or uid in (patch["src"], patch["dst"])]
    if upstream and patches:
        client.reset_patches(server)
    client.del_port(server, uid)
    client.add_port_verified(server, uid)
    for patch in patches:
        client.patch(server, *(patch[end].replace(" ", "") for end in ("src", "dst")))
    if upstream and status.get("status") == "running":
        client.forward(server)


def serve(api: Address, server: str, uids: Sequence[str]) -> None:
    """Make ``server`` serve these ports. Its existing ports stay as they are. Raise ControlError if it refuses.

    The bring-up and ``run-vm.py`` in the VM's pane both call this at about the same time, so it is no error if the
    other one has just added a port.
    """
    client = ControlClient(api)
    existing = client.ports(server) if server else uids
    for uid in uids:
        if uid in existing:
            continue
        try:
            client.add_port_verified(server, uid)
        except ControlError:
            if uid not in client.ports(server):
                raise
