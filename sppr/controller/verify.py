"""Whether a change was done as asked: the status of a process before and after it, compared. Pure.

No answer is believed. SPP's nfv answers `add tap:3` with success and damages the entry of port 0, its primary answers
`forward` with success when it has no forwarder, and classic SPP only echoes (spp-facts 3.2, 3.6, 12.3).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sppr.controller.errors import BadValue
from sppr.spp.names import Target

#: Port types that SPP's own JSON processes can add and delete. With any other type they answer success and write beside
#: their table of ports: ``do_add`` and ``do_del`` of src/nfv/commands.h go on without a port.
SPP_ADDS = ("ring", "vhost", "pcap", "nullpmd", "memif", "pipe")
SPP_DELETES = ("ring", "vhost", "pcap", "nullpmd", "memif")


@dataclass(frozen=True)
class Wired:
    """Ports, patches (src -> dst) and state of a process. ``forwards``: its status has them; a primary of SPP up to
    18.08.4, or one without a worker lcore, lists its pipes only."""

    ports: frozenset[str] = frozenset()
    patches: Mapping[str, str] = field(default_factory=dict)
    state: str = ""
    forwards: bool = True


def wired(status: Mapping[str, object]) -> Wired | None:
    """Read a status object; None where it is cut off or lists no ports, so that nothing can be compared."""
    if status.get("truncated"):
        return None
    forwarder = status.get("forwarder")
    inner = forwarder if isinstance(forwarder, dict) else status
    ports, patches, pipes = inner.get("ports"), inner.get("patches"), status.get("pipes")
    forwards = isinstance(ports, list)
    if not forwards and "phy_ports" not in status:
        return None
    names = {_text(port) for port in ports} if isinstance(ports, list) else set()
    names |= {f"pipe:{p.get('id')}" for p in pipes if isinstance(p, dict)} if isinstance(pipes, list) else set()
    found = [p for p in patches if isinstance(p, dict)] if isinstance(patches, list) else []
    pairs = {_text(p.get("src")): _text(p.get("dst")) for p in found}
    state = inner.get("status")
    return Wired(frozenset(names), pairs, state if isinstance(state, str) and forwards else "", forwards)


def _text(port: object) -> str:
    """A status writes ``phy:0 nq 3`` where a command has ``phy:0nq3``."""
    return str(port).replace(" ", "")


def expected(before: Wired, verb: str, args: Sequence[str]) -> Wired:
    """What ``before`` becomes when the change is done. ``args``: ports as UIDs."""
    match (verb, *args):
        case ("add", port, *_):
            return replace(before, ports=before.ports | {port})
        case ("del", port):
            left = {src: dst for src, dst in before.patches.items() if port not in (src, dst)}
            return replace(before, ports=before.ports - {port}, patches=left)
        case ("patch", "reset"):
            return replace(before, patches={})
        case ("patch", "reset", src):
            return replace(before, patches={s: dst for s, dst in before.patches.items() if s != src})
        case ("patch", src, dst):
            return replace(before, patches={**before.patches, src: dst})
    return replace(before, state="running" if verb == "forward" else "idling")


def differences(wanted: Wired, after: Wired, verb: str) -> list[str]:
    """What of ``after`` is not as wanted, one text each. The state counts for forward and stop only: SPP's nfv also
    stops forwarding by ``del``."""
    if not after.forwards:
        wanted, after = _pipes(wanted), _pipes(after)
    found = [f"{port} is missing" for port in sorted(wanted.ports - after.ports)]
    found += [f"{port} is there" for port in sorted(after.ports - wanted.ports)]
    for src in sorted({*wanted.patches, *after.patches}):
        there, asked = after.patches.get(src), wanted.patches.get(src)
        if there != asked and asked is None:
            found.append(f"{src} -> {there} is there")
        elif there != asked:
            found.append(f"{src} -> {asked} is missing" if there is None else f"{src} -> {there}, not {asked}")
    if verb in ("forward", "stop") and wanted.state != after.state:
        found.append(f"it is {after.state}" if after.state else "it has no forwarder")
    return found


def _pipes(known: Wired) -> Wired:
    return replace(known, ports=frozenset(port for port in known.ports if port.startswith("pipe:")), patches={})


def component_difference(info: Mapping[str, object], command: str) -> str | None:
    """Return how the status of a vf, mirror or pcap differs from what ``command`` asked for. None: it does not differ,
    or it cannot be compared. ``info``: the status as ``components.rest_form`` returns it."""
    components, table = (_dicts(info.get(key)) for key in ("components", "classifier_table"))
    match command.split():
        case ["component", "start", name, core, kind]:
            found = [c for c in components if c.get("name") == name]
            if not found:
                return f"there is no component {name}"
            if (str(found[0].get("core")), found[0].get("type")) != (core, kind):
                return f"{name} is a {found[0].get('type')} on lcore {found[0].get('core')}"
        case ["component", "stop", name] if any(c.get("name") == name for c in components):
            return f"{name} is there"
        case ["port", action, uid, way, name, *_]:
            ports = [p for c in components if c.get("name") == name for p in _dicts(c.get(f"{way}_port"))]
            if any(_text(port.get("port")) == _text(uid) for port in ports) != (action == "add"):
                return f"{uid} is {'no' if action == 'add' else 'a'} {way} port of {name}"
        case ["classifier_table", action, kind, *value, uid] if "classifier_table" in info:
            wanted = [kind, "/".join(value).lower(), _text(uid)]
            entries = [[e.get("type"), str(e.get("value")).lower(), _text(e.get("port"))] for e in table]
            if (wanted in entries) != (action == "add"):
                return f"{' '.join(wanted)} is {'not in' if action == 'add' else 'in'} the classifier table"
        case ["start" | "stop" as action] if "status" in info:
            if (info["status"] == "running") != (action == "start"):
                return f"it is {info['status']}"
    return None


def _dicts(found: object) -> list[dict[str, object]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def has_memif(primary: Mapping[str, object]) -> bool:
    """Whether the status of SPP's primary may be that of 19.11 or later: those list pipes."""
    return not primary or "pipes" in primary


def refuse_what_spp_damages(
    target: Target, verb: str, args: Sequence[str], status: Wired | None, *, memif: bool
) -> None:
    """BadValue for a change that SPP's own nfv or primary answers with success and gets wrong. ``memif``: whether its
    release has memif."""
    known = {"add": SPP_ADDS, "del": SPP_DELETES}.get(verb)
    if known and not memif:  # it came with 19.11
        known = tuple(kind for kind in known if kind != "memif")
    if known and args[0].partition(":")[0] not in known:
        what = f"{args[0]}: SPP's {target} answers success and damages its table of ports"
        raise BadValue(what, hint=f"it can {verb} {', '.join(known)}; taps come from the primary's --vdev")
    if verb == "del" and status is not None:
        patches = [f"{src} -> {dst}" for src, dst in status.patches.items() if args[0] in (src, dst)]
        if patches:
            what = (
                f"{args[0]} is patched ({', '.join(patches)}), and SPP's {target} leaves a patch to a port that is gone"
            )
            raise BadValue(what, hint="patch reset first, then del, and patch the others again")
