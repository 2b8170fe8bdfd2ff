"""Pairs of a bad conf.yml and the error text it must give, as data: data/NAME.yml and data/NAME.txt."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sppr.config.load import parse
from sppr.errors import ConfigError
from tests.conftest import ROOT, Golden

DATA = Path(__file__).parent / "data"
FILES = sorted(DATA.glob("*.yml"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_bad_file_is_refused_with_its_place_and_a_fix(path: Path, golden: Golden) -> None:
    with pytest.raises(ConfigError) as e:
        parse(path.read_bytes(), "conf.yml")
    lines = e.value.what.splitlines()
    assert all(line.startswith("conf.yml:") for line in lines[::2]) and all("    fix: " in line for line in lines[1::2])
    golden.check(path.with_suffix(".txt"), e.value.what + "\n")


def test_every_expected_text_has_its_file() -> None:
    assert FILES and {p.stem for p in DATA.glob("*.txt")} == {p.stem for p in FILES}


PIECES = (b"", b":", b"-", b"{", b"]", b"\t", b"0x", b"&a", b"*a", b"\xff", b"!", b"\n", b"9")
GOOD = (ROOT / "conf.yml").read_bytes()


@settings(max_examples=2000, deadline=None)
@given(st.data())
def test_no_mutation_of_a_good_file_gives_a_traceback(data: st.DataObject) -> None:
    text = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text) - 1))
        piece = data.draw(st.sampled_from(PIECES))
        text[at : at + data.draw(st.integers(0, 5))] = piece or data.draw(st.binary(max_size=4))
        if not text:
            return
    try:
        parse(bytes(text), "conf.yml")
    except ConfigError as e:
        assert e.what.startswith("conf.yml:")
