"""The image folders: base -> templates or-… (ring) and ov-… (vhost) -> instances in img/, each made when missing."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from sppr.errors import HostError
from sppr.host import temporaries
from sppr.host.ownership import as_its_folder
from sppr.images import qemu_img

Kind = Literal["ring", "vhost"]
PREFIX: dict[Kind, str] = {"ring": "or-", "vhost": "ov-"}
LETTER: dict[Kind, str] = {"ring": "r", "vhost": "v"}
SUFFIXES = (".qcow2", ".img", ".raw", ".qcow")
BUILD_HINT = "make up builds one (sppr image build), or copy an image there"


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
        self._check_unchanged(kind)
        mark = _read_mark(template)
        wanted = filler.digest() if filler else None
        if wanted and mark.get("spp_vm") != wanted:
            has = "another spp_vm than the one built now" if mark.get("spp_vm") else "no spp_vm"
            report(f"template {template.name} carries {has}: it stays as it is; a new one is made once it is removed")
        return template

    def carries(self, kind: Kind) -> bool:
        """Whether the VMs of this kind have an spp_vm that starts at boot."""
        return carries_spp_vm(self.template(kind))

    def _make_template(
        self, kind: Kind, now: dict[str, int], report: Callable[[str], None], filler: Filler | None
    ) -> None:
        """The mark is written before the template has its name: one without the other would be taken for unchanged."""
        template = self.template(kind)
        self.check_base()
        temporaries.sweep(template)
        wanted = filler.digest() if filler else None

        def fill(overlay: Path) -> None:
            within = wanted if filler and wanted and filler.fill(overlay, report) else None
            mark = _mark(template)
            new = mark.with_name(f"{mark.name}.{os.getpid()}.tmp")
            new.write_text(json.dumps({**now, "spp_vm": within}) + "\n")
            as_its_folder(new)
            new.rename(mark)

        if wanted:
            report(f"template {template.name}: booting it once to put spp_vm in")
        qemu_img.overlay(self.base_path, self.format, template, 0o444, fill)
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
            temporaries.sweep(instance)
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

    def check_made(self, kind: Kind, vm_id: int) -> None:
        """HostError where a template or an instance that is there is broken, or its base changed. Makes nothing."""
        template, instance = self.template(kind), self.instance(kind, vm_id)
        if template.exists():
            self._check_unchanged(kind)
            qemu_img.info(template)
        if vm_id and instance.exists():
            found = qemu_img.info(instance)
            if found.format != "qcow2":
                hint = f"remove it, and a new one is made: rm {instance}"
                raise HostError(f"{instance}: is no qcow2 image but {found.format}", hint=hint)

    def _check_unchanged(self, kind: Kind) -> None:
        template, now = self.template(kind), self._fingerprint()
        mark = _read_mark(template)
        if mark and {key: mark.get(key) for key in now} != now:
            raise HostError(
                f"{self.base_path}: changed after {template.name} was made over it, so what stands on it is corrupt",
                hint=f"put the old base back, or remove {template} and the instances in {self.folder / 'img'}",
            )

    def check_template_free(self, kind: Kind) -> None:
        """HostError where instances stand on the template: a boot that writes to it would corrupt them."""
        if standing := self.instances(kind):
            names = ", ".join(p.name for p in standing)
            hint = f"save what you need and remove them, then again: rm {' '.join(map(str, standing))}"
            raise HostError(
                f"{self.template(kind)}: {names} stand on this template; booting it would break them", hint=hint
            )

    def _fingerprint(self) -> dict[str, int]:
        try:
            stat = self.base_path.stat()
        except OSError:
            raise HostError(f"{self.base_path}: no such image", hint=BUILD_HINT) from None
        return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def find(folder: Path, base: str | None, image_format: str) -> Store:
    """The store of ``folder``. Without ``base`` the one image that lies there; HostError for none or several."""
    if base is not None:
        return Store(folder, base, image_format)
    found = candidates(folder)
    if not found:
        raise HostError(f"{folder}: no base image", hint=BUILD_HINT)
    if len(found) > 1:
        raise HostError(
            f"{folder}: several base images: {', '.join(found)}", hint=f"say which: images: {{base: {found[0]}}}"
        )
    return Store(folder, found[0], image_format)


def candidates(folder: Path) -> list[str]:
    """Names of files that may be a base: image suffixes, no template, no hidden file."""
    names = (p.name for p in folder.glob("*") if p.is_file() and p.suffix.lower() in SUFFIXES)
    return sorted(n for n in names if not n.startswith((".", *PREFIX.values())))


def carries_spp_vm(template: Path) -> bool:
    """Whether the VMs of this template have an spp_vm that starts at boot."""
    return bool(_read_mark(template).get("spp_vm"))


def _mark(template: Path) -> Path:
    return template.with_name(f".{template.name}.json")


def _read_mark(template: Path) -> dict[str, int | str | None]:
    """What was noted when the template was made. Empty for one that was put there, or whose note is broken."""
    try:
        found = json.loads(_mark(template).read_text())
    except (OSError, ValueError):
        return {}
    return dict(found) if isinstance(found, dict) else {}
