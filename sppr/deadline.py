"""``Deadline``: the one way to bound a wait. Nothing else in sppr sleeps."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Deadline:
    """A point in time ``seconds`` from now, on the monotonic clock.

    ``clock`` and ``sleep`` are for tests: a fake clock makes any wait instant.
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
        """Seconds since this deadline was made."""
        return self._clock() - self._start

    def remaining(self) -> float:
        """Seconds left, never below 0: fit for any ``timeout=``."""
        return max(0.0, self.seconds - self.elapsed())

    def expired(self) -> bool:
        return self.remaining() <= 0.0

    def within(self, seconds: float) -> "Deadline":
        """A deadline ``seconds`` from now that does not outlast this one."""
        return Deadline(min(seconds, self.remaining()), clock=self._clock, sleep=self._sleep)

    def ticks(self, interval: float = 0.05) -> Iterator[float]:
        """Yield the elapsed time at once and then every ``interval`` seconds; one last time when it has expired."""
        while True:
            expired = self.expired()
            yield self.elapsed()
            if expired:
                return
            self._sleep(min(interval, self.remaining()))

    def poll(self, probe: Callable[[], T | None], interval: float = 0.05) -> T | None:
        """Call ``probe`` until it gives something true, and return that; None when the time is over."""
        for _ in self.ticks(interval):
            if found := probe():
                return found
        return None
