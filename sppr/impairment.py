"""Impairments of patches, with the keys and values of ``tc netem``: ``delay=20ms jitter=2ms loss=0.5%``.

Our own data plane carries them out (docs/dataplane.md, Impairments). Its parser is sppr/dataplane/impair/parameters.c.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

#: What removes an impairment.
OFF = "off"
KEYS = (
    "delay", "jitter", "distribution", "loss", "duplicate", "corrupt", "reorder", "gap", "rate", "burst", "limit",
    "seed",
)  # fmt: skip
#: A key that only has a meaning together with another one.
NEEDS = {"jitter": "delay", "distribution": "jitter", "reorder": "delay", "gap": "reorder", "burst": "rate"}
#: Frames that an impairment holds at most, unless it says otherwise.
LIMIT = 10_000
_TIME = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1000, "ns": 1}
_RATE = {"gbit": 10**9, "mbit": 10**6, "kbit": 10**3, "bit": 1}
#: 100 % as an integer: a percentage has at most 7 digits behind the point.
_ALL = 1_000_000_000
_PERCENT = {"%": _ALL // 100}
_NUMBER = {"": 1}
#: Units, minimum, maximum and form of the values, by key.
_VALUES: Mapping[str, tuple[Mapping[str, int], int, int, str]] = {
    "delay": (_TIME, 0, 3600 * 10**9, "a time such as 50ms or 1.5s, at most 3600s"),
    "jitter": (_TIME, 0, 3600 * 10**9, "a time such as 50ms or 1.5s, at most 3600s"),
    "duplicate": (_PERCENT, 0, _ALL, "a percentage such as 0.5%"),
    "corrupt": (_PERCENT, 0, _ALL, "a percentage such as 0.5%"),
    "reorder": (_PERCENT, 0, _ALL, "a percentage such as 0.5%"),
    "gap": (_NUMBER, 1, 2**32 - 1, "a number from 1 to 4294967295"),
    "rate": (_RATE, 8, 10**12, "a rate such as 10mbit, from 8bit to 1000gbit"),
    "burst": (_NUMBER, 1, 10**9, "a number of bytes from 1 to 1000000000"),
    "limit": (_NUMBER, 1, 1_000_000, "a number of frames from 1 to 1000000"),
    "seed": (_NUMBER, 0, 2**64 - 1, "a number of 64 bits"),
}
_LOSS = "a percentage such as 0.5%, or gemodel,P,R,1-H,1-K in percent"
_GEMODEL = "gemodel,"


@dataclass(frozen=True)
class Impairment:
    """A parsed impairment. Equal ones have the same effect on a patch, however their values were written.

    ``delay_ns``, ``jitter_ns``: nanoseconds. ``normal``: whether the jitter is the standard deviation of a normal
    distribution; otherwise it is the largest difference from the delay.
    ``loss``: probabilities: (P), or (P, R, 1-H, 1-K) of the Gilbert-Elliott model.
    ``duplicate``, ``corrupt``, ``reorder``: probabilities. ``gap``: N - 1 frames at least
    between two that are reordered.
    ``rate``: bit/s; 0: unlimited. ``burst``: bytes; 0: the default. ``limit``: frames. ``seed``: of the random numbers.
    """

    delay_ns: int = 0
    jitter_ns: int = 0
    normal: bool = False
    loss: tuple[float, ...] = ()
    duplicate: float = 0.0
    corrupt: float = 0.0
    reorder: float = 0.0
    gap: int = 1
    rate: int = 0
    burst: int = 0
    limit: int = LIMIT
    seed: int = 0

    @property
    def longest_ns(self) -> int:
        """Return the longest delay."""
        return self.delay_ns + self.jitter_ns * (4 if self.normal else 1)

    @property
    def mean_loss(self) -> float:
        """Return the probability that a frame is lost, over a long time."""
        if len(self.loss) < 4:
            return self.loss[0] if self.loss else 0.0
        p, r, bad, good = self.loss
        share = p / (p + r) if p + r else 0.0
        return share * bad + (1 - share) * good


def parse(text: str) -> Impairment:
    """Parse ``delay=20ms loss=0.5%``. Raise ValueError for anything else."""
    values: dict[str, str] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if key not in KEYS or not equals:
            raise ValueError(f"{word[:40]!r} is not a key of an impairment: {', '.join(KEYS)}")
        if key in values:
            raise ValueError(f"{key} is given twice")
        values[key] = value
    if not values:
        raise ValueError("an impairment has at least one key, such as delay=20ms")
    for key, other in NEEDS.items():
        if key in values and other not in values:
            raise ValueError(f"{key} needs {other}, too")
    numbers = {key: _number(key, value) for key, value in values.items() if key in _VALUES}
    if values.get("distribution", "uniform") not in ("uniform", "normal"):
        raise ValueError(f"distribution={values['distribution'][:40]}: must be uniform or normal")
    return Impairment(
        delay_ns=numbers.get("delay", 0),
        jitter_ns=numbers.get("jitter", 0),
        normal=values.get("distribution") == "normal",
        loss=_loss(values["loss"]) if "loss" in values else (),
        duplicate=numbers.get("duplicate", 0) / _ALL,
        corrupt=numbers.get("corrupt", 0) / _ALL,
        reorder=numbers.get("reorder", 0) / _ALL,
        gap=numbers.get("gap", 1),
        rate=numbers.get("rate", 0),
        burst=numbers.get("burst", 0),
        limit=numbers.get("limit", LIMIT),
        seed=numbers.get("seed", 0),
    )


def check(text: str) -> None:
    """Raise ValueError if a text is neither an impairment nor ``off``."""
    if text != OFF:
        parse(text)


def split(given: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the words of a match, and those of an impairment: ``vlan=5 loss=1%``, ``vlan=5 off``."""
    both: tuple[list[str], list[str]] = ([], [])
    for word in given:
        both[word == OFF or word.partition("=")[0] in KEYS].append(word)
    return both


def same(first: str, second: str) -> bool:
    """Return whether two texts are the same impairment. "" and ``off`` are none."""
    one, other = ("" if text == OFF else text for text in (first, second))
    if not one or not other or one == other:
        return one == other
    try:
        return parse(one) == parse(other)
    except ValueError:
        return False


def words(values: Iterable[tuple[str, object]]) -> str:
    """Return keys and values as text, in the order of KEYS. A value may have spaces: ``gemodel 1% 10%``."""
    found = {key: ",".join(str(value).replace(",", " ").split()) for key, value in values}
    return " ".join(f"{key}={found[key]}" for key in KEYS if key in found)


def _number(key: str, text: str) -> int:
    """Return a value in its smallest unit. Raise ValueError if it is not exact, or out of range."""
    units, least, most, form = _VALUES[key]
    match = re.fullmatch(r"([0-9]{1,20}(?:\.[0-9]{1,18})?)([a-z%]*)", text)
    value = Decimal(match[1]) * units[match[2]] if match and match[2] in units else Decimal(-1)
    if value != value.to_integral_value() or not least <= value <= most:
        raise ValueError(f"{key}={text[:40]}: must be {form}")
    return int(value)


def _loss(text: str) -> tuple[float, ...]:
    """Return the probabilities of a loss. The defaults of the Gilbert-Elliott model are those of tc."""
    parts = text.removeprefix(_GEMODEL).split(",")
    if len(parts) > (4 if text.startswith(_GEMODEL) else 1):
        raise ValueError(f"loss={text[:40]}: must be {_LOSS}")
    try:
        found = [_number("corrupt", part) / _ALL for part in parts]
    except ValueError:
        raise ValueError(f"loss={text[:40]}: must be {_LOSS}") from None
    if not text.startswith(_GEMODEL):
        return (found[0],)
    return tuple(found + [1 - found[0], 1.0, 0.0][len(found) - 1 :])
