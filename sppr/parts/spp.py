"""The SPP processes of the host: what to run. Options as SPP's own and ours have them (section 2 of the facts)."""

from dataclasses import dataclass
from pathlib import Path

from sppr import units
from sppr.spp.eal import Eal


@dataclass(frozen=True)
class Primary:
    """``spp_primary``: portmask ``portmask``, ``rings`` rings ring:0…, controller at ``host``:``port``."""

    binary: Path
    eal: Eal
    portmask: int
    rings: int
    host: str
    port: int
    extra: tuple[str, ...] = ()

    def argv(self) -> list[str]:
        application = ["-p", units.format_mask(self.portmask), "-n", str(self.rings), "-s", f"{self.host}:{self.port}"]
        return [str(self.binary), *self.eal.argv(), "--", *application, *self.extra]


@dataclass(frozen=True)
class Secondary:
    """``spp_nfv`` under its id; or ``spp_vf``, ``spp_mirror``, ``spp_pcap``, which call that ``--client-id``."""

    binary: Path
    eal: Eal
    id: int
    host: str
    port: int
    extra: tuple[str, ...] = ()
    kind: str = "nfv"

    def argv(self) -> list[str]:
        application = ["-n" if self.kind == "nfv" else "--client-id", str(self.id), "-s", f"{self.host}:{self.port}"]
        return [str(self.binary), *self.eal.argv(), "--", *application, *self.extra]
