"""The launcher's calls (those of REST v1 that it uses), answered by what spp.py can say."""

import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from sppr.classic.client import Client, Refusal
from sppr.controller import verify
from sppr.controller.errors import BadValue
from sppr.controller.server import dialect
from sppr.controller.server.reply import Reply

Call = Callable[..., object]
#: Seconds for which the answer of a process counts, and how many processes one call asks for another: spp.py gets few
#: questions a second, and the launcher waits 2 s for a list.
FRESH, MOST_ASKED = 2.0, 2


class Service:
    """``kind``: of the secondaries that this controller serves, nfv or vf."""

    def __init__(self, desk: Client, kind: str) -> None:
        self._desk, self._kind = desk, kind
        self._answered: dict[int | None, float] = {}
        self._lock = threading.Lock()
        one = rf"/v1/{kind}s/(\d+)"
        self._routes: tuple[tuple[str, re.Pattern[str], Call], ...] = (
            ("GET", re.compile(r"/v1/processes"), self.processes),
            ("GET", re.compile(r"/v1/primary/status"), self.primary_status),
            ("DELETE", re.compile(r"/v1/primary"), self.exit_primary),
            ("GET", re.compile(one), self.status),
            ("DELETE", re.compile(one), self.exit),
            ("PUT", re.compile(rf"{one}/ports"), self.port),
            ("PUT", re.compile(rf"{one}/patches"), self.patch),
            ("DELETE", re.compile(rf"{one}/patches"), self.reset),
            ("PUT", re.compile(rf"{one}/forward"), self.forward),
        )

    def answer(self, method: str, path: str, body: dict[str, Any]) -> object:
        """What the call gives. Refusal else."""
        for verb, pattern, call in self._routes:
            if verb == method and (found := pattern.fullmatch(path.partition("?")[0])):
                try:
                    return call(*map(int, found.groups()), **{str(k): str(v) for k, v in body.items()})
                except (BadValue, TypeError) as e:
                    raise Refusal(400, str(e)) from None
        raise Refusal(404, f"{method} {path}: the keeper of spp.py has no such call")

    def processes(self) -> list[dict[str, object]]:
        """Those that answer; an id 0 is one that was given twice (spp-facts 3.2).

        spp.py lists a process that is dead until it is asked. New processes are asked first, then those whose last
        answer is oldest; for the others that answer counts.
        """
        with self._lock:
            primary, ids = self._desk.connected()
            listed: list[int | None] = [None] * primary + list(ids)
            last = {key: self._answered.get(key, 0.0) for key in listed}
            due = sorted((key for key in listed if time.monotonic() - last[key] > FRESH), key=lambda key: last[key])
            for key in due[:MOST_ASKED]:
                answers = self._answers(self.primary_status) if key is None else self._answers(self.status, key)
                last[key] = time.monotonic() if answers else 0.0
            self._answered = {key: when for key, when in last.items() if when}
            there = [key for key in listed if key in self._answered]
        return [{"type": "primary"} if key is None else {"type": self._kind, "client-id": key} for key in there]

    def _answers(self, call: Call, *args: object) -> bool:
        try:
            call(*args)
        except Refusal as e:
            if e.status != 404:
                raise
            return False
        return True

    def primary_status(self) -> dict[str, object]:
        return dict(dialect.parse_status(Reply(self._desk.primary("status")), 0).status)

    def exit_primary(self) -> None:
        self._leave(lambda: self._desk.primary("exit"))

    def status(self, client_id: int) -> dict[str, object]:
        try:
            return dict(self._told(client_id).status)
        except Refusal as e:
            if e.status == 404:  # the next process of this id has not answered yet
                self._answered.pop(client_id, None)
            raise

    def _told(self, client_id: int) -> dialect.ParsedStatus:
        text = self._desk.secondary(client_id, "status")
        if text.lstrip().startswith("{"):  # vf
            return dialect.ParsedStatus(json.loads(text))
        return dialect.parse_status(Reply(text), client_id)

    def exit(self, client_id: int) -> None:
        self._leave(lambda: self._desk.secondary(client_id, "exit"))

    def _leave(self, ask: Callable[[], object]) -> None:
        """A process that ends says nothing to ``exit``: spp.py finds it gone, which is what was wanted."""
        try:
            ask()
        except Refusal as e:
            if e.status != 404:
                raise

    def port(self, client_id: int, action: str, port: str) -> None:
        self._change(client_id, action, port)

    def patch(self, client_id: int, src: str, dst: str) -> None:
        self._change(client_id, "patch", src, dst)

    def reset(self, client_id: int) -> None:
        self._change(client_id, "patch", "reset")

    def forward(self, client_id: int, action: str) -> None:
        self._change(client_id, "forward" if action == "start" else "stop")

    def _change(self, client_id: int, verb: str, *args: str) -> None:
        """Send a change, and compare the status before and after it: processes only echo. ``del`` stops forwarding, so
        that is started again. Refusal 400 names what differs."""
        before = self._told(client_id)
        names = [dialect.uid_of(before, arg) for arg in args]
        self._desk.secondary(client_id, dialect.command(before, verb, *args))
        after = self._told(client_id)
        if verb == "del" and before.status.get("status") == "running" != after.status.get("status"):
            self._desk.secondary(client_id, "forward")
        seen, then = verify.parse_state(before.status), verify.parse_state(after.status)
        if seen is None or then is None:
            raise Refusal(400, f"`{' '.join((verb, *args))}`: the status of nfv:{client_id} does not show its effect")
        if found := verify.differences(verify.expected(seen, verb, names), then, verb):
            raise Refusal(400, f"`{' '.join((verb, *args))}` did not have the requested effect: {'; '.join(found)}")
