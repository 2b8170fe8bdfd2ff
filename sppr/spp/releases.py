"""Releases of SPP and what differs between them for who starts its processes (spp-facts 0, 1.4, 2). Pure."""

from dataclasses import dataclass
from typing import Literal, get_args

from sppr.config.releases import SppVersion

VERSIONS: tuple[str, ...] = get_args(SppVersion)[1:]
Era = Literal["ours", "classic", "spp-ctl"]


@dataclass(frozen=True)
class Version:
    """A release by its name; ``""`` is our own data plane, which counts as the newest. ``under_ours``: its programs
    run under our own controller, which speaks the language of each."""

    name: str = ""
    under_ours: bool = False

    def since(self, first: str) -> bool:
        """Whether this is ``first`` or later."""
        return not self.name or VERSIONS.index(self.name) >= VERSIONS.index(first)

    @property
    def era(self) -> Era:
        """Of its controller. ``classic``: spp.py serves processes; ``spp-ctl``: that does, the CLI asks it by REST."""
        return "ours" if not self.name or self.under_ours else "spp-ctl" if self.since("18.08.1") else "classic"

    @property
    def kinds(self) -> tuple[str, ...]:
        """Secondaries it has."""
        first = {"nfv": "16.07", "vf": "17.11", "mirror": "18.08.1", "pcap": "18.08.2"}
        return tuple(kind for kind, since in first.items() if self.since(since)) if self.name else ("nfv",)

    @property
    def last_id(self) -> int:
        """The highest id of a secondary: spp.py closes its door for good after one beyond (spp-facts 3.2)."""
        return 16 if self.era == "classic" else 127

    @property
    def vf_apart(self) -> bool:
        """Whether spp_vf has a controller of its own, spp_vf.py (spp-facts 3.3)."""
        return self.era == "classic" and self.since("17.11")

    @property
    def management(self) -> bool:
        """Whether spp.py takes command lines on a TCP port, too (spp-facts 3.10)."""
        return self.era == "classic" and self.since("17.08")

    @property
    def vhost_client(self) -> bool:
        """Whether nfv has ``--vhost-client``."""
        return self.since("18.08.2")

    @property
    def base_virtaddr(self) -> str | None:
        """Where the primary maps its memory; later DPDK does so by itself (spp-facts 2.1)."""
        return "0x100000000" if self.name and not self.since("19.08") else None

    @property
    def guests_register(self) -> bool:
        """Whether its controller takes our spp_vm, which says in JSON what it is (spp-facts 3.4)."""
        return self.under_ours or self.since("18.08.2")

    @property
    def ivshmem(self) -> bool:
        """Whether guests share rings by DPDK's ivshmem, which wants a patched QEMU (spp-facts 9)."""
        return self.name == "16.07"

    @property
    def primary_forwards(self) -> bool:
        return self.since("19.08")

    def python(self, program: str) -> str:
        """The Python that runs ``spp.py``, ``spp_vf.py``, ``spp-ctl`` or the CLI of this release (spp-facts 1.4)."""
        if program == "spp_vf.py" or not self.since("18.05"):
            return "python2"
        return "python3"

    def modules(self, program: str) -> tuple[str, ...]:
        """Modules beside the standard library that ``program`` imports when it starts. In the Python 2 that up to 18.02
        needs, and in no Python 3, ``Queue`` is of the standard library."""
        if program == "spp-ctl":
            return ("eventlet", "bottle", "netaddr")
        if self.python(program) == "python2":
            return ("Queue",)
        return ("requests", "yaml") if self.since("18.08.1") else ("queue", "socketserver", "yaml")

    @property
    def old_yaml(self) -> bool:
        """Whether its CLI calls ``yaml.load`` without a Loader, which PyYAML 6 refuses."""
        return self.name == "18.08.2"
