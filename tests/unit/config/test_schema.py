"""The JSON schema of conf.yml accepts what the loader accepts, and finds the mistakes that a schema can find."""

import json
import math
import re
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sppr.config import example, schema
from sppr.config.load import load, parse
from sppr.config.model import Config
from sppr.errors import ConfigError
from tests.conftest import ROOT
from tests.errors.test_conf_mutations import CHANGES, EVERY_KEY, OURS, one_change

DATA = ROOT / "tests/errors/data"
VALIDATOR = jsonschema_rs.validator_for(schema.schema())
#: Files whose aliases or merge keys expand without end.
BOMBS = {"billion-laughs", "merge-bomb", "merge-of-itself"}
#: Mistakes in the values of one host or link. The others are rules over hosts, links and the paths of chains.
FOUND_IN_HOSTS = {
    "hosts-address-missing", "hosts-cable-one-end", "hosts-cable-values", "hosts-link-of-three", "hosts-name-wrong",
    "hosts-of-a-host", "hosts-values", "hosts-vars",
}  # fmt: skip
#: Mistakes that a schema cannot find.
NOT_FOUND = {
    *({path.stem for path in [*DATA.glob("hosts-*.yml"), *DATA.glob("link-*.yml")]} - FOUND_IN_HOSTS),
    # rules over several keys, and over the bits of a mask
    "chain-ends", "chain-impair", "chain-of-a-tree", "chain-paths", "chain-via", "crlf", "device-twice",
    "duplicate-id-across-sections",
    "id-twice-in-one-section", "id-twice-vhost", "mask-beyond-128", "mask-zero", "merge-of-one-id", "one-core-nfv",
    "overlap-of-two-secondaries", "overlap-primary", "patches-of-parts", "portmask-beyond-32", "portmask-zero",
    "provision-step", "reachable-host", "reachable-rest", "real-pcap-two-cores", "real-version-without-tree",
    "real-vf-ports", "real-pcap-of-a-tap", "real-vm-behind-vf", "rest-port-taken", "ring-named-twice-in-one",
    "ring-numbers-twice", "ring-unknown-secondary", "rings-empty", "same-ports", "secondary-of-a-vm-that-is-a-vm",
    "ssh-port-meets-controller", "ssh-port-written-meets-controller", "vhost-of-another-by-default", "vhost-twice",
    "vhosts-empty", "vm-bridge-with-forwards", "vm-unknown-secondary",
    # numbers that YAML reads as integers, and the loader refuses as written
    "id-fraction", "id-octal", "id-octal-look", "id-plus", "port-float", "port-hex",
    # calculations with a text
    "allow-host-bits", "memory-huge", "memory-kibibytes", "memory-small", "tap-name-too-long",
    # mistakes in YAML, which the language server finds by itself
    "bom-utf16", "duplicate-key", "duplicate-key-nested", "extension-with-a-key-given-twice",
    "merge-of-a-key-given-twice", "merge-twice", "merge-with-a-tag", "section-twice", "tag-int",
}  # fmt: skip


class Yaml12(yaml.SafeLoader):
    """Load the core schema of YAML 1.2, as language servers do: ``no`` is a text, and 0x03 is an integer."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's interface


_FLOAT = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
for kind, pattern in (
    ("null", "~|null|Null|NULL|"), ("bool", "true|True|TRUE|false|False|FALSE"),
    ("int", "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"), ("float", _FLOAT), ("merge", "<<"),
):  # fmt: skip
    Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"^(?:{pattern})$"), None)


def _int(loader: Yaml12, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, 0) if text[:2] in ("0x", "0o") else int(text)


Yaml12.add_constructor("tag:yaml.org,2002:int", _int)


def _json(value: Any) -> Any:
    """Return the value with texts as keys, as language servers see them."""
    if isinstance(value, dict):
        return {str(key): _json(inner) for key, inner in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return 1e300  # JSON has no infinite number
    return [_json(inner) for inner in value] if isinstance(value, list) else value


def errors(text: str | bytes) -> list[str]:
    """Return the errors of the schema in a file."""
    lab = _json(yaml.load(text, Yaml12)) or {}  # noqa: S506
    return [error.message for error in VALIDATOR.iter_errors(lab)]


def test_yaml_1_2_is_read() -> None:
    read = yaml.load("[0x10, 010, 0o10, no, 'yes', true, ~, 1.5, 12:30, 1G]", Yaml12)  # noqa: S506
    assert read == [16, 10, 8, "no", "yes", True, None, 1.5, "12:30", "1G"]


def test_conf_schema_json_is_current() -> None:
    assert (ROOT / schema.FILE).read_text() == schema.text(), "make docs"


def test_shipped_conf_is_valid_and_refers_to_the_schema() -> None:
    text = (ROOT / "conf.yml").read_text()
    assert text.splitlines()[0] == "# yaml-language-server: $schema=conf.schema.json" == schema.MODELINE
    assert errors(text) == [] and text == example.text(**example.COUNTS)
    assert load(ROOT / "conf.yml") == parse(text.encode(), "c")


def examples() -> list[Any]:
    """Return the examples of conf.yml in the documents: file, line and text. Prometheus has YAML of its own."""
    found = []
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = path.read_text()
        for match in re.finditer(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            line = text[: match.start()].count("\n") + 1
            if match[1].startswith("scrape_configs:"):
                continue
            found.append(pytest.param(match[1], id=f"{path.name}:{line}"))
    return found


@pytest.mark.parametrize("text", examples())
def test_example_in_the_documents_is_valid(text: str) -> None:
    assert errors(text) == []


def test_documents_have_examples() -> None:
    assert len(examples()) >= 7


@pytest.mark.parametrize(
    "text",
    [
        "primary: {coremask: 0x03, portmask: 3}",
        "primary: {coremask: '0x03', portmask: 0C}",
        "primary: {coremask: 3e1, portmask: 0XF}",
        "primary: {memory: 1G, rings: '10'}",
        "primary: {memory: 512, channels: 04}",
        "primary: {memory: 2048 MiB}",
        "primary: {restart: on-failure}",
        "primary: {restart: no}",
        "primary: {restart: {policy: on-failure, delay: '0.5', max: 2}}",
        "primary: {vdevs: ['net_tap0,iface=a', net_null1]}",
        "restart: on-failure\nhugepages: /dev/hugepages",
        "session: 5",
        "session: true",
        "session: 1_5",
        "session: ~\nvms_ring:\nchains:\nprovision:\nhugepages:\nrestart:",
        *(f"secondaries: [{{id: 1, coremask: 0xC, vhost_client: {b}}}]" for b in ("yes", "No", "on", "OFF", "TRUE")),
        "secondaries: [{id: 1, coremask: 0xC, restart: }]",
        "vm: {args: [-m, 512, -snapshot, 1.5], ready_timeout: 60, ssh_port: 0}",
        "vm: {ready_timeout: 1e2}",
        "vms_ring: [{id: 6, rings: [0, 1], cpus: [2, '3'], memory: 1g, cores: ~}]",
        "x-a: &a {memory: 512, x-b: 1}\nvms_vhost: [{<<: *a, id: 11, x-c: [1]}]",
        "spp: {dir: /s, version: 17.05}",
        "spp: {dir: /s, version: 18.08.1, controller: ours, python: python2}",
        "spp: {sock_dir: /tmp/x, file_prefix: 5}",
        "provision: [apt-get update, {run: ls}, {file: 5, to: /a}, 'true', true, 5]",
        "controller: {host: localhost, allow: [10.0.0.0/8, 10.0.0.1, 10.0.0.0/255.0.0.0], allow_users: [ana]}",
        "images: {dir: 5, base: 1.5, format: raw}",
        "secondaries: [{id: 1, coremask: 0xC}]\npatches: [sec1: 'tap:0 -> ring:5', {sec1: idle}, {pri: 'phy:0'}]",
        "vms_vhost: [{id: 11}]\nchains: {5: {path: [tap:0, vm_v11, tap:1], functions: {vm_v11: guest}, via: }, x-a: 1}",
        "chains: {a: {path: [tap:0, tap:1], direction: forward, ends: {tap:0: {netns: 1, address: 10.0.0.1/24}}}}",
    ],
)  # fmt: skip
def test_what_the_loader_accepts_is_valid(text: str) -> None:
    parse(text.encode(), "c")
    assert errors(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "secondarys: []",
        "primary: {coremsk: 0x03}",
        "primary: {coremask: 0b11}",
        "primary: {coremask: [0, 1]}",
        "primary: {memory: 1T}",
        "primary: {memory: 32}",
        "controller: {pri_port: 70000}",
        "controller: {host: example.org}",
        "controller: {allow: [10.0.0.0/33]}",
        "secondaries: [{id: 128, coremask: 0xC}]",
        "secondaries: [{id: 1}]",
        "secondaries: [{id: 1, coremask: 0xC, vhost_client: 1}]",
        "vm: {accel: xen}",
        "vm: {memory: }",
        "vm: {ready_timeout: 0}",
        "restart: always",
        "restart: false",
        "session: a.b",
        "spp: {version: 17.06}",
        "chains: {a.b: {path: [tap:0, tap:1]}}",
        "chains: {a: {path: [tap:0, tap:1], ends: {tap:0: {netns: a, address: 10.0.0.1}}}}",
        "patches: [{sec1: tap:0 => ring:5}]",
        "patches: [{sec: idle}]",
        "provision: [{file: a, to: b}]",
    ],
)
def test_mistake_is_found(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text.encode(), "c")
    assert errors(text)


def test_mistakes_that_a_schema_can_find_are_found() -> None:
    missed = set()
    for path in sorted(DATA.glob("*.yml")):
        try:
            missed |= {path.stem} if path.stem not in BOMBS and not errors(path.read_bytes()) else set()
        except (yaml.YAMLError, ValueError, TypeError):
            continue  # YAML refuses it, or JSON has no such key
    assert missed == NOT_FOUND


def properties(node: dict[str, Any], path: str = "") -> dict[str, dict[str, Any]]:
    """Return every key of the schema with its schema."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in node.get("properties", {}).items():
        found |= {f"{path}{name}": value} | properties(value, f"{path}{name}.")
    inner = (
        [node["items"]] if "items" in node else [*node.get("anyOf", []), *node.get("patternProperties", {}).values()]
    )
    for value in inner:
        found |= properties(value, path)
    return found


def test_every_key_has_a_description_in_markdown() -> None:
    keys = properties(schema.schema())
    assert set(Config.model_fields) <= set(keys) and len(keys) > 90
    assert [key for key, value in keys.items() if not value.get("markdownDescription")] == []
    assert keys["primary.memory"]["markdownDescription"] == "MiB of hugepages; `1G` is accepted"
    assert keys["primary.memory"]["description"] == "MiB of hugepages; 1G is accepted"
    assert keys["primary.coremask"]["default"] == "0x03" and keys["vm.cores"]["default"] == 1
    assert "docs/security.md" in keys["controller.allow_users"]["description"]


def test_unknown_keys_are_errors_in_every_mapping() -> None:
    def mappings(node: Any) -> list[dict[str, Any]]:
        if isinstance(node, list):
            return [found for item in node for found in mappings(item)]
        if not isinstance(node, dict):
            return []
        own = [node] if "object" in str(node.get("type")) else []
        return own + [found for value in node.values() for found in mappings(value)]

    found = mappings(json.loads(schema.text()))
    assert len(found) > 20
    named = {"functions", "ends"}  # their keys are elements of the path
    assert sum(isinstance(one["additionalProperties"], dict) for one in found) == len(named)
    assert all(one["additionalProperties"] is False or "type" in one["additionalProperties"] for one in found)


@pytest.mark.property
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from((EVERY_KEY, OURS)), st.lists(one_change, min_size=1, max_size=3))
def test_mutation_that_the_loader_accepts_is_valid(good: bytes, changes: list[tuple[str, int, int, bytes]]) -> None:
    text = good
    for name, a, b, word in changes:
        text = CHANGES[name](text, a, b, word)
    try:
        parse(text, "c")
        found = errors(text)
    except (ConfigError, yaml.YAMLError, ValueError, OverflowError):
        return
    # The loader ignores an unknown section that is empty.
    assert [error for error in found if "Additional properties" not in error] == [], text.decode()
