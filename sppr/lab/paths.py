"""Collect the paths of a lab before it is planned: its folder, runscripts, run directory, images and programs."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
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

if TYPE_CHECKING:  # importing pydantic takes 60 ms, and not every command needs it
    from sppr.config.model import Config, Step
    from sppr.parts.part import Part

#: File name of the ssh key of the lab. It is created when first needed; the guests read its public key at boot.
KEY_NAME = "lab_key"


@dataclass(frozen=True)
class LabPaths:
    """The paths and programs of a lab.

    ``session``: the name of the session. ``run``: its run directory.
    ``conf``: path of conf.yml. ``folder``: its folder, in which panes start.
    ``scripts``: the folder of the runscripts; None: ``sppr run`` replaces them.
    ``store``: the images; None: there is no base image, and ``no_store`` is the error.
    ``public_key``: the public ssh key of the lab.
    ``tree``, ``target``, ``version``: root, RTE_TARGET and release of an upstream SPP tree. None: our own programs.
    ``python``: the interpreter that conf.yml sets for the controllers of the tree.
    ``extra_flags``: options that a runscript needs because they differ from the defaults.
    ``steps``: the steps of conf.yml for new templates.
    ``vm_user``, ``vm_uid``: the user that QEMU changes to; empty and 0: none.
    ``qemu``: path of QEMU; None: not installed. ``sandbox``: whether it has seccomp.
    ``named_sock_dir``: ``spp.sock_dir`` of conf.yml; None: it is not set.
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
    qemu: str | None = None
    sandbox: bool = False
    named_sock_dir: str | None = None

    @cached_property
    def qemu_9_2(self) -> bool:
        """Whether QEMU is 9.2 or later. Finding out takes 11 ms, and only a command line of QEMU needs it."""
        return devices.is_9_2(self.qemu)

    @property
    def sock_dir(self) -> str:
        """Return the folder of vhost-user sockets and regions.

        The default is the run directory, where no other user can create a socket that QEMU would connect to. Upstream
        SPP uses /tmp only.
        """
        return self.named_sock_dir or ("/tmp" if self.tree else str(self.run))  # noqa: S108

    def runscript(self, name: str) -> tuple[str, ...]:
        """Return the command of a runscript in a pane.

        It is short if the runscripts are in the folder of the lab, so that a user can edit the command line.
        """
        if self.scripts is None:
            return (which("sppr") or "sppr", "run", name.removesuffix(".py").removeprefix("run-"))
        if self.scripts.parent == self.folder:
            return (f"./runscripts/{name}",)
        return (str(self.scripts / name),)

    def flags(self) -> tuple[str, ...]:
        """Return the options that a runscript needs because they differ from the defaults."""
        return self.extra_flags

    def binary(self, kind: str) -> Path:
        """Return the path of the program ``spp_<kind>``. If it does not exist, return the path where it should be."""
        try:
            return tree.binary(kind, self.tree, self.target)
        except HostError:
            return tree.BUILD_DIR / f"spp_{kind}" if self.tree is None else self.tree / f"spp_{kind}"

    def require_store(self) -> Store:
        """Return the images. Raise HostError if there is no base image, or several and conf.yml names none."""
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
        """Raise HostError for the first missing program, with every path that was tried."""
        for kind in kinds:
            tree.binary(kind, self.tree, self.target)

    def with_tree(self, root: Path) -> "LabPaths":
        """Return these paths with another SPP tree."""
        return replace(self, tree=root, version=Version(releases.detect(root) or "HEAD", self.version.sppr_controller))

    def interpreter(self, program: str) -> str:
        """Return the path of the Python for a controller of the tree. If it is not installed, return its name."""
        python = self.python or self.version.python(program)
        return which(python) or python

    def check_controllers(self, programs: Sequence[str]) -> None:
        """Raise HostError if a controller of the tree, its Python, or a module that it needs is missing."""
        if self.tree is None or self.version.era == "sppr":
            return
        releases.check(self.tree, self.version)
        for program in programs:
            releases.check_controller(self.tree, self.version, program, self.python)


def images_folder(folder: Path, images_dir: str) -> Path:
    """Return the absolute path of the folder of base images and templates. Raise HostError for an invalid path."""
    try:
        path = (folder / images_dir).resolve()
        path.exists()
    except OSError as e:
        raise HostError(f"images.dir: {images_dir[:60]}…: {e.strerror}", hint="set another folder") from None
    return path


def _version(root: Path | None, configured: str, sppr_controller: bool) -> Version:
    """Return the release of a tree. If it cannot be detected, return HEAD: preflight reports the problem later."""
    if root is None:
        return Version()
    return Version(configured if configured != "auto" else releases.detect(root) or "HEAD", sppr_controller)


def gather_paths(config: "Config", conf: Path, session: str | None) -> LabPaths:
    """Return the paths of a lab. Only read the file system; a missing base image is reported later, by preflight."""
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
    qemu = which(devices.QEMU)
    return LabPaths(
        session=name,
        conf=conf,
        folder=folder,
        run=run,
        vm_user=user.pw_name if user else "",
        vm_uid=user.pw_uid if user else 0,
        qemu=qemu,
        sandbox=devices.has_seccomp(qemu),
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
