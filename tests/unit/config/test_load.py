"""conf.yml is read as it is written."""

from pathlib import Path

import pytest

from sppr.config.load import load, parse
from sppr.config.model import Config
from sppr.errors import ConfigError
from tests.conftest import ROOT

FILE_OF_2017 = b"""\
controller:
  host: '127.0.0.1'
  pri_port: 5555
  sec_port: 6666
primary:
  coremask: '0x03'
  portmask: '0x03'
secondaries:
  - id: 1
    coremask: '0x0C'
  - id: 2
    coremask: '0x30'
  - id: 3
    coremask: '0xC0'
  - id: 4
    coremask: '0x300'
  - id: 5
    coremask: '0xC00'
vms_ring: [{id: 6}, {id: 7}, {id: 8}, {id: 9}, {id: 10}]
vms_vhost: [{id: 11}, {id: 12}, {id: 13}, {id: 14}, {id: 15}]
"""


def test_a_file_of_2017_loads_unchanged_and_means_what_ours_means() -> None:
    assert parse(FILE_OF_2017, "conf.yml") == load(ROOT / "conf.yml")


def test_a_mask_means_the_same_quoted_or_not() -> None:
    for written in (b"0x10", b"'0x10'", b'"10"', b"10", b"0X10"):
        assert parse(b"primary: {coremask: " + written + b"}", "c").primary.coremask == 0x10, written


def test_numbers_are_not_turned_into_others() -> None:
    config = parse(b"controller: {pri_port: 05555}\nprimary: {memory: 1G}\nsession: no\n", "c")
    assert config.controller.pri_port == 5555 and config.primary.memory == 1024 and config.session == "no"


def test_an_empty_file_and_empty_sections_are_all_defaults() -> None:
    assert parse(b"", "c") == parse(b"controller:\nsecondaries: ~\n", "c") == Config()


def test_anchors_of_a_reasonable_size_work() -> None:
    config = parse(b"vms_ring:\n  - &a {id: 6, memory: 128}\nvms_vhost:\n  - {id: 7, args: &b [-s]}\n", "c")
    assert config.vms_ring[0].memory == 128 and config.vms_vhost[0].args == ("-s",)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yml: no such file"):
        load(tmp_path / "nowhere.yml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)
