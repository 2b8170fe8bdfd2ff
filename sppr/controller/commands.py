"""The language of the prompt: one line to one ``Command``. Pure. SPP's own of both eras (spp-facts 6.1, 6.4)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sppr.spp.names import PORT_TYPES, PRIMARY, Target, check_id, check_uid, is_ethdev_number

from .faults import BadValue

T = TypeVar("T")
HELP = {
    "status": "status           the controller, the primary, the secondaries",
    "pri": "pri; SUB         status, clear, add UID, del UID, patch UID UID, patch reset, forward, stop, exit",
    "nfv": "nfv ID; SUB      status, add UID, del UID, patch UID UID, patch reset, forward, stop, exit",
    "sec": "sec ID; SUB      as nfv, for a secondary of any kind; also the classic form: add ring 3",
    "bye": "bye [sec|all]    end the controller; sec: exit all secondaries; all: these, then the primary",
    "exit": "exit             as bye",
    "history": "history          the lines typed so far",
    "help": "help [COMMAND]   this",
}
UID_HELP = "a UID is TYPE:NUMBER, as ring:0 or phy:0nq1, with TYPE one of " + " ".join(PORT_TYPES)
SECONDARY_SUBS = ("status", "add", "del", "patch", "forward", "stop", "exit")
PRIMARY_SUBS = ("clear", *SECONDARY_SUBS)
BYES = ("", "sec", "all")


@dataclass(frozen=True)
class Command:
    """``verb`` is a key of HELP, or ``nothing`` (empty line, comment); with a ``target`` the SUB, as ``add``."""

    verb: str
    target: Target | None = None
    args: tuple[str, ...] = ()


def parse(line: str) -> Command:
    """One line as typed. BadValue says what is wrong and what can be typed instead."""
    text = line.strip()
    if not text or text.startswith(("#", "//")):
        return Command("nothing")
    head, _, tail = text.partition(";")
    words, rest = head.split(), tail.split()
    verb = words[0] if words else ";"
    if verb == "pri":
        return _sub("pri", PRIMARY, words[1:] + rest, PRIMARY_SUBS)
    if verb in ("nfv", "sec"):
        if len(words) < 2:
            raise BadValue(f"{verb}: the id of a secondary is missing", hint=f"{verb} 1; status")
        target = Target(verb, _checked(check_id, words[1]))
        return _sub(f"{verb} {target.client_id}", target, words[2:] + rest, SECONDARY_SUBS)
    return _plain(verb, (*words[1:], *rest))


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
    if args:
        raise BadValue(f"{verb} takes nothing more, got {' '.join(args)!r}", hint=f"type {verb}")
    return Command("bye" if verb == "exit" else verb)


def _sub(prefix: str, target: Target, words: list[str], subs: tuple[str, ...]) -> Command:
    """What follows ``pri;`` or ``nfv ID;``."""
    if not words:
        raise BadValue(f"{prefix}: what shall it do?", hint=f"{prefix}; followed by one of {', '.join(subs)}")
    sub, args = words[0], words[1:]
    if sub not in subs:
        raise BadValue(f"{prefix}; {sub}: no such command", hint=f"one of {', '.join(subs)}")
    if sub in ("add", "del"):
        return Command(sub, target, _ports_to_change(prefix, target, sub, args))
    if sub == "patch":
        return _patch(prefix, target, args)
    if args:
        raise BadValue(f"{prefix}; {sub} takes nothing more, got {' '.join(args)!r}", hint=f"{prefix}; {sub}")
    return Command(sub, target)


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
    ends = _joined(args)
    if len(ends) != 2:
        raise BadValue(f"{prefix}; patch takes two ports, or reset", hint=f"{prefix}; patch phy:0 ring:0")
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
