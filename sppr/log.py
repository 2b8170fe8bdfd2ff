"""Where sppr's own log goes: a file, never the terminal. ``cli`` calls this once."""

import logging
from pathlib import Path


def log_to(path: Path) -> None:
    """Append debug records of sppr to ``path`` (its folder must exist). Commands are logged as they can be pasted."""
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger("sppr")
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    root.propagate = False
