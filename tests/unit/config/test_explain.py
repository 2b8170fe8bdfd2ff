"""Errors of single keys of conf.yml, as the user reads them."""

import pytest

from sppr.config.explain import model_at, problem
from sppr.config.load import parse
from sppr.config.model import Chain, Config, End, VmRing
from sppr.config.problem import Problem
from sppr.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        (
            'primary: {portmask: [a]}',
            'c:1:11: primary.portmask: a list is not a mask',
            'write a mask such as 0x0C',
        ),
        (
            'primary: {coremask: }',
            'c:1:11: primary.coremask: an empty value is not a mask',
            'write a mask such as 0x0C',
        ),
        (
            'primary: {memory: [1]}',
            'c:1:11: primary.memory: a list is not a size',
            'write MiB, or a number with M or G',
        ),
        (
            'vms_ring: [{id: [1]}]',
            'c:1:13: vms_ring[0].id: a list is not a whole number',
            'write one decimal number',
        ),
        (
            'primary: {restart: {delay: x}}',
            "c:1:28: primary.restart.delay: 'x' is not a number",
            'write seconds as a decimal number',
        ),
        (
            'primary: {restart: {delay: [1]}}',
            'c:1:21: primary.restart.delay: a list is not a number',
            'write seconds as a decimal number',
        ),
        (
            'patches: [{}]',
            'c:1:11: patches[0]: an entry has one part and one patch',
            "write '- sec1: tap:0 -> ring:0', a part and one patch",
        ),
        (
            'secondaries: {a: 1}',
            'c:1:1: secondaries: a mapping is not a list',
            "begin each entry with '- ', a dash and a space",
        ),
        (
            'primary: {rings: 99}',
            'c:1:18: primary.rings: 99 is out of range',
            'use a value from 1 to 98',
        ),
        (
            'primary: {memory: 63}',
            'c:1:19: primary.memory: 63 is out of range',
            'use a value from 64 to 1048576 MiB',
        ),
        (
            'secondaries: [{id: 128, coremask: 0xC}]',
            'c:1:20: secondaries[0].id: 128 is out of range',
            'use a value from 1 to 127',
        ),
        (
            'primary: {restart: {delay: 61}}',
            'c:1:28: primary.restart.delay: 61 is out of range',
            'use a value from 0.1 to 60',
        ),
        (
            'vms_ring: [{id: 6, cpus: [-1]}]',
            'c:1:27: vms_ring[0].cpus[0]: -1 is out of range',
            'use a value from 0 to 1023',
        ),
        (
            'vms_ring: [{id: 6, rings: [1000]}]',
            'c:1:28: vms_ring[0].rings[0]: 1000 is out of range',
            'use a value from 0 to 999',
        ),
        (
            'primary: {coremaks: 1}',
            'c:1:11: primary.coremaks: not a known key',
            'did you mean coremask?',
        ),
        (
            'primary: {COREMASK: 1}',
            'c:1:11: primary.COREMASK: not a known key',
            'did you mean coremask?',
        ),
        (
            "'<<': 1",
            'c:1:1: <<: not a known key',
            'write it without quotes to merge a mapping: <<: *NAME',
        ),
        (
            'pri_port: 5',
            'c:1:1: pri_port: not a known key',
            'it belongs to controller:',
        ),
        (
            "primary: {'rings:5': 1}",
            'c:1:11: primary.rings:5: not a known key',
            'did you mean rings: 5, with a space behind the colon?',
        ),
        (
            "primary: {'rings:5:6': 1}",
            'c:1:11: primary.rings:5:6: not a known key',
            'did you mean rings: 5:6, with a space behind the colon?',
        ),
        (
            'primary: {"rings\xa0": 1}',
            'c:1:11: primary.rings?: not a known key',
            'use plain spaces: there is a U+00A0 in it',
        ),
        (
            'primary: {"my\\tkey": 1}',
            'c:1:11: primary.my?key: not a known key',
            'known here: coremask, portmask, rings, memory, channels, vdevs, restart',
        ),
        (
            "primary: {'rings:': 1}",
            'c:1:11: primary.rings:: not a known key',
            'did you mean rings?',
        ),
        (
            "primary: {'xyz:5': 1}",
            'c:1:11: primary.xyz:5: not a known key',
            'known here: coremask, portmask, rings, memory, channels, vdevs, restart',
        ),
        (
            'memory: 5',
            'c:1:1: memory: not a known key',
            'it belongs to primary: or vms_ring: or vms_vhost: or vm:',
        ),
        (
            'xyz: 1',
            'c:1:1: xyz: not a known key',
            f"known here: {', '.join(Config.model_fields)}",
        ),
        (
            'primary: {session: x}',
            'c:1:11: primary.session: not a known key',
            'it belongs to the top level, not indented',
        ),
        (
            'session: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
            "c:1:10: session: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' cannot be used",
            'use letters, digits, - and _ only (tmux reads . and : as separators), 32 at most',
        ),
        (
            'session: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
            "c:1:10: session: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… cannot be used",
            'use letters, digits, - and _ only (tmux reads . and : as separators), 32 at most',
        ),
        (
            'session: [a]',
            'c:1:1: session: a list is not a text',
            'write one word or path, or leave the key out',
        ),
        (
            'vm: {args: 5}',
            "c:1:12: vm.args: '5' is not a list",
            'write [5]',
        ),
        (
            'primary: {vdevs: [[a]]}',
            'c:1:19: primary.vdevs[0]: a list is not a text',
            'write it as net_tap0,iface=vtap0',
        ),
        (
            'primary: 3',
            "c:1:10: primary: '3' is not a mapping",
            "write 'key: value' lines below it, indented",
        ),
        (
            'restart: 7',
            "c:1:10: restart: '7' is not known",
            'use one of: no, on-failure, {policy: on-failure, delay: 1, max: 5}',
        ),
        (
            'vms_ring: [{id: 6, secondary: 1.5}]',
            "c:1:31: vms_ring[0].secondary: '1.5' is not a whole number",
            'write one decimal number',
        ),
        (
            'chains: {a: {path: [tap:0, tap:1], ends: {tap:0: {netns: a, adress: 1}}}}',
            'c:1:61: chains.a.ends.tap:0.adress: not a known key',
            'did you mean address?',
        ),
        (
            'chains: {a: {path: [tap:0, tap:1], paht: x}}',
            'c:1:36: chains.a.paht: not a known key',
            'did you mean path?',
        ),
        (
            'vms_ring: [{idd: 6}]',
            'c:1:13: vms_ring[0].idd: not a known key',
            'did you mean id?',
        ),
    ],
)  # fmt: skip
def test_a_wrong_key_or_value(text: str, what: str, fix: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), "c")
    assert caught.value.what == f"{what}\n    fix: {fix}"


LCORES = "names a core beyond 127\n    fix: use lower cores"
NO_TREE = "needs an upstream SPP tree, and spp.dir names none\n    fix: name one, or leave it out"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "secondaries: [{id: 1, coremask: 0x300000000000000000000000000000000}]",
            f"1:33: secondaries[0].coremask: {LCORES}",
        ),
        ("primary: {coremask: 0x100000000000000000000000000000000}", f"1:21: primary.coremask: {LCORES}"),
        ("secondaries: [{id: 1, coremask: 0xC0000000000000000000000000000000}]", ""),
        ("primary: {portmask: 0x80000000}", ""),
        ("controller: {rest_host: 10.0.0.1, rest_port: 0}", ""),
        ("spp: {python: /x}", f"1:15: spp.python: {NO_TREE}"),
        ("spp: {qemu: /x}", f"1:13: spp.qemu: {NO_TREE}"),
        ("spp: {controller: ours}", f"1:19: spp.controller: {NO_TREE}"),
    ],
)  # fmt: skip
def test_rules_over_several_keys(text: str, problem: str) -> None:
    if not problem:
        assert parse(text.encode(), "c")
        return
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), "c")
    assert caught.value.what == f"c:{problem}"


def test_models_of_paths() -> None:
    assert model_at(()) is Config and model_at(("vms_ring", 3)) is VmRing
    assert model_at(("chains",)) is None and model_at(("chains", "web")) is Chain
    assert model_at(("chains", "web", "ends", "tap:0")) is End and model_at(("chains", "web", "ends")) is None
    assert model_at(("session", "x")) is None and model_at(("none", "x")) is None


def test_an_error_of_pydantic_without_a_fix_of_its_own() -> None:
    error = {"type": "unknown", "loc": ("primary", "rings"), "input": "x", "msg": "it is wrong"}
    assert problem(error, {}) == Problem(("primary", "rings"), "'x': it is wrong", "see docs/conf.md")  # type: ignore[arg-type]
