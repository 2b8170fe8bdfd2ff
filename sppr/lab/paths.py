"""Where a lab lives: its folder, its runscripts, its run directory, its images and programs. Gathered before a plan."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sppr.config.peek import PROJECT
from sppr.errors import HostError
from sppr.host.root import vm_user
from sppr.host.run_directory import sessions_dir
from sppr.images import store as images
from sppr.images.store import Store
from sppr.qemu import devices
from sppr.run import which
from sppr.spp import releases, tree
from sppr.spp.releases import Version

if TYPE_CHECKING:  # pydantic takes 60 ms, and not every command needs it
    from sppr.config.model import Config, Step
    from sppr.parts.part import Part

#: ssh key of the lab, made when first needed; the guests learn its public half at boot.
KEY_NAME = "lab_key"


@dataclass(frozen=True)
class LabPaths:
    """``conf``: the file that was read. ``folder``: where it lies; panes start there. ``run``: the session's state.

    ``vm_user``, ``vm_uid``: the user that QEMU drops to, empty and 0 for none. ``sandbox``: QEMU has seccomp.
    ``qemu_9_2``: it is 9.2 or later.
    ``named_sock_dir``: that of conf.yml, None where it names none.
    """

    session: str
    conf: Path
    folder: Path
    run: Path
    scripts: Path | None
    store: Store | None
    public_key: Path
    tree: Path | None = None
    target: str = ""
    version: Version = Version()  # noqa: RUF009 - frozen
    python: str = ""
    extra_flags: tuple[str, ...] = ()
    no_store: HostError | None = None
    steps: tuple["Step", ...] = ()
    vm_user: str = ""
    vm_uid: int = 0
    sandbox: bool = False
    qemu_9_2: bool = False
    named_sock_dir: str | None = None

    @property
    def sock_dir(self) -> str:
        """The folder of vhost-user sockets and regions: the session's own, where no other user can put a socket that
        QEMU would connect to. SPP's own programs know /tmp only."""
        return self.named_sock_dir or ("/tmp" if self.tree else str(self.run))  # noqa: S108

    def runscript(self, name: str) -> tuple[str, ...]:
        """How a pane calls a runscript: short where it lies in the lab's folder, so that the line can be edited."""
        if self.scripts is None:
            return (which("sppr") or "sppr", "run", name.removesuffix(".py").removeprefix("run-"))
        if self.scripts.parent == self.folder:
            return (f"./runscripts/{name}",)
        return (str(self.scripts / name),)

    def flags(self) -> tuple[str, ...]:
        """What a runscript must be told because it differs from the defaults."""
        return self.extra_flags

    def binary(self, kind: str) -> Path:
        try:
            return tree.binary(kind, self.tree, self.target)
        except HostError:
            return tree.BUILD_DIR / f"spp_{kind}" if self.tree is None else self.tree / f"spp_{kind}"

    def need_store(self) -> Store:
        """Its images; HostError where there is no base, or several and none is named."""
        if self.store is None:
            raise self.no_store or HostError("no base image", hint=images.BUILD_HINT)
        return self.store

    def check_base_named(self, parts: Iterable["Part"]) -> None:
        """Raise AmbiguousBase if one of these parts has a disk and several bases exist.

        The plan then names no disk, so it cannot be compared with the running lab.
        """
        if isinstance(self.no_store, images.AmbiguousBase) and any(part.is_vm for part in parts):
            raise self.no_store

    def check_binaries(self, kinds: list[str]) -> None:
        """HostError for the first program that is not there, with every path that was tried."""
        for kind in kinds:
            tree.binary(kind, self.tree, self.target)

    def with_tree(self, root: Path) -> "LabPaths":
        """The same with another SPP tree."""
        return replace(self, tree=root, version=Version(releases.detect(root) or "HEAD", self.version.sppr_controller))

    def interpreter(self, program: str) -> str:
        """Path of the Python for one of the tree's controllers; its bare name where there is none."""
        wanted = self.python or self.version.python(program)
        return which(wanted) or wanted

    def check_controllers(self, programs: Sequence[str]) -> None:
        """HostError for a controller of the tree that is not there, or whose Python is not or lacks a module."""
        if self.tree is None or self.version.era == "sppr":
            return
        releases.check(self.tree, self.version)
        for program in programs:
            wanted = self.python or self.version.python(program)
            if not releases.script_path(self.tree, program).is_file():
                raise HostError(
                    f"tried: {releases.script_path(self.tree, program)}: not there", hint="is the tree whole?"
                )
            if which(wanted) is None:
                what = f"{program} of SPP {self.version.name} wants {wanted}, which is not installed"
                raise HostError(what, hint="name one: spp: {python: PATH}")
            releases.check_python(self.interpreter(program), self.version, program)


def images_folder(folder: Path, images_dir: str) -> Path:
    """Where base and templates lie, absolute. HostError for a path that no file system takes."""
    try:
        found = (folder / images_dir).resolve()
        found.exists()
    except OSError as e:
        raise HostError(f"images.dir: {images_dir[:60]}…: {e.strerror}", hint="name another folder") from None
    return found


def _version(root: Path | None, wanted: str, sppr_controller: bool) -> Version:
    """What the tree is. A tree that is none counts as the newest until that is told with the rest."""
    if root is None:
        return Version()
    return Version(wanted if wanted != "auto" else releases.detect(root) or "HEAD", sppr_controller)


def gather_paths(config: "Config", conf: Path, session: str | None) -> LabPaths:
    """The site of a lab. Reads folders, touches nothing; a base image that is missing is told later, with the rest."""
    folder = conf.parent
    name = session or config.session
    images_dir = images_folder(folder, config.images.dir)
    store, no_store = None, None
    try:
        store = images.find(images_dir, config.images.base, config.images.format)
    except HostError as e:
        no_store = e
    flags: list[str] = []
    if conf != folder / "conf.yml":
        flags += ["--conf", os.path.relpath(conf, folder)]
    if name != config.session:
        flags += ["--session", name]
    root = Path(os.path.expanduser(config.spp.dir)) if config.spp.dir else None  # noqa: PTH111 - never raises
    run = sessions_dir() / name
    sockets = (Path(config.spp.sock_dir),) if config.spp.sock_dir else ()
    user = None if root or vm_user.problem(run, *sockets) else vm_user.find()
    scripts = next((p for p in (folder / "runscripts", PROJECT / "runscripts") if (p / "primary.py").is_file()), None)
    if scripts is not None and scripts.parent != folder and not flags:
        flags += ["--conf", str(conf)]
    return LabPaths(
        session=name,
        conf=conf,
        folder=folder,
        run=run,
        vm_user=user.pw_name if user else "",
        vm_uid=user.pw_uid if user else 0,
        sandbox=devices.has_seccomp(which(devices.QEMU)),
        qemu_9_2=devices.is_9_2(which(devices.QEMU)),
        scripts=scripts,
        store=store,
        no_store=no_store,
        steps=config.provision,
        public_key=images_dir / f"{KEY_NAME}.pub",
        tree=root,
        target=config.spp.target,
        version=_version(root, config.spp.version, config.spp.controller == "ours"),
        python=config.spp.python or "",
        extra_flags=tuple(flags),
        named_sock_dir=config.spp.sock_dir,
    )
