"""The image folder: a base image, templates over it (or-… for ring VMs, ov-… for vhost VMs), and instances over them
in img/. Each is created when it is missing."""

import json
import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from sppr.errors import HostError
from sppr.host import atomic_write
from sppr.host.root.privilege import give_to_folder_owner
from sppr.images import boot_region, qemu_img
from sppr.images.template_note import has_spp_vm, note_path, read_note

if TYPE_CHECKING:
    from sppr.host.process.processes import Holder

#: ``normal``: a VM without SPP ports, only started by hand.
Kind = Literal["ring", "vhost", "normal"]
PREFIX: dict[Kind, str] = {"ring": "or-", "vhost": "ov-", "normal": "on-"}
LETTER: dict[Kind, str] = {"ring": "r", "vhost": "v", "normal": "n"}
SUFFIXES = (".qcow2", ".img", ".raw", ".qcow")
BUILD_HINT = "make up builds one (sppr image build), or copy an image there"


class AmbiguousBase(HostError):
    """The folder contains several base images, and conf.yml names none."""


class Filler(Protocol):
    """An installer of spp_vm in a new template."""

    def digest(self) -> str | None:
        """Return what identifies the program and the steps, or None if there is nothing to install."""

    def fill(self, overlay: Path, report: Callable[[str], None]) -> bool:
        """Fill the overlay. Return whether spp_vm is installed. After an error, no template remains."""


@dataclass(frozen=True)
class Store:
    """The images over one base image.

    ``folder``: folder of the base and its templates. Instances are in ``folder``/img.
    ``base``: file name of the base.
    ``format``: format of the base.
    """

    folder: Path
    base: str
    format: str

    @property
    def base_path(self) -> Path:
        """Path of the base image."""
        return self.folder / self.base

    def template(self, kind: Kind) -> Path:
        """Return the path of the template of a kind."""
        return self.folder / f"{PREFIX[kind]}{self.base}"

    def instance(self, kind: Kind, vm_id: int) -> Path:
        """Return the path of an instance: ``img/v11-<base>`` for vhost VM 11."""
        return self.folder / "img" / f"{LETTER[kind]}{vm_id}-{self.base}"

    def instances(self, kind: Kind) -> list[Path]:
        """Return the existing instances of a kind."""
        pattern = re.compile(rf"{LETTER[kind]}\d+-{re.escape(self.base)}")
        folder = self.folder / "img"
        return (
            sorted(p for p in folder.glob(f"{LETTER[kind]}*") if pattern.fullmatch(p.name)) if folder.is_dir() else []
        )

    def ensure_template(self, kind: Kind, report: Callable[[str], None], filler: Filler | None = None) -> Path:
        """Return the template of a kind. If it is missing, create it, read-only, and let ``filler`` fill it.

        An existing template with another spp_vm stays unchanged, but is reported. Raise HostError if the base is not an
        image, or changed since the template was created.
        """
        template = self.template(kind)
        fingerprint = self._fingerprint()
        if not template.exists():
            self._make_template(kind, fingerprint, report, filler)
            return template
        self.check_unchanged(kind)
        note = read_note(template)
        digest = filler.digest() if filler else None
        if digest and note.get("spp_vm") != digest:
            has = "an outdated spp_vm or was built with other steps" if note.get("spp_vm") else "no spp_vm"
            again = f"to rebuild it: sppr image build-template --force {kind}"
            report(f"template {template.name} contains {has} and was not changed; {again}")
        return template

    def rebuild_template(self, kind: Kind, report: Callable[[str], None], filler: Filler) -> Path:
        """Create the template again over the base, and replace the old one. On failure the old template stays.

        Raise HostError if instances use the template.
        """
        self.check_template_free(kind)
        template = self.template(kind)
        if template.exists():
            check_free(template)
        self._make_template(kind, self._fingerprint(), report, filler, replace=template.exists())
        return template

    def has_spp_vm(self, kind: Kind) -> bool:
        """Return whether VMs of this kind have an spp_vm that starts at boot."""
        return has_spp_vm(self.template(kind))

    def _make_template(
        self,
        kind: Kind,
        fingerprint: dict[str, int],
        report: Callable[[str], None],
        filler: Filler | None,
        *,
        replace: bool = False,
    ) -> None:
        """Create the template and its note.

        The note is written before the template gets its name: a template without a note would pass as one whose base
        has not changed.
        """
        template = self.template(kind)
        self.check_base()
        atomic_write.remove_leftovers(template)
        digest = filler.digest() if filler else None

        def fill(overlay: Path) -> None:
            installed = digest if filler and digest and filler.fill(overlay, report) else None
            if replace and installed is None:
                raise HostError(
                    f"{template}: not changed, because the new one could not be filled", hint="see the messages above"
                )
            note = note_path(template)
            new = note.with_name(f"{note.name}.{os.getpid()}.tmp")
            described = {"spp_vm": installed, "boot": boot_region.digest(overlay, "qcow2")}
            new.write_text(json.dumps({**fingerprint, **described}) + "\n")
            give_to_folder_owner(new)
            new.rename(note)

        if digest:
            report(f"template {template.name}: booting it once to install spp_vm")
        qemu_img.overlay(self.base_path, self.format, template, 0o444, fill, replace=replace)
        report(f"template {template.name} created over {self.base}")

    def ensure_instance(
        self, kind: Kind, vm_id: int, report: Callable[[str], None], filler: Filler | None = None
    ) -> Path:
        """Return the disk of a VM. Create it over its template if it is missing; an existing disk stays unchanged."""
        template = self.ensure_template(kind, report, filler)
        instance = self.instance(kind, vm_id)
        if not instance.exists():
            if not instance.parent.exists():
                instance.parent.mkdir(exist_ok=True)
                give_to_folder_owner(instance.parent)
            atomic_write.remove_leftovers(instance)
            qemu_img.overlay(template, "qcow2", instance, 0o644)
            report(f"instance {instance.name} created over {template.name}")
        return instance

    def check_base(self) -> None:
        """Raise HostError unless the base is a readable image in the format that conf.yml names."""
        found = qemu_img.info(self.base_path)
        if found.format != self.format:
            raise HostError(
                f"{self.base_path}: is {found.format}, not {self.format}",
                hint=f"set images.format: {found.format} in conf.yml if it is an image, or put another image there",
            )

    def check_usable(self, kind: Kind, vm_id: int, stopping: Collection[int] = ()) -> None:
        """Raise HostError if an existing template or instance cannot be used. Create nothing.

        The reasons: an image is damaged, its backing file is missing or has changed, or another process writes to one
        of the images. ``stopping``: pids of processes that exit before the images are used.
        """
        template, instance = self.template(kind), self.instance(kind, vm_id)
        if template.exists():
            self.check_unchanged(kind)
            qemu_img.backing_chain(template)
        if vm_id and instance.exists():
            found = qemu_img.backing_chain(instance)[0]
            if found.format != "qcow2":
                hint = f"create a new one: sppr image reset {instance.name}"
                raise HostError(f"{instance}: is not a qcow2 image but {found.format}", hint=hint)
        check_free(self.base_path, template, instance, stopping=stopping)

    def check_unchanged(self, kind: Kind) -> None:
        """Raise HostError if the base changed after the template was created."""
        template, fingerprint = self.template(kind), self._fingerprint()
        note = read_note(template)
        if note and {key: note.get(key) for key in fingerprint} != fingerprint:
            raise HostError(
                f"{self.base_path}: changed after {template.name} was created over it, which corrupts its overlays",
                hint=f"put the old base back, or remove its overlays: sppr image rm {self._names(kind)}",
            )

    def _names(self, kind: Kind) -> str:
        return " ".join(path.name for path in (self.template(kind), *self.instances(kind)))

    def check_template_free(self, kind: Kind) -> None:
        """Raise HostError if instances use the template: a boot that writes to the template would corrupt them."""
        if overlays := self.instances(kind):
            names, one = ", ".join(p.name for p in overlays), len(overlays) == 1
            hint = f"save the data that you need, then: sppr image rm {' '.join(p.name for p in overlays)}"
            why = f"{names} use{'s' * one} this template; booting it would corrupt {'it' if one else 'them'}"
            raise HostError(f"{self.template(kind)}: {why}", hint=hint)

    def _fingerprint(self) -> dict[str, int]:
        try:
            stat = self.base_path.stat()
        except OSError:
            raise HostError(f"{self.base_path}: no such image", hint=BUILD_HINT) from None
        return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def stop_hint(holder: "Holder") -> str:
    """Return the command that stops a process which uses an image: by name if it is a VM of sppr."""
    vm = re.fullmatch(r"vm-([rv]\d+)", holder.name)
    verb = f"sppr stop vm_{vm[1]}" if vm else "sppr down"
    return f"stop it first: {verb}, or if it belongs to no session: kill {holder.pid}"


def check_free(*images: Path, stopping: Collection[int] = ()) -> None:
    """Raise HostError if a process writes to one of the images, so that QEMU could not lock it.

    ``stopping``: pids to ignore. All processes are examined once.
    """
    from sppr.host.process import processes  # its import of psutil takes 5 ms

    for image, found in processes.find_holders(images).items():
        if writers := [holder for holder in found if holder.writes and holder.pid not in stopping]:
            who = ", ".join(map(str, writers))
            raise HostError(f"{image}: is in use by {who}", hint=stop_hint(writers[0]))


def find(folder: Path, base: str | None, image_format: str) -> Store:
    """Return the store of a folder.

    Without ``base``, the folder must contain exactly one base image. Raise HostError if there is none, AmbiguousBase
    for several.
    """
    if base is not None:
        return Store(folder, base, image_format)
    found = base_candidates(folder)
    if not found:
        raise HostError(f"{folder}: no base image", hint=BUILD_HINT)
    if len(found) > 1:
        raise AmbiguousBase(
            f"{folder}: several base images: {', '.join(found)}",
            hint=f"name one in conf.yml: images: {{base: {found[0]}}}",
        )
    return Store(folder, found[0], image_format)


def base_candidates(folder: Path) -> list[str]:
    """Return the names of files that can be a base: with an image suffix, no template, no hidden file."""
    names = (p.name for p in folder.glob("*") if p.is_file() and p.suffix.lower() in SUFFIXES)
    return sorted(n for n in names if not n.startswith((".", *PREFIX.values())))


def hostname_note(disk: Path) -> Path:
    """Return the path of the note that an instance has a host name of its own."""
    return disk.with_name(f".{disk.name}.name")
