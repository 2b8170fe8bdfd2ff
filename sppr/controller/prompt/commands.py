"""The language of the prompt: one line to one ``Command``. Pure. SPP's own of both eras (spp-facts 6.1, 6.4)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sppr.controller.errors import BadValue
from sppr.controller.prompt import arguments
from sppr.controller.prompt.request import Request
from sppr.spp.names import PORT_TYPES, PRIMARY, Target, check_id, check_uid, is_ethdev_number

T = TypeVar("T")
HELP = {
    "status": "status           the controller, the primary, the secondaries",
    "pri": "pri; SUB         status, clear, add, del, patch, patch reset [UID], forward, stop, launch, flow, exit",
    "nfv": "nfv ID; SUB      status, add UID, del UID, patch UID UID, patch reset [UID], forward, stop, exit",
    "vf": "vf ID; SUB       status, component, port, classifier_table, exit",
    "mirror": "mirror ID; SUB   status, component, port, exit",
    "pcap": "pcap ID; SUB     status, start, stop, exit",
    "sec": "sec ID; SUB      for a secondary of any kind; also the classic forms: add ring 3, patch 0 2",
    "server": "server           list; N or switch N; add IP[:PORT]; del N|IP[:PORT]: controllers of other hosts",
    "topo": "topo DST [TYPE]  draw the network: term, or a file of TYPE dot, mermaid, svg, json, yaml, jpg, png, bmp",
    "topo_subgraph": "topo_subgraph    list; add LABEL PORT,PORT...; del LABEL: frames in what topo draws",
    "record": "record FILE      write the lines that follow into FILE, until exit, bye or playback",
    "playback": "playback FILE    carry out the lines of FILE",
    "config": "config [KEY [VALUE]]  list, show or set",
    "history": "history          the lines typed so far",
    "redo": "redo N           carry out line N of the history again",
    "inspect": "inspect          what is connected, as JSON",
    "bye": "bye [sec|all]    end the controller; sec: exit all secondaries; all: these, then the primary",
    "exit": "exit             as bye",
    "help": "help [COMMAND]   this",
}
UID_HELP = "a UID is TYPE:NUMBER, as ring:0 or phy:0nq1, with TYPE one of " + " ".join(PORT_TYPES)
SECONDARY_SUBS = ("status", "add", "del", "patch", "forward", "stop", "exit")
PRIMARY_SUBS = ("clear", *SECONDARY_SUBS, "launch", "flow")
#: What a secondary understands, by kind; ``sec`` is found out when it is carried out.
SUBS = {
    "nfv": SECONDARY_SUBS,
    "vf": ("status", "component", "port", "classifier_table", "exit"),
    "mirror": ("status", "component", "port", "exit"),
    "pcap": ("status", "start", "stop", "exit"),
    "sec": (*SECONDARY_SUBS, "component", "port", "classifier_table", "start"),
}
BYES = ("", "sec", "all")
#: Least and most words after a command of the controller's own.
_ARGS = {
    "server": (0, 2), "topo": (1, 2), "topo_subgraph": (0, 3), "record": (1, 1), "playback": (1, 1),
    "config": (0, 9), "redo": (1, 1),
}  # fmt: skip


@dataclass(frozen=True)
class Command:
    """``verb`` is a key of HELP, or ``nothing`` (empty line, comment); with a ``target`` the SUB, as ``add``.

    ``request``: the call of a SUB that only one kind of process has.
    """

    verb: str
    target: Target | None = None
    args: tuple[str, ...] = ()
    request: Request | None = None


def parse(line: str) -> Command:
    """One line as typed. BadValue says what is wrong and what can be typed instead."""
    text = line.strip()
    if not text or text.startswith(("#", "//")):
        return Command("nothing")
    head, _, tail = text.partition(";")
    before, rest = head.split(), tail.split()
    verb = before[0] if before else ";"
    if verb == "pri":
        return _sub("pri", PRIMARY, before[1:] + rest, PRIMARY_SUBS)
    if verb in SUBS:
        if len(before) < 2:
            raise BadValue(f"{verb}: the id of a secondary is missing", hint=f"{verb} 1; status")
        target = Target(verb, _checked(check_id, before[1]))
        return _sub(f"{verb} {target.client_id}", target, before[2:] + rest, SUBS[verb])
    if verb == "topo_subgraph":  # ports may be divided by ";" there
        return _plain(verb, tuple(text.split()[1:]))
    return _plain(verb, (*before[1:], *rest))


def _plain(verb: str, args: tuple[str, ...]) -> Command:
    """Commands of the controller itself."""
    if verb not in HELP and verb != "?":
        raise BadValue(f"{verb}: no such command", hint="type help")
    if verb in ("help", "?"):
        if len(args) > 1 or (args and args[0] not in HELP):
            raise BadValue(f"help {' '.join(args)}: no such command", hint=f"one of {', '.join(HELP)}")
        return Command("help", args=args)
    if verb == "bye":
        if " ".join(args) not in BYES:
            raise BadValue(f"bye {' '.join(args)}: no such form", hint="bye, bye sec or bye all")
        return Command("bye", args=args)
    if verb in _ARGS:
        least, most = _ARGS[verb]
        if not least <= len(args) <= most:
            raise BadValue(f"{verb}: too {'few' if len(args) < least else 'many'} words", hint=HELP[verb])
        return Command(verb, args=args)
    if args:
        raise BadValue(f"{verb} takes nothing more, got {' '.join(args)!r}", hint=f"type {verb}")
    return Command("bye" if verb == "exit" else verb)


def _sub(prefix: str, target: Target, given: list[str], subs: tuple[str, ...]) -> Command:
    """What follows ``pri;`` or ``nfv ID;``."""
    if not given:
        raise BadValue(f"{prefix}: what shall it do?", hint=f"{prefix}; followed by one of {', '.join(subs)}")
    sub, args = given[0], given[1:]
    if sub not in subs:
        raise BadValue(f"{prefix}; {sub}: no such command", hint=f"one of {', '.join(subs)}")
    if sub in ("add", "del"):
        return Command(sub, target, _ports_to_change(prefix, target, sub, args))
    if sub == "patch":
        return _patch(prefix, target, args)
    if sub in arguments.FORMS:
        return Command(sub, target, request=_special(prefix, target, sub, args))
    if args:
        raise BadValue(f"{prefix}; {sub} takes nothing more, got {' '.join(args)!r}", hint=f"{prefix}; {sub}")
    if target.kind == "pcap" and sub != "exit" and sub != "status":
        return Command(sub, target, request=capture(sub))
    return Command(sub, target)


def more(verb: str) -> list[str]:
    """The forms of what follows ``vf ID;`` and so on."""
    subs = PRIMARY_SUBS if verb == "pri" else SUBS.get(verb, ())
    return [arguments.FORMS[sub] for sub in subs if sub in arguments.FORMS]


def capture(sub: str) -> Request:
    """``start`` and ``stop`` of pcap."""
    return Request("PUT", "/capture", {"action": sub}, f"{sub.capitalize()} capture.")


def _special(prefix: str, target: Target, sub: str, args: list[str]) -> Request:
    """A SUB that only one kind has; ``sec`` is taken for a vf, which knows most."""
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
        return arguments.port(prefix, kind, _joined(args))
    return arguments.classifier(prefix, _joined(args))


def _ports_to_change(prefix: str, target: Target, sub: str, args: list[str]) -> tuple[str, ...]:
    """One UID; two rings after it for a pipe of the primary. ``sec`` also takes the classic ``ring 3`` (6.4)."""
    if target.kind == "sec" and len(args) == 2 and args[0] in PORT_TYPES:
        args = [":".join(args)]
    uids = tuple(_checked(check_uid, uid) for uid in _joined(args))
    pipe = sub == "add" and target == PRIMARY and bool(uids) and uids[0].startswith("pipe:")
    if len(uids) != (3 if pipe else 1):
        form = "pipe:0 ring:0 ring:1" if pipe else "ring:0"
        raise BadValue(
            f"{prefix}; {sub} takes {'a pipe and two rings' if pipe else 'one port'}", hint=f"{prefix}; {sub} {form}"
        )
    return uids


def _patch(prefix: str, target: Target, args: list[str]) -> Command:
    if args == ["reset"]:
        return Command("reset", target)
    if args[:1] == ["reset"] and len(ends := _joined(args[1:])) == 1:
        return Command("disconnect", target, (_checked(check_uid, ends[0]),))
    ends = _joined(args)
    if len(ends) != 2:
        raise BadValue(
            f"{prefix}; patch takes two ports, or reset, or reset and a port", hint=f"{prefix}; patch phy:0 ring:0"
        )
    for end in ends:
        if not (target.kind == "sec" and is_ethdev_number(end)):
            _checked(check_uid, end)
    return Command("patch", target, tuple(ends))


def _joined(args: list[str]) -> list[str]:
    """``phy:0 nq 1`` as the guides of SPP write it becomes ``phy:0nq1``, as it goes over the wire."""
    found: list[str] = []
    queue = list(args)
    while queue:
        word = queue.pop(0)
        if word == "nq" and found and queue:
            found[-1] += f"nq{queue.pop(0)}"
        else:
            found.append(word)
    return found


def _checked(check: Callable[[str], T], text: str) -> T:
    try:
        return check(text)
    except ValueError as error:
        raise BadValue(str(error)) from None
