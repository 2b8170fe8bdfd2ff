"""Answer the launcher's calls, a part of REST v1, by requests to spp.py."""

import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from sppr.classic.client import Client, RequestError
from sppr.controller import verify
from sppr.controller.errors import BadValue
from sppr.controller.server import dialect
from sppr.controller.server.reply import Reply

Call = Callable[..., object]
#: Seconds for which an answer of a process is valid, and maximum number of processes that one call asks for a new
#: answer. spp.py accepts few requests a second, and the launcher waits 2 s for the list of processes.
FRESH_SECONDS, MAX_STATUS_REQUESTS = 2.0, 2


class Service:
    """The calls. ``kind``: nfv or vf, the kind of all secondaries of this controller."""

    def __init__(self, client: Client, kind: str) -> None:
        self._client, self._kind = client, kind
        self._last_answers: dict[int | None, float] = {}
        self._lock = threading.Lock()
        base = rf"/v1/{kind}s/(\d+)"
        self._routes: tuple[tuple[str, re.Pattern[str], Call], ...] = (
            ("GET", re.compile(r"/v1/processes"), self.processes),
            ("GET", re.compile(r"/v1/primary/status"), self.primary_status),
            ("DELETE", re.compile(r"/v1/primary"), self.exit_primary),
            ("GET", re.compile(base), self.status),
            ("DELETE", re.compile(base), self.exit),
            ("PUT", re.compile(rf"{base}/ports"), self.port),
            ("PUT", re.compile(rf"{base}/patches"), self.patch),
            ("DELETE", re.compile(rf"{base}/patches"), self.reset),
            ("PUT", re.compile(rf"{base}/forward"), self.forward),
        )

    def answer(self, method: str, path: str, body: dict[str, Any]) -> object:
        """Return the JSON of the answer, or None for a 204. Raise RequestError if the call is unknown or fails."""
        for verb, pattern, call in self._routes:
            if verb == method and (result := pattern.fullmatch(path.partition("?")[0])):
                try:
                    return call(*map(int, result.groups()), **{str(k): str(v) for k, v in body.items()})
                except (BadValue, TypeError) as error:
                    raise RequestError(400, str(error)) from None
        raise RequestError(404, f"{method} {path}: the REST server of spp.py has no such call")

    def processes(self) -> list[dict[str, object]]:
        """Return the processes that answer.

        spp.py gives id 0 to a process whose id is in use (docs/spp-protocol.md, Client id).

        spp.py lists a process that has ended until the next command to it. So new processes are asked first, then those
        whose last answer is oldest. For the others the last answer counts.
        """
        with self._lock:
            primary, ids = self._client.connected()
            listed: list[int | None] = [None] * primary + list(ids)
            last = {key: self._last_answers.get(key, 0.0) for key in listed}
            due = sorted(
                (key for key in listed if time.monotonic() - last[key] > FRESH_SECONDS), key=lambda key: last[key]
            )
            for key in due[:MAX_STATUS_REQUESTS]:
                answers = self._responds(self.primary_status) if key is None else self._responds(self.status, key)
                last[key] = time.monotonic() if answers else 0.0
            self._last_answers = {key: when for key, when in last.items() if when}
            responding = [key for key in listed if key in self._last_answers]
        return [{"type": "primary"} if key is None else {"type": self._kind, "client-id": key} for key in responding]

    def _responds(self, call: Call, *args: object) -> bool:
        try:
            call(*args)
        except RequestError as error:
            if error.status != 404:
                raise
            return False
        return True

    def primary_status(self) -> dict[str, object]:
        """Return the status object of the primary."""
        return dict(dialect.parse_status(Reply(self._client.primary("status")), 0).status)

    def exit_primary(self) -> None:
        """Stop the primary."""
        self._ignore_missing(lambda: self._client.primary("exit"))

    def status(self, client_id: int) -> dict[str, object]:
        """Return the status object of a secondary."""
        try:
            return dict(self._parsed_status(client_id).status)
        except RequestError as error:
            if error.status == 404:  # a new process with this id has not answered yet
                self._last_answers.pop(client_id, None)
            raise

    def _parsed_status(self, client_id: int) -> dialect.ParsedStatus:
        text = self._client.secondary(client_id, "status")
        if text.lstrip().startswith("{"):  # vf
            return dialect.ParsedStatus(json.loads(text))
        return dialect.parse_status(Reply(text), client_id)

    def exit(self, client_id: int) -> None:
        """Stop a secondary."""
        self._ignore_missing(lambda: self._client.secondary(client_id, "exit"))

    def _ignore_missing(self, ask: Callable[[], object]) -> None:
        """Make a request, and ignore that the process is not connected.

        A process that ends does not answer ``exit``, so spp.py reports that it is not connected, as intended.
        """
        try:
            ask()
        except RequestError as error:
            if error.status != 404:
                raise

    def port(self, client_id: int, action: str, port: str) -> None:
        """Add or delete a port."""
        self._change(client_id, action, port)

    def patch(self, client_id: int, src: str, dst: str) -> None:
        """Patch one port to another."""
        self._change(client_id, "patch", src, dst)

    def reset(self, client_id: int) -> None:
        """Remove every patch."""
        self._change(client_id, "patch", "reset")

    def forward(self, client_id: int, action: str) -> None:
        """Start or stop forwarding."""
        self._change(client_id, "forward" if action == "start" else "stop")

    def _change(self, client_id: int, verb: str, *args: str) -> None:
        """Send a change, and compare the status before and after it, because the processes only echo.

        ``del`` stops forwarding, so it is started again. Raise RequestError 400, which names the differences.
        """
        before = self._parsed_status(client_id)
        names = [dialect.uid_of(before, arg) for arg in args]
        self._client.secondary(client_id, dialect.command(before, verb, *args))
        after = self._parsed_status(client_id)
        if verb == "del" and before.status.get("status") == "running" != after.status.get("status"):
            self._client.secondary(client_id, "forward")
        state_before, state_after = verify.parse_state(before.status), verify.parse_state(after.status)
        if state_before is None or state_after is None:
            raise RequestError(
                400, f"`{' '.join((verb, *args))}`: the status of nfv:{client_id} does not show its effect"
            )
        if result := verify.differences(verify.expected(state_before, verb, names), state_after, verb):
            raise RequestError(
                400, f"`{' '.join((verb, *args))}` did not have the requested effect: {'; '.join(result)}"
            )
