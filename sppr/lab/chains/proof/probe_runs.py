"""Send frames from the probe at one end of a chain to the probe at the other end."""

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sppr.deadline import Deadline
from sppr.lab.chains.proof import classes
from sppr.lab.chains.proof.result import Run
from sppr.lab.chains.proof.testbed import Testbed
from sppr.lab.chains.wiring import Leg, host_of
from sppr.spp.control import ControlClient

#: Seconds without an arrival after which missing frames count as lost.
QUIET = 3.0
#: Seconds to wait for frames that must not arrive.
CLASS_SECONDS = 0.2
#: Time limit of a run: a multiple of its time at the given rate, plus seconds for a guest that gets no CPU.
TIME_FACTOR, EXTRA_SECONDS = 4.0, 10.0


class ProbeRuns:
    """The runs of one proof. ``headers``: the header of the frames of each direction."""

    def __init__(self, client: ControlClient, bed: Testbed, headers: Mapping[str, classes.Header]) -> None:
        self.client, self.bed, self.headers = client, bed, headers
        self._key = int.from_bytes(os.urandom(4), "big")
        self._number = 0  # number of the run; late frames of an earlier run count as foreign

    def legs(self, direction: str) -> tuple[Leg, ...]:
        """Return the patches of a direction, with the probes at its ends."""
        return self.bed.forward if direction == "forward" else self.bed.reverse

    def frames(
        self, directions: Sequence[str], count: int, rate: int, *, size: int, window: int, quiet: float = QUIET,
        **options: Any,
    ) -> list[Run]:  # fmt: skip
        """Send frames in these directions in parallel, and return the result of each direction.

        Frames count as lost if nothing has arrived for ``quiet`` seconds. ``window``: maximal number of frames in
        flight. ``options``: further options of ``probe start``.
        """
        self.start(directions, rate=rate, count=count, size=size, window=window, **options)
        self._wait(directions, count, rate, quiet)
        return [self.result(direction, count, size) for direction in directions]

    def start(self, directions: Sequence[str], header: classes.Header | None = None, **options: Any) -> None:
        """Start the sources of these directions, with these options of ``probe start``. ``header``: of other frames
        than those of the chain.
        """
        self._number += 1
        key = (self._key + self._number) & 0xFFFFFFFF
        probes = [self.bed.probes(direction) for direction in directions]
        for flow, (direction, (_, sink)) in enumerate(zip(directions, probes, strict=True), 1):
            for one in (sink, *filter(None, [self.bed.strays.get(direction)])):
                self.client.probe(one.process, one.number, "expect", flow=flow, key=key)
        for flow, (direction, (source, sink)) in enumerate(zip(directions, probes, strict=True), 1):
            words = {
                "src_mac": f"02:53:50:{flow:02x}:{self._number >> 8 & 255:02x}:{self._number & 255:02x}",
                **(header or self.headers[direction]),
                **options,
            }
            if "size" in words:
                words["size"] = classes.tagged_size(words, words["size"])
            if host_of(source.process) == host_of(sink.process):
                words["peer"] = sink.number
            else:  # the source cannot see what a probe of another host received
                words.pop("window", None)
            self.client.probe(source.process, source.number, "start", flow=flow, key=key, **words)

    def strayed(self, direction: str) -> int:
        """Return how many frames of the last run the matches of other chains took."""
        stray = self.bed.strays.get(direction)
        if stray is None:
            return 0
        return int(self.client.probe_result(stray.process, stray.number)["sink"]["received"])

    def frames_of_class(self, direction: str, header: classes.Header, count: int, rate: int, size: int) -> Run:
        """Send frames of another class, and return their result at the end of the chain. No window limits them."""
        self.start([direction], header, rate=rate, count=count, size=size)
        source = self.bed.probes(direction)[0]
        Deadline(count / rate * TIME_FACTOR + EXTRA_SECONDS).poll(
            lambda: not self.client.probe_result(source.process, source.number)["source"]["running"], 0.01
        )
        time.sleep(CLASS_SECONDS)
        self.stop(direction)
        return self.result(direction, count, size)

    def stop(self, direction: str) -> None:
        """Stop the source of a direction, and wait for the frames in flight."""
        source = self.bed.probes(direction)[0]
        self.client.probe(source.process, source.number, "stop")
        time.sleep(0.05)

    def _wait(self, directions: Sequence[str], count: int, rate: int, quiet: float) -> None:
        """Wait for the end of a run, and stop its sources. A slow path gets several times the time of the rate."""
        limit, silence, last = Deadline(count / rate * TIME_FACTOR + EXTRA_SECONDS), Deadline(quiet), -1
        while not limit.expired() and not silence.expired():
            counts = [self._counts(direction) for direction in directions]
            if all(sent == count == received and not running for sent, received, running in counts):
                break
            total = sum(received for _, received, _ in counts)
            if total != last:
                last, silence = total, Deadline(quiet)
            time.sleep(0.01)
        for direction in directions:
            self.stop(direction)

    def _counts(self, direction: str) -> tuple[int, int, bool]:
        """Return the numbers of sent and received frames, and whether the source still runs."""
        source, sink = self.bed.probes(direction)
        sent = self.client.probe_result(source.process, source.number)["source"]
        return sent["sent"], self.client.probe_result(sink.process, sink.number)["sink"]["received"], sent["running"]

    def result(self, direction: str, wanted: int, size: int) -> Run:
        """Return the counters of the probes since the last start. ``wanted``: the number of frames to send."""
        source, sink = self.bed.probes(direction)
        sent = self.client.probe_result(source.process, source.number)["source"]
        received = self.client.probe_result(sink.process, sink.number)["sink"]
        is_remote = host_of(source.process) != host_of(sink.process)  # the clocks of two machines differ
        return Run(
            direction=direction, wanted=wanted, sent=sent["sent"], received=received["received"],
            reordered=received["reordered"], duplicate=received["duplicate"], corrupt=received["corrupt"],
            misdelivered=received["misdelivered"], foreign=received["foreign"], size=size,
            latency_ns={} if is_remote else
            {name: value for name, value in received["latency_ns"].items() if name != "samples"},
            seconds=round((sent["last_ns"] - sent["first_ns"]) / 1e9, 6),
        )  # fmt: skip
