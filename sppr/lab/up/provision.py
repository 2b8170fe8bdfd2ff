"""Fills a template while it is made: boots it once, takes conf.yml's steps, puts spp_vm in, powers off.

The files go in as a second disk, a plain tar: fw_cfg gives a file out a page at a time, reading all before it anew
for each, which takes minutes for a program.
"""

import contextlib
import hashlib
import io
import shlex
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sppr.config.model import Config, Step
from sppr.deadline import Deadline
from sppr.errors import HostError, SpprError
from sppr.host import facts
from sppr.host.root import vm_user
from sppr.images import cloud_init
from sppr.images.rootfs import GUEST
from sppr.lab.plan.vms import accel
from sppr.qemu import devices, passt
from sppr.qemu.serial import LoginRequired, Serial
from sppr.run import find_program, which
from sppr.spp.tree import BUILD_DIR
from sppr.units import mac_of

#: What a template is given beside spp_vm; for a guest with systemd also who it is, as our own base knows by itself.
FILES = ("nf/install", "nf/spp_vm-start", "nf/spp_vm.service", "nf/sppr-identity.service", "root/usr/lib/sppr/identity")
MEMORY = 384
#: Bytes that must be free where the template goes, and below which a file system counts as full.
MARGIN, FULL = 64 << 20, 1 << 20
#: A trimmed image is done in ten seconds under TCG; a stock one with cloud-init takes a minute and more to come up.
SECONDS = 300.0
#: For all steps of conf.yml together.
STEP_SECONDS = 1800.0
_MAC = mac_of(0xB1, 0, 0)
_UNPACK = "unset HISTFILE; rm -rf /run/nf && mkdir -p /run/nf && tar -C /run/nf -xf /dev/vdb && cd /run/nf"
_INSTALL = "cd /run/nf && sh ./install && cd / && sync"
Report = Callable[[str], None]


@dataclass(frozen=True)
class Provisioner:
    """What a store is given to fill new templates with. ``program``: the spp_vm that was built. ``steps``: conf.yml's,
    whose files are named from ``folder``."""

    accel: devices.Accel = "tcg"
    program: Path = BUILD_DIR / "spp_vm"
    seconds: float = SECONDS
    steps: tuple[Step, ...] = ()
    folder: Path = Path()
    confinement: devices.Confinement = field(default_factory=lambda: confinement())

    def digest(self) -> str | None:
        """sha256 of what would go in: the program, and the steps with their files. None where neither is there."""
        if not self.program.is_file():
            if self.steps:
                raise HostError(f"{self.program}: is not built, and a template wants it", hint="make up")
            return None
        found = hashlib.sha256(self.program.read_bytes())
        for step in self.steps:
            found.update(repr(step).encode())
            for path in self._files(step):
                found.update(path.read_bytes())
        return found.hexdigest()

    def _files(self, step: Step) -> list[Path]:
        """The files of the host that a step copies. HostError where there is none."""
        if step.file is None:
            return []
        source = self.folder / step.file
        if source.is_dir():
            return sorted(path for path in source.rglob("*") if path.is_file())
        if not source.is_file():
            raise HostError(f"provision: {source}: no such file", hint="paths are those from the folder of conf.yml")
        return [source]

    def fill(self, overlay: Path, report: Report) -> bool:
        """Install into a fresh overlay nobody else uses. False, with a reason told, where its console has no root
        shell: such an image is used as it is. Any other failure raises, and the overlay is of no use."""
        target = overlay.parent
        if (free := shutil.disk_usage(target).free) < MARGIN:
            # QEMU would stop the guest in the middle of a write, without a word.
            what = f"{target}: {free >> 20} MiB free; a template that is booted to put spp_vm in may take"
            raise HostError(f"{what} {MARGIN >> 20} (No space left on device)", hint=f"df -h {target}")
        deadline = Deadline(self.seconds)
        with _work(overlay.with_suffix(".nf.tmp")) as work:
            self.bundle(work / "files.tar")
            cloud_init.make(work / "seed.img")
            try:
                with (
                    self._network() as fds,
                    Serial(
                        self.argv(overlay, work / "files.tar", work / "seed.img", *fds), work / "console.log", fds
                    ) as guest,
                ):
                    guest.wait_shell(deadline)
                    report(f"    a root shell after {deadline.elapsed():.1f} s")
                    self._install(guest, deadline, report)
            except LoginRequired as e:
                if self.steps:
                    raise HostError(f"filling a template failed: {e.what}", hint=_LOGIN_HINT) from e
                report(f"{overlay.name}: {e.what}; spp_vm is not put in")
                return False
            except SpprError as e:
                if (free := shutil.disk_usage(target).free) < FULL:
                    what = f"{target}: No space left on device ({free >> 10} KiB free) while a template was filled"
                    raise HostError(what, hint=f"df -h {target}; free some space, and start again") from e
                raise type(e)(f"filling a template failed: {e.what}", hint=e.hint) from e
        return True

    def _install(self, guest: Serial, deadline: Deadline, report: Report) -> None:
        """The guest's side goes in last: it also clears away what this boot made, and what packages made of it."""
        guest.run(_UNPACK, deadline)
        if self.steps:
            guest.run("sh ./identity", deadline)  # the network, where the image does not know our word for it yet
        steps = Deadline(STEP_SECONDS)
        for n, step in enumerate(self.steps):
            report(f"    step {n + 1} of {len(self.steps)}: {describe(step)}")
            guest.run(command(n, step), steps)
        last = Deadline(self.seconds)
        guest.run(_INSTALL, last)
        report("    spp_vm is in")
        guest.power_off(last)

    @contextlib.contextmanager
    def _network(self) -> Iterator[list[int]]:
        """The file descriptor of a network for the guest where there are steps, which may want to fetch something."""
        if not self.steps:
            yield []
            return
        with passt.start() as sock:
            sock.set_inheritable(True)  # ptyprocess keeps it open, but does not clear its close-on-exec flag
            yield [sock.fileno()]

    def argv(self, overlay: Path, files: Path, settings: Path, network: int | None = None) -> list[str]:
        """A machine with the overlay, the files, cloud-init's seed, its serial line on the terminal. ``network``: the
        file descriptor of its network."""
        made: list[devices.Device] = [
            devices.Machine("sppr-template", MEMORY, 1, self.accel),
            self.confinement,
            devices.Disk(overlay, report_full=True),
            devices.Files(files),
            devices.Files(settings),
            devices.Terminal(),
        ]
        if network is not None:
            made += [devices.OutsideNic(_MAC, network), devices.FwCfg("outside", _MAC)]
        return devices.argv(find_program(devices.QEMU), made)

    def bundle(self, target: Path) -> None:
        """The tar that the guest unpacks, with the sums it checks, and the files of steps below step/NUMBER."""
        files = {Path(name).name: (GUEST / name).read_bytes() for name in FILES}
        files["spp_vm"] = self.program.read_bytes()
        sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
        with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar:
            for name, data in {**files, "SHA256SUMS": sums.encode()}.items():
                _put(tar, name, data)
            for n, step in enumerate(self.steps):
                if step.file is not None:
                    tar.add(self.folder / step.file, f"step/{n}", filter=_roots)
                else:
                    _put(tar, f"step/{n}", f"{step.run}\n".encode())


_LOGIN_HINT = "an image with cloud-init, or one whose serial console logs in by itself; or leave provision: out"


def _put(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o755 if data.startswith((b"#!", b"\x7fELF")) else 0o644
    tar.addfile(entry, io.BytesIO(data))


def _roots(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Files are root's in the guest, whoever's they are here."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def describe(step: Step) -> str:
    """A step in a line."""
    if step.run is None:
        return f"copy {step.file} to {step.to}"
    first, _, more = step.run.strip().partition("\n")
    return f"{first} …" if more else first


def command(number: int, step: Step) -> str:
    """What is typed in the guest for a step, whose file or script lies in the bundle as step/NUMBER."""
    brought = f"/run/nf/step/{number}"
    if step.to is not None:
        to = shlex.quote(step.to)
        return f'mkdir -p "$(dirname {to})" && cp -rpT {brought} {to}'
    return f"cd /root && sh -e {brought}"


def of(config: Config, folder: Path) -> Provisioner:
    """As the conf.yml in ``folder`` wants templates to be filled."""
    return Provisioner(accel(config.vm.accel, facts.read()), steps=config.provision, folder=folder)


def confinement() -> devices.Confinement:
    """Of the QEMU that boots a template: as of every guest. It opens its files before it drops to its user."""
    user = vm_user.find()
    return devices.Confinement(user.pw_name if user else "", devices.has_seccomp(which(devices.QEMU)))


@contextlib.contextmanager
def _work(folder: Path) -> Iterator[Path]:
    """A folder for a while, beside the overlay and swept with it where this process is killed."""
    folder.mkdir(0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
