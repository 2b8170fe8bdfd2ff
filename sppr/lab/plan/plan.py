"""Define the plan of a lab, a pure value: --dry-run prints it, the bring-up executes it, state.json keeps it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sppr.lab.chains.wiring import Wiring
from sppr.parts.part import Part

if TYPE_CHECKING:  # `sppr status` reads a plan without these modules, and starts faster
    from sppr.images.store import Kind
    from sppr.lab.chains.observe import Observed
    from sppr.lab.chains.wiring import Leg
    from sppr.spp.control import Address

VERSION = 5
#: The defaults of the launcher of 2017, except the number of VMs: one of each kind.
DEFAULTS = {"nof_sec": 2, "nof_ring": 1, "nof_vhost": 1}


@dataclass(frozen=True)
class Flags:
    """The options of the command line that change the plan.

    ``nof_sec``, ``nof_ring``, ``nof_vhost``: number of secondaries, ring VMs and vhost VMs. None: the number in
    DEFAULTS, or the number in conf.yml if that is lower.
    ``nof_working``: number of work windows, each with a shell.
    ``vhost_num``: number of vhost ports of each vhost VM.
    ``template``: start the templates themselves instead of VMs.
    ``portmask``: the portmask of the primary.
    ``vdevs``: further EAL devices of the primary.
    ``vdev_tap``, ``vdev_vhost``: numbers of TAP and vhost devices of the primary.
    """

    nof_sec: int | None = None
    nof_ring: int | None = None
    nof_vhost: int | None = None
    nof_working: int = 1
    vhost_num: int = 1
    template: bool = False
    portmask: int | None = None
    vdevs: tuple[str, ...] = ()
    vdev_tap: tuple[int, ...] = ()
    vdev_vhost: tuple[int, ...] = ()


@dataclass(frozen=True)
class Window:
    """A tmux window. ``panes``: names of parts, or of the shell of a work window.

    A terminal may have too little room for all panes. The window then continues in further ones, ``sec-2`` after
    ``sec``, which the plan does not contain (tmux/windows.py).
    """

    name: str
    panes: tuple[str, ...]


@dataclass(frozen=True)
class Image:
    """A disk image that must exist: the instance of a VM, or the template itself if ``vm_id`` is 0."""

    kind: "Kind"
    vm_id: int


@dataclass(frozen=True)
class Plan:
    """The plan of a lab.

    ``session``: the name of the tmux session. ``socket_name``: the name of the tmux server (``tmux -L``), or None.
    ``folder``: the folder of the lab, in which panes start. ``conf``: path of conf.yml.
    ``run``: the run directory of the session.
    ``host``, ``tcp_ports``: address and TCP ports of the controllers.
    ``lcores``: the lcores of all SPP processes.
    ``file_prefix``, ``huge_dir``: the EAL options of these names.
    ``memory``: hugepage memory of the primary in MiB.
    ``accel``: ``vm.accel`` of conf.yml.
    ``sock_dir``: the folder of vhost-user sockets.
    ``vdev_sockets``: the vhost-user sockets that the primary creates by itself (``--vdev-vhost``).
    ``windows``, ``parts``: in the order of start.
    ``ready_timeout``: ``vm.ready_timeout`` of conf.yml, in seconds.
    ``flags``: the options that the plan was made with; every number is filled in.
    ``version``: the format of this class in state.json.
    ``rest``: ``host:port`` of the REST of spp-ctl, if spp-ctl is the controller.
    ``wiring``: the wiring of the service chains.
    """

    session: str
    folder: str
    run: str
    conf: str
    host: str
    tcp_ports: tuple[int, ...]
    lcores: tuple[int, ...]
    file_prefix: str
    huge_dir: str
    memory: int
    accel: str
    sock_dir: str
    vdev_sockets: tuple[str, ...]
    windows: tuple[Window, ...]
    parts: tuple[Part, ...]
    ready_timeout: float
    flags: Flags = Flags()
    socket_name: str | None = None
    version: int = VERSION
    rest: str = ""
    wiring: Wiring = Wiring()  # noqa: RUF009 - frozen

    @property
    def api(self) -> "Address":
        """Return the address for requests to the controller: its unix socket, or ``host:port`` of spp-ctl."""
        return self.rest or api_socket(Path(self.run))

    @property
    def sockets(self) -> tuple[str, ...]:
        """Return every vhost-user socket of the lab."""
        return tuple(dict.fromkeys([*self.vdev_sockets, *(s for part in self.parts for s in part.sockets)]))

    @property
    def capture_sockets(self) -> tuple[str, ...]:
        """Return the sockets at which our data plane offers captures. A killed process leaves its own."""
        processes = (part for part in self.parts if part.role in ("primary", "secondary") and not part.upstream)
        return tuple(f"{self.sock_dir}/spp-capture.{part.id or 0}.sock" for part in processes)

    @property
    def regions(self) -> tuple[str, ...]:
        """Return the files of the shared regions (ivshmem) of all ring VMs."""
        return tuple(region for part in self.parts for region in part.regions)

    @property
    def images(self) -> tuple[Image, ...]:
        """Return the disk images that the VMs need."""
        return images(self.parts)

    @property
    def ssh(self) -> dict[str, tuple[str, int]]:
        """Return address and port of the ssh server of each VM, by the host name of the VM."""
        from sppr.parts.vm import hostname  # this import is slow: it includes everything about QEMU command lines

        reachable = [part for part in self.parts if part.ssh_port or part.ssh_address]
        return {
            hostname(image_kind(part), part.id or 0): (part.ssh_address or "127.0.0.1", part.ssh_port or 22)
            for part in reachable
        }

    def with_wiring(self, wiring: Wiring) -> "Plan":
        """Return the plan with this wiring of its chains. Its former patches that ``wiring`` lacks become retired."""
        return replace(self, wiring=wiring.replacing(self.wiring))

    def prune_retired(self, observed: "Observed") -> "Plan":
        """Return the plan without the retired patches that no longer exist.

        Retired patches of a process that does not answer stay: the controller restores them when the process connects
        again.
        """
        left = [leg for leg in self.wiring.retired if leg.process not in observed.statuses or _exists(leg, observed)]
        return replace(self, wiring=replace(self.wiring, retired=tuple(left)))

    def part(self, name: str) -> Part:
        """Return the part of this name. Raise StopIteration if there is none."""
        return next(part for part in self.parts if part.name == name)

    def parts_named(self, names: Collection[str]) -> list[Part]:
        """Return the parts of these names, in the order of the plan."""
        return [part for part in self.parts if part.name in names]


def _exists(leg: "Leg", observed: "Observed") -> bool:
    return observed.patch(leg.process, leg.source) == leg.dst


def image_kind(part: Part) -> "Kind":
    """Return the kind of image that a VM of a lab runs from."""
    return "ring" if part.role == "vm_ring" else "vhost"


def images(parts: Iterable[Part]) -> tuple[Image, ...]:
    """Return the disk images that these parts need."""
    return tuple(Image(image_kind(part), part.id or 0) for part in parts if part.is_vm)


def windows_of(parts: Sequence[Part], shells: int) -> tuple[Window, ...]:
    """Return the windows of these parts, in their order, and ``shells`` work windows."""
    names = dict.fromkeys(part.window for part in parts)
    windows = [Window(name, tuple(p.name for p in parts if p.window == name)) for name in names]
    return tuple(windows + [Window(f"w{n}", (f"w{n}",)) for n in range(shells)])


def wiring_file(run: Path) -> Path:
    """Return the file in which the controller keeps ports and patches over a restart."""
    return run / "wiring.json"


def api_socket(run: Path) -> Path:
    """Return the unix socket of the controller for requests of the launcher."""
    return run / "api.sock"


def guests_socket(run: Path) -> Path:
    """Return the unix socket of the controller to which the QEMU of each VM connects."""
    return run / "guests.sock"
