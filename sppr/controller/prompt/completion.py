"""What can come next on a line of the prompt: commands, connected ids, ports they told of. Pure, asks nobody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sppr.controller.prompt.arguments import KINDS
from sppr.controller.prompt.commands import HELP, PRIMARY_SUBS, SUBS
from sppr.controller.settings import DEFAULTS
from sppr.controller.topology import commands
from sppr.spp.names import PORT_TYPES

_OWN = {
    "bye": ("sec", "all"),
    "help": tuple(HELP),
    "server": ("list", "add", "del", "switch"),
    "config": tuple(DEFAULTS),
    "topo": ("term",),
    "topo_subgraph": ("add", "del"),
}


@dataclass(frozen=True)
class Known:
    """Ports by secondary id, ids by command (``nfv``: only those), ports of the primary.

    ``components``: their names by id. ``launch``: a whole ``launch`` for each kind, ids that are free first.
    """

    ids: Mapping[str, Sequence[int]] = field(default_factory=dict)
    ports: Mapping[int, Sequence[str]] = field(default_factory=dict)
    primary_ports: Sequence[str] = ()
    components: Mapping[int, Sequence[str]] = field(default_factory=dict)
    launch: Mapping[str, Sequence[str]] = field(default_factory=dict)


def candidates(before: str, known: Known) -> list[str]:
    """Words that may stand where the cursor is; ``before`` is the line up to it. Those that do not fit are left out."""
    words = before.replace(";", " ; ").split()
    current = "" if not words or before[-1].isspace() or before.endswith(";") else words.pop()
    found = [word for word in _next(words, known) if word.startswith(current)]
    return list(dict.fromkeys(found))


def _next(words: list[str], known: Known) -> Sequence[str]:
    if not words:
        return list(HELP)
    verb, rest = words[0], words[1:]
    if verb == "pri":
        given = [word for word in rest if word != ";"]
        if given[:1] == ["launch"]:
            return _launch(given[1:], known)
        if given[:1] == ["flow"]:
            return ("validate", "create", "destroy", "list", "status") if len(given) == 1 else ()
        return _sub(given, PRIMARY_SUBS, known.primary_ports)
    if verb in SUBS:
        if not rest:
            return [f"{i};" for i in known.ids.get(verb, ())]
        number = int(rest[0]) if rest[0].isdecimal() else 0
        given = [word for word in rest[1:] if word != ";"]
        if given[:1] in (["component"], ["port"], ["classifier_table"]):
            return _component(verb, given, known.ports.get(number, ()), known.components.get(number, ()))
        return _sub(given, SUBS[verb], known.ports.get(number, ()))
    if verb == "topo" and len(rest) == 1:
        return commands.TYPES
    return _OWN.get(verb, ()) if not rest else ()


def _launch(given: list[str], known: Known) -> Sequence[str]:
    if not given:
        return ("nfv", "vf", "mirror", "pcap")
    return known.launch.get(given[0], ()) if len(given) == 1 else ()


def _component(verb: str, given: list[str], ports: Sequence[str], names: Sequence[str]) -> Sequence[str]:
    every = [*ports, *(f"{kind}:" for kind in ("phy", "vhost", "ring"))]
    match given:
        case ["component"]:
            return ("start", "stop")
        case ["component", "stop"] | ["port", _, _, _]:
            return names
        case ["component", "start", _, _]:
            return KINDS.get(verb, ())
        case ["port"] | ["classifier_table"]:
            return ("add", "del")
        case ["port", "add" | "del"] | ["classifier_table", _, "mac", _] | ["classifier_table", _, "vlan", _, _]:
            return every
        case ["port", _, _]:
            return ("rx", "tx")
        case ["port", "add", _, _, _]:
            return ("add_vlantag", "del_vlantag") if verb == "vf" else ()
        case ["classifier_table", _]:
            return ("mac", "vlan")
    return ()


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
