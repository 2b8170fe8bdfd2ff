"""Send single lines to spp.py, through its management port (17.08 to 18.05) or at its prompt, and read the answers."""

import json
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from sppr.classic.terminal import Terminal
from sppr.deadline import Deadline

#: Maximum number of connections to the management port in a second. Each leaves a socket in TIME_WAIT for a minute.
MAX_CONNECTIONS_PER_SECOND = 5
#: ``recv:7:{text}`` of a secondary, ``recv:('127.0.0.1', 4711):{text}`` of the primary (docs/spp-protocol.md,
#: Management port).
_WRAPPED_REPLY = re.compile(r"recv:(?:\d+|\([^)]*\)):\{(.*?)(?:\}\s*$|$)", re.DOTALL)
#: spp_vf.py prints the length of the reply, then its JSON, indented, on several lines.
_JSON_PREFIX = re.compile(r"(?:recv:\d+:len:\d+:)?\s*(?=\{)")
#: spp.py of 18.05 prints the status of a secondary at its prompt in a form of its own.
_PRINTED_STATUS = re.compile(r"status: (\w+)\s+ports:(?: \"no ports\")?\s*(.*)", re.DOTALL)
_PRINTED_PORT = re.compile(r"- '(\S+)(?: -> (\S+))?'")
_NOT_CONNECTED = re.compile(r"closing:|\bnot exist\b|\bnot started\b")
_ERROR_REPLY = re.compile(r"\s*(?:error|invalid)\b", re.IGNORECASE)
_STATUS_PRIMARY = re.compile(r"primary:\s*([01])")
_STATUS_COUNT = re.compile(r"secondary count:\s*(\d+)")


class RequestError(Exception):
    """A request that failed. ``status``: the HTTP status code. Its text is for the user."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Client:
    """A client of spp.py that sends one line at a time, for all callers.

    ``management``: (host, port) of the management port, or None to use the prompt. ``unwrapped_status``: spp.py of
    18.05, which expects ``pri;status`` and prints the status of a secondary unwrapped.
    """

    def __init__(
        self, terminal: Terminal, management: tuple[str, int] | None, unwrapped_status: bool, timeout: float = 5.0
    ) -> None:
        self._terminal, self._management, self._timeout = terminal, management, timeout
        self._unwrapped_status = unwrapped_status
        self._pri = "pri;" if unwrapped_status else "pri "
        self._lock = threading.Lock()
        self._limit = RateLimit(MAX_CONNECTIONS_PER_SECOND)

    def connected(self) -> tuple[bool, list[int]]:
        """Return whether the primary is connected, and the ids of the connected secondaries.

        spp.py also lists a process that has ended, until the next command to it.
        """
        reply = self._request("status")
        if reply.lstrip().startswith("{"):
            status = json.loads(reply)
            return str(status.get("primary")) == "1", [int(n) for n in status.get("secondary", [])]
        primary, count = _STATUS_PRIMARY.search(reply), _STATUS_COUNT.search(reply)
        if primary is None or count is None:
            raise RequestError(502, f"spp.py: unexpected answer to `status`: {reply.strip()[:200]!r}")
        numbers = [re.findall(r"\d+", line) for line in reply[count.end() :].splitlines()]
        return primary[1] == "1", [int(found[-1]) for found in numbers if found]

    def primary(self, command: str) -> str:
        """Return the text of the primary's answer. Raise RequestError 404 if it is not connected."""
        return self._unwrap(self._request(self._pri + command), "primary not found.")

    def secondary(self, client_id: int, command: str) -> str:
        """Return the text of a secondary's answer, up to the first NUL. Raise RequestError 404 if it is not
        connected.
        """
        return self._unwrap(self._request(f"sec {client_id};{command}"), f"sec_id {client_id} not found.")

    def _unwrap(self, reply: str, missing: str) -> str:
        if found := _WRAPPED_REPLY.search(reply):
            return found[1].partition("\0")[0]
        if found := _JSON_PREFIX.match(reply.lstrip()):  # spp_vf.py; "closing:" follows if the process has ended
            return _json_text(reply.lstrip()[found.end() :])
        if _NOT_CONNECTED.search(reply) or not reply.strip("\0 \r\n"):
            raise RequestError(404, missing)
        if not self._unwrapped_status or _ERROR_REPLY.match(reply):
            raise RequestError(404, f"{missing} {reply.strip()[:200]}")
        return _restore_status_text(reply.partition("\0")[0])

    def _request(self, line: str) -> str:
        with self._lock:
            try:
                return (
                    self._request_by_management(line) if self._management else self._terminal.ask(line, self._timeout)
                )
            except TimeoutError:
                reason = "it hangs, or a user is typing a line at its prompt"
                raise RequestError(504, f"spp.py did not answer `{line}` in {self._timeout:.0f} s: {reason}") from None

    def _request_by_management(self, line: str) -> str:
        """Send a line to the management port.

        The line must be one that spp.py answers, because its port hangs for good after any other (docs/spp-protocol.md,
        Management port).
        """
        assert self._management is not None
        self._limit.wait()
        with socket.create_connection(self._management, timeout=self._timeout) as sock:
            sock.sendall(line.encode())
            reply = _read_all(sock.recv)
        result_word, _, text = reply.decode("utf-8", "replace").partition("\n")
        if result_word.strip() != "OK":
            raise RequestError(
                404 if line.startswith(("sec", "pri")) else 503, f"spp.py: {result_word.strip()} {text.strip()[:200]}"
            )
        return text


class RateLimit:
    """A limit of ``max_per_second`` calls in any second. The next call waits."""

    def __init__(self, max_per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: deque[float] = deque(maxlen=max_per_second)

    def wait(self) -> None:
        """Return when the next call is permitted."""
        if len(self._last) == self._last.maxlen:
            remaining = self._last[0] + 1.0 - self._clock()
            list(Deadline(max(0.0, remaining)).ticks(1.0))
        self._last.append(self._clock())


def _json_text(text: str) -> str:
    """Return the JSON object at the beginning of ``text``. Raise RequestError 502 if there is none."""
    try:
        return text[: json.JSONDecoder().raw_decode(text)[1]]
    except ValueError:
        raise RequestError(502, f"the answer of the process is not JSON: {text[:200]!r}") from None


def _restore_status_text(text: str) -> str:
    """Return the status that spp.py of 18.05 printed at its prompt as the process sent it. Any other text is returned
    as it is.
    """
    found = _PRINTED_STATUS.search(text)
    if found is None or "ports: '" in text:
        return text
    pairs = ",".join(f"{src}-{dst or 'null'}" for src, dst in _PRINTED_PORT.findall(found[2]))
    return f"status: {found[1]}\nports: '{pairs}'"


def _read_all(receive: Callable[[int], bytes]) -> bytes:
    reply = b""
    while chunk := receive(65536):
        reply += chunk
    return reply
