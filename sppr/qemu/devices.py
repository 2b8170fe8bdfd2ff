"""The devices of a virtual machine. Each device returns its own QEMU arguments; ``argv`` joins them to a command line.

Nothing here reads or changes the machine, except ``has_seccomp`` and ``is_9_2``. Quirks that were measured with QEMU
7.2 are documented at the device.
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


class Device(Protocol):
    """A device of the machine, with QEMU arguments."""

    def argv(self) -> list[str]:
        """Return the QEMU arguments."""


@dataclass(frozen=True)
class Machine:
    """The machine without disks and NICs.

    ``name``: name of the guest, shown in the process list.
    ``memory``: in MiB. The memory is a memfd: it needs no mount, and it can never fill a regular file by mistake. It is
        always shared: without share=on, a vhost-user link comes up but carries no frames, and nothing reports an error.
    ``cores``: number of virtual CPUs.
    ``accel``: ``kvm`` or ``tcg``.
    ``graphic``: whether QEMU opens a window with a VGA display.
    ``memory_file``: a file with the memory of a saved state, to be used instead of a memfd. ``shared``: whether the
        guest writes to that file; otherwise its writes stay in QEMU.
    """

    name: str
    memory: int
    cores: int
    accel: Accel
    graphic: bool = False
    memory_file: Path | None = None
    shared: bool = True

    def argv(self) -> list[str]:
        """Return the QEMU arguments."""
        accel = opts("tcg", thread="multi", tb_size=64) if self.accel == "tcg" else "kvm"
        size = f"{self.memory}M"
        if self.memory_file is None:
            memory = opts("memory-backend-memfd", id="mem", size=size, share=True)
        else:
            memory = opts("memory-backend-file", id="mem", size=size, mem_path=self.memory_file, share=self.shared)
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
            "-object", memory,
            "-machine", opts("pc", memory_backend="mem"),
        ]  # fmt: skip


@dataclass(frozen=True)
class Confinement:
    """What QEMU is allowed to do once its files are open.

    ``run_as``: the user that QEMU drops to; empty to keep the user.
    ``sandbox``: whether this QEMU supports seccomp.
    ``spawn``: whether QEMU may start programs, which a bridge or a tap with a script needs.

    QEMU installs the filter before it drops to the user. With ``run_as``, the filter therefore cannot deny setuid: QEMU
    7.2 would die of SIGSYS. That is safe, because a process of an unprivileged user has no capability to gain and can
    start no program.
    """

    run_as: str = ""
    sandbox: bool = False
    spawn: bool = False
    #: It has ``-run-with user=``. QEMU 10 no longer has ``-runas``.
    qemu_9_2: bool = False

    def argv(self) -> list[str]:
        """Return the QEMU arguments."""
        elevate = None if self.run_as or self.spawn else "deny"
        spawn = None if self.spawn else "deny"
        rules = opts("on", obsolete="deny", elevateprivileges=elevate, spawn=spawn, resourcecontrol="deny")
        user = ("-run-with", opts(user=self.run_as)) if self.qemu_9_2 else ("-runas", self.run_as)
        return [*(("-sandbox", rules) if self.sandbox else ()), *(user if self.run_as else ())]


UNCONFINED = Confinement()


def starts_programs(words: Sequence[str]) -> bool:
    """Return whether QEMU starts a helper or a script for these arguments: for a bridge, or for a tap without
    script=no."""
    values = [b for a, b in itertools.pairwise(words) if a in ("-netdev", "-nic", "-net")]
    return any(v.startswith("bridge") or (v.startswith("tap") and "script=no" not in v) for v in values)


def has_seccomp(program: str | None) -> bool:
    """Return whether this QEMU is linked to libseccomp. Without it, ``-sandbox`` is an error."""
    return _contains(program, b"libseccomp.so")


def is_9_2(program: str | None) -> bool:
    """Return whether this is QEMU 9.2 or later. It has ``reconnect-ms`` of a socket, and QEMU 11 has only that."""
    return _contains(program, b"reconnect-ms")


def _contains(program: str | None, text: bytes) -> bool:
    """Search the file. For a text that it does not have, that takes 11 ms (QEMU 7.2); asking QEMU takes 20 ms."""
    try:
        with Path(program or "").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(text) >= 0
    except (OSError, ValueError):
        return False


@dataclass(frozen=True)
class Disk:
    """The disk of the VM, a virtio-blk device.

    ``report_full``: whether the guest gets an I/O error when the host has no space for a write. By default QEMU pauses
    the guest, without a message, until there is space.
    """

    path: Path
    format: str = "qcow2"
    report_full: bool = False

    def argv(self) -> list[str]:
        """Return the QEMU arguments."""
        werror = "report" if self.report_full else None
        disk = opts(file=self.path, format=self.format, if_="virtio", cache="writeback", discard="unmap", werror=werror)
        return ["-drive", disk]


@dataclass(frozen=True)
class RandomNumbers:
    """The virtio random number generator. ``addr``: its slot of the PCI bus; empty for any."""

    addr: str = ""

    def argv(self) -> list[str]:
        """Return the QEMU arguments."""
        source = opts("rng-random", id="rng", filename="/dev/urandom")
        return ["-object", source, "-device", opts("virtio-rng-pci", id="rng0", rng="rng", addr=self.addr or None)]


@dataclass(frozen=True)
class Files:
    """A second, read-only disk (/dev/vdb): a tar archive with files for the guest."""

    path: Path

    def argv(self) -> list[str]:
        """Return the QEMU arguments."""
        return ["-drive", opts(file=self.path, format="raw", if_="virtio", readonly=True)]


@dataclass(frozen=True)
class Terminal:
    """The serial port on QEMU's terminal, without a monitor. QEMU exits when the guest reboots."""

    def argv(self) -> list[str]:
        """Return the QEMU arguments."""
        return ["-serial", "stdio", "-no-reboot"]


@dataclass(frozen=True)
class Console:
    """The serial port on QEMU's terminal. Ctrl-C goes to the guest, Ctrl-A x ends QEMU, Ctrl-A c switches to its
    monitor.

    ``log``: file for the output of the guest; the caller empties it before QEMU starts. QEMU appends, so the log can be
    truncated while the guest runs (``rotation.py``).
    """

    log: Path

    def argv(self) -> list[str]:
        """Return the QEMU arguments."""
        return [
            "-chardev", opts("stdio", id="con", mux=True, signal=False, logfile=self.log, logappend=True),
            "-serial", "chardev:con",
            "-mon", opts(chardev="con", mode="readline"),
        ]  # fmt: skip


@dataclass(frozen=True)
class Monitor:
    """QMP on a unix socket. The socket is in the run directory, which only its user may enter."""

    socket: Path

    def argv(self) -> list[str]:
        """Return the QEMU arguments."""
        return [
            "-chardev", opts("socket", id="qmp", path=self.socket, server=True, wait=False),
            "-mon", opts(chardev="qmp", mode="control"),
        ]  # fmt: skip


@dataclass(frozen=True)
class FwCfg:
    """A value that the guest reads below /sys/firmware/qemu_fw_cfg/by_name/opt/sppr/. A guest gets its identity this
    way, without a change of its image."""

    name: str
    value: str | Path

    def argv(self) -> list[str]:
        """Return the QEMU arguments."""
        source = {"file": self.value} if isinstance(self.value, Path) else {"string": self.value}
        return ["-fw_cfg", opts(name=f"opt/sppr/{self.name}", **source)]


@dataclass(frozen=True)
class Extra:
    """The user's own arguments (``vm.args``). They come last."""

    words: tuple[str, ...]

    def argv(self) -> list[str]:
        """Return the QEMU arguments. Raise ConfigError for an option that sppr sets itself."""
        for word in self.words:
            if word in _SET_BY_SPPR:
                raise ConfigError(f"vm.args: sppr sets {word} itself", hint=_SET_BY_SPPR[word])
        return list(self.words)


_SET_BY_SPPR = {
    "-m": "set vm.memory in conf.yml instead",
    "-smp": "set vm.cores in conf.yml instead",
    "-accel": "set vm.accel in conf.yml instead",
    "-enable-kvm": "set vm.accel in conf.yml instead",
    "-machine": "remove it: the machine is pc with shared memory, the only one that vhost-user was tested with",
    "-M": "remove it: the machine is pc with shared memory",
    "-name": "remove it: the name contains the id of the VM",
    "-nographic": "remove it: the console is already in the pane",
    "-serial": "remove it: the console is already in the pane",
    "-daemonize": "remove it: QEMU must stay the process of its pane",
    "-sandbox": "remove it: the sandbox is already on",
    "-runas": "remove it: in a lab of root, VMs run as user sppr-vm",
    "-snapshot": "remove it, and delete runscripts/img/<instance> for a fresh disk",
    "-nodefaults": "remove it: it is already set",
    "-display": "remove it: the console is already in the pane",
}


def argv(program: str, devices: Sequence[Device]) -> list[str]:
    """Return the command line of a machine with these devices."""
    return [program, *(word for device in devices for word in device.argv())]


Value = str | int | bool | PathLike[str]


def opts(*words: str, **values: Value | None) -> str:
    """Return an option string: ``opts("socket", id="c0", path=p)`` becomes ``socket,id=c0,path=…``.

    True becomes ``on``, False ``off``; None is omitted. A ``_`` at the end of a name is dropped, and any other becomes
    ``-``: ``if_`` is ``if``, ``memory_backend`` is ``memory-backend``.
    """
    pieces = [_escape(word) for word in words]
    for name, value in values.items():
        if value is None:
            continue
        text = ("on" if value else "off") if isinstance(value, bool) else str(value)
        pieces.append(f"{name.rstrip('_').replace('_', '-')}={_escape(text)}")
    return ",".join(pieces)


def _escape(text: str) -> str:
    return text.replace(",", ",,")
