"""What one process was told: its ports, its patches, whether it forwards. A value that follows commands and statuses.

A process that starts anew has no patches and idles, and has the ports of its command line; so ports are remembered only
where a command added them, and a status of such a process is "empty".
"""

from dataclasses import dataclass, field
from typing import Any

from sppr.spp.names import check_uid

#: Ports that come with a process or not at all; anything else in the status of a process met while it works was added.
_BORN = ("phy", "tap", "pipe")


@dataclass
class Wiring:
    """``ports``: added ones, each with what follows it in ``add`` (a pipe's two rings). ``patches``: (src, dst).

    ``refused``: commands of the last restore that the process refused. What they would give stays wanted.
    ``owing``: a restore was cut off, so the next status tells half of it.
    """

    ports: dict[str, list[str]] = field(default_factory=dict)
    patches: dict[str, str] = field(default_factory=dict)
    running: bool = False
    refused: list[str] = field(default_factory=list)
    owing: bool = False

    def __bool__(self) -> bool:
        return bool(self.ports or self.patches or self.running)

    def told(self, command: str) -> None:
        """A command that the process carried out."""
        match command.split():
            case ["add", port, *rings]:
                self.ports[port] = rings
            case ["del", port]:
                self.ports.pop(port, None)
                self.patches = {src: dst for src, dst in self.patches.items() if port not in (src, dst)}
            case ["patch", "reset"]:
                self.patches.clear()
            case ["patch", "reset", src]:
                self.patches.pop(src, None)
            case ["patch", src, dst] if not src.isdecimal() and not dst.isdecimal():
                self.patches[src] = dst
            case ["forward" | "stop" as verb]:
                self.running = verb == "forward"
        self.refused = [line for line in self.refused if self._wanted(line)]

    def saw(self, status: "Seen", *, adopt: bool = False) -> None:
        """A status of the process at work. ``adopt``: ports that are new to us were added behind our back."""
        refused = set(self.refused)
        self.running = status.running
        wanted = {src: dst for src, dst in self.patches.items() if f"patch {src} {dst}" in refused}
        self.patches = wanted | status.patches
        self.ports = {
            port: rings
            for port, rings in self.ports.items()
            if port in status.ports or " ".join(["add", port, *rings]) in refused
        }
        if adopt:
            new = (p for p in status.ports if p not in self.ports and p.partition(":")[0] not in _BORN)
            self.ports |= {port: [] for port in new}

    def commands(self, status: "Seen") -> list[str]:
        """What is to be sent to a process that stands as ``status`` says, in this order."""
        adds = [" ".join(["add", port, *rings]) for port, rings in self.ports.items() if port not in status.ports]
        patches = [f"patch {src} {dst}" for src, dst in self.patches.items() if status.patches.get(src) != dst]
        return adds + patches + ["forward"] * (self.running and not status.running)

    def _wanted(self, command: str) -> bool:
        match command.split():
            case ["add", port, *_]:
                return port in self.ports
            case ["patch", src, dst]:
                return self.patches.get(src) == dst
            case _:
                return self.running


@dataclass(frozen=True)
class Seen:
    """The wiring in a status object."""

    ports: tuple[str, ...] = ()
    patches: dict[str, str] = field(default_factory=dict)
    running: bool = False

    @property
    def empty(self) -> bool:
        """Whether the process may have been started a moment ago."""
        return not self.patches and not self.running


def seen(status: dict[str, Any]) -> Seen | None:
    """Out of the status of a primary, nfv or vm; None where it does not tell, or not all of it."""
    if status.get("truncated"):
        return None
    part = status.get("forwarder", {}) if "phy_ports" in status else status
    try:
        pipes = [f"pipe:{pipe['id']}" for pipe in status.get("pipes", [])]
        ports = [_port(port) for port in part.get("ports", [])]
        patches = {_port(patch["src"]): _port(patch["dst"]) for patch in part.get("patches", [])}
        return Seen((*ports, *pipes), patches, part.get("status") == "running")
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _port(text: object) -> str:
    """A status writes ``phy:0 nq 3`` where a command wants ``phy:0nq3`` (spp-facts 3.6)."""
    return check_uid(text.replace(" ", "") if isinstance(text, str) else text)


def dump(wiring: Wiring) -> dict[str, Any]:
    return {name: value for name, value in vars(wiring).items() if value}


def parse(data: Any) -> Wiring:
    """What ``dump`` made. ValueError for anything else: a bad port must never be sent, real SPP dies of it."""
    try:
        found = Wiring(**data)
        if not (isinstance(found.ports, dict) and isinstance(found.patches, dict)):
            raise ValueError("ports and patches are no objects")
        if not all(isinstance(given, list) for given in found.ports.values()):
            raise ValueError(f"ports: {found.ports!r}")
        if not (isinstance(found.running, bool) and isinstance(found.owing, bool)):
            raise ValueError("running and owing are true or false")
        rings = (ring for rings in found.ports.values() for ring in rings)
        for name in (*found.ports, *rings, *found.patches, *found.patches.values()):
            check_uid(name)
        if not isinstance(found.refused, list) or not all(isinstance(line, str) for line in found.refused):
            raise ValueError(f"refused: {found.refused!r}")
    except (TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None
    return found
