"""Completion at the prompt: commands, ids of connected processes, and their ports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sppr.controller.prompt.arguments import KINDS
from sppr.controller.prompt.commands import HELP, PRIMARY_SUBS, SUBS
from sppr.controller.prompt.formatting import ports_of
from sppr.controller.prompt.hosts import Host, Seen
from sppr.controller.settings import DEFAULTS, Settings
from sppr.controller.topology import commands
from sppr.errors import ControlError
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


_PLACES = ("/cpu_layout", "/cpu_usage")


async def gather(host: Host, settings: Settings) -> Known:
    """ControlError if the controller is of another host and gone."""
    seen = await host.seen()
    secondaries = [process for process in seen if process.kind != "primary"]
    ids = {"sec": [process.client_id for process in secondaries]}
    for kind in ("nfv", "vf", "mirror", "pcap"):
        ids[kind] = [p.client_id for p in secondaries if p.kind == kind or (kind, p.kind) == ("nfv", "vm")]
    return Known(
        ids,
        {process.client_id: ports_of(process.status) for process in secondaries},
        [port for process in seen if process.kind == "primary" for port in ports_of(process.status)],
        {process.client_id: _components(process) for process in secondaries},
        await _launches(host, settings, ids["sec"]) if len(seen) > len(secondaries) else {},
    )


def _components(process: Seen) -> list[str]:
    found = process.status.get("components")
    return [str(c["name"]) for c in found if isinstance(c, dict) and "name" in c] if isinstance(found, list) else []


async def _launches(host: Host, settings: Settings, taken: list[int]) -> dict[str, list[str]]:
    """``1 -l 2,3 -m 512 -- -n 1 -s ...`` for the lowest free id, of each kind; nothing where lcores are not told."""
    try:
        layout, usage = [await host.call("GET", place) for place in _PLACES]
        every = [lcore for socket in layout for core in socket["cores"] for lcore in core["lcores"]]
        used = {lcore for process in usage for lcore in process["lcores"]}
    except (ControlError, TypeError, KeyError):
        return {}
    free = sorted(set(every) - used - {int(settings.values["sec_m_lcore"])})
    number = next(n for n in range(1, 129) if n not in taken)
    sec = getattr(host, "sec_address", f"{host.address.partition(':')[0]}:6666")
    return {k: [f"{number} {settings.launch(k, str(number), free, sec)}"] for k in ("nfv", "vf", "mirror", "pcap")}
