"""What a VM is made of. Each part renders its own QEMU arguments; ``argv`` of a machine is their sum.

Rendering is pure. Measured quirks of QEMU 7.2 stand where they matter.
"""

import itertools
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal, Protocol

from sppr.errors import ConfigError

QEMU = "qemu-system-x86_64"
Accel = Literal["kvm", "tcg"]


class Part(Protocol):
    """Anything that renders QEMU arguments."""

    def argv(self) -> list[str]: ...


@dataclass(frozen=True)
class Machine:
    """The bare machine. ``memory`` in MiB, always shared: without share=on a vhost-user link comes up and carries
    nothing, with no message. memfd needs no mount, and never fills a regular file by mistake."""

    name: str
    memory: int
    cores: int
    accel: Accel
    graphic: bool = False

    def argv(self) -> list[str]:
        accel = opts("tcg", thread="multi", tb_size=64) if self.accel == "tcg" else "kvm"
        return [
            "-name", opts(guest=self.name),
            "-nodefaults",
            "-no-user-config",
            "-display", "gtk" if self.graphic else "none",
            *(("-vga", "std") if self.graphic else ()),
            "-accel", accel,
            "-cpu", "host" if self.accel == "kvm" else "max",
            "-smp", str(self.cores),
            "-m", f"{self.memory}M",
            "-object", opts("memory-backend-memfd", id="mem", size=f"{self.memory}M", share=True),
            "-machine", opts("pc", memory_backend="mem"),
            "-object", opts("rng-random", id="rng", filename="/dev/urandom"),
            "-device", opts("virtio-rng-pci", rng="rng"),
        ]  # fmt: skip


@dataclass(frozen=True)
class Confinement:
    """What QEMU may do once its files are open. ``run_as``: the user it drops to, empty to stay as it is. ``sandbox``:
    whether this QEMU has seccomp. ``spawn``: it may start programs, which a bridge or a tap with a script wants.

    The filter is installed before QEMU drops to the user, so with ``run_as`` it cannot deny setuid: QEMU 7.2 then dies
    of SIGSYS. A process of another user than root has no capability to gain by it, and can start no program.
    """

    run_as: str = ""
    sandbox: bool = False
    spawn: bool = False
    #: It has ``-run-with user=``. QEMU 10 no longer has ``-runas``.
    qemu_9_2: bool = False

    def argv(self) -> list[str]:
        elevate = None if self.run_as or self.spawn else "deny"
        spawn = None if self.spawn else "deny"
        rules = opts("on", obsolete="deny", elevateprivileges=elevate, spawn=spawn, resourcecontrol="deny")
        user = ("-run-with", opts(user=self.run_as)) if self.qemu_9_2 else ("-runas", self.run_as)
        return [*(("-sandbox", rules) if self.sandbox else ()), *(user if self.run_as else ())]


UNCONFINED = Confinement()


def starts_programs(words: Sequence[str]) -> bool:
    """Return whether QEMU starts a helper or a script for these arguments: a bridge, or a tap without script=no."""
    values = [b for a, b in itertools.pairwise(words) if a in ("-netdev", "-nic", "-net")]
    return any(v.startswith("bridge") or (v.startswith("tap") and "script=no" not in v) for v in values)


def has_seccomp(program: str | None) -> bool:
    """Return whether this QEMU is linked to libseccomp: without it ``-sandbox`` is an error."""
    return _contains(program, b"libseccomp.so")


def is_9_2(program: str | None) -> bool:
    """Return whether this is QEMU 9.2 or later. It has ``reconnect-ms`` of a socket, and QEMU 11 has only that."""
    return _contains(program, b"reconnect-ms")


def _reconnect(qemu_9_2: bool) -> dict[str, int]:
    return {"reconnect_ms": 1000} if qemu_9_2 else {"reconnect": 1}


def _contains(program: str | None, text: bytes) -> bool:
    """Search the file: that takes 9 ms at most, and asking QEMU takes 50 ms."""
    try:
        with Path(program or "").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(text) >= 0
    except (OSError, ValueError):
        return False


@dataclass(frozen=True)
class Disk:
    """The VM's disk, a virtio-blk one. ``report_full``: a write that the host has no space for is an I/O error in the
    guest. By default QEMU pauses the guest without a word, until space is free again."""

    path: Path
    format: str = "qcow2"
    report_full: bool = False

    def argv(self) -> list[str]:
        werror = "report" if self.report_full else None
        disk = opts(file=self.path, format=self.format, if_="virtio", cache="writeback", discard="unmap", werror=werror)
        return ["-drive", disk]


@dataclass(frozen=True)
class Files:
    """A second disk that the guest can only read, /dev/vdb: a tar of files for it."""

    path: Path

    def argv(self) -> list[str]:
        return ["-drive", opts(file=self.path, format="raw", if_="virtio", readonly=True)]


@dataclass(frozen=True)
class Terminal:
    """The serial line alone on QEMU's own terminal; a guest that reboots ends QEMU."""

    def argv(self) -> list[str]:
        return ["-serial", "stdio", "-no-reboot"]


@dataclass(frozen=True)
class Console:
    """The serial port on QEMU's own terminal: Ctrl-C goes to the guest, Ctrl-A x ends QEMU, Ctrl-A c is its monitor.

    ``log`` keeps what the guest printed; the caller empties it before QEMU starts. QEMU appends, so that the log can
    be cut while the guest runs (``rotation.py``).
    """

    log: Path

    def argv(self) -> list[str]:
        return [
            "-chardev", opts("stdio", id="con", mux=True, signal=False, logfile=self.log, logappend=True),
            "-serial", "chardev:con",
            "-mon", opts(chardev="con", mode="readline"),
        ]  # fmt: skip


@dataclass(frozen=True)
class Monitor:
    """QMP on a socket in the run directory, which only its user may enter."""

    socket: Path

    def argv(self) -> list[str]:
        return [
            "-chardev", opts("socket", id="qmp", path=self.socket, server=True, wait=False),
            "-mon", opts(chardev="qmp", mode="control"),
        ]  # fmt: skip


#: Where a guest finds its controller: an address of the user network that QEMU forwards to ManagementNic.controller.
GUEST_CONTROLLER = "10.0.2.100"


@dataclass(frozen=True)
class ManagementNic:
    """User-mode network (no root): 10.0.2.15 in the guest, its ssh on ``ssh_port`` of the host's loopback.

    ``restrict=on``: the guest reaches nothing of the host and no other machine. Without it QEMU's user network connects
    10.0.2.2 to every service on the host's loopback. One address is forwarded: GUEST_CONTROLLER, at the port of
    ``controller``, to the controller's unix socket of VMs, or of SPP's own controllers to their port.
    """

    mac: str
    ssh_port: int
    index: int = 0
    controller: tuple[Path | str, int] | None = None
    qemu_9_2: bool = False

    def argv(self) -> list[str]:
        name = f"mgmt{self.index or ''}"
        hostfwd = f"tcp:127.0.0.1:{self.ssh_port}-:22" if self.ssh_port else None
        guestfwd, words = None, []
        if self.controller is not None:
            where, port = self.controller
            place = {"path": where} if isinstance(where, Path) else {"host": where, "port": port}
            words = ["-chardev", opts("socket", id="control", **_reconnect(self.qemu_9_2), **place)]
            guestfwd = f"tcp:{GUEST_CONTROLLER}:{port}-chardev:control"
        return [
            *words,
            "-netdev", opts("user", id=name, ipv6=False, restrict=True, hostfwd=hostfwd, guestfwd=guestfwd),
            "-device", opts("virtio-net-pci", netdev=name, mac=self.mac, romfile="", vectors=0),
        ]  # fmt: skip


@dataclass(frozen=True)
class OutsideNic:
    """A NIC that reaches other machines through passt (``qemu/passt.py``), which is connected to ``fd``.

    Of the host's loopback it reaches nothing. QEMU's own user network has no option for that.
    """

    mac: str
    fd: int

    def argv(self) -> list[str]:
        return [
            "-netdev", f"stream,id=outside,server=off,addr.type=fd,addr.str={self.fd}",
            "-device", opts("virtio-net-pci", netdev="outside", mac=self.mac, romfile="", vectors=0),
        ]  # fmt: skip


@dataclass(frozen=True)
class VhostUserNic:
    """Virtio NIC behind a vhost-user socket. The other side must listen first, unless QEMU itself ``makes_socket``;
    guest memory must be shared.

    ``reconnect=1``: the guest is back 1-2 s after the process on the other side was. ``vectors=0`` under TCG:
    QEMU 7.2 with TCG, vhost-user and MSI-X dies with SIGSEGV as soon as the guest's driver starts the device.
    ``server``: QEMU makes the socket, and does not wait until the other side (SPP's ``--vhost-client``) connects.
    """

    index: int
    socket: Path
    mac: str
    accel: Accel
    makes_socket: bool = False
    qemu_9_2: bool = False

    def argv(self) -> list[str]:
        n = self.index
        vectors = 0 if self.accel == "tcg" else None
        if self.makes_socket:
            chardev = opts("socket", id=f"chr{n}", path=self.socket, server=True, wait=False)
        else:
            chardev = opts("socket", id=f"chr{n}", path=self.socket, **_reconnect(self.qemu_9_2))
        return [
            "-chardev", chardev,
            "-netdev", opts("vhost-user", id=f"net{n}", chardev=f"chr{n}"),
            "-device", opts("virtio-net-pci", netdev=f"net{n}", mac=self.mac, romfile="", vectors=vectors),
        ]  # fmt: skip


@dataclass(frozen=True)
class IvshmemPlain:
    """Memory that the guest shares with the host's data plane, and nothing else of it: ``ring:<index>`` of spp_vm.

    The file must be there in its full size: a shorter one QEMU refuses, a missing one it would make with a mode of its
    own. ``size`` in MiB; QEMU aborts where it is no power of two.
    """

    index: int
    path: Path
    size: int = 4

    def argv(self) -> list[str]:
        n = self.index
        return [
            "-object", opts("memory-backend-file", id=f"iv{n}", size=f"{self.size}M", mem_path=self.path, share=True),
            "-device", opts("ivshmem-plain", memdev=f"iv{n}"),
        ]  # fmt: skip


@dataclass(frozen=True)
class FwCfg:
    """A value for the guest, which reads it below /sys/firmware/qemu_fw_cfg/by_name/opt/sppr/: its identity, without
    an edit of the image."""

    name: str
    value: str | Path

    def argv(self) -> list[str]:
        source = {"file": self.value} if isinstance(self.value, Path) else {"string": self.value}
        return ["-fw_cfg", opts(name=f"opt/sppr/{self.name}", **source)]


@dataclass(frozen=True)
class Extra:
    """The user's own arguments. They go last, and may not repeat an option that decides what a part needs."""

    words: tuple[str, ...]

    def argv(self) -> list[str]:
        for word in self.words:
            if word in _OURS:
                raise ConfigError(f"vm args: {word} is set by sppr already", hint=f"use {_OURS[word]} in conf.yml")
        return list(self.words)


_OURS = {
    "-m": "vm.memory",
    "-smp": "vm.cores",
    "-accel": "vm.accel",
    "-enable-kvm": "vm.accel",
    "-machine": "another machine by hand: pc with shared memory is what vhost-user is tried on, and nothing",
    "-M": "nothing: the machine is pc with shared memory",
    "-name": "the VM's id",
    "-nographic": "nothing: the console is in the pane already",
    "-serial": "nothing: the console is in the pane already",
    "-daemonize": "nothing: QEMU is the process of its pane",
    "-sandbox": "nothing: it is on already",
    "-runas": "nothing: VMs of root's labs run as user sppr-vm",
    "-snapshot": "an instance of its own: remove runscripts/img/<instance> to start anew",
    "-nodefaults": "nothing: it is given already",
    "-display": "nothing: the console is in the pane already",
}


def argv(program: str, parts: Sequence[Part]) -> list[str]:
    """The command line of a machine made of ``parts``."""
    return [program, *(word for part in parts for word in part.argv())]


Value = str | int | bool | PathLike[str]


def opts(*words: str, **values: Value | None) -> str:
    """``opts("socket", id="c0", path=p)`` -> ``socket,id=c0,path=…``. True is ``on``, False ``off``, None left out.

    A trailing or doubled ``_`` in a name keeps Python happy: ``if_`` is ``if``, ``memory_backend`` is
    ``memory-backend``.
    """
    parts = [_escape(word) for word in words]
    for name, value in values.items():
        if value is None:
            continue
        text = ("on" if value else "off") if isinstance(value, bool) else str(value)
        parts.append(f"{name.rstrip('_').replace('_', '-')}={_escape(text)}")
    return ",".join(parts)


def _escape(text: str) -> str:
    return text.replace(",", ",,")
