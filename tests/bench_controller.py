"""The controller with 64 secondaries: one REST call that asks all for their status, over one call for each.

``GET /v1/processes`` sends ``status`` to every process and answers once all have replied, with 32,768 bytes each. The
figure is the time of the call as its client sees it, connection included. The secondaries are one process of their own.
"""

import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.bench_results import Results  # noqa: E402
from tests.live.controller.test_controller import until  # noqa: E402
from tests.live.fakes import Lab, lab  # noqa: E402

COUNT = 64


async def secondaries(port: int, count: int) -> None:
    """nfv of the newest SPP in one process: replies of 32768 bytes, as large a status as 32 ports make."""
    ports = [f"ring:{n}" for n in range(32)]

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        hello = {"results": [{"result": "success"}], "client_id": number, "process_type": "nfv"}
        status = {"client-id": number, "status": "running", "master-lcore": 1, "lcores": [1, 2], "ports": ports}
        status["patches"] = [{"src": port, "dst": port} for port in ports]
        texts = {b"_get_client_id": hello, b"status": status}
        answers = {command: json.dumps(text).encode().ljust(32768, b"\0") for command, text in texts.items()}
        while command := await reader.read(1000):
            writer.write(answers[command])
            await writer.drain()

    await asyncio.gather(*(one(number) for number in range(1, count + 1)))


def serve(port: int, count: int) -> None:
    asyncio.run(secondaries(port, count))


def milliseconds(running: Lab, path: str, times: int = 1) -> float:
    began = time.perf_counter()
    for _ in range(times):
        assert running.rest("GET", path)[0] == 200
    return (time.perf_counter() - began) * 1000


def statuses(results: Results) -> None:
    with tempfile.TemporaryDirectory() as folder, lab(Path(folder), "--wiring", f"{folder}/wiring.json") as running:
        child = multiprocessing.Process(target=serve, args=(running.controller.sec_port, COUNT), daemon=True)
        child.start()
        until(lambda: len(running.rest("GET", "/processes")[1]) == COUNT, "64 secondaries")
        pairs = [
            (milliseconds(running, "/processes"), milliseconds(running, "/nfvs/1", COUNT))
            for _ in range(results.times(15))
        ]
        child.terminate()
    together, alone = (statistics.median(figure) for figure in zip(*pairs, strict=True))
    results.add(f"status of {COUNT} secondaries by REST, ms", together)
    results.add(f"status of {COUNT} secondaries, one call after the other, ms", alone)
    results.add(f"status of {COUNT} secondaries at once / one by one", together / alone)


def main() -> int:
    results = Results(__doc__)
    return results.run({"status": lambda: statuses(results)})


if __name__ == "__main__":
    sys.exit(main())
