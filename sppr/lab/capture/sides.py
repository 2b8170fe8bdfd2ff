"""Find the sides of ports that a capture names: a chain, a port of a part, or a port that one part patches. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sppr.errors import SpprError
from sppr.lab.chains.observe import Observed
from sppr.lab.chains.wiring import ChainWiring, Wiring
from sppr.parts.part import Part
from sppr.spp import match
from sppr.spp.names import check_uid

Direction = Literal["rx", "tx", "both"]


@dataclass(frozen=True)
class Side:
    """A side of a port.

    ``process``: ``primary``, ``nfv:1``; the spp_vm of VM 6 is ``nfv:6``. ``port``: such as ``vhost:11``.
    ``way``: rx for frames received from the port, tx for frames sent to it. ``in_guest``: whether it is in a guest.
    """

    process: str
    port: str
    way: Literal["rx", "tx"]
    in_guest: bool = False

    @property
    def name(self) -> str:
        """Return the name of its interface in the file: ``nfv:1 vhost:11 rx``."""
        return f"{self.process} {self.port} {self.way}"

    @property
    def number(self) -> int:
        """Return the id of the process: 0 for the primary."""
        return int(self.process.partition(":")[2] or 0)


def find(
    wiring: Wiring, parts: Sequence[Part], observed: Observed, targets: Iterable[str], direction: Direction
) -> list[Side]:
    """Return the sides that the targets name, each once. Raise SpprError for a target that names none."""
    found: list[Side] = []
    for target in targets:
        chain = next((chain for chain in wiring.chains if chain.name == target), None)
        sides = _of_chain(chain) if chain else _of_port(wiring, parts, observed, target)
        found += [side for side in sides if direction in ("both", side.way)]
        if not any(direction in ("both", side.way) for side in sides):
            what = f"{target}: no patch {'leads from' if direction == 'rx' else 'leads to'} it"
            raise SpprError(what, hint="sppr capture without -d captures the sides that patches use")
    return list(dict.fromkeys(found))


def _of_chain(chain: ChainWiring) -> list[Side]:
    """Return both ends of each patch of a chain, in the order in which a frame passes them."""
    found = []
    for leg in chain.legs:
        if not leg.own:
            found.append(Side(leg.process, leg.src, "rx", leg.in_guest))
            found.append(Side(leg.process, leg.dst, "tx", leg.in_guest))
    return found


def _of_port(wiring: Wiring, parts: Sequence[Part], observed: Observed, target: str) -> list[Side]:
    """Return the sides of ``sec1:tap:0`` or ``tap:0`` that patches use. Without a patch: both sides of its process."""
    part, uid = _parse(wiring, parts, target)
    candidates = [part.process] if part else list(observed.statuses)
    guests = {f"nfv:{part.id}" for part in parts if part.is_vm}
    patched, owners = [], []
    for process in candidates:
        status = observed.statuses.get(process)
        if status is None:
            raise SpprError(f"{target}: {process} {observed.silent.get(process, 'does not run')}", hint="sppr status")
        if not part and process in guests:
            continue  # a guest has ports of the same names; it is meant only if it is named
        rx = any(match.port_of(source) == uid for source in status.patches)
        tx = uid in status.patches.values()
        patched += [Side(process, uid, way, process in guests) for way, used in (("rx", rx), ("tx", tx)) if used]  # type: ignore[arg-type]
        owners += [process] if uid in status.ports else []
    if patched:
        return patched
    if len(owners) != 1:
        listed = ", ".join(sorted(owners)) or "no part"
        what = f"{target}: no patch uses it, and {listed} {'has' if len(owners) < 2 else 'have'} it"
        raise SpprError(what, hint="name the part: sppr capture sec1:tap:0; sppr topo shows the ports")
    in_guest = owners[0] in guests
    return [Side(owners[0], uid, "rx", in_guest), Side(owners[0], uid, "tx", in_guest)]


def _parse(wiring: Wiring, parts: Sequence[Part], target: str) -> tuple[Part | None, str]:
    """Return the part, if it is named, and the port."""
    name, _, rest = target.partition(":")
    part = next((part for part in parts if part.name == name), None)
    try:
        uid = check_uid(rest if part else target)
    except ValueError:
        chains = ", ".join(chain.name for chain in wiring.chains)
        known = f"chains: {chains}; " if chains else ""
        raise SpprError(f"{target}: neither a chain nor a port", hint=f"{known}a port: tap:0, sec1:tap:0") from None
    if part is not None and not part.process:
        raise SpprError(f"{target}: {name} has no ports", hint="name a part that forwards, such as sec1:tap:0")
    if part is not None and part.upstream:
        raise SpprError(f"{target}: upstream SPP has no captures of ports", hint="type: pcap captures a port there")
    return part, uid
