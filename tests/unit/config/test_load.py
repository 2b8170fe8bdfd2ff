"""conf.yml is read as it is written."""

from pathlib import Path

import pytest

from sppr.config import peek
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


def test_file_of_2017_gives_the_same_configuration() -> None:
    ours = load(ROOT / "conf.yml")
    assert parse(FILE_OF_2017, "conf.yml") == ours.model_copy(update={"chains": {}}) and ours.chains


def test_mask_is_the_same_with_and_without_quotes() -> None:
    for written in (b"0x10", b"'0x10'", b'"10"', b"10", b"0X10"):
        assert parse(b"primary: {coremask: " + written + b"}", "c").primary.coremask == 0x10, written


def test_yaml_does_not_convert_numbers() -> None:
    config = parse(b"controller: {pri_port: 05555}\nprimary: {memory: 1G}\nsession: no\n", "c")
    assert config.controller.pri_port == 5555 and config.primary.memory == 1024 and config.session == "no"


def test_empty_file_and_empty_sections_have_defaults() -> None:
    assert parse(b"", "c") == parse(b"controller:\nsecondaries: ~\n", "c") == Config()


def test_anchors_are_supported() -> None:
    config = parse(b"vms_ring:\n  - &a {id: 6, memory: 128}\nvms_vhost:\n  - {id: 7, args: &b [-s]}\n", "c")
    assert config.vms_ring[0].memory == 128 and config.vms_vhost[0].args == ("-s",)


SHARED = b"""\
x-guest: &guest
  memory: 128
  cores: 2
x-big: &big {<<: *guest, memory: 512, args: [-s]}
x-note: {any: [thing, {at: all}]}
secondaries:
  - {id: 1, coremask: 0x0C, x-why: for the first guest}
vms_ring:
  - <<: *guest
    id: 6
  - {id: 7, memory: 192, <<: *guest}
vms_vhost:
  - {<<: [*guest, *big], id: 11}
  - {<<: [*big, *guest], id: 12}
  - {<<: {memory: 160}, id: 13}
"""


def test_merge_keys_and_extension_keys_work_as_in_compose_files() -> None:
    config = parse(SHARED, "c")
    assert [(vm.id, vm.memory, vm.cores, vm.args) for vm in (*config.vms_ring, *config.vms_vhost)] == [
        (6, 128, 2, None),
        (7, 192, 2, None),  # a key of its own counts more, wherever it is written
        (11, 128, 2, ("-s",)),  # of several mappings the first that has a key
        (12, 512, 2, ("-s",)),
        (13, 160, None, None),
    ]
    assert config.secondaries[0].id == 1


def test_rule_on_merged_values_names_their_line() -> None:
    text = b"x-core: &core {coremask: 0x0C}\nsecondaries:\n  - {<<: *core, id: 1}\n  - {<<: *core, id: 2}\n"
    with pytest.raises(
        ConfigError, match=r"^c:1:26: secondaries\[1\]\.coremask: .*overlaps secondaries\[0\] \(line 1\)"
    ):
        parse(text, "c")


def test_session_is_read_through_merge_keys(tmp_path: Path) -> None:
    conf = tmp_path / "conf.yml"
    conf.write_text("x-a: &a {session: there}\nx-b: &b [*a, *a]\n<<: [*b]\n")
    assert peek.session(conf) is None, "a list in a list is no merge"
    conf.write_text("x-a: &a {session: there}\n<<: [*a]\n")
    assert peek.session(conf) == load(conf).session == "there"
    conf.write_text("x-a: &a {session: there}\n<<: *a\nsession: here\n")
    assert peek.session(conf) == load(conf).session == "here"
    conf.write_text("x-a: &a {<<: *a}\n<<: *a\n")
    assert peek.session(conf) is None


def test_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yml: no such file"):
        load(tmp_path / "nowhere.yml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)
