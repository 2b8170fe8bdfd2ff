"""The note beside a template: which base and which spp_vm the template was made from.

It imports nothing of sppr, because `sppr status` reads it.
"""

import json
from pathlib import Path


def note_path(template: Path) -> Path:
    """Return the path of the note."""
    return template.with_name(f".{template.name}.json")


def read_note(template: Path) -> dict[str, int | str | None]:
    """Return the content of the note, or an empty dict if the note is missing or damaged."""
    try:
        found = json.loads(note_path(template).read_text())
    except (OSError, ValueError):
        return {}
    return dict(found) if isinstance(found, dict) else {}


def has_spp_vm(template: Path) -> bool:
    """Return whether VMs of this template have an spp_vm that starts at boot."""
    return bool(read_note(template).get("spp_vm"))
