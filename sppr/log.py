"""The log of sppr: a file of limited size. Nothing is logged to the terminal."""

import logging
import logging.handlers
import sys
from pathlib import Path

_MAX_BYTES = 1 << 20


class _File(logging.handlers.RotatingFileHandler):
    """A log file on a disk that may be full. A record that cannot be written is dropped without a message."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's interface
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def log_to(path: Path) -> None:
    """Append debug records of sppr to ``path``, whose folder must exist. Commands are logged in a form that can be
    pasted."""
    handler = _File(path, maxBytes=_MAX_BYTES, backupCount=1, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger("sppr")
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    root.propagate = False


def current() -> Path | None:
    """Return the log file, or None before ``log_to`` was called."""
    for handler in logging.getLogger("sppr").handlers:
        if isinstance(handler, logging.FileHandler):
            return Path(handler.baseFilename)
    return None
