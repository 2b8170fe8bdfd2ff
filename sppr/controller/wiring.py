"""The wiring of one process: its ports, its patches, and whether it forwards. It is updated by every command and status
of the process.

A process that has just started has no patches, idles, and has only the ports of its command line. So a port is recorded
only if a command added it, and a status without patches and forwarding counts as empty.
"""

from dataclasses import dataclass, field
from typing import Any

from sppr import impairment
from sppr.spp import match
from sppr.spp.names import check_uid

#: Port types that exist from the start of a process or not at all. A port of any other type in the status of a process
#: that was already running was added by a command.
_NOT_ADDED = ("phy", "tap", "pipe")

#: JSON keys that differ from the attribute: files of earlier versions have them.
_KEYS = {"restore_incomplete": "owing"}


@dataclass
class Wiring:
    """The wiring that a process is to have.

    - ``ports``: added ports, each with the words that follow it in ``add`` (the two rings of a pipe).
    - ``patches``: source -> destination. A source may have a match (``spp.match``).
    - ``impairments``: source of a patch -> its impairment.
    - ``running``: it forwards.
    - ``refused``: commands of the last restore that the process refused. Their ports and patches stay recorded.
    - ``restore_incomplete``: a restore was interrupted, so the next status shows only a part of the wiring.
    """

    ports: dict[str, list[str]] = field(default_factory=dict)
    patches: dict[str, str] = field(default_factory=dict)
    impairments: dict[str, str] = field(default_factory=dict)
    running: bool = False
    refused: list[str] = field(default_factory=list)
    restore_incomplete: bool = False

    def __bool__(self) -> bool:
        return bool(self.ports or self.patches or self.running)

    def apply_command(self, command: str) -> None:
        """Record a command that the process has carried out."""
        match command.split():
            case ["add", port, *rings]:
                self.ports[port] = rings
            case ["del", port]:
                self.ports.pop(port, None)
                self.patches = {src: dst for src, dst in self.patches.items() if port not in (match.port_of(src), dst)}
            case ["patch", "reset"]:
                self.patches.clear()
            case ["patch", "reset", port]:
                self.patches = {src: dst for src, dst in self.patches.items() if match.port_of(src) != port}
            case ["patch", "reset", port, *words]:
                self.patches.pop(match.source(port, " ".join(words)), None)
            case ["patch", port, dst, *words] if not port.isdecimal() and not dst.isdecimal():
                source = match.source(port, " ".join(words))
                if self.patches.get(source) != dst:  # another patch has no impairment
                    self.impairments.pop(source, None)
                self.patches[source] = dst
            case ["impair", port, *words]:
                self._impair(port, words)
            case ["forward" | "stop" as verb]:
                self.running = verb == "forward"
        self.impairments = {src: words for src, words in self.impairments.items() if src in self.patches}
        self.refused = [line for line in self.refused if self._is_wanted(line)]

    def _impair(self, port: str, words: list[str]) -> None:
        """Record ``impair PORT MATCH... KEY=VALUE...``, or ``off`` at the end."""
        given, known = impairment.split(words)
        source = match.source(port, " ".join(given))
        if known == [impairment.OFF]:
            self.impairments.pop(source, None)
        else:
            self.impairments[source] = " ".join(known)

    def apply_status(self, status: "ObservedWiring", *, adopt: bool = False) -> None:
        """Record a status of the running process. ``adopt``: record new ports too; they were added without this
        controller.
        """
        refused = set(self.refused)
        self.running = status.running
        refused_patches = {src: dst for src, dst in self.patches.items() if _patch(src, dst) in refused}
        kept = {src: words for src, words in self.impairments.items() if _impair(src, words) in refused}
        self.patches = refused_patches | status.patches
        self.impairments = {src: words for src, words in (kept | status.impairments).items() if src in self.patches}
        self.ports = {
            port: rings
            for port, rings in self.ports.items()
            if port in status.ports or " ".join(["add", port, *rings]) in refused
        }
        if adopt:
            adopted = (p for p in status.ports if p not in self.ports and _was_added(p))
            self.ports |= {port: [] for port in adopted}

    def commands(self, status: "ObservedWiring") -> list[str]:
        """Return the commands that give a process with this ``status`` its wiring, in the order in which to send
        them.
        """
        adds = [" ".join(["add", port, *rings]) for port, rings in self.ports.items() if port not in status.ports]
        patches = [_patch(src, dst) for src, dst in self.patches.items() if status.patches.get(src) != dst]
        impair = [
            _impair(src, words)
            for src, words in self.impairments.items()
            if _patch(src, self.patches[src]) in patches or not impairment.same(status.impairments.get(src, ""), words)
        ]
        return adds + patches + impair + ["forward"] * (self.running and not status.running)

    def _is_wanted(self, command: str) -> bool:
        match command.split():
            case ["add", port, *_]:
                return port in self.ports
            case ["impair", *_]:
                return command in [_impair(src, words) for src, words in self.impairments.items()]
            case ["patch", port, dst, *words]:
                return self.patches.get(match.source(port, " ".join(words))) == dst
            case _:
                return self.running


@dataclass(frozen=True)
class ObservedWiring:
    """The wiring in a status object."""

    ports: tuple[str, ...] = ()
    patches: dict[str, str] = field(default_factory=dict)
    running: bool = False
    impairments: dict[str, str] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether the process may have been started just before."""
        return not self.patches and not self.running


def observe(status: dict[str, Any]) -> ObservedWiring | None:
    """Return the wiring in the status of a primary, nfv or vm, or None if the status is incomplete or has another
    form.
    """
    if status.get("truncated"):
        return None
    part = status.get("forwarder", {}) if "phy_ports" in status else status
    try:
        pipes = [f"pipe:{pipe['id']}" for pipe in status.get("pipes", [])]
        ports = [_port(port) for port in part.get("ports", [])]
        patches = {_source(patch): _port(patch["dst"]) for patch in part.get("patches", [])}
        impaired = {_source(patch): str(patch["impair"]) for patch in part.get("patches", []) if "impair" in patch}
        for words in impaired.values():
            impairment.parse(words)
        return ObservedWiring((*ports, *pipes), patches, part.get("status") == "running", impaired)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _was_added(port: str) -> bool:
    """Return whether a command added this port of a status. Of a link, commands add channels only."""
    kind, _, number = port.partition(":")
    return kind not in _NOT_ADDED and (kind != "link" or "nq" in number)


def _patch(source: str, dst: str) -> str:
    """Return the command for a patch."""
    return f"patch {match.arguments(source, dst)}"


def _impair(source: str, words: str) -> str:
    """Return the command for an impairment."""
    port, found = match.split(source)
    return f"impair {port} {found or match.DEFAULT} {words}"


def _source(patch: dict[str, Any]) -> str:
    """Return the source of a patch in a status."""
    return match.source(_port(patch["src"]), match.canonical(str(patch.get("match", "")).split()))


def _port(text: object) -> str:
    """Return a port as in a command: ``phy:0nq3`` for the ``phy:0 nq 3`` of a status (docs/spp-protocol.md, Port
    names).
    """
    return check_uid(text.replace(" ", "") if isinstance(text, str) else text)


def dump(wiring: Wiring) -> dict[str, Any]:
    """Return the wiring as a JSON object, without empty values."""
    return {_KEYS.get(name, name): value for name, value in vars(wiring).items() if value}


def parse(data: Any) -> Wiring:
    """Return the wiring in an object made by ``dump``.

    Raise ValueError for anything else. An invalid port must never be sent: an upstream SPP process terminates on it
    (docs/spp-protocol.md, Unchecked arguments).
    """
    try:
        names = {key: name for name, key in _KEYS.items()}
        found = Wiring(**{names.get(key, key): value for key, value in data.items()})
        if not (isinstance(found.ports, dict) and isinstance(found.patches, dict)):
            raise ValueError("ports or patches is not an object")
        if not all(isinstance(given, list) for given in found.ports.values()):
            raise ValueError(f"ports: {found.ports!r}")
        if not (isinstance(found.running, bool) and isinstance(found.restore_incomplete, bool)):
            raise ValueError("running or owing is neither true nor false")
        rings = (ring for rings in found.ports.values() for ring in rings)
        for name in (*found.ports, *rings, *map(match.port_of, found.patches), *found.patches.values()):
            check_uid(name)
        for source in found.patches:
            match.canonical(source.split()[1:])
        if not isinstance(found.impairments, dict) or not found.impairments.keys() <= found.patches.keys():
            raise ValueError(f"impairments: {found.impairments!r}")
        for words in found.impairments.values():
            impairment.parse(words)
        if not isinstance(found.refused, list) or not all(isinstance(line, str) for line in found.refused):
            raise ValueError(f"refused: {found.refused!r}")
    except (TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None
    return found
