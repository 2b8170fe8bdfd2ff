"""Ends of chains in network namespaces: made before the primary starts, kept in a note, removed with the lab.

spp_primary moves its taps itself, each time it starts, by the file ``tap-ends`` (docs/dataplane.md). The taps of a
primary that runs already are moved here.
"""

import contextlib
import json
import os
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sppr.errors import HostError, LaunchError
from sppr.host import netns, sniff, temporaries
from sppr.lab import state as states
from sppr.spp import ports

if TYPE_CHECKING:
    from sppr.lab.chains.wiring import TapEnd
    from sppr.lab.plan import Plan

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
        there = netns.made_at(name)
        if there is not None and _noted(Path(plan.run)).get(name) not in (there, PENDING):
            what = f"network namespace {name}: exists already, and is not of this lab ({end.port} of chain {end.chain})"
            raise HostError(what, hint=f"ip netns delete {name}   or give the end another netns: in conf.yml")


def prepare(plan: "Plan") -> list[str]:
    """Make the namespaces that are missing, give taps that are in theirs the addresses that conf.yml has now, and write
    the file for spp_primary. Return a line for each change."""
    check(plan)
    folder = Path(plan.run)
    noted = _noted(folder)
    done = []
    for name in [name for end in plan.wiring.ends if netns.made_at(name := name_of(plan, end)) is None]:
        noted[name] = PENDING  # who is interrupted here leaves a namespace that is known as this lab's
        _note(folder, noted)
        noted[name] = netns.create(name)
        _note(folder, noted)
        done.append(f"namespace {name} made")
    lines = {end: f"{end.interface} {name_of(plan, end)} {end.address or '-'}\n" for end in plan.wiring.ends}
    before = _lines(folder)
    for end, line in lines.items():
        was = next((old for old in before if old.split()[:2] == line.split()[:2]), line)
        if was != line and end not in outside(plan):
            with contextlib.suppress(LaunchError):  # it is gone, and the primary's next start makes it
                netns.set_address(end.interface, name_of(plan, end), end.address or None)
                done.append(
                    f"{end.port} ({end.interface}) has {f'address {end.address}' if end.address else 'no address'}"
                )
    if lines or before:
        temporaries.write(folder / FILE, "".join(lines.values()))
    return done


def _lines(folder: Path) -> list[str]:
    """What spp_primary was given last."""
    try:
        return (folder / FILE).read_text().splitlines(keepends=True)
    except OSError:
        return []


def move(plan: "Plan") -> list[str]:
    """Move the taps of the primary that are still in the host's namespace, and remove the namespaces that no chain has
    any more. Return a line for each."""
    wanted = {name_of(plan, end) for end in plan.wiring.ends}
    done = [f"namespace {name} removed" for name in remove(Path(plan.run), wanted, taps(plan))]
    for end in outside(plan):
        name = name_of(plan, end)
        netns.take(end.interface, name, end.address)
        done.append(f"{end.port} ({end.interface}) is in namespace {name}")
    return done


def taps(plan: "Plan") -> list[str]:
    """Return the interfaces of the primary's taps."""
    return list(ports.tap_interfaces(plan.part("pri").program).values())


def outside(plan: "Plan") -> list["TapEnd"]:
    """Return the ends whose tap is in the host's namespace.

    Where the primary does not run, or its tap is in its namespace, an interface of that name is another lab's.
    """
    primary = states.process(plan.part("pri").files(Path(plan.run)))
    if primary is None or not primary.alive():
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
        if netns.made_at(name) is None:
            fault = f"namespace {name} of {end.port} is gone: sppr chain apply, then sppr restart pri"
        elif end in left:
            fault = f"{end.port} is not in namespace {name}: sppr chain apply"
        elif os.geteuid() == 0 and not _is_inside(end.interface, name):
            fault = f"{end.port} is gone from namespace {name}: sppr restart pri"
        else:
            continue
        found.setdefault(end.chain, []).append(fault)
    return found


def _is_inside(interface: str, name: str) -> bool:
    try:
        sniff.inside(name, lambda: socket.if_nametoindex(interface))
    except OSError:
        return False
    return True


def remove(folder: Path, keep: Iterable[str] = (), taps: Sequence[str] = ()) -> list[str]:
    """Remove this session's namespaces except ``keep``, and return their names.

    ``taps``: interfaces that are moved back to the host's namespace first, since the kernel removes a tap with its
    namespace. Namespaces that were created by others since under such a name are not touched.
    """
    noted, keep, removed = _noted(folder), set(keep), []
    for name, made in list(noted.items()):
        if name in keep:
            continue
        there = netns.made_at(name)
        if there is not None and made in (there, PENDING):
            for interface in taps:
                with contextlib.suppress(LaunchError):  # it is in another one
                    netns.give_back(interface, name)
            netns.remove(name)
            removed.append(name)
        del noted[name]
        _note(folder, noted)
    return removed


def _noted(folder: Path) -> dict[str, int]:
    try:
        found = json.loads((folder / _NOTE).read_text())
        return {name: made for name, made in found.items() if isinstance(name, str) and isinstance(made, int)}
    except (OSError, ValueError, AttributeError):
        return {}


def _note(folder: Path, noted: dict[str, int]) -> None:
    temporaries.write(folder / _NOTE, json.dumps(noted) + "\n")
