"""The image folders: base -> templates or-… (ring) and ov-… (vhost) -> instances in img/, each made when missing."""

import json
import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from sppr.errors import HostError
from sppr.host import atomic_write
from sppr.host.root.privilege import as_its_folder
from sppr.images import qemu_img
from sppr.images.template_note import carries_spp_vm, mark_of, read_mark

if TYPE_CHECKING:
    from sppr.host.process.processes import Holder

#: ``normal``: without any port of SPP's, run by hand only.
Kind = Literal["ring", "vhost", "normal"]
PREFIX: dict[Kind, str] = {"ring": "or-", "vhost": "ov-", "normal": "on-"}
LETTER: dict[Kind, str] = {"ring": "r", "vhost": "v", "normal": "n"}
SUFFIXES = (".qcow2", ".img", ".raw", ".qcow")
BUILD_HINT = "make up builds one (sppr image build), or copy an image there"


class SeveralBases(HostError):
    """Several base images lie there and none is named: which one a lab's disks stand on is not known."""


class Filler(Protocol):
    """Puts the guest's program into a template while it is made."""

    def digest(self) -> str | None:
        """What says which program it is; None where there is none to put in."""

    def fill(self, overlay: Path, report: Callable[[str], None]) -> bool:
        """Whether it is in. An error leaves no template."""


@dataclass(frozen=True)
class Store:
    """``folder``: where the base and its templates lie; instances in ``folder``/img. ``base``: its file name."""

    folder: Path
    base: str
    format: str

    @property
    def base_path(self) -> Path:
        return self.folder / self.base

    def template(self, kind: Kind) -> Path:
        return self.folder / f"{PREFIX[kind]}{self.base}"

    def instance(self, kind: Kind, vm_id: int) -> Path:
        """``img/v11-<base>``: kind and id can be seen."""
        return self.folder / "img" / f"{LETTER[kind]}{vm_id}-{self.base}"

    def instances(self, kind: Kind) -> list[Path]:
        pattern = re.compile(rf"{LETTER[kind]}\d+-{re.escape(self.base)}")
        folder = self.folder / "img"
        return (
            sorted(p for p in folder.glob(f"{LETTER[kind]}*") if pattern.fullmatch(p.name)) if folder.is_dir() else []
        )

    def ensure_template(self, kind: Kind, report: Callable[[str], None], filler: Filler | None = None) -> Path:
        """The template of ``kind``, read-only, made when missing, with what ``filler`` puts in. HostError when its base
        is none or has changed."""
        template = self.template(kind)
        now = self._fingerprint()
        if not template.exists():
            self._make_template(kind, now, report, filler)
            return template
        self.check_unchanged(kind)
        mark = read_mark(template)
        wanted = filler.digest() if filler else None
        if wanted and mark.get("spp_vm") != wanted:
            has = "another spp_vm, or other steps, than those of now" if mark.get("spp_vm") else "no spp_vm"
            again = f"a new one: sppr image build-template --force {kind}"
            report(f"template {template.name} carries {has}: it stays as it is; {again}")
        return template

    def provision(self, kind: Kind, report: Callable[[str], None], filler: Filler) -> Path:
        """The template made anew over the base, in the place of the old one, which a failure leaves as it is. HostError
        where instances stand on it."""
        self.check_template_free(kind)
        template = self.template(kind)
        if template.exists():
            check_free(template)
        self._make_template(kind, self._fingerprint(), report, filler, replace=template.exists())
        return template

    def carries(self, kind: Kind) -> bool:
        """Whether the VMs of this kind have an spp_vm that starts at boot."""
        return carries_spp_vm(self.template(kind))

    def _make_template(
        self,
        kind: Kind,
        now: dict[str, int],
        report: Callable[[str], None],
        filler: Filler | None,
        *,
        replace: bool = False,
    ) -> None:
        """The mark is written before the template has its name: one without the other would be taken for unchanged."""
        template = self.template(kind)
        self.check_base()
        atomic_write.sweep(template)
        wanted = filler.digest() if filler else None

        def fill(overlay: Path) -> None:
            within = wanted if filler and wanted and filler.fill(overlay, report) else None
            if replace and within is None:
                raise HostError(f"{template}: stays as it was", hint="nothing could be put in")
            mark = mark_of(template)
            new = mark.with_name(f"{mark.name}.{os.getpid()}.tmp")
            new.write_text(json.dumps({**now, "spp_vm": within}) + "\n")
            as_its_folder(new)
            new.rename(mark)

        if wanted:
            report(f"template {template.name}: booting it once to fill it")
        qemu_img.overlay(self.base_path, self.format, template, 0o444, fill, replace=replace)
        report(f"template {template.name} made over {self.base}")

    def ensure_instance(
        self, kind: Kind, vm_id: int, report: Callable[[str], None], filler: Filler | None = None
    ) -> Path:
        """The disk of one VM, made over its template when missing; one that is there is left as it is."""
        template = self.ensure_template(kind, report, filler)
        instance = self.instance(kind, vm_id)
        if not instance.exists():
            if not instance.parent.exists():
                instance.parent.mkdir(exist_ok=True)
                as_its_folder(instance.parent)
            atomic_write.sweep(instance)
            qemu_img.overlay(template, "qcow2", instance, 0o644)
            report(f"instance {instance.name} made over {template.name}")
        return instance

    def check_base(self) -> None:
        """HostError unless the base is a readable image of the format conf.yml says."""
        found = qemu_img.info(self.base_path)
        if found.format != self.format:
            raise HostError(
                f"{self.base_path}: is {found.format}, not {self.format}",
                hint=f"set images.format: {found.format} in conf.yml if it is an image, or put another one there",
            )

    def check_made(self, kind: Kind, vm_id: int, stopping: Collection[int] = ()) -> None:
        """HostError where a template or an instance that is there cannot be used: broken, what it stands on missing or
        changed, or one of them, or the base, being written to by another process. ``stopping``: pids that end before
        it is used. Makes nothing."""
        template, instance = self.template(kind), self.instance(kind, vm_id)
        if template.exists():
            self.check_unchanged(kind)
            qemu_img.chain(template)
        if vm_id and instance.exists():
            found = qemu_img.chain(instance)[0]
            if found.format != "qcow2":
                hint = f"a new one is made by: sppr image reset {instance.name}"
                raise HostError(f"{instance}: is no qcow2 image but {found.format}", hint=hint)
        check_free(self.base_path, template, instance, stopping=stopping)

    def check_unchanged(self, kind: Kind) -> None:
        template, now = self.template(kind), self._fingerprint()
        mark = read_mark(template)
        if mark and {key: mark.get(key) for key in now} != now:
            raise HostError(
                f"{self.base_path}: changed after {template.name} was made over it, so what stands on it is corrupt",
                hint=f"put the old base back, or give up what stands on it: sppr image rm {self._names(kind)}",
            )

    def _names(self, kind: Kind) -> str:
        return " ".join(path.name for path in (self.template(kind), *self.instances(kind)))

    def check_template_free(self, kind: Kind) -> None:
        """HostError where instances stand on the template: a boot that writes to it would corrupt them."""
        if standing := self.instances(kind):
            names, one = ", ".join(p.name for p in standing), len(standing) == 1
            hint = f"save what you need, then: sppr image rm {' '.join(p.name for p in standing)}"
            why = f"{names} stand{'s' * one} on this template; booting it would break {'it' if one else 'them'}"
            raise HostError(f"{self.template(kind)}: {why}", hint=hint)

    def _fingerprint(self) -> dict[str, int]:
        try:
            stat = self.base_path.stat()
        except OSError:
            raise HostError(f"{self.base_path}: no such image", hint=BUILD_HINT) from None
        return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def end_hint(holder: "Holder") -> str:
    """How the process that has an image is ended: by its part's name where its guest is called like one."""
    vm = re.fullmatch(r"vm-([rv]\d+)", holder.name)
    verb = f"sppr stop vm_{vm[1]}" if vm else "sppr down"
    return f"end it first: {verb}, or where no session has it: kill {holder.pid}"


def check_free(*images: Path, stopping: Collection[int] = ()) -> None:
    """HostError where a process writes to one of them: QEMU would not get its lock. ``stopping``: pids that do not
    count. Looks at all processes once."""
    from sppr.host.process import processes  # psutil takes 5 ms

    for image, found in processes.holders(images).items():
        if writers := [holder for holder in found if holder.writes and holder.pid not in stopping]:
            who = ", ".join(map(str, writers))
            raise HostError(f"{image}: is in use by {who}", hint=end_hint(writers[0]))


def find(folder: Path, base: str | None, image_format: str) -> Store:
    """The store of ``folder``. Without ``base`` the one image that lies there; HostError for none or several."""
    if base is not None:
        return Store(folder, base, image_format)
    found = candidates(folder)
    if not found:
        raise HostError(f"{folder}: no base image", hint=BUILD_HINT)
    if len(found) > 1:
        raise SeveralBases(
            f"{folder}: several base images: {', '.join(found)}",
            hint=f"say in conf.yml which: images: {{base: {found[0]}}}",
        )
    return Store(folder, found[0], image_format)


def candidates(folder: Path) -> list[str]:
    """Names of files that may be a base: image suffixes, no template, no hidden file."""
    names = (p.name for p in folder.glob("*") if p.is_file() and p.suffix.lower() in SUFFIXES)
    return sorted(n for n in names if not n.startswith((".", *PREFIX.values())))


def name_note(disk: Path) -> Path:
    """Where it is noted that the guest of an instance was given another host name."""
    return disk.with_name(f".{disk.name}.name")
