"""Impair the patches of a lab that runs: those of a chain where frames enter, or one patch of a process.

The wiring of the session keeps the impairments of chains, so that they are restored, shown and proved like patches. The
next ``sppr up`` or ``sppr chain apply`` sets those of conf.yml again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sppr import impairment
from sppr.errors import SpprError
from sppr.lab.chains.observe import Impaired, Observed
from sppr.lab.chains.wiring import ChainWiring, Leg, Wiring
from sppr.parts.part import Part
from sppr.spp import match
from sppr.spp.names import check_uid


@dataclass(frozen=True)
class Patch:
    """A patch to impair. ``process``, ``by``: its process, and the name of the part. ``source``: with its match."""

    process: str
    by: str
    source: str


@dataclass(frozen=True)
class Row:
    """The impairment of a patch. ``chain``: its name; empty: none. ``found``: the impairment and its counters."""

    chain: str
    direction: str
    patch: Patch
    dst: str
    found: Impaired


def patches(wiring: Wiring, parts: Sequence[Part], target: str, words: str = "") -> list[Patch]:
    """Return the patches that ``target`` names: a chain, or ``sec1:tap:0``. ``words``: the match of a single patch.

    Raise SpprError if there is none.
    """
    chain = next((chain for chain in wiring.chains if chain.name == target), None)
    if chain is not None:
        if words:
            raise SpprError(f"{words}: a chain has a match of its own", hint=f"sppr impair {target} delay=20ms")
        return [Patch(legs[0].process, legs[0].by, legs[0].source) for _, legs in chain.directions]
    name, _, port = target.partition(":")
    part = next((part for part in parts if part.name == name), None)
    if part is None or not port:
        known = ", ".join([*(chain.name for chain in wiring.chains), "sec1:tap:0"])
        raise SpprError(f"{target}: neither a chain nor a port of a part", hint=f"such as {known}")
    if part.role not in ("primary", "secondary") or (part.role == "secondary" and part.kind != "nfv") or part.upstream:
        raise SpprError(
            f"{name} has no impairments", hint="the primary and the secondaries of type nfv have them, without spp.dir"
        )
    try:
        source = match.source(check_uid(port), words if words == match.DEFAULT else match.canonical(words.split()))
    except ValueError as error:
        raise SpprError(f"{target}: {error}", hint="sppr impair sec1:tap:0 delay=20ms") from None
    return [Patch(part.process, name, source)]


def impaired(wiring: Wiring, changed: Sequence[Patch], words: str) -> Wiring:
    """Return the wiring with this impairment of these patches. ``words``: ``off`` for none."""
    places = {(patch.process, patch.source) for patch in changed}
    text = "" if words == impairment.OFF else words

    def legs(found: Sequence[Leg]) -> tuple[Leg, ...]:
        hit = (not leg.own and (leg.process, leg.source) in places for leg in found)
        return tuple(replace(leg, impair=text) if is_hit else leg for leg, is_hit in zip(found, hit, strict=True))

    def chain(one: ChainWiring) -> ChainWiring:
        return replace(one, forward=legs(one.forward), reverse=legs(one.reverse))

    return replace(wiring, chains=tuple(map(chain, wiring.chains)), patches=legs(wiring.patches))


def rows(wiring: Wiring, observed: Observed) -> list[Row]:
    """Return every impairment of the lab: those of chains first, in their order."""
    chains = {
        (leg.process, leg.source): (chain.name, direction)
        for chain in wiring.chains
        for direction, legs in chain.directions
        for leg in legs
    }
    names = {leg.process: leg.by for leg in wiring.legs}
    found = [
        Row(*chains.get((process, source), ("", "")), Patch(process, names.get(process, process), source), dst, row)
        for process, status in observed.statuses.items()
        for source, row in status.impairments.items()
        if (dst := status.patches.get(source, ""))
    ]
    order = [chain.name for chain in wiring.chains]
    return sorted(found, key=lambda row: (order.index(row.chain) if row.chain else len(order), row.patch.process))
