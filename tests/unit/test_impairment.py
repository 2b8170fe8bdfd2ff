"""Impairments as text. The data plane parses the same texts: sppr/dataplane/impair/parameters_test.c."""

import pytest

from sppr import impairment
from sppr.impairment import Impairment, parse, same


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("delay=20ms", Impairment(delay_ns=20_000_000)),
        ("delay=1.5s jitter=100us distribution=normal", Impairment(1_500_000_000, 100_000, normal=True)),
        ("loss=0.5%", Impairment(loss=(0.005,))),
        ("loss=gemodel,1%", Impairment(loss=(0.01, 0.99, 1.0, 0.0))),
        ("loss=gemodel,1%,10%,70%,0.1%", Impairment(loss=(0.01, 0.1, 0.7, 0.001))),
        ("duplicate=1% corrupt=0.0000001%", Impairment(duplicate=0.01, corrupt=1e-9)),
        ("delay=1ms reorder=25% gap=5", Impairment(1_000_000, reorder=0.25, gap=5)),
        ("rate=10mbit burst=9018 limit=50 seed=18446744073709551615",
         Impairment(rate=10_000_000, burst=9018, limit=50, seed=2**64 - 1)),
    ],
)  # fmt: skip
def test_text_is_parsed(text: str, expected: Impairment) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "delay", "delay=", "delay=20", "delay=20m", "delay=-1ms", "delay=1.ms", "delay=3601s", "delay=1 ms",
        "jitter=1ms", "delay=1ms distribution=normal", "delay=1ms jitter=1us distribution=pareto", "loss=1",
        "loss=101%", "loss=0.00000001%", "loss=gemodel", "loss=gemodel,", "loss=1%,2%", "loss=gemodel,1%,1%,1%,1%,1%",
        "reorder=5%", "delay=1ms gap=2", "burst=5", "rate=7bit", "rate=1tbit", "limit=0", "limit=1000001", "seed=-1",
        "seed=18446744073709551616", "delay=1ms delay=2ms", "slot=5ms", "off", "loss=\u0665%",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse(text)


def test_equal_impairments_can_be_written_differently() -> None:
    assert same("delay=0.02s loss=0.50%", "loss=0.5% delay=20000us") and not same("delay=20ms", "delay=21ms")
    assert same("", "off") and not same("", "delay=20ms") and not same("delay=20ms", "off")
    assert not same("delay=20ms", "nonsense")


def test_keys_are_in_one_order_and_values_without_spaces() -> None:
    values = [("seed", "5"), ("loss", "gemodel 1%, 10%"), ("delay", "20ms")]
    assert impairment.words(values) == "delay=20ms loss=gemodel,1%,10% seed=5"


def test_mean_loss_and_longest_delay() -> None:
    assert parse("loss=1%").mean_loss == 0.01 and parse("delay=1ms").mean_loss == 0
    assert parse("loss=gemodel,1%,9%,50%,1%").mean_loss == pytest.approx(0.1 * 0.5 + 0.9 * 0.01)
    assert parse("delay=5ms jitter=1ms").longest_ns == 6_000_000
    assert parse("delay=5ms jitter=1ms distribution=normal").longest_ns == 9_000_000


def test_words_of_a_match_and_of_an_impairment_are_separated() -> None:
    assert impairment.split(["vlan=5", "loss=1%", "delay=1ms"]) == (["vlan=5"], ["loss=1%", "delay=1ms"])
    assert impairment.split(["default", "off"]) == (["default"], ["off"]) and impairment.split([]) == ([], [])


def test_off_is_valid_and_nonsense_is_not() -> None:
    impairment.check("off")
    impairment.check("loss=1%")
    with pytest.raises(ValueError, match="not a key"):
        impairment.check("nonsense")
