"""Names of the field: ports as ``ring:3`` and processes as ``primary`` and ``nfv:1``. Pure, standard library only."""

import re
from dataclasses import dataclass

PORT_TYPES = ("phy", "vhost", "ring", "pcap", "nullpmd", "tap", "memif", "ivshmem", "probe", "pipe")
#: Secondary ids of the newest SPP. 0 is refused: spp-ctl keeps the primary under it (spp-facts 3.4).
FIRST_ID, LAST_ID = 1, 127

# Numbers have at most 3 digits: SPP's name buffers hold no more (spp-facts 4). Queues are written phy:0nq1.
_UID = re.compile(
    rf"(?:{'|'.join(PORT_TYPES)}):(?:0|[1-9][0-9]{{0,2}})|phy:(?:0|[1-9][0-9]{{0,2}})nq(?:0|[1-9][0-9]{{0,2}})"
)
_KINDS = ("nfv", "sec")


@dataclass(frozen=True)
class Target:
    """Whom a command is for: ``Target("primary")``, ``Target("nfv", 3)``, or ``Target("sec", 3)``, of whatever kind."""

    kind: str
    client_id: int = 0

    def __str__(self) -> str:
        return self.kind if self.kind == "primary" else f"{self.kind}:{self.client_id}"


PRIMARY = Target("primary")


def check_uid(text: object) -> str:
    """``text`` if it names a port: ``ring:3``, ``phy:0nq1``. ValueError else: real SPP dies of a malformed one."""
    if not isinstance(text, str) or _UID.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a port: write TYPE:NUMBER with TYPE one of {' '.join(PORT_TYPES)}")
    return text


def is_ethdev_number(text: object) -> bool:
    """Whether ``text`` may be a port in a classic ``patch 0 2``: the number that status shows (spp-facts 3.2)."""
    return isinstance(text, str) and re.fullmatch(r"[0-9]{1,3}", text) is not None


def check_id(text: str) -> int:
    """A secondary's id from decimal text. ValueError else."""
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not FIRST_ID <= int(text) <= LAST_ID:
        raise ValueError(f"{text!r} is not the id of a secondary: {FIRST_ID} to {LAST_ID}")
    return int(text)


def parse_target(text: str) -> Target:
    """``primary`` or ``nfv:3``. ValueError else."""
    if text == "primary":
        return PRIMARY
    kind, _, number = text.partition(":")
    if kind not in _KINDS:
        raise ValueError(f"{text!r} names no process: write primary or nfv:ID")
    return Target(kind, check_id(number))


def printable(text: str, limit: int = 200) -> str:
    """What a process said, fit for a terminal: one line, no control characters, at most ``limit`` characters."""
    clean = "".join(c if c.isprintable() else " " for c in text[: limit + 1]).strip()
    return clean if len(clean) <= limit else clean[:limit] + "..."
