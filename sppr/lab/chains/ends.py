"""Ends of chains in network namespaces: made before the primary starts, kept in a note, removed with the lab.

spp_primary moves its taps itself, each time it starts, by the file ``tap-ends`` (docs/dataplane.md). The taps of a
primary that runs already are moved here.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sppr.errors import HostError
from sppr.host import netns, temporaries

if TYPE_CHECKING:
    from sppr.lab.chains.wiring import TapEnd
    from sppr.lab.plan import Plan

#: Read by spp_primary; the interface, the namespace and the address of an end in each line.
FILE = "tap-ends"
#: Namespaces that this session made: name -> inode.
_NOTE = "netns.json"


def name_of(plan: "Plan", end: "TapEnd") -> str:
    """Return the name of an end's namespace: ``spp-client``."""
    return f"{plan.session}-{end.netns}"


def check(plan: "Plan") -> None:
    """HostError where a namespace has the name of one that this lab would make."""
    for end in plan.wiring.ends:
        name = name_of(plan, end)
        there = netns.inode(name)
        if there is not None and _noted(Path(plan.run)).get(name) != there:
            what = f"network namespace {name}: exists already, and is not of this lab ({end.port} of chain {end.chain})"
            raise HostError(what, hint=f"ip netns delete {name}   or give the end another netns: in conf.yml")


def prepare(plan: "Plan") -> list[str]:
    """Make the namespaces that are missing, and write the file for spp_primary. Return the names of those made."""
    check(plan)
    folder = Path(plan.run)
    noted = _noted(folder)
    missing = [name for end in plan.wiring.ends if netns.inode(name := name_of(plan, end)) is None]
    for name in missing:
        noted[name] = netns.create(name)
        _note(folder, noted)
    lines = [f"{end.interface} {name_of(plan, end)} {end.address or '-'}\n" for end in plan.wiring.ends]
    if lines or (folder / FILE).exists():
        temporaries.write(folder / FILE, "".join(lines))
    return missing


def move(plan: "Plan") -> list[str]:
    """Move the taps that are still in the host's namespace, and remove the namespaces that no chain has any more.
    Return a line for each."""
    done: list[str] = []
    for end in outside(plan):
        name = name_of(plan, end)
        netns.take(end.interface, name, end.address)
        done.append(f"{end.port} ({end.interface}) is in namespace {name}")
    wanted = {name_of(plan, end) for end in plan.wiring.ends}
    return done + [f"namespace {name} removed" for name in remove(Path(plan.run), wanted)]


def outside(plan: "Plan") -> list["TapEnd"]:
    """Return the ends whose tap is in the host's namespace."""
    return [end for end in plan.wiring.ends if (Path("/sys/class/net") / end.interface).exists()]


def faults(plan: "Plan", chain: str) -> list[str]:
    """Return what is wrong with the ends of a chain, as far as it can be seen from the host's namespace."""
    found: list[str] = []
    left = outside(plan)
    for end in plan.wiring.ends:
        name = name_of(plan, end)
        if end.chain != chain:
            continue
        if netns.inode(name) is None:
            found.append(f"namespace {name} of {end.port} is gone: sppr chain apply, then sppr restart pri")
        elif end in left:
            found.append(f"{end.port} is not in namespace {name}: sppr chain apply")
    return found


def remove(folder: Path, keep: Iterable[str] = ()) -> list[str]:
    """Remove the namespaces that the session of this run directory made, but those of ``keep``. One that somebody else
    made since under the same name stays. Return the names of those removed."""
    noted, keep, removed = _noted(folder), set(keep), []
    for name, inode in list(noted.items()):
        if name in keep:
            continue
        if netns.inode(name) == inode:
            netns.remove(name)
            removed.append(name)
        del noted[name]
        _note(folder, noted)
    return removed


def _noted(folder: Path) -> dict[str, int]:
    try:
        found = json.loads((folder / _NOTE).read_text())
        return {name: inode for name, inode in found.items() if isinstance(name, str) and isinstance(inode, int)}
    except (OSError, ValueError, AttributeError):
        return {}


def _note(folder: Path, noted: dict[str, int]) -> None:
    temporaries.write(folder / _NOTE, json.dumps(noted) + "\n")
