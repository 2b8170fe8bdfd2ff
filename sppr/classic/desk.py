"""Asks spp.py one line at a time: by its management port (17.08 to 18.05), or into its prompt; and reads the answer."""

import json
import re
import socket
import threading
from collections.abc import Callable

from .keeper import Keeper

#: ``recv:7:{text}`` of a secondary, ``recv:('127.0.0.1', 4711):{text}`` of the primary (spp-facts 6.4).
_WRAPPED = re.compile(r"recv:(?:\d+|\([^)]*\)):\{(.*?)(?:\}\s*$|$)", re.DOTALL)
_GONE = re.compile(r"closing:")
_PRIMARY = re.compile(r"primary:\s*([01])")
_COUNT = re.compile(r"secondary count:\s*(\d+)")


class Refusal(Exception):
    """``status``: of HTTP. Its text is for the user."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Desk:
    """One question at a time, whoever asks. ``manage``: (host, port) of the management port; None: the prompt."""

    def __init__(self, keeper: Keeper, manage: tuple[str, int] | None, joined: bool, timeout: float = 5.0) -> None:
        self._keeper, self._manage, self._timeout = keeper, manage, timeout
        self._pri = "pri;" if joined else "pri "
        self._lock = threading.Lock()

    def connected(self) -> tuple[bool, list[int]]:
        """Whether the primary is, and the ids that are; spp.py lists also who is dead and was not asked since."""
        said = self._ask("status")
        if said.lstrip().startswith("{"):
            told = json.loads(said)
            return str(told.get("primary")) == "1", [int(n) for n in told.get("secondary", [])]
        primary, count = _PRIMARY.search(said), _COUNT.search(said)
        if primary is None or count is None:
            raise Refusal(502, f"spp.py says to status: {said.strip()[:200]!r}")
        numbers = [re.findall(r"\d+", line) for line in said[count.end() :].splitlines()]
        return primary[1] == "1", [int(found[-1]) for found in numbers if found]

    def primary(self, command: str) -> str:
        return self._unwrapped(self._ask(self._pri + command), "primary not found.")

    def secondary(self, client_id: int, command: str) -> str:
        """The text of its answer, up to the first NUL. Refusal 404: it is not there (any longer)."""
        return self._unwrapped(self._ask(f"sec {client_id};{command}"), f"sec_id {client_id} not found.")

    def _unwrapped(self, said: str, missing: str) -> str:
        if said.lstrip().startswith("{"):  # spp_vf.py prints the JSON of its processes as it is
            return said
        found = _WRAPPED.search(said)
        if found is None:
            raise Refusal(404, missing if _GONE.search(said) or not said.strip() else f"{missing} {said.strip()[:200]}")
        return found[1].partition("\0")[0]

    def _ask(self, line: str) -> str:
        with self._lock:
            try:
                return self._manage_ask(line) if self._manage else self._keeper.ask(line, self._timeout)
            except TimeoutError:
                why = "it hangs, or somebody is in the middle of a line at its prompt"
                raise Refusal(504, f"spp.py did not answer `{line}` in {self._timeout:.0f} s: {why}") from None

    def _manage_ask(self, line: str) -> str:
        """Never a line that spp.py has no answer to: its port would hang for good (spp-facts 3.10)."""
        assert self._manage is not None
        with socket.create_connection(self._manage, timeout=self._timeout) as sock:
            sock.sendall(line.encode())
            said = _all(sock.recv)
        word, _, text = said.decode("utf-8", "replace").partition("\n")
        if word.strip() != "OK":
            raise Refusal(
                404 if line.startswith(("sec", "pri")) else 503, f"spp.py: {word.strip()} {text.strip()[:200]}"
            )
        return text


def _all(receive: Callable[[int], bytes]) -> bytes:
    said = b""
    while more := receive(65536):
        said += more
    return said
