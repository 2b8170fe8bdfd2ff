"""What a lab is, as a pure value: printed by --dry-run, executed by bring-up, kept on disk for status and down."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sppr.lab.chains.wiring import Wiring
from sppr.parts.part import Part

if TYPE_CHECKING:  # a plan that is read back needs neither: `sppr status` starts faster
    from sppr.images.store import Kind
    from sppr.lab.chains.observe import Observed
    from sppr.lab.chains.wiring import Leg
    from sppr.spp.control import Address

VERSION = 5
#: Those of the launcher of 2017, but for one VM of each kind.
DEFAULTS = {"nof_sec": 2, "nof_ring": 1, "nof_vhost": 1}


@dataclass(frozen=True)
class Flags:
    """What the command line may ask for. A number that is None is that of DEFAULTS, or what conf.yml has if fewer."""

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
    """A tmux window and its panes: names of parts, or of shells in a work window."""

    name: str
    panes: tuple[str, ...]


@dataclass(frozen=True)
class Image:
    """A disk that must be there: the instance of a VM, or with ``vm_id`` 0 the template itself."""

    kind: "Kind"
    vm_id: int


@dataclass(frozen=True)
class Plan:
    """Everything bring-up does. ``folder``: the lab's, where panes start. ``run``: the session's run directory.

    ``flags``: what it was made with, every number filled in. ``vdev_sockets``: those the primary makes by itself.
    ``rest``: of spp-ctl, where that is the controller. ``wiring``: of the service chains.
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
        """Where the launcher asks the controller: its socket, or the ``host:port`` of spp-ctl."""
        return self.rest or api_socket(Path(self.run))

    @property
    def sockets(self) -> tuple[str, ...]:
        """Every vhost-user socket of the lab."""
        return tuple(dict.fromkeys([*self.vdev_sockets, *(s for part in self.parts for s in part.sockets)]))

    @property
    def regions(self) -> tuple[str, ...]:
        return tuple(region for part in self.parts for region in part.regions)

    @property
    def images(self) -> tuple[Image, ...]:
        return images(self.parts)

    @property
    def ssh(self) -> dict[str, int]:
        """Host name of each VM -> its ssh port on the loopback."""
        from sppr.parts.vm import hostname  # with all that a QEMU command line is made of

        return {hostname(kind_of(part), part.id or 0): part.ssh_port for part in self.parts if part.ssh_port}

    def rewired(self, wiring: Wiring) -> "Plan":
        """Return the plan with this wiring of its chains; the patches that it no longer has are retired."""
        return replace(self, wiring=wiring.replacing(self.wiring))

    def unretired(self, observed: "Observed") -> "Plan":
        """Return the plan without the patches of removed chains that are gone. Those of a process that does not answer
        stay: the controller restores them when it comes back."""
        left = [leg for leg in self.wiring.retired if leg.process not in observed.seen or _is_there(leg, observed)]
        return replace(self, wiring=replace(self.wiring, retired=tuple(left)))

    def part(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)

    def chosen(self, names: Collection[str]) -> list[Part]:
        """The parts of these names, in the order of the plan."""
        return [part for part in self.parts if part.name in names]


def _is_there(leg: "Leg", observed: "Observed") -> bool:
    return observed.patch(leg.process, leg.src) == leg.dst


def kind_of(part: Part) -> "Kind":
    return "ring" if part.role == "vm_ring" else "vhost"


def images(parts: Iterable[Part]) -> tuple[Image, ...]:
    """Disks that these parts need."""
    return tuple(Image(kind_of(part), part.id or 0) for part in parts if part.is_vm)


def windows_of(parts: Sequence[Part], shells: int) -> tuple[Window, ...]:
    """The windows of these parts, in their order, and that many work windows."""
    names = dict.fromkeys(part.window for part in parts)
    windows = [Window(name, tuple(p.name for p in parts if p.window == name)) for name in names]
    return tuple(windows + [Window(f"w{n}", (f"w{n}",)) for n in range(shells)])


def wiring_file(run: Path) -> Path:
    return run / "wiring.json"


def api_socket(run: Path) -> Path:
    return run / "api.sock"


def guests_socket(run: Path) -> Path:
    """The unix socket of the controller to which the QEMU of each VM connects."""
    return run / "guests.sock"
