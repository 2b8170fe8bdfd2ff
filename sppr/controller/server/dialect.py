"""Translate between the dialects of the SPP releases. Pure functions.

A classic process (16.07 to 18.05) sends its status as text and takes ``add ring 3``. Up to 18.02 it knows its ports by
ethdev number only (docs/spp-protocol.md, Classic commands). Since 18.08.1 a status is JSON and ports are UIDs. The
first status of a process shows which dialect it speaks.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sppr.controller.errors import BadValue
from sppr.controller.server.reply import Reply

_STATUS_PORT = re.compile(r"port[ _]id: ?(\d+),\w+,([A-Z]+)(?:\((\d+)\))?,outport: ?(-?\d+|none)")
_STATUS_HEAD = re.compile(r"Client ID \d+ (Idling|Running)")
_STATUS_18_05 = re.compile(r"status: (\w+)\s+ports: '([^']*)'")
#: Port types that a classic process can add. It cannot report that it does not support another type.
_CLASSIC_TYPES = ("ring", "vhost", "pcap", "nullpmd")


@dataclass(frozen=True)
class ParsedStatus:
    """A status in the form of the newest SPP release.

    ``status``: the status object. ``classic``: the process sent it as text. ``numbers``: the ethdev number of each
    port, by UID; only up to 18.02.
    """

    status: dict[str, object]
    classic: bool = False
    numbers: Mapping[str, int] = field(default_factory=dict)


def parse_status(reply: Reply, client_id: int) -> ParsedStatus:
    """Return the status in the reply to ``status``, whatever the release of the process. ``client_id``: 0 for a
    primary.
    """
    if reply.data is not None:
        return ParsedStatus(reply.data)
    if found := _STATUS_18_05.search(reply.text):  # 18.05
        pairs = [pair.rpartition("-") for pair in found[2].split(",") if "-" in pair]
        patches = [(src, dst) for src, _, dst in pairs if dst != "null"]
        return ParsedStatus(_status(client_id, found[1], [src for src, _, _ in pairs], patches), classic=True)
    if head := _STATUS_HEAD.search(reply.text):  # up to 18.02
        rows = _STATUS_PORT.findall(reply.text)
        names = {int(n): f"{kind.lower()}:{number or n}" for n, kind, number, _ in rows}
        out = [(names[int(n)], names[int(to)]) for n, _, _, to in rows if to.isdecimal() and int(to) in names]
        status = _status(client_id, head[1].lower(), list(names.values()), out)
        return ParsedStatus(status, classic=True, numbers={uid: n for n, uid in names.items()})
    if not client_id and reply.text.startswith("Server "):
        return ParsedStatus({"status": reply.text[7:].lower(), "phy_ports": [], "ring_ports": []}, classic=True)
    return ParsedStatus({"status": reply.text}, classic=True)


def _status(client_id: int, state: str, ports: list[str], patches: list[tuple[str, str]]) -> dict[str, object]:
    ends = [{"src": src, "dst": dst} for src, dst in patches]
    return {"client-id": client_id, "status": state, "ports": ports, "patches": ends}


def command(parsed: ParsedStatus, verb: str, *args: str) -> str:
    """Return the command in the dialect of the process that sent ``parsed``. ``args``: ports as UIDs.

    Raise BadValue if classic SPP has no such command, or the process no such port.
    """
    if not parsed.classic:
        return " ".join((verb, *args))
    if verb in ("add", "del"):
        kind, _, number = args[0].partition(":")
        if kind not in _CLASSIC_TYPES or not number.isdecimal():
            what = f"{args[0]}: classic SPP (16.07 to 18.05) has no such port type"
            raise BadValue(what, hint=f"use one of {', '.join(_CLASSIC_TYPES)}")
        return f"{verb} {kind} {number}"
    if verb == "patch" and parsed.numbers and args != ("reset",):
        return " ".join((verb, *(_ethdev_number(parsed, end) for end in args)))
    return " ".join((verb, *args))


def _ethdev_number(parsed: ParsedStatus, end: str) -> str:
    if end.isdecimal():
        return end
    if end not in parsed.numbers:
        raise BadValue(f"the process has no port {end}", hint=f"use one of {', '.join(parsed.numbers)}")
    return str(parsed.numbers[end])


def uid_of(parsed: ParsedStatus, end: str) -> str:
    """Return the UID of a port that is given by its UID or by its ethdev number."""
    return next((uid for uid, number in parsed.numbers.items() if str(number) == end), end)


def shows_change(status: Mapping[str, object], verb: str, args: list[str]) -> bool:
    """Return whether ``status`` shows the change. For processes that answer a change with an echo only
    (docs/spp-protocol.md, Echo rule).
    """
    forwarder = status.get("forwarder")
    inner = forwarder if isinstance(forwarder, dict) else status
    ports, patches = inner.get("ports"), inner.get("patches")
    if verb == "patch":
        ends = dict(zip(("src", "dst"), args[:2], strict=True))
        found = patches if isinstance(patches, list) else []
        return any({k: str(v).replace(" ", "") for k, v in p.items()} == ends for p in found if isinstance(p, dict))
    if verb in ("add", "del"):
        return (isinstance(ports, list) and args[0] in ports) is (verb == "add")
    return inner.get("status") == {"forward": "running", "stop": "idling"}.get(verb)
