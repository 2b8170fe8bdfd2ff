import pytest

from sppr import units


@pytest.mark.parametrize(
    ("text", "value"), [("0x03", 3), ("03", 3), ("10", 0x10), ("0xC00", 0xC00), ("c", 12), (" 0X1 ", 1), ("0", 0)]
)
def test_masks_are_hexadecimal_with_or_without_0x(text: str, value: int) -> None:
    assert units.parse_mask(text) == value


@pytest.mark.parametrize("text", ["", "0x", "xyz", "-1", "0x0G", "1 2"])
def test_invalid_mask_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a hexadecimal mask"):
        units.parse_mask(text)


@pytest.mark.parametrize(
    ("text", "ids"), [("1", [1]), ("1-3", [1, 2, 3]), ("1,3", [1, 3]), ("3, 1-2 ,3", [3, 1, 2]), ("0", [0])]
)
def test_id_list_is_parsed(text: str, ids: list[int]) -> None:
    assert units.parse_ids(text) == ids


@pytest.mark.parametrize("text", ["", "a", "3-1", "1-", ",", "1,,2", "-1", "1-99999"])
def test_invalid_id_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a list|counts down|too large"):
        units.parse_ids(text)


@pytest.mark.parametrize(("text", "mib"), [("512", 512), ("512M", 512), ("2G", 2048), ("2048k", 2), ("1GiB", 1024)])
def test_size_is_in_mib(text: str, mib: int) -> None:
    assert units.parse_mib(text) == mib


@pytest.mark.parametrize("text", ["", "M", "1.5G", "100k", "-1", "1T"])
def test_invalid_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        units.parse_mib(text)


def test_macs_are_local_unicast_and_unique_for_every_vm() -> None:
    macs = {units.mac_of(kind, vm, n) for kind in (0xB2, 0xB3, 0xB4) for vm in range(128) for n in range(9)}
    assert len(macs) == 3 * 128 * 9
    for mac in macs:
        first = int(mac[:2], 16)
        assert len(mac) == 17 and first & 1 == 0 and first & 2
    with pytest.raises(ValueError, match="vm id 256"):
        units.mac_of(1, 256, 0)


def test_bits_and_masks_are_inverse() -> None:
    assert units.bits(0x34) == [2, 4, 5] and units.mask([2, 4, 5]) == 0x34 and units.format_mask(3) == "0x03"
