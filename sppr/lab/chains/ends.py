"""Ends of chains in network namespaces: made before the primary starts, kept in a note, removed with the lab.

spp_primary moves its taps itself, each time it starts, by the file ``tap-ends`` (docs/dataplane.md). The taps of a
primary that runs already are moved here.
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
#: Read by spp_primary; the interface, the namespace and the address of an end in each line.
FILE = "tap-ends"
#: Namespaces that this session made: name -> when.
_NOTE = "netns.json"
#: In place of the time of a namespace that is being made.
PENDING = 0


def name_of(plan: "Plan", end: "TapEnd") -> str:
    """Return the name of an end's namespace: ``spp-client``."""
    return f"{plan.session}-{end.netns}"


def check(plan: "Plan") -> None:
    """HostError where a namespace has the name of one that this lab would make."""
    for end in plan.wiring.ends:
        name = name_of(plan, end)
        there = netns.created_at(name)
        if there is not None and _noted(Path(plan.run)).get(name) not in (there, PENDING):
            what = f"network namespace {name}: exists already, and is not of this lab ({end.port} of chain {end.chain})"
            raise HostError(what, hint=f"ip netns delete {name}   or give the end another netns: in conf.yml")


def prepare(plan: "Plan") -> list[str]:
    """Create missing namespaces, correct addresses, and write the file for spp_primary. Return a line for each change.

    A tap that conf.yml no longer has in its namespace is moved back to the host's namespace. ``move`` moves it on.
    """
    check(plan)
    folder = Path(plan.run)
    noted = _noted(folder)
    done = []
    for name in [name for end in plan.wiring.ends if netns.created_at(name := name_of(plan, end)) is None]:
        noted[name] = PENDING  # who is interrupted here leaves a namespace that is known as this lab's
        _note(folder, noted)
        noted[name] = netns.create(name)
        _note(folder, noted)
        done.append(f"namespace {name} made")
    before, ends = _written(folder), {end.interface: end for end in plan.wiring.ends}
    for interface, (space, address) in before.items() if _primary_runs(plan) else ():
        end = ends.get(interface)
        with contextlib.suppress(LaunchError):  # the tap is gone; the primary creates it when it starts again
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


def _written(folder: Path) -> dict[str, tuple[str, str]]:
    """Return what the file for spp_primary says now: interface -> namespace and address."""
    try:
        lines = [line.split() for line in (folder / FILE).read_text().splitlines()]
    except OSError:
        return {}
    return {line[0]: (line[1], line[2].removeprefix("-")) for line in lines if len(line) == 3}


def _primary_runs(plan: "Plan") -> bool:
    primary = states.process(plan.part("pri").files(Path(plan.run)))
    return primary is not None and primary.alive()


def move(plan: "Plan") -> list[str]:
    """Move the taps of the primary that are still in the host's namespace, and remove the namespaces that no chain has
    any more. Return a line for each."""
    wanted = {name_of(plan, end) for end in plan.wiring.ends}
    done = [f"namespace {name} removed" for name in remove(Path(plan.run), wanted, taps(plan))]
    for end in outside(plan):
        name = name_of(plan, end)
        netns.move_in(end.interface, name, end.address)
        done.append(f"{end.port} ({end.interface}) is in namespace {name}")
    return done


def taps(plan: "Plan") -> list[str]:
    """Return the interfaces of the primary's taps."""
    return list(names.tap_interfaces(plan.part("pri").program).values())


def outside(plan: "Plan") -> list["TapEnd"]:
    """Return the ends whose tap is in the host's namespace.

    Where the primary does not run, or its tap is in its namespace, an interface of that name is another lab's.
    """
    if not _primary_runs(plan):
        return []
    there = [end for end in plan.wiring.ends if (Path("/sys/class/net") / end.interface).exists()]
    return [end for end in there if os.geteuid() != 0 or not _is_inside(end.interface, name_of(plan, end))]


def faults(plan: "Plan") -> dict[str, list[str]]:
    """Return what is wrong with the ends of each chain, as far as this user may look; chains without a fault are not in
    it."""
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
    """Whether the first address of a tap in its namespace differs from conf.yml. False where this user may not look."""
    if not end.address or os.geteuid() != 0:
        return False
    try:
        return packet_socket.run_in_netns(name, lambda: _address(end.interface)) != end.address
    except OSError:
        return False  # it is not there


def _address(interface: str) -> str:
    """Return the first IPv4 address of an interface, with its prefix length; empty where it has none."""
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
    found = []
    for name in _noted(folder):
        for pid in netns.processes(name):
            with contextlib.suppress(OSError):
                found.append(f"{Path(f'/proc/{pid}/comm').read_text().strip()} (pid {pid}) in namespace {name}")
    return found


def remove(folder: Path, keep: Iterable[str] = (), taps: Sequence[str] = ()) -> list[str]:
    """Remove this session's namespaces except ``keep``, and return their names.

    ``taps``: interfaces that are moved back to the host's namespace first, since the kernel removes a tap with its
    namespace. Namespaces that were created by others since under such a name are not touched.
    """
    noted, keep, removed = _noted(folder), set(keep), []
    for name, made in list(noted.items()):
        if name in keep:
            continue
        there = netns.created_at(name)
        if there is not None and made in (there, PENDING):
            for interface in taps:
                with contextlib.suppress(LaunchError):  # it is in another one
                    netns.move_out(interface, name)
            netns.remove(name)
            removed.append(name)
        del noted[name]
        _note(folder, noted)
    return removed


def _noted(folder: Path) -> dict[str, int]:
    try:
        return msgspec.json.decode((folder / _NOTE).read_bytes(), type=dict[str, int])
    except (OSError, msgspec.MsgspecError, ValueError):
        return {}


def _note(folder: Path, noted: dict[str, int]) -> None:
    atomic_write.write(folder / _NOTE, json.dumps(noted) + "\n")
