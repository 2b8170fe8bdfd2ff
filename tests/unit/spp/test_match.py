"""Matches of patches as text."""

import pytest

from sppr.spp import match


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", ""),
        ("vlan=100", "vlan=100"),
        ("dst_mac=02:00:00:00:00:AB vlan=4094", "vlan=4094 dst_mac=02:00:00:00:00:ab"),
        ("src_mac=02:00:00:00:00:01", "src_mac=02:00:00:00:00:01"),
    ],
)
def test_canonical_form(words: str, expected: str) -> None:
    assert match.canonical(words.split()) == expected


@pytest.mark.parametrize(
    "words",
    [
        "vlan=0", "vlan=4095", "vlan=010", "vlan=", "vlan=1 vlan=2", "dst_mac=02:00", "dst_mac=2:0:0:0:0:1", "mac=1",
        "dst_mac=02:00:00:00:00:01 src_mac=02:00:00:00:00:01", "default", "vlan=1;exit",
    ],
)  # fmt: skip
def test_anything_else_is_refused(words: str) -> None:
    with pytest.raises(ValueError):
        match.canonical(words.split())


def test_source_has_port_and_match() -> None:
    assert match.source("tap:0", "vlan=5") == "tap:0 vlan=5" and match.split("tap:0 vlan=5") == ("tap:0", "vlan=5")
    assert match.source("tap:0") == match.source("tap:0", "default") == "tap:0"
    assert match.port_of("tap:0 vlan=5 dst_mac=x") == match.port_of("tap:0") == "tap:0"
    assert match.arguments("tap:0 vlan=5", "ring:0") == "tap:0 ring:0 vlan=5"
    assert match.arguments("tap:0", "ring:0") == "tap:0 ring:0"
