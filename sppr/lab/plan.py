"""What a lab is, as a pure value: printed by --dry-run, executed by bring-up, kept on disk for status and down."""

from dataclasses import dataclass
from pathlib import Path

from sppr.images.store import Kind
from sppr.roles.part import Part

VERSION = 1
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

    kind: Kind
    vm_id: int


@dataclass(frozen=True)
class Plan:
    """Everything bring-up does. ``folder``: the lab's, where panes start. ``run``: the session's run directory."""

    session: str
    folder: str
    run: str
    conf: str
    host: str
    tcp_ports: tuple[int, int]
    ssh_ports: tuple[int, ...]
    vm_hosts: tuple[str, ...]
    lcores: tuple[int, ...]
    file_prefix: str
    huge_dir: str
    memory: int
    accel: str
    sock_dir: str
    sockets: tuple[str, ...]
    regions: tuple[str, ...]
    windows: tuple[Window, ...]
    parts: tuple[Part, ...]
    images: tuple[Image, ...]
    ready_timeout: float
    socket_name: str | None = None
    version: int = VERSION

    @property
    def api(self) -> Path:
        """The controller's socket for the launcher."""
        return api_socket(Path(self.run))

    def part(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)


def wiring_file(run: Path) -> Path:
    return run / "wiring.json"


def api_socket(run: Path) -> Path:
    return run / "api.sock"
