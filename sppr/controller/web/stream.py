"""The live data of the page as server-sent events: a whole sample first, and then what has changed, once a second.

A change is a JSON merge patch (RFC 7396) of the sample, whose lists of processes, parts and chains are objects by name.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from sppr.controller.monitor import Monitor

#: Streams at the same time. Each occupies a connection of the REST server.
MAX_STREAMS = 16
#: Seconds in which a client must take an event.
WRITE_TIMEOUT = 10.0
_BY_NAME = ("processes", "parts", "chains")


class Streams:
    """The open streams of a controller. An event is made once and sent to all streams that have the sample before."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._tasks: set[asyncio.Task[Any]] = set()
        self._requests: list[web.Request] = []
        self._sample: Mapping[str, Any] = {}
        self._keyed: dict[str, Any] = {}
        self._number = 0
        self._patch = b""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Send events until the client goes or the controller stops. 503: there are too many streams."""
        self._requests = [other for other in self._requests if not _is_gone(other)]
        if len(self._requests) >= MAX_STREAMS:
            return web.Response(status=503, text=f"{MAX_STREAMS} pages are open already: close one")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._requests.append(request)
        seen = -1
        try:
            async for sample in self._monitor.watch():
                self._update(sample)
                if self._number == seen:
                    continue
                event = self._patch if self._number == seen + 1 and seen >= 0 else self._whole()
                seen = self._number
                async with asyncio.timeout(WRITE_TIMEOUT):
                    await response.write(event)
        except (ConnectionError, TimeoutError):
            pass  # the client has gone, or does not read
        finally:
            self._tasks.discard(task)
            self._requests = [other for other in self._requests if other is not request]
        return response

    async def close(self, _app: web.Application) -> None:
        """End every stream."""
        for task in self._tasks:
            task.cancel()

    def _update(self, sample: Mapping[str, Any]) -> None:
        """Make the event for a new sample."""
        if sample is self._sample:
            return
        keyed = by_name(sample)
        self._patch = _event("change", merge_patch(self._keyed, keyed))
        self._sample, self._keyed = sample, keyed
        self._number += 1

    def _whole(self) -> bytes:
        return _event("sample", self._keyed)


def _is_gone(request: web.Request) -> bool:
    """Return whether the client has closed the connection. Its stream ends at the next event."""
    return request.transport is None or request.transport.is_closing()


def by_name(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sample with its lists of processes, parts and chains as objects by name."""
    return {key: {row["name"]: row for row in value} if key in _BY_NAME else value for key, value in sample.items()}


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON merge patch (RFC 7396) from ``old`` to ``new``. None removes a key; an unknown value is None,
    too, and is left out of the result.
    """
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if value == before:
            continue
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            patch[key] = merge_patch(before, value)
        else:
            patch[key] = value
    return patch


def _event(name: str, data: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))
