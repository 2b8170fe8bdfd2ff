"""Send frames from the probe at one end of a chain to the probe at the other end."""

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sppr.deadline import Deadline
from sppr.lab.chains.proof.result import Run
from sppr.lab.chains.proof.testbed import Testbed
from sppr.lab.chains.wiring import Leg
from sppr.spp.control import ControlClient

#: Seconds without an arrival after which missing frames count as lost.
QUIET = 3.0
#: The longest run: multiples of the time that the rate asks for, and seconds for a guest that gets no CPU.
LONGEST, SPARE = 4.0, 10.0


class ProbeRuns:
    """The runs of one proof. ``macs``: the destination address of each direction."""

    def __init__(self, client: ControlClient, bed: Testbed, macs: Mapping[str, str]) -> None:
        self.client, self.bed, self.macs = client, bed, macs
        self._key = int.from_bytes(os.urandom(4), "big")
        self._number = 0  # of the run: frames of an earlier one that come late are foreign

    def legs(self, direction: str) -> tuple[Leg, ...]:
        """Return the patches of a direction as they are now."""
        return self.bed.forward if direction == "forward" else self.bed.reverse

    def frames(
        self, directions: Sequence[str], count: int, rate: int, *, size: int, window: int, quiet: float = QUIET,
        **words: Any,
    ) -> list[Run]:  # fmt: skip
        """Send frames in these directions at once, and wait until they have arrived or are lost: until nothing new has
        arrived for ``quiet`` seconds."""
        self.start(directions, rate=rate, count=count, size=size, window=window, **words)
        self._wait(directions, count, rate, quiet)
        return [self.result(direction, count, size) for direction in directions]

    def start(self, directions: Sequence[str], **words: Any) -> None:
        """Start the sources of these directions, with ``words`` of ``probe start``."""
        self._number += 1
        key = (self._key + self._number) & 0xFFFFFFFF
        plugs = [self.bed.plugs(direction) for direction in directions]
        for flow, (_, sink) in enumerate(plugs, 1):
            self.client.probe(sink.process, sink.number, "expect", flow=flow, key=key)
        for flow, (direction, (source, sink)) in enumerate(zip(directions, plugs, strict=True), 1):
            macs = {
                "dst_mac": self.macs[direction],
                "src_mac": f"02:53:50:{flow:02x}:{self._number >> 8 & 255:02x}:{self._number & 255:02x}",
            }
            self.client.probe(
                source.process, source.number, "start", flow=flow, key=key, peer=sink.number, **macs, **words
            )

    def stop(self, direction: str) -> None:
        """Stop the source of a direction, and wait for the frames in flight."""
        source = self.bed.plugs(direction)[0]
        self.client.probe(source.process, source.number, "stop")
        time.sleep(0.05)

    def _wait(self, directions: Sequence[str], count: int, rate: int, quiet: float) -> None:
        """Wait for the end of a run, and stop its sources. A slow path gets a few times as long as the rate wants."""
        limit, still, last = Deadline(count / rate * LONGEST + SPARE), Deadline(quiet), -1
        while not limit.expired() and not still.expired():
            counts = [self._counts(direction) for direction in directions]
            if all(sent == count == received and not running for sent, received, running in counts):
                break
            total = sum(received for _, received, _ in counts)
            if total != last:
                last, still = total, Deadline(quiet)
            time.sleep(0.01)
        for direction in directions:
            self.stop(direction)

    def _counts(self, direction: str) -> tuple[int, int, bool]:
        source, sink = self.bed.plugs(direction)
        made = self.client.probe_result(source.process, source.number)["source"]
        return made["sent"], self.client.probe_result(sink.process, sink.number)["sink"]["received"], made["running"]

    def result(self, direction: str, wanted: int, size: int) -> Run:
        """Return what the probes counted since the last start."""
        source, sink = self.bed.plugs(direction)
        made = self.client.probe_result(source.process, source.number)["source"]
        got = self.client.probe_result(sink.process, sink.number)["sink"]
        return Run(
            direction=direction, wanted=wanted, sent=made["sent"], received=got["received"],
            reordered=got["reordered"], duplicate=got["duplicate"], corrupt=got["corrupt"],
            misdelivered=got["misdelivered"], foreign=got["foreign"], size=size,
            latency_ns={name: value for name, value in got["latency_ns"].items() if name != "samples"},
            seconds=round((made["last_ns"] - made["first_ns"]) / 1e9, 6),
        )  # fmt: skip
