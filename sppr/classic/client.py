"""Asks spp.py one line at a time: by its management port (17.08 to 18.05), or into its prompt; and reads the answer."""

import json
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from sppr.classic.terminal import Terminal
from sppr.deadline import Deadline

#: Connections a second to the management port. Each leaves a socket in TIME_WAIT for a minute.
MOST_A_SECOND = 5
#: ``recv:7:{text}`` of a secondary, ``recv:('127.0.0.1', 4711):{text}`` of the primary (spp-facts 6.4).
_WRAPPED = re.compile(r"recv:(?:\d+|\([^)]*\)):\{(.*?)(?:\}\s*$|$)", re.DOTALL)
#: spp_vf.py: the length of the reply, then its JSON indented over many lines.
_JSON = re.compile(r"(?:recv:\d+:len:\d+:)?\s*(?=\{)")
#: spp.py of 18.05 prints the status of a secondary at its prompt in a form of its own.
_PRINTED = re.compile(r"status: (\w+)\s+ports:(?: \"no ports\")?\s*(.*)", re.DOTALL)
_PRINTED_PORT = re.compile(r"- '(\S+)(?: -> (\S+))?'")
_GONE = re.compile(r"closing:|\bnot exist\b|\bnot started\b")
_REFUSED = re.compile(r"\s*(?:error|invalid)\b", re.IGNORECASE)
_PRIMARY = re.compile(r"primary:\s*([01])")
_COUNT = re.compile(r"secondary count:\s*(\d+)")


class Refusal(Exception):
    """``status``: of HTTP. Its text is for the user."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Client:
    """One question at a time, for all callers. ``manage``: (host, port) of the management port; None: the prompt.
    ``bare``: spp.py of 18.05, which takes ``pri;status`` and hands on the reply of a secondary unwrapped."""

    def __init__(self, keeper: Terminal, manage: tuple[str, int] | None, bare: bool, timeout: float = 5.0) -> None:
        self._keeper, self._manage, self._timeout, self._bare = keeper, manage, timeout, bare
        self._pri = "pri;" if bare else "pri "
        self._lock = threading.Lock()
        self._limit = RateLimit(MOST_A_SECOND)

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
        if found := _WRAPPED.search(said):
            return found[1].partition("\0")[0]
        if found := _JSON.match(said.lstrip()):  # of spp_vf.py; where the process has ended, "closing:" follows
            return _json_text(said.lstrip()[found.end() :])
        if _GONE.search(said) or not said.strip("\0 \r\n"):
            raise Refusal(404, missing)
        if not self._bare or _REFUSED.match(said):
            raise Refusal(404, f"{missing} {said.strip()[:200]}")
        return _wire_status(said.partition("\0")[0])

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
        self._limit.wait()
        with socket.create_connection(self._manage, timeout=self._timeout) as sock:
            sock.sendall(line.encode())
            said = _all(sock.recv)
        word, _, text = said.decode("utf-8", "replace").partition("\n")
        if word.strip() != "OK":
            raise Refusal(
                404 if line.startswith(("sec", "pri")) else 503, f"spp.py: {word.strip()} {text.strip()[:200]}"
            )
        return text


class RateLimit:
    """Lets ``most`` calls through in any second; the next one waits."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: deque[float] = deque(maxlen=most)

    def wait(self) -> None:
        """Return when the next call may go."""
        if len(self._last) == self._last.maxlen:
            left = self._last[0] + 1.0 - self._clock()
            list(Deadline(max(0.0, left)).ticks(1.0))
        self._last.append(self._clock())


def _json_text(text: str) -> str:
    """The JSON object at the beginning of ``text``. Refusal 502 where there is none."""
    try:
        return text[: json.JSONDecoder().raw_decode(text)[1]]
    except ValueError:
        raise Refusal(502, f"the answer of the process is no JSON: {text[:200]!r}") from None


def _wire_status(text: str) -> str:
    """A status that spp.py of 18.05 printed at its prompt, as the process sent it. Any other text is returned as is."""
    found = _PRINTED.search(text)
    if found is None or "ports: '" in text:
        return text
    pairs = ",".join(f"{src}-{dst or 'null'}" for src, dst in _PRINTED_PORT.findall(found[2]))
    return f"status: {found[1]}\nports: '{pairs}'"


def _all(receive: Callable[[int], bytes]) -> bytes:
    said = b""
    while more := receive(65536):
        said += more
    return said
