"""Each invalid conf.yml in data/NAME.yml must give the error text in data/NAME.txt."""

from pathlib import Path

import pytest

from sppr.config.load import parse
from sppr.errors import ConfigError
from tests.conftest import Golden

DATA = Path(__file__).parent / "data"
FILES = sorted(DATA.glob("*.yml"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_invalid_file_is_refused_with_location_and_fix(path: Path, golden: Golden) -> None:
    with pytest.raises(ConfigError) as e:
        parse(path.read_bytes(), "conf.yml")
    lines = e.value.what.splitlines()
    assert all(line.startswith("conf.yml:") for line in lines[::2]) and all("    fix: " in line for line in lines[1::2])
    golden.check(path.with_suffix(".txt"), e.value.what + "\n")


def test_every_expected_text_has_a_conf_file() -> None:
    assert len(FILES) >= 120 and {p.stem for p in DATA.glob("*.txt")} == {p.stem for p in FILES}
