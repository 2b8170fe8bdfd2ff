"""The note beside a template: what the template was made of. Imports nothing of sppr: `sppr status` reads it."""

import json
from pathlib import Path


def mark_of(template: Path) -> Path:
    """Return the path of the note."""
    return template.with_name(f".{template.name}.json")


def read_mark(template: Path) -> dict[str, int | str | None]:
    """Read the note. Empty for a template that has none, or whose note is broken."""
    try:
        found = json.loads(mark_of(template).read_text())
    except (OSError, ValueError):
        return {}
    return dict(found) if isinstance(found, dict) else {}


def carries_spp_vm(template: Path) -> bool:
    """Return whether the VMs of this template have an spp_vm that starts at boot."""
    return bool(read_mark(template).get("spp_vm"))
