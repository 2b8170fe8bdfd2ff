"""List the images of a folder: their backing files, the processes that use them, and their problems."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sppr.errors import HostError
from sppr.host.checks import Finding
from sppr.host.process import processes
from sppr.host.process.processes import Holder
from sppr.images import qemu_img, store, template_note
from sppr.images.store import LETTER, PREFIX, Kind, Store

Role = Literal["base", "template", "instance"]
_INSTANCE = re.compile(r"(?P<letter>[rvn])(?P<id>\d{1,3})-(?P<base>.+)")
#: Temporary file of a killed run, also of older releases: ``.or-x.qcow2.4711.tmp``.
_LEFTOVER = re.compile(r"\..+\.(\d+)\.tmp")

_IDS: dict[type[HostError], str] = {qemu_img.BackingFileMissing: "img-base", qemu_img.BackingFormatMissing: "img-fmt"}


@dataclass(frozen=True)
class Entry:
    """An image in the list.

    ``vm``: name of the VM (``r6``), of an instance.
    ``base``: file name of the base that it belongs to.
    ``size``: size that the guest sees, in bytes.
    ``disk``: bytes that the image occupies on disk.
    ``chain``: its backing files, the nearest first.
    ``holders``: processes that have it open.
    ``spp_vm``: whether the template starts spp_vm at boot; None if it is not a template.
    ``fault``: why it cannot be used.
    """

    path: Path
    role: Role
    kind: Kind | None
    base: str
    vm: str | None = None
    format: str = ""
    size: int = 0
    disk: int = 0
    chain: tuple[Path, ...] = ()
    holders: tuple[Holder, ...] = ()
    spp_vm: bool | None = None
    fault: HostError | None = None

    @property
    def name(self) -> str:
        """Its file name."""
        return self.path.name


def entries(folder: Path) -> list[Entry]:
    """Return all images of a folder and its img/: bases, then templates, then instances by kind and id."""
    listed = list(list_by_name(folder))
    open_by = processes.find_holders(entry.path for entry in listed)
    return [_inspect(entry, tuple(open_by.get(entry.path, ()))) for entry in listed]


def list_by_name(folder: Path) -> Iterator[Entry]:
    """Yield the images without opening them; their role follows from their names."""
    for name in store.base_candidates(folder):
        yield Entry(folder / name, "base", None, name)
    for kind, prefix in PREFIX.items():
        for path in sorted(folder.glob(f"{prefix}*")):
            spp_vm = template_note.has_spp_vm(path)
            yield Entry(path, "template", kind, path.name.removeprefix(prefix), spp_vm=spp_vm)
    kinds = {letter: kind for kind, letter in LETTER.items()}
    instances = [(match, path) for path in (folder / "img").glob("*") if (match := _INSTANCE.fullmatch(path.name))]
    for match, path in sorted(instances, key=lambda pair: (pair[0]["letter"], int(pair[0]["id"]), pair[0]["base"])):
        vm = f"{match['letter']}{int(match['id'])}"
        yield Entry(path, "instance", kinds[match["letter"]], match["base"], vm)


def _inspect(entry: Entry, holders: tuple[Holder, ...]) -> Entry:
    entry = replace(entry, holders=holders)
    try:
        found = qemu_img.info(entry.path)
        backing = (found.backing_path.resolve(),) if found.backing_path else ()
        entry = replace(entry, format=found.format, size=found.size, disk=found.disk, chain=backing)
        if entry.role != "base" and not backing:
            raise HostError(f"{entry.path}: has no backing file: it is a standalone image", hint=_fix(entry))
        chain = tuple(one.path.resolve() for one in qemu_img.backing_chain(entry.path)[1:])
    except HostError as e:
        return replace(entry, fault=e)
    return replace(entry, chain=chain)


def overlays_of(entry: Entry, others: Iterable[Entry]) -> list[Entry]:
    """Return those of ``others`` that depend on ``entry``, directly or indirectly, and would be lost with it."""
    here = entry.path.resolve()
    by_path = {other.path.resolve(): other for other in others}

    def depends(other: Entry) -> bool:
        return here in other.chain or any(below in by_path and depends(by_path[below]) for below in other.chain[:1])

    return [other for other in by_path.values() if depends(other)]


def check(folder: Path, image_format: str) -> list[Finding]:
    """Return the problems of the images of a folder, each with the command that fixes it. Every image is read."""
    found = entries(folder)
    problems = [finding for entry in found for finding in _check(entry, image_format)]
    return problems + list(_leftovers(folder))


def _check(entry: Entry, image_format: str) -> Iterator[Finding]:
    path = entry.path
    if entry.fault:
        yield Finding(_IDS.get(type(entry.fault), "img-broken"), "error", entry.fault.what, entry.fault.hint or "")
    elif entry.role == "base" and entry.format != image_format:
        what = f"{path}: is {entry.format}, not {image_format}"
        fix = f"sppr image import {path} --name {path.stem}-2.qcow2, or set images.format: {entry.format} in conf.yml"
        yield Finding("img-format", "error", what, fix)
    elif writers := [holder for holder in entry.holders if holder.writes]:
        what = f"{path}: is in use by {', '.join(map(str, writers))}; not checked"
        yield Finding("img-lock", "warning", what, "check again when that process has exited")
    elif broken := qemu_img.find_damage(path, entry.format):
        yield Finding("img-broken", "error", f"{path}: {broken}", _fix(entry))
    if entry.role == "template" and entry.kind and (path.parent / entry.base).exists():
        try:
            Store(path.parent, entry.base, image_format).check_unchanged(entry.kind)
        except HostError as e:
            yield Finding("img-base", "error", e.what, e.hint or "")


def _fix(entry: Entry) -> str:
    if entry.role == "instance":
        return f"sppr image reset {entry.vm}   (a new one from its template; its data is lost)"
    if entry.role == "template":
        return f"sppr image rm {entry.name}   (the next wakeup creates a new one)"
    return "import it again: sppr image import FILE"


def _leftovers(folder: Path) -> Iterator[Finding]:
    for path in sorted((*folder.glob(".*.tmp"), *(folder / "img").glob(".*.tmp"))):
        match = _LEFTOVER.fullmatch(path.name)
        if match and not Path("/proc", match[1]).exists():
            what = f"{path}: incomplete image of a killed run (pid {match[1]})"
            yield Finding("img-partial", "warning", what, f"rm {path}")
