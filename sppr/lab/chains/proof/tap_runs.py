"""Send frames from one TAP interface to another by packet sockets (AF_PACKET), and check them when they arrive.

This is for chains whose ends cannot be probes. The ends and the patches of the chain do not change.
"""

import contextlib
import errno
import hashlib
import os
import select
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from sppr.host.network import packet_socket
from sppr.lab.chains import ends
from sppr.lab.chains.proof.classes import Header
from sppr.lab.chains.proof.probe_runs import EXTRA_SECONDS, QUIET, TIME_FACTOR
from sppr.lab.chains.proof.result import Run
from sppr.lab.chains.wiring import ChainWiring, Leg
from sppr.lab.state.state import State
from sppr.spp import names

#: The highest rate in frames per second, because Python creates and checks each frame.
MAX_RATE = 2000
#: Seconds without an arrival after which the frames in flight count as lost, and the window opens again.
STALLED = 1.0
#: The ethertype for local experiments (IEEE 802). No program of the host handles such a frame.
ETHERTYPE = 0x88B5
DIGEST, FCS = 16, 4
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


@dataclass(frozen=True)
class Tap:
    """The kernel's side of a TAP interface.

    ``port``, ``interface``: such as ``tap:0`` and ``dtap0``.
    ``netns``: the name of its network namespace; None: that of this process.
    """

    port: str
    interface: str
    netns: str | None = None

    def __str__(self) -> str:
        return f"{self.port} ({self.interface})"


class TapError(Exception):
    """The error that frames cannot be sent or received at a TAP interface.

    The text has the interface, the reason, and maybe a fix.
    """

    def __init__(self, tap: Tap, cause: OSError) -> None:
        inside = f"-n {tap.netns} " if tap.netns else ""
        hints = {
            errno.EMSGSIZE: " (the largest --size is its MTU and 18)",
            errno.ENETDOWN: f" (ip {inside}link set {tap.interface} up)",
        }
        super().__init__(f"{tap}: {cause.strerror or cause}{hints.get(cause.errno or 0, '')}")


@contextlib.contextmanager
def _as_tap_error(tap: Tap) -> Iterator[None]:
    """Convert an OSError to a TapError that names the interface."""
    try:
        yield
    except OSError as e:
        raise TapError(tap, e) from e


def interfaces(state: State, chain: ChainWiring) -> tuple[Tap, Tap] | str:
    """Return both ends of a chain, or the reason why frames cannot be sent from one to the other."""
    known = names.tap_interfaces(state.plan.part("pri").program)
    spaces = {end.interface: ends.name_of(state.plan, end) for end in state.plan.wiring.ends}
    for port in (chain.path[0], chain.path[-1]):
        if port not in known:
            return f"{port} is not a TAP interface of the primary, so the host's kernel cannot send frames there"
    if os.geteuid() != 0:
        return "only root can send frames to its TAP interfaces"
    near, far = (Tap(port, known[port], spaces.get(known[port])) for port in (chain.path[0], chain.path[-1]))
    return near, far


class TapRuns:
    """The runs of one proof between two TAP interfaces.

    ``headers``: the header of the frames of each direction. As a context manager it opens the packet sockets. Its
    methods raise TapError if an interface does not exist, is down, refuses frames of this size, or drops frames before
    they are received here.
    """

    def __init__(self, chain: ChainWiring, near: Tap, far: Tap, headers: Mapping[str, Header]) -> None:
        self._chain, self._near, self._far, self._headers = chain, near, far, headers
        self._stack = contextlib.ExitStack()
        self._links: dict[str, _Link] = {}
        self._key = os.urandom(32)
        self._number = 0  # number of the run

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:

            def sniffer(tap: Tap, mac: str) -> packet_socket.Sniffer:
                with _as_tap_error(tap):
                    return stack.enter_context(contextlib.closing(packet_socket.Sniffer(tap.interface, mac, tap.netns)))

            for direction, header in self._headers.items():
                mac = str(header["dst_mac"])
                source, sink = (self._near, self._far) if direction == "forward" else (self._far, self._near)
                with _as_tap_error(source):
                    sender = stack.enter_context(
                        contextlib.closing(packet_socket.Sender(source.interface, source.netns))
                    )
                self._links[direction] = _Link(source, sink, header, sender, sniffer(sink, mac), sniffer(source, mac))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def legs(self, direction: str) -> tuple[Leg, ...]:
        """Return the patches of a direction."""
        return self._chain.forward if direction == "forward" else self._chain.reverse

    def frames(self, directions: Sequence[str], count: int, rate: int, *, size: int, window: int) -> list[Run]:
        """Send frames in these directions in parallel, and return the result of each direction.

        Frames count as lost if nothing has arrived for QUIET seconds.
        """
        self._number += 1
        flows = [
            _Flow(self._links[direction], _Frames(self._key, self._number, self._links[direction].header, size), count)
            for direction in directions
        ]
        sinks = [sniffer for flow in flows for sniffer in (flow.link.received, flow.link.reflected)]
        start = progress = time.monotonic()
        while not all(flow.is_over for flow in flows):
            now = time.monotonic()
            if now - progress > QUIET or now - start > count / rate * TIME_FACTOR + EXTRA_SECONDS:
                break
            for flow in flows:
                flow.send(min(count, int((now - start) * rate) + 1), window)
            select.select(sinks, [], [], 0.001)
            arrived = [flow.receive() for flow in flows]
            if any(arrived):
                progress = time.monotonic()
        time.sleep(0.05)  # a duplicate of the last frame may still arrive
        for flow in flows:
            flow.receive()
        return [flow.result(direction, size) for direction, flow in zip(directions, flows, strict=True)]


@dataclass(frozen=True)
class _Link:
    """The packet sockets of one direction.

    ``source``, ``sink``: the interfaces. ``header``: the header of the frames.
    ``sender``, ``received``: the sockets that send and receive. ``reflected``: the socket that receives frames which
    come back to their source.
    """

    source: Tap
    sink: Tap
    header: Header
    sender: packet_socket.Sender
    received: packet_socket.Sniffer
    reflected: packet_socket.Sniffer


class _Frames:
    """The frames of one run. A frame has a header, its run and number, a keyed BLAKE2 digest, and a pattern.

    ``size``: bytes with FCS, without a VLAN tag.
    """

    def __init__(self, key: bytes, run: int, header: Header, size: int) -> None:
        self._key = key
        source = _address(header["src_mac"]) if "src_mac" in header else b"\x02SPP" + run.to_bytes(2)
        tag = b"\x81\x00" + int(header["vlan"]).to_bytes(2) if "vlan" in header else b""
        self._head = _address(header["dst_mac"]) + source + tag + ETHERTYPE.to_bytes(2) + run.to_bytes(4)
        self._tail = bytes(n & 0xFF for n in range(size + len(tag) - FCS - len(self._head) - 4 - DIGEST))

    def make(self, number: int) -> bytes:
        """Return the frame with this number."""
        head = self._head + number.to_bytes(4)
        return head + self._digest(head) + self._tail

    def number(self, frame: bytes) -> int | None:
        """Return the number of a frame, or None if it differs from the frame that was sent."""
        start = len(self._head)
        number = int.from_bytes(frame[start : start + 4])
        return number if frame == self.make(number) else None

    def _digest(self, head: bytes) -> bytes:
        return hashlib.blake2b(head + self._tail, key=self._key, digest_size=DIGEST).digest()


def _address(mac: str | int) -> bytes:
    return bytes.fromhex(str(mac).replace(":", ""))


@dataclass
class _Flow:
    """One direction of a run, with its counters."""

    link: _Link
    frames: _Frames
    count: int
    sent: int = 0
    highest: int = -1
    reordered: int = 0
    duplicate: int = 0
    corrupt: int = 0
    misdelivered: int = 0
    times: dict[int, int] = field(default_factory=dict)  # in ns: when each frame that has not arrived was sent
    latencies: list[int] = field(default_factory=list)  # in ns: of each frame that has arrived
    first_ns: int = 0
    last_ns: int = 0
    settled: int = 0  # all frames below this number have arrived or count as lost
    progress: float = 0.0

    @property
    def is_over(self) -> bool:
        """Return whether all frames were sent and have arrived."""
        return self.sent == self.count == len(self.latencies)

    def send(self, due: int, window: int) -> None:
        """Send the frames with numbers below ``due``, as far as the window permits."""
        now = time.monotonic()
        if self.settled == self.sent:
            self.progress = now
        elif now - self.progress > STALLED:
            self.settled, self.progress = self.sent, now
        while self.sent < due and self.sent - self.settled < window:
            frame, now_ns = self.frames.make(self.sent), time.monotonic_ns()
            with _as_tap_error(self.link.source):
                if not self.link.sender.send(frame):
                    return
            self.times[self.sent] = now_ns
            self.first_ns, self.last_ns = self.first_ns or now_ns, now_ns
            self.sent += 1

    def receive(self) -> bool:
        """Check the frames that have arrived. Return whether an expected frame was among them."""
        self.misdelivered += len(self.link.reflected.read())
        frames, now = self.link.received.read(), time.monotonic_ns()
        if self.link.received.missed():
            raise TapError(self.link.sink, OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS)))
        before = len(self.latencies)
        for frame in frames:
            self._count(self.frames.number(frame), now)
        return len(self.latencies) > before

    def _count(self, number: int | None, now: int) -> None:
        """Count a frame that has arrived. ``number``: None if it is corrupt."""
        if number is None:
            self.corrupt += 1
        elif number not in self.times:
            self.duplicate += 1
        else:
            self.latencies.append(now - self.times.pop(number))
            self.reordered += number < self.highest
            self.highest = max(self.highest, number)
            self.settled, self.progress = max(self.settled, number + 1), time.monotonic()

    def result(self, direction: str, size: int) -> Run:
        """Return the result of the run."""
        ordered = sorted(self.latencies)
        latency = {name: ordered[int(share * (len(ordered) - 1))] for name, share in PERCENTILES.items() if ordered}
        if ordered:
            latency |= {"min": ordered[0], "max": ordered[-1], "mean": sum(ordered) // len(ordered)}
        return Run(
            direction=direction, wanted=self.count, sent=self.sent, received=len(ordered), reordered=self.reordered,
            duplicate=self.duplicate, corrupt=self.corrupt, misdelivered=self.misdelivered, foreign=0, size=size,
            latency_ns=latency, seconds=round((self.last_ns - self.first_ns) / 1e9, 6),
        )  # fmt: skip
