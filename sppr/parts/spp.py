"""Build the command lines of the SPP processes of the host.

Upstream SPP and our data plane take the same options (docs/spp-protocol.md, Command lines).
"""

from dataclasses import dataclass
from pathlib import Path

from sppr import units
from sppr.spp.eal import Eal


@dataclass(frozen=True)
class Primary:
    """The settings of ``spp_primary``.

    ``binary``, ``eal``: the program and its EAL options.
    ``portmask``: a bit per port.
    ``rings``: number of rings, ring:0 and up.
    ``host``, ``port``: the address of the controller.
    ``extra``: further options.
    """

    binary: Path
    eal: Eal
    portmask: int
    rings: int
    host: str
    port: int
    extra: tuple[str, ...] = ()

    def argv(self) -> list[str]:
        """Return the command line."""
        application = ["-p", units.format_mask(self.portmask), "-n", str(self.rings), "-s", f"{self.host}:{self.port}"]
        return [str(self.binary), *self.eal.argv(), "--", *application, *self.extra]


@dataclass(frozen=True)
class Secondary:
    """The settings of ``spp_nfv``, ``spp_vf``, ``spp_mirror`` or ``spp_pcap``.

    ``binary``, ``eal``: the program and its EAL options.
    ``id``: its client id. ``spp_nfv`` takes it with ``-n``, the others with ``--client-id``.
    ``host``, ``port``: the address of the controller.
    ``extra``: further options.
    ``kind``: nfv, vf, mirror or pcap.
    """

    binary: Path
    eal: Eal
    id: int
    host: str
    port: int
    extra: tuple[str, ...] = ()
    kind: str = "nfv"

    def argv(self) -> list[str]:
        """Return the command line."""
        application = ["-n" if self.kind == "nfv" else "--client-id", str(self.id), "-s", f"{self.host}:{self.port}"]
        return [str(self.binary), *self.eal.argv(), "--", *application, *self.extra]
