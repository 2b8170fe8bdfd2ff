"""Create, record and remove the network namespaces for the ends of chains, and move TAP interfaces into them.

spp_primary moves its TAP interfaces by itself each time it starts, according to the file ``tap-ends``
(docs/dataplane.md). This module moves the TAP interfaces of a primary that runs already.
"""

import contextlib
import errno
import fcntl
import json
import os
import socket
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sppr.errors import HostError, LaunchError
from sppr.host import atomic_write
from sppr.host.network import netns, packet_socket
from sppr.lab.state import state as states
from sppr.spp import names

if TYPE_CHECKING:
    from sppr.lab.chains.wiring import TapEnd
    from sppr.lab.plan.plan import Plan

_SIOCGIFADDR, _SIOCGIFNETMASK = 0x8915, 0x891B
#: Name of the file for spp_primary. Each line has the interface, the namespace and the address of an end.
FILE = "tap-ends"
#: Name of the record of the namespaces that this session created: creation time by name.
_RECORD = "netns.json"
#: Stands for the creation time while a namespace is being created.
PENDING = 0


def name_of(plan: "Plan", end: "TapEnd") -> str:
    """Return the name of an end's namespace: ``spp-client``."""
    return f"{plan.session}-{end.netns}"


def check(plan: "Plan") -> None:
    """Raise HostError if a namespace exists that this lab would create, but did not."""
    for end in plan.wiring.ends:
        name = name_of(plan, end)
        created = netns.created_at(name)
        if created is not None and _recorded(Path(plan.run)).get(name) not in (created, PENDING):
            which = f"{end.port} of chain {end.chain}"
            what = f"network namespace {name}: exists already, and does not belong to this lab ({which})"
            raise HostError(what, hint=f"ip netns delete {name}   or set another netns: for the end in conf.yml")


def prepare(plan: "Plan") -> list[str]:
    """Create missing namespaces, correct addresses, and write the file for spp_primary. Return a line for each change.

    A TAP interface that conf.yml no longer assigns to its namespace is moved back to the host's namespace. ``move``
    moves it to its new namespace. Raise HostError as ``check`` does.
    """
    check(plan)
    folder = Path(plan.run)
    recorded = _recorded(folder)
    done = []
    for name in [name for end in plan.wiring.ends if netns.created_at(name := name_of(plan, end)) is None]:
        recorded[name] = PENDING  # so that the namespace belongs to this lab even if this process is killed here
        _record(folder, recorded)
        recorded[name] = netns.create(name)
        _record(folder, recorded)
        done.append(f"namespace {name} created")
    before, ends = _read_file(folder), {end.interface: end for end in plan.wiring.ends}
    for interface, (space, address) in before.items() if _primary_runs(plan) else ():
        end = ends.get(interface)
        with contextlib.suppress(LaunchError):  # the interface is gone; the primary creates it at its next start
            if end is None or name_of(plan, end) != space:
                netns.move_out(interface, space)
                done.append(f"{interface} is back in the host's namespace")
            elif address != end.address or _address_differs(end, space):
                netns.set_address(interface, space, end.address or None)
                done.append(f"{end.port} ({interface}) has {f'address {end.address}' if end.address else 'no address'}")
    lines = [f"{end.interface} {name_of(plan, end)} {end.address or '-'}\n" for end in plan.wiring.ends]
    if lines or before:
        atomic_write.write(folder / FILE, "".join(lines))
    return done


def _read_file(folder: Path) -> dict[str, tuple[str, str]]:
    """Return the content of the file for spp_primary: namespace and address by interface."""
    try:
        lines = [line.split() for line in (folder / FILE).read_text().splitlines()]
    except OSError:
        return {}
    return {line[0]: (line[1], line[2].removeprefix("-")) for line in lines if len(line) == 3}


def _primary_runs(plan: "Plan") -> bool:
    """Return whether the primary runs here. In a lab over several hosts, each primary runs elsewhere."""
    part = next((part for part in plan.parts if part.role == "primary" and not part.host), None)
    primary = states.process(part.files(Path(plan.run))) if part else None
    return primary is not None and primary.alive()


def move(plan: "Plan") -> list[str]:
    """Move TAP interfaces out of the host's namespace, and remove the namespaces that no chain uses any more.

    Return a line for each change.
    """
    used = {name_of(plan, end) for end in plan.wiring.ends}
    done = [f"namespace {name} removed" for name in remove(Path(plan.run), used, taps(plan))]
    for end in outside(plan):
        name = name_of(plan, end)
        netns.move_in(end.interface, name, end.address)
        done.append(f"{end.port} ({end.interface}) is in namespace {name}")
    return done


def taps(plan: "Plan") -> list[str]:
    """Return the TAP interfaces of the primary."""
    return list(names.tap_interfaces(plan.part("pri").program).values())


def outside(plan: "Plan") -> list["TapEnd"]:
    """Return the ends whose TAP interface is in the host's namespace.

    If the primary does not run, or its TAP interface is in its namespace, an interface with this name in the host's
    namespace belongs to another lab.
    """
    if not _primary_runs(plan):
        return []
    existing = [end for end in plan.wiring.ends if (Path("/sys/class/net") / end.interface).exists()]
    return [end for end in existing if os.geteuid() != 0 or not _is_inside(end.interface, name_of(plan, end))]


def faults(plan: "Plan") -> dict[str, list[str]]:
    """Return the faults at the ends of each chain that has any.

    Some faults are visible to root only, because only root may enter a namespace.
    """
    found: dict[str, list[str]] = {}
    left = outside(plan)
    for end in plan.wiring.ends:
        name = name_of(plan, end)
        if netns.created_at(name) is None:
            fault = f"namespace {name} of {end.port} is gone: sppr chain apply, then sppr restart pri"
        elif end in left:
            fault = f"{end.port} is not in namespace {name}: sppr chain apply"
        elif os.geteuid() == 0 and not _is_inside(end.interface, name):
            fault = f"{end.port} is gone from namespace {name}: sppr restart pri"
        elif _address_differs(end, name):
            fault = f"{end.port} does not have address {end.address} in namespace {name}: sppr chain apply"
        else:
            continue
        found.setdefault(end.chain, []).append(fault)
    return found


def _is_inside(interface: str, name: str) -> bool:
    try:
        packet_socket.run_in_netns(name, lambda: socket.if_nametoindex(interface))
    except OSError:
        return False
    return True


def _address_differs(end: "TapEnd", name: str) -> bool:
    """Return whether the first address of an end in its namespace differs from conf.yml. False if it is unknown.

    Only root may enter a namespace.
    """
    if not end.address or os.geteuid() != 0:
        return False
    try:
        return packet_socket.run_in_netns(name, lambda: _address(end.interface)) != end.address
    except OSError:
        return False  # the interface is not in the namespace


def _address(interface: str) -> str:
    """Return the first IPv4 address of an interface, with its prefix length, or "" if it has none."""
    request = struct.pack("256s", interface.encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            found, mask = (fcntl.ioctl(sock, code, request)[20:24] for code in (_SIOCGIFADDR, _SIOCGIFNETMASK))
        except OSError as e:
            if e.errno == errno.EADDRNOTAVAIL:
                return ""
            raise
    return f"{socket.inet_ntoa(found)}/{int.from_bytes(mask).bit_count()}"


def processes_inside(folder: Path) -> list[str]:
    """Return the processes in this session's namespaces, each with its name, id and namespace."""
    lines = []
    for name in _recorded(folder):
        for pid in netns.processes(name):
            with contextlib.suppress(OSError):
                lines.append(f"{Path(f'/proc/{pid}/comm').read_text().strip()} (pid {pid}) in namespace {name}")
    return lines


def remove(folder: Path, keep: Iterable[str] = (), taps: Sequence[str] = ()) -> list[str]:
    """Remove the namespaces of this session except ``keep``, and return their names.

    ``taps``: interfaces that are moved back to the host's namespace first, because the kernel removes a TAP interface
    with its namespace. A namespace that another program has created with such a name since is not touched.
    """
    recorded, keep, removed = _recorded(folder), set(keep), []
    for name, recorded_time in list(recorded.items()):
        if name in keep:
            continue
        created = netns.created_at(name)
        if created is not None and recorded_time in (created, PENDING):
            for interface in taps:
                with contextlib.suppress(LaunchError):  # the interface is in another namespace
                    netns.move_out(interface, name)
            netns.remove(name)
            removed.append(name)
        del recorded[name]
        _record(folder, recorded)
    return removed


def _recorded(folder: Path) -> dict[str, int]:
    try:
        return msgspec.json.decode((folder / _RECORD).read_bytes(), type=dict[str, int])
    except (OSError, msgspec.MsgspecError, ValueError):
        return {}


def _record(folder: Path, recorded: dict[str, int]) -> None:
    atomic_write.write(folder / _RECORD, json.dumps(recorded) + "\n")
