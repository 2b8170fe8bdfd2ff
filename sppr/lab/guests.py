"""The guests that run, and how each is reached: from the sessions' state on disk, and for a VM started by hand from the
QEMU that runs it."""

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
from sppr.host.process import pids
from sppr.host.process.pids import Proc
from sppr.host.root import vm_user
from sppr.images.store import hostname_note
from sppr.lab.paths import KEY_NAME
from sppr.lab.state import state as states
from sppr.lab.state.status import part_statuses
from sppr.qemu import monitor

_FORWARD = re.compile(r"hostfwd=tcp:127\.0\.0\.1:(\d+)-:22")
_HOST_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NAME = re.compile(r"guest=vm-([rvno])(\d+)")


#: Seconds until a guest's sshd answers, between two tries, and for a banner once QEMU has accepted.
SSHD_SECONDS, SSHD_INTERVAL, SSHD_BANNER = 30.0, 0.2, 5.0


class NoGuest(SpprError):
    """There is no guest of this name, or it cannot be reached now."""


@dataclass(frozen=True)
class Guest:
    """``host``: its host name, as sppr gave it or as it was renamed. ``port``: of its ssh on the host's loopback, 0 for
    none. ``state``: as ``sppr status`` says it; ``running`` of one started by hand. ``pane``: where its console is."""

    id: int
    vm: str
    host: str
    state: str
    port: int
    disk: Path
    qmp: Path
    proc: Proc | None = None
    pane: str | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}" if self.port else "-"

    @property
    def key(self) -> Path:
        """The lab's ssh key: it lies with the templates, over the folder of instances."""
        folder = self.disk.parent.parent if self.disk.parent.name == "img" else self.disk.parent
        return folder / KEY_NAME

    def is_called(self, word: str) -> bool:
        """Exactly, never by a beginning: 1 is not 12."""
        return word in (str(self.id), self.host, self.vm, f"vm-{self.vm}", f"vm_{self.vm}")

    def ssh(self, user: str, *options: str) -> list[str]:
        """ssh up to the address. A VM made anew has a new host key on its old port, so none is kept."""
        if not self.port:
            raise NoGuest(f"{self.host}: has no ssh port", hint=f"its console: sppsh -c {self.id}; or set vm.ssh_port")
        fixed = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=20")
        return [
            "ssh", "-i", str(self.key), "-o", "IdentitiesOnly=yes", "-p", str(self.port),
            *(word for option in fixed for word in ("-o", option)), *options,
            "-l", user, "--", "127.0.0.1",
        ]  # fmt: skip


def guests(session: str) -> list[Guest]:
    """All guests of a session, those that are down too, by id; and those of its run directory that run by hand."""
    try:
        state = states.load(session)
    except states.NoSession:
        return sorted(_by_hand(session, set()), key=lambda guest: guest.id)
    rows = {row.name: row for row in part_statuses(state)}
    found = []
    for part in state.plan.parts:
        if not part.is_vm:
            continue
        row, vm = rows[part.name], part.name.removeprefix("vm_")
        proc = states.process(part.files(state.folder)) if row.pid else None
        disk = Path(part.disk)
        host = renamed(disk) or f"vm-{vm}"
        found.append(Guest(part.id or 0, vm, host, row.state, part.ssh_port, disk, Path(part.qmp), proc, row.pane))
    known = {guest.vm for guest in found if guest.proc}
    others = list(_by_hand(session, known))
    found = [guest for guest in found if guest.vm not in {other.vm for other in others}] + others
    return sorted(found, key=lambda guest: (guest.id, guest.vm))


def _by_hand(session: str, known: set[str]) -> Iterator[Guest]:
    """QEMUs whose QMP socket lies in the session's run directory. Only processes of this user, or of the one that QEMU
    drops to, are believed: anybody can start a process that is called like a guest."""
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
        file = next((m[1] for word in words if (m := re.match(r"file=([^,]+),format=qcow2", word))), "")
        vm, disk = match[1] + match[2], Path(file)
        assert qmp is not None
        host = renamed(disk) or f"vm-{vm}"
        yield Guest(int(match[2]), vm, host, "running", forward, disk, qmp, pids.current(process.pid))


def select(found: Sequence[Guest], word: str) -> list[Guest]:
    """The one guest that is called ``word``, or all that run for ``all``. NoGuest where there is none."""
    chosen = [guest for guest in found if (guest.proc if word == "all" else guest.is_called(word))]
    if not chosen:
        there = ", ".join(f"{guest.id} ({guest.host})" for guest in found) or "none"
        raise NoGuest(f"{word}: no such guest" if word != "all" else "no guest runs", hint=f"there are: {there}")
    if len(chosen) > 1 and word != "all":
        names = ", ".join(guest.host for guest in chosen)
        raise NoGuest(f"{word}: may be {names}", hint=f"say which by its host name: {chosen[0].host}")
    return chosen


def running(guest: Guest) -> Guest:
    """The guest; NoGuest where it does not run."""
    if guest.proc is None:
        raise NoGuest(f"{guest.host}: does not run ({guest.state})", hint="sppr status; sppsh -l")
    return guest


def shut_down(guest: Guest, seconds: float) -> str | None:
    """Power the guest off; how it went: ``powerdown``, or after ``seconds`` ``quit``. None where it still runs."""
    proc = running(guest).proc
    assert proc is not None
    return monitor.shut_down(guest.qmp, proc.alive, Deadline(seconds), Deadline(5))


# --- a host name given by the user: noted beside the disk, in the guest in a file that goes before the host's word ---


def rename_command(name: str) -> str:
    """What sets the host name in a guest, for now and for its next boots."""
    return (
        f"mkdir -p /etc/sppr && echo {name} > /etc/sppr/hostname && echo {name} > /etc/hostname"
        f" && echo {name} > /proc/sys/kernel/hostname"
        f" && sed -i '/^127[.]0[.]1[.]1[[:space:]]/d' /etc/hosts && echo 127.0.1.1 {name} >> /etc/hosts"
    )


def check_new_name(found: Sequence[Guest], guest: Guest, name: str) -> None:
    """ConfigError for a name that no host can have, or that another guest is called by."""
    if _HOST_NAME.fullmatch(name) is None:
        what = f"{name[:80]!r} cannot be a host name"
        raise ConfigError(what, hint="small letters, digits and -, 63 at most; no - at its ends")
    if name == "all" or name.isdigit():
        raise ConfigError(f"{name!r} means something else to sppsh already", hint="choose another name")
    if other := next((one for one in found if one != guest and one.is_called(name)), None):
        raise ConfigError(f"{name!r} is the name of {other.host} (id {other.id})", hint="choose another name")


def note_name(guest: Guest, name: str) -> None:
    atomic_write.write(hostname_note(guest.disk), json.dumps({"hostname": name}) + "\n")


def renamed(disk: Path) -> str | None:
    """The name that a guest was given by ``sppsh --rename``; it goes with its disk."""
    try:
        name = json.loads(hostname_note(disk).read_text())["hostname"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return name if isinstance(name, str) and _HOST_NAME.fullmatch(name) else None


def wait_sshd(guest: Guest, deadline: Deadline) -> None:
    """Wait until the guest's sshd sends its banner. NoGuest where it does not: a guest without sshd, or a slow one.

    A VM counts as ready when its spp_vm is connected, which is before its sshd listens. QEMU accepts a connection to
    the forwarded port all the same, and closes it: ssh then fails with "Connection closed by remote host".
    """
    if guest.port and not deadline.poll(lambda: _has_banner(guest.port), SSHD_INTERVAL):
        what = f"{guest.host}: its sshd did not answer within {deadline.seconds:.0f} s"
        raise NoGuest(what, hint=f"its console: sppsh -c {guest.id}; an image without sshd has no other way in")


def _has_banner(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), SSHD_BANNER) as sock:
            return sock.recv(4) == b"SSH-"
    except OSError:
        return False


def need_key(guest: Guest) -> None:
    """HostError where ssh would ask for a password that nobody has."""
    if not guest.key.exists():
        raise HostError(f"{guest.key}: the lab's ssh key is missing", hint="sppr down, and up again: it is made anew")
