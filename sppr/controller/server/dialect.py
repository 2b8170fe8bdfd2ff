"""SPP's dialects made one: what a process of any version understands, and its status as the newest would tell it. Pure.

Classic SPP (16.07 to 18.05) tells text and wants ``add ring 3``; up to 18.02 its ports are known by number only
(spp-facts 3.2). From 18.08.1 on a status is JSON and ports are UIDs. The first status tells which it is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sppr.controller.errors import BadValue
from sppr.controller.server.reply import Reply

_LINE = re.compile(r"port[ _]id: ?(\d+),\w+,([A-Z]+)(?:\((\d+)\))?,outport: ?(-?\d+|none)")
_HEAD = re.compile(r"Client ID \d+ (Idling|Running)")
_UIDS = re.compile(r"status: (\w+)\s+ports: '([^']*)'")
#: What a classic process can add; it has no way to tell that it cannot do another.
_CLASSIC_TYPES = ("ring", "vhost", "pcap", "nullpmd")


@dataclass(frozen=True)
class Told:
    """A status as the newest SPP would tell it. ``classic``: told as text. ``numbers``: ethdev number of each port."""

    status: dict[str, object]
    classic: bool = False
    numbers: Mapping[str, int] = field(default_factory=dict)


def read(reply: Reply, client_id: int) -> Told:
    """What the answer to ``status`` tells."""
    if reply.data is not None:
        return Told(reply.data)
    if found := _UIDS.search(reply.text):  # 18.05
        pairs = [pair.rpartition("-") for pair in found[2].split(",") if "-" in pair]
        patches = [(src, dst) for src, _, dst in pairs if dst != "null"]
        return Told(_status(client_id, found[1], [src for src, _, _ in pairs], patches), classic=True)
    if head := _HEAD.search(reply.text):  # up to 18.02
        rows = _LINE.findall(reply.text)
        names = {int(n): f"{kind.lower()}:{number or n}" for n, kind, number, _ in rows}
        out = [(names[int(n)], names[int(to)]) for n, _, _, to in rows if to.isdecimal() and int(to) in names]
        status = _status(client_id, head[1].lower(), list(names.values()), out)
        return Told(status, classic=True, numbers={uid: n for n, uid in names.items()})
    if not client_id and reply.text.startswith("Server "):
        return Told({"status": reply.text[7:].lower(), "phy_ports": [], "ring_ports": []}, classic=True)
    return Told({"status": reply.text}, classic=True)


def _status(client_id: int, state: str, ports: list[str], patches: list[tuple[str, str]]) -> dict[str, object]:
    ends = [{"src": src, "dst": dst} for src, dst in patches]
    return {"client-id": client_id, "status": state, "ports": ports, "patches": ends}


def command(told: Told, verb: str, *args: str) -> str:
    """The command as the process that told ``told`` understands it. BadValue: it has none for that."""
    if not told.classic:
        return " ".join((verb, *args))
    if verb in ("add", "del"):
        kind, _, number = args[0].partition(":")
        if kind not in _CLASSIC_TYPES or not number.isdecimal():
            raise BadValue(f"{args[0]}: this process is of classic SPP", hint=f"it has {', '.join(_CLASSIC_TYPES)}")
        return f"{verb} {kind} {number}"
    if verb == "patch" and told.numbers and args != ("reset",):
        return " ".join((verb, *(_number(told, end) for end in args)))
    return " ".join((verb, *args))


def _number(told: Told, end: str) -> str:
    if end.isdecimal():
        return end
    if end not in told.numbers:
        raise BadValue(f"{end} is none of its ports", hint=f"it has {', '.join(told.numbers)}")
    return str(told.numbers[end])


def named(told: Told, end: str) -> str:
    """The UID of a port that may be given by its number."""
    return next((uid for uid, number in told.numbers.items() if str(number) == end), end)


def done(status: Mapping[str, object], verb: str, args: list[str]) -> bool:
    """Whether ``status`` shows what the change asked for; for processes that only echo (spp-facts 3.2, 3.6)."""
    forwarder = status.get("forwarder")
    inner = forwarder if isinstance(forwarder, dict) else status
    ports, patches = inner.get("ports"), inner.get("patches")
    if verb == "patch":
        ends = dict(zip(("src", "dst"), args, strict=True))
        found = patches if isinstance(patches, list) else []
        return any({k: str(v).replace(" ", "") for k, v in p.items()} == ends for p in found if isinstance(p, dict))
    if verb in ("add", "del"):
        return (isinstance(ports, list) and args[0] in ports) is (verb == "add")
    return inner.get("status") == {"forward": "running", "stop": "idling"}.get(verb)
