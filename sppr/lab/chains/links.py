"""The links of a lab to other hosts: whether the interface is there, and whether the other host answers."""

import socket
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from sppr.deadline import Deadline
from sppr.errors import SpprError
from sppr.lab.chains.wiring import ChainWiring, LinkEnd, Wiring
from sppr.run import run, which

#: Seconds for which an answer is remembered: the live views ask once a second.
REMEMBERED = 3.0
_asked: dict[LinkEnd, tuple[float, str]] = {}


def faults(wiring: Wiring) -> dict[str, str]:
    """Return the fault of each link that has one, by its port ``link:0``. The other hosts are asked in parallel."""
    now = time.monotonic()
    old = [link for link in wiring.links if link not in _asked or now - _asked[link][0] > REMEMBERED]
    if old:
        with ThreadPoolExecutor(max_workers=min(32, len(old))) as pool:
            _asked.update(zip(old, [(time.monotonic(), why) for why in pool.map(_fault, old)], strict=True))
    return {link.port: _asked[link][1] for link in wiring.links if _asked[link][1]}


def of_chain(chain: ChainWiring, broken: Mapping[str, str]) -> list[str]:
    """Return the faults of the links that a chain uses. ``broken``: the result of ``faults``."""
    ports = {port.partition("nq")[0] for leg in chain.legs for port in (leg.src, leg.dst)}
    return [why for port, why in broken.items() if port in ports]


def _fault(link: LinkEnd) -> str:
    if link.interface and link.interface not in (name for _, name in socket.if_nameindex()):
        return f"{link.interface} of link {link.name} is gone: sppr up on the machine of the conf.yml with hosts:"
    if link.peer and which("ping") and not _answers(link.peer):
        return f"link {link.name}: {link.peer} does not answer"
    return ""


def _answers(address: str) -> bool:
    """Return whether a host answers one of two packets within 2 s."""
    words = ["ping", "-n", "-q", "-c", "2", "-i", "0.3", "-w", "2", address]
    try:
        found = run(words, deadline=Deadline(5.0), check=False)
    except SpprError:
        return False
    return found.returncode == 0
