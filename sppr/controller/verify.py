"""Compare the status of a process before and after a change, and check that the change was made. Pure functions.

The answer of a process is not proof. An upstream nfv answers `add tap:3` with success and damages the entry of port 0,
an upstream primary answers `forward` with success when it has no forwarder, and classic SPP only echoes
(docs/spp-protocol.md, Echo rule, Unchecked arguments).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sppr.controller.errors import BadValue
from sppr.spp import match
from sppr.spp.names import Target

#: Port types that upstream SPP processes with a JSON status can add and delete. With any other type they answer success
#: and write beside their port table: ``do_add`` and ``do_del`` of src/nfv/commands.h continue without a port.
UPSTREAM_ADDS = ("ring", "vhost", "pcap", "nullpmd", "memif", "pipe")
UPSTREAM_DELETES = ("ring", "vhost", "pcap", "nullpmd", "memif")


@dataclass(frozen=True)
class PanelState:
    """The ports, patches (source -> dst, see ``spp.match``) and state of a process.

    ``forwards``: the status has all of these. The status of an upstream primary up to 18.08.4, or without a worker
    lcore, lists only its pipes.
    """

    ports: frozenset[str] = frozenset()
    patches: Mapping[str, str] = field(default_factory=dict)
    state: str = ""
    forwards: bool = True


def parse_state(status: Mapping[str, object]) -> PanelState | None:
    """Return the state in a status object, or None if the object is truncated or lists no ports, so that it cannot be
    compared.
    """
    if status.get("truncated"):
        return None
    forwarder = status.get("forwarder")
    inner = forwarder if isinstance(forwarder, dict) else status
    ports, patches, pipes = inner.get("ports"), inner.get("patches"), status.get("pipes")
    forwards = isinstance(ports, list)
    if not forwards and "phy_ports" not in status:
        return None
    names = {_uid(port) for port in ports} if isinstance(ports, list) else set()
    names |= {f"pipe:{p.get('id')}" for p in pipes if isinstance(p, dict)} if isinstance(pipes, list) else set()
    found = [p for p in patches if isinstance(p, dict)] if isinstance(patches, list) else []
    pairs = {match.source(_uid(p.get("src")), str(p.get("match") or "")): _uid(p.get("dst")) for p in found}
    state = inner.get("status")
    return PanelState(frozenset(names), pairs, state if isinstance(state, str) and forwards else "", forwards)


def _uid(port: object) -> str:
    """Return a port as in a command: ``phy:0nq3`` for the ``phy:0 nq 3`` of a status."""
    return str(port).replace(" ", "")


def expected(before: PanelState, verb: str, args: Sequence[str]) -> PanelState:
    """Return the state that ``before`` becomes by the change. ``args``: ports as UIDs."""
    match (verb, *args):
        case ("add", port, *_):
            return replace(before, ports=before.ports | {port})
        case ("del", port):
            left = {src: dst for src, dst in before.patches.items() if port not in (match.port_of(src), dst)}
            return replace(before, ports=before.ports - {port}, patches=left)
        case ("patch", "reset"):
            return replace(before, patches={})
        case ("patch", "reset", port):
            return replace(before, patches={s: d for s, d in before.patches.items() if match.port_of(s) != port})
        case ("patch", "reset", port, *words):
            src = match.source(port, " ".join(words))
            return replace(before, patches={s: d for s, d in before.patches.items() if s != src})
        case ("patch", port, dst, *words):
            return replace(before, patches={**before.patches, match.source(port, " ".join(words)): dst})
    return replace(before, state="running" if verb == "forward" else "idling")


def differences(requested: PanelState, after: PanelState, verb: str) -> list[str]:
    """Return the differences between the requested and the actual state, one text each.

    The forwarding state is compared for forward and stop only, because an upstream nfv also stops forwarding at
    ``del``.
    """
    if not after.forwards:
        requested, after = _pipes_only(requested), _pipes_only(after)
    found = [f"{port} is missing" for port in sorted(requested.ports - after.ports)]
    found += [f"{port} is present" for port in sorted(after.ports - requested.ports)]
    for src in sorted({*requested.patches, *after.patches}):
        actual, requested_dst = after.patches.get(src), requested.patches.get(src)
        if actual != requested_dst and requested_dst is None:
            found.append(f"{src} -> {actual} is present")
        elif actual != requested_dst:
            found.append(
                f"{src} -> {requested_dst} is missing" if actual is None else f"{src} -> {actual}, not {requested_dst}"
            )
    if verb in ("forward", "stop") and requested.state != after.state:
        found.append(f"the process is {after.state}" if after.state else "the process has no forwarder")
    return found


def _pipes_only(state: PanelState) -> PanelState:
    return replace(state, ports=frozenset(port for port in state.ports if port.startswith("pipe:")), patches={})


def component_difference(info: Mapping[str, object], command: str) -> str | None:
    """Return how the status of a vf, mirror or pcap differs from what ``command`` requested, or None if it does not
    differ or cannot be compared. ``info``: the status as ``components.rest_form`` returns it.
    """
    components, classifier_table = (_dicts(info.get(key)) for key in ("components", "classifier_table"))
    match command.split():
        case ["component", "start", name, core, kind]:
            found = [c for c in components if c.get("name") == name]
            if not found:
                return f"there is no component {name}"
            if (str(found[0].get("core")), found[0].get("type")) != (core, kind):
                return f"{name} is a {found[0].get('type')} on lcore {found[0].get('core')}"
        case ["component", "stop", name] if any(c.get("name") == name for c in components):
            return f"component {name} is present"
        case ["port", action, uid, direction, name, *_]:
            ports = [p for c in components if c.get("name") == name for p in _dicts(c.get(f"{direction}_port"))]
            if any(_uid(port.get("port")) == _uid(uid) for port in ports) != (action == "add"):
                return f"{uid} is {'no' if action == 'add' else 'a'} {direction} port of {name}"
        case ["classifier_table", action, kind, *value, uid] if "classifier_table" in info:
            requested = [kind, "/".join(value).lower(), _uid(uid)]
            entries = [[e.get("type"), str(e.get("value")).lower(), _uid(e.get("port"))] for e in classifier_table]
            if (requested in entries) != (action == "add"):
                return f"{' '.join(requested)} is {'not in' if action == 'add' else 'in'} the classifier table"
        case ["start" | "stop" as action] if "status" in info:
            if (info["status"] == "running") != (action == "start"):
                return f"the process is {info['status']}"
    return None


def _dicts(found: object) -> list[dict[str, object]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def has_memif(primary: Mapping[str, object]) -> bool:
    """Return whether an upstream primary may be of 19.11 or later. Those list pipes in their status."""
    return not primary or "pipes" in primary


def check_upstream_support(
    target: Target, verb: str, args: Sequence[str], status: PanelState | None, *, memif: bool
) -> None:
    """Raise BadValue for a change that an upstream nfv or primary answers with success but does not make correctly.

    ``memif``: whether its release has memif.
    """
    supported = {"add": UPSTREAM_ADDS, "del": UPSTREAM_DELETES}.get(verb)
    if supported and not memif:  # since 19.11
        supported = tuple(kind for kind in supported if kind != "memif")
    if supported and args[0].partition(":")[0] not in supported:
        what = f"{args[0]}: upstream SPP's {target} answers success but corrupts its port table"
        hint = f"{verb} supports {', '.join(supported)}; taps are created by the primary's --vdev"
        raise BadValue(what, hint=hint)
    if verb == "del" and status is not None:
        patches = [f"{src} -> {dst}" for src, dst in status.patches.items() if args[0] in (src, dst)]
        if patches:
            what = (
                f"{args[0]} is patched ({', '.join(patches)}), and upstream SPP's {target} would keep a patch to the"
                " deleted port"
            )
            raise BadValue(what, hint="first patch reset, then del, then patch the other ports again")
