"""Many secondaries in one process: ``python -m tests.fakes.many -s HOST:PORT -n 64 -p 32``.

Each has rings as ports, every second one patched to the next, and counters that rise at each status.
"""

import argparse
import asyncio
import json


class Secondary:
    """A secondary with ``ports`` rings."""

    def __init__(self, client_id: int, ports: int) -> None:
        self.client_id = client_id
        self.ports = [f"ring:{number}" for number in range(ports)]
        self.patches = {self.ports[n]: self.ports[n + 1] for n in range(0, ports - 1, 2)}
        self.frames = 0

    def answer(self, command: str) -> bytes:
        if command == "_get_client_id":
            return json.dumps({"client_id": self.client_id, "process_type": "nfv", "data_plane": "sppr"}).encode()
        self.frames += 1000
        counter = {"rx": self.frames, "rx_drop": 0, "tx": self.frames, "tx_drop": 0}
        status = {
            "client-id": self.client_id,
            "data_plane": "sppr",
            "status": "running",
            "master-lcore": 0,
            "lcores": [0, 1],
            "counters": [{"port": port, **counter} for port in self.ports],
            "ports": self.ports,
            "patches": [{"src": src, "dst": dst} for src, dst in self.patches.items()],
        }
        return json.dumps(status).encode()


async def run(host: str, port: int, secondary: Secondary) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    while command := await reader.read(4096):
        writer.write(secondary.answer(command.decode()).ljust(32768, b"\0"))
        await writer.drain()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-s", dest="server", required=True)
    parser.add_argument("-n", dest="count", type=int, default=64)
    parser.add_argument("-p", dest="ports", type=int, default=32)
    args = parser.parse_args()
    host, _, port = args.server.partition(":")
    await asyncio.gather(*(run(host, int(port), Secondary(n, args.ports)) for n in range(1, args.count + 1)))


if __name__ == "__main__":
    asyncio.run(main())
