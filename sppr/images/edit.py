"""Changes of the image folders that are asked for by name: a base added, an instance made anew, images removed.

None of them touches an image that runs or that others stand on.
"""

import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from sppr.errors import HostError
from sppr.images import listing, qemu_img
from sppr.images.listing import Entry
from sppr.images.store import PREFIX, SUFFIXES, check_free, end_hint, name_note
from sppr.images.template_note import mark_of

Progress = Callable[[float], None]
_NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9._+-]*")
#: Bytes in the guest; less holds no system.
_SMALLEST = 1 << 20
_VM = re.compile(r"(?:vm[-_])?([rvn]\d{1,3})")
_CHUNK = 16 << 20
#: Left free on the disk beside what an image takes.
_MARGIN = 64 << 20


def add(
    folder: Path,
    source: Path,
    name: str | None,
    image_format: str | None,
    progress: Progress,
    flatten: Callable[[str], None] | None = None,
) -> Path:
    """Put a copy of ``source`` into ``folder`` as a base, a qcow2 that stands on nothing; its path.

    HostError where it is no image, is broken, is being written, or the name is taken; nothing is left behind then.
    ``image_format``: must be given for a raw one, because anything at all looks raw. ``flatten``: take in what other
    files hold of it, and be told of each; without it such an image is refused, for it may name any file of this host.
    """
    found = qemu_img.info(source)
    if found.format == "raw" and image_format != "raw" and source.suffix.lower() not in (".raw", ".img"):
        raise HostError(f"{source}: is no image that qemu-img knows", hint="if it is a raw disk: --format raw")
    if image_format not in (None, found.format):
        raise HostError(f"{source}: is {found.format}, not {image_format}", hint="leave --format out")
    if found.encrypted:
        raise HostError(f"{source}: is encrypted", hint="qemu-img convert it with its secret first")
    if found.size < _SMALLEST:
        raise HostError(f"{source}: has {found.size} bytes: no disk of a guest", hint="was it fetched or copied whole?")
    _check_alone(found, allowed=flatten is not None)
    chain = qemu_img.chain(source)
    check_free(*(image.path for image in chain))
    if broken := qemu_img.faults(source, found.format):
        raise HostError(f"{source}: is broken: {broken}", hint="fetch or copy it again")
    target = folder / _base_name(name or f"{source.stem}.qcow2")
    if os.path.lexists(target):
        raise HostError(f"{target}: is there already", hint="another name for the new one: --name NAME.qcow2")
    folder.mkdir(parents=True, exist_ok=True)
    _check_space(folder, found)
    if flatten is not None and not found.alone:
        for file in (*(str(image.path) for image in chain), *(file for image in chain for file in image.outside)):
            flatten(file)
    with qemu_img.whole(target, 0o644) as temporary:
        if found.format == "qcow2" and found.alone:
            _copy(source, temporary, progress)
        else:
            qemu_img.convert(found, temporary, progress)
    return target


def _check_alone(found: qemu_img.ImageInfo, *, allowed: bool) -> None:
    others = [str(found.backing_path)] * (found.backing is not None) + list(found.outside)
    if others and not allowed:
        what = f"{found.path}: is not the whole image: it would be filled up from {', '.join(others)}"
        raise HostError(
            what, hint=f"if you trust it and want these files in it: sppr image import {found.path} --flatten"
        )


def _base_name(name: str) -> str:
    bad = not _NAME.fullmatch(name) or name.startswith(tuple(PREFIX.values()))
    if bad or Path(name).suffix.lower() not in SUFFIXES:
        hint = (
            f"--name, of A-Z a-z 0-9 . _ + - only, that ends in {SUFFIXES[0]} and does not begin with . or - or "
            f"{' or '.join(PREFIX.values())}"
        )
        raise HostError(f"{name!r} cannot be the name of a base image", hint=hint)
    return name


def _check_space(folder: Path, found: qemu_img.ImageInfo) -> None:
    free, wanted = shutil.disk_usage(folder).free, found.disk + _MARGIN
    if free < wanted:
        what = f"{folder}: {free >> 20} MiB are free, and {found.path.name} takes {wanted >> 20}"
        raise HostError(what, hint=f"df -h {folder}; sppr image list shows what can go")


def _copy(source: Path, target: Path, progress: Progress) -> None:
    with source.open("rb") as reader, target.open("wb") as writer:
        total, done = os.fstat(reader.fileno()).st_size, 0
        while count := os.copy_file_range(reader.fileno(), writer.fileno(), _CHUNK):
            done += count
            progress(done / max(total, 1))


def reset(folder: Path, words: Sequence[str], report: Callable[[str], None]) -> None:
    """Make instances anew from their templates: all, or where one cannot be, none."""
    entries = listing.entries(folder)
    chosen = [_instance(entries, word) for word in dict.fromkeys(words)]
    for entry in chosen:
        _check_stopped(entry)
        if not _template(entry).is_file():
            hint = f"sppr image build-template {entry.kind}; the instance stays as it is"
            raise HostError(f"{entry.path}: its template {_template(entry).name} is missing", hint=hint)
    for entry in chosen:
        qemu_img.overlay(_template(entry), "qcow2", entry.path, 0o644, replace=True)
        name_note(entry.path).unlink(missing_ok=True)
        report(f"{entry.vm}: {entry.name} made anew over {_template(entry).name}")


def _template(entry: Entry) -> Path:
    assert entry.kind is not None
    return entry.path.parent.parent / f"{PREFIX[entry.kind]}{entry.base}"


def _instance(entries: Sequence[Entry], word: str) -> Entry:
    found = [entry for entry in select(entries, word) if entry.role == "instance"]
    if not found:
        there = ", ".join(str(e.vm) for e in entries if e.role == "instance") or "none yet"
        raise HostError(f"{word}: no such instance", hint=f"there are: {there}")
    return found[0]


def select(entries: Sequence[Entry], word: str) -> list[Entry]:
    """The one image that ``word`` names exactly: a file name, ``r6``, ``vm-r6`` or an id; empty for none.

    HostError where it may be several.
    """
    vm = match[1] if (match := _VM.fullmatch(word)) else None
    found = [
        e for e in entries
        if word in (e.name, str(e.path)) or (e.vm is not None and (e.vm == vm or e.vm[1:] == word))
    ]  # fmt: skip
    if len(found) > 1:
        names = ", ".join(e.name for e in found)
        raise HostError(f"{word}: may be {names}", hint=f"say which, by its file name: {found[0].name}")
    return found


def _check_stopped(entry: Entry) -> None:
    if entry.holders:
        who = ", ".join(map(str, entry.holders))
        raise HostError(f"{entry.path}: is in use by {who}", hint=end_hint(entry.holders[0]))


def remove(folder: Path, words: Sequence[str], report: Callable[[str], None]) -> None:
    """Remove images: all, or where one runs or is stood on by others that are not removed with it, none."""
    entries = listing.entries(folder)
    chosen: list[Entry] = []
    for word in words:
        found = select(entries, word)
        if not found and "/" not in word and os.path.lexists(folder / word):
            raise HostError(f"{folder / word}: is no file", hint="a folder or a pipe is no image: sppr image list")
        if not found:
            raise HostError(f"{word}: no such image in {folder}", hint="sppr image list")
        chosen += [entry for entry in found if entry not in chosen]
    others = [entry for entry in entries if entry not in chosen]
    for entry in chosen:
        if not entry.path.is_file() and not entry.path.is_symlink():
            raise HostError(f"{entry.path}: is no file", hint="a folder or a pipe is no image: remove it by hand")
        _check_stopped(entry)
        if standing := listing.standing_on(entry, others):
            names = " ".join(e.name for e in standing)
            hint = f"with them: sppr image rm {' '.join(words)} {names}"
            verb = "stands" if len(standing) == 1 else "stand"
            raise HostError(f"{entry.path}: {names} {verb} on it", hint=hint)
    for entry in sorted(chosen, key=lambda e: ("instance", "template", "base").index(e.role)):
        entry.path.unlink()
        name_note(entry.path).unlink(missing_ok=True)
        if entry.role == "template":
            mark_of(entry.path).unlink(missing_ok=True)
        report(f"removed {entry.path}")
    for parent in {entry.path.parent for entry in chosen}:
        qemu_img.sync_folder(parent)
