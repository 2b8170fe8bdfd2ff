"""Completion at the prompt: commands, the ids of connected processes, and their ports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sppr.controller.prompt.arguments import COMPONENT_TYPES
from sppr.controller.prompt.commands import HELP, PRIMARY_SUBCOMMANDS, SUBCOMMANDS
from sppr.controller.prompt.controllers import Controller, ProcessStatus
from sppr.controller.prompt.formatting import ports_of
from sppr.controller.settings import DEFAULTS, Settings
from sppr.controller.topology import commands
from sppr.errors import ControlError
from sppr.spp.names import PORT_TYPES

_OWN_COMMANDS = {
    "bye": ("sec", "all"),
    "help": tuple(HELP),
    "server": ("list", "add", "del", "switch"),
    "config": tuple(DEFAULTS),
    "topo": ("term",),
    "topo_subgraph": ("add", "del"),
}


@dataclass(frozen=True)
class CompletionData:
    """The data for completion.

    - ``ids``: ids by command; ``nfv`` has only those of nfv.
    - ``ports``: ports by the id of a secondary. ``primary_ports``: those of the primary.
    - ``components``: names of components by id.
    - ``launch``: complete ``launch`` arguments by kind of process, with a free id.
    """

    ids: Mapping[str, Sequence[int]] = field(default_factory=dict)
    ports: Mapping[int, Sequence[str]] = field(default_factory=dict)
    primary_ports: Sequence[str] = ()
    components: Mapping[int, Sequence[str]] = field(default_factory=dict)
    launch: Mapping[str, Sequence[str]] = field(default_factory=dict)


def candidates(before: str, data: CompletionData) -> list[str]:
    """Return the words that may follow at the cursor. ``before``: the line up to the cursor."""
    words = before.replace(";", " ; ").split()
    current = "" if not words or before[-1].isspace() or before.endswith(";") else words.pop()
    found = [word for word in _next(words, data) if word.startswith(current)]
    return list(dict.fromkeys(found))


def _next(words: list[str], data: CompletionData) -> Sequence[str]:
    if not words:
        return list(HELP)
    verb, rest = words[0], words[1:]
    if verb == "pri":
        args = [word for word in rest if word != ";"]
        if args[:1] == ["launch"]:
            return _launch(args[1:], data)
        if args[:1] == ["flow"]:
            return ("validate", "create", "destroy", "list", "status") if len(args) == 1 else ()
        return _subcommand(args, PRIMARY_SUBCOMMANDS, data.primary_ports)
    if verb in SUBCOMMANDS:
        if not rest:
            return [f"{i};" for i in data.ids.get(verb, ())]
        number = int(rest[0]) if rest[0].isdecimal() else 0
        args = [word for word in rest[1:] if word != ";"]
        if args[:1] in (["component"], ["port"], ["classifier_table"]):
            return _component(verb, args, data.ports.get(number, ()), data.components.get(number, ()))
        return _subcommand(args, SUBCOMMANDS[verb], data.ports.get(number, ()))
    if verb == "topo" and len(rest) == 1:
        return commands.TYPES
    return _OWN_COMMANDS.get(verb, ()) if not rest else ()


def _launch(words: list[str], data: CompletionData) -> Sequence[str]:
    if not words:
        return ("nfv", "vf", "mirror", "pcap")
    return data.launch.get(words[0], ()) if len(words) == 1 else ()


def _component(verb: str, words: list[str], ports: Sequence[str], names: Sequence[str]) -> Sequence[str]:
    all_ports = [*ports, *(f"{kind}:" for kind in ("phy", "vhost", "ring"))]
    match words:
        case ["component"]:
            return ("start", "stop")
        case ["component", "stop"] | ["port", _, _, _]:
            return names
        case ["component", "start", _, _]:
            return COMPONENT_TYPES.get(verb, ())
        case ["port"] | ["classifier_table"]:
            return ("add", "del")
        case ["port", "add" | "del"] | ["classifier_table", _, "mac", _] | ["classifier_table", _, "vlan", _, _]:
            return all_ports
        case ["port", _, _]:
            return ("rx", "tx")
        case ["port", "add", _, _, _]:
            return ("add_vlantag", "del_vlantag") if verb == "vf" else ()
        case ["classifier_table", _]:
            return ("mac", "vlan")
    return ()


def _subcommand(words: list[str], subcommands: Sequence[str], ports: Sequence[str]) -> list[str]:
    if not words:
        return list(subcommands)
    sub, count = words[0], len(words) - 1
    if sub == "add" and count == 0:
        return [f"{kind}:" for kind in PORT_TYPES if kind not in ("phy", "pipe")]
    if sub == "del" and count == 0:
        return [port for port in ports if not port.startswith("phy")]
    if sub == "patch" and count < 2:
        return [*ports, "reset"] if count == 0 else list(ports)
    return []


_LCORE_CALLS = ("/cpu_layout", "/cpu_usage")


async def collect(controller: Controller, settings: Settings) -> CompletionData:
    """Return the data of the connected processes. Raise ControlError if a remote controller does not answer."""
    processes = await controller.process_statuses()
    secondaries = [process for process in processes if process.kind != "primary"]
    ids = {"sec": [process.client_id for process in secondaries]}
    for kind in ("nfv", "vf", "mirror", "pcap"):
        ids[kind] = [p.client_id for p in secondaries if p.kind == kind or (kind, p.kind) == ("nfv", "vm")]
    return CompletionData(
        ids,
        {process.client_id: ports_of(process.status) for process in secondaries},
        [port for process in processes if process.kind == "primary" for port in ports_of(process.status)],
        {process.client_id: _components(process) for process in secondaries},
        await _launches(controller, settings, ids["sec"]) if len(processes) > len(secondaries) else {},
    )


def _components(process: ProcessStatus) -> list[str]:
    found = process.status.get("components")
    return [str(c["name"]) for c in found if isinstance(c, dict) and "name" in c] if isinstance(found, list) else []


async def _launches(controller: Controller, settings: Settings, used_ids: list[int]) -> dict[str, list[str]]:
    """Return ``1 -l 2,3 -m 512 -- -n 1 -s ...`` for each kind, with the lowest free id. Empty if the lcores are not
    known.
    """
    try:
        layout, usage = [await controller.call("GET", path) for path in _LCORE_CALLS]
        all_lcores = [lcore for socket in layout for core in socket["cores"] for lcore in core["lcores"]]
        used = {lcore for process in usage for lcore in process["lcores"]}
    except (ControlError, TypeError, KeyError):
        return {}
    free = sorted(set(all_lcores) - used - {int(settings.values["sec_m_lcore"])})
    number = next(n for n in range(1, 129) if n not in used_ids)
    sec = getattr(controller, "sec_address", f"{controller.address.partition(':')[0]}:6666")
    return {k: [f"{number} {settings.launch(k, str(number), free, sec)}"] for k in ("nfv", "vf", "mirror", "pcap")}
