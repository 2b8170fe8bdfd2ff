from sppr.deadline import Deadline


class Clock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        assert seconds > 0, "a sleep of nothing would spin for ever"
        self.now += seconds


def deadline(clock: Clock, seconds: float) -> Deadline:
    return Deadline(seconds, clock=lambda: clock.now, sleep=clock.sleep)


def test_a_poll_returns_what_the_probe_found_and_when() -> None:
    clock = Clock()
    assert deadline(clock, 10).poll(lambda: "there" if clock.now >= 3 else None, 1) == "there"
    assert clock.now == 3


def test_a_poll_gives_up_at_its_end_after_one_last_look() -> None:
    clock = Clock()
    looks: list[float] = []
    assert deadline(clock, 2.5).poll(lambda: looks.append(clock.now), 1) is None
    assert looks == [0, 1, 2, 2.5]


def test_an_expired_deadline_still_looks_once() -> None:
    assert deadline(Clock(), 0).poll(lambda: True) is True


def test_a_part_of_a_deadline_does_not_outlast_it() -> None:
    clock = Clock()
    whole = deadline(clock, 5)
    clock.now = 4
    assert whole.within(3).seconds == 1 and whole.remaining() == 1
