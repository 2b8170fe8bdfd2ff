"""List the guests and how to reach each of them.

The source is the state of a session, and for a VM that was started by hand its QEMU process.
"""

import itertools
import json
import os
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from sppr.deadline import Deadline
from sppr.errors import ConfigError, HostError, SpprError
from sppr.host import atomic_write
from sppr.host.network import bridge
from sppr.host.process import pids
from sppr.host.process.pids import Proc
from sppr.host.root import vm_user
from sppr.images.store import hostname_note
from sppr.lab.paths import KEY_NAME
from sppr.lab.state import state as states
from sppr.lab.state.status import part_statuses
from sppr.qemu import monitor
from sppr.tmux.pane import PaneFiles

#: In the command line of QEMU. A guest that has resumed has them as the notes of file descriptors.
_FORWARD = re.compile(r"(?:hostfwd|opaque)=tcp:127\.0\.0\.1:(\d+)-:22")
_DISK = re.compile(r"(?:file=([^,]+),format=qcow2|fd=\d+,set=1,opaque=(/[^,]+))")
_BRIDGE_MAC = re.compile(r"name=opt/sppr/bridge,string=([0-9a-f:]{17})$")
_HOST_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NAME = re.compile(r"guest=vm-([rvno])(\d+)")
#: The port of the ssh server of a guest on a bridge.
SSH_PORT = 22
#: Time limit in seconds until the sshd of a guest answers; interval of the attempts; time limit of one attempt.
SSHD_SECONDS, SSHD_INTERVAL, SSHD_BANNER = 30.0, 0.2, 5.0


class NoGuest(SpprError):
    """No guest has this name, or it cannot be reached now."""


@dataclass(frozen=True)
class Guest:
    """A guest.

    ``id``, ``vm``: id and kind of the VM, such as 11 and ``v11``.
    ``host``: its host name, as assigned by sppr or by the user.
    ``state``: the state in ``sppr status``; ``running`` if it was started by hand.
    ``port``: the port of its ssh on the loopback address of the host, or at its ``link_local`` address; 0: none.
    ``link_local``: the IPv6 address of a guest on a bridge, with the bridge: ``fe80::1%br0``.
    ``disk``, ``qmp``: its disk image and its QMP socket.
    ``proc``: its QEMU process; None: it does not run. ``pane``: the tmux pane with its console.
    """

    id: int
    vm: str
    host: str
    state: str
    port: int
    disk: Path
    qmp: Path
    proc: Proc | None = None
    pane: str | None = None
    link_local: str = ""

    @property
    def address(self) -> str:
        """Return the address of its ssh, or ``-``."""
        if self.link_local:
            return self.link_local
        return f"127.0.0.1:{self.port}" if self.port else "-"

    @property
    def ssh_host(self) -> str:
        """Return the host part of the address of its ssh."""
        return self.link_local or "127.0.0.1"

    @property
    def key(self) -> Path:
        """Return the ssh key of the lab. It is in the folder of the templates, the parent of that of the instances."""
        folder = self.disk.parent.parent if self.disk.parent.name == "img" else self.disk.parent
        return folder / KEY_NAME

    def has_name(self, word: str) -> bool:
        """Return whether ``word`` is the id or a name of the guest. A prefix does not match: 1 is not 12."""
        return word in (str(self.id), self.host, self.vm, f"vm-{self.vm}", f"vm_{self.vm}")

    def ssh(self, user: str, *options: str) -> list[str]:
        """Return the ssh command line up to the address. Raise NoGuest if the guest has no ssh port.

        Host keys are not stored, because a recreated VM has a new host key on the same port.
        """
        if not self.port:
            hint = f"open its console: sppsh -c {self.id}; or set vm.ssh_port"
            raise NoGuest(f"{self.host}: has no ssh port", hint=hint)
        fixed = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=20")
        return [
            "ssh", "-i", str(self.key), "-o", "IdentitiesOnly=yes", "-p", str(self.port),
            *(word for option in fixed for word in ("-o", option)), *options,
            "-l", user, "--", self.ssh_host,
        ]  # fmt: skip


def guests(session: str) -> list[Guest]:
    """Return all guests of a session, sorted by id, including stopped guests and guests that were started by hand."""
    try:
        state = states.load(session)
    except states.NoSession:
        return sorted(_started_by_hand(session, set()), key=lambda guest: guest.id)
    rows = {row.name: row for row in part_statuses(state)}
    found = []
    for part in state.plan.parts:
        if not part.is_vm:
            continue
        row, vm = rows[part.name], part.name.removeprefix("vm_")
        proc = states.process(part.files(state.folder)) if row.pid else None
        disk = Path(part.disk)
        host = given_name(disk) or f"vm-{vm}"
        port = SSH_PORT if part.ssh_address else part.ssh_port
        address = part.ssh_address
        found.append(Guest(part.id or 0, vm, host, row.state, port, disk, Path(part.qmp), proc, row.pane, address))
    known = {guest.vm for guest in found if guest.proc}
    others = list(_started_by_hand(session, known))
    found = [guest for guest in found if guest.vm not in {other.vm for other in others}] + others
    return sorted(found, key=lambda guest: (guest.id, guest.vm))


def _started_by_hand(session: str, known: set[str]) -> Iterator[Guest]:
    """Yield the guests whose QMP socket is in the run directory of the session, except those in ``known``.

    Only QEMU processes of this user, or of the user that QEMU changes to, count: any user can start a process with the
    name of a guest.
    """
    run, user = states.folder_of(session), vm_user.find()
    trusted = {os.getuid(), *([user.pw_uid] if user else [])}
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if process.uids().real not in trusted:
                continue
        except psutil.Error:
            continue
        match = next((m for a, b in itertools.pairwise(words) if a == "-name" and (m := _NAME.match(b))), None)
        qmp = run / f"vm_{match[1]}{match[2]}.qmp" if match else None
        if match is None or match[1] + match[2] in known or not any(f"path={qmp}" in word for word in words):
            continue
        forward = next((int(m[1]) for word in words if (m := _FORWARD.search(word))), 0)
        file = next((m[1] or m[2] for word in words if (m := _DISK.match(word))), "")
        mac = next((m[1] for word in words if (m := _BRIDGE_MAC.search(word))), "")
        vm, disk = match[1] + match[2], Path(file)
        assert qmp is not None
        host = given_name(disk) or f"vm-{vm}"
        name = bridge.bridge_of(bridge.tap_name(run, vm)) if mac else ""
        address = bridge.Tap(name, "", mac).address if name else ""
        port, proc = SSH_PORT if address else forward, pids.current(process.pid)
        yield Guest(int(match[2]), vm, host, "running", port, disk, qmp, proc, link_local=address)


def select(found: Sequence[Guest], word: str) -> list[Guest]:
    """Return the guest with this id or name, or all running guests for ``all``.

    Raise NoGuest if there is none, or if the name is ambiguous.
    """
    selected = [guest for guest in found if (guest.proc if word == "all" else guest.has_name(word))]
    if not selected:
        listed = ", ".join(f"{guest.id} ({guest.host})" for guest in found) or "none"
        raise NoGuest(f"{word}: no such guest" if word != "all" else "no guest runs", hint=f"guests: {listed}")
    if len(selected) > 1 and word != "all":
        names = ", ".join(guest.host for guest in selected)
        raise NoGuest(f"{word}: ambiguous, it is the id of {names}", hint=f"use a host name: {selected[0].host}")
    return selected


def require_running(guest: Guest) -> Guest:
    """Return the guest. Raise NoGuest if it does not run."""
    if guest.proc is None:
        raise NoGuest(f"{guest.host}: does not run ({guest.state})", hint="sppr status; sppsh -l")
    return guest


def shut_down(guest: Guest, seconds: float) -> str | None:
    """Power the guest off, and return how: ``powerdown``, or ``quit`` after ``seconds``. None: it still runs.

    Raise NoGuest if it does not run.
    """
    proc = require_running(guest).proc
    assert proc is not None
    how = monitor.shut_down(guest.qmp, proc.alive, Deadline(seconds), Deadline(5))
    if how is not None and guest.pane is not None:
        states.recorded_exit(PaneFiles(guest.qmp.parent, guest.qmp.stem))
    return how


# --- A host name set by the user. It is recorded beside the disk, and in a file of the guest that takes precedence. ---


def rename_command(name: str) -> str:
    """Return the command line that sets the host name in a guest, now and for its next boots."""
    return (
        f"mkdir -p /etc/sppr && echo {name} > /etc/sppr/hostname && echo {name} > /etc/hostname"
        f" && echo {name} > /proc/sys/kernel/hostname"
        f" && sed -i '/^127[.]0[.]1[.]1[[:space:]]/d' /etc/hosts && echo 127.0.1.1 {name} >> /etc/hosts"
    )


def check_new_name(found: Sequence[Guest], guest: Guest, name: str) -> None:
    """Raise ConfigError for an invalid host name, and for a name that sppsh reserves or another guest has."""
    if _HOST_NAME.fullmatch(name) is None:
        what = f"{name[:80]!r} cannot be a host name"
        raise ConfigError(what, hint="use lower-case letters, digits and -, at most 63, with no - at the ends")
    if name == "all" or name.isdigit():
        raise ConfigError(f"{name!r} is reserved: sppsh takes numbers as ids, and all", hint="choose another name")
    if other := next((g for g in found if g != guest and g.has_name(name)), None):
        raise ConfigError(f"{name!r} is the name of {other.host} (id {other.id})", hint="choose another name")


def record_name(guest: Guest, name: str) -> None:
    """Record the host name beside the disk of the guest."""
    atomic_write.write(hostname_note(guest.disk), json.dumps({"hostname": name}) + "\n")


def given_name(disk: Path) -> str | None:
    """Return the host name that ``sppsh --rename`` recorded beside this disk, or None."""
    try:
        name = json.loads(hostname_note(disk).read_text())["hostname"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return name if isinstance(name, str) and _HOST_NAME.fullmatch(name) else None


def wait_sshd(guest: Guest, deadline: Deadline) -> None:
    """Wait until the guest's sshd sends its banner. Raise NoGuest if it does not: it is slow, or the guest has no sshd.

    A VM counts as ready when its spp_vm is connected, which is before its sshd listens. QEMU accepts a connection to
    the forwarded port even then, and closes it, so that ssh fails with "Connection closed by remote host".
    """
    if guest.port and not deadline.poll(lambda: _has_banner(guest), SSHD_INTERVAL):
        what = f"{guest.host}: its sshd did not answer within {deadline.seconds:.0f} s"
        raise NoGuest(what, hint=f"open its console: sppsh -c {guest.id}   (the only access without sshd)")


def _has_banner(guest: Guest) -> bool:
    try:
        with socket.create_connection((guest.ssh_host, guest.port), SSHD_BANNER) as sock:
            return sock.recv(4) == b"SSH-"
    except OSError:
        return False


def check_key(guest: Guest) -> None:
    """Raise HostError if the ssh key of the lab is missing. ssh would ask for a password, which no guest has."""
    if not guest.key.exists():
        raise HostError(f"{guest.key}: the lab's ssh key is missing", hint="sppr down, then sppr up creates a new one")
