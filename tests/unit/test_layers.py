"""docs/architecture.md's layers: imports point down only, and packages of one layer do not import each other.

The sizes of folders and files are checked too: the tree alone explains the program.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

LAYERS = {
    "cli": 7,
    "live": 6, "hosts": 6,
    "lab": 5,
    "parts": 4,
    "tmux": 3, "qemu": 3, "images": 3, "spp": 3,
    "wait": 2, "host": 2,
    "config": 1,
    "errors": 0, "units": 0, "deadline": 0, "run": 0, "log": 0, "rotation": 0, "venv": 0, "impairment": 0,
    # Separate programs, which do not import the lab.
    "controller": 4, "classic": 4,
}  # fmt: skip
#: The modules of layer 0 may import each other.
BASE = {name for name, layer in LAYERS.items() if layer == 0}
PROGRAMS = {"controller": {"spp", "host", *BASE}, "classic": {"spp", "controller", *BASE}}
ONLY_IN = {
    "libtmux": "tmux",
    "qemu.qmp": "qemu",
    "yaml": "config",
    "rich": "cli",
    "click": "cli",
    "prometheus_client": "controller",
    "prompt_toolkit": "controller",
    "textual": "cli",
}
#: A folder of modules has at most this many files, __init__.py and __main__.py not counted.
MOST_FILES = 12
MOST_LINES = 400
#: A module this small belongs to the file it is read with, unless it is listed in SMALL with its reason.
FEWEST_LINES = 40
SMALL = {
    "cli/terminal/askpass.py": "a program of its own, which sudo runs",
    "controller/errors.py": "all packages of the controller import it",
    "images/template_note.py": "sppr status reads it, without the rest of images/",
    "lab/machine.py": "the facts of layer 2 with the KVM trial of layer 3",
    "qemu/console.py": "sppr status reads it, without the pexpect of serial.py",
    "qemu/qemu_2_3.py": "the command line of one QEMU release, unlike that of any other",
    "spp/ivshmem.py": "a file format of SPP 16.07",
    "spp/tree.py": "where the programs are",
}


def modules() -> list[Path]:
    return sorted((ROOT / "sppr").rglob("*.py"))


def package_of(path: Path) -> str:
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
    if there not in LAYERS or there == here or {there, here} <= BASE:
        return None
    if here in PROGRAMS:
        allowed = PROGRAMS[here]
        return None if there in allowed else f"{here} is a program of its own: it may import {sorted(allowed)}"
    if LAYERS[there] >= LAYERS[here]:
        return f"{there} (layer {LAYERS[there]}) is not below {here} (layer {LAYERS[here]})"
    return None


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down_only(path: Path) -> None:
    here = package_of(path)
    if here in ("__init__", "__main__", "dataplane"):
        return
    assert here in LAYERS, f"sppr/{here} has no layer: see docs/architecture.md"
    wrong = [f"line {line}: {text}" for line, name in imports(path) if (text := complaint(here, name))]
    assert not wrong, "\n".join(wrong)


def test_wrong_imports_are_found() -> None:
    assert complaint("tmux", "sppr.qemu.devices") and complaint("config", "sppr.lab.paths")
    assert complaint("lab", "libtmux") and complaint("controller", "sppr.lab.paths")
    assert not complaint("lab", "sppr.parts.part") and not complaint("run", "sppr.errors")


def sizes(root: Path) -> list[str]:
    """Return the folders with too many files, and the files that are too long or too short."""
    found = []
    sources = [p for p in root.rglob("*") if p.suffix in (".py", ".c") and "build" not in p.parts]
    sources = [p for p in sources if not p.name.startswith("__") and not p.name.endswith("_test.c")]
    for folder in sorted({p.parent for p in sources}):
        count = sum(p.parent == folder for p in sources)
        if count > MOST_FILES:
            found.append(f"{folder.relative_to(root)}: {count} files; split it by subject")
    for path in sorted(sources):
        name, lines = str(path.relative_to(root)), len(path.read_text().splitlines())
        if lines > MOST_LINES:
            found.append(f"{name}: {lines} lines; look for the second subject in it")
        if path.suffix == ".py" and lines < FEWEST_LINES and name not in SMALL and len(Path(name).parts) > 1:
            found.append(f"{name}: {lines} lines; merge it into the file it is read with")
    return found


def test_folders_and_files_have_a_readable_size() -> None:
    assert not (wrong := sizes(ROOT / "sppr")), "\n".join(wrong)


def test_wrong_sizes_are_found(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(MOST_FILES + 1):
        (tmp_path / f"many/m{number}.py").write_text("x = 1\n" * FEWEST_LINES)
    (tmp_path / "many/m0.py").write_text("x = 1\n" * (MOST_LINES + 1))
    (tmp_path / "many/m1.py").write_text("x = 1\n")
    assert [line.partition(";")[0] for line in sizes(tmp_path)] == [
        "many: 13 files",
        "many/m0.py: 401 lines",
        "many/m1.py: 1 lines",
    ]
