"""The samples of the processes, over real connections to processes whose answers each test decides."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest

from sppr.controller import monitor as monitors
from sppr.controller.monitor import Monitor
from sppr.controller.server.process import ConnectedProcess
from sppr.controller.server.server import Server
from tests.unit.controller.test_process import Peer


class FakeProcess(Peer):
    """A process that answers ``status`` with ``status``, while ``answers`` is true. ``asked``: how often it was."""

    def __init__(self, server: Server, kind: str = "nfv", client_id: int = 1, **status: object) -> None:
        super().__init__()
        self._server = server
        self.process.kind, self.process.client_id = kind, client_id
        self.status: dict[str, object] = {"status": "running", "ports": [], "patches": [], **status}
        self.asked, self.answers = 0, True

    def _on_closed(self, process: ConnectedProcess, reason: str) -> None:
        self._server._on_closed(process, reason)

    async def serve(self) -> None:
        """Answer each request, as the process does."""
        while await asyncio.get_running_loop().sock_recv(self.end, len("status")):
            self.asked += 1
            while not self.answers:
                await asyncio.sleep(0.01)
            self.receive(json.dumps(self.status).encode())

    def count(self, **counters: object) -> None:
        """Set the counters of port tap:0."""
        row = {"rx": 0, "rx_drop": 0, "tx": 0, "tx_drop": 0, **counters}
        self.status |= {"ports": ["tap:0"], "counters": [{"port": "tap:0", **row}]}


class FakeLab:
    """The view of a lab. ``events``: what was recorded."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []
        self.described = 0
        self._lock = threading.Lock()

    def describe(self, live: Mapping[str, Any]) -> dict[str, Any]:
        assert self._lock.acquire(blocking=False), "two threads at a time"
        time.sleep(0.05)
        self.described += 1
        self._lock.release()
        return {"parts": [{"name": "sec1"}], "chains": [], "phase": str(len(live["processes"]))}

    def record(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))


class Bench:
    """A monitor of a server without listeners, to which fake processes are connected.

    ``now``: the time of the monitor in seconds. Only a test changes it, so no rate depends on how busy the machine is.
    """

    def __init__(self) -> None:
        self.server = Server(lambda _line: None, timeout=5)
        self.lab = FakeLab()
        self.now = 1000.0
        self.monitor = Monitor(self.server, self.lab, clock=lambda: self.now)
        self.server.on_connected, self.server.on_disconnected = self.monitor.connected, self.monitor.disconnected
        self._stack = contextlib.AsyncExitStack()

    async def connect(self, kind: str = "nfv", client_id: int = 1, **status: object) -> FakeProcess:
        fake = FakeProcess(self.server, kind, client_id, **status)
        await self._stack.enter_async_context(_served(fake))
        if kind == "primary":
            self.server.primary = fake.process
        else:
            self.server.secondaries[client_id] = fake.process
        self.monitor.connected(fake.process)
        return fake

    async def sample(self) -> dict[str, dict[str, Any]]:
        """Return the processes of a new sample by name."""
        found = await self.monitor.sample(max_age=-1)
        return {entry["name"]: entry for entry in found["processes"]}

    async def port(self, later: float = 0.0) -> dict[str, Any]:
        """Return port tap:0 of nfv:1 in a new sample, ``later`` seconds after now."""
        self.now += later
        found: dict[str, Any] = (await self.sample())["nfv:1"]["ports"]["tap:0"]
        return found

    async def answered(self, fake: FakeProcess) -> None:
        """Wait until the monitor has the answer to each request that was sent to ``fake``."""
        while fake.process in self.monitor._queries:
            await asyncio.sleep(0)

    async def close(self) -> None:
        await self._stack.aclose()


@contextlib.asynccontextmanager
async def _served(fake: FakeProcess) -> AsyncIterator[None]:
    await fake.start()
    task = asyncio.ensure_future(fake.serve())
    try:
        yield
    finally:
        task.cancel()
        fake.process.close("the test ends")
        fake.end.close()


def run(test: Callable[[Bench], Awaitable[None]]) -> Bench:
    """Run ``test`` with a new bench, and return it."""
    benches: list[Bench] = []

    async def whole() -> None:
        benches.append(Bench())
        try:
            await test(benches[0])
        finally:
            await benches[0].close()

    asyncio.run(asyncio.wait_for(whole(), 20))
    return benches[0]


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a short interval, so that a test need not wait for seconds, and a long time limit for a status, so that a
    process is not silent because the machine is busy.
    """
    monkeypatch.setattr(monitors, "INTERVAL", 0.3)
    monkeypatch.setattr(monitors, "STATUS_TIMEOUT", 10)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a silent process for a short time, in which the others still answer on a busy machine."""
    monkeypatch.setattr(monitors, "STATUS_TIMEOUT", 1)


def test_sample_has_the_processes_in_order() -> None:
    async def test(bench: Bench) -> None:
        for number in (9, 2):
            await bench.connect(client_id=number, status="idling")
        primary = {
            "forwarder": {"status": "running", "ports": ["phy:0"], "patches": [{"src": "phy:0", "dst": "phy:0"}]}
        }
        await bench.connect("primary", 0, **primary)
        found = await bench.sample()
        assert [(name, entry["state"]) for name, entry in found.items()] == [
            ("primary", "running"), ("nfv:2", "idling"), ("nfv:9", "idling"),
        ]  # fmt: skip
        assert found["primary"]["patches"] == [["phy:0", "phy:0"]] and found["nfv:9"]["id"] == 9
        assert bench.monitor.latest["parts"] == [{"name": "sec1"}] and bench.monitor.latest["phase"] == "3"

    run(test)


def test_rates_are_those_between_two_samples() -> None:
    async def test(bench: Bench) -> None:
        fake = await bench.connect()
        fake.count(rx=1000, tx=500, rx_drop=5, tx_drop=5)
        first = await bench.port()
        assert first["rx"] == 1000 and first["rx_rate"] is first["tx_rate"] is first["drop_rate"] is None
        fake.count(rx=3000, tx=700, rx_drop=55, tx_drop=55)
        second = await bench.port(0.5)
        assert (second["rx_rate"], second["tx_rate"], second["drop_rate"]) == (4000, 400, 200)

    run(test)


def test_rates_of_a_sample_too_soon_are_those_before() -> None:
    async def test(bench: Bench) -> None:
        fake = await bench.connect()
        fake.count(rx=0)
        await bench.port()
        fake.count(rx=1000)
        second = await bench.port(0.5)
        fake.count(rx=1000_000)
        third = await bench.port(0.25)
        assert third["rx"] == 1000_000 and third["rx_rate"] == second["rx_rate"] == 2000

    run(test)


def test_old_sample_gives_no_rates() -> None:
    async def test(bench: Bench) -> None:
        fake = await bench.connect()
        fake.count(rx=0)
        await bench.port()
        assert (await bench.port(10.5))["rx_rate"] is None
        assert (await bench.port(0.5))["rx_rate"] == 0.0

    run(test)


def test_counter_that_was_reset_has_no_rate() -> None:
    async def test(bench: Bench) -> None:
        fake = await bench.connect()
        fake.count(rx=1000, tx=1000)
        await bench.port()
        fake.count(rx=10, tx=2000)
        found = await bench.port(0.5)
        assert found["rx"] == 10 and found["rx_rate"] is found["tx_rate"] is None
        fake.count(rx=20, tx=2000)
        assert (await bench.port(0.5))["rx_rate"] > 0

    run(test)


def test_new_process_of_the_same_id_has_no_rates_of_the_old_one() -> None:
    async def test(bench: Bench) -> None:
        old = await bench.connect()
        old.count(rx=10)
        await bench.port()
        old.process.close("it was killed")
        new = await bench.connect()
        new.count(rx=5000)
        assert (await bench.port(0.5))["rx_rate"] is None

    run(test)


def test_clients_share_a_sample() -> None:
    async def test(bench: Bench) -> None:
        fake = await bench.connect()
        samples = await asyncio.gather(*[bench.monitor.sample() for _ in range(20)])
        assert all(sample is samples[0] for sample in samples)
        assert await bench.monitor.sample() is samples[0]
        assert fake.asked == bench.lab.described == 1
        bench.now += 0.5
        assert await bench.monitor.sample(max_age=0.0) is not samples[0] and fake.asked == 2

    run(test)


def test_client_that_goes_does_not_disturb_the_others() -> None:
    """The thread that describes the lab cannot be cancelled, and must not run twice at a time."""

    async def test(bench: Bench) -> None:
        await bench.connect()
        gone = asyncio.ensure_future(bench.monitor.sample())
        await asyncio.sleep(0.03)
        gone.cancel()
        assert (await bench.monitor.sample())["parts"]
        with contextlib.suppress(asyncio.CancelledError):
            await gone

    run(test)


@pytest.mark.usefixtures("impatient")
def test_silent_process_keeps_its_values_and_its_request() -> None:
    async def test(bench: Bench) -> None:
        fake = await bench.connect()
        other = await bench.connect(client_id=2)
        fake.count(rx=0)
        await bench.port()
        fake.count(rx=1000)
        before = await bench.port(0.5)
        fake.answers = False
        for _ in range(2):
            found = await bench.sample()
            assert (found["nfv:1"]["state"], found["nfv:1"]["reason"]) == ("silent", "does not answer")
            assert found["nfv:1"]["ports"]["tap:0"] == before and found["nfv:2"]["state"] == "running"
        assert fake.asked == 3 and other.asked == 4, "one request at a time"
        fake.count(rx=1200)
        fake.answers = True
        await bench.answered(fake)
        found = await bench.sample()
        assert found["nfv:1"]["state"] == "running" and found["nfv:1"]["reason"] == ""
        assert found["nfv:1"]["ports"]["tap:0"]["rx"] == 1200 and not fake.process.closed
        assert fake.asked == 4

    run(test)


@pytest.mark.usefixtures("impatient")
def test_rate_after_a_silence_is_that_since_the_last_answer() -> None:
    async def test(bench: Bench) -> None:
        fake = await bench.connect()
        fake.count(rx=0)
        await bench.port()
        fake.answers = False
        await bench.port(1)
        await bench.port(1)
        fake.count(rx=1000)
        fake.answers = True
        bench.now += 2
        await bench.answered(fake)
        assert (await bench.port())["rx_rate"] == 250

    run(test)


@pytest.mark.usefixtures("impatient")
def test_silent_process_does_not_change_the_rates_of_others() -> None:
    """The sample waits for it, but the others answered before that."""

    async def test(bench: Bench) -> None:
        fake = await bench.connect()
        fake.count(rx=0)
        await bench.port()
        other = await bench.connect(client_id=2)
        other.answers = False
        fake.count(rx=1000)
        found = asyncio.ensure_future(bench.port(0.5))
        while not other.asked:
            await asyncio.sleep(0)
        await bench.answered(fake)
        bench.now += 3.5
        assert (await found)["rx_rate"] == 2000

    run(test)


@pytest.mark.usefixtures("impatient")
def test_process_that_never_answered_is_shown() -> None:
    async def test(bench: Bench) -> None:
        fake = await bench.connect()
        fake.answers = False
        assert (await bench.sample())["nfv:1"]["state"] == "silent"

    run(test)


def test_process_that_disconnects_is_lost() -> None:
    async def test(bench: Bench) -> None:
        fake = await bench.connect()
        fake.count(rx=0)
        await bench.port()
        await bench.port(0.5)
        fake.process.close("it closed the connection")
        found = (await bench.sample())["nfv:1"]
        assert (found["state"], found["reason"]) == ("lost", "it closed the connection")
        assert found["ports"]["tap:0"]["rx"] == 0 and found["ports"]["tap:0"]["rx_rate"] is None
        await bench.connect()
        assert (await bench.sample())["nfv:1"]["state"] == "running"

    bench = run(test)
    assert [event for event, _ in bench.lab.events][:3] == [
        "process.connected", "process.disconnected", "process.connected"
    ]  # fmt: skip
    assert bench.lab.events[1][1] == {"process": "nfv:1", "reason": "it closed the connection"}


def test_lost_process_is_forgotten_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        fake = await bench.connect()
        fake.process.close("x")
        assert (await bench.sample())["nfv:1"]["state"] == "lost"
        monkeypatch.setattr(monitors, "LOST_SECONDS", 0.0)
        assert await bench.sample() == {}

    run(test)


def test_process_that_was_told_to_exit_is_not_lost() -> None:
    async def test(bench: Bench) -> None:
        fake = await bench.connect()
        await bench.sample()
        fake.process.close("it was stopped by exit")
        bench.monitor.changed(fake.process, "exit")
        assert await bench.sample() == {}

    bench = run(test)
    assert bench.lab.events[-1] == ("process.changed", {"process": "nfv:1", "change": "exit"})


def test_change_wakes_a_view(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interval is longer than the time limit of the test, so only the change can wake it."""
    monkeypatch.setattr(monitors, "INTERVAL", 60)

    async def test(bench: Bench) -> None:
        fake = await bench.connect()
        views = bench.monitor.watch()
        await anext(views)
        assert bench.monitor.watchers == 1
        waited, missed = [], []
        for state in ("idling", "running", "idling"):
            began = time.monotonic()
            fake.status["status"] = state
            asyncio.get_running_loop().call_later(0.02, bench.monitor.changed, fake.process, "stop")
            sample = await anext(views)
            assert sample["processes"][0]["state"] == state
            waited.append(time.monotonic() - began)
            bench.monitor.notify()  # before the view waits: it must not be missed
            await anext(views)
            missed.append(time.monotonic() - began - waited[-1])
        assert max(min(waited), min(missed)) < 0.25, "a busy machine may be late, but not each time"
        await views.aclose()  # type: ignore[attr-defined]
        assert bench.monitor.watchers == 0

    run(test)


def test_view_gets_a_sample_each_interval() -> None:
    async def test(bench: Bench) -> None:
        views = bench.monitor.watch()
        samples, waited = [await anext(views)], []
        for _ in range(3):
            bench.now += 1
            began = time.monotonic()
            samples.append(await anext(views))
            waited.append(time.monotonic() - began)
        assert 0.25 < min(waited) < 0.8, "a busy machine may be late, but not each time"
        assert len({id(sample) for sample in samples}) == 4
        await views.aclose()  # type: ignore[attr-defined]

    run(test)


def test_states_are_determined_after_the_last_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """The states of chains are recorded in the journal also if no view is open."""
    monkeypatch.setattr(monitors, "SETTLE_SECONDS", 1)

    async def test(bench: Bench) -> None:
        fake = await bench.connect()
        for _ in range(3):
            bench.monitor.changed(fake.process, "forward")
            await asyncio.sleep(0.4)
        assert bench.lab.described == 0, "the first change was longer ago"
        while not bench.lab.described:
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.2)
        assert bench.lab.described == 1

    run(test)


GOOD = {"port": "tap:1", "rx": 7, "rx_drop": 0, "tx": 8, "tx_drop": 0, "link": "down"}
INVALID: list[Any] = [None, "x", -1, 1.5, True, 1 << 64, 10**400, [], {}]


@pytest.mark.parametrize("value", INVALID, ids=lambda value: str(value)[:9])
@pytest.mark.parametrize("key", ["rx", "rx_drop", "tx", "tx_drop", "rx_bytes"])
def test_invalid_counter_affects_only_its_own_port(key: str, value: Any) -> None:
    async def test(bench: Bench) -> None:
        bad = {**GOOD, "port": "tap:0", key: value}
        await bench.connect(ports=["tap:0", "tap:1"], counters=[bad, GOOD])
        await bench.sample()
        bench.now += 1
        ports = (await bench.sample())["nfv:1"]["ports"]
        assert ports["tap:1"]["rx"] == 7 and ports["tap:1"]["rx_rate"] == 0.0 and not ports["tap:1"]["linked"]
        assert key not in ports["tap:0"] or ports["tap:0"][key] is None
        unknown = [ports["tap:0"][name] is None for name in (*monitors.COUNTERS, *monitors.RATES)]
        assert unknown == [key != "rx_bytes"] * 7, "all or none"

    run(test)


@pytest.mark.parametrize("value", [5, "tap:0", None, {}, [5, None, {}, []], True], ids=str)
@pytest.mark.parametrize("key", ["ports", "patches", "counters", "forwarder", "info", "components", "status"])
def test_invalid_status_is_shown_as_far_as_it_is_valid(key: str, value: object) -> None:
    async def test(bench: Bench) -> None:
        good = {"ports": ["tap:1"], "patches": [{"src": "tap:1", "dst": "tap:1"}], "counters": [GOOD]}
        await bench.connect(**{**good, key: value})
        await bench.connect(client_id=2, **good)
        found = await bench.sample()
        assert found["nfv:2"]["ports"]["tap:1"]["rx"] == 7 and "nfv:1" in found
        if key in ("patches", "counters", "components", "status"):
            assert list(found["nfv:1"]["ports"]) == ["tap:1"]
        json.dumps(bench.monitor.latest)

    run(test)


def test_patch_without_a_name_is_left_out() -> None:
    async def test(bench: Bench) -> None:
        patches = [{"src": "a:0"}, {"dst": "a:0"}, {"src": 5, "dst": None}, "x", {"src": "phy:0 nq 3", "dst": "tap:0"}]
        await bench.connect(patches=patches)
        assert (await bench.sample())["nfv:1"]["patches"] == [["phy:0nq3", "tap:0"]]

    run(test)


def test_components_are_patches_from_each_rx_port_to_each_tx_port() -> None:
    async def test(bench: Bench) -> None:
        core = {"core": 2, "name": "fw", "rx_port": [{"port": "phy:0"}], "tx_port": [{"port": "tap:0"}, {"port": "x"}]}
        await bench.connect("vf", 3, info={"client-id": 3, "phy": [0], "core": [core]})
        found = (await bench.sample())["vf:3"]
        assert found["patches"] == [["phy:0", "tap:0"]] and found["state"] == "running"
        assert list(found["ports"]) == ["phy:0"]

    run(test)


def test_monitor_without_a_lab() -> None:
    async def test(bench: Bench) -> None:
        bench.monitor.lab = None
        fake = await bench.connect()
        bench.monitor.changed(fake.process, "forward")
        assert set(await bench.monitor.sample()) == {"time", "processes"}

    assert run(test).lab.events == []
