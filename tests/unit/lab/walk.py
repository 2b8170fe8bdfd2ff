"""Follow a frame through the patches of a lab, as the processes would forward it."""

from collections.abc import Iterable, Iterator, Sequence

from sppr.lab.chains.wiring import Leg
from sppr.parts.part import Part

Place = tuple[str, str]  # process, port


def peers(parts: Iterable[Part]) -> dict[Place, Place]:
    """Both ends of each link between a VM and its server."""
    found: dict[Place, Place] = {}
    for part in parts:
        for index, uid in enumerate(part.ports):
            guest = (f"nfv:{part.id}", f"{'ring' if part.role == 'vm_ring' else 'phy'}:{index}")
            found[guest] = (part.server, uid)
            found[(part.server, uid)] = guest
    return found


def walk(legs: Sequence[Leg], parts: Sequence[Part], start: Place) -> Iterator[Place]:
    """Yield the ports that a frame passes, beginning at ``start``. At the last one it leaves the lab.
    A frame in a loop is followed for 1000 places."""
    patches = {(leg.process, leg.src): leg.dst for leg in legs}
    links = peers(parts)
    readers = {leg.src: leg.process for leg in legs if leg.hop and leg.src.startswith("ring:")}
    place: Place | None = start
    for _ in range(1000):
        if place is None or place not in patches:
            return
        place = (place[0], patches[place])
        yield place
        if place in links:
            place = links[place]
        elif place[1].startswith("ring:") and not is_guest(place[0], parts):
            place = (readers[place[1]], place[1]) if place[1] in readers else None
        else:
            return


def is_guest(process: str, parts: Iterable[Part]) -> bool:
    return any(part.is_vm and process == f"nfv:{part.id}" for part in parts)
