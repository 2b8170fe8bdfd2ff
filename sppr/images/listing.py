"""What lies in the image folders: each image, what it stands on, who runs it, and what is wrong with it."""

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
#: What a killed run of ours, or of an older one, leaves: ``.or-x.qcow2.4711.tmp``.
_LEFTOVER = re.compile(r"\..+\.(\d+)\.tmp")

_IDS: dict[type[HostError], str] = {qemu_img.NoBacking: "img-base", qemu_img.NoFormat: "img-fmt"}


@dataclass(frozen=True)
class Entry:
    """``vm``: ``r6`` of an instance. ``base``: file name of the base it belongs to. Bytes: ``size`` as a guest sees it,
    ``disk`` on the host. ``chain``: what it stands on, nearest first. ``holders``: who has it open.
    ``spp_vm``: whether a template starts one at boot. ``fault``: why it cannot be used."""

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
        return self.path.name


def entries(folder: Path) -> list[Entry]:
    """All images of ``folder`` and its img/: bases, then templates, then instances by kind and id."""
    found = list(named(folder))
    open_by = processes.holders(entry.path for entry in found)
    return [_looked_at(entry, tuple(open_by.get(entry.path, ()))) for entry in found]


def named(folder: Path) -> Iterator[Entry]:
    """Images by their names alone."""
    for name in store.candidates(folder):
        yield Entry(folder / name, "base", None, name)
    for kind, prefix in PREFIX.items():
        for path in sorted(folder.glob(f"{prefix}*")):
            carries = template_note.carries_spp_vm(path)
            yield Entry(path, "template", kind, path.name.removeprefix(prefix), spp_vm=carries)
    kinds = {letter: kind for kind, letter in LETTER.items()}
    instances = [(match, path) for path in (folder / "img").glob("*") if (match := _INSTANCE.fullmatch(path.name))]
    for match, path in sorted(instances, key=lambda pair: (pair[0]["letter"], int(pair[0]["id"]), pair[0]["base"])):
        vm = f"{match['letter']}{int(match['id'])}"
        yield Entry(path, "instance", kinds[match["letter"]], match["base"], vm)


def _looked_at(entry: Entry, holders: tuple[Holder, ...]) -> Entry:
    entry = replace(entry, holders=holders)
    try:
        found = qemu_img.info(entry.path)
        backing = (found.backing_path.resolve(),) if found.backing_path else ()
        entry = replace(entry, format=found.format, size=found.size, disk=found.disk, chain=backing)
        if entry.role != "base" and not backing:
            raise HostError(f"{entry.path}: stands on no base: it is an image of its own", hint=_remedy(entry))
        chain = tuple(one.path.resolve() for one in qemu_img.chain(entry.path)[1:])
    except HostError as e:
        return replace(entry, fault=e)
    return replace(entry, chain=chain)


def standing_on(entry: Entry, others: Iterable[Entry]) -> list[Entry]:
    """Those of ``others`` that are lost with ``entry``: they stand on it, directly or not."""
    here = entry.path.resolve()
    by_path = {other.path.resolve(): other for other in others}

    def stands(other: Entry) -> bool:
        return here in other.chain or any(below in by_path and stands(by_path[below]) for below in other.chain[:1])

    return [other for other in by_path.values() if stands(other)]


def check(folder: Path, image_format: str) -> list[Finding]:
    """All that is wrong with the images of a folder, each with the command that mends it. Reads every image."""
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
        what = f"{path}: is in use by {', '.join(map(str, writers))}; not looked into"
        yield Finding("img-lock", "warning", what, "again when it has ended")
    elif broken := qemu_img.faults(path, entry.format):
        yield Finding("img-broken", "error", f"{path}: {broken}", _remedy(entry))
    if entry.role == "template" and entry.kind and (path.parent / entry.base).exists():
        try:
            Store(path.parent, entry.base, image_format).check_unchanged(entry.kind)
        except HostError as e:
            yield Finding("img-base", "error", e.what, e.hint or "")


def _remedy(entry: Entry) -> str:
    if entry.role == "instance":
        return f"sppr image reset {entry.vm}   (a new one from its template; what was in it is lost)"
    if entry.role == "template":
        return f"sppr image rm {entry.name}   (the next wakeup makes a new one)"
    return "copy it there anew, by: sppr image import FILE"


def _leftovers(folder: Path) -> Iterator[Finding]:
    for path in sorted((*folder.glob(".*.tmp"), *(folder / "img").glob(".*.tmp"))):
        match = _LEFTOVER.fullmatch(path.name)
        if match and not Path("/proc", match[1]).exists():
            what = f"{path}: half an image, left by a run that was killed (pid {match[1]})"
            yield Finding("img-partial", "warning", what, f"rm {path}")
