"""Find the end of a reply of an SPP process. The protocol has no framing, so only the text shows it
(docs/spp-protocol.md, Transport).

These forms exist, and all are accepted:

- JSON, padded with NULs to 1000, 2048 or 32768 bytes (nfv and primary; sppr's own 32768)
- JSON without padding (vf, mirror, pcap, and sppr's spp_vm)
- plain text up to a NUL (status of the classic processes, bare ids)
- an echo: the command with its spaces replaced by NULs, then NULs (every command without a reply of its own)
"""

import json
from dataclasses import dataclass
from typing import Any

#: Maximum size in bytes; the largest reply of any SPP process has 32768.
MAX_REPLY_SIZE = 65536
_FAILURES = ("failed", "error", "invalid")


@dataclass(frozen=True)
class Reply:
    """A reply. ``text``: without the padding. ``data``: the JSON object in it. ``echo``: the process only echoed the
    command.
    """

    text: str
    data: dict[str, Any] | None = None
    echo: bool = False

    @property
    def failed(self) -> bool:
        """Whether the process reports a failure. An echo never does: classic SPP cannot report one
        (docs/spp-protocol.md, Echo rule).
        """
        return self.data is not None and _result(self.data).get("result") in _FAILURES

    def reason(self) -> str:
        """Return the reason of a failure as the process gives it, or an empty text if it gives none
        (docs/spp-protocol.md, Nfv commands). Our vf, mirror and pcap add a ``reason`` to SPP's message.
        """
        result = _result(self.data or {})
        details = result.get("error_details")
        texts = [result.get("message")]
        if isinstance(details, dict):
            texts = [details.get("message"), details.get("reason")]
        return ": ".join(text for text in texts if isinstance(text, str))


class ReplyParser:
    """A parser that collects the bytes of the reply to ``command``. Call ``feed`` with each piece that arrives."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._echo = command.encode().replace(b" ", b"\0") + b"\0"
        self._received = bytearray()

    def feed(self, data: bytes) -> Reply | None:
        """Add ``data``, and return the reply once it is complete. Raise ValueError if it is too long.

        NULs ahead of the text are skipped: they are the padding of the previous reply.
        """
        self._received += data if self._received else data.lstrip(b"\0")
        if len(self._received) > MAX_REPLY_SIZE:
            raise ValueError(f"more than {MAX_REPLY_SIZE} bytes without an end")
        return self._parse()

    def finish(self) -> Reply | None:
        """Return the reply after a silence. Text without a NUL counts as complete then; incomplete JSON does not."""
        if not self._received or self._is_json():
            return None
        if self._received == self._echo[:-1]:
            return Reply(self._command, echo=True)
        return Reply(_text(bytes(self._received).partition(b"\0")[0]))

    def _is_json(self) -> bool:
        return self._received.startswith((b"{", b"["))

    def _parse(self) -> Reply | None:
        if self._received.startswith(self._echo):
            return Reply(self._command, echo=True)
        text, nul, _ = bytes(self._received).partition(b"\0")
        if nul and self._echo.startswith(self._received):
            return None  # the first part of an echo of several words
        if self._is_json():
            if not nul and not text.rstrip().endswith((b"}", b"]")):
                return None
            data = _object(text)
            return Reply(_text(text), data) if nul or data is not None else None
        return Reply(_text(text)) if nul else None


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _result(data: dict[str, Any]) -> dict[str, Any]:
    """Return the object with the key ``result``: ``data`` itself, or, of vf, mirror and pcap, the first of its
    ``results``.
    """
    results = data.get("results")
    if isinstance(results, list) and results and isinstance(results[0], dict):
        return results[0]
    return data


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()
