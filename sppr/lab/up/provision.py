"""Fill a new template: boot it once, run the steps of conf.yml, install spp_vm, and power it off.

The files go in as a second disk, a plain tar. fw_cfg would return a file page by page, and read everything before the
page again for each, which takes minutes for a program.
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
from sppr.qemu import devices, passt, pluggable
from sppr.qemu.serial import LoginRequired, Serial
from sppr.run import find_program, which
from sppr.spp.tree import BUILD_DIR
from sppr.units import mac_of

#: Files of a template besides spp_vm. sppr-identity.service sets the identity in a guest with systemd; our own base
#: image does so by itself.
FILES = ("nf/install", "nf/spp_vm-start", "nf/spp_vm.service", "nf/sppr-identity.service", "root/usr/lib/sppr/identity")
MEMORY = 384
#: Bytes that must be free in the folder of the template, and below which a file system counts as full after an error:
#: a write that fails needs more than is free, and QEMU writes several MiB at once.
MARGIN, FULL = 64 << 20, 8 << 20
#: Time limit in seconds. A trimmed image takes ten seconds under TCG; a stock image with cloud-init takes a minute or
#: more to boot.
SECONDS = 300.0
#: Time limit in seconds for all steps of conf.yml together.
STEP_SECONDS = 1800.0
_MAC = mac_of(0xB1, 0, 0)
_UNPACK = "unset HISTFILE; rm -rf /run/nf && mkdir -p /run/nf && tar -C /run/nf -xf /dev/vdb && cd /run/nf"
_INSTALL = "cd /run/nf && sh ./install && cd / && sync"
Report = Callable[[str], None]


@dataclass(frozen=True)
class Provisioner:
    """The filler of new templates, which a store calls.

    ``accel``: ``kvm`` or ``tcg``. ``confinement``: the user and the sandbox of QEMU.
    ``program``: path of the built spp_vm.
    ``seconds``: time limit of the boot, and of the installation.
    ``steps``: the steps of conf.yml. ``folder``: the folder from which their paths are relative.
    """

    accel: devices.Accel = "tcg"
    program: Path = BUILD_DIR / "spp_vm"
    seconds: float = SECONDS
    steps: tuple[Step, ...] = ()
    folder: Path = Path()
    confinement: devices.Confinement = field(default_factory=lambda: confinement())

    def digest(self) -> str | None:
        """Return the sha256 of the program, and of the steps with their files. None if there is neither.

        Raise HostError if there are steps but spp_vm is not built, or if a file is missing.
        """
        if not self.program.is_file():
            if self.steps:
                raise HostError(f"{self.program}: is not built, and a template needs it", hint="make up")
            return None
        digest = hashlib.sha256(self.program.read_bytes())
        for step in self.steps:
            digest.update(repr(step).encode())
            for path in self._files(step):
                digest.update(path.read_bytes())
        return digest.hexdigest()

    def _files(self, step: Step) -> list[Path]:
        """Return the files of the host that a step copies. Raise HostError if the source does not exist."""
        if step.file is None:
            return []
        source = self.folder / step.file
        if source.is_dir():
            return sorted(path for path in source.rglob("*") if path.is_file())
        if not source.is_file():
            raise HostError(f"provision: {source}: no such file", hint="paths are relative to the folder of conf.yml")
        return [source]

    def fill(self, overlay: Path, report: Report) -> bool:
        """Install into a new overlay that no other process uses, and return whether it was filled.

        Return False, and report the reason, if the console of the image has no root shell. Such an image is used
        without spp_vm. On any other failure raise an SpprError; the overlay must not be used then.
        """
        target = overlay.parent
        if (free := shutil.disk_usage(target).free) < MARGIN:
            # On a full disk QEMU stops the guest in the middle of a write, without a message.
            what = f"{target}: {free >> 20} MiB free; booting a template to install spp_vm may need"
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
                    report(f"    root shell after {deadline.elapsed():.1f} s")
                    self._install(guest, deadline, report)
            except LoginRequired as e:
                if self.steps:
                    raise HostError(f"filling a template failed: {e.what}", hint=_LOGIN_HINT) from e
                report(f"{overlay.name}: {e.what}; spp_vm is not installed")
                return False
            except SpprError as e:
                if (free := shutil.disk_usage(target).free) < FULL:
                    what = f"{target}: No space left on device ({free >> 10} KiB free) while a template was filled"
                    raise HostError(what, hint=f"df -h {target}; free some space, and try again") from e
                raise type(e)(f"filling a template failed: {e.what}", hint=e.hint) from e
        return True

    def _install(self, guest: Serial, deadline: Deadline, report: Report) -> None:
        """Run the steps, install spp_vm, and power the guest off.

        spp_vm comes last, because its script also removes the files that this boot and installed packages created.
        """
        guest.run(_UNPACK, deadline)
        if self.steps:
            guest.run("sh ./identity", deadline)  # sets up the network, which the image does not do by itself yet
        steps = Deadline(STEP_SECONDS)
        for n, step in enumerate(self.steps):
            report(f"    step {n + 1} of {len(self.steps)}: {describe(step)}")
            guest.run(command(n, step), steps)
        last = Deadline(self.seconds)
        guest.run(_INSTALL, last)
        report("    spp_vm is installed")
        guest.power_off(last)

    @contextlib.contextmanager
    def _network(self) -> Iterator[list[int]]:
        """Yield the file descriptor of a network for the guest, or an empty list without steps.

        A step may download something; without steps no network is needed.
        """
        if not self.steps:
            yield []
            return
        with passt.start() as sock:
            sock.set_inheritable(True)  # ptyprocess keeps it open, but does not clear its close-on-exec flag
            yield [sock.fileno()]

    def argv(self, overlay: Path, files: Path, settings: Path, network: int | None = None) -> list[str]:
        """Return the QEMU command line: the overlay, the files, the seed of cloud-init, and a serial line.

        The serial line is on the terminal. ``network``: file descriptor of the network.
        """
        made: list[devices.Device] = [
            devices.Machine("sppr-template", MEMORY, 1, self.accel),
            devices.RandomNumbers(),
            self.confinement,
            devices.Disk(overlay, report_full=True),
            devices.Files(files),
            devices.Files(settings),
            devices.Terminal(),
        ]
        if network is not None:
            made += [pluggable.OutsideNic(_MAC, network), devices.FwCfg("outside", _MAC)]
        return devices.argv(find_program(devices.QEMU), made)

    def bundle(self, target: Path) -> None:
        """Write the tar that the guest unpacks: files, their checksums, and the files of steps as step/NUMBER."""
        files = {Path(name).name: (GUEST / name).read_bytes() for name in FILES}
        files["spp_vm"] = self.program.read_bytes()
        sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
        with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar:
            for name, data in {**files, "SHA256SUMS": sums.encode()}.items():
                _put(tar, name, data)
            for n, step in enumerate(self.steps):
                if step.file is not None:
                    tar.add(self.folder / step.file, f"step/{n}", filter=_owned_by_root)
                else:
                    _put(tar, f"step/{n}", f"{step.run}\n".encode())


_LOGIN_HINT = "use an image with cloud-init, or with a root shell on its serial console; or remove provision:"


def _put(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o755 if data.startswith((b"#!", b"\x7fELF")) else 0o644
    tar.addfile(entry, io.BytesIO(data))


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Make root the owner of a file in the guest. Its owner on the host does not matter."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def describe(step: Step) -> str:
    """Return a description of a step in one line."""
    if step.run is None:
        return f"copy {step.file} to {step.to}"
    first, _, rest = step.run.strip().partition("\n")
    return f"{first} …" if rest else first


def command(number: int, step: Step) -> str:
    """Return the command line of a step in the guest. Its file or script is step/NUMBER in the bundle."""
    source = f"/run/nf/step/{number}"
    if step.to is not None:
        to = shlex.quote(step.to)
        return f'mkdir -p "$(dirname {to})" && cp -rpT {source} {to}'
    return f"cd /root && sh -e {source}"


def provisioner(config: Config, folder: Path) -> Provisioner:
    """Return the provisioner for the templates of a conf.yml. ``folder``: the folder of that file."""
    return Provisioner(accel(config.vm.accel, facts.read()), steps=config.provision, folder=folder)


def confinement() -> devices.Confinement:
    """Return the confinement of the QEMU that boots a template, which is that of every guest.

    QEMU opens its files before it changes to its user.
    """
    user = vm_user.find()
    qemu = which(devices.QEMU)
    return devices.Confinement(user.pw_name if user else "", devices.has_seccomp(qemu), qemu_9_2=devices.is_9_2(qemu))


@contextlib.contextmanager
def _work(folder: Path) -> Iterator[Path]:
    """Create a temporary folder beside the overlay.

    If this process is killed, the folder is cleaned up together with the overlay.
    """
    folder.mkdir(0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
