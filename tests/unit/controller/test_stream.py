"""The server-sent events of the web page."""

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import ClientResponse, ClientSession, web
from hypothesis import given
from hypothesis import strategies as st

from sppr.controller.web import stream
from sppr.controller.web.stream import Streams, by_name, merge_patch

SCALARS = st.none() | st.booleans() | st.integers(2, 5) | st.text("ab", max_size=2)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


def apply(target: Any, patch: Any) -> Any:
    """Apply a merge patch, as in section 2 of RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = apply(result.get(name), value)
    return result


def without_nones(value: Any) -> Any:
    """Return an object without its unknown values. The values of lists are not changed by a merge patch."""
    if not isinstance(value, dict):
        return value
    return {key: without_nones(inner) for key, inner in value.items() if inner is not None}


@given(OBJECTS, OBJECTS)
def test_patch_leads_from_the_old_sample_to_the_new_one(old: dict[str, Any], new: dict[str, Any]) -> None:
    before = copy.deepcopy((old, new))
    patch = msgspec.json.decode(msgspec.json.encode(merge_patch(old, new)))
    assert apply(without_nones(old), patch) == without_nones(new)
    assert (old, new) == before


@given(OBJECTS)
def test_patch_of_equal_samples_is_empty(value: dict[str, Any]) -> None:
    assert merge_patch(value, copy.deepcopy(value)) == {}


def test_lists_become_objects_by_name() -> None:
    sample = {"time": 1, "processes": [{"name": "a", "ports": [1]}], "parts": [], "session": "spp"}
    keyed = {"time": 1, "processes": {"a": {"name": "a", "ports": [1]}}, "parts": {}, "session": "spp"}
    assert by_name(sample) == keyed


class FakeMonitor:
    """A monitor whose samples the test sends to each view."""

    def __init__(self) -> None:
        self.views: list[asyncio.Queue[dict[str, Any]]] = []

    async def watch(self) -> AsyncIterator[dict[str, Any]]:
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.views.append(queue)
        while True:
            yield await queue.get()

    def send(self, sample: dict[str, Any], *views: int) -> None:
        for view in views or range(len(self.views)):
            self.views[view].put_nowait(sample)


def sample(rx: int) -> dict[str, Any]:
    return {"time": rx, "processes": [{"name": "nfv:1", "rx": rx, "state": "running"}], "parts": [], "chains": []}


async def event(response: ClientResponse) -> tuple[str, Any]:
    """Return the name and the data of the next event."""
    name, data, end = [await asyncio.wait_for(response.content.readline(), 5) for _ in range(3)]
    assert name.startswith(b"event: ") and data.startswith(b"data: ") and end == b"\n"
    return name[7:-1].decode(), msgspec.json.decode(data[6:])


class Bench:
    def __init__(self, session: ClientSession, url: str, monitor: FakeMonitor) -> None:
        self._session, self._url, self.monitor = session, url, monitor

    async def open(self) -> ClientResponse:
        return await self._session.get(self._url)


def run(test: Any) -> None:
    async def whole() -> None:
        monitor = FakeMonitor()
        streams = Streams(monitor)  # type: ignore[arg-type]
        app = web.Application()
        app.router.add_get("/", streams.handle)
        app.on_shutdown.append(streams.close)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            async with ClientSession() as session:
                await test(Bench(session, f"http://127.0.0.1:{runner.addresses[0][1]}/", monitor))
        finally:
            await runner.cleanup()

    asyncio.run(asyncio.wait_for(whole(), 20))


def test_stream_has_a_whole_sample_and_then_the_changes() -> None:
    async def test(bench: Bench) -> None:
        response = await bench.open()
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        bench.monitor.send(sample(1))
        assert await event(response) == ("sample", by_name(sample(1)))
        bench.monitor.send(sample(2))
        assert await event(response) == ("change", {"time": 2, "processes": {"nfv:1": {"rx": 2}}})
        bench.monitor.send({**sample(3), "processes": []})
        assert await event(response) == ("change", {"time": 3, "processes": {"nfv:1": None}})

    run(test)


def test_same_sample_is_sent_once() -> None:
    async def test(bench: Bench) -> None:
        response = await bench.open()
        first = sample(1)
        for one in (first, first, sample(2)):
            bench.monitor.send(one)
        assert [(await event(response))[0] for _ in range(2)] == ["sample", "change"]

    run(test)


def test_client_that_missed_an_event_gets_a_whole_sample() -> None:
    async def test(bench: Bench) -> None:
        slow, fast = await bench.open(), await bench.open()
        samples = [sample(number) for number in range(4)]
        for one in samples[:2]:
            bench.monitor.send(one)
            for response in (slow, fast):
                await event(response)
        bench.monitor.send(samples[2], 1)
        assert (await event(fast))[0] == "change"
        bench.monitor.send(samples[3])
        assert (await event(fast))[0] == "change"
        assert await event(slow) == ("sample", by_name(samples[3]))

    run(test)


def test_later_client_begins_with_a_whole_sample() -> None:
    async def test(bench: Bench) -> None:
        first = await bench.open()
        one, two = sample(1), sample(2)
        bench.monitor.send(one)
        await event(first)
        second = await bench.open()
        bench.monitor.send(one, 1)
        assert await event(second) == ("sample", by_name(one))
        bench.monitor.send(two)
        assert await event(first) == await event(second) == ("change", {"time": 2, "processes": {"nfv:1": {"rx": 2}}})

    run(test)


def test_too_many_streams_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_STREAMS", 1)

    async def test(bench: Bench) -> None:
        first = await bench.open()
        refused = await bench.open()
        assert refused.status == 503 and "1 pages are open" in await refused.text()
        first.close()
        await asyncio.sleep(0.1)
        assert (await bench.open()).status == 200

    run(test)
