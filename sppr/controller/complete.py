"""What can come next on a line of the prompt: commands, connected ids, ports they told of. Pure, asks nobody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sppr.spp.names import PORT_TYPES

from .commands import HELP, PRIMARY_SUBS, SECONDARY_SUBS


@dataclass(frozen=True)
class Known:
    """Ports by secondary id, ids by command (``nfv``: only those), ports of the primary."""

    ids: Mapping[str, Sequence[int]] = field(default_factory=dict)
    ports: Mapping[int, Sequence[str]] = field(default_factory=dict)
    primary_ports: Sequence[str] = ()


def candidates(before: str, known: Known) -> list[str]:
    """Words that may stand where the cursor is; ``before`` is the line up to it. Those that do not fit are left out."""
    words = before.replace(";", " ; ").split()
    current = "" if not words or before[-1].isspace() or before.endswith(";") else words.pop()
    found = [word for word in _next(words, known) if word.startswith(current)]
    return list(dict.fromkeys(found))


def _next(words: list[str], known: Known) -> list[str]:
    if not words:
        return list(HELP)
    verb, rest = words[0], words[1:]
    if verb == "pri":
        return _sub([word for word in rest if word != ";"], PRIMARY_SUBS, known.primary_ports)
    if verb in ("nfv", "sec"):
        if not rest:
            return [f"{i};" for i in known.ids.get(verb, ())]
        ports = known.ports.get(int(rest[0]), ()) if rest[0].isdecimal() else ()
        return _sub([word for word in rest[1:] if word != ";"], SECONDARY_SUBS, ports)
    if verb == "bye":
        return ["sec", "all"] if not rest else []
    return list(HELP) if verb == "help" and not rest else []


def _sub(words: list[str], subs: Sequence[str], ports: Sequence[str]) -> list[str]:
    if not words:
        return list(subs)
    sub, given = words[0], len(words) - 1
    if sub == "add" and given == 0:
        return [f"{kind}:" for kind in PORT_TYPES if kind not in ("phy", "pipe")]
    if sub == "del" and given == 0:
        return [port for port in ports if not port.startswith("phy")]
    if sub == "patch" and given < 2:
        return [*ports, "reset"] if given == 0 else list(ports)
    return []
