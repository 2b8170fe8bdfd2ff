"""Sample the ports, patches and counters of every connected process, for the live views: the web page, ``/metrics`` and
``sppr top``.

All views share one sample, which is at most ``MAX_AGE`` old, so a further view costs the processes nothing.
"""

import asyncio
import contextlib
import math
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sppr.controller import components
from sppr.controller.errors import NoAnswer, NotConnected
from sppr.controller.server.process import ConnectedProcess
from sppr.controller.server.server import Server
from sppr.spp import match

#: Seconds for which a sample counts as current. Views refresh once a second.
MAX_AGE = 0.9
#: Seconds between two samples while a view is open.
INTERVAL = 1.0
#: Seconds from a change to the next sample of an open view. Many changes, as of a chain, are shown together.
CHANGE_DELAY = 0.1
#: Seconds to wait for the status of a process. A slower one keeps the values of the sample before, and is ``silent``.
STATUS_TIMEOUT = 0.5
#: Rates are computed from two samples that are this many seconds apart, at least and at most.
MIN_INTERVAL, MAX_INTERVAL = 0.4, 10.0
#: Seconds after the last change until the states of chains are determined for the journal.
SETTLE_SECONDS = 2.0
#: Seconds for which a process that disconnected is shown as lost.
LOST_SECONDS = 3600.0

_PORT = re.compile(r"[a-z]{1,16}:[0-9]{1,5}(nq[0-9]{1,5})?")
COUNTERS = ("rx", "rx_drop", "tx", "tx_drop")
#: Ports that move only the addresses of frames, such as rings, do not count bytes.
BYTES = ("rx_bytes", "tx_bytes")
RATES = ("rx_rate", "tx_rate", "drop_rate")


class LabView(Protocol):
    """What the launcher knows of the lab, as values for JSON. A controller without a lab has none."""

    def describe(self, live: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parts and chains of the lab, with the rates of the sample ``live``."""

    def record(self, event: str, **fields: object) -> None:
        """Append an event to the journal of the lab."""


@dataclass
class _Lost:
    """A process that disconnected: when, why, and its last entry in a sample."""

    since: float
    reason: str
    entry: dict[str, Any]


@dataclass(frozen=True)
class _Base:
    """The ports of a process at an earlier time, from which its rates are computed."""

    answered: float
    ports: Mapping[str, Any]


@dataclass
class Monitor:
    """The samples of the processes of ``server``.

    A sample is a dict for JSON: ``time`` (seconds since the epoch), ``processes``, and ``parts`` and ``chains`` of
    ``lab``. A process has ``name``, ``kind``, ``id``, ``state``, ``reason``, ``guest``, ``patches`` and ``ports``: for
    each port its counters of frames (and of bytes, if it has them), whether it is ``linked``, and ``rx_rate``,
    ``tx_rate`` and ``drop_rate`` in frames per second; None: unknown. ``clock`` returns the time in seconds by which
    rates and ages are computed.
    """

    server: Server
    lab: LabView | None = None
    clock: Callable[[], float] = time.monotonic
    watchers: int = 0
    latest: dict[str, Any] = field(default_factory=dict)
    _taken: float = -math.inf
    _is_current: bool = False
    _base: dict[ConnectedProcess, _Base] = field(default_factory=dict)
    _answered: dict[ConnectedProcess, float] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _queries: dict[ConnectedProcess, "asyncio.Task[None]"] = field(default_factory=dict)
    _lost: dict[str, _Lost] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _settle: asyncio.TimerHandle | None = None
    _settled: "asyncio.Task[Any] | None" = None

    async def sample(self, max_age: float = MAX_AGE) -> dict[str, Any]:
        """Return a sample that is at most ``max_age`` seconds old. Clients that ask at the same time share one.

        A caller that is cancelled does not cancel the sample: the thread that describes the lab cannot be cancelled.
        """
        return await asyncio.shield(asyncio.ensure_future(self._shared_sample(max_age)))

    async def _shared_sample(self, max_age: float) -> dict[str, Any]:
        async with self._lock:
            if not self._is_current or self.clock() - self._taken > max_age:
                await self._take()
            return self.latest

    async def watch(self) -> AsyncIterator[dict[str, Any]]:
        """Yield a sample each second, and sooner after a change, until the caller stops."""
        self.watchers += 1
        try:
            while True:
                changed = self._changed
                yield await self.sample()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(INTERVAL):
                        await changed.wait()
                        await asyncio.sleep(CHANGE_DELAY)
        finally:
            self.watchers -= 1

    def notify(self) -> None:
        """Make every open view take a new sample now, because ports, patches or processes have changed."""
        self._is_current = False
        self._changed.set()
        self._changed = asyncio.Event()
        if self.lab is not None:
            if self._settle is not None:
                self._settle.cancel()
            self._settle = asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._take_after_changes)

    def _take_after_changes(self) -> None:
        self._settled = asyncio.ensure_future(self.sample())

    def connected(self, process: ConnectedProcess) -> None:
        """Record that a process has connected."""
        self._lost.pop(str(process), None)
        self._record("process.connected", process=str(process))
        self.notify()

    def disconnected(self, process: ConnectedProcess, reason: str) -> None:
        """Record that a process has disconnected, and show it as lost."""
        found = [entry for entry in self.latest.get("processes", []) if entry["name"] == str(process)]
        entry = found[0] if found else _entry(process, {}, 0.0)
        self._lost[str(process)] = _Lost(self.clock(), reason, entry)
        self._record("process.disconnected", process=str(process), reason=reason)
        self.notify()

    def changed(self, process: ConnectedProcess, change: str) -> None:
        """Record that a command has changed ports, patches or the state of a process."""
        if change.startswith("exit"):
            self._lost.pop(str(process), None)
        self._record("process.changed", process=str(process), change=change)
        self.notify()

    def _record(self, event: str, **fields: object) -> None:
        if self.lab is not None:
            self.lab.record(event, **fields)

    async def _take(self) -> None:
        self._is_current = True
        processes = [*([self.server.primary] if self.server.primary else []), *self._secondaries()]
        for process in processes:
            if process not in self._queries:
                self._queries[process] = asyncio.ensure_future(self._query(process))
        asked = [self._queries[process] for process in processes]
        if asked:
            # A query is never cancelled: the connection would be closed, because its reply could arrive later.
            await asyncio.wait(asked, timeout=STATUS_TIMEOUT)
        now = self.clock()
        before = {entry["name"]: entry for entry in self.latest.get("processes", [])}
        entries = [self._entry(process, before.get(str(process))) for process in processes]
        for known in (self._base, self._answered):
            for process in known.keys() - processes:
                del known[process]
        names = {entry["name"] for entry in entries}
        entries += [_lost_entry(lost) for name, lost in self._lost_now(now).items() if name not in names]
        live: dict[str, Any] = {"time": time.time(), "processes": entries}
        if self.lab is not None:
            live |= await asyncio.to_thread(self.lab.describe, live)
        self.latest, self._taken = live, now

    def _entry(self, process: ConnectedProcess, before: dict[str, Any] | None) -> dict[str, Any]:
        """Return the entry of a process. Its rates are those since its base. ``before``: its entry in the last sample,
        which a silent process keeps.
        """
        if process in self._queries:
            known = before if before and before["state"] != "lost" else _entry(process, {}, 0.0)
            return {**known, "state": "silent", "reason": "does not answer"}
        answered, base = self._answered.get(process, -math.inf), self._base.get(process)
        interval = answered - base.answered if base else math.inf
        entry = _entry(process, base.ports if base and interval <= MAX_INTERVAL else {}, interval)
        if base and interval < MIN_INTERVAL:
            for uid, row in entry["ports"].items():
                row.update({key: base.ports.get(uid, {}).get(key) for key in RATES})
        elif answered > -math.inf:
            self._base[process] = _Base(answered, entry["ports"])
        return entry

    def _secondaries(self) -> list[ConnectedProcess]:
        return [process for _, process in sorted(self.server.secondaries.items())]

    async def _query(self, process: ConnectedProcess) -> None:
        try:
            await process.request("status", self.server.timeout)
            self._answered[process] = self.clock()
        except (NotConnected, NoAnswer):
            pass
        finally:
            del self._queries[process]

    def _lost_now(self, now: float) -> dict[str, _Lost]:
        self._lost = {name: lost for name, lost in self._lost.items() if now - lost.since < LOST_SECONDS}
        return self._lost


def _lost_entry(lost: _Lost) -> dict[str, Any]:
    ports = {uid: {**row, **dict.fromkeys(RATES)} for uid, row in lost.entry["ports"].items()}
    return {**lost.entry, "ports": ports, "state": "lost", "reason": lost.reason}


def _entry(process: ConnectedProcess, base: Mapping[str, Any], interval: float) -> dict[str, Any]:
    """Return the entry of a process. ``base``: its ports ``interval`` seconds ago.

    A key that is missing or invalid in the status affects only its own port or patch.
    """
    status = components.rest_form(process.status, process.kind)
    forwarder = status.get("forwarder")
    inner: Mapping[str, Any] = forwarder if isinstance(forwarder, dict) else status
    counters = {_uid(row.get("port")): row for row in _dicts(inner.get("counters"))}
    uids = _uids(inner.get("ports"))
    return {
        "name": str(process),
        "kind": process.kind,
        "id": process.client_id,
        "state": "running" if inner.get("status") == "running" or "components" in inner else "idling",
        "reason": "",
        "guest": bool(process.vm_id),
        "ports": {uid: _port(counters.get(uid), base.get(uid), interval) for uid in uids},
        "patches": _patches(inner),
        "impairments": _impairments(inner),
    }


def _patches(status: Mapping[str, Any]) -> list[list[str]]:
    """Return the patches as ``[src, dst]``, or ``[src, dst, match]`` if it takes only some frames of its source.

    A component of vf or mirror is a patch from each rx port to each tx port.
    """
    found = [_patch(patch) for patch in _dicts(status.get("patches"))]
    for component in _dicts(status.get("components")):
        rx, tx = (_uids([row.get("port") for row in _dicts(component.get(key))]) for key in ("rx_port", "tx_port"))
        found += [[src, dst] for src in rx for dst in tx]
    return [ends for ends in found if all(ends)]


def _impairments(status: Mapping[str, Any]) -> dict[str, str]:
    """Return the impairments by the source of their patch."""
    rows = [(_patch(row), row.get("impair")) for row in _dicts(status.get("patches"))]
    return {match.source(p[0], *p[2:]): words for p, words in rows if isinstance(words, str) and all(p)}


def _patch(patch: Mapping[str, Any]) -> list[str]:
    ends = [_uid(patch.get("src")), _uid(patch.get("dst"))]
    try:
        words = match.canonical(str(patch.get("match", "")).split())
    except ValueError:
        return ["", ""]
    return [*ends, words] if words else ends


def _port(row: Mapping[str, Any] | None, base: Mapping[str, Any] | None, interval: float) -> dict[str, Any]:
    """Return the counters and rates of a port. The counters are known all together, or all None. A rate is None without
    counters, or after a counter was reset.
    """
    counts: dict[str, Any] = {key: _count(row, key) for key in COUNTERS}
    if None in counts.values():
        counts = dict.fromkeys(COUNTERS)
    sizes = {key: count for key in BYTES if (count := _count(row, key)) is not None}
    linked = row is None or row.get("link") != "down"
    rates: dict[str, Any] = dict.fromkeys(RATES)
    if base and interval and counts["rx"] is not None and base["rx"] is not None:
        grown = {key: counts[key] - base[key] for key in COUNTERS}
        if min(grown.values()) >= 0:
            rates["rx_rate"], rates["tx_rate"] = grown["rx"] / interval, grown["tx"] / interval
            rates["drop_rate"] = (grown["rx_drop"] + grown["tx_drop"]) / interval
    return {**counts, **sizes, "linked": linked, **rates}


def _count(row: Mapping[str, Any] | None, key: str) -> int | None:
    """Return a counter of 64 bits. None: the port does not have it, or it is invalid."""
    value = (row or {}).get(key)
    return value if type(value) is int and 0 <= value < 1 << 64 else None


def _uid(port: object) -> str:
    """Return a port as in a command, ``phy:0nq3`` for the ``phy:0 nq 3`` of a status; "" if it is not a port.

    A hostile guest could otherwise choose a name that means another path of REST to the page.
    """
    text = str(port).replace(" ", "")
    return text if _PORT.fullmatch(text) else ""


def _uids(ports: object) -> list[str]:
    """Return the valid ports in a list of a status."""
    return [uid for uid in map(_uid, ports) if uid] if isinstance(ports, list) else []


def _dicts(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
