"""Which frames of a port a patch takes: ``vlan=100``, ``dst_mac=02:00:00:00:00:21``, ``vlan=100 src_mac=…``.

Only our own data plane has such patches (docs/dataplane.md, Differences). Upstream SPP classifies in spp_vf
only.

A *source* is a port with its match: ``tap:0 vlan=100``. A port alone is the source of the patch without a match, which
takes the frames that no other patch of the port takes.
"""

import re
from collections.abc import Iterable

#: What the words of ``patch reset UID default`` name: the patch without a match.
DEFAULT = "default"
LAST_VLAN = 4094
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")


def canonical(words: Iterable[str]) -> str:
    """Return a match as the data plane shows it: ``vlan=100 dst_mac=02:00:00:00:00:21``. "" for no words.

    Raise ValueError for a word that is not valid.
    """
    vlan, mac = "", ""
    for word in words:
        key, _, value = word.partition("=")
        if key == "vlan" and not vlan:
            if not re.fullmatch(r"[1-9][0-9]{0,3}", value) or int(value) > LAST_VLAN:
                raise ValueError(f"{word[:40]!r}: a VLAN id is 1 to {LAST_VLAN}")
            vlan = word
        elif key in ("dst_mac", "src_mac") and not mac:
            if not _MAC.fullmatch(value.lower()):
                raise ValueError(f"{word[:40]!r}: write a MAC address as 02:00:00:00:00:21")
            mac = f"{key}={value.lower()}"
        elif key in ("vlan", "dst_mac", "src_mac"):
            raise ValueError(f"{word[:40]!r}: a match has one VLAN and one MAC address at most")
        else:
            raise ValueError(f"{word[:40]!r} is not part of a match: vlan=, dst_mac= or src_mac=")
    return " ".join(filter(None, (vlan, mac)))


def source(port: str, match: str = "") -> str:
    """Return the source of a patch. The patch of the match ``default`` has no match."""
    return f"{port} {match}" if match and match != DEFAULT else port


def split(text: str) -> tuple[str, str]:
    """Return port and match of a source. The match is "" if there is none."""
    port, _, match = text.partition(" ")
    return port, match


def arguments(text: str, dst: str) -> str:
    """Return the words of the command ``patch``: ``tap:0 vhost:11 vlan=100``. ``text``: the source."""
    port, match = split(text)
    return " ".join(filter(None, (port, dst, match)))


def port_of(text: str) -> str:
    """Return the port of a source."""
    return text.partition(" ")[0]
