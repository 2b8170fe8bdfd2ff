"""Random edits of a valid conf.yml: each gives a lab, or an error with locations and fixes.

2,000 mutations, 10,000 where SPPR_LONG is set (.ci/run).
"""

import os
import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sppr.config.load import parse
from sppr.config.model import Config
from sppr.errors import ConfigError
from tests.conftest import ROOT

EVERY_KEY = b"""\
session: lab
controller: {host: 127.0.0.1, pri_port: 5555, sec_port: 6666}
primary:
  coremask: 0x03   # two lcores
  portmask: '0x03'
  rings: 10
  memory: 1G
  channels: 4
  vdevs: ["net_tap0,iface=a", 'net_tap1,iface=b']
secondaries:
  - id: 1
    coremask: 0x0C
  - {id: 2, coremask: 0x30}
vms_ring:
  - &ring {id: 6, secondary: 1, memory: 128, cores: 2, args: [-s], rings: [0, 1]}
vms_vhost:
- id: 11
  vhosts: [11, 111]
  ready_timeout:
vm: {memory: 256, accel: tcg, args: [], ssh_port: 22000, ready_timeout: 60.5}
images: {dir: runscripts, base: x.qcow2, format: qcow2}
spp: {dir: /opt/spp, target: t, file_prefix: p, sock_dir: /tmp}
hugepages: /dev/hugepages
""".replace(b"  ready_timeout:\n", b"")
HOSTS = b"""\
hosts:
  east: {address: 192.0.2.11, user: ana, port: 2201, become: yes, vars: {ansible_python_interpreter: /usr/bin/python3}}
  west: {address: west.example, link_address: 192.0.2.12, folder: ~/labs, program: /opt/sppr, cores: 8, memory: 8G}
links:
  - {between: [east, west], vni: 77, port: 4789}
secondaries:
  - {id: 1, coremask: 0x0C, host: east}
  - {id: 1, coremask: 0x0C}
vms_ring: [{id: 6, secondary: 1, host: east}]
vms_vhost:
  - {id: 11}
  - {id: 12, host: west}
chains:
  web:
    path: [east/tap:0, vm_r6, vm_v12, west/tap:1]
    functions: {vm_r6: guest}
    match: {vlan: 100}
    impair: {delay: 1ms}
    ends: {east/tap:0: {netns: client, address: 10.20.0.1/24}}
  near: {path: [east/tap:2, vm_r6, vm_v11, east/tap:3], direction: forward}
"""
OURS = b"".join(x for x in (ROOT / "conf.yml").read_bytes().splitlines(keepends=True) if not x.startswith(b"#"))

#: Replacements of a word, a value or a line: keys, values, punctuation, and invalid bytes.
WORDS = (
    b"", b" ", b"\t", b"\n", b"\r\n", b"\r", b":", b": ", b"::", b"-", b"- ", b"--", b"---", b"...", b"{", b"}",
    b"[", b"]", b",", b"#", b" #", b"'", b'"', b"\\", b"|", b">", b">-", b"&a", b"*a", b"*ring", b"<<: *ring", b"<<",
    b"!", b"!!int", b"!!binary", b"!!python/object:os.system", b"%YAML 2.0", b"%", b"@", b"`", b"?", b"? ", b"=",
    b"~", b"null", b"yes", b"no", b"on", b"off", b"true", b".inf", b"-.inf", b".nan", b"nan", b"1e400", b"0", b"-1",
    b"1", b"127", b"128", b"999", b"1000", b"65535", b"65536", b"4294967296", b"9" * 400, b"0x0", b"0x3", b"0x0C",
    b"0b11", b"0o17", b"017", b"1_000", b"12:30:45", b"2001-01-01", b"1.5", b"1.5G", b"0x" + b"F" * 400, b"1T",
    b"512M", b"{}", b"[]", b"[[]]", b"{a: 1}", b"{id: 1}", b"[6, 6]", b"a", b"a b", b"a.b", b"/", b"..", b"~/x",
    b"x" * 200, b"session", b"controller", b"primary", b"secondaries", b"vms_ring", b"vms_vhost", b"vm", b"images",
    b"spp", b"id", b"coremask", b"coremsk", b"memory", b"rings", b"vhosts", b"args", b"vdevs", b"net_tap0",
    b"localhost", b"::1", b"256.0.0.1", b"\xff", b"\xc3", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xc2\xa0", b"\xc2\x85",
    b"\x00", b"\x1b[31m", b"\x7f", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"\xd9\xa1",
)  # fmt: skip

Change = Callable[[bytes, int, int, bytes], bytes]


def _lines(change: Callable[[list[bytes], int, int, bytes], object]) -> Change:
    def changed(text: bytes, a: int, b: int, word: bytes) -> bytes:
        lines = text.splitlines(keepends=True) or [b""]
        change(lines, a % len(lines), b % len(lines), word)
        return b"".join(lines)

    return changed


def _swap(lines: list[bytes], a: int, b: int, _: bytes) -> None:
    lines[a], lines[b] = lines[b], lines[a]


def _replace(pattern: bytes) -> Change:
    def changed(text: bytes, a: int, b: int, word: bytes) -> bytes:
        found = list(re.finditer(pattern, text))
        if not found:
            return word
        at = found[a % len(found)]
        return text[: at.start()] + word + text[at.end() :]

    return changed


def _flip(text: bytes, a: int, b: int, _: bytes) -> bytes:
    at = a % max(1, len(text))
    return text[:at] + bytes(c ^ (1 << b % 8) for c in text[at : at + 1]) + text[at + 1 :]


CHANGES: dict[str, Change] = {
    "flip a bit": _flip,
    "insert": lambda text, a, _b, word: text[: a % (len(text) + 1)] + word + text[a % (len(text) + 1) :],
    "cut": lambda text, a, b, _word: text[: a % (len(text) + 1)] + text[a % (len(text) + 1) + b % 20 :],
    "truncate": lambda text, a, _b, _word: text[: a % (len(text) + 1)],
    "another word": _replace(rb"[\w./-]+"),
    "another value": _replace(rb"(?<=: )[^\n,}\]]+"),
    "another key": _replace(rb"\w+(?=:)"),
    "another end": _replace(rb"[\[\]{},:\n'\" ]"),
    "delete a line": _lines(lambda lines, a, _b, _word: lines.pop(a)),
    "repeat a line": _lines(lambda lines, a, b, _word: lines.insert(b, lines[a])),
    "swap lines": _lines(_swap),
    "indent a line": _lines(lambda lines, a, b, _word: lines.insert(a, b" " * (b % 5 + 1) + lines.pop(a))),
    "outdent a line": _lines(lambda lines, a, _b, _word: lines.insert(a, lines.pop(a).lstrip(b" "))),
    "new line": _lines(lambda lines, a, _b, word: lines.insert(a, word + b"\n")),
    "line ends": lambda text, a, _b, _word: text.replace(b"\n", b"\r\n" if a % 2 else b"\r"),
    "upper case": _lines(lambda lines, a, _b, _word: lines.insert(a, lines.pop(a).upper())),
}
one_change = st.tuples(
    st.sampled_from(sorted(CHANGES)), st.integers(0, 5000), st.integers(0, 500), st.sampled_from(WORDS)
)


@pytest.mark.timeout(400)
@settings(
    max_examples=10_000 if os.environ.get("SPPR_LONG") else 2_000,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.sampled_from((EVERY_KEY, OURS, HOSTS)), st.lists(one_change, min_size=1, max_size=5))
def test_mutations_of_a_valid_file_give_no_traceback(good: bytes, changes: list[tuple[str, int, int, bytes]]) -> None:
    text = good
    for name, a, b, word in changes:
        text = CHANGES[name](text, a, b, word)
    try:
        assert isinstance(parse(text, "conf.yml"), Config)
    except ConfigError as e:
        lines = e.what.split("\n")
        assert len(lines) % 2 == 0
        for message, fix in zip(lines[::2], lines[1::2], strict=True):
            place = re.fullmatch(r"conf\.yml:([1-9][0-9]*):([1-9][0-9]*): (.+)", message)
            assert place and message.isprintable() and len(message) < 400, message
            assert int(place[1]) <= len(re.split(r"\r\n|[\r\n\x85\u2028\u2029]", text.decode("utf-8", "replace"))), (
                message
            )
            assert (
                fix.startswith("    fix: ") and fix.isprintable() and 10 < len(fix) < 200 and "see docs" not in fix
            ), f"{message}\n{fix}"


def test_unmutated_files_are_valid() -> None:
    for text in (EVERY_KEY, OURS):
        assert parse(text, "conf.yml")
