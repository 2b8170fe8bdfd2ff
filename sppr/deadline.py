"""``Deadline``: the only way to limit a wait. No other code in sppr sleeps."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Deadline:
    """A point in time ``seconds`` from now, on the monotonic clock.

    ``clock`` and ``sleep`` are for tests, in which a fake clock makes a wait take no time.
    """

    def __init__(
        self,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.seconds = seconds
        self._clock = clock
        self._sleep = sleep
        self._start = clock()

    def elapsed(self) -> float:
        """Return the seconds since this deadline was created."""
        return self._clock() - self._start

    def remaining(self) -> float:
        """Return the remaining seconds, never less than 0, for any ``timeout=`` parameter."""
        return max(0.0, self.seconds - self.elapsed())

    def expired(self) -> bool:
        """Return whether no time remains."""
        return self.remaining() <= 0.0

    def within(self, seconds: float) -> "Deadline":
        """Return a deadline ``seconds`` from now, or this one if it is earlier."""
        return Deadline(min(seconds, self.remaining()), clock=self._clock, sleep=self._sleep)

    def ticks(self, interval: float = 0.05) -> Iterator[float]:
        """Yield the elapsed seconds at once, then every ``interval`` seconds, and once more at the deadline."""
        while True:
            expired = self.expired()
            yield self.elapsed()
            if expired:
                return
            self._sleep(min(interval, self.remaining()))

    def poll(self, probe: Callable[[], T | None], interval: float = 0.05) -> T | None:
        """Call ``probe`` until it returns a true value, and return that. Return None at the deadline."""
        for _ in self.ticks(interval):
            if found := probe():
                return found
        return None
