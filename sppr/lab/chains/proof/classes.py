"""The classes of frames at the end of a chain: those that the chain takes, and those that it must not take. Pure."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sppr.lab.chains.wiring import ChainWiring, Leg, Wiring
from sppr.spp.match import DEFAULT, LAST_VLAN

#: Options of ``probe start`` for the header of a frame: ``dst_mac``, ``src_mac``, ``vlan``.
Header = Mapping[str, str | int]


def random_mac() -> str:
    """Return a random address that only one proof uses."""
    return ":".join(["02", *(f"{byte:02x}" for byte in os.urandom(5))])


def header(words: str) -> Header:
    """Return the header of a frame of this class. ``words``: a match, ``default``, or "" for any frame.

    Each class without a destination address has a random one.
    """
    found: dict[str, str | int] = {"dst_mac": random_mac()}
    for word in words.split() if words != DEFAULT else ():
        key, _, value = word.partition("=")
        found[key] = int(value) if key == "vlan" else value
    return found


def headers(chain: ChainWiring) -> dict[str, Header]:
    """Return a header of the frames of a chain for each direction."""
    return {direction: header(legs[0].match) for direction, legs in chain.directions}


def tagged_size(given: Header, size: int | str) -> int | str:
    """Return the size of a frame with its VLAN tag, which makes it 4 bytes longer. ``imix`` stays as it is."""
    return size if size == "imix" else int(size) + 4 * ("vlan" in given)


def other_matches(wiring: Wiring, first: Leg) -> list[str]:
    """Return the matches of the other patches from the source of ``first``, the first patch of a direction."""
    same = (leg for leg in wiring.legs if (leg.process, leg.src) == (first.process, first.src) and not leg.own)
    return list(dict.fromkeys(leg.match or DEFAULT for leg in same if leg.source != first.source))


@dataclass(frozen=True)
class Other:
    """Frames that a chain must not take.

    ``name``: for messages. ``taken``: whether another chain of the end takes them. ``is_random``: whether only the
    proof has their destination address.
    """

    name: str
    header: Header
    taken: bool
    is_random: bool


def others(own: str, matches: Iterable[str]) -> list[Other]:
    """Return the classes of frames that a chain with the match ``own`` must not take. ``matches``: of the other chains
    of its end.
    """
    matches = list(matches)
    found = [
        Other(f"of another class ({words})", header(words), taken=True, is_random="dst_mac" not in words)
        for words in matches
    ]
    none = of_no_chain([own, *matches])
    return found + [Other(f"of no class ({name})", one, taken=False, is_random=True) for name, one in none.items()]


def of_no_chain(matches: Iterable[str]) -> dict[str, Header]:
    """Return the header of frames that none of these matches takes, by description. Empty: a match takes every frame.

    A destination address is random, so no match by address takes it.
    """
    matches = list(matches)
    if DEFAULT in matches:
        return {}
    used = {word for words in matches for word in words.split()}
    vlan = next(n for n in range(LAST_VLAN, 0, -1) if f"vlan={n}" not in used)
    return {"without a VLAN tag": header(""), f"of VLAN {vlan}": header(f"vlan={vlan}")}
