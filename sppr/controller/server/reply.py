"""Where one reply of an SPP process ends. SPP's protocol has no framing (spp-facts 3.1): the text must tell.

Forms seen, all of them accepted:

- JSON padded with NULs to 1000, 2048 or 32768 bytes (nfv and primary; ours always 32768)
- JSON alone (vf, mirror, pcap)
- plain text up to a NUL (status of the classic processes, bare ids)
- the echo: the command itself, its spaces turned into NULs, then NULs (any command without a reply of its own)
"""

import json
from dataclasses import dataclass
from typing import Any

#: More than the largest reply of any SPP process (32768).
MOST = 65536
_FAILED = ("failed", "error", "invalid")


@dataclass(frozen=True)
class Reply:
    """``text`` as sent, padding removed; ``data`` the JSON object in it; ``echo``: only our command came back."""

    text: str
    data: dict[str, Any] | None = None
    echo: bool = False

    @property
    def failed(self) -> bool:
        """True where the process says so. An echo never does: classic SPP cannot tell (spp-facts 3.2)."""
        return self.data is not None and _verdict(self.data).get("result") in _FAILED

    def words(self) -> str:
        """Why it failed, in the words of the process; empty where it gave none (spp-facts 3.5 to 3.7)."""
        verdict = _verdict(self.data or {})
        details = verdict.get("error_details")
        found = details.get("message") if isinstance(details, dict) else verdict.get("message")
        return found if isinstance(found, str) else ""


class ReplyCutter:
    """Collects the bytes of one reply to ``command``. Feed it what arrives; it gives the reply once that is whole."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._echo = command.encode().replace(b" ", b"\0") + b"\0"
        self._got = bytearray()

    def feed(self, data: bytes) -> Reply | None:
        """Add ``data``; NULs ahead of the text are the padding of the reply before. ValueError: too long."""
        self._got += data if self._got else data.lstrip(b"\0")
        if len(self._got) > MOST:
            raise ValueError(f"more than {MOST} bytes without an end")
        return self._cut()

    def settle(self) -> Reply | None:
        """To be called after a silence: text that no NUL ends is whole by now; JSON that has begun is not."""
        if not self._got or self._is_json():
            return None
        if self._got == self._echo[:-1]:
            return Reply(self._command, echo=True)
        return Reply(_text(bytes(self._got).partition(b"\0")[0]))

    def _is_json(self) -> bool:
        return self._got.startswith((b"{", b"["))

    def _cut(self) -> Reply | None:
        if self._got.startswith(self._echo):
            return Reply(self._command, echo=True)
        text, nul, _ = bytes(self._got).partition(b"\0")
        if nul and self._echo.startswith(self._got):
            return None  # an echo of several words, half of it still on its way
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


def _verdict(data: dict[str, Any]) -> dict[str, Any]:
    """The part that holds ``result``: the object itself, or the first of ``results`` (vf, mirror, pcap)."""
    results = data.get("results")
    if isinstance(results, list) and results and isinstance(results[0], dict):
        return results[0]
    return data


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()
