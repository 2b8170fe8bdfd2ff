from sppr.deadline import Deadline


class Clock:
    """A clock that advances only in ``sleep``."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        assert seconds > 0, "a sleep of nothing would spin for ever"
        self.now += seconds


def deadline(clock: Clock, seconds: float) -> Deadline:
    return Deadline(seconds, clock=lambda: clock.now, sleep=clock.sleep)


def test_poll_returns_the_result_at_once() -> None:
    clock = Clock()
    assert deadline(clock, 10).poll(lambda: "there" if clock.now >= 3 else None, 1) == "there"
    assert clock.now == 3


def test_poll_checks_once_more_at_its_end() -> None:
    clock = Clock()
    looks: list[float] = []
    assert deadline(clock, 2.5).poll(lambda: looks.append(clock.now), 1) is None
    assert looks == [0, 1, 2, 2.5]


def test_expired_deadline_polls_once() -> None:
    assert deadline(Clock(), 0).poll(lambda: True) is True


def test_partial_deadline_ends_with_the_whole() -> None:
    clock = Clock()
    whole = deadline(clock, 5)
    clock.now = 4
    assert whole.within(3).seconds == 1 and whole.remaining() == 1
