"""A part of a lab: one process in one pane, as a value that can be written to disk and read back years later."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sppr.tmux.pane import PaneFiles, Restart

#: ``kind`` of a controller: ours, spp.py up to 18.05, its spp_vf.py, spp-ctl, and the CLI beside that.
CONTROLLERS = ("", "spp.py", "spp_vf.py", "spp-ctl", "cli")
Role = Literal["controller", "primary", "secondary", "vm_ring", "vm_vhost", "vm_normal"]


@dataclass(frozen=True)
class Part:
    """``command`` is what stands in the pane, short enough to edit; ``program`` what it becomes.

    ``needs``: names of the parts that must be ready before it starts. A VM's ports on the host are ``ports``, which
    ``server`` (``primary``, ``nfv:1``) is asked for: vhost ports, whose ``sockets`` must listen before the VM starts,
    or ivshmem ports over ``regions``, which only must exist. ``qmp``, ``console`` and ``disk`` are a VM's;
    ``template`` is the image its disk stands on; ``cpus`` the host's cores it is kept on. ``restarts``: how often in a
    row it is run again when it fails, first after ``restart_delay`` seconds. ``kind``: of a secondary nfv, vf, mirror
    or pcap; of a VM ``ivshmem``, where a patched QEMU runs it; of a controller one of CONTROLLERS. ``control``: the
    controller that knows it, where that is not the lab's first. ``real``: of SPP's own programs. ``makes_sockets``: the
    VM listens at its ``sockets``, and its server connects to them.
    """

    name: str
    role: Role
    id: int | None
    window: str
    command: tuple[str, ...]
    program: tuple[str, ...]
    depends_on: tuple[str, ...] = ()
    server: str = ""
    ports: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    disk: str = ""
    template: str = ""
    qmp: str = ""
    console: str = ""
    ssh_port: int = 0
    cpus: tuple[int, ...] = ()
    restarts: int = 0
    restart_delay: float = 1.0
    kind: str = ""
    control: str = ""
    real: bool = False
    makes_sockets: bool = False

    @property
    def restart(self) -> Restart | None:
        return Restart(self.restarts, self.restart_delay) if self.restarts else None

    def files(self, folder: Path) -> PaneFiles:
        """Its files below the session's run directory."""
        return PaneFiles(folder, self.name)

    @property
    def as_root(self) -> bool:
        """Whether a user's pane runs it by sudo: DPDK's hugepages and devices are root's. QEMU never is."""
        return self.role in ("primary", "secondary")

    @property
    def is_vm(self) -> bool:
        return self.role.startswith("vm_")


def secondary_name(secondary_id: int) -> str:
    return f"sec{secondary_id}"


def serving_part(server: str) -> str:
    """Name of the part that ``Part.server`` means: ``primary`` -> ``pri``, ``nfv:1`` -> ``sec1``."""
    return "pri" if server == "primary" else secondary_name(int(server.removeprefix("nfv:")))


def vm_name(kind: str, vm_id: int) -> str:
    """``vm_r6``, ``vm_v11``: the window's name and the id."""
    return f"vm_{kind[0]}{vm_id}"
