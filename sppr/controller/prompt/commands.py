"""Parse a line of the prompt into a ``Command``. The commands are those of spp.py and of the SPP CLI.

Pure. (docs/spp-protocol.md, Prompt, Management port)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sppr import impairment
from sppr.controller.errors import BadValue
from sppr.controller.prompt import arguments
from sppr.controller.prompt.request import Request
from sppr.spp import match
from sppr.spp.names import PORT_TYPES, PRIMARY, Target, check_id, check_uid, is_ethdev_number

S = TypeVar("S")
T = TypeVar("T")
HELP = {
    "status": "status           show the controller, the primary and the secondaries",
    "pri": "pri; SUB         status, clear, add, del, patch, patch reset, impair, forward, stop, launch, flow, exit",
    "nfv": "nfv ID; SUB      status, add UID, del UID, patch UID UID [MATCH], patch reset, impair, forward, stop, exit",
    "vf": "vf ID; SUB       status, component, port, classifier_table, exit",
    "mirror": "mirror ID; SUB   status, component, port, exit",
    "pcap": "pcap ID; SUB     status, start, stop, exit",
    "sec": "sec ID; SUB      a secondary of any kind; also the classic forms: add ring 3, patch 0 2",
    "server": "server           controllers of other hosts: list; N or switch N; add IP[:PORT]; del N|IP[:PORT]",
    "topo": "topo DST [TYPE]  draw the network: term, or a file svg png html dot mermaid json yaml jpg bmp",
    "topo_subgraph": "topo_subgraph    frames in the drawings of topo: list; add LABEL PORT,PORT...; del LABEL",
    "record": "record FILE      write the following lines to FILE, until exit, bye or playback",
    "playback": "playback FILE    run the lines of FILE",
    "config": "config [KEY [VALUE]]  list, show or set the settings",
    "history": "history          list the lines typed so far",
    "redo": "redo N           run line N of the history again",
    "inspect": "inspect          show the connected processes as JSON",
    "bye": "bye [sec|all]    stop the controller; sec: exit all secondaries; all: secondaries, then the primary",
    "exit": "exit             same as bye",
    "help": "help [COMMAND]   show this help",
}
MATCH_HELP = "a MATCH is vlan=100, dst_mac=02:00:00:00:00:21 or src_mac=..., or a VLAN and an address"
UID_HELP = "a UID is TYPE:NUMBER, such as ring:0 or phy:0nq1, with TYPE one of " + " ".join(PORT_TYPES)
NFV_SUBCOMMANDS = ("status", "add", "del", "patch", "impair", "forward", "stop", "exit")
PRIMARY_SUBCOMMANDS = ("clear", *NFV_SUBCOMMANDS, "launch", "flow")
#: The subcommands of a secondary, by kind. The kind of a ``sec`` is determined when the command runs.
SUBCOMMANDS = {
    "nfv": NFV_SUBCOMMANDS,
    "vf": ("status", "component", "port", "classifier_table", "exit"),
    "mirror": ("status", "component", "port", "exit"),
    "pcap": ("status", "start", "stop", "exit"),
    "sec": (*NFV_SUBCOMMANDS, "component", "port", "classifier_table", "start"),
}
BYE_FORMS = ("", "sec", "all")
#: Minimum and maximum number of arguments of a command of the controller itself.
_ARGUMENT_COUNTS = {
    "server": (0, 2), "topo": (1, 2), "topo_subgraph": (0, 3), "record": (1, 1), "playback": (1, 1),
    "config": (0, 9), "redo": (1, 1),
}  # fmt: skip


@dataclass(frozen=True)
class Command:
    """A parsed line.

    - ``verb``: a key of HELP, or ``nothing`` for an empty line or a comment; with a ``target`` the subcommand, such as
      ``add``.
    - ``request``: the call of a subcommand that only one kind of process has.
    """

    verb: str
    target: Target | None = None
    args: tuple[str, ...] = ()
    request: Request | None = None


def parse(line: str) -> Command:
    """Parse one line. Raise BadValue, which names the error and the correct form."""
    text = line.strip()
    if not text or text.startswith(("#", "//")):
        return Command("nothing")
    head, _, tail = text.partition(";")
    before, rest = head.split(), tail.split()
    verb = before[0] if before else ";"
    if verb == "pri":
        return _parse_subcommand("pri", PRIMARY, before[1:] + rest, PRIMARY_SUBCOMMANDS)
    if verb in SUBCOMMANDS:
        if len(before) < 2:
            raise BadValue(f"{verb}: the id of a secondary is missing", hint=f"{verb} 1; status")
        target = Target(verb, _check(check_id, before[1]))
        return _parse_subcommand(f"{verb} {target.client_id}", target, before[2:] + rest, SUBCOMMANDS[verb])
    if verb == "topo_subgraph":  # its ports may be separated by ";"
        return _parse_own(verb, tuple(text.split()[1:]))
    return _parse_own(verb, (*before[1:], *rest))


def _parse_own(verb: str, args: tuple[str, ...]) -> Command:
    """Parse a command of the controller itself."""
    if verb not in HELP and verb != "?":
        raise BadValue(f"{verb}: no such command", hint="type help")
    if verb in ("help", "?"):
        if len(args) > 1 or (args and args[0] not in HELP):
            raise BadValue(f"help {' '.join(args)}: no such command", hint=f"one of {', '.join(HELP)}")
        return Command("help", args=args)
    if verb == "bye":
        if " ".join(args) not in BYE_FORMS:
            raise BadValue(f"bye {' '.join(args)}: invalid argument", hint="use bye, bye sec or bye all")
        return Command("bye", args=args)
    if verb in _ARGUMENT_COUNTS:
        minimum, maximum = _ARGUMENT_COUNTS[verb]
        if not minimum <= len(args) <= maximum:
            raise BadValue(f"{verb}: too {'few' if len(args) < minimum else 'many'} arguments", hint=HELP[verb])
        return Command(verb, args=args)
    if args:
        raise BadValue(f"{verb} takes no arguments, got {' '.join(args)!r}", hint=f"type {verb}")
    return Command("bye" if verb == "exit" else verb)


def _parse_subcommand(prefix: str, target: Target, words: list[str], subcommands: tuple[str, ...]) -> Command:
    """Parse the words after ``pri;`` or ``nfv ID;``."""
    if not words:
        hint = f"{prefix}; followed by one of {', '.join(subcommands)}"
        raise BadValue(f"{prefix}: the subcommand is missing", hint=hint)
    sub, args = words[0], words[1:]
    if sub not in subcommands:
        raise BadValue(f"{prefix}; {sub}: no such command", hint=f"one of {', '.join(subcommands)}")
    if sub in ("add", "del"):
        return Command(sub, target, _ports_to_change(prefix, target, sub, args))
    if sub == "patch":
        return _parse_patch(prefix, target, args)
    if sub == "impair":
        return _parse_impair(prefix, target, args)
    if sub in arguments.FORMS:
        return Command(sub, target, request=_parse_special(prefix, target, sub, args))
    if args:
        raise BadValue(f"{prefix}; {sub} takes no arguments, got {' '.join(args)!r}", hint=f"{prefix}; {sub}")
    if target.kind == "pcap" and sub != "exit" and sub != "status":
        return Command(sub, target, request=capture(sub))
    return Command(sub, target)


def forms(verb: str) -> list[str]:
    """Return the argument forms of the subcommands of ``verb``, such as ``vf``."""
    subcommands = PRIMARY_SUBCOMMANDS if verb == "pri" else SUBCOMMANDS.get(verb, ())
    return [arguments.FORMS[sub] for sub in subcommands if sub in arguments.FORMS]


def capture(sub: str) -> Request:
    """Return the call for ``start`` or ``stop`` of a pcap."""
    return Request("PUT", "/capture", {"action": sub}, f"{sub.capitalize()} capture.")


def _parse_special(prefix: str, target: Target, sub: str, args: list[str]) -> Request:
    """Parse a subcommand that only one kind of process has. ``sec`` is parsed as a vf, which has most of them."""
    kind = "vf" if target.kind == "sec" else target.kind
    if sub == "launch":
        return arguments.launch(args)
    if sub == "flow":
        return arguments.flow(args)
    if sub == "component":
        if target.kind == "sec" and args[-1:] == ["mirror"]:
            kind = "mirror"
        return arguments.component(prefix, kind, args)
    if sub == "port":
        return arguments.port(prefix, kind, _join_queues(args))
    return arguments.classifier(prefix, _join_queues(args))


def _ports_to_change(prefix: str, target: Target, sub: str, args: list[str]) -> tuple[str, ...]:
    """Return one UID; for a pipe of the primary also its two rings. ``sec`` accepts the classic form ``ring 3``, too
    (docs/spp-protocol.md, Management port).
    """
    if target.kind == "sec" and len(args) == 2 and args[0] in PORT_TYPES:
        args = [":".join(args)]
    uids = tuple(_check(check_uid, uid) for uid in _join_queues(args))
    pipe = sub == "add" and target == PRIMARY and bool(uids) and uids[0].startswith("pipe:")
    if len(uids) != (3 if pipe else 1):
        form = "pipe:0 ring:0 ring:1" if pipe else "ring:0"
        raise BadValue(
            f"{prefix}; {sub} takes {'a pipe and two rings' if pipe else 'one port'}", hint=f"{prefix}; {sub} {form}"
        )
    return uids


def _parse_patch(prefix: str, target: Target, args: list[str]) -> Command:
    if args == ["reset"]:
        return Command("reset", target)
    ends, words = _split_match(_join_queues(args))
    selected = (words,) if words else ()
    if ends[:1] == ["reset"] and len(ends) == 2:
        return Command("disconnect", target, (_check(check_uid, ends[1]), *selected))
    if ends[:1] == ["reset"] and ends[2:] == [match.DEFAULT] and not words:
        return Command("disconnect", target, (_check(check_uid, ends[1]), match.DEFAULT))
    if len(ends) != 2:
        raise BadValue(
            f"{prefix}; patch takes two ports, or reset, or reset and a port", hint=f"{prefix}; patch phy:0 ring:0"
        )
    for end in ends:
        if not (target.kind == "sec" and is_ethdev_number(end)):
            _check(check_uid, end)
    return Command("patch", target, (*ends, *selected))


def _parse_impair(prefix: str, target: Target, args: list[str]) -> Command:
    """Parse ``tap:0 [MATCH] delay=20ms ...`` or ``tap:0 [MATCH] off``."""
    words = _join_queues(args)
    found, known = impairment.split(words[1:])
    if not known or (impairment.OFF in known and known != [impairment.OFF]):
        raise BadValue(f"{prefix}; impair takes a port, and keys or off", hint=f"{prefix}; impair tap:0 delay=20ms")
    selected = "" if found == [match.DEFAULT] else _check(match.canonical, found)
    _check(impairment.check, " ".join(known))
    return Command("impair", target, (_check(check_uid, words[0]), selected, " ".join(known)))


def _split_match(words: list[str]) -> tuple[list[str], str]:
    """Return the words without those of a match, and the match: ``tap:0 vhost:11 vlan=100``."""
    found = [word for word in words if "=" in word]
    return [word for word in words if "=" not in word], _check(match.canonical, found)


def _join_queues(args: list[str]) -> list[str]:
    """Join the words of a queue: the guides of SPP write ``phy:0 nq 1``, a command on the wire has ``phy:0nq1``."""
    result: list[str] = []
    queue = list(args)
    while queue:
        word = queue.pop(0)
        if word == "nq" and result and queue:
            result[-1] += f"nq{queue.pop(0)}"
        else:
            result.append(word)
    return result


def _check(check: Callable[[S], T], text: S) -> T:
    try:
        return check(text)
    except ValueError as error:
        raise BadValue(str(error)) from None
