"""docs/map.md's table of rooms and floors: imports point down only, and rooms of one floor do not import each other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

FLOORS = {
    "cli": 6,
    "lab": 5,
    "parts": 4,
    "tmux": 3, "qemu": 3, "images": 3, "spp": 3,
    "wait": 2, "host": 2,
    "config": 1,
    "errors": 0, "units": 0, "deadline": 0, "run": 0, "log": 0, "rotation": 0, "venv": 0,
    # Programs of their own beside the floors: nothing of the lab may be known to them.
    "controller": 4, "classic": 4,
}  # fmt: skip
#: Floor 0 is one room.
GROUND = {name for name, floor in FLOORS.items() if floor == 0}
ALONE = {"controller": {"spp", "host", *GROUND}, "classic": {"spp", "controller", *GROUND}}
ONLY_IN = {
    "libtmux": "tmux",
    "qemu.qmp": "qemu",
    "yaml": "config",
    "rich": "cli",
    "click": "cli",
    "prompt_toolkit": "controller",
}


def modules() -> list[Path]:
    return sorted((ROOT / "sppr").rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(ROOT / "sppr").parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) + "." if node.level else ""
            module = base + (node.module or "")
            yield from ((node.lineno, f"{module}.{alias.name}".replace("..", ".")) for alias in node.names)


def complaint(here: str, name: str) -> str | None:
    for library, owner in ONLY_IN.items():
        if (name == library or name.startswith(f"{library}.")) and here != owner:
            return f"only sppr/{owner} imports {library}"
    if not name.startswith("sppr."):
        return None
    there = name.split(".")[1]
    if there not in FLOORS or there == here or {there, here} <= GROUND:
        return None
    if here in ALONE:
        return None if there in ALONE[here] else f"{here} is a program of its own: it may import {sorted(ALONE[here])}"
    if FLOORS[there] >= FLOORS[here]:
        return f"{there} (floor {FLOORS[there]}) is not below {here} (floor {FLOORS[here]})"
    return None


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down_only(path: Path) -> None:
    here = room(path)
    if here in ("__init__", "__main__", "dataplane"):
        return
    assert here in FLOORS, f"sppr/{here} stands on no floor: see docs/map.md"
    wrong = [f"line {line}: {text}" for line, name in imports(path) if (text := complaint(here, name))]
    assert not wrong, "\n".join(wrong)


def test_the_rule_itself_can_fail() -> None:
    assert (
        complaint("tmux", "sppr.qemu.devices")
        and complaint("config", "sppr.lab.plan.plan")
        and complaint("lab", "libtmux")
    )
    assert complaint("controller", "sppr.lab.plan.plan")
    assert not complaint("lab", "sppr.parts.part") and not complaint("run", "sppr.errors")
