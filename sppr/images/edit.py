"""Change the image folders: import a base image, reset instances, remove images.

No function changes an image that is in use, or that is the backing file of others.
"""

import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from sppr.errors import HostError
from sppr.images import listing, qemu_img
from sppr.images.listing import Entry
from sppr.images.store import PREFIX, SUFFIXES, check_free, hostname_note, stop_hint
from sppr.images.template_note import note_path

Progress = Callable[[float], None]
_NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9._+-]*")
#: Virtual size; a smaller disk holds no system.
_MIN_BYTES = 1 << 20
_VM = re.compile(r"(?:vm[-_])?([rvn]\d{1,3})")
#: Free space that must remain on the disk.
_MARGIN_BYTES = 64 << 20


def import_image(
    folder: Path,
    source: Path,
    name: str | None,
    image_format: str | None,
    progress: Progress,
    flatten: Callable[[str], None] | None = None,
) -> Path:
    """Copy ``source`` to ``folder`` as a base image, a standalone qcow2, and return its path.

    ``image_format``: required for a raw image, because any file can pass as raw. ``flatten``: include the content of
    other files that the image refers to; called with the path of each. Without it such an image is refused, because it
    can refer to any file of this host.

    Raise HostError if it is not an image, is damaged or in use, or if the name is taken; nothing remains then.
    """
    found = qemu_img.info(source)
    if found.format == "raw" and image_format != "raw" and source.suffix.lower() not in (".raw", ".img"):
        raise HostError(f"{source}: not an image format that qemu-img knows", hint="for a raw disk add: --format raw")
    if image_format not in (None, found.format):
        raise HostError(f"{source}: is {found.format}, not {image_format}", hint="omit --format")
    if found.encrypted:
        raise HostError(f"{source}: is encrypted", hint="decrypt it first, by qemu-img convert with its secret")
    if found.size < _MIN_BYTES:
        raise HostError(
            f"{source}: {found.size} bytes are too small for the disk of a guest",
            hint="check that the download or copy is complete",
        )
    _check_standalone(found, allowed=flatten is not None)
    chain = qemu_img.backing_chain(source)
    check_free(*(image.path for image in chain))
    if broken := qemu_img.find_damage(source, found.format):
        raise HostError(f"{source}: is damaged: {broken}", hint="download or copy it again")
    target = folder / _base_name(name or f"{source.stem}.qcow2")
    if os.path.lexists(target):
        raise HostError(f"{target}: already exists", hint="use another name: --name NAME.qcow2")
    folder.mkdir(parents=True, exist_ok=True)
    _check_space(folder, found)
    if flatten is not None and not found.is_standalone:
        external = (file for image in chain for file in image.external_files)
        for file in (*(str(image.path) for image in chain), *external):
            flatten(file)
    with qemu_img.atomic_image(target, 0o644) as temporary:
        if found.format == "qcow2" and found.is_standalone:
            qemu_img.copy(source, temporary, progress)
        else:
            qemu_img.convert(found, temporary, progress)
    return target


def _check_standalone(found: qemu_img.ImageInfo, *, allowed: bool) -> None:
    others = [str(found.backing_path)] * (found.backing is not None) + list(found.external_files)
    if others and not allowed:
        what = f"{found.path}: is not a complete image: parts of its content are in {', '.join(others)}"
        raise HostError(
            what,
            hint=f"if you trust it, to include the content of these files: sppr image import {found.path} --flatten",
        )


def _base_name(name: str) -> str:
    bad = not _NAME.fullmatch(name) or name.startswith(tuple(PREFIX.values()))
    if bad or Path(name).suffix.lower() not in SUFFIXES:
        hint = (
            f"use --name with only A-Z a-z 0-9 . _ + -, ending in {SUFFIXES[0]} and not beginning with . or - or "
            f"{' or '.join(PREFIX.values())}"
        )
        raise HostError(f"{name!r} cannot be the name of a base image", hint=hint)
    return name


def _check_space(folder: Path, found: qemu_img.ImageInfo) -> None:
    free, needed = shutil.disk_usage(folder).free, found.disk + _MARGIN_BYTES
    if free < needed:
        what = f"{folder}: {free >> 20} MiB are free, but {found.path.name} needs {needed >> 20} MiB"
        raise HostError(what, hint=f"df -h {folder}; sppr image list shows images that can be removed")


def reset_instances(folder: Path, words: Sequence[str], report: Callable[[str], None]) -> None:
    """Create instances again from their templates. If one of them cannot be reset, none is."""
    entries = listing.entries(folder)
    chosen = [_instance(entries, word) for word in dict.fromkeys(words)]
    for entry in chosen:
        _check_stopped(entry)
        if not _template(entry).is_file():
            hint = f"sppr image build-template {entry.kind}; the instance was not changed"
            raise HostError(f"{entry.path}: its template {_template(entry).name} is missing", hint=hint)
    for entry in chosen:
        qemu_img.overlay(_template(entry), "qcow2", entry.path, 0o644, replace=True)
        hostname_note(entry.path).unlink(missing_ok=True)
        report(f"{entry.vm}: {entry.name} reset to {_template(entry).name}")


def _template(entry: Entry) -> Path:
    assert entry.kind is not None
    return entry.path.parent.parent / f"{PREFIX[entry.kind]}{entry.base}"


def _instance(entries: Sequence[Entry], word: str) -> Entry:
    found = [entry for entry in select(entries, word) if entry.role == "instance"]
    if not found:
        existing = ", ".join(str(e.vm) for e in entries if e.role == "instance") or "none yet"
        raise HostError(f"{word}: no such instance", hint=f"existing instances: {existing}")
    return found[0]


def select(entries: Sequence[Entry], word: str) -> list[Entry]:
    """Return the image that a word names: a file name, ``r6``, ``vm-r6`` or an id. Return an empty list for none.

    Raise HostError if the word is ambiguous.
    """
    vm = match[1] if (match := _VM.fullmatch(word)) else None
    found = [
        e for e in entries
        if word in (e.name, str(e.path)) or (e.vm is not None and (e.vm == vm or e.vm[1:] == word))
    ]  # fmt: skip
    if len(found) > 1:
        names = ", ".join(e.name for e in found)
        raise HostError(f"{word}: ambiguous, matches {names}", hint=f"use a file name: {found[0].name}")
    return found


def _check_stopped(entry: Entry) -> None:
    if entry.holders:
        who = ", ".join(map(str, entry.holders))
        raise HostError(f"{entry.path}: is in use by {who}", hint=stop_hint(entry.holders[0]))


def remove_images(folder: Path, words: Sequence[str], report: Callable[[str], None]) -> None:
    """Remove images. If one of them is in use, or is the backing file of an image that is not removed too, none is
    removed."""
    entries = listing.entries(folder)
    chosen: list[Entry] = []
    for word in words:
        found = select(entries, word)
        if not found and "/" not in word and os.path.lexists(folder / word):
            raise HostError(
                f"{folder / word}: is not a regular file", hint="folders and pipes are not images: sppr image list"
            )
        if not found:
            raise HostError(f"{word}: no such image in {folder}", hint="sppr image list")
        chosen += [entry for entry in found if entry not in chosen]
    others = [entry for entry in entries if entry not in chosen]
    for entry in chosen:
        if not entry.path.is_file() and not entry.path.is_symlink():
            raise HostError(
                f"{entry.path}: is not a regular file",
                hint="folders and pipes are not images: remove it by hand",
            )
        _check_stopped(entry)
        if overlays := listing.overlays_of(entry, others):
            names = " ".join(e.name for e in overlays)
            hint = f"remove them too: sppr image rm {' '.join(words)} {names}"
            verb = "uses" if len(overlays) == 1 else "use"
            raise HostError(f"{entry.path}: {names} {verb} it as backing file", hint=hint)
    for entry in sorted(chosen, key=lambda e: ("instance", "template", "base").index(e.role)):
        entry.path.unlink()
        hostname_note(entry.path).unlink(missing_ok=True)
        if entry.role == "template":
            note_path(entry.path).unlink(missing_ok=True)
        report(f"removed {entry.path}")
    for parent in {entry.path.parent for entry in chosen}:
        qemu_img.sync_folder(parent)
