"""Find the project's .venv, so that bin/ and runscripts/ work from any folder without activating it.

It uses the standard library only: it runs in any python3, before the dependencies are known to be installed.
"""

import importlib.util
import os
import sys
from pathlib import Path

NEEDED = (
    "click", "libtmux", "yaml", "pydantic", "psutil", "aiohttp", "qemu.qmp", "rich", "msgspec", "prompt_toolkit",
    "pexpect",
)  # fmt: skip


def enter(root: Path) -> None:
    """Continue in ``root``/.venv, unless this process already runs in it. Exit with a message if nothing is
    installed."""
    python = root / ".venv" / "bin" / "python"
    if python.exists():
        if Path(sys.prefix).resolve() != (root / ".venv").resolve():
            os.execv(python, [str(python), *sys.argv])  # noqa: S606 - argv only
        return
    missing = [name for name in NEEDED if importlib.util.find_spec(name.partition(".")[0]) is None]
    if missing:
        print(
            f"error: this machine is not set up: no {root / '.venv'}, and missing: {', '.join(missing)}",
            file=sys.stderr,
        )
        print(f"hint: make -C {root} up", file=sys.stderr)
        sys.exit(3)
